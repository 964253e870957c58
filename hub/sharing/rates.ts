/** Requests a second of one grant, in one process of the hub: a bucket that fills at the rate and holds two seconds of it. */
export class Rates {
  readonly #buckets = new Map<string, { left: number; at: number }>()
  readonly #now: () => number

  /** `now`: milliseconds of a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Takes one. @returns what is left, and seconds until there is one again: 0 where there was. */
  take(grant: string, rate: number): { left: number; wait: number } {
    const now = this.#now()
    const before = this.#buckets.get(grant) ?? { left: 2 * rate, at: now }
    const left = Math.min(2 * rate, before.left + ((now - before.at) / 1000) * rate)
    if (this.#buckets.size > 10_000) this.#buckets.clear()
    this.#buckets.set(grant, { left: left < 1 ? left : left - 1, at: now })
    return left < 1 ? { left: 0, wait: (1 - left) / rate } : { left: Math.floor(left - 1), wait: 0 }
  }
}
