/** Milliseconds between two tries after so many refused logins: servers lock an account that is tried again and again. */
const pauses = [0, 0, 60_000, 300_000, 900_000, 1_800_000]

/** Opens sessions of one database; after a few refused logins ever more rarely, and meanwhile says what the last refusal said. */
export class LoginPause {
  readonly #isRefused: (error: unknown) => boolean
  readonly #now: () => number
  #refusals = 0
  #last: { error: unknown; until: number } | undefined

  /** `now`: milliseconds of a clock that only goes on. */
  constructor(isRefused: (error: unknown) => boolean, now: () => number = () => performance.now()) {
    this.#isRefused = isRefused
    this.#now = now
  }

  async open<T>(open: () => Promise<T>): Promise<T> {
    if (this.#last && this.#now() < this.#last.until) throw this.#last.error
    try {
      const session = await open()
      this.#refusals = 0
      this.#last = undefined
      return session
    } catch (error) {
      if (this.#isRefused(error)) this.#last = { error, until: this.#now() + pauses[Math.min(this.#refusals++, pauses.length - 1)]! }
      throw error
    }
  }
}
