/** The shortest time for which an answer counts, in milliseconds, and how many times longer than it took, at least. */
export interface Keeping {
  ms: number
  times: number
}

/** What many ask for, as it was just now: however many they are it is read once, and only so much of a processor's time goes into it. */
export class Kept<T> {
  readonly #read: () => Promise<T>
  readonly #keeping: Keeping
  #last: Promise<T> | undefined
  #until = 0

  constructor(read: () => Promise<T>, keeping: Keeping) {
    this.#read = read
    this.#keeping = keeping
  }

  current(): Promise<T> {
    if (this.#last && performance.now() < this.#until) return this.#last
    const began = performance.now()
    this.#until = Infinity
    this.#last = this.#read().finally(() => {
      const { ms, times } = this.#keeping
      this.#until = performance.now() + Math.max(ms, times * (performance.now() - began))
    })
    return this.#last
  }
}
