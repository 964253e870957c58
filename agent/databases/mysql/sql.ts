/** How a schema becomes MySQL and MariaDB tables: DDL and apply statements as text. Pure: no connection, no I/O. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Item, Schema } from '../../../protocol/schema.ts'
import { valueFault, type Value, type ValueLimits } from '../../../protocol/value.ts'
import type { TableFacts } from '../bookkeeping/sink-engine.ts'

export interface TableColumn {
  item: Item
  column: string
}

/** What differs between the servers. A binary NO PAD collation keeps case, accents and trailing spaces of keys apart. */
export interface Flavour {
  binaryCollation: 'utf8mb4_nopad_bin' | 'utf8mb4_0900_bin' | 'utf8mb4_bin'
}

export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

const escapes: Record<string, string> = { "'": "''", '\\': '\\\\', '\0': '\\0', '\n': '\\n', '\r': '\\r', '\u001a': '\\Z' }

/** A text literal for sessions without NO_BACKSLASH_ESCAPES. */
export function quoteText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return /['\\\0\n\r\u001a]/.test(text) ? `'${text.replace(/['\\\0\n\r\u001a]/g, (found) => escapes[found]!)}'` : `'${text}'`
}

/** `table` or `database.table` as configured. */
export function splitTable(table: string): string[] {
  const dot = table.indexOf('.')
  return dot < 0 ? [table] : [table.slice(0, dot), table.slice(dot + 1)]
}

export function quoteTable(table: string): string {
  return splitTable(table).map(quoteName).join('.')
}

export function names(columns: readonly string[], prefix = ''): string {
  return columns.map((column) => prefix + quoteName(column)).join(', ')
}

export function keyColumns<C extends TableColumn>(columns: readonly C[]): C[] {
  return columns.filter(({ item }) => item.key)
}

/** Column type of a portable value. `timestamptz` is datetime holding UTC: TIMESTAMP ends in 2038. */
function plainType(limits: ValueLimits): string {
  switch (limits.type) {
    case 'integer':
      return 'bigint'
    case 'decimal':
      return `decimal(${limits.precision ?? 38},${limits.scale ?? 0})`
    case 'boolean':
      return 'tinyint(1)'
    case 'date':
      return 'date'
    case 'timestamp':
    case 'timestamptz':
      return 'datetime(6)'
    case 'time':
      return 'time(6)'
    case 'binary':
      return 'longblob'
    default:
      return 'longtext'
  }
}

/** Bytes that a server allows for the declared widths of one row, less what the columns that delivery adds may take. */
const rowBytes = 60_000
/** Longer texts are longtext: a table of many such columns would not fit otherwise. */
const longestVarchar = 1000

/** Types of all columns together: texts are varchar as long as the declared row stays within the server's 65,535 bytes. */
export function columnTypes(columns: readonly TableColumn[], flavour: Flavour): string[] {
  let left = rowBytes - 40 * columns.length
  const width = (item: Item) => 4 * (item.length ?? Infinity) + 2
  for (const { item } of keyColumns(columns)) if (item.type === 'text') left -= width(item)
  return columns.map(({ item }) => {
    if (item.type !== 'text') return plainType(item)
    if (item.key) return `varchar(${item.length}) character set utf8mb4 collate ${flavour.binaryCollation}`
    const fits = item.length !== undefined && item.length <= longestVarchar && width(item) <= left
    if (fits) left -= width(item)
    return `${fits ? `varchar(${item.length})` : 'longtext'} character set utf8mb4`
  })
}

export const sourceColumn = 'qz_source'
export const positionColumn = 'qz_position'
export const receivedColumn = 'qz_received_at'
export const deletedColumn = 'qz_deleted'

/** Columns that delivery adds: 注明出处, the stream's place, and when it came (UTC). */
export function addedColumns(deletes: 'remove' | 'mark'): { column: string; definition: string }[] {
  const columns = [
    { column: sourceColumn, definition: `varchar(64) character set utf8mb4 comment '数据来源机关'` },
    { column: positionColumn, definition: `bigint comment '交换批次位置'` },
    { column: receivedColumn, definition: `datetime(6) comment '接收时间（UTC）'` },
  ]
  if (deletes === 'mark') columns.push({ column: deletedColumn, definition: `tinyint(1) not null default 0 comment '来源已删除'` })
  return columns
}

/** Definitions of the items' columns, in order. */
export function columnDefinitions(columns: readonly TableColumn[], flavour: Flavour, required = false): string[] {
  const types = columnTypes(columns, flavour)
  return columns.map(({ item, column }, i) => {
    const notNull = item.key || (required && item.required) ? ' not null' : ''
    const label = item.type === 'timestamptz' ? `${item.label}(UTC)` : item.label
    return `${quoteName(column)} ${types[i]!}${notNull} comment ${quoteText(label)}`
  })
}

export interface DeliveredTable {
  table: string
  schema: Schema
  columns: readonly TableColumn[]
  deletes: 'remove' | 'mark'
  /** Several sources fill it: theirs is the first column of the key. */
  shared: boolean
}

export function deliveredTable(sink: DeliveredTable, flavour: Flavour): string {
  const added = addedColumns(sink.deletes).map(({ column, definition }) => {
    return `${quoteName(column)} ${sink.shared && column === sourceColumn ? keySource : definition}`
  })
  const key = deliveredKey(sink.columns, sink.shared)
  return createTable(sink.table, sink.schema, key, [...columnDefinitions(sink.columns, flavour), ...added])
}

/** The source's definition where it is part of the key. */
export const keySource = `varchar(64) character set ascii collate ascii_bin not null comment '数据来源机关'`

/** The source first: what concerns one source's rows then reads no others. */
export function deliveredKey(columns: readonly TableColumn[], shared: boolean): string {
  const keys = keyColumns(columns).map(({ column }) => column)
  return `primary key (${names(shared ? [sourceColumn, ...keys] : keys)})`
}

/** The table into which an agency writes what it supplies (Art. 15). */
export function supplyTable(table: string, schema: Schema, columns: readonly TableColumn[], flavour: Flavour): string {
  return createTable(table, schema, deliveredKey(columns, false), columnDefinitions(columns, flavour, true))
}

function createTable(table: string, schema: Schema, key: string, lines: readonly string[]): string {
  return `create table if not exists ${quoteTable(table)} (\n  ${[...lines, key].join(',\n  ')}\n)
engine=InnoDB row_format=dynamic default character set utf8mb4 comment=${quoteText(schema.title)}`
}

/** SQL literal of a checked portable value. Digits stay bare, so that an index on numbers is used; the `T` of a timestamp is understood. */
export function literal({ type }: ValueLimits, value: Value): string {
  if (value === null) return 'null'
  switch (type) {
    case 'integer':
    case 'decimal':
      return /^-?\d+(\.\d+)?$/.test(value) ? value : quoteText(value)
    case 'boolean':
      return value === 'true' ? '1' : value === 'false' ? '0' : quoteText(value)
    case 'timestamptz':
      return quoteText(value.endsWith('Z') ? value.slice(0, -1) : value)
    case 'binary':
      return `x'${Buffer.from(value, 'base64').toString('hex')}'`
    default:
      return quoteText(value)
  }
}

const lineEscapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** The value as a field of a LOAD DATA line: tab-separated, backslash-escaped, binary in hexadecimal. */
export function lineField({ type }: ValueLimits): (value: string) => string {
  if (type === 'boolean') return (value) => (value === 'true' ? '1' : '0')
  if (type === 'timestamptz') return (value) => value.slice(0, -1)
  if (type === 'binary') return (value) => Buffer.from(value, 'base64').toString('hex')
  if (type !== 'text' && type !== 'json') return (value) => value
  return (value) => (/[\\\t\n\r]/.test(value) ? value.replace(/[\\\t\n\r]/g, (found) => lineEscapes[found]!) : value)
}

/** Why the value may not go to the server, which would round, clip or misread it without an error. Texts it checks itself. */
export function deliveryFault(item: Item, value: Value): LocalizedText | undefined {
  if (value === null) return item.key ? { zh: '主键为空', en: 'the key is null' } : undefined
  return item.type === 'text' || item.type === 'json' ? undefined : valueFault(item, value)
}

/**
 * That the columns hold one of these keys, in the columns' own types and collations, so that their index is used. Never a list of tuples:
 * the server finds nothing for `(a, b) in (('东莞', 1), ('莞城', 1))` where `a` is GBK, Big5, Latin-1, UCS-2 or UTF-16.
 */
export function keyIn(columns: readonly string[], keys: readonly (readonly string[])[]): string {
  if (columns.length === 1) return `${columns[0]!} in (${keys.map((key) => key[0]!).join(', ')})`
  return `(${keys.map((key) => keyIs(columns, key)).join(' or ')})`
}

export function keyIs(columns: readonly string[], key: readonly string[]): string {
  return columns.map((column, i) => `${column} = ${key[i]!}`).join(' and ')
}

/** A text as one of a column's: in its character set, where a character that this lacks becomes another, and compared by its collation. */
export function columnText(text: string, { charset, collation }: { charset?: string; collation?: string }): string {
  if (charset === undefined || charset.startsWith('utf8')) return text
  return `convert(${text} using ${charset})${collation === undefined ? '' : ` collate ${collation}`}`
}

/** Keyset condition as OR of prefixes: row comparison `(a, b) > (x, y)` does not use an index here. */
export function keyAfter(columns: readonly string[], key: readonly string[]): string {
  return columns
    .map(
      (column, i) => `(${[...columns.slice(0, i).map((before, j) => `${before} = ${key[j]!}`), `${column} > ${key[i]!}`].join(' and ')})`,
    )
    .join(' or ')
}

/** What the statements of one delivered table need to know of it. */
export interface ApplyTable {
  /** Quoted. */
  name: string
  columns: readonly (TableColumn & { charset?: string; collation?: string })[]
  /** Names of the unique index's columns: never changed by an upsert. */
  key: readonly string[]
  deletes: 'remove' | 'mark'
  /** Agency code. */
  source: string
  /** Rows of another source, or of none, with the same key are written over too. */
  takeOver: boolean
  contested: TableFacts['contested']
  /** LOAD DATA would take the digits of a BIT for its bytes. */
  staged: boolean
  readBack: TableFacts['readBack']
}

/**
 * Upsert of `rows`: `values (…), (…)` or `select … from stage`, in the order of the written columns. The server updates the row that it meets by
 * any unique index: where that has not this key, byte by byte, and this source, its key would become null, which is refused (`isGuarded`).
 */
export function upsert(table: ApplyTable, rows: string): string {
  const written = [...table.columns.map(({ column }) => column), ...addedColumns(table.deletes).map(({ column }) => column)]
  const there = (column: string) => `${table.name}.${quoteName(column)}`
  const changed = written
    .filter((column) => !table.key.some((key) => key.toLowerCase() === column.toLowerCase()))
    .map((column) => `${there(column)} = values(${quoteName(column)})`)
  const keys = keyColumns(table.columns)
  const same = [
    ...keys.map(({ item, column }) => {
      const bytes = (text: string) => (item.type === 'text' ? `cast(convert(${text} using utf8mb4) as binary)` : text)
      return `${bytes(there(column))} = ${bytes(`values(${quoteName(column)})`)}`
    }),
    ...(table.takeOver ? [] : [`${there(sourceColumn)} <=> values(${sourceColumn})`]),
  ]
  const guard = `${there(keys[0]!.column)} = if(${same.join(' and ')}, ${there(keys[0]!.column)}, null)`
  return `insert into ${table.name} (${names(written)}) ${rows} on duplicate key update ${[guard, ...changed].join(', ')}`
}

/** A plain insert of the same rows: tells which unique index they meet. */
export function insert(table: ApplyTable, rows: string): string {
  const written = [...table.columns.map(({ column }) => column), ...addedColumns(table.deletes).map(({ column }) => column)]
  return `insert into ${table.name} (${names(written)}) ${rows}`
}

/** What the added columns hold, in the order of `upsert`. */
export function addedValues(table: ApplyTable, position: string): string {
  return `${quoteText(table.source)}, ${position}, utc_timestamp(6)${table.deletes === 'mark' ? ', 0' : ''}`
}

/** Removes, or marks, at most `limit` of this source's rows that fulfil a condition. */
export function remove(table: ApplyTable, condition: string, position: string, limit?: number): string {
  const where = `where ${sourceColumn} = ${quoteText(table.source)} and ${condition}`
  const most = limit === undefined ? '' : ` limit ${limit}`
  if (table.deletes === 'remove') return `delete from ${table.name} ${where}${most}`
  return `update ${table.name} set ${deletedColumn} = 1, ${positionColumn} = ${position}, ${receivedColumn} = utc_timestamp(6) ${where} and ${deletedColumn} = 0${most}`
}
