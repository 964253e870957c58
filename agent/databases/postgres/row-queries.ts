/** The SELECTs by which a source table is read, as text. Pure: no connection, no I/O. */
import type { SourceTable } from '../../database.ts'
import { quoteName, quoteText } from './sql.ts'
import type { Table, TableColumn } from './table.ts'
import type { Convert } from './types.ts'

export interface KeyReading {
  /** Place among the source's columns. */
  place: number
  column: string
  cast: string
  convert: Convert | undefined
}

export interface IndexColumn {
  column: string
  /** Where it is not the column's own. */
  collation: string | null
}

export function conditionOf({ rowFilter = [] }: SourceTable): string {
  if (rowFilter.length === 0) return 'true'
  return rowFilter
    .map(({ column, value }) => `r.${quoteName(column)} ${value === null ? 'is null' : `= ${quoteText(value)}`}`)
    .join(' and ')
}

export function keylessQuery(source: SourceTable, table: Table, from: string): string | undefined {
  const open = source.columns.filter(({ item, column }) => item.key && !table.columns.get(column)!.notNull)
  if (open.length === 0) return undefined
  return `select 1 ${from} and (${open.map(({ column }) => `r.${quoteName(column)} is null`).join(' or ')}) limit 1`
}

/** In the index's own collation: two keys that are one in the column's would be passed over else, and the index not used. */
export function statements(select: string, keys: readonly KeyReading[], index: readonly IndexColumn[]) {
  const order = index.map(({ column }) => keys.findIndex((key) => key.column === column))
  const compared = (name: string) => {
    const collation = index.find(({ column }) => column === name)?.collation
    return `r.${quoteName(name)}${collation ? ` collate ${collation}` : ''}`
  }
  const ordered = index.map(({ column }) => compared(column)).join(', ')
  const page = (after: readonly string[] | undefined, limit: string): string => {
    const place = after?.map((value, i) => `${value}::${keys[order[i]!]!.cast}`).join(', ')
    return `${select}${place === undefined ? '' : ` and (${ordered}) > (${place})`} order by ${ordered} limit ${limit}`
  }
  const columns = keys.map((key) => compared(key.column))
  const lists = keys.map((key, i) => `$${i + 1}::${key.cast}[]`)
  return {
    order,
    // A semi-join, so that a row which two queued keys name (where the source compares without case) comes once.
    byKeys:
      keys.length === 1
        ? `${select} and ${columns[0]} = any(${lists[0]})`
        : `${select} and (${columns.join(', ')}) in (select * from unnest(${lists.join(', ')}))`,
    page,
    first: page(undefined, '$1'),
    next: page(
      order.map((_, i) => `$${i + 1}`),
      `$${order.length + 1}`,
    ),
  }
}

export function joinFromKeys(values: readonly string[], rows: string, keys: readonly KeyReading[]): string {
  const lists = keys.map((_, i) => `$${i + 1}::text[]`).join(', ')
  const names = keys.map((_, i) => `k${i + 1}`).join(', ')
  const same = keys.map((key, i) => `r.${quoteName(key.column)} = k.k${i + 1}::${key.cast}`).join(' and ')
  return `select k.place, r.${quoteName(keys[0]!.column)}::text, ${values.join(', ')}
    from unnest(${lists}) with ordinality k(${names}, place) left join (select r.* from ${rows}) r on ${same}`
}

/** Entries and keys of an entry that are read together with their rows. */
export const fewAtOnce = { entries: 16, keys: 4 }

/**
 * Entry, cause, how many keys it has; then each key and its row, or nulls. `$1`: entries to be left out. An entry of many keys comes without
 * them.
 */
export function fewEntries(queue: string, values: readonly string[], rows: string, keys: readonly KeyReading[]): string {
  const names = keys.map((_, i) => `k${i + 1}`)
  const same = keys.map((key, i) => `r.${quoteName(key.column)} = k.k${i + 1}::${key.cast}`)
  return `with taken as materialized (
      select id, cause, ${names.join(', ')} from ${queue} where id not in (select unnest($1::uuid[])) limit ${fewAtOnce.entries})
    select t.id, t.cause, cardinality(t.k1), ${names.map((name) => `k.${name}`).join(', ')}, ${values.join(', ')}
    from taken t
    left join lateral (select * from unnest(${names.map((name) => `t.${name}`).join(', ')}) u(${names.join(', ')}) where cardinality(t.k1) <= ${fewAtOnce.keys}) k on true
    left join lateral (select r.* from ${rows} and ${same.join(' and ')}) r on true`
}

export function bytesOf(column: TableColumn): string {
  const name = `r.${quoteName(column.name)}`
  return column.base === 'bytea' ? `octet_length(${name}::bytea)` : `octet_length(${name}::text)`
}
