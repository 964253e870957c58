/** A route that is delivered into a folder as files of rows: batches go into its store, and from there into files (output.ts). */
import { QianzhiError } from '../../../protocol/errors.ts'
import {
  sameShape,
  type Applied,
  type Change,
  type FolderSettings,
  type Part,
  type Prepared,
  type Replayed,
  type SinkState,
  type SinkTable,
} from '../../database.ts'
import type { DeliveredFiles } from '../store/delivered.ts'
import { OutputState } from './output-state.ts'
import { RowBatches, type RowBatch } from './batch.ts'
import { RowOutput } from './output.ts'
import { RowStore } from './store.ts'
import { SinkStore } from '../store/sink-store.ts'

interface Opened {
  store: SinkStore
  rows: RowStore
  output: RowOutput
}

export class RowSink implements DeliveredFiles {
  readonly #sink: SinkTable
  readonly #folder: FolderSettings
  readonly #batches: RowBatches
  #opened: Opened | undefined

  constructor(sink: SinkTable, folder: FolderSettings) {
    this.#sink = sink
    this.#folder = folder
    this.#batches = new RowBatches(sink)
  }

  async open(): Promise<{ live: SinkState; shadow: SinkState | null }> {
    const store = SinkStore.open(this.#folder, this.#sink.route)
    try {
      const state = new OutputState(store, this.#sink)
      const rows = new RowStore(store, this.#sink, this.#batches, state)
      const found = store.state('live')
      if (!found || (!found.position && !sameShape(found, this.#sink))) rows.begin('live')
      const live = store.followed(this.#sink)
      const output = new RowOutput(this.#sink, this.#folder, store, state)
      this.#opened = { store, rows, output }
      await output.open(sameShape(live, this.#sink))
      return { live, shadow: store.state('shadow') ?? null }
    } catch (error) {
      await (this.#opened ? this.close() : store.close())
      throw error
    }
  }

  get #open(): Opened {
    if (!this.#opened)
      throw new QianzhiError('QZ-INTERNAL', {
        reason: { zh: `路由 ${this.#sink.route} 未打开`, en: `route ${this.#sink.route} is not open` },
      })
    return this.#opened
  }

  async beginShadow(): Promise<void> {
    this.#open.rows.begin('shadow')
  }

  async swap(): Promise<void> {
    const { rows, output } = this.#open
    await output.pause()
    rows.swap()
    await output.open(true)
    output.wake(true)
  }

  prepare(change: Change): Prepared {
    return this.#batches.prepare(change)
  }

  async apply(part: Part, prepared: Prepared): Promise<Applied> {
    const { rows, output } = this.#open
    const applied = rows.apply(part, prepared as RowBatch)
    if (part === 'live') output.wake(prepared.change.snapshot?.last)
    return applied
  }

  async replay(part: Part): Promise<Replayed> {
    const { rows, output } = this.#open
    const replayed = rows.replay(part)
    if (part === 'live') output.wake()
    return replayed
  }

  async check(): Promise<void> {
    this.#opened?.output.check()
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.output.close()
    opened?.store.close()
  }
}
