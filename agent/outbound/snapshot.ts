import type { Manifest } from '../../protocol/batch.ts'
import { isAfter, type Position } from '../../protocol/position.ts'
import type { Capture, Row, Rows, SourceTable, StreamState } from '../database.ts'
import { readPage } from '../row-pages.ts'
import type { RowChecks } from './row-checks.ts'
import type { StreamResources } from './context.ts'
import { draftOfBlocks, type BatchDraft } from './packing.ts'

type State = StreamState['snapshot']

/**
 * A stream's running snapshot: where it began, how far it has been read (not: receipted), and whether its next part may be read. Parts
 * follow one another by key; which of them are receipted is written down by the source database, and after a break they go on there.
 */
export class SnapshotReader {
  readonly #capture: Capture
  readonly #source: SourceTable
  readonly #resources: StreamResources
  readonly #checks: RowChecks
  #running: { began: Position | null; after: Row | null } | null = null
  /** Of the last snapshot, also where it has ended. */
  #lastBegan: Position | null = null

  constructor(capture: Capture, source: SourceTable, resources: StreamResources, checks: RowChecks) {
    this.#capture = capture
    this.#source = source
    this.#resources = resources
    this.#checks = checks
  }

  /** Null before its first part is packed. */
  get began(): Position | null {
    return this.#running?.began ?? null
  }

  /** One is needed, and nothing of it has been packed. */
  get isFirst(): boolean {
    return this.#running !== null && this.#running.began === null
  }

  get mayRead(): boolean {
    return this.#running !== null && !this.#resources.guard.holdsEnd && this.#resources.pace.mayRead
  }

  /** Whether this or the last one begins after a place, or is still to begin. */
  beginsAfter(place: Position | null): boolean {
    return this.isFirst || (this.#lastBegan !== null && isAfter(this.#lastBegan, place))
  }

  /** Goes on with what the source database has written down. */
  resume(state: State): void {
    const { guard, pace, sent } = this.#resources
    if (state === 'needed') {
      this.#running = { began: null, after: null }
      guard.snapshotMoved()
      pace.restart()
      return
    }
    this.#running = state && { began: state.began, after: state.after }
    if (state) this.#lastBegan = state.began
    pace.resume(sent.snapshotRows)
  }

  /** What was read ahead is thrown away; `resume` comes before the next part. */
  stop(): void {
    this.#running = null
  }

  /** The next part; undefined where nothing is left but its end, and that must wait. */
  async read(rowsAtOnce: number, asBlocks: boolean, mayEnd: (rows: number | undefined) => boolean): Promise<BatchDraft | undefined> {
    const { began, after } = this.#running!
    const { pace, sent } = this.#resources
    const first = began === null
    if (!pace.isMeasured) pace.measure(await this.#capture.count(this.#source))
    const limit = pace.limit(rowsAtOnce)
    const snapshotOf = (met: number, count: number, last: Row | null): BatchDraft['snapshot'] => {
      pace.took(count)
      const ended = met < limit && mayEnd(pace.rows)
      return count === 0 && !ended && !first ? undefined : { first, last: ended, after: last }
    }
    const blocks = asBlocks ? await this.#capture.blocksAfter?.(this.#source, after, limit) : undefined
    if (blocks) {
      const snapshot = snapshotOf(blocks.rows, blocks.rows, blocks.last)
      return snapshot && draftOfBlocks(blocks, { entries: [], snapshot })
    }
    const { last, met, ...read } = await this.#part(after, limit)
    const { rows, faults } = this.#checks.take(read)
    const snapshot = snapshotOf(met, rows.length + faults.length, last)
    if (!snapshot) return undefined
    const draft = { rows, faults, deletes: [], entries: [], snapshot }
    sent.reread(draft)
    return draft
  }

  /** `met`: rows that the database gave, before those of one key became one that cannot be sent. */
  async #part(after: Row | null, limit: number): Promise<Rows & { last: Row | null; met: number }> {
    if (this.#capture.repeatsKeys?.(this.#source)) {
      const { rows, faults, last, ended } = await readPage(this.#capture, this.#source, after, limit)
      return { rows, faults, last, met: ended ? 0 : limit }
    }
    const read = await this.#capture.rowsAfter(this.#source, after, limit)
    return { ...read, met: read.rows.length + read.faults.length }
  }

  /** A part is packed as this batch. */
  move({ first, last, after }: NonNullable<BatchDraft['snapshot']>, place: Position): void {
    if (first) this.#lastBegan = place
    const began = first ? place : this.#running!.began
    this.#running = last ? null : { began, after: after ?? this.#running!.after }
  }

  /** What is to be written down with a batch that the hub has: undefined where it moved no snapshot, or one given up meanwhile for a new one. */
  recorded({ snapshot }: BatchDraft, manifest: Manifest, before: State): State | undefined {
    if (!snapshot || (before === 'needed' && !snapshot.first) || this.isFirst) return undefined
    if (snapshot.last) return null
    return { began: { epoch: manifest.epoch, seq: manifest.snapshot!.began }, after: snapshot.after }
  }
}
