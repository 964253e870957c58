import { mappingText, type Capture, type Row, type SourceTable, type StreamState, type StreamStep } from '../database.ts'
import { comparePositions, type ChainPosition, type Position } from '../../protocol/position.ts'
import { sha256 } from '../../protocol/signature.ts'

/** What the source database has written down of one stream: its place, its snapshot, what covered its table. Every change of it goes through here. */
export class StreamRecord {
  readonly source: SourceTable
  readonly #capture: Capture
  #state!: StreamState

  constructor(capture: Capture, source: SourceTable) {
    this.#capture = capture
    this.source = source
  }

  async load(): Promise<void> {
    this.#state = await this.#capture.state(this.source)
  }

  get position(): ChainPosition | null {
    return this.#state.position
  }

  get snapshot(): StreamState['snapshot'] {
    return this.#state.snapshot
  }

  /** Whether the snapshot that began there is on its way. */
  isRunning(began: Position): boolean {
    return this.snapshot !== null && this.snapshot !== 'needed' && comparePositions(this.snapshot.began, began) === 0
  }

  get quarantine(): number {
    return this.#state.quarantine
  }

  /** Null while a snapshot is due or on its way: it brings rows that are in no queue. */
  get settledPosition(): ChainPosition | null {
    return this.snapshot === null ? this.position : null
  }

  /**
   * A gap in coverage — trigger dropped, table altered, another schema version — ends in a snapshot, which is written down here. What covered
   * a table that was never looked at before is `first`.
   */
  async lookAtTriggers(): Promise<'same' | 'first' | 'changed'> {
    const { schema, columns } = this.source
    const mapping = mappingText(columns)
    const shape = JSON.stringify([schema.version, columns.map(({ item, column }) => [item.id, column]), ...(mapping ? [mapping] : [])])
    const coverage = sha256(`${await this.#capture.triggerFingerprint(this.source)} ${shape}`)
    const before = this.#state.coverage
    if (coverage === before) return 'same'
    await this.#capture.mark(this.source, { snapshot: 'needed', coverage })
    this.#state = { ...this.#state, coverage, snapshot: 'needed' }
    return before === '' ? 'first' : 'changed'
  }

  async needSnapshot(): Promise<void> {
    await this.#capture.mark(this.source, { snapshot: 'needed' })
    this.noteSnapshotNeeded()
  }

  /** It is written down already, or will be with the snapshot's first part. */
  noteSnapshotNeeded(): void {
    this.#state = { ...this.#state, snapshot: 'needed' }
  }

  /** Empties the queue, which is to be a snapshot instead; false where the lock was not to be had. */
  async collapse(): Promise<boolean> {
    const collapsed = await this.#capture.collapse(this.source)
    if (collapsed) this.noteSnapshotNeeded()
    return collapsed
  }

  /** Puts keys into the queue again; the stream stands at `position` from now on. */
  async requeue(keys: readonly Row[], position: ChainPosition): Promise<void> {
    await this.#capture.requeue(this.source, keys, position)
    this.#state = { ...this.#state, position }
  }

  async write(step: Omit<StreamStep, 'from'>): Promise<void> {
    await this.#capture.record(this.source, { from: this.position, ...step })
  }

  /** What a step that is written has made of it. */
  noteWritten({ to, snapshot }: Pick<StreamStep, 'to' | 'snapshot'>): void {
    this.#state = { ...this.#state, position: to, snapshot: snapshot === undefined ? this.#state.snapshot : snapshot }
  }

  async countQuarantine(): Promise<void> {
    this.#state.quarantine = (await this.#capture.state(this.source)).quarantine
  }
}
