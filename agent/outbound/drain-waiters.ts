import type { Row } from '../database.ts'
import type { ChainPosition } from '../../protocol/position.ts'

/** Who waits until what was queued when they asked is stored at the hub. */
interface Waiter {
  /** Queue entries that must be stored yet; undefined: the queue has not been looked at to its end since. */
  entries: Set<string> | undefined
  resolve: (position: ChainPosition) => void
}

/**
 * Those who wait until what is queued at one source now is stored at the hub. Entries have no order that could be waited for ("all up to id n"):
 * a transaction that commits late writes an id below others that have passed. So a waiter waits for a look at the queue to its end, and then for
 * exactly the entries that were on their way at that moment:
 *
 *     waiter asks ──┐
 *                   │   sawEnd(out = {b, c})      nothing else is queued: a has been stored before
 *     a  ═══════════╪═▶ ·                         entries = {b, c}
 *     b     ════════╪════════▶ stored(b)          entries = {c}
 *     c        ═════╪═════════════▶ stored(c)     entries = {}  ──▶ resolved with the place of c's batch
 *     d             │    ══════════════════▶      queued later: not waited for
 *
 * `forgot` comes between where the stream begins again: what was on its way is read anew, under the same entries or in a snapshot, so every
 * waiter waits for the next look to the end. While a snapshot is due or on its way `stored` is given no place and resolves nobody: it brings
 * rows that are in no queue. Nor does a look count while keys that are to be sent again are not queued yet.
 */
export class DrainWaiters {
  readonly #waiters = new Set<Waiter>()
  #resends: Row[][] = []

  /** Settles with the stream's position when everything that is queued now is stored at the hub. */
  async drained(signal: AbortSignal): Promise<ChainPosition> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<ChainPosition>()
    const waiter: Waiter = { entries: undefined, resolve }
    const abort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', abort)
    this.#waiters.add(waiter)
    try {
      return await promise
    } finally {
      this.#waiters.delete(waiter)
      signal.removeEventListener('abort', abort)
    }
  }

  /** Keys that are to be sent again, whether their rows have changed or not: the stream takes them at its next turn. */
  resend(keys: readonly Row[]): void {
    this.#resends.push([...keys])
  }

  takeResends(): Row[] {
    const keys = this.#resends.flat()
    this.#resends = []
    return keys
  }

  /** The queue was looked at to its end while `out` was on its way: what was queued before is in `out`, or stored. */
  sawEnd(out: ReadonlySet<string>): void {
    if (this.#resends.length > 0) return
    for (const waiter of this.#waiters) waiter.entries ??= new Set(out)
  }

  /** These entries are stored. `position` is null where the stream has none yet, or a snapshot is on its way. */
  stored(entries: readonly string[], position: ChainPosition | null): void {
    for (const waiter of this.#waiters) {
      if (!waiter.entries) continue
      for (const entry of entries) waiter.entries.delete(entry)
      if (waiter.entries.size === 0 && position) waiter.resolve(position)
    }
  }

  /** What was read ahead is thrown away: it will be taken again. */
  forgot(): void {
    for (const waiter of this.#waiters) waiter.entries = undefined
  }
}

/** The waiters of all sources, by resource. They outlive the streams, which begin again whenever the hub or the database was away. */
export class DrainWaitersByResource {
  readonly #byResource = new Map<string, DrainWaiters>()

  of(resource: string): DrainWaiters {
    let waiters = this.#byResource.get(resource)
    if (!waiters) this.#byResource.set(resource, (waiters = new DrainWaiters()))
    return waiters
  }
}
