import type { BuiltBatch } from '../../protocol/batch.ts'
import type { ChainPosition, Position } from '../../protocol/position.ts'
import type { Capture, Found, Row } from '../database.ts'
import { readKeys } from '../row-pages.ts'
import { keyIndexes, keyOf, keysOf } from '../row-keys.ts'
import { BatchChain } from './batch-chain.ts'
import type { OutboundDeps, StreamResources } from './context.ts'
import type { DrainWaiters } from './drain-waiters.ts'
import { KeyQueue } from './key-queue.ts'
import { draftOfBlocks, travels, type BatchDraft } from './packing.ts'
import { RowChecks } from './row-checks.ts'
import { SnapshotReader } from './snapshot.ts'
import type { StreamRecord } from './stream-record.ts'
import type { StreamStatus } from './stream-status.ts'

/** A packed batch of one stream. */
export interface PackedBatch {
  draft: BatchDraft
  built: BuiltBatch
  /** Which beginning of the stream it belongs to: it is thrown away if the stream began again meanwhile. */
  generation: number
}

/** Reads in one turn that found nothing to be sent. */
const maxSilent = 20

/**
 * Reads one stream: changes by the keys in its queue, parts of its snapshot, and packs them as the next batch of its chain. It reads ahead: a
 * batch is packed on top of one that is still on its way to the hub, so its number and its `prev` are right only if that one is stored.
 *
 *     generation 4    recorded: 41     read    pack 42 ──────────▶ hub      receipt 42 ─▶ recorded: 42
 *                                              read    pack 43 (prev: 42) ─────────────▶ hub …
 *
 *                     42 is refused, or its receipt is another one's:
 *     generation 5    recorded: 41     read again, pack 42 …                 what generation 4 packed is never sent
 *
 * `forget` is the step between the two: taken keys, a rest that did not fit, a place in the snapshot, all that stands on what is not recorded
 * is thrown away, and the number rises; a batch in flight carries the number that it was packed under. Nothing is lost, since queue entries
 * leave the source database only with the record of their batch.
 */
export class StreamReader {
  /** Set where something was read, though nothing had to be sent. */
  worked = false
  readonly #deps: OutboundDeps
  readonly #capture: Capture
  readonly #record: StreamRecord
  readonly #status: StreamStatus
  readonly #resources: StreamResources
  readonly #drainWaiters: DrainWaiters
  readonly #checks: RowChecks
  readonly #keys: readonly number[]
  readonly #chain: BatchChain
  readonly #queue: KeyQueue
  readonly #snapshot: SnapshotReader
  #generation = 0
  #snapshotTurn = false
  /** Read but not packed yet. */
  #rest: BatchDraft | undefined
  /** Batches packed and not recorded yet. */
  #unrecorded = 0

  constructor(deps: OutboundDeps, capture: Capture, record: StreamRecord, status: StreamStatus, resources: StreamResources) {
    const { source } = record
    this.#deps = deps
    this.#capture = capture
    this.#record = record
    this.#status = status
    this.#resources = resources
    this.#drainWaiters = deps.drainWaiters.of(source.resource)
    this.#checks = new RowChecks(source)
    this.#keys = keyIndexes(source)
    this.#chain = new BatchChain(deps, source)
    this.#queue = new KeyQueue(capture, source, this.#drainWaiters)
    this.#snapshot = new SnapshotReader(capture, source, resources, this.#checks)
  }

  /** The place that the next batch follows; null where a new epoch begins. */
  get tip(): ChainPosition | null {
    return this.#chain.tip
  }

  follow(position: ChainPosition | null): void {
    this.#chain.follow(position)
  }

  beginEpoch(known: number): void {
    this.#chain.beginEpoch(known)
  }

  /** Everything read ahead is thrown away. */
  forget(): void {
    this.#generation++
    this.#rest = undefined
    this.#queue.forget()
    this.#unrecorded = 0
    this.#resources.sent.readAgain()
    this.#snapshot.stop()
  }

  discarded({ generation }: PackedBatch): boolean {
    return generation !== this.#generation
  }

  /** Goes on with the snapshot that is written down, from the first row where one is needed. */
  resumeSnapshot(): void {
    if (this.#rest?.snapshot) this.#resources.sent.drop(this.#takeRest()!)
    this.#snapshot.resume(this.#record.snapshot)
  }

  snapshotBeginsAfter(place: Position | null): boolean {
    return this.#snapshot.beginsAfter(place)
  }

  /** The queue was emptied: a snapshot brings what was in it. */
  queueEmptied(): void {
    this.#queue.forget()
    this.#resources.guard.queueEmptied()
    this.resumeSnapshot()
  }

  /**
   * A gap in coverage ends in a snapshot. Also looked at after a read that found rows gone: where another table has taken the name meanwhile,
   * its triggers are missing, and nothing is deleted. True where there was a gap.
   */
  async lookAtTriggers(): Promise<boolean> {
    const coverage = await this.#record.lookAtTriggers()
    if (coverage === 'changed') this.#status.log('the triggers or the table changed: a snapshot is taken')
    if (coverage !== 'same') this.resumeSnapshot()
    return coverage !== 'same'
  }

  /** To be called when the queue was seen empty: notes whether nothing travels either. */
  async noteEmptyQueue(): Promise<void> {
    if (!this.#queue.isQuiet || this.#rest || this.#unrecorded > 0 || this.#record.snapshot !== null) return
    const { guard, sent } = this.#resources
    guard.caughtUp()
    if (guard.active && sent.needsCount) sent.counted(await this.#capture.count(this.#record.source))
  }

  /** The next packed batch, or undefined where nothing waits. */
  async read(queueHoldsEntries: boolean): Promise<PackedBatch | undefined> {
    await this.#examineGuard()
    for (let turn = 0; turn < maxSilent; turn++) {
      if (this.#unrecorded === 0 && !this.#rest) this.#drainWaiters.stored(await this.#queue.finish(), this.#record.settledPosition)
      const draft = this.#takeRest() ?? (await this.#readDraft(queueHoldsEntries))
      if (!draft) return undefined
      if (draft.snapshot || travels(draft)) return this.#pack(draft)
      this.worked = true
    }
    return undefined
  }

  /** Whether deletes, or a snapshot's end, have waited long enough. */
  async #examineGuard(): Promise<void> {
    const { guard } = this.#resources
    const { source } = this.#record
    const confirmed = this.#deps.operator.confirms.delete(source.resource) && guard.fault !== undefined
    if (confirmed) guard.confirm()
    const caughtUp = async () => !this.#queue.isTaken && !this.#rest && (await this.#capture.backlog(source, 1)).entries === 0
    if (!confirmed && !(await guard.examine(() => this.#capture.count(source), caughtUp))) return
    this.#status.log(confirmed ? 'the deletes are confirmed: they are sent' : 'the rows are there again: what waited goes on')
    this.#queue.letGo()
    this.#status.show()
  }

  #takeRest(): BatchDraft | undefined {
    const rest = this.#rest
    this.#rest = undefined
    return rest
  }

  /** Changes and parts of a snapshot take turns; a new epoch must begin with a snapshot, and does so at any hour. */
  async #readDraft(queueHoldsEntries: boolean): Promise<BatchDraft | undefined> {
    if (this.#chain.tip === null) return this.#readSnapshot()
    const changes = queueHoldsEntries || this.#queue.isTaken
    if (!changes) this.#sawEnd()
    const snapshot = this.#snapshot.mayRead
    const snapshotFirst = snapshot && (this.#snapshotTurn || !changes)
    this.#snapshotTurn = !this.#snapshotTurn
    const first = snapshotFirst ? await this.#readSnapshot() : undefined
    if (first) return first
    return (changes ? await this.#readChanges() : undefined) ?? (snapshot && !snapshotFirst ? this.#readSnapshot() : undefined)
  }

  /** Rows are good as blocks where nobody looks at their values or their keys. */
  get #readsBlocks(): boolean {
    const { guard, rules } = this.#resources
    return !rules.reload && !this.#checks.looks && !guard.fault && !guard.remembersKeys && this.#record.quarantine === 0
  }

  async #readChanges(): Promise<BatchDraft | undefined> {
    const blocks = this.#readsBlocks ? await this.#queue.nextBlocks(this.#chain.rowsAtOnce) : undefined
    if (blocks) {
      if (this.#queue.isAtEnd) this.#resources.guard.sawEnd()
      return draftOfBlocks(blocks, { entries: blocks.entries })
    }
    const keys = await this.#queue.next(this.#chain.rowsAtOnce, () => this.#noteUnseen())
    if (!keys) {
      if (this.#queue.isAtEnd) this.#resources.guard.sawEnd()
      if (this.#queue.isQuiet) await this.noteEmptyQueue()
      return undefined
    }
    const { missing: deletes, ...read } = await this.#look(keys)
    const present = keysOf(read, this.#keys)
    const { rows, faults } = this.#checks.take(read)
    if (deletes.length > 0) await this.lookAtTriggers()
    const draft = await this.#guarded(this.#resources.sent.withoutUnchanged({ rows, faults, deletes, entries: [] }), present)
    const { report } = this.#status
    if (this.#resources.rules.reload) report.unchanged = (report.unchanged ?? 0) + rows.length - draft.rows.length
    const entries = this.#queue.read(travels(draft))
    if (this.#queue.isAtEnd) this.#resources.guard.sawEnd()
    return { ...draft, entries }
  }

  #look(keys: readonly Row[]): Promise<Found> {
    const { source } = this.#record
    return this.#capture.repeatsKeys?.(source) ? readKeys(this.#capture, source, keys) : this.#capture.rowsByKeys(source, keys)
  }

  #sawEnd(): void {
    this.#queue.sawEnd()
    this.#drainWaiters.stored([], this.#record.settledPosition)
  }

  #noteUnseen(): void {
    this.#record.noteSnapshotNeeded()
    this.#status.log('the source says that changes were not written down: a snapshot is taken')
    this.resumeSnapshot()
  }

  /** Where the guard does not let the deletes go yet, their entries stay in the queue. */
  async #guarded(draft: BatchDraft, present: readonly Row[]): Promise<BatchDraft> {
    const { guard, sent } = this.#resources
    const held = guard.fault !== undefined
    const free = new Set(await guard.filter(draft.deletes, present, () => this.#capture.count(this.#record.source)))
    if (free.size === draft.deletes.length) return draft
    sent.drop({ ...draft, rows: [], faults: [], deletes: draft.deletes.filter((key) => !free.has(key)) })
    this.#queue.wait()
    if (held) this.#status.show()
    else this.#status.guarded()
    return { ...draft, deletes: [...free] }
  }

  async #readSnapshot(): Promise<BatchDraft | undefined> {
    if (this.#snapshot.isFirst && this.#resources.pace.inWindow) {
      await this.#queue.drop()
      this.#resources.guard.queueEmptied()
    }
    const draft = await this.#snapshot.read(this.#chain.rowsAtOnce, this.#readsBlocks, (rows) => this.#mayEnd(rows))
    if (!draft?.snapshot?.last || !(await this.lookAtTriggers())) return draft
    this.#resources.sent.drop(draft)
    return undefined
  }

  #mayEnd(rows: number | undefined): boolean {
    const { guard } = this.#resources
    if (guard.allowsEnd(rows)) return true
    this.#status.guarded()
    return false
  }

  #pack(whole: BatchDraft): PackedBatch {
    const { draft, built, rest } = this.#chain.pack(whole, this.#snapshot.began)
    this.#rest = rest
    const { epoch, seq } = built.manifest
    if (draft.snapshot) this.#snapshot.move(draft.snapshot, { epoch, seq })
    this.#unrecorded++
    return { draft, built, generation: this.#generation }
  }

  /** Forgets exactly what the batch held and writes down its position, in one transaction; what was sent is remembered after it. */
  async record(packed: PackedBatch): Promise<void> {
    const { draft, built } = packed
    const { epoch, seq } = built.manifest
    const [from, to] = [this.#record.position, { epoch, seq, hash: built.hash }]
    const snapshot = this.#snapshot.recorded(draft, built.manifest, this.#record.snapshot)
    const sent = this.#record.quarantine > 0 ? [...draft.rows.map((row) => keyOf(row, this.#keys)), ...draft.deletes] : []
    const step = { to, entries: draft.entries, faults: draft.faults, sent, ...(snapshot !== undefined && { snapshot }) }
    await this.#record.write(step)
    this.#resources.sent.record(from, to, draft)
    if (!this.discarded(packed)) {
      this.#resources.sent.drop(draft)
      this.#unrecorded--
    }
    this.#queue.recorded(draft.entries)
    this.#record.noteWritten(step)
    this.#drainWaiters.stored(draft.entries, this.#record.settledPosition)
    if (draft.faults.length > 0 || this.#record.quarantine > 0) await this.#record.countQuarantine()
    if (draft.snapshot?.last) this.#resources.guard.snapshotMoved()
    this.#status.stored(draft, to, this.#checks.checks ? this.#checks.warnedOf(draft.rows) : undefined)
  }
}
