import type { BuiltBatch } from '../../protocol/batch.ts'
import type { SourceReport, StoredAnswer } from '../../protocol/api.ts'
import type { QianzhiError } from '../../protocol/errors.ts'
import { isAfter, samePosition, showPosition, type Position, type ChainPosition } from '../../protocol/position.ts'
import { sha256 } from '../../protocol/signature.ts'
import { Backoff } from '../runtime/backoff.ts'
import { BatchChain } from './batch-chain.ts'
import { missedBatches } from './catch-up.ts'
import { mappingText, type Capture, type Row, type SourceTable, type StreamState } from '../database.ts'
import { RowChecks } from './row-checks.ts'
import type { StreamResources, OutboundDeps } from '../outbound.ts'
import type { DrainWaiters } from './drain-waiters.ts'
import { travels, type BatchDraft } from './packing.ts'
import { keyIndexes, keyOf } from '../row-keys.ts'
import { KeyQueue } from './key-queue.ts'
import { SnapshotReader } from './snapshot.ts'
import { clearFault, setFault } from '../status/board.ts'

/** A packed batch on its way to the hub. */
export interface InFlightBatch {
  stream: OutboundStream
  draft: BatchDraft
  built: BuiltBatch
  /** Which beginning of the stream it belongs to: it is thrown away if the stream began again meanwhile. */
  generation: number
  answer?: Promise<StoredAnswer>
}

/** Reads in one turn that found nothing to be sent. */
const maxSilent = 20
/** Milliseconds between the log's lines on a running snapshot. */
const lineIntervalMs = 60_000
/** Batches of ours at the hub beyond which a new epoch is cheaper than reading their keys back. */
const maxToCatchUp = 2_000

/** Quarantined keys that are queued again at once. */
const maxToReplay = 100_000

/** One watched table's stream while it is being produced. */
export class OutboundStream {
  readonly source: SourceTable
  readonly report: SourceReport
  begun = false
  heldUntil = 0
  /** Set where something was read, though nothing had to be sent. */
  worked = false
  readonly #resources: StreamResources
  readonly #deps: OutboundDeps
  readonly #capture: Capture
  readonly #keys: number[]
  readonly #examined: RowChecks
  readonly #backoff = new Backoff()
  readonly #drainWaiters: DrainWaiters
  #state!: StreamState
  #generation = 0
  readonly #chain: BatchChain
  readonly #snapshot: SnapshotReader
  #snapshotTurn = false
  /** Read but not packed yet. */
  #rest: BatchDraft | undefined
  readonly #queue: KeyQueue
  /** Batches packed and not recorded yet. */
  #unrecorded = 0
  #logged = 0

  constructor(deps: OutboundDeps, capture: Capture, source: SourceTable, kept: StreamResources) {
    this.#resources = kept
    this.#deps = deps
    this.#capture = capture
    this.source = source
    this.#drainWaiters = deps.drainWaiters.of(source.resource)
    this.#queue = new KeyQueue(capture, source, this.#drainWaiters)
    this.#keys = keyIndexes(source)
    this.#examined = new RowChecks(source)
    this.#chain = new BatchChain(deps, source)
    this.#snapshot = new SnapshotReader(capture, source, kept, this.#examined)
    this.report = deps.board.source(source.resource, deps.database.options.name)
  }

  /** Checks the table and its triggers, and finds the stream's place again at the hub. */
  async begin(signal: AbortSignal): Promise<void> {
    this.#forget()
    await this.#capture.checkTable(this.source)
    this.#state = await this.#capture.state(this.source)
    await this.#look()
    this.#resources.sent.begin(this.#state.position)
    await this.#findPlace(signal)
    this.begun = true
    this.#resumeSnapshot()
    this.report.position = this.#state.position
    this.report.quarantine = this.#state.quarantine
    await this.#count()
    this.#show()
  }

  /**
   * A gap in coverage — trigger dropped, table altered, another schema version — ends in a snapshot. Also looked at after a read that
   * found rows gone: where another table has taken the name meanwhile, its triggers are missing, and nothing is deleted. True where
   * there was a gap.
   */
  async #look(): Promise<boolean> {
    const { schema, columns } = this.source
    const mapping = mappingText(columns)
    const shape = JSON.stringify([schema.version, columns.map(({ item, column }) => [item.id, column]), ...(mapping ? [mapping] : [])])
    const coverage = sha256(`${await this.#capture.triggerFingerprint(this.source)} ${shape}`)
    if (coverage === this.#state.coverage) return false
    if (this.#state.coverage !== '') this.#log('the triggers or the table changed: a snapshot is taken')
    await this.#capture.mark(this.source, { snapshot: 'needed', coverage })
    this.#state = { ...this.#state, coverage, snapshot: 'needed' }
    if (this.begun) this.#resumeSnapshot()
    return true
  }

  async #findPlace(signal: AbortSignal): Promise<void> {
    const { head, epoch } = await this.#deps.hub.head(this.source.resource, signal)
    const { position } = this.#state
    if (head && samePosition(head, position)) return this.#chain.follow(position)
    if (head && position && head.epoch === position.epoch && head.seq > position.seq) {
      if (head.seq - position.seq <= maxToCatchUp && (await this.#catchUp(position, head, signal)))
        return this.#chain.follow(this.#state.position)
    }
    if (head || position) this.#log(`the hub is at ${showPosition(head)}, this database at ${showPosition(position)}: a new epoch begins`)
    this.#beginEpoch(Math.max(epoch, head?.epoch ?? 0))
  }

  #beginEpoch(known: number): void {
    this.#chain.beginEpoch(Math.max(known, this.#state.position?.epoch ?? 0))
    this.#state = { ...this.#state, snapshot: 'needed' }
  }

  /** The keys of what the hub has and this database does not know of go into the queue again, so that the rows they hold now are sent once more. */
  async #catchUp(from: ChainPosition, head: ChainPosition, signal: AbortSignal): Promise<boolean> {
    for await (const { keys, at, snapshot } of missedBatches(this.#deps, this.source, { from, head }, signal)) {
      await this.#capture.requeue(this.source, keys, at)
      if (snapshot) this.#resources.sent.forgetAll()
      this.#resources.sent.forget(keys, at)
      this.#state = { ...this.#state, position: at }
      this.#log(`the hub is ahead: ${keys.length} keys queued again up to ${showPosition(at)}`)
    }
    return samePosition(this.#state.position, head)
  }

  #resumeSnapshot(): void {
    if (this.#rest?.snapshot) this.#resources.sent.drop(this.#takeRest()!)
    this.#snapshot.resume(this.#state.snapshot)
  }

  /** The hub wants a snapshot that begins after a place: once is enough. */
  async satisfySnapshotRequest(after: Position | null | undefined): Promise<void> {
    if (after && this.#chain.tip && isAfter(after, this.#chain.tip)) return this.#overtake(after)
    if (after === undefined || this.#state.snapshot === 'needed' || this.#snapshot.beginsAfter(after)) return
    this.#log('the hub asks for a snapshot')
    await this.resync()
  }

  /** A receiver has batches that hub and source were both put back behind: only a later epoch can follow what it has. */
  async #overtake(after: Position): Promise<void> {
    this.#log(`a receiver is at ${showPosition(after)}, ahead of hub and this database: a new epoch begins`)
    this.#forget()
    this.#beginEpoch(after.epoch)
    await this.resync()
  }

  /** Restarts the snapshot from the first row. */
  async resync(): Promise<void> {
    await this.#capture.mark(this.source, { snapshot: 'needed' })
    this.#state = { ...this.#state, snapshot: 'needed' }
    this.#resumeSnapshot()
  }

  /** Puts the quarantined keys into the queue again: the rows that they have now are sent, or say why not. */
  async replay(): Promise<void> {
    const keys = (await this.#deps.database.quarantine(this.source.resource, maxToReplay)).filter(({ end }) => end === 'source')
    this.#log(`${keys.length} quarantined keys are tried again`)
    await this.resend(keys.map(({ key }) => key))
  }

  /** Keys of which somebody said that their rows shall be sent again. */
  async resendRequested(): Promise<void> {
    const keys = this.#drainWaiters.takeResends()
    if (keys.length > 0) await this.resend(keys)
  }

  /** Puts keys into the queue as if their rows had changed, also where those are what was sent last. Between two reads only. */
  async resend(keys: readonly Row[]): Promise<void> {
    const { position } = this.#state
    // Without a position a snapshot comes, which meets every row.
    if (!position) return
    this.#resources.sent.forget(keys)
    await this.#capture.requeue(this.source, keys, position)
    this.#log(`${keys.length} keys are sent again`)
  }

  async inspect(): Promise<void> {
    await this.#look()
    await this.#count()
    this.#show()
  }

  async #count(): Promise<void> {
    const { entries, bytes, oldest } = await this.#capture.backlog(this.source, 10_000)
    this.report.waiting = entries
    if (oldest) this.report.oldest = oldest.toISOString()
    else delete this.report.oldest
    if (entries === 0) await this.#caughtUp()
    if (bytes <= this.source.queueLimit || !(await this.#capture.collapse(this.source))) return
    this.#log('the queue passed its limit: it is emptied and a snapshot taken')
    this.#state = { ...this.#state, snapshot: 'needed' }
    this.#queue.forget()
    this.#resources.guard.queueEmptied()
    this.#resumeSnapshot()
  }

  /** Nothing is queued and nothing travels. */
  async #caughtUp(): Promise<void> {
    if (!this.#queue.isQuiet || this.#rest || this.#unrecorded > 0 || this.#state.snapshot !== null) return
    const { guard, sent } = this.#resources
    guard.level()
    if (guard.active && sent.wantsCount) sent.counted(await this.#capture.count(this.source))
  }

  /** The next packed batch, or undefined where nothing waits. */
  async read(queueHoldsEntries: boolean): Promise<InFlightBatch | undefined> {
    await this.#examine()
    for (let turn = 0; turn < maxSilent; turn++) {
      if (this.#unrecorded === 0 && !this.#rest) this.#drainWaiters.stored(await this.#queue.finish(), this.#settledPosition)
      const draft = this.#takeRest() ?? (await this.#readDraft(queueHoldsEntries))
      if (!draft) return undefined
      if (draft.snapshot || travels(draft)) return this.#pack(draft)
      this.worked = true
    }
    return undefined
  }

  /** Whether deletes, or a snapshot's end, have waited long enough. */
  async #examine(): Promise<void> {
    const { guard } = this.#resources
    const confirmed = this.#deps.operator.confirms.delete(this.source.resource) && guard.fault !== undefined
    if (confirmed) guard.confirm()
    const level = async () => !this.#queue.isTaken && !this.#rest && (await this.#capture.backlog(this.source, 1)).entries === 0
    if (!confirmed && !(await guard.examine(() => this.#capture.count(this.source), level))) return
    this.#log(confirmed ? 'the deletes are confirmed: they are sent' : 'the rows are there again: what waited goes on')
    this.#queue.letGo()
    this.#show()
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

  async #readChanges(): Promise<BatchDraft | undefined> {
    const keys = await this.#queue.next(this.#chain.rowsAtOnce, () => this.#noteUnseen())
    if (!keys) {
      if (this.#queue.isQuiet) await this.#caughtUp()
      return undefined
    }
    const { missing: deletes, ...read } = await this.#capture.rowsByKeys(this.source, keys)
    const { rows, faults } = this.#examined.take(read)
    if (deletes.length > 0) await this.#look()
    const draft = await this.#guarded(this.#resources.sent.withoutUnchanged({ rows, faults, deletes, entries: [] }))
    if (this.#resources.rules.reload) this.report.unchanged = (this.report.unchanged ?? 0) + rows.length - draft.rows.length
    return { ...draft, entries: this.#queue.read(travels(draft)) }
  }

  #sawEnd(): void {
    this.#queue.sawEnd()
    this.#drainWaiters.stored([], this.#settledPosition)
  }

  /** Null while a snapshot is due or on its way: it brings rows that are in no queue. */
  get #settledPosition(): ChainPosition | null {
    return this.#state.snapshot === null ? this.#state.position : null
  }

  #noteUnseen(): void {
    this.#state = { ...this.#state, snapshot: 'needed' }
    this.#log('the source says that changes were not written down: a snapshot is taken')
    this.#resumeSnapshot()
  }

  /** Where the guard does not let the deletes go yet, their entries stay in the queue. */
  async #guarded(draft: BatchDraft): Promise<BatchDraft> {
    const { guard, sent } = this.#resources
    const held = guard.fault !== undefined
    if (await guard.allows(draft.deletes.length, () => this.#capture.count(this.source))) return draft
    sent.drop({ ...draft, rows: [], faults: [] })
    this.#queue.wait()
    if (!held) this.#deps.logger.warn({ code: guard.fault!.code, resource: this.source.resource }, guard.fault!.message)
    this.#show()
    return { ...draft, deletes: [] }
  }

  async #readSnapshot(): Promise<BatchDraft | undefined> {
    if (this.#snapshot.isFirst && this.#resources.pace.inWindow) {
      await this.#queue.drop()
      this.#resources.guard.queueEmptied()
    }
    const draft = await this.#snapshot.read(this.#chain.rowsAtOnce, (rows) => this.#mayEnd(rows))
    if (!draft?.snapshot?.last || !(await this.#look())) return draft
    this.#resources.sent.drop(draft)
    return undefined
  }

  #mayEnd(rows: number | undefined): boolean {
    const { guard } = this.#resources
    if (guard.allowsEnd(rows)) return true
    this.#deps.logger.warn({ code: guard.fault!.code, resource: this.source.resource }, guard.fault!.message)
    this.#show()
    return false
  }

  #pack(whole: BatchDraft): InFlightBatch {
    const { draft, built, rest } = this.#chain.pack(whole, this.#snapshot.began)
    this.#rest = rest
    const { epoch, seq } = built.manifest
    if (draft.snapshot) this.#snapshot.move(draft.snapshot, { epoch, seq })
    this.#unrecorded++
    return { stream: this, draft, built, generation: this.#generation }
  }

  discarded(flight: InFlightBatch): boolean {
    return flight.generation !== this.#generation
  }

  /** Forgets exactly what the batch held and writes down its position, in one transaction; what was sent is remembered after it. */
  async record(capture: Capture, flight: InFlightBatch): Promise<void> {
    const { draft, built } = flight
    const { epoch, seq } = built.manifest
    const [from, to] = [this.#state.position, { epoch, seq, hash: built.hash }]
    const snapshot = this.#snapshot.recorded(draft, built.manifest, this.#state.snapshot)
    const sent = this.#state.quarantine > 0 ? [...draft.rows.map((row) => keyOf(row, this.#keys)), ...draft.deletes] : []
    const step = { from, to, entries: draft.entries, faults: draft.faults, sent }
    await capture.record(this.source, snapshot === undefined ? step : { ...step, snapshot })
    this.#resources.sent.record(from, to, draft)
    if (!this.discarded(flight)) {
      this.#resources.sent.drop(draft)
      this.#unrecorded--
    }
    this.#queue.recorded(draft.entries)
    this.#state = { ...this.#state, position: to, snapshot: snapshot === undefined ? this.#state.snapshot : snapshot }
    this.#drainWaiters.stored(draft.entries, this.#settledPosition)
    if (draft.faults.length > 0 || this.#state.quarantine > 0) this.#state.quarantine = (await capture.state(this.source)).quarantine
    this.#tell(draft, to)
  }

  #tell(draft: BatchDraft, position: ChainPosition): void {
    this.#backoff.reset()
    this.report.position = position
    this.report.rows += draft.rows.length + draft.deletes.length
    if (this.#examined.checks) this.report.warned = (this.report.warned ?? 0) + this.#examined.warnedOf(draft.rows)
    this.report.lastPush = this.#deps.hub.now().toISOString()
    this.report.quarantine = this.#state.quarantine
    if (draft.snapshot?.last) {
      this.#resources.guard.snapshotMoved()
      this.#log(`snapshot complete at ${showPosition(position)}`)
    } else if (draft.snapshot && performance.now() - this.#logged > lineIntervalMs) {
      this.#logged = performance.now()
      this.#deps.logger.info({ resource: this.source.resource, ...this.#resources.pace.progress() }, 'snapshot running')
    }
    this.#show()
  }

  /** State, fault and progress in the report; those of a stream that is stopped say why it is. */
  #show(): void {
    if (!this.begun) return
    const { guard, pace } = this.#resources
    if (this.#state.snapshot) this.report.snapshot = pace.progress()
    else delete this.report.snapshot
    if (guard.fault) return setFault(this.report, guard.fault, this.#deps.hub.now())
    clearFault(this.report)
    this.report.state = this.#state.snapshot ? 'loading' : 'flowing'
  }

  /** Nothing is read or sent any more until the stream begins again; triggers go on queueing. */
  pause(): void {
    if (this.report.state === 'paused') return
    this.begun = false
    this.heldUntil = 0
    this.#forget()
    clearFault(this.report)
    this.report.state = 'paused'
    this.#log('paused')
  }

  /** The hub or the table refused: everything read ahead is thrown away, and the stream begins again after a while. */
  refused(error: QianzhiError): void {
    if (this.report.fault?.code !== error.code) {
      this.#deps.logger.warn({ code: error.code, resource: this.source.resource, err: error }, error.message)
    }
    setFault(this.report, error, this.#deps.hub.now())
    this.begun = false
    this.#forget()
    this.heldUntil = Date.now() + this.#backoff.next()
  }

  #forget(): void {
    this.#generation++
    this.#rest = undefined
    this.#queue.forget()
    this.#unrecorded = 0
    this.#resources.sent.readAgain()
    this.#snapshot.stop()
  }

  #log(message: string): void {
    this.#deps.logger.info({ resource: this.source.resource }, message)
  }
}
