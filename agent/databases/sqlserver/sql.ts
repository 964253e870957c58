/** How a schema becomes SQL Server tables: DDL and apply statements as text. Pure: no connection, no I/O. */
import type { TableFacts } from '../bookkeeping/sink-engine.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Item, Schema } from '../../../protocol/schema.ts'
import { valueFault, type Value, type ValueLimits } from '../../../protocol/value.ts'

export interface TableColumn {
  item: Item
  column: string
}

/**
 * Key texts are compared code unit by code unit. Even so SQL Server pads the shorter text with spaces, so that `a` and `a ` are equal:
 * the column `qz_spaces` tells them apart.
 */
export const binaryCollation = 'Latin1_General_100_BIN2'

export function quoteName(name: string): string {
  return `[${name.replaceAll(']', ']]')}]`
}

/** A literal of type nvarchar. A backslash before a line end would continue the line: such a text is put together. */
export function quoteText(text: string): string {
  const quoted = (part: string) => `N'${part.replaceAll("'", "''")}'`
  if (!/\\[\r\n]/.test(text)) return quoted(text)
  return `(${text
    .split(/(?<=\\)(?=[\r\n])/)
    .map(quoted)
    .join(' + ')})`
}

/** `table` or `schema.table` as configured. */
export function splitTable(table: string): { schema: string | undefined; name: string } {
  const dot = table.indexOf('.')
  return dot < 0 ? { schema: undefined, name: table } : { schema: table.slice(0, dot), name: table.slice(dot + 1) }
}

export function quoteTable(table: string): string {
  const { schema, name } = splitTable(table)
  return schema === undefined ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`
}

export function names(columns: readonly string[], prefix = ''): string {
  return columns.map((column) => prefix + quoteName(column)).join(', ')
}

export function keyColumns<C extends TableColumn>(columns: readonly C[]): C[] {
  return columns.filter(({ item }) => item.key)
}

/** Code units of the longest nvarchar that is not `max`. */
const longest = 4000

/** A character outside the basic plane takes two code units, and nvarchar counts units. */
function textType(length: number | undefined): string {
  return length === undefined || 2 * length > longest ? 'nvarchar(max)' : `nvarchar(${2 * length})`
}

/** Column type of a portable value. */
export function columnType(limits: ValueLimits): string {
  switch (limits.type) {
    case 'text':
      return textType(limits.length)
    case 'integer':
      return 'bigint'
    case 'decimal':
      return `decimal(${limits.precision ?? 38},${limits.scale ?? 0})`
    case 'boolean':
      return 'bit'
    case 'date':
      return 'date'
    case 'timestamp':
      return 'datetime2(6)'
    case 'timestamptz':
      return 'datetimeoffset(6)'
    case 'time':
      return 'time(6)'
    case 'binary':
      return 'varbinary(max)'
    case 'json':
      return 'nvarchar(max)'
  }
}

export function deliveredType(item: Item): string {
  return columnType(item) + (item.key && item.type === 'text' ? ` collate ${binaryCollation}` : '')
}

/** Columns that delivery adds: 注明出处, the stream's place, when it came (UTC), and the spaces that key texts end in. */
export const sourceColumn = 'qz_source'
export const positionColumn = 'qz_position'
export const receivedColumn = 'qz_received_at'
export const deletedColumn = 'qz_deleted'
export const spacesColumn = 'qz_spaces'

interface AddedColumn {
  column: string
  type: string
  comment: string
}

export function addedColumns(deletes: 'remove' | 'mark'): AddedColumn[] {
  const columns = [
    { column: sourceColumn, type: `nvarchar(64) collate ${binaryCollation}`, comment: '数据来源机关' },
    { column: positionColumn, type: 'bigint', comment: '交换批次位置' },
    { column: receivedColumn, type: 'datetime2(6)', comment: '接收时间（UTC）' },
  ]
  if (deletes === 'mark') columns.push({ column: deletedColumn, type: 'bit not null default 0', comment: '来源已删除' })
  return columns
}

export const spacesDefinition: AddedColumn = {
  column: spacesColumn,
  type: `nvarchar(30) collate ${binaryCollation} not null default N''`,
  comment: '文本主键末尾的空格数',
}

/** Whether a delivered table needs `qz_spaces`. */
export function hasTextKey(columns: readonly TableColumn[]): boolean {
  return keyColumns(columns).some(({ item }) => item.type === 'text')
}

/** What `qz_spaces` holds for a key: how many spaces each of its texts ends in, '' where none ends in any. */
export function spacesOf(columns: readonly TableColumn[], key: readonly Value[]): string {
  const counts = keyColumns(columns).flatMap(({ item }, i) => (item.type === 'text' ? [trailingSpaces(key[i] ?? '')] : []))
  return counts.some((count) => count > 0) ? counts.join(',') : ''
}

function trailingSpaces(text: string): number {
  let end = text.length
  while (end > 0 && text[end - 1] === ' ') end--
  return text.length - end
}

export interface DeliveredTable {
  /** `schema.table`. */
  table: string
  schema: Schema
  columns: readonly TableColumn[]
  deletes: 'remove' | 'mark'
  /** Several sources fill it: theirs is the first column of the key. */
  shared: boolean
}

export function deliveredTable({ table, schema, columns, deletes, shared }: DeliveredTable): string[] {
  const added = [...addedColumns(deletes), ...(hasTextKey(columns) ? [spacesDefinition] : [])]
  const lines = [
    ...columns.map(({ item, column }) => `${quoteName(column)} ${deliveredType(item)}${item.key ? ' not null' : ' null'}`),
    ...added.map(({ column, type }) => {
      const required = /not null/.test(type) ? '' : shared && column === sourceColumn ? ' not null' : ' null'
      return `${quoteName(column)} ${type}${required}`
    }),
    deliveredKey(columns, shared),
  ]
  const comments = [...columns.map(({ item, column }) => ({ column, comment: item.label })), ...added]
  return [createTable(table, lines), ...tableComments(table, schema.title, comments)]
}

/** The table into which an agency writes what it supplies (Art. 15). */
export function supplyTable(table: string, schema: Schema, columns: readonly TableColumn[]): string[] {
  const lines = columns.map(({ item, column }) => {
    return `${quoteName(column)} ${deliveredType(item)}${item.key || item.required ? ' not null' : ' null'}`
  })
  const keys = keyColumns(columns)
  lines.push(
    primaryKey(
      keys.map(({ column }) => column),
      keys,
    ),
  )
  return [
    createTable(table, lines),
    ...tableComments(
      table,
      schema.title,
      columns.map(({ item, column }) => ({ column, comment: item.label })),
    ),
    ...columns.flatMap(({ item, column }) =>
      item.type === 'text' && item.length !== undefined ? [property(table, column, lengthProperty, String(item.length))] : [],
    ),
  ]
}

/** Extended property of a column that `supplyTable` made: the characters of its item, of which nvarchar counts the code units. */
export const lengthProperty = 'qz_length'

/** Brings a delivered table to a further column. */
export function addColumn(table: string, { item, column }: TableColumn): string[] {
  return [
    `alter table ${quoteTable(table)} add ${quoteName(column)} ${deliveredType(item)} null`,
    property(table, column, 'MS_Description', item.label),
  ]
}

/** The source first: what concerns one source's rows then reads no others. */
export function deliveredKeyColumns(columns: readonly TableColumn[], shared: boolean): string[] {
  const keys = keyColumns(columns).map(({ column }) => column)
  return [...(shared ? [sourceColumn] : []), ...keys, ...(hasTextKey(columns) ? [spacesColumn] : [])]
}

export function deliveredKey(columns: readonly TableColumn[], shared: boolean): string {
  return primaryKey(deliveredKeyColumns(columns, shared), keyColumns(columns), shared ? 128 : 0)
}

/** Bytes of a clustered index's key. A row that is over the limit is refused when it comes, not the table. */
const clusteredBytes = 900

function primaryKey(columns: readonly string[], keys: readonly TableColumn[], more = 0): string {
  const bytes = keys.reduce((sum, { item }) => sum + (item.type === 'text' ? 4 * (item.length ?? 0) : 17), more)
  return `primary key ${bytes > clusteredBytes - 60 ? 'nonclustered ' : ''}(${names(columns)})`
}

function createTable(table: string, lines: readonly string[]): string {
  return `if object_id(${quoteText(quoteTable(table))}, N'U') is null\ncreate table ${quoteTable(table)} (\n  ${lines.join(',\n  ')}\n)`
}

function tableComments(table: string, title: string, columns: readonly { column: string; comment: string }[]): string[] {
  return [
    property(table, undefined, 'MS_Description', title),
    ...columns.map(({ column, comment }) => property(table, column, 'MS_Description', comment)),
  ]
}

/** Sets an extended property that is not there yet. Comments are no reason to fail: where the right or the procedure is missing, there are none. */
function property(table: string, column: string | undefined, name: string, value: string): string {
  const { schema = 'dbo', name: tableName } = splitTable(table)
  const level2 = column === undefined ? '' : `, @level2type = N'COLUMN', @level2name = ${quoteText(column)}`
  return `begin try
  exec sp_addextendedproperty @name = ${quoteText(name)}, @value = ${asArgument(value)}, @level0type = N'SCHEMA', @level0name = ${quoteText(schema)}, @level1type = N'TABLE', @level1name = ${quoteText(tableName)}${level2}
end try
begin catch
end catch`
}

/** An argument of a procedure is a constant: a label's line ends after a backslash are not worth a variable. */
function asArgument(text: string): string {
  return quoteText(text.replace(/\\(?=[\r\n])/g, ''))
}

/** Type of the column in which a value comes to the server: text, except that bytes stay bytes. */
export function stageType(item: ValueLimits): 'nvarchar(4000)' | 'nvarchar(max)' | 'varbinary(max)' {
  if (item.type === 'binary') return 'varbinary(max)'
  return item.type === 'json' || (item.type === 'text' && (item.length ?? Infinity) * 2 > longest) ? 'nvarchar(max)' : 'nvarchar(4000)'
}

/** The checked portable value as it comes to the server. */
export function stageValue({ type }: Pick<ValueLimits, 'type'>, value: Value): string | Buffer | null {
  if (value === null) return null
  if (type === 'binary') return Buffer.from(value, 'base64')
  if (type === 'boolean') return value === 'true' ? '1' : value === 'false' ? '0' : value
  return type === 'timestamptz' && value.endsWith('Z') ? `${value.slice(0, -1)}+00:00` : value
}

/** The staged value in the type of a delivered column. */
export function fromStage(item: ValueLimits, reference: string): string {
  return ['text', 'json', 'binary'].includes(item.type) ? reference : `convert(${columnType(item)}, ${reference})`
}

/** Why the value may not go to the server, which would round or misread it without an error. */
export function deliveryFault(item: Item, value: Value): LocalizedText | undefined {
  return value === null ? (item.key ? { zh: '主键为空', en: 'the key is null' } : undefined) : valueFault(item, value)
}

/** A key column of text as it is in the database. */
export interface TextColumn {
  collation: string
  /** char and varchar hold bytes of a code page. */
  narrow: boolean
}

/** What the statements of one delivered table need to know of it. */
export interface ApplyTable {
  /** Quoted. */
  name: string
  columns: readonly TableColumn[]
  /** Names of the unique index's columns. */
  key: readonly string[]
  /** Key columns of text by name. */
  texts: ReadonlyMap<string, TextColumn>
  deletes: 'remove' | 'mark'
  /** Rows of another source, or of none, with the same key are written over too. */
  takeOver: boolean
  contested: TableFacts['contested']
  readBack: TableFacts['readBack']
}

/** Parameters: `@source`, `@position`. Rows come as a FROM item named `s` with the columns c1, c2 …; after the items' comes `qz_spaces`. */
const position = 'convert(bigint, @position)'

function stage(i: number): string {
  return `s.c${i + 1}`
}

/** By the index, and byte by byte: a table of the receiver's own may compare texts without case. */
function sameText(reference: string, staged: string, { collation, narrow }: TextColumn, padded: boolean): string[] {
  const there = `${staged} collate ${collation}`
  const byIndex = `${reference} = ${narrow ? `convert(varchar(8000), ${there})` : there}`
  if (collation === binaryCollation && !narrow && !padded) return [byIndex]
  const wide = `convert(nvarchar(4000), ${reference})`
  return [
    byIndex,
    `${wide} collate ${binaryCollation} = ${staged} collate ${binaryCollation}`,
    `datalength(${wide}) = datalength(${staged})`,
  ]
}

/** Same row in `t` and `s`, where `s` holds the columns of `staged` in this order and then `qz_spaces`. */
function sameKey({ key, texts }: ApplyTable, staged: readonly TableColumn[]): string {
  const spaces = key.includes(spacesColumn)
  const conditions = staged.flatMap(({ item, column }, i) => {
    if (!item.key) return []
    const reference = `t.${quoteName(column)}`
    const text = texts.get(column)
    return text ? sameText(reference, stage(i), text, !spaces) : [`${reference} = ${fromStage(item, stage(i))}`]
  })
  if (spaces) conditions.push(`t.${spacesColumn} = ${stage(staged.length)} collate ${binaryCollation}`)
  if (key.includes(sourceColumn)) conditions.push(`t.${sourceColumn} = @source`)
  return conditions.join(' and ')
}

/** Upsert of the rows of `from` in two statements. Rows of other sources stay as they are, unless they are taken over. */
export function upsert(table: ApplyTable, from: string): string[] {
  const values = [
    ...table.columns.map(({ item, column }, i) => ({ column, value: fromStage(item, stage(i)) })),
    { column: sourceColumn, value: '@source' },
    { column: positionColumn, value: position },
    { column: receivedColumn, value: 'sysutcdatetime()' },
    ...(table.deletes === 'mark' ? [{ column: deletedColumn, value: '0' }] : []),
    ...(table.key.includes(spacesColumn) ? [{ column: spacesColumn, value: stage(table.columns.length) }] : []),
  ]
  const same = sameKey(table, table.columns)
  const changed = values.filter(({ column }) => !table.key.includes(column)).map(({ column, value }) => `${quoteName(column)} = ${value}`)
  return [
    `update t set ${changed.join(', ')}
from ${table.name} t inner join ${from} on ${same}${ownRow(table, '@source')}`,
    `insert into ${table.name} (${names(values.map(({ column }) => column))})
select ${values.map(({ value }) => value).join(', ')} from ${from}
where not exists (select 1 from ${table.name} t where ${same})`,
  ]
}

function ownRow({ takeOver, key }: ApplyTable, source: string): string {
  return takeOver || key.includes(sourceColumn) ? '' : `\nwhere t.${sourceColumn} = ${source}`
}

/** Removes, or marks, the rows of this source whose keys (key columns, then `qz_spaces`) are in `from`. */
export function remove(table: ApplyTable, from: string): string {
  return removal(table, `inner join ${from} on ${sameKey(table, keyColumns(table.columns))}`, [])
}

/** Removes, or marks, this source's rows that the snapshot which began at `@began` did not bring; `kept` are quarantined keys. */
export function removeOlder(table: ApplyTable, kept: string | undefined): string {
  return removal(table, '', [`t.${positionColumn} < convert(bigint, @began)`, ...(kept ? [notIn(table, kept)] : [])])
}

function notIn(table: ApplyTable, from: string): string {
  return `not exists (select 1 from ${from} where ${sameKey(table, keyColumns(table.columns))})`
}

function removal(table: ApplyTable, join: string, more: readonly string[]): string {
  const where = [`t.${sourceColumn} = @source`, ...more].join(' and ')
  const from = `from ${table.name} t${join ? ` ${join}` : ''}`
  if (table.deletes === 'remove') return `delete t ${from} where ${where}`
  return `update t set ${deletedColumn} = 1, ${positionColumn} = ${position}, ${receivedColumn} = sysutcdatetime()
${from} where ${where} and t.${deletedColumn} = 0`
}

/** A shadow has the columns and the key that `deliveredTable` gave it: how its rows `s` and those of the live table `t` meet. */
function sameAsShadow({ columns, key, texts }: ApplyTable): string {
  const spaces = key.includes(spacesColumn)
  const conditions = keyColumns(columns).flatMap(({ column }) => {
    const [there, here] = [`t.${quoteName(column)}`, `s.${quoteName(column)}`]
    const text = texts.get(column)
    return text ? sameText(there, here, text, !spaces) : [`${there} = ${here}`]
  })
  for (const column of [...(spaces ? [spacesColumn] : []), ...(key.includes(sourceColumn) ? [sourceColumn] : [])]) {
    conditions.push(`t.${column} = s.${column} collate ${binaryCollation}`)
  }
  return conditions.join(' and ')
}

/** Removes, or marks, this source's rows that neither the shadow holds nor `kept`, quarantined keys. */
export function removeOthers(table: ApplyTable, shadow: string, kept: string | undefined): string {
  const missing = `not exists (select 1 from ${shadow} s where ${sameAsShadow(table)})`
  return removal(table, '', [missing, ...(kept ? [notIn(table, kept)] : [])])
}

/** The live table takes the shadow's rows, with their position, time and mark. */
export function takeShadow(table: ApplyTable, shadow: string): string[] {
  const columns = [
    ...table.columns.map(({ column }) => column),
    ...addedColumns(table.deletes).map(({ column }) => column),
    ...(table.key.includes(spacesColumn) ? [spacesColumn] : []),
  ]
  const same = sameAsShadow(table)
  const changed = columns.filter((column) => !table.key.includes(column)).map((column) => `${quoteName(column)} = s.${quoteName(column)}`)
  return [
    `update t set ${changed.join(', ')}
from ${table.name} t inner join ${shadow} s on ${same}${ownRow(table, `s.${sourceColumn} collate ${binaryCollation}`)}`,
    `insert into ${table.name} (${names(columns)})
select ${names(columns, 's.')} from ${shadow} s
where not exists (select 1 from ${table.name} t where ${same})`,
  ]
}
