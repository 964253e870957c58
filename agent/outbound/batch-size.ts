import type { StateFile } from '../runtime/state.ts'

/** Encoded bytes below which batches are never made smaller. */
const least = 16 << 10
/** Milliseconds after which a size that was learnt is forgotten: the way to the hub may have become wider. */
const remembered = 86_400_000

/** How large batches may be: as configured, or as a gateway on the way to the hub lets them through. */
export class BatchSize {
  readonly #configured: number
  readonly #state: Pick<StateFile, 'data' | 'write'>
  readonly #now: () => Date

  constructor(configured: number, state: Pick<StateFile, 'data' | 'write'>, now: () => Date) {
    this.#configured = configured
    this.#state = state
    this.#now = now
  }

  /** Encoded bytes that a batch may have. */
  get limit(): number {
    const learnt = this.#state.data.batchSize
    const old = !learnt || this.#now().getTime() - Date.parse(learnt.time) > remembered
    return old ? this.#configured : Math.min(this.#configured, learnt.bytes)
  }

  /** So many bytes did not get through: gateways' limits are powers of two as a rule. */
  refused(bytes: number): void {
    const smaller = Math.max(least, 2 ** (Math.ceil(Math.log2(bytes)) - 1))
    this.#state.data.batchSize = { bytes: smaller, time: this.#now().toISOString() }
    try {
      this.#state.write()
    } catch {
      // A full disk must not hold the stream; it is learnt again after a restart.
    }
  }
}
