import type { OpenBatch } from '../../protocol/batch.ts'
import { isAfter, type ChainPosition } from '../../protocol/position.ts'
import { placeOf } from './verify.ts'

/** Encoded bytes that one route may hold unapplied. */
const routeBuffer = 8 << 20
/** Room below which a route does not ask for more. */
const minCredit = 1 << 20

/**
 * What has arrived for one route and is not applied yet, in the order of its chain. Whatever is thrown away is asked for again, from the place
 * that is applied.
 */
export class Arrivals {
  #queue: OpenBatch[] = []
  #bytes = 0
  /** Rises when the buffer is thrown away: answers to what was asked before are no use then. */
  #generation = 0
  /** The newest verified batch: in the buffer or applied. */
  #last: ChainPosition | null = null
  /** True where the last ask had no room. */
  #askedNothing = false

  get generation(): number {
    return this.#generation
  }

  get last(): ChainPosition | null {
    return this.#last
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  /** Throws everything away; what comes next follows `place`. */
  startAt(place: ChainPosition | null): void {
    this.#queue = []
    this.#bytes = 0
    this.#last = place
    this.#generation++
  }

  /** Bytes to ask for, of a share of the whole agent's; 0: no room. */
  credit(share: number, paused: boolean): number {
    const room = Math.min(routeBuffer, share) - this.#bytes
    const credit = !paused && room >= Math.min(minCredit, share) ? room : 0
    this.#askedNothing = credit === 0
    return credit
  }

  /** Whether the last ask had no room, and there is some now. */
  get hasRoomAgain(): boolean {
    return this.#askedNothing && this.#bytes < minCredit
  }

  /** A verified batch: it counts as the last one even where `add` does not follow. */
  verified(batch: OpenBatch): void {
    this.#last = placeOf(batch)
  }

  add(batch: OpenBatch): void {
    this.#queue.push(batch)
    this.#bytes += batch.bytes.length
  }

  take(): OpenBatch {
    const batch = this.#queue.shift()!
    this.#bytes -= batch.bytes.length
    return batch
  }

  /** A batch that cannot be read: what follows it is no use either, and the stream goes on behind it. */
  dropBehind(batch: OpenBatch): void {
    this.#queue = []
    this.#bytes = 0
    this.#last = placeOf(batch)
  }

  /** A batch is applied; the buffer may have been thrown away meanwhile. */
  applied(to: ChainPosition): void {
    if (!this.#last || isAfter(to, this.#last)) this.#last = to
  }
}
