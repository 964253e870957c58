import type { PollRequest } from '../../protocol/api.ts'
import { isAfter, showPlace, type Place } from '../../protocol/position.ts'
import type { Hungry } from './deliver.ts'
import type { Received } from './agent-views.ts'

type AskedRoute = PollRequest['routes'][number]

/** A receiver that was restored from a backup asks from an earlier place than its receipts named; `start` where it has nothing. */
export type WentBack = Place | 'start'

interface Restart {
  /** What the route asked with when it was broken. */
  asked: string
  /** Only a snapshot that begins after this place will do. */
  after: Place | null
}

/** What has to be remembered from one poll of an agent to the next. All of it may be lost: then something is said or sent once more. */
export class PollMemory {
  readonly #told = new Map<string, { said: string; asked: readonly string[] }>()
  readonly #lastServed = new Map<string, string>()
  readonly #restarts = new Map<string, Restart>()
  readonly #back = new Map<string, WentBack>()

  /**
   * True where this differs from what the agent was told last; waiting polls are answered only for news. An ask is news once; that it
   * was answered is none.
   */
  isNews(agent: string, said: string, asked: readonly string[]): boolean {
    const told = this.#told.get(agent)
    return told?.said !== said || asked.some((ask) => !told.asked.includes(ask))
  }

  wasTold(agent: string, said: string, asked: readonly string[]): void {
    this.#told.set(agent, { said, asked })
  }

  /** The routes in the order of their turns: first those behind the one that was served last. */
  inTurn(agent: string, routes: readonly Hungry[]): Hungry[] {
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
  restartOf({ route, after, broken }: AskedRoute): { after: Place | null } | undefined {
    if (broken === undefined) {
      this.#restarts.delete(route)
      return undefined
    }
    const known = this.#restarts.get(route)
    return known?.asked === asked(after, broken) ? { after: known.after } : { after }
  }

  /** A broken route was given the snapshot that begins here. */
  restarted({ route, after, broken }: AskedRoute, began: Place): void {
    if (broken !== undefined) this.#restarts.set(route, { asked: asked(after, broken), after: began })
  }

  /** Compares what a route asks after with what its receipts said. */
  noteAsked({ route, after }: AskedRoute, { position }: Received): void {
    if (position && (!after || isAfter(position, after))) this.#back.set(route, after ?? 'start')
  }

  wentBackTo(route: string): WentBack | undefined {
    return this.#back.get(route)
  }

  wentOn(route: string): void {
    this.#back.delete(route)
  }
}

function asked(after: Place | null, broken: string): string {
  return `${showPlace(after)} ${broken}`
}
