/** A resource's table as PostgreSQL has it: columns by item id, the key as primary key, and where each row came from. */
import { itemById, keyItems, type Item, type Schema } from '../../protocol/schema.ts'
import type { Value, ValueType } from '../../protocol/value.ts'
import { suppliedItems } from '../records/supply.ts'

/** Item ids begin with a letter: these columns cannot be one. `_position` as `qz_position` of delivered rows; `_received`: the hub's time of acceptance. */
export const positionColumn = '_position'
export const receivedColumn = '_received'

/** Texts compare byte by byte, so that keys are told apart as everywhere, and begins-with finds its index; decimals keep their digits. */
const columnTypes: Record<ValueType, string> = {
  text: 'text collate "C"',
  integer: 'bigint',
  decimal: 'numeric',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  time: 'time',
  binary: 'bytea',
  json: 'json',
}

/** An item, and whether the catalog calls it searchable. */
export interface StoredItem extends Item {
  searchable?: boolean
}

export interface TableShape {
  /** Name with its schema: `data.r7`. */
  name: string
  items: readonly Item[]
  keys: readonly Item[]
}

export function tableName(id: string): string {
  return `data.r${id}`
}

export function quoted(item: string): string {
  return `"${item}"`
}

/**
 * What a table of schema version `made` holds: what its batches brought, less what may not be stored any more: items that were closed since,
 * unless the provider stores them, and items that are gone (Art. 5).
 */
export function shapeOf(id: string, made: Schema, now: { schema: Schema; storedClosed: readonly string[] }): TableShape {
  const allowed = new Set(suppliedItems(now.schema, now.storedClosed))
  const items = made.items.filter((item) => item.key || (allowed.has(item.id) && itemById(now.schema, item.id) !== undefined))
  return { name: tableName(id), items, keys: keyItems(made) }
}

/** The value of a portable text (an SQL expression of type text) in its column. */
export function fromText(type: ValueType, text: string): string {
  if (type === 'text') return text
  if (type === 'binary') return `decode(${text}, 'base64')`
  if (type === 'timestamptz') return `${text}::timestamptz`
  return `${text}::${columnTypes[type]}`
}

/** The type to cast a text to, or texts (`[]`) that are compared with a column. */
export function castType(type: ValueType): string {
  return type === 'text' ? 'text' : columnTypes[type]
}

/**
 * The portable text of what a connection of `readingOptions` gives: PostgreSQL's text of a column. Timestamps have a blank where ours have
 * a `T`, bytes are hexadecimal.
 */
export function portableText(type: ValueType, text: Value): Value {
  if (text === null) return null
  if (type === 'boolean') return text === 't' ? 'true' : 'false'
  if (type === 'timestamp') return text.replace(' ', 'T')
  if (type === 'timestamptz') return text.replace(' ', 'T').replace('+00', 'Z')
  return type === 'binary' ? Buffer.from(text.slice(2), 'hex').toString('base64') : text
}

/** Rows are often written again with another position alone: room on the page keeps that from the indexes. */
export function createTable({ name, items, keys }: TableShape): string {
  const columns = items.map(({ id, type, key }) => `${quoted(id)} ${columnTypes[type]}${key ? ' not null' : ''}`)
  const own = [`${positionColumn} bigint not null`, `${receivedColumn} timestamptz not null`]
  const primary = `primary key (${keys.map(({ id }) => quoted(id)).join(', ')})`
  return `create table ${name} (${[...columns, ...own, primary].join(', ')}) with (fillfactor = 90)`
}

/** Types that a filter or a sort can stand on. */
export const sortable: readonly ValueType[] = ['text', 'integer', 'decimal', 'boolean', 'date', 'timestamp', 'timestamptz', 'time']
/** Characters: what an index of PostgreSQL takes, whatever the characters are. */
export const longestIndexedText = 500

/** Whether rows may be found and sorted by an item, where its catalog entry says so. */
export function isIndexable({ type, length }: Pick<Item, 'type' | 'length'>): boolean {
  return sortable.includes(type) && (type !== 'text' || (length !== undefined && length <= longestIndexedText))
}

/** Items that an index stands on, beside the primary key: each further key item, and those that the catalog calls searchable. */
export function indexedItems({ items, keys }: TableShape, searchable: readonly string[]): string[] {
  const first = keys[0]!.id
  return items.filter((item) => item.id !== first && isIndexable(item) && (item.key || searchable.includes(item.id))).map(({ id }) => id)
}

/** The key ends each index, so that pages in the order of the item are read from it alone. */
export function createIndex({ name, keys }: TableShape, item: string): string {
  const columns = [item, ...keys.map(({ id }) => id).filter((id) => id !== item)]
  return `create index ${indexName(name, item)} on ${name} (${columns.map(quoted).join(', ')})`
}

export function dropIndex({ name }: TableShape, item: string): string {
  return `drop index data.${indexName(name, item)}`
}

function indexName(table: string, item: string): string {
  return quoted(`${table.slice('data.'.length)}_${item}`)
}

/** Rows of JSON arrays of texts, one an item: parameters $1, $2 … */
function rowsOf(items: readonly Item[]): string {
  const arrays = items.map((_, i) => `json_array_elements_text($${i + 1}::json)`)
  return `rows from (${arrays.join(', ')}) as r (${items.map(({ id }) => quoted(id)).join(', ')})`
}

const textOf = ({ id, type }: Item): string => fromText(type, `r.${quoted(id)}`)

/** Writes rows; after the items' arrays come position and time. Gives `inserted`. */
export function upsertSql({ name, items, keys }: TableShape): string {
  const all = [...items.map(({ id }) => quoted(id)), positionColumn, receivedColumn]
  const values = [...items.map(textOf), `$${items.length + 1}::bigint`, `$${items.length + 2}::timestamptz`]
  const set = all.filter((column) => !keys.some(({ id }) => quoted(id) === column)).map((column) => `${column} = excluded.${column}`)
  return `with written as (
      insert into ${name} (${all.join(', ')}) select ${values.join(', ')} from ${rowsOf(items)}
      on conflict (${keys.map(({ id }) => quoted(id)).join(', ')}) do update set ${set.join(', ')} returning xmax = 0 as fresh)
    select count(*) filter (where fresh) as inserted from written`
}

/** The rows of keys. */
export function byKeysSql({ name, keys }: Pick<TableShape, 'name' | 'keys'>, items: readonly Pick<Item, 'id'>[]): string {
  return `select ${items.map(({ id }) => `t.${quoted(id)}`).join(', ')} from ${name} t join ${rowsOf(keys)} on ${sameKey(keys)}`
}

/** Counts how many of these rows stand so: by the comparison of each column's own type. */
export function countStandingSql({ name, items, keys }: TableShape): string {
  const same = items.filter(({ key }) => !key).map((item) => `t.${quoted(item.id)} is not distinct from ${textOf(item)}`)
  return `select count(*) from ${name} t, ${rowsOf(items)} where ${[sameKey(keys), ...same].join(' and ')}`
}

/** Deletes the rows of keys. Gives `deleted`. */
export function deleteSql({ name, keys }: TableShape): string {
  return counted(`delete from ${name} t using ${rowsOf(keys)} where ${sameKey(keys)}`)
}

/**
 * Deletes what a snapshot did not bring: rows from before a position, which comes after the keys that stay. Then come the resource and the
 * position of the snapshot's end, under which their keys are kept for those who follow changes. Gives `deleted`.
 */
export function sweepSql({ name, keys }: TableShape): string {
  const [began, resource, position] = [1, 2, 3].map((i) => `$${keys.length + i}`)
  const texts = keys.map(({ id, type }) => toText(type, `t.${quoted(id)}`)).join(', ')
  return `with gone as (
      delete from ${name} t where t.${positionColumn} < ${began}::bigint and not exists (select from ${rowsOf(keys)} where ${sameKey(keys)})
      returning json_build_array(${texts})::text as key),
    kept as (insert into resource_swept (resource, position, key) select ${resource}, ${position}::bigint, key from gone on conflict do nothing)
    select count(*) as deleted from gone`
}

/** The portable text of a key's column, as SQL. */
function toText(type: ValueType, column: string): string {
  if (type === 'timestamp') return `replace(${column}::text, ' ', 'T')`
  return type === 'timestamptz' ? `replace((${column} at time zone 'UTC')::text, ' ', 'T') || 'Z'` : `${column}::text`
}

function sameKey(keys: readonly Item[]): string {
  return keys.map((key) => `t.${quoted(key.id)} = ${textOf(key)}`).join(' and ')
}

function counted(deletion: string): string {
  return `with gone as (${deletion} returning 1) select count(*) as deleted from gone`
}
