/** The statements that write a delivered Oracle table: rows, deletes, the exchange with a shadow. Pure: no connection, no I/O. */
import type { TableFacts } from '../bookkeeping/sink-engine.ts'
import {
  addedColumns,
  deletedColumn,
  fromText,
  names,
  positionColumn,
  quoteName,
  receivedColumn,
  sourceColumn,
  type ColumnKind,
  type TableColumn,
} from './sql.ts'

/** A delivered table as its statements need it; names as they are in the catalogue. */
export interface ApplyTable {
  /** Quoted. */
  name: string
  columns: readonly ApplyColumn[]
  /** Columns of the unique index: never changed by an upsert. */
  key: readonly string[]
  deletes: 'remove' | 'mark'
  /** Agency code. */
  source: string
  /** Rows of another source, or of none, with the same key are written over too. */
  takeOver: boolean
  contested: TableFacts['contested']
  readBack: TableFacts['readBack']
}

export interface ApplyColumn extends TableColumn {
  kind: ColumnKind
}

/** What a placeholder of a statement that is run for many rows stands for: a column (by its place), the agency, the position. */
export type Slot = number | 'source' | 'position'

export interface RowStatement {
  sql: string
  /** One per placeholder `:1`, `:2` … */
  slots: readonly Slot[]
}

class Slots {
  readonly list: Slot[] = []

  bind(slot: Slot): string {
    return `:${this.list.push(slot)}`
  }

  value({ columns }: ApplyTable, place: number): string {
    return fromText(columns[place]!.kind, this.bind(place))
  }
}

const large: readonly ColumnKind[] = ['clob', 'nclob', 'blob']

/** Places of the columns, large objects last: their data must follow all other data (ORA-24816). */
function places({ columns }: ApplyTable): number[] {
  const all = columns.map((_, place) => place)
  const isLarge = (place: number) => Number(large.includes(columns[place]!.kind))
  return all.toSorted((a, b) => isLarge(a) - isLarge(b) || a - b)
}

const now = 'systimestamp'

/** `emptyBlobs`: places of binary columns that are empty in these rows; an empty bind would be null. */
export function insertRow(table: ApplyTable, emptyBlobs: readonly number[] = []): RowStatement {
  const slots = new Slots()
  const added = addedColumns(table.deletes).map(({ column }) => column)
  const addedBinds = added.map((column) => addedValue(column, slots))
  const order = places(table)
  const values = order.map((place) => (emptyBlobs.includes(place) ? 'empty_blob()' : slots.value(table, place)))
  const columns = [...added, ...order.map((place) => table.columns[place]!.column)]
  return { sql: `insert into ${table.name} (${names(columns)})\nvalues (${[...addedBinds, ...values].join(', ')})`, slots: slots.list }
}

export function updateRow(table: ApplyTable, emptyBlobs: readonly number[] = []): RowStatement {
  const slots = new Slots()
  const set = addedColumns(table.deletes)
    .filter(({ column }) => !table.key.includes(column))
    .map(({ column }) => `${quoteName(column)} = ${addedValue(column, slots)}`)
  for (const place of places(table)) {
    const { column } = table.columns[place]!
    if (table.key.includes(column)) continue
    set.push(`${quoteName(column)} = ${emptyBlobs.includes(place) ? 'empty_blob()' : slots.value(table, place)}`)
  }
  const where = sameKey(table, slots)
  if (!table.takeOver || table.key.includes(sourceColumn)) where.push(`${quoteName(sourceColumn)} = ${slots.bind('source')}`)
  return { sql: `update ${table.name} set ${set.join(', ')}\nwhere ${where.join(' and ')}`, slots: slots.list }
}

/** Removes, or marks, one row of this source. */
export function removeRow(table: ApplyTable): RowStatement {
  const slots = new Slots()
  const head = removal(table, () => slots.bind('position'))
  const where = [...sameKey(table, slots), `${quoteName(sourceColumn)} = ${slots.bind('source')}`]
  return { sql: `${head}\nwhere ${[...where, ...unmarked(table)].join(' and ')}`, slots: slots.list }
}

/** Removes, or marks, this source's rows that a snapshot did not bring. Placeholders: the position (where rows are marked), source, began. */
export function removeOlder(table: ApplyTable): { sql: string; binds: readonly ('position' | 'source' | 'began')[] } {
  const binds: ('position' | 'source' | 'began')[] = []
  const bind = (one: (typeof binds)[number]) => `:${binds.push(one)}`
  const head = removal(table, () => bind('position'))
  return { sql: `${head}\nwhere ${older(table, bind).join(' and ')}`, binds }
}

/** The rows that `removeOlder` would remove, by their addresses. */
export function olderRows(table: ApplyTable): { sql: string; binds: readonly ('source' | 'began')[] } {
  const binds: ('source' | 'began')[] = []
  const where = older(table, (one) => `:${binds.push(one)}`)
  return { sql: `select rowidtochar(rowid) from ${table.name}\nwhere ${where.join(' and ')}`, binds }
}

function older(table: ApplyTable, bind: (one: 'source' | 'began') => string): string[] {
  return [
    `${quoteName(sourceColumn)} = ${bind('source')}`,
    `${quoteName(positionColumn)} < to_number(${bind('began')})`,
    ...unmarked(table),
  ]
}

/** Removes, or marks, a row by its address: placeholders the position (where rows are marked) and the address. */
export function removeAddress(table: ApplyTable): string {
  const head = removal(table, () => ':1')
  return `${head}\nwhere rowid = chartorowid(${table.deletes === 'remove' ? ':1' : ':2'})`
}

function removal({ name, deletes }: ApplyTable, position: () => string): string {
  if (deletes === 'remove') return `delete from ${name}`
  return `update ${name} set ${quoteName(deletedColumn)} = 1, ${quoteName(positionColumn)} = to_number(${position()}), ${quoteName(receivedColumn)} = ${now}`
}

function unmarked({ deletes }: ApplyTable): string[] {
  return deletes === 'mark' ? [`${quoteName(deletedColumn)} = 0`] : []
}

function sameKey(table: ApplyTable, slots: Slots): string[] {
  return table.columns.flatMap(({ item, column }, place) => (item.key ? [`${quoteName(column)} = ${slots.value(table, place)}`] : []))
}

function addedValue(column: string, slots: Slots): string {
  if (column === sourceColumn) return slots.bind('source')
  if (column === positionColumn) return `to_number(${slots.bind('position')})`
  return column === receivedColumn ? now : '0'
}

/** All of the shadow's rows into the live table, in one statement. Rows of other sources stay as they are, unless they are taken over. */
export function mergeTable(live: ApplyTable, shadow: ApplyTable): string {
  const added = addedColumns(live.deletes).map(({ column }) => column)
  const pairs = [
    ...live.columns.map(({ column }, place) => ({ column, from: shadow.columns[place]!.column })),
    ...added.map((column) => ({ column, from: column })),
  ]
  const isKey = ({ column }: { column: string }) => live.key.includes(column)
  const on = pairs.filter(isKey).map(({ column, from }) => `t.${quoteName(column)} = s.${quoteName(from)}`)
  const set = pairs.filter((pair) => !isKey(pair)).map(({ column, from }) => `t.${quoteName(column)} = s.${quoteName(from)}`)
  const own = live.takeOver || live.key.includes(sourceColumn) ? '' : `\nwhere t.${quoteName(sourceColumn)} = s.${quoteName(sourceColumn)}`
  return `merge into ${live.name} t using ${shadow.name} s on (${on.join(' and ')})
when matched then update set ${set.join(', ')}${own}
when not matched then insert (${names(
    pairs.map(({ column }) => column),
    't.',
  )}) values (${names(
    pairs.map(({ from }) => from),
    's.',
  )})`
}
