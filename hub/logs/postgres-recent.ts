/**
 * The bodies of the batches that were used last, so that live receivers need no read of the store. Bounded in bytes of memory: a small body is
 * often a part of a buffer many times its size, which it would keep whole, and each costs something beside its bytes.
 */
export class RecentBatches {
  readonly #bodies = new Map<string, Buffer>()
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  put(key: string, body: Buffer): void {
    if (sizeOf(body) > this.#limit || this.#bodies.has(key)) return
    this.#bodies.set(key, alone(body))
    this.#bytes += sizeOf(body)
    for (const [oldest, dropped] of this.#bodies) {
      if (this.#bytes <= this.#limit) return
      this.#bodies.delete(oldest)
      this.#bytes -= sizeOf(dropped)
    }
  }

  get(key: string): Buffer | undefined {
    return this.#bodies.get(key)
  }
}

/** Bytes of its key, its place in the map and its buffer, as measured for bodies of a kilobyte. */
const besideBody = 768

function sizeOf(body: Buffer): number {
  return body.length + besideBody
}

/** With no other bytes behind it. */
function alone(body: Buffer): Buffer {
  if (body.length === body.buffer.byteLength) return body
  const own = Buffer.allocUnsafeSlow(body.length)
  body.copy(own)
  return own
}
