/** The bodies of the batches that were used last, so that live receivers need no read of the store. Bounded in bytes. */
export class RecentBatches {
  readonly #bodies = new Map<string, Buffer>()
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  put(key: string, body: Buffer): void {
    if (body.length > this.#limit || this.#bodies.has(key)) return
    this.#bodies.set(key, body)
    this.#bytes += body.length
    for (const [oldest, { length }] of this.#bodies) {
      if (this.#bytes <= this.#limit) return
      this.#bodies.delete(oldest)
      this.#bytes -= length
    }
  }

  get(key: string): Buffer | undefined {
    return this.#bodies.get(key)
  }
}
