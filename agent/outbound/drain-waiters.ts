import type { Row } from '../database.ts'
import type { ChainPosition } from '../../protocol/position.ts'

/** Who waits until what was queued when they asked is stored at the hub. */
interface Waiter {
  /** Queue entries that must be stored yet; undefined: the queue has not been looked at to its end since. */
  entries: Set<string> | undefined
  resolve: (position: ChainPosition) => void
}

/** One source's queue, as those see it who want to know when their changes have passed. */
export class DrainWaiters {
  readonly #waiters = new Set<Waiter>()
  #resends: Row[][] = []

  /** Settles with the stream's position when everything that is queued now is stored at the hub. */
  async passed(signal: AbortSignal): Promise<ChainPosition> {
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

/** The passages of all sources, by resource. They outlive the streams, which begin again whenever the hub or the database was away. */
export class DrainWaitersByResource {
  readonly #passages = new Map<string, DrainWaiters>()

  of(resource: string): DrainWaiters {
    let passage = this.#passages.get(resource)
    if (!passage) this.#passages.set(resource, (passage = new DrainWaiters()))
    return passage
  }
}
