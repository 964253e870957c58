/** Delivery into SQL Server: one session, which does one thing after another for all its routes. */
import type { Applied, Change, Delivery, Part, Prepared, Removal, Replayed, SinkState, SinkTable } from '../../database.ts'
import { requireUnaltered } from './schema-drift.ts'
import { applyBatch, type Target } from './apply.ts'
import { prepareBatch, type Batch } from './batch.ts'
import { unfit } from './catalog.ts'
import type { OwnSession } from './connection.ts'
import { databaseError, isMissing } from './errors.ts'
import { removeRoute, settleRemovals } from './removal.ts'
import { replayQuarantine } from './replay.ts'
import { beginShadow, openLive, openShadow, swapShadow, type OpenSink } from './sink.ts'
import { makeStateTables } from './state.ts'

export class ServerDelivery implements Delivery {
  readonly #session: OwnSession
  /** Opened parts by route and part. */
  readonly #opened = new Map<string, OpenSink>()
  /** Several routes share the session: their calls take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(session: OwnSession) {
    this.#session = session
  }

  open(sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null; left?: string }> {
    return this.#exclusively(sink, async () => {
      await makeStateTables(this.#session)
      const live = await openLive(this.#session, sink)
      const shadow = await openShadow(this.#session, sink)
      this.#keep(sink, 'live', live.open)
      this.#keep(sink, 'shadow', shadow?.open)
      return { live: live.state, shadow: shadow?.state ?? null, ...(live.left && { left: live.left }) }
    })
  }

  beginShadow(sink: SinkTable): Promise<void> {
    return this.#exclusively(sink, async () => this.#keep(sink, 'shadow', await beginShadow(this.#session, sink)))
  }

  swap(sink: SinkTable): Promise<void> {
    return this.#exclusively(sink, async () => {
      this.#keep(sink, 'live', await swapShadow(this.#session, sink))
      this.#keep(sink, 'shadow', undefined)
    })
  }

  prepare(sink: SinkTable, change: Change): Prepared {
    return prepareBatch(sink, change)
  }

  apply(sink: SinkTable, part: Part, prepared: Prepared): Promise<Applied> {
    return this.#exclusively(sink, async () => {
      return applyBatch(await this.#target(sink, part), prepared as Batch)
    })
  }

  replay(sink: SinkTable, part: Part): Promise<Replayed> {
    return this.#exclusively(sink, async () => replayQuarantine(await this.#target(sink, part)))
  }

  async #target(sink: SinkTable, part: Part): Promise<Target> {
    const open = this.#opened.get(`${part} ${sink.route}`)
    if (open?.table.columns.length !== sink.columns.length) throw unfit(sink, `its ${part} part was not made for these items`)
    await requireUnaltered(this.#session, sink, part, open)
    return { session: this.#session, sink, part, open }
  }

  remove(route: string): Promise<Removal | null> {
    return this.#inTurn(() => removeRoute(this.#session, route))
  }

  settleRemovals(wanted: readonly string[]): Promise<void> {
    return this.#inTurn(() => settleRemovals(this.#session, wanted))
  }

  async check(): Promise<void> {
    await this.#inTurn(() => this.#session.query('select 1'))
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#session.close()
  }

  #keep(sink: SinkTable, part: Part, open: OpenSink | undefined): void {
    if (open) this.#opened.set(`${part} ${sink.route}`, open)
    else this.#opened.delete(`${part} ${sink.route}`)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #exclusively<T>(sink: SinkTable, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#inTurn(work)
    } catch (error) {
      if (isMissing(error)) throw unfit(sink, error instanceof Error ? error.message : String(error), error)
      throw databaseError(sink.table, error)
    }
  }
}
