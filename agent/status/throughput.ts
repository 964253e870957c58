interface Counted {
  rows: number
}

interface Sample {
  /** Milliseconds of a clock that nobody turns. */
  at: number
  rows: number
}

/** Milliseconds over which a rate is told, and below which none is. */
const span = 60_000
const least = 4_000

/** Rows per second of each line over the last minute, from the counts in the lines' own reports. */
export class Throughput {
  readonly #samples = new WeakMap<Counted, Sample[]>()

  /** To be called every few seconds. */
  sample(lines: Iterable<Counted>, at: number): void {
    for (const line of lines) {
      const samples = this.#samples.get(line) ?? []
      samples.push({ at, rows: line.rows })
      // The first one that is kept is the newest of those that are a minute old.
      while (samples.length > 2 && at - samples[1]!.at >= span) samples.shift()
      this.#samples.set(line, samples)
    }
  }

  /** Undefined until there was time to measure. */
  rate(line: Counted, at: number): number | undefined {
    const first = this.#samples.get(line)?.[0]
    if (!first || at - first.at < least) return undefined
    return Math.max(0, Math.round(((line.rows - first.rows) * 1000) / (at - first.at)))
  }
}
