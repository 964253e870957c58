/** How a schema becomes PostgreSQL tables: DDL and apply statements as text. Pure: no connection, no I/O. */
import type { Item, Schema } from '../../../protocol/schema.ts'
import type { ValueLimits } from '../../../protocol/value.ts'
import type { TableFacts } from '../bookkeeping/sink-engine.ts'

export interface TableColumn {
  item: Item
  column: string
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text literal that means the same whatever `standard_conforming_strings` is. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** `table` or `schema.table` as configured, quoted. */
export function quoteTable(table: string): string {
  return splitTable(table).map(quoteName).join('.')
}

export function splitTable(table: string): string[] {
  const dot = table.indexOf('.')
  return dot < 0 ? [table] : [table.slice(0, dot), table.slice(dot + 1)]
}

/** Column type of a portable value. `json` keeps the text as it came; `jsonb` would rewrite it. */
export function columnType(limits: ValueLimits): string {
  switch (limits.type) {
    case 'text':
      return limits.length === undefined ? 'text' : `varchar(${limits.length})`
    case 'integer':
      return 'bigint'
    case 'decimal':
      return `numeric(${limits.precision ?? 38},${limits.scale ?? 0})`
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return `${limits.type}(6)`
    case 'binary':
      return 'bytea'
    default:
      return limits.type
  }
}

/** The same without limits: what any value of the type can be cast to unchanged. */
export function widestType(limits: ValueLimits): string {
  return limits.type === 'decimal' ? 'numeric' : columnType({ type: limits.type })
}

/** Columns that delivery adds: 注明出处, the stream's place, and when it came. */
export const sourceColumn = 'qz_source'
export const positionColumn = 'qz_position'
export const receivedColumn = 'qz_received_at'
export const deletedColumn = 'qz_deleted'

interface AddedColumn {
  column: string
  type: string
  comment: string
}

export function addedColumns(deletes: 'remove' | 'mark'): AddedColumn[] {
  const columns = [
    { column: sourceColumn, type: 'text', comment: '数据来源机关' },
    { column: positionColumn, type: 'bigint', comment: '交换批次位置' },
    { column: receivedColumn, type: 'timestamptz', comment: '接收时间' },
  ]
  if (deletes === 'mark') columns.push({ column: deletedColumn, type: 'boolean not null default false', comment: '来源已删除' })
  return columns
}

/** Key texts are compared byte by byte in every delivered table. */
export function deliveredType(item: Item): string {
  return columnType(item) + (item.key && item.type === 'text' ? ' collate "C"' : '')
}

export interface DeliveredTable {
  /** As configured. */
  table: string
  schema: Schema
  columns: readonly TableColumn[]
  deletes: 'remove' | 'mark'
  /** Several sources fill it: theirs is the first column of the key. */
  shared: boolean
}

export function deliveredTable({ table, schema, columns, deletes, shared }: DeliveredTable): string[] {
  const name = quoteTable(table)
  const lines = columns.map(({ item, column }) => `${quoteName(column)} ${deliveredType(item)}${item.key ? ' not null' : ''}`)
  for (const { column, type } of addedColumns(deletes)) {
    lines.push(`${quoteName(column)} ${type}${shared && column === sourceColumn ? ' not null' : ''}`)
  }
  lines.push(deliveredKey(columns, shared))
  const comments = columns.map(({ item, column }) => ({ column, comment: item.label }))
  return [
    `create table if not exists ${name} (\n  ${lines.join(',\n  ')}\n)`,
    ...tableComments(table, schema.title, [...comments, ...addedColumns(deletes)]),
  ]
}

/** The table into which an agency writes what it supplies (Art. 15). */
export function supplyTable(table: string, schema: Schema, columns: readonly TableColumn[]): string[] {
  const lines = columns.map(({ item, column }) => {
    return `${quoteName(column)} ${columnType(item)}${item.key || item.required ? ' not null' : ''}`
  })
  const comments = columns.map(({ item, column }) => ({ column, comment: item.label }))
  return [
    `create table if not exists ${quoteTable(table)} (\n  ${[...lines, primaryKey(columns)].join(',\n  ')}\n)`,
    ...tableComments(table, schema.title, comments),
  ]
}

/** Brings a delivered table to further columns. */
export function addColumn(table: string, { item, column }: TableColumn): string[] {
  return [
    `alter table ${quoteTable(table)} add column ${quoteName(column)} ${deliveredType(item)}`,
    `comment on column ${quoteTable(table)}.${quoteName(column)} is ${quoteText(item.label)}`,
  ]
}

function primaryKey(columns: readonly TableColumn[]): string {
  return `primary key (${names(keyColumns(columns))})`
}

/** The source first: what concerns one source's rows then reads no others. */
export function deliveredKey(columns: readonly TableColumn[], shared: boolean): string {
  return shared ? `primary key (${names([sourceColumn, ...keyColumns(columns)])})` : primaryKey(columns)
}

function tableComments(table: string, title: string, columns: readonly { column: string; comment: string }[]): string[] {
  return [
    `comment on table ${quoteTable(table)} is ${quoteText(title)}`,
    ...columns.map(({ column, comment }) => `comment on column ${quoteTable(table)}.${quoteName(column)} is ${quoteText(comment)}`),
  ]
}

export function keyColumns(columns: readonly TableColumn[]): string[] {
  return columns.filter(({ item }) => item.key).map(({ column }) => column)
}

export function names(columns: readonly string[], prefix = ''): string {
  return columns.map((column) => prefix + quoteName(column)).join(', ')
}

/** What the statements of one delivered table need to know of it. `key` is the unique index that upserts meet, in any order. */
export interface ApplyTable {
  /** Quoted. */
  name: string
  columns: readonly TableColumn[]
  key: readonly string[]
  deletes: 'remove' | 'mark'
  /** Rows of another source, or of none, with the same key are written over too. */
  takeOver: boolean
  /** A column is GENERATED ALWAYS AS IDENTITY. */
  overriding: boolean
  contested: TableFacts['contested']
  readBack: TableFacts['readBack']
  /** Nothing hangs on its rows, and it has no columns but those that delivery fills: a row may be taken out and put in again. */
  plain: boolean
}

/** Columns that delivery adds, in the order of `replacement`'s lines: the time last. */
export function addedNames(deletes: 'remove' | 'mark'): string[] {
  return [sourceColumn, positionColumn, ...(deletes === 'mark' ? [deletedColumn] : []), receivedColumn]
}

/** A time as the server writes it for `addedNames`. */
export const timeText = `to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
export const timeLength = '2026-11-30T08:30:00.123456Z'.length

/**
 * Takes rows out of a plain table whose keys are in arrays from `$first` on, so that they can be put in again: as long as nothing hangs on
 * them, which `free` (a SELECT of one row or none) says, and only this source's unless others' are taken over.
 */
export function takeOut(table: ApplyTable, source: string, first: number): { free: string; remove: string } {
  const keys = table.columns.filter(({ item }) => item.key)
  const arrays = keys.map(({ item }, i) => `$${first + i}::${widestType(item)}[]`)
  const columns = keys.map(({ column }) => `t.${quoteName(column)}`)
  const same =
    keys.length === 1 ? `${columns[0]} = any(${arrays[0]})` : `(${columns.join(', ')}) in (select * from unnest(${arrays.join(', ')}))`
  // Where the source is part of the key, others' rows of the same items are not in the way.
  const own = table.takeOver && !table.key.includes(sourceColumn) ? '' : ` and t.${sourceColumn} = ${quoteText(source)}`
  return {
    free: `select from pg_class where oid = ${quoteText(table.name)}::regclass and ${plainCondition}`,
    remove: `delete from ${table.name} t where ${same}${own}`,
  }
}

/** On `pg_class`: an ordinary table on whose rows nothing hangs. Foreign keys are triggers at both ends. */
export const plainCondition = `relkind = 'r' and not (relhastriggers or relhasrules or relrowsecurity or relhassubclass or relispartition)`

/**
 * Upsert of the rows of `from`, a FROM item named `s` that has the table's own columns.
 * Rows of other sources stay as they are, unless they are taken over. `source`, `position`: SQL expressions for the added columns.
 */
export function upsert(table: ApplyTable, from: string, source: string, position: string): string {
  const written = table.columns.map(({ column }) => column)
  const added = [sourceColumn, positionColumn, receivedColumn]
  const values = [source, position, 'now()']
  if (table.deletes === 'mark') {
    added.push(deletedColumn)
    values.push('false')
  }
  const changed = [...written, ...added]
    .filter((column) => !table.key.includes(column))
    .map((column) => `${quoteName(column)} = excluded.${quoteName(column)}`)
  // Where the source is part of the key, others' rows of the same items are not in the way.
  const own =
    table.takeOver && !table.key.includes(sourceColumn) ? '' : `\n    where t.${sourceColumn} is not distinct from excluded.${sourceColumn}`
  return `insert into ${table.name} as t (${names([...written, ...added])})${table.overriding ? ' overriding system value' : ''}
    select ${names(written, 's.')}, ${values.join(', ')} from ${from}
    on conflict (${names(table.key)}) do update set ${changed.join(', ')}${own}`
}

/** Removes, or marks, the rows of this source whose keys are in `from` (a FROM item named `s`). */
export function remove(table: ApplyTable, from: string, source: string, position: string): string {
  const same = keyColumns(table.columns).map((column) => `t.${quoteName(column)} = s.${quoteName(column)}`)
  return removal(table, from, [...same, `t.${sourceColumn} = ${source}`], position)
}

/** Removes, or marks, this source's rows that the snapshot which began at `began` did not bring; `kept` are quarantined keys. */
export function removeOlder(table: ApplyTable, source: string, began: string, position: string, kept: string | undefined): string {
  const conditions = [`t.${sourceColumn} = ${source}`, `t.${positionColumn} < ${began}`]
  if (kept) conditions.push(notIn(table, kept))
  return removal(table, undefined, conditions, position)
}

/** Removes, or marks, this source's rows that are in none of these FROM items named `s`. */
export function removeOthers(table: ApplyTable, source: string, position: string, present: readonly string[]): string {
  return removal(table, undefined, [`t.${sourceColumn} = ${source}`, ...present.map((from) => notIn(table, from))], position)
}

function notIn(table: ApplyTable, from: string): string {
  const same = keyColumns(table.columns).map((column) => `t.${quoteName(column)} = s.${quoteName(column)}`)
  return `not exists (select from ${from} where ${same.join(' and ')})`
}

/** A FROM item named `s`: rows given as one text array per column, `$first` on. Limits stay the table's to enforce: a cast would cut. */
export function rowsOfTexts(columns: readonly TableColumn[], first: number): string {
  const arrays = columns.map((_, i) => `$${first + i}::text[]`).join(', ')
  const values = columns.map(({ item, column }, i) => `${fromText(item, `x.c${i}`)} as ${quoteName(column)}`)
  return `(select ${values.join(', ')} from unnest(${arrays}) as x(${columns.map((_, i) => `c${i}`).join(', ')})) s`
}

function fromText(item: Item, value: string): string {
  return item.type === 'binary' ? `decode(${value}, 'base64')` : `${value}::${widestType(item)}`
}

/** A table of the session alone, which COPY fills; its rows go with the transaction. */
export function stageTable(name: string, columns: readonly TableColumn[]): string {
  const lines = columns.map(({ item, column }) => `${quoteName(column)} ${widestType(item)}`)
  return `create temporary table ${name} (${lines.join(', ')}) on commit delete rows`
}

function removal(table: ApplyTable, from: string | undefined, conditions: readonly string[], position: string): string {
  const where = `where ${conditions.join(' and ')}`
  if (table.deletes === 'remove') return `delete from ${table.name} t ${from ? `using ${from} ` : ''}${where}`
  return `update ${table.name} t set ${deletedColumn} = true, ${positionColumn} = ${position}, ${receivedColumn} = now()
    ${from ? `from ${from} ` : ''}${where} and not t.${deletedColumn}`
}
