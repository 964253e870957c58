/** Writing one batch's rows: in one statement with the position, or piece by piece within a transaction. */
import { finished } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { positionNumber, type Position } from '../../../protocol/position.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Change, Row, SinkTable } from '../../database.ts'
import type { BatchWriter, Counts, Piece, Target, Written } from '../bookkeeping/sink-engine.ts'
import type { Sql } from '../bookkeeping/statement.ts'
import type { CopyBatch, WholeLines } from './batch.ts'
import { textOf } from './books.ts'
import { isRowError, type Connection } from './connection.ts'
import { addedNames, names, remove, removeOlder, rowsOfTexts, stageTable, takeOut, timeText, upsert, type ApplyTable } from './sql.ts'

interface Statement {
  text: string
  values: unknown[]
}

/** Rows written in one statement with the position are none where it did not move. */
const ifMoved = ' cross join moved'

/** The position is another one than the batch follows. */
const elsewhere = new Error('the position has moved')

/** Small batches of changes take one statement, which is its own transaction; larger ones go into a stage first. */
export async function writeAtOnce(
  connection: Connection,
  stages: Stages,
  target: Target<ApplyTable>,
  batch: CopyBatch,
  books: { move: Sql; clearing: readonly Sql[] },
): Promise<Counts | 'refused' | 'elsewhere'> {
  try {
    const { copy, whole } = batch
    if (!copy) return await writeAll(connection, target, batch, books)
    if (whole) return whole.table === target.open.table ? await replaceAll(connection, target, batch, whole, books) : 'refused'
    const stage = await stages.of(target.sink)
    return await connection.transaction(async () => {
      await stages.fill(stage, target.sink, copy)
      return writeAll(connection, target, batch, books, stage)
    })
  } catch (error) {
    if (error === elsewhere) return 'elsewhere'
    if (error === occupied) return 'refused'
    if (!isRowError(error)) throw error
    return 'refused'
  }
}

/**
 * The position by compare-and-set, the rows, and the quarantine of keys that this batch touches, as one statement. Nothing but the
 * first happens where the position is another.
 */
async function writeAll(
  connection: Connection,
  target: Target<ApplyTable>,
  { change, upserts, deletes }: CopyBatch,
  { move, clearing }: { move: Sql; clearing: readonly Sql[] },
  stage?: string,
): Promise<Counts> {
  const { text, values } = textOf(move)
  const parts = [`moved as (${text} returning 1 as moved)`]
  const counts = { written: '0', deleted: '0' }
  const add = (name: string, make: (first: number) => Statement): void => {
    const part = make(values.length + 1)
    parts.push(`${name} as (${part.text} returning 1)`)
    values.push(...part.values)
  }
  if (upserts.length > 0) add('written', (first) => upsertOf(target, change, upserts, first, ifMoved, stage))
  if (deletes.length > 0) add('deleted', (first) => removeOf(target, change, deletes, first, ifMoved))
  for (const [i, statement] of clearing.entries()) {
    add(`cleared${i}`, (first) => {
      const cleared = textOf(statement, first)
      return { ...cleared, text: `${cleared.text} and exists (select from moved)` }
    })
  }
  if (upserts.length > 0) counts.written = '(select count(*) from written)'
  if (deletes.length > 0) counts.deleted = '(select count(*) from deleted)'
  // A row that the server took without writing it makes the statement fail: it must not be whole.
  const whole =
    upserts.length > 0
      ? `, 1 / (case when (select count(*) from moved) = 0 or ${counts.written} = ${upserts.length} then 1 else 0 end)`
      : ''
  const sql = `with ${parts.join(',\n')} select (select count(*) from moved), ${counts.written}, ${counts.deleted}${whole}`
  const [row] = clearing.length > 0 ? await connection.query(sql, values) : await connection.prepared(sql, values)
  if (row![0] !== '1') throw elsewhere
  return { written: Number(row![1]), deleted: Number(row![2]) }
}

/** The catalog may know too little of a table that grows: without this it would be read whole for each batch. */
const byIndex = 'set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off'

/** Something hangs on the table by now. */
const occupied = new Error('the table is plain no more')

/**
 * Into a plain table: rows of these keys are taken out, and the new ones copied straight in, which costs half of an upsert from a stage. Where
 * another source's row has one of the keys, or something hangs on the table by now, all is undone.
 */
function replaceAll(
  connection: Connection,
  target: Target<ApplyTable>,
  batch: CopyBatch,
  { table, keys, ends }: WholeLines,
  { move, clearing }: { move: Sql; clearing: readonly Sql[] },
): Promise<Counts> {
  const { text, values } = textOf(move)
  const { free, remove } = takeOut(table, target.sink.source, values.length + 1)
  const sql = `with moved as (${text} returning 1), free as (${free}),
    gone as (${remove} and exists (select from moved) and exists (select from free))
    select (select count(*) from moved), (select count(*) from free), ${timeText}`
  return connection.transaction(async () => {
    const [row] = await connection.prepared(sql, [...values, ...keys])
    if (row![0] !== '1') throw elsewhere
    if (row![1] !== '1') throw occupied
    const counts = { written: batch.upserts.length, deleted: 0 }
    if (batch.deletes.length > 0) {
      const { text, values } = removeOf(target, batch.change, batch.deletes, 1)
      counts.deleted = (await connection.result(text, values, false)).changed
    }
    for (const { text, values } of clearing.map((statement) => textOf(statement))) await connection.query(text, values)
    const columns = [...table.columns.map(({ column }) => column), ...addedNames(table.deletes)]
    await copyInto(connection, table.name, columns, withTime(batch.copy!, ends, row![2]!))
    return counts
  }, byIndex)
}

/** `time` at each line's end, where room was left for it. */
function withTime(lines: Buffer, ends: Uint32Array, time: string): Buffer {
  const bytes = Buffer.from(time)
  for (const end of ends) lines.set(bytes, end - 1 - bytes.length)
  return lines
}

async function copyInto(connection: Connection, table: string, columns: readonly string[], lines: Buffer): Promise<void> {
  await connection.guard(async () => {
    const stream = connection.client.query(copyFrom(`copy ${table} (${names(columns)}) from stdin`))
    stream.end(lines)
    await finished(stream)
  })
}

function upsertOf(
  { sink, open }: Target<ApplyTable>,
  change: Change,
  rows: readonly number[],
  first: number,
  joined = '',
  stage?: string,
): Statement {
  const added = [sink.source, positionNumber(change.to)]
  const [source, position] = [`$${first}::text`, `$${first + 1}::bigint`]
  if (stage) return { text: upsert(open.table, `${stage} s${joined}`, source, position), values: added }
  const lists = change.columns.map((column) => pick(column, rows))
  const from = rowsOfTexts(sink.columns, first + 2) + joined
  return { text: upsert(open.table, from, source, position), values: [...added, ...lists] }
}

function removeOf({ sink, open }: Target<ApplyTable>, change: Change, rows: readonly number[], first: number, joined = ''): Statement {
  const keys = sink.columns.filter(({ item }) => item.key)
  const lists = sink.columns.flatMap(({ item }, i) => (item.key ? [pick(change.columns[i]!, rows)] : []))
  const marked = sink.deletes === 'mark' ? [positionNumber(change.to)] : []
  const from = rowsOfTexts(keys, first + 1 + marked.length) + joined
  const text = remove(open.table, from, `$${first}::text`, `$${first + 1}::bigint`)
  return { text, values: [sink.source, ...marked, ...lists] }
}

function pick(column: readonly Value[], rows: readonly number[]): Value[] {
  return rows.map((row) => column[row]!)
}

/** Keys as a FROM item named `s`. */
export function keysFrom(sink: SinkTable, keys: readonly Row[], first: number): { from: string; values: Value[][] } | undefined {
  const columns = sink.columns.filter(({ item }) => item.key)
  if (keys.length === 0) return undefined
  return { from: rowsOfTexts(columns, first), values: columns.map((_, i) => keys.map((key) => key[i]!)) }
}

export class PostgresWriter implements BatchWriter {
  readonly #connection: Connection
  readonly #target: Target<ApplyTable>
  readonly #batch: CopyBatch

  constructor(connection: Connection, target: Target<ApplyTable>, batch: CopyBatch) {
    this.#connection = connection
    this.#target = target
    this.#batch = batch
  }

  async write({ op, from, to }: Piece): Promise<Written> {
    const { change } = this.#batch
    const rows = this.#batch[op].slice(from, to)
    const { text, values } = op === 'upserts' ? upsertOf(this.#target, change, rows, 1) : removeOf(this.#target, change, rows, 1)
    return { rows: (await this.#connection.result(text, values, false)).changed }
  }

  async removeOlder(began: Position, keys: readonly Row[]): Promise<number> {
    const { sink, open } = this.#target
    const marked = sink.deletes === 'mark' ? [positionNumber(this.#batch.change.to)] : []
    const kept = keysFrom(sink, keys, 3 + marked.length)
    const text = removeOlder(open.table, '$1', '$2::bigint', '$3::bigint', kept?.from)
    const values = [sink.source, positionNumber(began), ...marked, ...(kept?.values ?? [])]
    return (await this.#connection.result(text, values, false)).changed
  }
}

/** Tables of the session alone, which COPY fills, by their definition; their rows go with the transaction. */
export class Stages {
  readonly #connection: Connection
  readonly #made = new Map<string, string>()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async of({ columns }: SinkTable): Promise<string> {
    const definition = stageTable('', columns)
    const known = this.#made.get(definition)
    if (known) return known
    const stage = `qz_stage_${this.#made.size}`
    await this.#connection.script(stageTable(stage, columns))
    this.#made.set(definition, stage)
    return stage
  }

  async fill(stage: string, { columns }: SinkTable, lines: Buffer): Promise<void> {
    await copyInto(
      this.#connection,
      stage,
      columns.map(({ column }) => column),
      lines,
    )
  }
}
