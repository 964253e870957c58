/**
 * A batch is applied in one transaction with the route's position. Rows that the server refuses are set aside by key and the rest goes in:
 *
 *   all rows of a kind ──refused──► halves ──refused──► … ──► one row ──refused──► quarantine (key, reason, the row itself)
 *                 └─► written              └─► written
 *
 * so one bad row of n costs about 2 log₂ n statements. Deletes go first, since they free what other rows may want; what other rows of the batch
 * stood in the way of is tried again after them, and rows that hold one another's unique values (a swap) let go of them first. What the server
 * took without an error but not as it was sent is refused too. A later batch that touches the key clears it in its own transaction, so nothing older
 * is ever written over something newer; `replay` tries what was kept again, at the position of its own batch. A refusal may also end the whole
 * transaction (a trigger's ROLLBACK): then it is done again with the pieces into which it has been split so far.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { rowReason, QianzhiError } from '../../../protocol/errors.ts'
import { isLocalized, type LocalizedText } from '../../../protocol/localized.ts'
import { showPosition, type ChainPosition, type Position } from '../../../protocol/position.ts'
import type { Value } from '../../../protocol/value.ts'
import {
  addedColumns,
  type Applied,
  type Change,
  type MappedColumn,
  type Reading,
  type Replayed,
  type Row,
  type Rows,
  type SinkTable,
  type SourceTable,
} from '../../database.ts'
import { changeOf, isWhole, keptAt, keyAt, keyHash, keysOf, type KeptRow, type PreparedBatch, type QuarantinedRow } from './batch.ts'
import { parkedChange } from './parking.ts'
import type { QuarantineBook } from './quarantine-book.ts'
import { alteredRows, asSource } from './read-back.ts'
import type { RouteBook } from './route-book.ts'
import {
  notWritten,
  RowsRefused,
  type BatchWriter,
  type Counts,
  type Piece,
  type SinkEngine,
  type TableFacts,
  type Target,
  type Written,
} from './sink-engine.ts'
import type { Sql } from './statement.ts'

/** A refused row; `again`: what refused it may be gone when the rest is written. */
interface RefusedPiece extends QuarantinedRow {
  again?: Piece
}

/** How far a batch has been divided; outlives a transaction that a refusal has ended. */
interface Work<Batch> {
  batch: Batch
  pieces: Piece[]
  refused: RefusedPiece[]
}

/** How far the removal at a snapshot's end had to be divided; outlives a transaction that a refusal has ended. */
interface SnapshotEnd {
  byKey: boolean
  atOnce: number
  refused: QuarantinedRow[]
}

const attempts = 5
/** Rows of a table that are looked at together, where a snapshot's end is refused. */
const keysAtOnce = 1_000
/** Rows of a batch that is made within the transaction: fewer than an engine would stage outside of it. */
const madeAtOnce = 90

export class BatchApplier<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #routes: RouteBook
  readonly #quarantine: QuarantineBook
  readonly #readings = new WeakMap<TableFacts, { reading: Reading; source: SourceTable }>()

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
    return this.#untilWhole(async () => {
      if ((await session.run(this.#move(target, batch.change))) !== 1) throw broken(batch.change)
      for (const statement of this.#clearing(target, batch.change)) await session.run(statement)
      const counts = await this.#write(target, writer, work)
      await this.#quarantineRows(target, batch.change, refused)
      if (batch.change.snapshot?.last) {
        await this.#quarantine.forgetOlder(target.sink, target.part, batch.change.snapshot.began)
        counts.deleted += await this.#removeOlder(target, batch, writer, await this.#quarantine.keys(target.sink, target.part), end)
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

  /** Where a piece is refused, its halves take its place; of a single row it goes to `refused`. */
  async #write(target: Target<Table>, writer: BatchWriter, work: Work<Batch>): Promise<Counts> {
    const counts = { written: 0, deleted: 0 }
    const { batch, pieces, refused } = work
    for (let i = 0; i < pieces.length;) {
      const piece = pieces[i]!
      const outcome = await this.#engine.session.attempt(() => this.#writePiece(target, batch, writer, piece))
      if ('done' in outcome) {
        await this.#count(target, counts, work, piece, outcome.done)
        i++
        continue
      }
      const { refused: error, transactionEnded } = outcome
      const known = error instanceof RowsRefused ? error.rows : undefined
      pieces.splice(i, 1, ...(known ? without(batch, piece, new Set(known.map(({ row }) => row))) : halves(piece)))
      for (const { row, error } of known ?? []) refused.push(refusal(target.sink, batch, piece, row, error))
      if (!known && piece.to - piece.from === 1) refused.push(await this.#refusal(target, batch, piece, error, { transactionEnded }))
      if (transactionEnded) throw ended
    }
    await this.#writeAgain(target, writer, work, counts)
    return counts
  }

  /** Throws where the server took less than there was without an error, or other values. */
  async #writePiece(target: Target<Table>, batch: Batch, writer: BatchWriter, piece: Piece): Promise<Written> {
    const written = await writer.write(piece)
    const aside = written.refused?.length ?? 0
    if (piece.op === 'upserts' && written.rows + aside < piece.to - piece.from) throw new RowsRefused()
    const { readBack } = target.open.table
    if (!readBack) return written
    const altered = await alteredRows({ sink: target.sink, ...this.#reading(target, readBack) }, batch, piece)
    const refused = new Set(written.refused?.map(({ row }) => row))
    const wrong = altered.filter(({ row }) => !refused.has(row))
    if (wrong.length > 0) throw new RowsRefused(wrong)
    return written
  }

  #reading({ sink, part, open: { table } }: Target<Table>, columns: readonly MappedColumn[]): { reading: Reading; source: SourceTable } {
    const known = this.#readings.get(table)
    if (known) return known
    const made = { reading: this.#engine.reading(), source: asSource(sink, this.#engine.partTable(sink, part), columns) }
    this.#readings.set(table, made)
    return made
  }

  async #count(target: Target<Table>, counts: Counts, { batch, refused }: Work<Batch>, { op }: Piece, written: Written): Promise<void> {
    counts[op === 'upserts' ? 'written' : 'deleted'] += written.rows
    for (const { row, error, keep } of written.refused ?? []) {
      const at = batch[op].indexOf(row)
      refused.push(await this.#refusal(target, batch, { op, from: at, to: at + 1, whole: false }, error, { keep }))
    }
  }

  async #refusal(
    target: Target<Table>,
    batch: Batch,
    piece: Piece,
    error: unknown,
    { keep, transactionEnded }: { keep?: boolean | undefined; transactionEnded?: boolean } = {},
  ): Promise<RefusedPiece> {
    const row = batch[piece.op][piece.from]!
    const conflict = this.#engine.isConflict(error)
    const silent = error instanceof RowsRefused
    const inTheWay = piece.op === 'upserts' && (conflict || silent) && !transactionEnded && (await this.#inTheWay(target, batch, row))
    const reason = inTheWay || (silent ? notWritten : error)
    return { ...refusal(target.sink, batch, piece, row, reason, keep), ...(conflict && { again: piece }) }
  }

  /** A row of somebody else's with this key, or one whose key is only alike. */
  async #inTheWay({ sink, part }: Target<Table>, { change }: Batch, row: number): Promise<LocalizedText | undefined> {
    const key = keyAt(sink, change, row)
    const keys = sink.columns.filter(({ item }) => item.key)
    const source = asSource(sink, this.#engine.partTable(sink, part), [...keys, sourceName], [])
    const outcome = await this.#engine.session.attempt(async () => {
      try {
        return await this.#engine.reading().rowsByKeys(source, [key])
      } catch {
        // Whatever it was, it is undone: the refusal has a reason already.
        throw new RowsRefused()
      }
    })
    const rows = 'done' in outcome ? outcome.done.rows : []
    const same = rows.find((found) => keyHash(found.slice(0, -1)) === keyHash(key))
    if (same) return sink.takeOver || same.at(-1) === sink.source ? undefined : ownRow(same.at(-1) ?? null)
    return rows.length > 0 ? alike(rows[0]!.slice(0, -1)) : undefined
  }

  /** Rows in whose way others of the batch stood go in after them, also in a ring: where none does alone, all let go of their values first. */
  async #writeAgain(target: Target<Table>, writer: BatchWriter, work: Work<Batch>, counts: Counts): Promise<void> {
    for (let moved = true; moved;) {
      moved = false
      for (const one of work.refused.filter(({ again }) => again)) {
        const again = one.again!
        const outcome = await this.#engine.session.attempt(() => this.#writePiece(target, work.batch, writer, again))
        if ('done' in outcome && !outcome.done.refused?.length) {
          settle(work, [one])
          await this.#count(target, counts, work, again, outcome.done)
          moved = true
        } else if ('refused' in outcome && outcome.transactionEnded) {
          delete one.again
          throw ended
        }
      }
      if (!moved) moved = await this.#exchange(target, writer, work, counts)
    }
  }

  /** One row that cannot go in keeps no others from it: it is left out, and the rest tried again. */
  async #exchange(target: Target<Table>, writer: BatchWriter, work: Work<Batch>, counts: Counts): Promise<boolean> {
    const { contested } = target.open.table
    let ring = work.refused.filter(({ again }) => again?.op === 'upserts').slice(0, madeAtOnce)
    while (contested.length > 0 && ring.length > 1) {
      let stuck: RefusedPiece | undefined
      const parked = this.#engine.prepare(
        target.sink,
        parkedChange(
          target.sink,
          work.batch,
          ring.map(({ again }) => again!.from),
          contested,
        ),
      )
      const outcome = await this.#engine.session.attempt(async () => {
        const parking = await this.#engine.writer(target, parked)
        for (const piece of wholePieces(parked)) await parking.write(piece)
        const written: Written[] = []
        for (const one of ring) {
          stuck = one
          written.push(await this.#writePiece(target, work.batch, writer, one.again!))
          if (written.at(-1)!.refused?.length) throw new RowsRefused()
        }
        return written
      })
      if ('done' in outcome) {
        settle(work, ring)
        for (const [i, written] of outcome.done.entries()) await this.#count(target, counts, work, ring[i]!.again!, written)
        return true
      }
      if (outcome.transactionEnded) {
        for (const one of ring) delete one.again
        throw ended
      }
      if (!stuck) return false
      ring = ring.filter((one) => one !== stuck)
    }
    return false
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
  async #removeOlder(target: Target<Table>, batch: Batch, writer: BatchWriter, kept: readonly Row[], end: SnapshotEnd): Promise<number> {
    const { began } = batch.change.snapshot!
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
    if (keys.length === 0) return 0
    const batch = this.#engine.prepare(target.sink, changeOf(target.sink, to, keys.map(deleteOf(target.sink))))
    const pieces = wholePieces(batch).flatMap((piece) => split(piece, end.atOnce))
    const work: Work<Batch> = { batch, pieces, refused: [] }
    try {
      return (await this.#write(target, await this.#engine.writer(target, batch), work)).deleted
    } catch (error) {
      if (error === ended && work.refused.length === 0) end.atOnce = Math.ceil(end.atOnce / 2)
      throw error
    } finally {
      end.refused.push(...work.refused)
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

  /**
   * The live table's rows become the shadow's, and `finish` is done, in one transaction. Where a row is refused they go in pieces, and that row
   * is set aside; the shadow's quarantine holds it then.
   */
  async takeShadow(
    sink: SinkTable,
    { position, follow, finish }: { position: ChainPosition; follow: () => Promise<Table>; finish: () => Promise<void> },
  ): Promise<void> {
    const taking: Taking<Batch> = { inPieces: false, works: [], end: wholeEnd() }
    await this.#untilWhole(async () => {
      const target = { sink, part: 'live' as const, open: { table: await follow(), quarantine: 0 } }
      taking.inPieces ||= target.open.table.readBack !== undefined
      if (!taking.inPieces) {
        const outcome = await this.#engine.session.attempt(() => this.#takeAtOnce(target, position))
        taking.inPieces = 'refused' in outcome
        if ('refused' in outcome && outcome.transactionEnded) throw ended
      }
      if (taking.inPieces) await this.#takeInPieces(target, position, taking)
      await finish()
    })
  }

  async #takeAtOnce({ sink, open: { table } }: Target<Table>, position: ChainPosition): Promise<void> {
    const kept = await this.#quarantine.keys(sink, 'shadow')
    const written = await this.#engine.replaceRows(sink, table, { position, kept })
    const keys = sink.columns.filter(({ item }) => item.key)
    const shadow = asSource(sink, this.#engine.partTable(sink, 'shadow'), keys, [])
    if (written < (await this.#engine.reading().count(shadow))) throw new RowsRefused()
  }

  /** Written with the shadow's position, so that what it does not hold is older. */
  async #takeInPieces(target: Target<Table>, position: ChainPosition, { works, end }: Taking<Batch>): Promise<void> {
    const { sink } = target
    let place = 0
    for await (const { rows, faults } of this.#shadowRows(sink)) {
      const work = (works[place++] ??= { ...workOf(this.#engine.prepare(sink, upsertsOf(sink, position, rows))), refused: [...faults] })
      await this.#write(target, await this.#engine.writer(target, work.batch), work)
    }
    const refused = () => works.flatMap((work) => work.refused)
    const kept = [...(await this.#quarantine.keys(sink, 'shadow')), ...refused().map(({ key }) => key)]
    const nothing = this.#engine.prepare(sink, { ...upsertsOf(sink, position, []), snapshot: { began: position, last: true } })
    await this.#removeOlder(target, nothing, await this.#engine.writer(target, nothing), kept, end)
    for (const work of works.filter((one) => one.refused.some(({ again }) => again)))
      await this.#writeAgain(target, await this.#engine.writer(target, work.batch), work, { written: 0, deleted: 0 })
    const aside = [...refused(), ...end.refused]
    if (aside.length > 0) await this.#quarantine.add(sink, 'shadow', position, aside, await this.#quarantine.count(sink, 'shadow'))
  }

  async *#shadowRows(sink: SinkTable): AsyncGenerator<Rows> {
    const reading = this.#engine.reading()
    const source = asSource(sink, this.#engine.partTable(sink, 'shadow'), sink.columns)
    for (let after: Row | null = null; ;) {
      const { last, ...read }: Awaited<ReturnType<typeof reading.rowsAfter>> = await reading.rowsAfter(source, after, madeAtOnce)
      yield read
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
      return [workOf(batch)]
    })
    // Temporary tables that a writer needs are made before the transaction, which may be rolled back.
    if (trials[0]) await this.#engine.writer(target, { ...trials[0].batch, upserts: [], deletes: [] })
    return this.#untilWhole(async () => {
      for (const work of trials) await this.#write(target, await this.#engine.writer(target, work.batch), work)
      const refused = trials.flatMap((trial) => trial.refused)
      const bad = new Set(refused.map(({ key }) => keyHash(key)))
      const applied = trials.flatMap(({ batch }) => keysOf(sink, batch.change)).filter((key) => !bad.has(keyHash(key)))
      await this.#quarantine.resolveRetried(sink, part, applied, refused)
      open.quarantine = await this.#quarantine.count(sink, part)
      return { tried: applied.length + refused.length, applied: applied.length, quarantine: open.quarantine }
    })
  }
}

/** How far a swap had to be divided; outlives a transaction that a refusal has ended. */
interface Taking<Batch> {
  inPieces: boolean
  works: Work<Batch>[]
  end: SnapshotEnd
}

function wholeEnd(): SnapshotEnd {
  return { byKey: false, atOnce: keysAtOnce, refused: [] }
}

function upsertsOf({ columns }: SinkTable, to: ChainPosition, rows: readonly Row[]): Change {
  return { from: null, to, rows: rows.length, columns: columns.map((_, i) => rows.map((row) => row[i]!)) }
}

/** A refused row has ended the transaction. */
const ended = new Error('the transaction has ended')

function broken({ to }: Change): QianzhiError {
  return new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(to) })
}

function wholePieces(batch: PreparedBatch): Piece[] {
  const ops = ['deletes', 'upserts'] as const
  return ops.flatMap((op) => (batch[op].length > 0 ? [{ op, from: 0, to: batch[op].length, whole: true }] : []))
}

function workOf<Batch extends PreparedBatch>(batch: Batch): Work<Batch> {
  return { batch, pieces: wholePieces(batch), refused: [...batch.faults] }
}

/** What was refused has gone in after all; a transaction that is done again does it last. */
function settle({ pieces, refused }: Pick<Work<PreparedBatch>, 'pieces' | 'refused'>, done: readonly RefusedPiece[]): void {
  for (const one of done) {
    refused.splice(refused.indexOf(one), 1)
    pieces.push(one.again!)
  }
}

/** A piece as what is left of it. */
function without({ upserts, deletes }: PreparedBatch, { op, from, to }: Piece, rows: ReadonlySet<number>): Piece[] {
  const numbers = op === 'upserts' ? upserts : deletes
  const left: Piece[] = []
  for (let at = from; at < to; at++) {
    if (rows.has(numbers[at]!)) continue
    const last = left.at(-1)
    if (last?.to === at) last.to = at + 1
    else left.push({ op, from: at, to: at + 1, whole: false })
  }
  return left
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
  const reason = isLocalized(error) ? error : rowReason(error)
  const kept = keep ? { kept: keptAt(sink, change, row, op === 'upserts' ? 'u' : 'd') } : {}
  return { key: keyAt(sink, change, row), code: 'QZ-ROW-REFUSED', reason, ...kept }
}

const sourceName: MappedColumn = {
  item: { id: addedColumns.source, name: addedColumns.source, label: '', type: 'text', openness: 'internal' },
  column: addedColumns.source,
}

function ownRow(source: Value): LocalizedText {
  const whose = source === null ? { zh: '接收方自有', en: "the receiver's own" } : { zh: `来源为 ${source} `, en: `of source ${source}` }
  return {
    zh: `表中已有${whose.zh}的同主键行:在配置中对该落地设 takeOver: true 可由本路由接管`,
    en: `the table has a row with this key, ${whose.en}: takeOver: true in the sink's configuration makes it this route's`,
  }
}

function alike(key: Row): LocalizedText {
  const shown = key.join(', ')
  return {
    zh: `表的主键视之与 ${shown} 相同(大小写、重音或末尾空格):请将主键列改为按字节比较的排序规则`,
    en: `the table's key takes it for ${shown} (letter case, accents, trailing blanks): give the key column a collation that compares bytes`,
  }
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
  return asSource(sink, table, [...keys, { item: position, column: position.name }])
}
