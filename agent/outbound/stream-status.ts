import type { SourceReport } from '../../protocol/api.ts'
import type { QianzhiError } from '../../protocol/errors.ts'
import { showPosition, type ChainPosition } from '../../protocol/position.ts'
import { clearFault, setFault } from '../status/board.ts'
import type { OutboundDeps, StreamResources } from './context.ts'
import { rowCount, type BatchDraft } from './packing.ts'
import type { StreamRecord } from './stream-record.ts'

/** Milliseconds between the log's lines on a running snapshot. */
const lineIntervalMs = 60_000

/** What one stream says of itself, in its report and in the log. */
export class StreamStatus {
  readonly report: SourceReport
  readonly #deps: Pick<OutboundDeps, 'hub' | 'logger' | 'tellHub'>
  readonly #record: StreamRecord
  readonly #resources: Pick<StreamResources, 'guard' | 'pace' | 'sent'>
  #logged = 0

  constructor(deps: OutboundDeps, record: StreamRecord, resources: StreamResources) {
    this.#deps = deps
    this.#record = record
    this.#resources = resources
    this.report = deps.board.source(record.source.resource, deps.database.options.name)
  }

  log(message: string): void {
    this.#deps.logger.info({ resource: this.report.resource }, message)
  }

  /** Deletes, or a snapshot's end, wait from now on. */
  guarded(): void {
    const { code, message } = this.#resources.guard.fault!
    this.#deps.logger.warn({ code, resource: this.report.resource }, message)
    this.show()
    this.#deps.tellHub()
  }

  began(): void {
    this.report.position = this.#record.position
    this.#tellRows()
    this.report.quarantine = this.#record.quarantine
  }

  #tellRows(): void {
    const { rows, snapshotRows = 0 } = this.#resources.sent
    if (rows === undefined) delete this.report.delivered
    else this.report.delivered = Math.max(rows, snapshotRows)
  }

  queued(entries: number, oldest: Date | undefined): void {
    this.report.waiting = entries
    if (oldest) this.report.oldest = oldest.toISOString()
    else delete this.report.oldest
  }

  /** A batch is stored. `warned`: rows of it that a check warned of; undefined where nothing is checked. */
  stored(draft: BatchDraft, position: ChainPosition, warned: number | undefined): void {
    this.report.position = position
    this.#tellRows()
    this.report.rows += rowCount(draft) + draft.deletes.length
    if (warned !== undefined) this.report.warned = (this.report.warned ?? 0) + warned
    this.report.lastPush = this.#deps.hub.now().toISOString()
    this.report.quarantine = this.#record.quarantine
    if (draft.snapshot?.last) {
      this.log(`snapshot complete at ${showPosition(position)}`)
      this.#deps.tellHub()
    } else if (draft.snapshot && performance.now() - this.#logged > lineIntervalMs) {
      this.#logged = performance.now()
      this.#deps.logger.info({ resource: this.report.resource, ...this.#resources.pace.progress() }, 'snapshot running')
    }
  }

  /** State, fault and progress of a stream that runs. */
  show(): void {
    const { guard, pace } = this.#resources
    if (this.#record.snapshot) this.report.snapshot = pace.progress()
    else delete this.report.snapshot
    if (guard.fault) return setFault(this.report, guard.fault, this.#deps.hub.now())
    clearFault(this.report)
    this.report.state = this.#record.snapshot ? 'loading' : 'flowing'
  }

  paused(): void {
    clearFault(this.report)
    this.report.state = 'paused'
    this.log('paused')
  }

  refused(error: QianzhiError): void {
    if (this.report.fault?.code !== error.code) {
      this.#deps.logger.warn({ code: error.code, resource: this.report.resource, err: error }, error.message)
    }
    setFault(this.report, error, this.#deps.hub.now())
  }
}
