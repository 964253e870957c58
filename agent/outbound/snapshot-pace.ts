import type { SnapshotProgress } from '../../protocol/api.ts'
import { isWithin } from '../config/hours.ts'
import type { SnapshotRules } from '../config/source-rules.ts'

/**
 * When the next part of a snapshot may be read, and how far it is. Hours are those of the configured time zone by the hub's clock: a
 * machine whose clock is wrong keeps to the right ones.
 */
export interface SnapshotPaceDeps {
  /** The hub's time. */
  now: () => Date
  /** Milliseconds of a clock that only goes forward. */
  ticks?: () => number
}

export class SnapshotPace {
  readonly #rules: SnapshotRules
  readonly #now: () => Date
  readonly #ticks: () => number
  #nextAt = -Infinity
  /** Rows read since the snapshot began, undefined where that is not known (any more), and rows that there are. */
  #rows: number | undefined = 0
  #total: number | undefined
  /** Rows read by this program, and the milliseconds that it took, waits for the window left out. */
  #read = 0
  #took = 0
  #lastAt: number | undefined

  constructor(rules: SnapshotRules, { now, ticks = () => performance.now() }: SnapshotPaceDeps) {
    this.#rules = rules
    this.#now = now
    this.#ticks = ticks
  }

  get inWindow(): boolean {
    return isWithin(this.#rules.window, this.#now(), this.#rules.timezone)
  }

  get mayRead(): boolean {
    return this.inWindow && this.#ticks() >= this.#nextAt
  }

  /** Rows to be read at once: no more than the pace of one second. */
  limit(rows: number): number {
    return Math.min(rows, this.#rules.pace ?? rows)
  }

  /** A snapshot begins from the first row. */
  restart(): void {
    this.#total = undefined
    this.resume(0)
  }

  /** What was read and not recorded is read again. */
  resume(rows: number | undefined): void {
    this.#rows = rows
    this.#lastAt = undefined
  }

  get isMeasured(): boolean {
    return this.#total !== undefined
  }

  measure(total: number): void {
    this.#total = total
    this.#read = 0
    this.#took = 0
  }

  /** Rows that the snapshot has met; where that is not known, those that there were when it was gone on with. */
  get rows(): number | undefined {
    return this.#rows ?? this.#total
  }

  took(rows: number): void {
    const at = this.#ticks()
    if (this.#rules.pace) this.#nextAt = Math.max(this.#nextAt, at) + (rows / this.#rules.pace) * 1_000
    if (this.#lastAt !== undefined && at - this.#lastAt < 60_000) {
      this.#took += at - this.#lastAt
      this.#read += rows
    }
    this.#lastAt = at
    if (this.#rows !== undefined) this.#rows += rows
  }

  /** `left`: seconds at the rate so far; absent where nothing can be said yet. */
  progress(): SnapshotProgress {
    const rows = this.#rows ?? 0
    const progress: SnapshotProgress = { rows, total: Math.max(rows, this.#total ?? 0) }
    if (!this.inWindow) return { ...progress, waits: 'window' }
    if (this.#took === 0 || this.#read === 0) return progress
    const rate = (this.#read / this.#took) * 1_000
    return { ...progress, rate: Math.round(rate), left: Math.ceil((progress.total - rows) / rate) }
  }
}
