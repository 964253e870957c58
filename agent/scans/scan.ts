/** One look through a source: at its schedule, when it was missed, or when the operator asks. */
import { pause } from '../runtime/backoff.ts'
import type { StreamStore } from '../runtime/stream-store.ts'

export interface ScanResult {
  /** Rows or keys looked at, and those of them that were queued. */
  rows: number
  changed: number
}

/** A snapshot has begun, which sends all rows anyway; or the agent stops. */
export class ScanStopped extends Error {}

export class Scan {
  readonly #store: StreamStore
  readonly #signal: AbortSignal
  readonly #generation: number
  readonly #queued: () => void
  readonly #rowsPerSecond: number
  readonly #started = performance.now()

  /** `queued` is called whenever something may have been put into the queue. */
  constructor(store: StreamStore, options: { signal: AbortSignal; queued: () => void; rowsPerSecond?: number | undefined }) {
    this.#store = store
    this.#signal = options.signal
    this.#queued = options.queued
    this.#rowsPerSecond = options.rowsPerSecond ?? Number.POSITIVE_INFINITY
    this.#generation = store.state().generation
  }

  /** In one transaction. Throws ScanStopped. */
  commit(work: () => void): void {
    this.#store.transaction(() => {
      const { snapshot, generation } = this.#store.state()
      if (snapshot !== null || generation !== this.#generation || this.#signal.aborted) throw new ScanStopped()
      work()
    })
    this.#queued()
  }

  /** Keeps to the configured pace and lets the line have its turn. Throws ScanStopped. */
  async pace(rows: number): Promise<void> {
    const ahead = (rows / this.#rowsPerSecond) * 1000 - (performance.now() - this.#started)
    if (ahead > 0) await pause(ahead, this.#signal)
    if (this.#signal.aborted || this.#store.state().snapshot !== null) throw new ScanStopped()
  }
}
