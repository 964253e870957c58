import type { SourceReport, StoredAnswer } from '../../protocol/api.ts'
import type { QianzhiError } from '../../protocol/errors.ts'
import { isAfter, samePosition, showPosition, type ChainPosition, type Position } from '../../protocol/position.ts'
import { Backoff } from '../runtime/backoff.ts'
import type { Capture, Row, SourceTable } from '../database.ts'
import { missedBatches } from './catch-up.ts'
import type { OutboundDeps, StreamResources } from './context.ts'
import { StreamReader, type PackedBatch } from './reader.ts'
import { StreamRecord } from './stream-record.ts'
import { StreamStatus } from './stream-status.ts'

/** A packed batch on its way to the hub. */
export interface InFlightBatch extends PackedBatch {
  stream: OutboundStream
  answer?: Promise<StoredAnswer>
}

/** Entries of a queue up to which they are counted for the status. */
const countedUpTo = 10_000
/** Batches of ours at the hub beyond which a new epoch is cheaper than reading their keys back. */
const maxToCatchUp = 2_000
/** Quarantined keys that are queued again at once. */
const maxToReplay = 100_000

/**
 * One watched table's stream while it is being produced: its place at the hub, and its beginnings and ends. What it sends is read by its reader.
 *
 * A stream is a chain of batches, each naming the one before it by its hash. Both the hub and the source database write down where it stands;
 * either may be put back to an older backup, so at every beginning the two are compared:
 *
 *     hub 7/41 = source 7/41             go on with 7/42
 *     hub 7/44 > source 7/41             the hub has batches of ours that the source does not know of (we crashed, or the source was restored):
 *                                        their keys are queued again, so that the rows that they hold now are sent; then go on with 7/45
 *     hub 7/38 < source 7/41             the hub was restored: 39 to 41 cannot be said again, and receivers may have them
 *     hub 7/41' ≠ source 7/41            the chain forked
 *     hub 7/41 made by another agent     this one took its place, on the same database as a rule
 *                                   ──▶  epoch 8 begins: 8/1 is the first part of a whole snapshot, and later than all that ever was
 *
 * Receivers take 8/1 after any place of epoch 7, whatever they have applied of it: a new epoch is always right, only never cheap.
 */
export class OutboundStream {
  readonly source: SourceTable
  begun = false
  heldUntil = 0
  readonly #deps: OutboundDeps
  readonly #capture: Capture
  readonly #resources: StreamResources
  readonly #record: StreamRecord
  readonly #status: StreamStatus
  readonly #reader: StreamReader
  readonly #backoff = new Backoff()

  constructor(deps: OutboundDeps, capture: Capture, source: SourceTable, resources: StreamResources) {
    this.source = source
    this.#deps = deps
    this.#capture = capture
    this.#resources = resources
    this.#record = new StreamRecord(capture, source)
    this.#status = new StreamStatus(deps, this.#record, resources)
    this.#reader = new StreamReader(deps, capture, this.#record, this.#status, resources)
  }

  get report(): SourceReport {
    return this.#status.report
  }

  /** Checks the table and its triggers, and finds the stream's place again at the hub. */
  async begin(signal: AbortSignal): Promise<void> {
    this.#reader.forget()
    await this.#capture.checkTable(this.source)
    await this.#record.load()
    if ((await this.#record.lookAtTriggers()) === 'changed') this.#status.log('the triggers or the table changed: a snapshot is taken')
    this.#resources.sent.begin(this.#record.position)
    await this.#findPlace(signal)
    this.begun = true
    this.#reader.resumeSnapshot()
    this.#status.began()
    await this.#lookAtQueue()
    this.#status.show()
  }

  async #findPlace(signal: AbortSignal): Promise<void> {
    const { head, epoch, producer, rows } = await this.#deps.hub.head(this.source.resource, signal)
    const { position } = this.#record
    const { sent } = this.#resources
    if (producer !== undefined && producer !== this.#deps.agent) {
      sent.learnAnew(rows)
      this.#status.log(`the stream was made by ${producer} up to ${showPosition(head)}: a new epoch begins`)
      return this.#beginEpoch(epoch)
    }
    // Without a place on either side nobody has any row.
    if (rows !== undefined || (!head && !position)) sent.learn(rows ?? 0)
    if (head && samePosition(head, position)) return this.#reader.follow(position)
    if (head && position && head.epoch === position.epoch && head.seq > position.seq) {
      if (head.seq - position.seq <= maxToCatchUp && (await this.#catchUp(position, head, signal)))
        return this.#reader.follow(this.#record.position)
    }
    if (head || position) {
      const places = `the hub is at ${showPosition(head)}, this database at ${showPosition(position)}`
      this.#status.log(`${places}: a new epoch begins`)
    }
    this.#beginEpoch(Math.max(epoch, head?.epoch ?? 0))
  }

  #beginEpoch(known: number): void {
    this.#reader.beginEpoch(Math.max(known, this.#record.position?.epoch ?? 0))
    this.#record.noteSnapshotNeeded()
  }

  /**
   * The keys of what the hub has and this database does not know of go into the queue again, so that the rows they hold now are sent once more.
   * A snapshot says more than its keys: at its end the receivers removed every row that it did not bring. Where it is not the one that this
   * database knows to be running, those rows may be here (it was restored), so another one is needed.
   */
  async #catchUp(from: ChainPosition, head: ChainPosition, signal: AbortSignal): Promise<boolean> {
    const { sent } = this.#resources
    for await (const { keys, at, snapshots } of missedBatches(this.#deps, this.source, { from, head }, signal)) {
      if ([...snapshots].some((began) => !this.#record.isRunning({ epoch: at.epoch, seq: began }))) {
        await this.#record.needSnapshot()
        sent.forgetAll()
      }
      await this.#record.requeue(keys, at)
      sent.forget(keys, at)
      this.#status.log(`the hub is ahead: ${keys.length} keys queued again up to ${showPosition(at)}`)
    }
    return samePosition(this.#record.position, head)
  }

  /** The hub wants a snapshot that begins after a place: once is enough. */
  async satisfySnapshotRequest(after: Position | null | undefined): Promise<void> {
    if (after && this.#reader.tip && isAfter(after, this.#reader.tip)) return this.#overtake(after)
    if (after === undefined || this.#record.snapshot === 'needed' || this.#reader.snapshotBeginsAfter(after)) return
    this.#status.log('the hub asks for a snapshot')
    await this.resync()
  }

  /** A receiver has batches that hub and source were both put back behind: only a later epoch can follow what it has. */
  async #overtake(after: Position): Promise<void> {
    this.#status.log(`a receiver is at ${showPosition(after)}, ahead of hub and this database: a new epoch begins`)
    this.#reader.forget()
    this.#beginEpoch(after.epoch)
    await this.resync()
  }

  /** Restarts the snapshot from the first row. */
  async resync(): Promise<void> {
    await this.#record.needSnapshot()
    this.#reader.resumeSnapshot()
  }

  /** Puts the quarantined keys into the queue again: the rows that they have now are sent, or say why not. */
  async replay(): Promise<void> {
    const keys = (await this.#deps.database.quarantine(this.source.resource, maxToReplay)).filter(({ end }) => end === 'source')
    this.#status.log(`${keys.length} quarantined keys are tried again`)
    await this.#resend(keys.map(({ key }) => key))
  }

  /** Keys of which somebody said that their rows shall be sent again. */
  async resendRequested(): Promise<void> {
    const waiters = this.#deps.drainWaiters.of(this.source.resource)
    const keys = waiters.takeResends()
    if (keys.length === 0) return
    try {
      await this.#resend(keys)
    } catch (error) {
      waiters.resend(keys)
      throw error
    }
  }

  /** Puts keys into the queue as if their rows had changed, also where those are what was sent last. Between two reads only. */
  async #resend(keys: readonly Row[]): Promise<void> {
    const { position } = this.#record
    // Without a position a snapshot comes, which meets every row.
    if (!position) return
    this.#resources.sent.forget(keys)
    await this.#record.requeue(keys, position)
    this.#status.log(`${keys.length} keys are sent again`)
  }

  /** What waits while it is held, as far as the database tells. */
  async countQueue(): Promise<void> {
    const backlog = await this.#capture.backlog(this.source, countedUpTo).catch(() => undefined)
    if (backlog) this.#status.queued(backlog.entries, backlog.oldest)
  }

  async inspect(): Promise<void> {
    await this.#reader.lookAtTriggers()
    await this.#lookAtQueue()
    this.#status.show()
  }

  async #lookAtQueue(): Promise<void> {
    const { entries, bytes, oldest } = await this.#capture.backlog(this.source, countedUpTo)
    this.#status.queued(entries, oldest)
    if (entries === 0) await this.#reader.noteEmptyQueue()
    if (bytes <= this.source.queueLimit || !(await this.#record.collapse())) return
    this.#status.log('the queue passed its limit: it is emptied and a snapshot taken')
    this.#reader.queueEmptied()
  }

  /** The next packed batch, or undefined where nothing waits. */
  async read(queueHoldsEntries: boolean): Promise<InFlightBatch | undefined> {
    const packed = await this.#reader.read(queueHoldsEntries)
    return packed && { ...packed, stream: this }
  }

  /** Whether something was read since this was asked last, though nothing had to be sent. */
  takeWorked(): boolean {
    const { worked } = this.#reader
    this.#reader.worked = false
    return worked
  }

  discarded(packed: PackedBatch): boolean {
    return this.#reader.discarded(packed)
  }

  /** The hub has stored it. */
  async record(packed: PackedBatch): Promise<void> {
    await this.#reader.record(packed)
    this.#backoff.reset()
    if (this.begun) this.#status.show()
  }

  /** Nothing is read or sent any more until the stream begins again; triggers go on queueing. */
  pause(): void {
    if (this.report.state === 'paused') return
    this.begun = false
    this.heldUntil = 0
    this.#reader.forget()
    this.#status.paused()
  }

  /** The hub or the table refused: everything read ahead is thrown away, and the stream begins again after a while. */
  refused(error: QianzhiError): void {
    this.#status.refused(error)
    this.begun = false
    this.#reader.forget()
    this.heldUntil = performance.now() + this.#backoff.next()
  }
}
