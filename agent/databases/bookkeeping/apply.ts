/**
 * A batch is applied in one transaction with the route's position. Rows that the server refuses are set aside by key and the rest goes in
 * (row-writer.ts); what the server took without an error but not as it was sent is refused too. A later batch that touches the key clears it in
 * its own transaction, so nothing older is ever written over something newer; `replay` tries what was kept again, at the position of its own
 * batch. A refusal may also end the whole transaction (a trigger's ROLLBACK): then it is done again with the pieces into which it has been split.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError } from '../../../protocol/errors.ts'
import { showPosition } from '../../../protocol/position.ts'
import type { Applied, Change, Replayed } from '../../database.ts'
import { changeOf, isWhole, keyHash, keysOf, madeAtOnce, type PreparedBatch, type QuarantinedRow } from './batch.ts'
import { untilWhole, workOf } from './pieces.ts'
import type { QuarantineBook } from './quarantine-book.ts'
import type { RouteBook } from './route-book.ts'
import { RowWriter } from './row-writer.ts'
import { ShadowRows } from './shadow-rows.ts'
import type { Counts, SinkEngine, TableFacts, Target } from './sink-engine.ts'
import { OlderRows, wholeEnd } from './snapshot-end.ts'
import { chunks, type Sql } from './statement.ts'

const attempts = 5

export class BatchApplier<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #routes: RouteBook
  readonly #quarantine: QuarantineBook
  readonly #rows: RowWriter<Table, Batch>
  readonly #older: OlderRows<Table, Batch>
  readonly #shadow: ShadowRows<Table, Batch>

  constructor(engine: SinkEngine<Table, Batch>, routes: RouteBook, quarantine: QuarantineBook) {
    this.#engine = engine
    this.#routes = routes
    this.#quarantine = quarantine
    this.#rows = new RowWriter(engine)
    this.#older = new OlderRows(engine, this.#rows)
    this.#shadow = new ShadowRows(engine, quarantine, this.#rows)
  }

  /** See `ShadowRows.take`. */
  takeShadow(...taking: Parameters<ShadowRows<Table, Batch>['take']>): Promise<void> {
    return this.#shadow.take(...taking)
  }

  /** Throws QZ-CHAIN-BROKEN where the route does not stand where the batch begins. */
  async apply(target: Target<Table>, batch: Batch): Promise<Applied> {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.#atOnce(target, batch)) ?? (await this.#carefully(target, batch))
      } catch (error) {
        if (!this.#engine.isContention(error) || attempt === attempts) throw error
        await sleep(20 * attempt)
      }
    }
  }

  /** Undefined where a row is refused, or the batch wants more than this. */
  async #atOnce(target: Target<Table>, batch: Batch): Promise<Applied | undefined> {
    const { change } = batch
    const engine = this.#engine
    const { contested, readBack } = target.open.table
    if (!engine.writeAtOnce || readBack || batch.faults.length > 0 || change.snapshot?.last) return undefined
    // What deletes free, upserts of the same statement would not have yet.
    if (contested.length > 0 && batch.deletes.length > 0 && batch.upserts.length > 0) return undefined
    const counts = await engine.writeAtOnce(target, batch, this.#move(target, change), this.#clearing(target, change))
    if (counts === 'elsewhere') throw broken(change)
    return counts === 'refused' ? undefined : this.#finish(target, counts, 0)
  }

  async #carefully(target: Target<Table>, batch: Batch): Promise<Applied> {
    const { session } = this.#engine
    const writer = await this.#engine.writer(target, batch)
    const work = workOf(batch)
    const { refused } = work
    const end = wholeEnd()
    return untilWhole(session, async () => {
      if ((await session.run(this.#move(target, batch.change))) !== 1) throw broken(batch.change)
      for (const statement of this.#clearing(target, batch.change)) await session.run(statement)
      const counts = await this.#rows.write(target, [work], writer)
      await this.#quarantineRows(target, batch.change, refused)
      if (batch.change.snapshot?.last) {
        await this.#quarantine.forgetOlder(target.sink, target.part, batch.change.snapshot.began)
        const kept = await this.#quarantine.keys(target.sink, target.part)
        counts.deleted += await this.#older.remove(target, { batch, writer, kept, end })
        await this.#quarantineRows(target, batch.change, end.refused)
      }
      return this.#finish(target, counts, refused.length + end.refused.length)
    })
  }

  #move({ sink, part }: Target<Table>, change: Change): Sql {
    return this.#routes.move(sink, part, change)
  }

  #clearing({ sink, part, open }: Target<Table>, change: Change): Sql[] {
    return open.quarantine > 0 ? this.#quarantine.clearing(sink, part, keysOf(sink, change)) : []
  }

  async #quarantineRows({ sink, part, open }: Target<Table>, { to }: Change, rows: readonly QuarantinedRow[]): Promise<void> {
    if (rows.length > 0) await this.#quarantine.add(sink, part, to, rows, open.quarantine)
  }

  /** Counts the quarantine only where it may have changed. */
  async #finish({ sink, part, open }: Target<Table>, counts: Counts, quarantined: number): Promise<Applied> {
    if (quarantined > 0 || open.quarantine > 0) open.quarantine = await this.#quarantine.count(sink, part)
    return { ...counts, quarantined, quarantine: open.quarantine }
  }

  /** See `Delivery.replay`. */
  async replay(target: Target<Table>): Promise<Replayed> {
    const { sink, part, open } = target
    const trials = (await this.#quarantine.kept(sink, part)).flatMap(({ position, rows }) => {
      const whole = rows.filter((row) => isWhole(sink, row))
      return chunks(whole, madeAtOnce).map((some) => workOf(this.#engine.prepare(sink, changeOf(sink, position, some))))
    })
    // Temporary tables that a writer needs are made before the transaction, which may be rolled back.
    if (trials[0]) await this.#engine.writer(target, { ...trials[0].batch, upserts: [], deletes: [] })
    return untilWhole(this.#engine.session, async () => {
      await this.#rows.write(target, trials)
      const refused = trials.flatMap((trial) => trial.refused)
      const bad = new Set(refused.map(({ key }) => keyHash(key)))
      const applied = trials.flatMap(({ batch }) => keysOf(sink, batch.change)).filter((key) => !bad.has(keyHash(key)))
      await this.#quarantine.resolveRetried(sink, part, applied, refused)
      open.quarantine = await this.#quarantine.count(sink, part)
      return { tried: applied.length + refused.length, applied: applied.length, quarantine: open.quarantine }
    })
  }
}

function broken({ to }: Change): QianzhiError {
  return new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(to) })
}
