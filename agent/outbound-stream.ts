import { openBatch, blockValues, splitBatch, type BuiltBatch, type ManifestHeader } from '../protocol/batch.ts'
import type { SourceReport, StoredAnswer } from '../protocol/api.ts'
import type { QianzhiError } from '../protocol/errors.ts'
import { isAfter, nextEpoch, samePosition, showPlace, type Place, type Position } from '../protocol/position.ts'
import { keyItems } from '../protocol/schema.ts'
import { sha256 } from '../protocol/signature.ts'
import { Backoff } from './backoff.ts'
import { checkerOf } from './checks.ts'
import type { Capture, Row, Rows, SourceTable, StreamState } from './database.ts'
import type { OutboundContext } from './outbound.ts'
import type { Passage } from './passages.ts'
import { keyIndexes, keyOf, keyText, packPiece, type Piece } from './packing.ts'
import { clearFault, setFault } from './status.ts'

/** A packed batch on its way to the hub. */
export interface Flight {
  stream: OutboundStream
  piece: Piece
  built: BuiltBatch
  /** Which beginning of the stream it belongs to: it is thrown away if the stream began again meanwhile. */
  generation: number
  answer?: Promise<StoredAnswer>
}

const leastRows = 50
const mostRows = 10_000
/** Takes of 10,000 keys after which what is still queued is sent like any change: an end is needed where writers never rest. */
const mostToDrop = 200
/** Batches of ours at the hub beyond which a new epoch is cheaper than reading their keys back. */
const mostToCatchUp = 2_000

/** One watched table's stream while it is being produced. */
export class OutboundStream {
  readonly source: SourceTable
  readonly report: SourceReport
  begun = false
  heldUntil = 0
  readonly #context: OutboundContext
  readonly #capture: Capture
  readonly #keys: number[]
  readonly #checker: ReturnType<typeof checkerOf>
  /** Rows read that a check warned of: counted when the hub has them. */
  readonly #warned = new WeakSet<Row>()
  readonly #backoff = new Backoff()
  readonly #passage: Passage
  #state!: StreamState
  #generation = 0
  /** The place that the next batch follows: the recorded one, or that of the batch on its way. Null: a new epoch begins. */
  #tip: Position | null = null
  #epoch = 0
  /** Where the running snapshot began and how far it has been read (not: receipted). */
  #snapshot: { began: Place | null; after: Row | null } | null = null
  #snapshotTurn = false
  #lastBegan: Place | null = null
  /** Read but not packed yet. */
  #rest: Piece | undefined
  /** Taken but not read yet. */
  #taken: { keys: Row[]; entries: string[] } | undefined
  readonly #entriesOut = new Set<string>()
  #rowsAtOnce = 1_000

  constructor(context: OutboundContext, capture: Capture, source: SourceTable) {
    this.#context = context
    this.#capture = capture
    this.source = source
    this.#keys = keyIndexes(source)
    this.#checker = checkerOf(source)
    this.#passage = context.passages.of(source.resource)
    this.report = context.board.source(source.resource, context.database.options.name)
  }

  /** Checks the table and its triggers, and finds the stream's place again at the hub. */
  async begin(signal: AbortSignal): Promise<void> {
    this.#forget()
    await this.#capture.checkTable(this.source)
    this.#state = await this.#capture.state(this.source)
    await this.#look()
    await this.#findPlace(signal)
    this.begun = true
    this.#resumeSnapshot()
    clearFault(this.report)
    this.report.position = this.#state.position
    this.report.quarantine = this.#state.quarantine
    this.report.state = this.#state.snapshot ? 'loading' : 'flowing'
    await this.#count()
  }

  /** A gap in coverage — trigger dropped, table altered, another schema version — ends in a snapshot. */
  async #look(): Promise<void> {
    const { schema, columns } = this.source
    const shape = JSON.stringify([schema.version, columns.map(({ item, column }) => [item.id, column])])
    const coverage = sha256(`${await this.#capture.coverage(this.source)} ${shape}`)
    if (coverage === this.#state.coverage) return
    if (this.#state.coverage !== '') this.#log('the triggers or the table changed: a snapshot is taken')
    await this.#capture.mark(this.source, { snapshot: 'needed', coverage })
    this.#state = { ...this.#state, coverage, snapshot: 'needed' }
    if (this.begun) this.#resumeSnapshot()
  }

  async #findPlace(signal: AbortSignal): Promise<void> {
    const { head, epoch } = await this.#context.hub.head(this.source.resource, signal)
    const { position } = this.#state
    if (head && samePosition(head, position)) return this.#follow(position)
    if (head && position && head.epoch === position.epoch && head.seq > position.seq) {
      if (head.seq - position.seq <= mostToCatchUp && (await this.#catchUp(position, head, signal)))
        return this.#follow(this.#state.position)
    }
    if (head || position) this.#log(`the hub is at ${showPlace(head)}, this database at ${showPlace(position)}: a new epoch begins`)
    this.#beginEpoch(Math.max(epoch, head?.epoch ?? 0))
  }

  #beginEpoch(known: number): void {
    this.#epoch = nextEpoch(Math.max(known, this.#state.position?.epoch ?? 0), this.#context.hub.now())
    this.#tip = null
    this.#state = { ...this.#state, snapshot: 'needed' }
  }

  #follow(position: Position | null): void {
    this.#tip = position
    this.#epoch = position?.epoch ?? 0
  }

  /**
   * The hub is ahead on our own verified chain: we crashed before writing a receipt down, or this database was restored. The keys of
   * those batches go into the queue again, so that the rows they hold now are sent once more.
   */
  async #catchUp(from: Position, head: Position, signal: AbortSignal): Promise<boolean> {
    let at = from
    while (!samePosition(at, head)) {
      const batches = await this.#context.hub.own(this.source.resource, at, signal)
      if (batches.length === 0) return false
      const keys: Row[] = []
      for (const bytes of batches) {
        const batch = openBatch(splitBatch(bytes), (id) => (id === this.#context.key.id ? this.#context.key.publicKey : undefined))
        const { epoch, seq, prev } = batch.manifest
        if (epoch !== at.epoch || seq !== at.seq + 1 || prev !== at.hash) return false
        const columns = keyItems(this.source.schema).map((item) => blockValues(batch, item.id))
        for (let row = 0; row < batch.manifest.rows; row++) keys.push(columns.map((column) => column[row]!))
        at = { epoch, seq, hash: batch.hash }
        if (samePosition(at, head)) break
      }
      await this.#capture.requeue(this.source, keys, at)
      this.#state = { ...this.#state, position: at }
      this.#log(`the hub is ahead: ${keys.length} keys queued again up to ${showPlace(at)}`)
    }
    return true
  }

  #resumeSnapshot(): void {
    const { snapshot } = this.#state
    if (snapshot === null) this.#snapshot = null
    else this.#snapshot = snapshot === 'needed' ? { began: null, after: null } : { began: snapshot.began, after: snapshot.after }
    if (snapshot !== null && snapshot !== 'needed') this.#lastBegan = snapshot.began
    if (this.#rest?.snapshot) this.#rest = undefined
  }

  /** The hub wants a snapshot that begins after a place: once is enough. */
  async honour(after: Place | null | undefined): Promise<void> {
    if (after && this.#tip && isAfter(after, this.#tip)) return this.#overtake(after)
    if (after === undefined || this.#state.snapshot === 'needed' || (this.#snapshot && !this.#snapshot.began)) return
    if (this.#lastBegan && isAfter(this.#lastBegan, after)) return
    this.#log('the hub asks for a snapshot')
    await this.resync()
  }

  /** A receiver has batches that hub and source were both put back behind: only a later epoch can follow what it has. */
  async #overtake(after: Place): Promise<void> {
    this.#log(`a receiver is at ${showPlace(after)}, ahead of hub and this database: a new epoch begins`)
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

  /** Keys of which somebody said that their rows shall be sent again. A snapshot that is due sends them anyway. */
  async resendWanted(): Promise<void> {
    const { position, snapshot } = this.#state
    if (snapshot !== null || !position) return
    const keys = this.#passage.takeResends()
    if (keys.length > 0) await this.resend(keys, position)
  }

  /** Puts keys into the queue as if their rows had changed. */
  async resend(keys: readonly Row[], position: Position): Promise<void> {
    await this.#capture.requeue(this.source, keys, position)
    this.#log(`${keys.length} keys are sent again`)
  }

  async inspect(): Promise<void> {
    await this.#look()
    await this.#count()
  }

  async #count(): Promise<void> {
    const { entries, bytes, oldest } = await this.#capture.backlog(this.source, 10_000)
    this.report.waiting = entries
    if (oldest) this.report.oldest = oldest.toISOString()
    else delete this.report.oldest
    if (bytes <= this.source.queueLimit || !(await this.#capture.collapse(this.source))) return
    this.#log('the queue passed its limit: it is emptied and a snapshot taken')
    this.#state = { ...this.#state, snapshot: 'needed' }
    this.#taken = undefined
    this.#resumeSnapshot()
  }

  /** The next packed batch, or undefined where nothing waits. */
  async read(queueHoldsEntries: boolean): Promise<Flight | undefined> {
    const piece = this.#takeRest() ?? (await this.#readPiece(queueHoldsEntries))
    return piece && this.#pack(piece)
  }

  #takeRest(): Piece | undefined {
    const rest = this.#rest
    this.#rest = undefined
    return rest
  }

  /** Changes and parts of a snapshot take turns; a new epoch must begin with a snapshot. */
  async #readPiece(queueHoldsEntries: boolean): Promise<Piece | undefined> {
    const changes = queueHoldsEntries || this.#taken !== undefined
    if (!changes) this.#sawEnd()
    const snapshotFirst = this.#snapshot && (this.#tip === null || this.#snapshotTurn || !changes)
    this.#snapshotTurn = !this.#snapshotTurn
    if (snapshotFirst) return this.#readSnapshot()
    return (changes ? await this.#readChanges() : undefined) ?? (this.#snapshot ? this.#readSnapshot() : undefined)
  }

  async #readChanges(): Promise<Piece | undefined> {
    this.#taken ??= await this.#take()
    if (!this.#taken) return undefined
    const keys = this.#taken.keys.splice(0, this.#rowsAtOnce)
    const entries = this.#taken.keys.length === 0 ? this.#taken.entries : []
    if (this.#taken.keys.length === 0) this.#taken = undefined
    const { rows, faults } = this.#check(await this.#capture.rowsByKeys(this.source, keys))
    return {
      rows,
      faults,
      deletes: missingKeys(keys, [...rows.map((row) => keyOf(row, this.#keys)), ...faults.map((fault) => fault.key)]),
      entries,
    }
  }

  /** Identifiers are checked where the rows are: a row that may not go becomes one that cannot be sent. */
  #check(read: Rows): Rows {
    if (!this.#checker) return read
    const { rows, faults, warned } = this.#checker(read)
    for (const row of warned) this.#warned.add(row)
    return { rows, faults }
  }

  async #take(): Promise<{ keys: Row[]; entries: string[] } | undefined> {
    const take = await this.#capture.take(this.source, this.#rowsAtOnce, this.#entriesOut)
    if (take.marked) {
      await this.#capture.mark(this.source, { snapshot: 'needed', entries: take.entries })
      this.#state = { ...this.#state, snapshot: 'needed' }
      this.#log('the source says that changes were not written down: a snapshot is taken')
      this.#resumeSnapshot()
      return undefined
    }
    for (const entry of take.entries) this.#entriesOut.add(entry)
    if (Math.max(take.keys.length, take.entries.length) < this.#rowsAtOnce) this.#sawEnd()
    if (take.entries.length === 0) return undefined
    return { keys: take.keys, entries: take.entries }
  }

  #sawEnd(): void {
    this.#passage.sawEnd(this.#entriesOut)
    this.#passage.stored([], this.#settledPosition)
  }

  /** Null while a snapshot is due or on its way: it brings rows that are in no queue. */
  get #settledPosition(): Position | null {
    return this.#state.snapshot === null ? this.#state.position : null
  }

  /** What was queued before the snapshot's first read need not travel on its own: the snapshot reads those rows after it. */
  async #dropQueued(): Promise<void> {
    for (const entry of this.#taken?.entries ?? []) this.#entriesOut.delete(entry)
    this.#taken = undefined
    this.#passage.forgot()
    for (let turn = 0; turn < mostToDrop; turn++) {
      const { entries, keys } = await this.#capture.take(this.source, mostRows, this.#entriesOut)
      if (entries.length > 0) await this.#capture.mark(this.source, { snapshot: 'needed', entries })
      if (keys.length < mostRows) return
    }
  }

  async #readSnapshot(): Promise<Piece> {
    const snapshot = this.#snapshot!
    if (snapshot.began === null) await this.#dropQueued()
    const { last, ...read } = await this.#capture.rowsAfter(this.source, snapshot.after, this.#rowsAtOnce)
    const { rows, faults } = this.#check(read)
    const ended = rows.length + faults.length < this.#rowsAtOnce
    return { rows, faults, deletes: [], entries: [], snapshot: { first: snapshot.began === null, last: ended, after: last } }
  }

  #pack(whole: Piece): Flight {
    const { piece, built, rest } = packPiece(this.source, whole, (part) => this.#header(part), {
      key: this.#context.key,
      limit: this.#context.batchBytes,
    })
    this.#adapt(piece, built.bytes.length, rest !== undefined)
    this.#rest = rest
    const { epoch, seq } = built.manifest
    if (piece.snapshot) this.#moveSnapshot(piece.snapshot, { epoch, seq })
    this.#tip = { epoch, seq, hash: built.hash }
    return { stream: this, piece, built, generation: this.#generation }
  }

  #moveSnapshot({ first, last, after }: NonNullable<Piece['snapshot']>, place: Place): void {
    if (first) this.#lastBegan = place
    const began = first ? place : this.#snapshot!.began
    this.#snapshot = last ? null : { began, after: after ?? this.#snapshot!.after }
  }

  #header(piece: Piece): ManifestHeader {
    const place = this.#tip ? { epoch: this.#tip.epoch, seq: this.#tip.seq + 1 } : { epoch: this.#epoch, seq: 1 }
    const { schema, resource } = this.source
    const header: ManifestHeader = {
      resource,
      schema: schema.version,
      producer: this.#context.agent,
      ...place,
      prev: this.#tip?.hash ?? null,
      kind: piece.snapshot ? 'snapshot' : 'changes',
      time: this.#context.hub.now().toISOString(),
    }
    if (!piece.snapshot) return header
    return { ...header, snapshot: { began: piece.snapshot.first ? place.seq : this.#snapshot!.began!.seq, last: piece.snapshot.last } }
  }

  /** Keeps batches near the size limit without reading rows that do not fit. */
  #adapt(piece: Piece, bytes: number, split: boolean): void {
    const limit = this.#context.batchBytes
    if (split || bytes > limit * 0.9) this.#rowsAtOnce = Math.max(leastRows, Math.floor(this.#rowsAtOnce / 2))
    else if (piece.rows.length >= this.#rowsAtOnce * 0.9 && bytes < limit * 0.4) this.#rowsAtOnce = Math.min(mostRows, this.#rowsAtOnce * 2)
  }

  discarded(flight: Flight): boolean {
    return flight.generation !== this.#generation
  }

  /** Forgets exactly what the batch held and writes down its position, in one transaction. */
  async record(capture: Capture, { piece, built }: Flight): Promise<void> {
    const { epoch, seq } = built.manifest
    const to = { epoch, seq, hash: built.hash }
    const snapshot = this.#recordedSnapshot(piece, built)
    const sent = this.#state.quarantine > 0 ? [...piece.rows.map((row) => keyOf(row, this.#keys)), ...piece.deletes] : []
    const step = { from: this.#state.position, to, entries: piece.entries, faults: piece.faults, sent }
    await capture.record(this.source, snapshot === undefined ? step : { ...step, snapshot })
    for (const entry of piece.entries) this.#entriesOut.delete(entry)
    this.#state = { ...this.#state, position: to, snapshot: snapshot === undefined ? this.#state.snapshot : snapshot }
    this.#passage.stored(piece.entries, this.#settledPosition)
    if (piece.faults.length > 0 || this.#state.quarantine > 0) this.#state.quarantine = (await capture.state(this.source)).quarantine
    this.#tell(piece, to)
  }

  /** Undefined where the piece moved no snapshot, or one that was given up meanwhile for a new one. */
  #recordedSnapshot(piece: Piece, built: BuiltBatch): StreamState['snapshot'] | undefined {
    if (!piece.snapshot || (this.#state.snapshot === 'needed' && !piece.snapshot.first)) return undefined
    if (this.#snapshot && this.#snapshot.began === null) return undefined
    if (piece.snapshot.last) return null
    return { began: { epoch: built.manifest.epoch, seq: built.manifest.snapshot!.began }, after: piece.snapshot.after }
  }

  #tell(piece: Piece, position: Position): void {
    this.#backoff.reset()
    clearFault(this.report)
    this.report.position = position
    this.report.rows += piece.rows.length + piece.deletes.length
    if (this.#checker) this.report.warned = (this.report.warned ?? 0) + piece.rows.filter((row) => this.#warned.has(row)).length
    this.report.lastPush = this.#context.hub.now().toISOString()
    this.report.quarantine = this.#state.quarantine
    this.report.state = this.#state.snapshot ? 'loading' : 'flowing'
    if (piece.snapshot?.last) this.#log(`snapshot complete at ${showPlace(position)}`)
  }

  /** The hub or the table refused: everything read ahead is thrown away, and the stream begins again after a while. */
  refused(error: QianzhiError): void {
    if (this.report.fault?.code !== error.code) {
      this.#context.logger.warn({ code: error.code, resource: this.source.resource, err: error }, error.message)
    }
    setFault(this.report, error, this.#context.hub.now())
    this.begun = false
    this.#forget()
    this.heldUntil = Date.now() + this.#backoff.next()
  }

  #forget(): void {
    this.#generation++
    this.#rest = undefined
    this.#taken = undefined
    this.#entriesOut.clear()
    this.#passage.forgot()
    this.#snapshot = null
  }

  #log(message: string): void {
    this.#context.logger.info({ resource: this.source.resource }, message)
  }
}

/** Queued keys for which no row was found, compared as portable text byte by byte. */
function missingKeys(keys: readonly Row[], found: readonly Row[]): Row[] {
  const texts = new Set(found.map(keyText))
  return texts.size === keys.length && keys.length === found.length ? [] : keys.filter((key) => !texts.has(keyText(key)))
}
