/** Delivery into PostgreSQL: one connection, which does one thing after another for all its routes. */
import type { Applied, Change, Delivery, Part, Prepared, Removal, Replayed, SinkState, SinkTable } from '../../database.ts'
import { requireUnaltered } from './schema-drift.ts'
import { applyBatch, type Target } from './apply.ts'
import { prepareBatch, type Batch } from './batch.ts'
import { withTable, type Connection } from './connection.ts'
import { removeRoute, settleRemovals } from './removal.ts'
import { replayQuarantine } from './replay.ts'
import { beginShadow, openLive, openShadow, swapShadow, type OpenSink } from './sink.ts'
import { makeStateTables } from './state.ts'
import { refuse } from './table.ts'

export class PostgresDelivery implements Delivery {
  readonly #connection: Connection
  /** Opened parts by route and part. */
  readonly #opened = new Map<string, OpenSink>()
  readonly #stages = new Map<string, string>()
  #last: Promise<unknown> = Promise.resolve()

  /** On a connection that holds the lock; the delivery closes it. */
  constructor(connection: Connection) {
    this.#connection = connection
  }

  open(sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null; left?: string }> {
    return this.#exclusively(sink, async () => {
      await makeStateTables(this.#connection)
      const live = await openLive(this.#connection, sink)
      const shadow = await openShadow(this.#connection, sink)
      this.#keep(sink, 'live', live.open)
      this.#keep(sink, 'shadow', shadow?.open)
      return { live: live.state, shadow: shadow?.state ?? null, ...(live.left && { left: live.left }) }
    })
  }

  beginShadow(sink: SinkTable): Promise<void> {
    return this.#exclusively(sink, async () => this.#keep(sink, 'shadow', await beginShadow(this.#connection, sink)))
  }

  swap(sink: SinkTable): Promise<void> {
    return this.#exclusively(sink, async () => {
      this.#keep(sink, 'live', await swapShadow(this.#connection, sink))
      this.#keep(sink, 'shadow', undefined)
    })
  }

  prepare(sink: SinkTable, change: Change): Prepared {
    return prepareBatch(sink, change)
  }

  apply(sink: SinkTable, part: Part, prepared: Prepared): Promise<Applied> {
    return this.#exclusively(sink, async () => applyBatch(await this.#target(sink, part), prepared as Batch))
  }

  replay(sink: SinkTable, part: Part): Promise<Replayed> {
    return this.#exclusively(sink, async () => replayQuarantine(await this.#target(sink, part)))
  }

  remove(route: string): Promise<Removal | null> {
    return this.#inTurn(() => removeRoute(this.#connection, route))
  }

  settleRemovals(wanted: readonly string[]): Promise<void> {
    return this.#inTurn(() => settleRemovals(this.#connection, wanted))
  }

  async check(): Promise<void> {
    await this.#last
    await this.#connection.query('select 1')
  }

  async close(): Promise<void> {
    await this.#last
    await this.#connection.close()
  }

  async #target(sink: SinkTable, part: Part): Promise<Target> {
    const open = this.#opened.get(`${part} ${sink.route}`)
    if (open?.table.columns.length !== sink.columns.length) throw refuse(sink, `its ${part} part was not made for these items`)
    await requireUnaltered(this.#connection, sink, part, open)
    return { connection: this.#connection, sink, part, open, stages: this.#stages }
  }

  #keep(sink: SinkTable, part: Part, open: OpenSink | undefined): void {
    if (open) this.#opened.set(`${part} ${sink.route}`, open)
    else this.#opened.delete(`${part} ${sink.route}`)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => {})
    return mine
  }

  async #exclusively<T>(sink: SinkTable, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#inTurn(work)
    } catch (error) {
      throw withTable(error, sink.table, 'QZ-SINK-TABLE')
    }
  }
}
