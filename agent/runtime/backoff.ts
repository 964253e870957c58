import { setTimeout as sleep } from 'node:timers/promises'

/** Retries never give up: from a tenth of a second, doubling with jitter, to half a minute. */
export class Backoff {
  #failures = 0
  readonly #random: () => number

  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** Milliseconds to wait after this further failure. */
  next(): number {
    const ceiling = Math.min(30_000, 100 * 2 ** this.#failures++)
    return ceiling * (0.5 + this.#random() / 2)
  }

  async wait(signal: AbortSignal): Promise<void> {
    await pause(this.next(), signal)
  }

  reset(): void {
    this.#failures = 0
  }
}

/** Waits, or returns early when aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined)
}
