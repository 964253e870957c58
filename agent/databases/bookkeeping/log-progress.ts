/** How far a server's log is queued, for those who wait until it is. */
export class LogProgress<Place> {
  readonly #compare: (a: Place, b: Place) => number
  #waiters: { target: Place; resolve: () => void; reject: (error: unknown) => void }[] = []
  #lost: Error | undefined
  #done: Place

  /** `compare`: less than zero where `a` lies before `b`. */
  constructor(from: Place, compare: (a: Place, b: Place) => number) {
    this.#done = from
    this.#compare = compare
  }

  /** Everything before is queued. */
  get done(): Place {
    return this.#done
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0
  }

  /** Returns when all that stands before `target` is queued; throws why no more is read. */
  async until(target: Place): Promise<void> {
    if (this.#lost) throw this.#lost
    if (this.#compare(this.#done, target) >= 0) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiters.push({ target, resolve, reject })
    return promise
  }

  reached(end: Place): void {
    if (this.#compare(end, this.#done) <= 0) return
    this.#done = end
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ target }) => this.#compare(target, end) > 0)
    for (const { target, resolve } of waiters) if (this.#compare(target, end) <= 0) resolve()
  }

  lose(reason: Error): void {
    this.#lost = reason
    for (const { reject } of this.#waiters.splice(0)) reject(reason)
  }
}
