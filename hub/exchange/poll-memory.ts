import type { PollRequest } from '../../protocol/api.ts'
import { isAfter, showPosition, type Position } from '../../protocol/position.ts'
import type { ExchangeAgent } from './agent.ts'
import type { Received } from './agent-views.ts'

type AskedRoute = PollRequest['routes'][number]

/** A receiver that was restored from a backup asks from an earlier place than its receipts named; `start` where it has nothing. */
export type RewoundTo = Position | 'start'

/** New snapshots that one route may cost its provider in an hour. */
export const demandsPerHour = 20
const hour = 3_600_000

interface Restart {
  /** What the route asked with when it was broken. */
  asked: string
  /** Only a snapshot that begins after this place will do. */
  after: Position | null
}

/** What has to be remembered from one poll of an agent to the next. All of it may be lost: then something is said or sent once more. */
export class PollMemory {
  readonly #delivered = new Map<string, { digest: string; asked: readonly string[] }>()
  readonly #lastServed = new Map<string, string>()
  readonly #restarts = new Map<string, Restart>()
  readonly #back = new Map<string, RewoundTo>()
  readonly #newest = new Map<string, number>()
  readonly #misunderstood = new Set<string>()
  readonly #demands = new Map<string, number[]>()
  readonly #standing = new Map<string, string>()

  /** A poll that was signed before another one of its agent that was heard already: it says nothing new, it was late or sent twice. */
  isLate({ id, signed = Infinity }: ExchangeAgent): boolean {
    if (signed < (this.#newest.get(id) ?? 0)) return true
    if (signed !== Infinity) this.#newest.set(id, signed)
    return false
  }

  /** Whether an agent's lines stand otherwise than it told last, or it tells for the first time. */
  isNews(agent: string, standing: string): boolean {
    if (this.#standing.get(agent) === standing) return false
    this.#standing.set(agent, standing)
    return true
  }

  /** Whether it is the first of an agent's reports that is not understood, since one that was. */
  isNewFault(agent: string, understood: boolean): boolean {
    if (understood) this.#misunderstood.delete(agent)
    if (understood || this.#misunderstood.has(agent)) return false
    this.#misunderstood.add(agent)
    return true
  }

  /** How many new snapshots a route has cost its provider, and until when it gets no further one; undefined where it may. */
  limitOf(route: string, now: Date): { count: number; until: string } | undefined {
    const recent = (this.#demands.get(route) ?? []).filter((at) => at > now.getTime() - hour)
    if (recent.length < demandsPerHour) return undefined
    return { count: recent.length, until: new Date(recent[0]! + hour).toISOString() }
  }

  demanded(route: string, now: Date): void {
    this.#demands.set(route, [...(this.#demands.get(route) ?? []), now.getTime()].slice(-demandsPerHour))
  }

  /**
   * True where this differs from what the agent was told last; waiting polls are answered only for news. An ask is news once; that it
   * was answered is none.
   */
  hasChanges(agent: string, digest: string, asked: readonly string[]): boolean {
    const last = this.#delivered.get(agent)
    return last?.digest !== digest || asked.some((ask) => !last.asked.includes(ask))
  }

  markDelivered(agent: string, digest: string, asked: readonly string[]): void {
    this.#delivered.set(agent, { digest, asked })
  }

  /** The routes in the order of their turns: first those behind the one that was served last. */
  inTurn<R extends { route: Pick<Received, 'route'> }>(agent: string, routes: readonly R[]): R[] {
    const last = routes.findIndex(({ route }) => route.route === this.#lastServed.get(agent))
    return [...routes.slice(last + 1), ...routes.slice(0, last + 1)]
  }

  served(agent: string, route: string): void {
    this.#lastServed.set(agent, route)
  }

  /**
   * Which snapshot a broken route needs: one that begins after what it has, and after the one that it was given for the same breakage
   * before. Undefined where the route is not broken.
   */
  restartOf({ route, after, broken }: AskedRoute): { after: Position | null } | undefined {
    if (broken === undefined) {
      this.#restarts.delete(route)
      return undefined
    }
    const known = this.#restarts.get(route)
    return known?.asked === asked(after, broken) ? { after: known.after } : { after }
  }

  /** A broken route was given the snapshot that begins here. */
  restarted({ route, after, broken }: AskedRoute, began: Position): void {
    if (broken !== undefined) this.#restarts.set(route, { asked: asked(after, broken), after: began })
  }

  /** Compares what a route asks after with what its receipts said. */
  noteAsked({ route, after }: AskedRoute, { position }: Received): void {
    if (position && (!after || isAfter(position, after))) this.#back.set(route, after ?? 'start')
  }

  rewoundTo(route: string): RewoundTo | undefined {
    return this.#back.get(route)
  }

  resumed(route: string): void {
    this.#back.delete(route)
  }
}

function asked(after: Position | null, broken: string): string {
  return `${showPosition(after)} ${broken}`
}
