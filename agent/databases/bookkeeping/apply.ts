/**
 * A batch is applied in one transaction with the route's position. Rows that the server refuses are set aside by key and the rest goes in:
 *
 *   all rows of a kind ──refused──► halves ──refused──► … ──► one row ──refused──► quarantine (key, reason, the row itself)
 *                 └─► written              └─► written
 *
 * so one bad row of n costs about 2 log₂ n statements. A later batch that touches the key clears it in its own transaction, so nothing older
 * is ever written over something newer; `replay` tries what was kept again, at the position of its own batch. A refusal may also end the whole
 * transaction (a trigger's ROLLBACK): then it is done again with the pieces into which it has been split so far.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { localizedReason, QianzhiError } from '../../../protocol/errors.ts'
import { isLocalized } from '../../../protocol/localized.ts'
import { showPosition, type Position } from '../../../protocol/position.ts'
import { addedColumns, type Applied, type Change, type Replayed, type Row, type SinkTable, type SourceTable } from '../../database.ts'
import { changeOf, isWhole, keptAt, keyAt, keyHash, keysOf, type KeptRow, type PreparedBatch, type QuarantinedRow } from './batch.ts'
import type { QuarantineBook } from './quarantine-book.ts'
import type { RouteBook } from './route-book.ts'
import type { BatchWriter, Counts, Piece, SinkEngine, Target } from './sink-engine.ts'
import type { Sql } from './statement.ts'

/** How far the removal at a snapshot's end had to be divided; outlives a transaction that a refusal has ended. */
interface SnapshotEnd {
  byKey: boolean
  atOnce: number
  refused: QuarantinedRow[]
}

const attempts = 5
/** Rows of a table that are looked at together, where a snapshot's end is refused. */
const keysAtOnce = 1_000

export class BatchApplier<Table, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #routes: RouteBook
  readonly #quarantine: QuarantineBook

  constructor(engine: SinkEngine<Table, Batch>, routes: RouteBook, quarantine: QuarantineBook) {
    this.#engine = engine
    this.#routes = routes
    this.#quarantine = quarantine
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
    if (!engine.writeAtOnce || batch.faults.length > 0 || change.snapshot?.last) return undefined
    const counts = await engine.writeAtOnce(target, batch, this.#move(target, change), this.#clearing(target, change))
    if (counts === 'elsewhere') throw broken(change)
    return counts === 'refused' ? undefined : this.#finish(target, counts, 0)
  }

  async #carefully(target: Target<Table>, batch: Batch): Promise<Applied> {
    const { session } = this.#engine
    const writer = await this.#engine.writer(target, batch)
    const [pieces, refused] = [wholePieces(batch), [...batch.faults] as QuarantinedRow[]]
    const end: SnapshotEnd = { byKey: false, atOnce: keysAtOnce, refused: [] }
    return this.#untilWhole(async () => {
      if ((await session.run(this.#move(target, batch.change))) !== 1) throw broken(batch.change)
      for (const statement of this.#clearing(target, batch.change)) await session.run(statement)
      const counts = await this.#write(target, batch, writer, pieces, refused)
      await this.#quarantineRows(target, batch.change, refused)
      if (batch.change.snapshot?.last) {
        await this.#quarantine.forgetOlder(target.sink, target.part, batch.change.snapshot.began)
        counts.deleted += await this.#removeOlder(target, batch, writer, end)
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

  /** Where a piece is refused, its halves take its place; of a single row it goes to `refused`. Both outlive the transaction. */
  async #write(target: Target<Table>, batch: Batch, writer: BatchWriter, pieces: Piece[], refused: QuarantinedRow[]): Promise<Counts> {
    const counts = { written: 0, deleted: 0 }
    for (let i = 0; i < pieces.length;) {
      const piece = pieces[i]!
      const outcome = await this.#engine.session.attempt(() => writer.write(piece))
      if ('done' in outcome) {
        counts[piece.op === 'upserts' ? 'written' : 'deleted'] += outcome.done.rows
        for (const { row, error, keep } of outcome.done.refused ?? []) refused.push(refusal(target.sink, batch, piece, row, error, keep))
        i++
      } else {
        pieces.splice(i, 1, ...halves(piece))
        if (piece.to - piece.from === 1) refused.push(refusal(target.sink, batch, piece, batch[piece.op][piece.from]!, outcome.refused))
        if (outcome.transactionEnded) throw ended
      }
    }
    return counts
  }

  /** One transaction, done again where a refused row has ended it. */
  async #untilWhole<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await this.#engine.session.transaction(work)
      } catch (error) {
        if (error !== ended) throw error
      }
    }
  }

  /**
   * At a snapshot's end: this source's rows that it did not bring go, quarantined keys excepted. Where the receiver's own constraints refuse
   * that, they are found one by one, and those that must stay are set aside.
   */
  async #removeOlder(target: Target<Table>, batch: Batch, writer: BatchWriter, end: SnapshotEnd): Promise<number> {
    const { began } = batch.change.snapshot!
    const kept = await this.#quarantine.keys(target.sink, target.part)
    if (!end.byKey) {
      const outcome = await this.#engine.session.attempt(() => writer.removeOlder(began, kept))
      if ('done' in outcome) return outcome.done
      end.byKey = true
      if (outcome.transactionEnded) throw ended
    }
    let removed = 0
    for await (const keys of this.#olderKeys(target, began)) {
      const spared = new Set([...kept, ...end.refused.map(({ key }) => key)].map(keyHash))
      const gone = keys.filter((key) => !spared.has(keyHash(key)))
      removed += await this.#removeKeys(target, batch.change, gone, end)
    }
    return removed
  }

  /** Where a refusal ends the transaction, the next try takes fewer keys at once, down to one. */
  async #removeKeys(target: Target<Table>, { to }: Change, keys: readonly Row[], end: SnapshotEnd): Promise<number> {
    const batch = this.#engine.prepare(target.sink, changeOf(target.sink, to, keys.map(deleteOf(target.sink))))
    const known = end.refused.length
    try {
      const pieces = wholePieces(batch).flatMap((piece) => split(piece, end.atOnce))
      return (await this.#write(target, batch, await this.#engine.writer(target, batch), pieces, end.refused)).deleted
    } catch (error) {
      if (error === ended && end.refused.length === known) end.atOnce = Math.ceil(end.atOnce / 2)
      throw error
    }
  }

  /** Keys of this source's rows that were written before a position, in the order of the key. */
  async *#olderKeys({ sink, part }: Target<Table>, began: Position): AsyncGenerator<Row[]> {
    const reading = this.#engine.reading()
    const source = deliveredKeys(sink, this.#engine.partTable(sink, part))
    for (let after: Row | null = null; ;) {
      const { rows, last }: Awaited<ReturnType<typeof reading.rowsAfter>> = await reading.rowsAfter(source, after, keysAtOnce)
      yield rows.filter((row) => BigInt(row.at(-1) ?? -1) < positionBigint(began)).map((row) => row.slice(0, -1))
      if (last === null) return
      after = last
    }
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
      if (whole.length === 0) return []
      const batch = this.#engine.prepare(sink, changeOf(sink, position, whole))
      return [{ batch, pieces: wholePieces(batch), refused: [...batch.faults] as QuarantinedRow[] }]
    })
    // Temporary tables that a writer needs are made before the transaction, which may be rolled back.
    if (trials[0]) await this.#engine.writer(target, { ...trials[0].batch, upserts: [], deletes: [] })
    return this.#untilWhole(async () => {
      for (const { batch, pieces, refused } of trials)
        await this.#write(target, batch, await this.#engine.writer(target, batch), pieces, refused)
      const refused = trials.flatMap((trial) => trial.refused)
      const bad = new Set(refused.map(({ key }) => keyHash(key)))
      const applied = trials.flatMap(({ batch }) => keysOf(sink, batch.change)).filter((key) => !bad.has(keyHash(key)))
      await this.#quarantine.resolveRetried(sink, part, applied, refused)
      open.quarantine = await this.#quarantine.count(sink, part)
      return { tried: applied.length + refused.length, applied: applied.length, quarantine: open.quarantine }
    })
  }
}

/** A refused row has ended the transaction. */
const ended = new Error('the transaction has ended')

function broken({ to }: Change): QianzhiError {
  return new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(to) })
}

function wholePieces(batch: PreparedBatch): Piece[] {
  const ops = ['upserts', 'deletes'] as const
  return ops.flatMap((op) => (batch[op].length > 0 ? [{ op, from: 0, to: batch[op].length, whole: true }] : []))
}

function halves(piece: Piece): Piece[] {
  return piece.to - piece.from === 1 ? [] : split(piece, Math.ceil((piece.to - piece.from) / 2))
}

function split(piece: Piece, length: number): Piece[] {
  if (piece.to - piece.from <= length) return [piece]
  const starts = Array.from({ length: Math.ceil((piece.to - piece.from) / length) }, (_, i) => piece.from + i * length)
  return starts.map((from) => ({ op: piece.op, from, to: Math.min(from + length, piece.to), whole: false }))
}

function refusal(sink: SinkTable, { change }: PreparedBatch, { op }: Piece, row: number, error: unknown, keep = true): QuarantinedRow {
  const reason = isLocalized(error) ? error : localizedReason(error)
  const kept = keep ? { kept: keptAt(sink, change, row, op === 'upserts' ? 'u' : 'd') } : {}
  return { key: keyAt(sink, change, row), code: 'QZ-ROW-REFUSED', reason, ...kept }
}

function deleteOf({ columns }: SinkTable): (key: Row) => KeptRow {
  const ids = columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  return (key) => ({ op: 'd', values: Object.fromEntries(ids.map((id, i) => [id, key[i]!])) })
}

function positionBigint({ epoch, seq }: Position): bigint {
  return BigInt(epoch) * 4294967296n + BigInt(seq)
}

/** A delivered table as a source of its keys and of the position behind them; this source's rows alone. */
function deliveredKeys(sink: SinkTable, table: string): SourceTable {
  const { position: name } = addedColumns
  const position = { id: name, name, label: '', type: 'integer', openness: 'internal' } as const
  const keys = sink.columns.filter(({ item }) => item.key).map(({ item, column }) => ({ item, column }))
  return {
    resource: sink.resource,
    table,
    capture: 'compare',
    schema: sink.schema,
    columns: [...keys, { item: position, column: position.name }],
    rowFilter: [{ column: 'qz_source', value: sink.source }, ...(sink.deletes === 'mark' ? [{ column: 'qz_deleted', value: '0' }] : [])],
    zeroDates: 'refuse',
    valueLimit: Infinity,
    queueLimit: 0,
  }
}
