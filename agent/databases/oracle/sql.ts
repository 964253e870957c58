/**
 * How a schema becomes Oracle tables: DDL and apply statements as text. Pure: no connection, no I/O.
 *
 * Names: what is configured in plain lower case means what SQL written without quotation marks means, an upper-case name; any other name
 * is made as it is written. Statements always quote. Empty text is null on Oracle.
 */
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Item, Schema } from '../../../protocol/schema.ts'
import { valueFault, type Value, type ValueLimits } from '../../../protocol/value.ts'

export interface TableColumn {
  item: Item
  column: string
}

/** What differs between databases. Where the character set is not AL32UTF8, texts lie in national columns (NVARCHAR2, NCLOB). */
export interface Flavour {
  unicode: boolean
}

/** How a column's values are written and compared. */
export type ColumnKind =
  | 'text'
  | 'ntext'
  | 'char'
  | 'nchar'
  | 'clob'
  | 'nclob'
  | 'number'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'localtime'
  | 'interval'
  | 'blob'

/** The name that a configured one is made as. */
export function madeName(name: string): string {
  return /^[a-z][a-z0-9_$#]*$/.test(name) ? name.toUpperCase() : name
}

/** How a name of the catalogue is configured, and shown. */
export function shownName(name: string): string {
  return /^[A-Z][A-Z0-9_$#]*$/.test(name) ? name.toLowerCase() : name
}

/** An exact name. Oracle's names cannot hold a quotation mark. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '')}"`
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** `table` or `owner.table` as configured. */
export function splitTable(table: string): string[] {
  const dot = table.indexOf('.')
  return dot < 0 ? [table] : [table.slice(0, dot), table.slice(dot + 1)]
}

/** Of a table that is to be made. */
export function quoteTable(table: string): string {
  return splitTable(table)
    .map((name) => quoteName(madeName(name)))
    .join('.')
}

export function names(columns: readonly string[], prefix = ''): string {
  return columns.map((column) => prefix + quoteName(column)).join(', ')
}

export function keyColumns<C extends TableColumn>(columns: readonly C[]): C[] {
  return columns.filter(({ item }) => item.key)
}

/** Longest text in a character column: each may take four of its 4,000 bytes. */
export const longestVarchar = 1000

/** Digits that a NUMBER keeps. */
export const numberDigits = 38

/** A national column counts UTF-16 units, of which a character may take two. */
export function textType(length: number | undefined, { unicode }: Flavour): string {
  if (length === undefined || length > longestVarchar) return unicode ? 'clob' : 'nclob'
  return unicode ? `varchar2(${length} char)` : `nvarchar2(${2 * length})`
}

/**
 * Column type of a portable value. There is no type for a time of day: an interval holds it. A key cannot hold a time zone (ORA-02329),
 * but it can hold a moment in the session's own.
 */
export function columnType(item: ValueLimits & Pick<Item, 'key'>, flavour: Flavour): string {
  switch (item.type) {
    case 'integer':
      return 'number(*,0)'
    case 'decimal': {
      const precision = item.precision ?? numberDigits
      return precision > numberDigits ? 'number' : `number(${precision},${item.scale ?? 0})`
    }
    case 'boolean':
      return 'number(1)'
    case 'date':
      return 'date'
    case 'timestamp':
      return 'timestamp(6)'
    case 'timestamptz':
      return item.key ? 'timestamp(6) with local time zone' : 'timestamp(6) with time zone'
    case 'time':
      return 'interval day(1) to second(6)'
    case 'binary':
      return 'blob'
    case 'json':
      return textType(undefined, flavour)
    case 'text':
      return textType(item.length, flavour)
  }
}

export const sourceColumn = 'QZ_SOURCE'
export const positionColumn = 'QZ_POSITION'
export const receivedColumn = 'QZ_RECEIVED_AT'
export const deletedColumn = 'QZ_DELETED'

export interface AddedColumn {
  column: string
  type: string
  comment: string
}

/** Columns that delivery adds: 注明出处, the stream's place, and when it came. */
export function addedColumns(deletes: 'remove' | 'mark'): AddedColumn[] {
  const columns = [
    { column: sourceColumn, type: 'varchar2(64 char)', comment: '数据来源机关' },
    { column: positionColumn, type: 'number(19)', comment: '交换批次位置' },
    { column: receivedColumn, type: 'timestamp(6) with time zone', comment: '接收时间' },
  ]
  if (deletes === 'mark') columns.push({ column: deletedColumn, type: 'number(1) default 0 not null', comment: '来源已删除' })
  return columns
}

/** `"NAME" type`, as it stands in CREATE TABLE and ALTER TABLE. */
export function columnDefinition({ item, column }: TableColumn, flavour: Flavour): string {
  return `${quoteName(madeName(column))} ${columnType(item, flavour)}`
}

export interface DeliveredTable {
  table: string
  schema: Schema
  columns: readonly TableColumn[]
  deletes: 'remove' | 'mark'
  /** Several sources fill it: theirs is the first column of the key. */
  shared: boolean
}

export function deliveredTable(sink: DeliveredTable, flavour: Flavour): string[] {
  const { columns, shared } = sink
  const added = addedColumns(sink.deletes)
  const lines = [
    ...columns.map((column) => columnDefinition(column, flavour) + (column.item.key ? ' not null' : '')),
    ...added.map(({ column, type }) => `${quoteName(column)} ${type}${shared && column === sourceColumn ? ' not null' : ''}`),
    deliveredKey(columns, shared),
  ]
  return [createTable(quoteTable(sink.table), lines), ...tableComments(sink, added)]
}

/** The source first: what concerns one source's rows then reads no others. */
export function deliveredKey(columns: readonly TableColumn[], shared: boolean): string {
  const keys = keyColumns(columns).map(({ column }) => madeName(column))
  return `primary key (${names(shared ? [sourceColumn, ...keys] : keys)})`
}

/** The table into which an agency writes what it supplies (Art. 15). A required text that is empty is refused there: it is null. */
export function supplyTable(table: string, schema: Schema, columns: readonly TableColumn[], flavour: Flavour): string[] {
  const lines = columns.map((column) => columnDefinition(column, flavour) + (column.item.key || column.item.required ? ' not null' : ''))
  return [createTable(quoteTable(table), [...lines, deliveredKey(columns, false)]), ...tableComments({ table, schema, columns }, [])]
}

function createTable(name: string, lines: readonly string[]): string {
  return unlessError(-955, `create table ${name} (\n  ${lines.join(',\n  ')}\n)`)
}

export function tableComments(
  { table, schema, columns }: Pick<DeliveredTable, 'table' | 'schema' | 'columns'>,
  added: readonly AddedColumn[],
): string[] {
  const comments = [...columns.map(({ item, column }) => ({ column: madeName(column), comment: item.label })), ...added]
  return [
    `comment on table ${quoteTable(table)} is ${quoteText(schema.title)}`,
    ...comments.map(({ column, comment }) => `comment on column ${quoteTable(table)}.${quoteName(column)} is ${quoteText(comment)}`),
  ]
}

/** A statement that may be repeated: an error of this number (-955 the name is taken, -942 there is no such table) is none. */
export function unlessError(number: number, statement: string): string {
  return `begin
  execute immediate ${quoteText(statement)};
exception when others then
  if sqlcode <> ${number} then raise; end if;
end;`
}

const momentFormat = `YYYY-MM-DD"T"HH24:MI:SS`

/** SQL that makes a column's value of a bound text (`bindText`). `length` of a CHAR column: compared padded, as the column is. */
export function fromText(kind: ColumnKind, bind: string, charType = 'char(2000 byte)'): string {
  switch (kind) {
    case 'number':
      return `to_number(${bind})`
    case 'date':
      return `to_date(${bind}, '${momentFormat}')`
    case 'timestamp':
      return `to_timestamp(${bind}, '${momentFormat}.FF6')`
    case 'timestamptz':
      return `to_timestamp_tz(${bind}, '${momentFormat}.FF6TZH:TZM')`
    case 'localtime':
      return `cast(to_timestamp_tz(${bind}, '${momentFormat}.FF6TZH:TZM') as timestamp(6) with local time zone)`
    case 'interval':
      return `to_dsinterval(${bind})`
    case 'char':
    case 'nchar':
      return `cast(${bind} as ${charType})`
    default:
      return bind
  }
}

/** The text that `fromText` turns into the value; bytes for a binary one. Empty text is null, an empty BLOB is not. */
export function bindText(kind: ColumnKind, { type }: ValueLimits, value: Value): string | Buffer | null {
  if (value === null) return null
  switch (kind) {
    case 'number':
      return type === 'boolean' ? (value === 'true' ? '1' : value === 'false' ? '0' : value) : value
    case 'date':
      return value.length === 10 ? `${value}T00:00:00` : value
    case 'timestamp':
      return sixDigits(value)
    case 'timestamptz':
    case 'localtime':
      return `${sixDigits(value.replace(/Z$/, ''))}+00:00`
    case 'interval':
      return `0 ${value}`
    case 'blob':
      return Buffer.from(value, 'base64')
    default:
      return value === '' ? null : value
  }
}

function sixDigits(moment: string): string {
  const point = moment.indexOf('.')
  return point < 0 ? `${moment}.000000` : moment.padEnd(point + 7, '0')
}

/** Why the value may not go to the server, which would round, shorten or misread it without an error, or hold it for null. */
export function deliveryFault(item: Item, value: Value): LocalizedText | undefined {
  if (value === null) return item.key ? { zh: '主键为空', en: 'the key is null' } : undefined
  if (item.type === 'text' && value === '') {
    return item.key || item.required
      ? { zh: '必填，但为空文本，Oracle 视为空值', en: 'is an empty text, which Oracle holds for null, and must have a value' }
      : undefined
  }
  if (item.type === 'json' && value === '') return { zh: '不是 JSON', en: 'is not JSON' }
  const fault = valueFault(item, value)
  if (fault || item.type !== 'decimal') return fault
  return value.replace(/^-?0*|\./g, '').length > numberDigits
    ? { zh: `超过 ${numberDigits} 位数字`, en: `has more than ${numberDigits} digits` }
    : undefined
}
