/** How a schema becomes SQLite tables. Pure: no connection, no I/O. */
import { createHash } from 'node:crypto'
import type { SQLInputValue } from 'node:sqlite'
import type { Item, Schema } from '../../../protocol/schema.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { valueFault, type Value, type ValueLimits } from '../../../protocol/value.ts'
import { addedColumns, type MappedColumn, type SinkTable } from '../../database.ts'

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export function names(columns: readonly string[], prefix = ''): string {
  return columns.map((column) => prefix + quoteName(column)).join(', ')
}

export function keyColumns(columns: readonly MappedColumn[]): string[] {
  return columns.filter(({ item }) => item.key).map(({ column }) => column)
}

/** Digits that a number of eight bytes holds exactly: SQLite keeps a NUMERIC column's values so. */
export const exactDigits = 15

/** Declared type; what SQLite makes of it is its affinity (sqlite.org/datatype3.html). */
function columnType({ type, length, precision = 38, scale = 0 }: ValueLimits): string {
  if (type === 'text') return length === undefined ? 'text' : `varchar(${length})`
  if (type === 'decimal' && precision <= exactDigits) return `decimal(${precision},${scale})`
  if (type === 'timestamp') return 'datetime'
  if (type === 'binary') return 'blob'
  return type === 'integer' || type === 'boolean' || type === 'date' || type === 'time' ? type : 'text'
}

function definition({ item, column }: MappedColumn): string {
  return `${quoteName(column)} ${columnType(item)}`
}

/** The columns that delivery adds. */
export function addedDefinitions({ deletes }: Pick<SinkTable, 'deletes'>): { column: string; definition: string }[] {
  const { source, position, received, deleted } = addedColumns
  const columns = [
    { column: source, definition: 'text' },
    { column: position, definition: 'integer' },
    { column: received, definition: 'text' },
  ]
  return deletes === 'mark' ? [...columns, { column: deleted, definition: 'integer not null default 0' }] : columns
}

/** An index stands for the primary key, and no column is NOT NULL: SQLite can take neither back when a later version has another key. */
export function deliveredTable(sink: SinkTable, table: string): string[] {
  const lines = [...sink.columns.map(definition), ...addedDefinitions(sink).map(({ column, definition }) => `${column} ${definition}`)]
  return [`create table ${quoteName(table)} (\n  ${lines.join(',\n  ')}\n)`, keyIndex(sink, table)]
}

/** The source first: what concerns one source's rows then reads no others. */
export function keyIndex({ columns, shared }: Pick<SinkTable, 'columns' | 'shared'>, table: string): string {
  const key = [...(shared ? [addedColumns.source] : []), ...keyColumns(columns)]
  const name = `qz_key_${createHash('sha256').update(`${table} ${key.join()}`).digest('hex').slice(0, 12)}`
  return `create unique index ${name} on ${quoteName(table)} (${names(key)})`
}

export function addColumn(table: string, mapped: MappedColumn): string {
  return `alter table ${quoteName(table)} add column ${definition(mapped)}`
}

/** The table into which an agency writes what it supplies (Art. 15). */
export function supplyTable(table: string, _schema: Schema, columns: readonly MappedColumn[]): string[] {
  const required = columns.map((mapped) => definition(mapped) + (mapped.item.key || mapped.item.required ? ' not null' : ''))
  const lines = [...required, `primary key (${names(keyColumns(columns))})`]
  return [`create table if not exists ${quoteName(table)} (\n  ${lines.join(',\n  ')}\n)`]
}

/** A portable value as it is stored. */
export function stored({ type }: ValueLimits, value: Value): SQLInputValue {
  if (value === null) return null
  if (type === 'integer') return /^-?\d{1,19}$/.test(value) ? BigInt(value) : value
  if (type === 'boolean') return value === 'true' ? 1n : value === 'false' ? 0n : value
  return type === 'binary' ? Buffer.from(value, 'base64') : value
}

/** Why a value may not be written: SQLite would take any. */
export function deliveryFault(item: Item, value: Value): LocalizedText | undefined {
  if (value === null) return item.key ? { zh: '主键为空', en: 'the key is null' } : undefined
  return valueFault(item, value)
}

/** A part of a name made from any text. */
function safeName(text: string): string {
  return `${text.replaceAll(/[^A-Za-z0-9_]/g, '_').slice(0, 40)}_${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

export const queueName = (resource: string): string => `qz_q_${safeName(resource)}`
