import type { Logger } from 'pino'
import type { CorrectionNote, SinkReport } from '../../protocol/api.ts'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import type { Receive } from '../../protocol/policy.ts'
import { isAfter, showPosition, type ChainPosition } from '../../protocol/position.ts'
import { headStatement, type AppliedReceipt } from '../../protocol/receipt.ts'
import { Arrivals } from './arrivals.ts'
import { deletesOf, laterChange, openArrived, requireItems, toChange } from './verify.ts'
import { Backoff } from '../runtime/backoff.ts'
import {
  sameShape,
  TableAltered,
  type Applied,
  type Change,
  type Delivery,
  type Part,
  type Prepared,
  type Replayed,
  type SinkState,
  type SinkTable,
} from '../database.ts'
import { PendingReceipt } from './pending-receipt.ts'
import { RefusedShare } from './refused-share.ts'
import { Retries } from './retries.ts'
import { RowRemovals, type ChooseRows } from './row-removals.ts'
import { clearFault, setFault } from '../status/board.ts'
import { stateNames } from '../status/line-states.ts'
import type { Wake } from '../runtime/wake.ts'

/** A key that is not accepted yet, or what the hub derived wrongly, or by a grant that is on its way, says nothing against the stream. */
const notTheStreams: ReadonlySet<string> = new Set(['QZ-PROVIDER-KEY', 'QZ-BATCH-DERIVED'])

export interface RouteDeps {
  now: () => Date
  logger: Logger
  /** Pinned provider keys of a resource, by key id. */
  pinnedKey: (resource: string, id: string) => boolean
  /** The pinned hub's public key. */
  hubKey: string
  arrived: Wake
  /** Fired where the poll should ask again. */
  pollAgain: Wake
}

/** One route while it is being received: its buffer, its place, and which of its two tables it fills. */
export class InboundRoute {
  readonly id: string
  readonly sink: SinkTable
  readonly report: SinkReport
  readonly #receive: Receive
  readonly #deps: RouteDeps
  readonly #backoff = new Backoff()
  #opened = false
  #part: Part = 'live'
  #live: SinkState | undefined
  /** Where the part that is being filled stands in its database, and whether a snapshot has been received to its end. */
  #applied: ChainPosition | null = null
  #complete = false
  readonly #arrivals = new Arrivals()
  /** Place of the batch that is prepared and perhaps being applied. */
  #preparedTo: ChainPosition | undefined
  #broken: string | undefined
  #hubFault: string | undefined
  #heldUntil = 0
  #restartWanted = false
  /** The table could not be used any more while it was being filled. */
  #altered = false
  #replay: PromiseWithResolvers<Replayed> | undefined
  readonly #rowRemovals = new RowRemovals()
  #paused = false
  readonly #due = new PendingReceipt()
  readonly #retries = new Retries()
  #head: { hash: string; time: string } | undefined
  readonly #refused = new RefusedShare()
  /** What the hub said last of the rows that its table refuses. */
  corrections: readonly CorrectionNote[] = []

  constructor(receive: Receive, sink: SinkTable, report: SinkReport, deps: RouteDeps) {
    this.id = receive.route
    this.sink = sink
    this.report = report
    this.#receive = receive
    this.#deps = deps
  }

  /** Finds the route's place in its database; begins a shadow where the delivered items are not the granted ones any more. */
  async open(delivery: Delivery): Promise<void> {
    const { live, shadow, left, local } = await delivery.open(this.sink)
    if (left)
      this.#deps.logger.info(
        { route: this.id, left, table: this.sink.table },
        'the table has another name now: the old one is left as it is',
      )
    if (local && !this.sink.takeOver)
      this.#deps.logger.warn(
        { route: this.id, table: this.sink.table, rows: local },
        'the table holds rows of no route: delivered rows of the same keys are set aside unless the sink says takeOver: true',
      )
    this.#live = live
    const before = this.#part === 'live' ? this.#applied : null
    const usable = shadow && sameShape(shadow, this.sink) ? shadow : null
    this.#part = usable || (live.position && !sameShape(live, this.sink)) ? 'shadow' : 'live'
    // What was altered by hand under way may have lost values.
    const refill = this.#altered && this.#part === 'live' && live.position !== null
    if (refill) {
      this.#part = 'shadow'
      await delivery.beginShadow(this.sink)
      this.#deps.logger.info({ route: this.id }, 'the table was altered by hand: it is filled anew')
    } else if (this.#part === 'shadow' && !usable) {
      await delivery.beginShadow(this.sink)
      this.#deps.logger.info({ route: this.id }, 'the granted items, their columns or the key changed: a shadow table is filled')
    }
    this.#altered = false
    this.#start(this.#part === 'live' ? live : refill ? null : usable)
    if (this.#part === 'live') this.#tellIfWentBack(before)
    // A crash may have come before, or the table could not take the new rows then.
    const swapped = this.#part === 'shadow' ? await this.#swapIfCaughtUp(delivery) : undefined
    const { quarantine } = swapped ?? live
    if (swapped && quarantine > 0) this.#retries.add()
    this.report.quarantine = quarantine
    if (this.#part === 'live' && live.position) this.#note({ written: 0, deleted: 0, quarantined: 0, quarantine }, 0)
  }

  #tellIfWentBack(before: ChainPosition | null): void {
    if (!before || !isAfter(before, this.#applied)) return
    const way = `from ${showPosition(before)} to ${showPosition(this.#applied)}`
    this.#deps.logger.warn({ route: this.id }, `this database went back ${way}: what came since is asked for again`)
  }

  #start(state: SinkState | null): void {
    this.#startAt(state?.position ?? null)
    // The wait after a failed opening is over: the next poll asks for this route.
    this.#heldUntil = 0
    this.#applied = state?.position ?? null
    this.#complete = state?.complete ?? false
    this.#opened = true
    this.#retries.begin((state?.quarantine ?? 0) > 0)
    clearFault(this.report)
    this.report.position = this.#applied
    this.report.state = this.#state
  }

  get #state(): SinkReport['state'] {
    if (this.#paused) return 'paused'
    return this.#complete ? 'flowing' : 'loading'
  }

  /** Nothing is applied, and nothing asked for, until it goes on; what has been received is asked for again then. */
  pause(paused: boolean): void {
    if (paused === this.#paused) return
    this.#paused = paused
    if (!this.#opened) return
    this.#startAt(this.#applied)
    if (!this.report.fault) this.report.state = this.#state
  }

  /** The operator wants the table filled anew from the log's newest snapshot; readers keep the old rows until then. */
  restart(): void {
    this.#restartWanted = true
    this.#deps.arrived.fire()
  }

  async restartIfWanted(delivery: Delivery): Promise<boolean> {
    if (!this.#restartWanted || !this.#opened) return false
    await delivery.beginShadow(this.sink)
    this.#restartWanted = false
    await this.open(delivery)
    return true
  }

  /** Behind a one-way gap a later snapshot is needed than the stream has: the hub sees to one. */
  renew(): void {
    if (!this.#opened) return
    this.#broken = 'QZ-GAP-SNAPSHOT'
    this.#deps.pollAgain.fire()
  }

  /** The operator has put right what refused rows: they are tried again when it is this route's turn. Throws why it is held. */
  replay(): Promise<Replayed> {
    if (!this.#opened)
      throw new QianzhiError('QZ-STATE', {
        what: this.id,
        state: this.report.fault?.code ?? stateNames.starting,
        event: { zh: '重试', en: 'replay' },
      })
    this.#replay ??= Promise.withResolvers<Replayed>()
    this.#deps.arrived.fire()
    return this.#replay.promise
  }

  /**
   * Between two batches: rows of the keys that `choose` gives go, as if the stream had brought their deletes. The place stays as it is. Throws
   * QZ-RECONCILE-NOT-NOW where no live table is being filled.
   */
  removeRows(choose: ChooseRows): Promise<number> {
    const removed = this.#rowRemovals.want(choose)
    this.#deps.arrived.fire()
    return removed
  }

  /** Not while a batch is being applied. */
  removeRowsIfWanted(delivery: Delivery): Promise<void> {
    return this.#rowRemovals.run((choose) => this.#removeRows(delivery, choose))
  }

  async #removeRows(delivery: Delivery, choose: ChooseRows): Promise<number> {
    const place = this.#applied
    if (!this.#opened || this.#part !== 'live' || !place) {
      throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason: this.report.fault?.code ?? this.report.state })
    }
    const keys = await choose(place)
    if (keys.length === 0) return 0
    const change = deletesOf(keys, this.sink, place)
    const applied = await delivery.apply(this.sink, 'live', delivery.prepare(this.sink, change))
    this.#report(change, applied)
    this.#note(applied, 0)
    return applied.deleted
  }

  async replayIfWanted(delivery: Delivery): Promise<boolean> {
    const wanted = this.#replay
    if (!this.#opened || !(wanted || this.#retries.isDue)) return false
    try {
      const replayed = await this.#retries.run(() => delivery.replay(this.sink, this.#part))
      if (!wanted && replayed.applied > 0)
        this.#deps.logger.info({ route: this.id, rows: replayed.applied, left: replayed.quarantine }, 'rows that were set aside went in')
      this.report.quarantine = replayed.quarantine
      const counts = { written: replayed.applied, deleted: 0, quarantined: 0, quarantine: replayed.quarantine }
      if (this.#part === 'live' && this.#applied) this.#note(counts, 0)
      wanted?.resolve(replayed)
      return true
    } catch (error) {
      wanted?.reject(codedError(error))
      throw error
    } finally {
      this.#replay = undefined
    }
  }

  close(error: QianzhiError): void {
    if (this.#opened && this.#part === 'live' && error.cause instanceof TableAltered) this.#altered = true
    this.#opened = false
    this.#replay?.reject(error)
    this.#replay = undefined
    this.#rowRemovals.reject(error)
    this.#startAt(this.#arrivals.last)
    this.#heldUntil = performance.now() + this.#backoff.next()
    setFault(this.report, error, this.#deps.now())
  }

  #startAt(place: ChainPosition | null): void {
    this.#arrivals.startAt(place)
    this.#preparedTo = undefined
  }

  get generation(): number {
    return this.#arrivals.generation
  }

  mayReopen(): boolean {
    return !this.#opened && performance.now() >= this.#heldUntil
  }

  mayAsk(): boolean {
    return this.#opened && performance.now() >= this.#heldUntil
  }

  ask(share: number): { route: string; after: ChainPosition | null; credit: number; broken?: string } {
    const credit = this.#arrivals.credit(share, this.#paused)
    return { route: this.id, after: this.#arrivals.last, credit, ...(this.#broken ? { broken: this.#broken } : {}) }
  }

  /** True where the last ask had no room and there is some now. */
  wantsMore(): boolean {
    return this.#opened && !this.#paused && this.#arrivals.hasRoomAgain
  }

  hasBatch(): boolean {
    return this.#opened && !this.#arrivals.isEmpty
  }

  /** The hub does not answer, or not as it should. */
  hubFailed(error: QianzhiError): void {
    this.#hubFault = error.code
    setFault(this.report, error, this.#deps.now())
  }

  /** Nothing has to arrive for the hub's own fault to be over. */
  hubAnswered(): void {
    const over = this.#hubFault !== undefined && this.report.fault?.code === this.#hubFault
    this.#hubFault = undefined
    if (!over || !this.#opened || this.#broken) return
    clearFault(this.report)
    this.report.state = this.#state
  }

  /** What the hub says of this route. */
  told(error: QianzhiError): void {
    if (this.report.fault?.code !== error.code) this.#deps.logger.warn({ route: this.id, code: error.code }, error.message)
    setFault(this.report, error, this.#deps.now())
  }

  /** The provider's own word on where its stream stands: reached when this receiver has applied that batch. */
  noteHead(statement: string): void {
    const key = this.#receive.keys.map(({ key: publicKey }) => headStatement.open(statement, publicKey)).find(Boolean)
    if (!key || key.resource !== this.sink.resource) return
    this.#head = { hash: key.hash, time: key.time }
    this.#reach()
  }

  /** All is applied that the provider says there is, as far as it was heard. */
  get isLevel(): boolean {
    return this.#opened && this.#head !== undefined && this.#applied?.hash === this.#head.hash
  }

  /** Something was applied of which the hub has no receipt yet. */
  get owesReceipt(): boolean {
    return this.#due.isDue
  }

  #reach(): void {
    if (this.#head && this.#applied?.hash === this.#head.hash) this.report.reached = this.#head.time
  }

  /** Verifies a batch that arrived and puts it into the buffer. A batch that does not fit is refused; the stream goes on from what is sound. */
  receive(bytes: Buffer, generation: number): void {
    if (!this.#opened || generation !== this.generation || performance.now() < this.#heldUntil) return
    try {
      const batch = openArrived(bytes, {
        receive: this.#receive,
        schema: this.sink.schema,
        isPinned: (id) => this.#deps.pinnedKey(this.sink.resource, id),
        hubKey: this.#deps.hubKey,
        received: this.#arrivals.last,
        broken: this.#broken !== undefined,
      })
      if (!batch) return
      this.#arrivals.verified(batch)
      requireItems(batch, this.sink)
      this.#broken = undefined
      this.#arrivals.add(batch)
      this.#deps.arrived.fire()
    } catch (error) {
      this.#break(codedError(error))
    }
  }

  #break(error: QianzhiError): void {
    if (!notTheStreams.has(error.code)) this.#broken = error.code
    const hold = this.#backoff.next()
    this.#heldUntil = performance.now() + hold
    // A poll that is held at the hub meanwhile does not ask for this route.
    setTimeout(() => this.#deps.pollAgain.fire(), hold + 1).unref()
    this.told(error)
  }

  /** Takes the next batch from the buffer and does all that needs no database. Undefined where it cannot be read: the route is broken. */
  prepareNext(delivery: Delivery): Prepared | undefined {
    const batch = this.#arrivals.take()
    const from = this.#preparedTo ?? this.#applied
    try {
      const lines = delivery.prepareBlocks?.(this.sink, this.#part, { batch, change: laterChange(batch, this.sink, from) })
      const prepared = lines ?? delivery.prepare(this.sink, toChange(batch, this.sink, from))
      this.#preparedTo = prepared.change.to
      return prepared
    } catch (error) {
      this.#arrivals.dropBehind(batch)
      this.#break(codedError(error))
      return undefined
    }
  }

  async apply(delivery: Delivery, prepared: Prepared): Promise<void> {
    const { change } = prepared
    const applied = await delivery.apply(this.sink, this.#part, prepared)
    this.#applied = change.to
    this.#arrivals.applied(change.to)
    if (this.#preparedTo?.hash === change.to.hash) this.#preparedTo = undefined
    if (change.snapshot?.last) this.#complete = true
    this.#backoff.reset()
    const swapped = this.#part === 'shadow' ? await this.#swapIfCaughtUp(delivery) : undefined
    const done = { ...applied, ...swapped }
    if (swapped && swapped.quarantine > 0) this.#retries.add()
    this.#report(change, done)
    if (this.#part === 'live') this.#note(done, 1)
    const tooMany = this.#refused.note(change.rows, done.quarantined)
    if (tooMany) this.#break(tooMany)
  }

  async #swapIfCaughtUp(delivery: Delivery): Promise<Pick<Applied, 'quarantine'> | undefined> {
    if (!this.#complete || (this.#live?.position && isAfter(this.#live.position, this.#applied))) return undefined
    const swapped = await delivery.swap(this.sink)
    this.#part = 'live'
    this.#deps.logger.info({ route: this.id }, `the new table is in place at ${showPosition(this.#applied)}`)
    return swapped
  }

  #report(change: Change, applied: Applied): void {
    if (!this.#broken) clearFault(this.report)
    this.report.position = change.to
    this.report.rows += applied.written + applied.deleted
    this.report.quarantine = applied.quarantine
    this.report.lastApplied = this.#deps.now().toISOString()
    this.report.state = this.#broken ? 'held' : this.#state
    if (applied.quarantined > 0) this.#retries.add()
    this.#reach()
  }

  #note({ written, deleted, quarantined, quarantine }: Applied, batches: number): void {
    const time = this.#deps.now().toISOString()
    this.#due.note({ route: this.id, ...this.#applied!, time, batches, written, deleted, quarantined, quarantine })
  }

  takeReceipt(): { route: InboundRoute; receipt: AppliedReceipt } | undefined {
    const receipt = this.#due.take()
    return receipt && { route: this, receipt }
  }

  /** The hub did not take it. */
  returnReceipt(receipt: AppliedReceipt): void {
    this.#due.giveBack(receipt)
  }
}
