/** When the rows that a table refused are tried again by themselves: what was in their way may have gone. */
import type { Replayed } from '../database.ts'

const first = 2_000
const longest = 10 * 60_000
/** Of the time, trying again takes at most this share. */
const share = 0.05

export class Retries {
  readonly #now: () => number
  #wait = first
  #at = Infinity

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** The route was opened. */
  begin(any: boolean): void {
    this.#wait = first
    this.#at = any ? this.#now() + first : Infinity
  }

  /** Rows were set aside. */
  add(): void {
    this.#at = Math.min(this.#at, this.#now() + this.#wait)
  }

  get isDue(): boolean {
    return this.#now() >= this.#at
  }

  /** The pace halves each time that nothing goes in. */
  async run(replay: () => Promise<Replayed>): Promise<Replayed> {
    const began = this.#now()
    const replayed = await replay()
    const pause = (this.#now() - began) / share
    this.#wait = replayed.applied > 0 ? first : Math.min(2 * this.#wait, longest)
    this.#at = replayed.tried > replayed.applied ? this.#now() + Math.max(this.#wait, pause) : Infinity
    return replayed
  }
}
