/** Delivery into a SQLite file: what only SQLite does with delivered tables. The rest is the bookkeeper's. */
import { createHash } from 'node:crypto'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { positionNumber, type Position } from '../../../protocol/position.ts'
import { addedColumns, type Change, type Part, type Reading, type Row, type SinkTable } from '../../database.ts'
import { keyAt, prepareBatch, type PreparedBatch } from '../bookkeeping/batch.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import type { BatchWriter, EndedColumn, Piece, Shape, SinkEngine, TableFacts, Target, Written } from '../bookkeeping/sink-engine.ts'
import { bookSession, dialect, hasBooks, makeBooks } from './books.ts'
import { findColumn, readTable, unfit, type Table } from './catalog.ts'
import { SqliteReading } from './reading.ts'
import { isConflict, isContention, isOfStatement, type Session } from './session.ts'
import {
  addColumn,
  addedDefinitions,
  deliveredTable,
  deliveryFault,
  keyColumns,
  keyIndex,
  names,
  quoteName,
  quoteText,
  stored,
} from './sql.ts'
import { canHold } from './types.ts'

/** A delivered table's name as it is in the file, and the columns of its key. */
interface ApplyTable extends TableFacts {
  name: string
  key: readonly string[]
}

const { source: sourceColumn, position: positionColumn, received: receivedColumn, deleted: deletedColumn } = addedColumns

export class SqliteSinks implements SinkEngine<ApplyTable> {
  readonly session
  readonly dialect = dialect
  readonly transactionalDdl = true
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
    this.session = bookSession(session)
  }

  makeBooks(): Promise<void> {
    return makeBooks(this.#session)
  }

  hasBooks(): Promise<boolean> {
    return hasBooks(this.#session)
  }

  partTable({ table, route }: Pick<SinkTable, 'table' | 'route'>, part: Part): string {
    return part === 'live' ? table : `qz_shadow_${createHash('sha256').update(route).digest('hex').slice(0, 16)}`
  }

  async identity(table: string): Promise<string | undefined> {
    return (await readTable(this.#session, table))?.name
  }

  async wasDelivered(table: string): Promise<boolean> {
    const found = await readTable(this.#session, table)
    return found !== undefined && findColumn(found, positionColumn) !== undefined
  }

  async follow(sink: SinkTable, changed: boolean): Promise<void> {
    if (changed) await this.#followItems(sink)
    await this.#addMissing(sink, sink.table)
    const table = await this.#need(sink, sink.table)
    if (keyOf(sink, table)) return
    if (
      !keyOf({ ...sink, shared: false }, table) &&
      (await this.#session.rows(`select 1 from ${quoteName(table.name)} limit 1`)).length > 0
    )
      throw unfit(sink, otherKey(sink))
    await this.#exchangeKey(sink, table, table.uniques[0]?.columns ?? [])
  }

  async #followItems(sink: SinkTable): Promise<void> {
    const table = await this.#need(sink, sink.table)
    for (const mapped of sink.columns) if (!findColumn(table, mapped.column)) await this.#session.run(addColumn(table.name, mapped))
  }

  /** Every unique index over the former key goes: rows of the new key would meet it. */
  async #exchangeKey(sink: SinkTable, table: Table, former: readonly string[]): Promise<void> {
    const items = (columns: readonly string[]) =>
      columns
        .map((column) => column.toLowerCase())
        .filter((column) => column !== sourceColumn)
        .toSorted()
        .join()
    for (const { name, columns } of table.uniques) {
      if (items(columns) !== items(former)) continue
      if (name === '' || name.startsWith('sqlite_autoindex'))
        throw unfit(sink, {
          zh: `主键 (${columns.join(', ')}) 写在表的定义中，不能更换`,
          en: `its primary key (${columns.join(', ')}) is part of its definition and cannot be exchanged`,
        })
      await this.#session.run(`drop index ${quoteName(name)}`)
    }
    await this.#session.run(keyIndex(sink, table.name))
  }

  async #addMissing(sink: SinkTable, name: string): Promise<void> {
    const table = await this.#need(sink, name)
    for (const { column, definition } of addedDefinitions(sink))
      if (!findColumn(table, column)) await this.#session.run(`alter table ${quoteName(table.name)} add column ${column} ${definition}`)
  }

  async #need(sink: SinkTable, name: string): Promise<Table> {
    const found = await readTable(this.#session, name)
    if (!found) throw unfit(sink, { zh: '不存在', en: 'it does not exist' })
    return found
  }

  async provide(sink: SinkTable, part: Part): Promise<ApplyTable> {
    const name = this.partTable(sink, part)
    if ((await this.identity(name)) === undefined) for (const statement of deliveredTable(sink, name)) await this.#session.run(statement)
    await this.#addMissing(sink, name)
    return this.#checked(sink, name)
  }

  async #checked(sink: SinkTable, name: string): Promise<ApplyTable> {
    const table = await this.#need(sink, name)
    const triggers = await this.#session.rows(
      `select 1 from sqlite_schema where type = 'trigger' and lower(tbl_name) = lower(${quoteText(name)}) and name not like 'qz\\_%' escape '\\'`,
    )
    return checked(sink, table, triggers.length > 0)
  }

  /** A column that was exchanged stands in another place; a table that was made anew has other statements. */
  async shapeOf(sink: SinkTable, part: Part): Promise<Shape> {
    const table = await this.#need(sink, this.partTable(sink, part))
    const filled = [...sink.columns.map(({ column }) => column), ...addedDefinitions(sink).map(({ column }) => column)]
    const own = table.columns.flatMap(({ column, type, generated }, place) =>
      filled.some((name) => name.toLowerCase() === column.toLowerCase()) ? [[place, column, type, generated]] : [],
    )
    const triggers = await this.#session.rows(
      `select sql from sqlite_schema where type = 'trigger' and lower(tbl_name) = lower(${quoteText(table.name)}) order by name`,
    )
    return { own: JSON.stringify(own), whole: JSON.stringify([table.made, table.columns, triggers.map(String)]) }
  }

  async drop(table: string): Promise<void> {
    await this.#session.run(`drop table if exists ${quoteName(table)}`)
  }

  async makeShadow(sink: SinkTable): Promise<void> {
    for (const statement of deliveredTable(sink, this.partTable(sink, 'shadow'))) await this.#session.run(statement)
  }

  async #holdsOthers(sink: SinkTable): Promise<boolean> {
    const sql = `select 1 from ${quoteName(sink.table)} where ${sourceColumn} is not ? limit 1`
    return (await this.#session.rows(sql, [sink.source])).length > 0
  }

  async followShadow(sink: SinkTable, { keys, columns }: StoredState): Promise<ApplyTable> {
    await this.#followItems(sink)
    await this.#addMissing(sink, sink.table)
    const table = await this.#need(sink, sink.table)
    if (!keyOf(sink, table)) {
      if (await this.#holdsOthers(sink)) throw unfit(sink, otherKey(sink))
      await this.#session.run(`delete from ${quoteName(table.name)}`)
      const former = keys?.flatMap((id) => columns[id] ?? []) ?? table.uniques[0]?.columns ?? []
      await this.#exchangeKey(sink, table, former)
    }
    return this.#checked(sink, sink.table)
  }

  async empty(sink: SinkTable, columns: readonly string[]): Promise<void> {
    const nulls = columns.map((column) => `${quoteName(column)} = null`).join(', ')
    await this.#session.run(`update ${quoteName(sink.table)} set ${nulls} where ${sourceColumn} = ?`, [sink.source])
  }

  async replaceRows(sink: SinkTable, table: ApplyTable, { position, kept }: Parameters<SinkEngine['replaceRows']>[2]): Promise<number> {
    const { name, key } = table
    const shadow = quoteName(this.partTable(sink, 'shadow'))
    const keys = keyColumns(sink.columns)
    const gone = `not exists (select 1 from ${shadow} s where ${keys.map((column) => `s.${quoteName(column)} = t.${quoteName(column)}`).join(' and ')})`
    const spared = sparing(sink, kept)
    await this.#session.run(`${removal(sink, name, positionNumber(position))} and ${gone}${spared.text}`, [sink.source, ...spared.values])
    const columns = [...sink.columns.map(({ column }) => column), ...addedDefinitions(sink).map(({ column }) => column)]
    const changed = columns
      .filter((column) => !key.includes(column.toLowerCase()))
      .map((column) => `${quoteName(column)} = excluded.${quoteName(column)}`)
    return this.#session.run(
      `insert into ${quoteName(name)} (${names(columns)}) select ${names(columns)} from ${shadow} where true
       on conflict (${names(key)}) do update set ${changed.join(', ')}${ownRow(sink, name)}`,
    )
  }

  /** Also those that must not be null: their NOT NULL was the former key's. */
  async emptiable(sink: SinkTable, ended: readonly EndedColumn[]): Promise<EndedColumn[]> {
    const table = await this.#need(sink, sink.table)
    return ended.filter(({ column }) => findColumn(table, column)?.notNull === false)
  }

  /** One that an index, a trigger or a view of the receiver's own needs stays, empty. */
  async dropColumns(sink: SinkTable, columns: readonly string[]): Promise<void> {
    for (const column of columns) {
      try {
        await this.#session.run(`alter table ${quoteName(sink.table)} drop column ${quoteName(column)}`)
      } catch (error) {
        if (error instanceof QianzhiError) throw error
      }
    }
  }

  prepare(sink: SinkTable, change: Change): PreparedBatch {
    return prepareBatch(sink, change, (item) => (value) => deliveryFault(item, value))
  }

  async writer(target: Target<ApplyTable>, batch: PreparedBatch): Promise<BatchWriter> {
    return new SqliteWriter(this.#session, target, batch)
  }

  async removeSome(name: string, source: string, limit: number, past?: number): Promise<number> {
    const table = await readTable(this.#session, name)
    if (!table || !findColumn(table, sourceColumn)) return 0
    const some = `select rowid from ${quoteName(table.name)} where ${sourceColumn} = ?${past === undefined ? '' : ' order by rowid desc'} limit ${limit} offset ${past ?? 0}`
    return this.#session.run(`delete from ${quoteName(table.name)} where rowid in (${some})`, [source])
  }

  reading(): Reading {
    return new SqliteReading(this.#session)
  }

  unfit(sink: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
    return unfit(sink, reason, cause)
  }

  tableError(sink: SinkTable, error: unknown): unknown {
    return isOfStatement(error) ? unfit(sink, reasonOf(error), error) : error
  }

  isConflict(error: unknown): boolean {
    return isConflict(error)
  }

  isContention(error: unknown): boolean {
    return isContention(error)
  }
}

/** The unique index over the key items, or over them and the source: no other where several sources fill the table. */
function keyOf(sink: SinkTable, table: Table): string[] | undefined {
  const keys = keyColumns(sink.columns).map((column) => column.toLowerCase())
  return table.uniques
    .map(({ columns }) => columns.map((column) => column.toLowerCase()))
    .find(
      (columns) =>
        keys.every((key) => columns.includes(key)) &&
        columns.every((column) => keys.includes(column) || column === sourceColumn) &&
        (!sink.shared || columns.includes(sourceColumn)),
    )
}

function checked(sink: SinkTable, table: Table, triggers: boolean): ApplyTable {
  if (table.view) throw unfit(sink, { zh: '是视图', en: 'it is a view' })
  for (const { item, column } of sink.columns) {
    const found = findColumn(table, column)
    if (!found) throw unfit(sink, { zh: `缺少列 ${column}`, en: `it has no column ${column}` })
    if (found.generated) throw unfit(sink, { zh: `列 ${column} 由数据库计算`, en: `column ${column} is filled by the database` })
    if (!canHold(item, found))
      throw unfit(sink, {
        zh: `列 ${column}（${found.type}）不能无损保存 ${item.id}`,
        en: `column ${column} (${found.type}) cannot hold ${item.id} (${item.type}) without loss`,
      })
  }
  const ours = new Set([...sink.columns, ...addedDefinitions(sink)].map(({ column }) => column.toLowerCase()))
  const foreign = table.columns.find(
    ({ column, notNull, defaulted, generated }) => notNull && !defaulted && !generated && !ours.has(column.toLowerCase()),
  )
  if (foreign)
    throw unfit(sink, {
      zh: `列 ${foreign.column} 必须有值，而本系统不填`,
      en: `column ${foreign.column} needs a value that is not delivered`,
    })
  const key = keyOf(sink, table)
  if (!key) {
    const list = keyColumns(sink.columns).join(', ')
    throw unfit(sink, { zh: `没有恰好由 (${list}) 组成的主键或唯一索引`, en: `no primary key or unique index over exactly (${list})` })
  }
  const held = new Set(table.contested)
  const contested = sink.columns.flatMap(({ item, column }) => {
    const name = column.toLowerCase()
    return held.has(name) && !key.includes(name) ? [{ item: item.id, nullable: !findColumn(table, column)!.notNull }] : []
  })
  return { name: table.name, key, contested, readBack: triggers ? sink.columns : undefined }
}

/** An upsert writes over a row only where it is this source's and has its very key: the index may compare more loosely. */
function ownRow({ columns, takeOver }: Pick<SinkTable, 'columns' | 'takeOver'>, name: string): string {
  const there = (column: string) => `${quoteName(name)}.${quoteName(column)}`
  const same = keyColumns(columns).map((column) => `${there(column)} = excluded.${quoteName(column)} collate binary`)
  if (!takeOver) same.push(`${there(sourceColumn)} is excluded.${sourceColumn}`)
  return ` where ${same.join(' and ')}`
}

/** Removes, or marks, rows `t` of the source that is the first value; to be continued by further conditions. */
function removal({ deletes }: SinkTable, name: string, position: string): string {
  const where = `where t.${sourceColumn} = ?`
  if (deletes === 'remove') return `delete from ${quoteName(name)} as t ${where}`
  return `update ${quoteName(name)} as t set ${deletedColumn} = 1, ${positionColumn} = ${position}, ${receivedColumn} = ${dialect.now} ${where} and t.${deletedColumn} = 0`
}

function sparing({ columns }: SinkTable, keys: readonly Row[]) {
  if (keys.length === 0) return { text: '', values: [] }
  const items = columns.filter(({ item }) => item.key)
  const lines = keys.map(() => `(${items.map(() => '?').join(', ')})`)
  const list = names(
    items.map(({ column }) => column),
    't.',
  )
  return {
    text: ` and (${list}) not in (values ${lines.join(', ')})`,
    values: keys.flatMap((key) => items.map(({ item }, i) => stored(item, key[i]!))),
  }
}

class SqliteWriter implements BatchWriter {
  readonly #session: Session
  readonly #sink: SinkTable
  readonly #table: ApplyTable
  readonly #batch: PreparedBatch
  readonly #position: string

  constructor(session: Session, { sink, open }: Target<ApplyTable>, batch: PreparedBatch) {
    this.#session = session
    this.#sink = sink
    this.#table = open.table
    this.#batch = batch
    this.#position = positionNumber(batch.change.to)
  }

  /** Row by row: there is no way to a server that would have to be spared. */
  async write({ op, from, to }: Piece): Promise<Written> {
    let rows = 0
    for (const row of this.#batch[op].slice(from, to)) rows += await (op === 'upserts' ? this.#upsert(row) : this.#remove(row))
    return { rows }
  }

  #upsert(row: number): Promise<number> {
    const { columns, deletes, source } = this.#sink
    const added =
      deletes === 'mark' ? [sourceColumn, positionColumn, receivedColumn, deletedColumn] : [sourceColumn, positionColumn, receivedColumn]
    const all = [...columns.map(({ column }) => column), ...added]
    const changed = all
      .filter((column) => !this.#table.key.includes(column.toLowerCase()))
      .map((column) => `${quoteName(column)} = excluded.${quoteName(column)}`)
    const places = [...columns.map(() => '?'), '?', this.#position, dialect.now, ...(deletes === 'mark' ? ['0'] : [])]
    return this.#session.run(
      `insert into ${quoteName(this.#table.name)} (${names(all)}) values (${places.join(', ')})
       on conflict (${names(this.#table.key)}) do update set ${changed.join(', ')}${ownRow(this.#sink, this.#table.name)}`,
      [...columns.map(({ item }, i) => stored(item, this.#batch.change.columns[i]![row]!)), source],
    )
  }

  #remove(row: number): Promise<number> {
    const keys = this.#sink.columns.filter(({ item }) => item.key)
    const key = keyAt(this.#sink, this.#batch.change, row)
    const same = keys.map(({ column }) => ` and t.${quoteName(column)} = ? collate binary`).join('')
    const values = keys.map(({ item }, i) => stored(item, key[i]!))
    return this.#session.run(`${removal(this.#sink, this.#table.name, this.#position)}${same}`, [this.#sink.source, ...values])
  }

  removeOlder(began: Position, kept: readonly Row[]): Promise<number> {
    const spared = sparing(this.#sink, kept)
    const older = ` and t.${positionColumn} < ${positionNumber(began)}${spared.text}`
    return this.#session.run(`${removal(this.#sink, this.#table.name, this.#position)}${older}`, [this.#sink.source, ...spared.values])
  }
}
