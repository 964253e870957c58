const hour = 3_600_000

/**
 * The machine's time for whatever is removed because of its age: never ahead of what has passed since it was made by more than an hour, so
 * that nothing grows old because a clock was set. Behind where the machine was suspended. Milliseconds.
 */
export class SteadyClock {
  readonly #wall: () => number
  readonly #ticks: () => number
  readonly #began: number

  constructor(wall: () => number = Date.now, ticks: () => number = () => performance.now()) {
    this.#wall = wall
    this.#ticks = ticks
    this.#began = wall() - ticks()
  }

  now(): number {
    return Math.min(this.#wall(), this.#began + this.#ticks() + hour)
  }
}

/** Since the program began. */
export const steadyClock = new SteadyClock()
