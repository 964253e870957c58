import type { Logger } from 'pino'
import { codedError } from '../../protocol/errors.ts'
import type { EndedRoute } from '../../protocol/policy.ts'
import type { RemovalReceipt } from '../../protocol/receipt.ts'
import { Backoff } from '../runtime/backoff.ts'
import type { Delivery, Removal } from '../database.ts'
import type { Wake } from '../runtime/wake.ts'

export interface RemovalsDeps {
  /** Names of all configured databases: each is asked whether it knows the route. */
  databases: () => readonly string[]
  now: () => Date
  logger: Logger
  /** Fired when a removal is complete in all of them. */
  receiptsDue: Wake
}

interface Ending {
  order: EndedRoute
  /** What each database has said: null where it knew nothing of the route. */
  done: Map<string, Removal | null>
  /** Databases in which it did not work, and when it is tried again. */
  held: Map<string, { until: number; backoff: Backoff; code: string }>
  sent: boolean
}

/**
 * Routes whose grant has ended and whose data goes, as the policy in force says: in every database, chunk by chunk between batches, then
 * one signed receipt. What is told again is done again, and changes nothing; a database that is down is waited for.
 */
export class Removals {
  readonly #deps: RemovalsDeps
  readonly #endings = new Map<string, Ending>()

  constructor(deps: RemovalsDeps) {
    this.#deps = deps
  }

  /** The policy in force names these, and no others are removed from now on. */
  follow(ended: readonly EndedRoute[]): void {
    const wanted = new Map(ended.filter(({ data }) => data === 'remove').map((order) => [order.route, order]))
    for (const route of this.#endings.keys()) if (!wanted.has(route)) this.#endings.delete(route)
    for (const [route, order] of wanted) {
      if (this.#endings.has(route)) continue
      this.#endings.set(route, { order, done: new Map(), held: new Map(), sent: false })
      this.#deps.logger.info({ route, resource: order.resource }, 'the grant has ended: the delivered data is removed')
    }
  }

  wanted(): string[] {
    return [...this.#endings.keys()]
  }

  /** Routes that this database has not answered for yet. */
  pending(database: string): string[] {
    return [...this.#endings].flatMap(([route, { done }]) => (done.has(database) ? [] : [route]))
  }

  /**
   * One chunk of one route in this database. False where nothing is to be done now. Of what is thrown only a lost database concerns the
   * caller: a table that refuses is tried again later.
   */
  async step(database: string, delivery: Delivery): Promise<boolean> {
    for (const [route, ending] of this.#endings) {
      if (ending.done.has(database) || (ending.held.get(database)?.until ?? 0) > performance.now()) continue
      try {
        this.#note(database, ending, await delivery.remove(route))
      } catch (error) {
        this.#hold(database, ending, error)
      }
      return true
    }
    return false
  }

  #note(database: string, ending: Ending, removal: Removal | null): void {
    ending.held.delete(database)
    if (removal && !removal.done) return
    ending.done.set(database, removal)
    const { route } = ending.order
    if (removal) this.#deps.logger.info({ route, database, rows: removal.rows, tables: removal.tables }, 'delivered data is removed')
    if (this.#complete(ending)) this.#deps.receiptsDue.fire()
  }

  #hold(database: string, ending: Ending, error: unknown): void {
    const coded = codedError(error)
    if (/^QZ-(DB-UNREACHABLE|AGENT-CLONED)$/.test(coded.code)) throw coded
    const before = ending.held.get(database)
    const backoff = before?.backoff ?? new Backoff()
    ending.held.set(database, { until: performance.now() + backoff.next(), backoff, code: coded.code })
    if (before?.code !== coded.code) {
      this.#deps.logger.warn({ code: coded.code, route: ending.order.route, database, err: coded }, coded.message)
    }
  }

  #complete({ done }: Ending): boolean {
    return this.#deps.databases().every((database) => done.has(database))
  }

  /** Receipts that are due; given back where the hub did not take them. */
  takeReceipts(): RemovalReceipt[] {
    const due = [...this.#endings.values()].filter((ending) => !ending.sent && this.#complete(ending))
    return due.map((ending) => {
      ending.sent = true
      const found = [...ending.done].flatMap(([database, removal]) => (removal ? [{ database, ...removal }] : []))
      return {
        route: ending.order.route,
        removed: found.reduce((sum, { rows }) => sum + rows, 0),
        tables: found.flatMap(({ database, tables }) => tables.map((table) => `${database}/${table}`)),
        time: this.#deps.now().toISOString(),
      }
    })
  }

  returnReceipts(receipts: readonly RemovalReceipt[]): void {
    for (const { route } of receipts) {
      const ending = this.#endings.get(route)
      if (ending) ending.sent = false
    }
  }
}
