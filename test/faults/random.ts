/** Random choices that can be made again: QIANZHI_SEED=<the seed that the failed run printed>. */
import { randomInt } from 'node:crypto'

export class Random {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed
    this.#state = seed >>> 0
  }

  /** mulberry32: from 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let x = this.#state
    x = Math.imul(x ^ (x >>> 15), x | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!
  }

  /** Another generator, so that what one writer draws does not depend on how fast the others are. */
  fork(): Random {
    return new Random(this.between(0, 2 ** 31 - 1))
  }
}

export function seedOfThisRun(): number {
  const given = process.env['QIANZHI_SEED']
  return given === undefined ? randomInt(2 ** 31) : Number(given)
}
