/** How one source is read: its columns, its key, and the statements that look rows up, page through them and count them. */
import type { SQLInputValue } from 'node:sqlite'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { Value } from '../../../protocol/value.ts'
import {
  keyless,
  missingColumns,
  noKey,
  onlyReads,
  type Found,
  type MappedColumn,
  type Mark,
  type Row,
  type RowFault,
  type Rows,
  type SourceTable,
} from '../../database.ts'
import { byPlace, lookUp, pageOf } from '../bookkeeping/look-up.ts'
import { findColumn, readSource, refused, type Table } from './catalog.ts'
import { isValueError, type Raw, type Session } from './session.ts'
import { names, quoteName, stored } from './sql.ts'
import { canHold, portable } from './types.ts'

export interface Plan {
  source: SourceTable
  table: Table & { from: string }
  columns: readonly MappedColumn[]
  keys: readonly MappedColumn[]
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss. */
export async function readPlan(session: Session, source: SourceTable): Promise<Plan> {
  const table = await readSource(session, source)
  const missing = missingColumns(source, (column) => findColumn(table, column) !== undefined)
  if (missing) throw refused(source, missing)
  for (const { item, column } of source.columns) {
    const found = findColumn(table, column)!
    if (!canHold(item, found)) {
      const details = { table: source.table, column, type: found.type, item: `${item.id} (${item.type})` }
      throw new QianzhiError('QZ-SOURCE-TYPE', details)
    }
  }
  const keys = source.columns.filter(({ item }) => item.key)
  if (!onlyReads(source) && !table.view && !table.uniques.some(({ columns }) => sameNames(columns, keys)))
    throw refused(source, noKey(keys.map(({ column }) => column)))
  return { source, table, columns: source.columns, keys }
}

function sameNames(columns: readonly string[], keys: readonly MappedColumn[]): boolean {
  return columns.length === keys.length && keys.every(({ column }) => columns.some((name) => name.toLowerCase() === column.toLowerCase()))
}

/** Rows without a value in a key column would never be met. */
export async function checkKeys(session: Session, { source, table, keys }: Plan): Promise<void> {
  const empty = keys.map(({ column }) => `${quoteName(column)} is null`).join(' or ')
  if ((await session.rows(`select 1 from ${table.from} t where ${empty} limit 1`)).length > 0) throw refused(source, keyless)
}

interface Condition {
  text: string
  values: SQLInputValue[]
}

function filterOf({ rowFilter = [] }: SourceTable): Condition {
  const texts = rowFilter.map(({ column, value }) => (value === null ? `t.${quoteName(column)} is null` : `t.${quoteName(column)} = ?`))
  return { text: texts.map((text) => ` and ${text}`).join(''), values: rowFilter.flatMap(({ value }) => (value === null ? [] : [value])) }
}

const rowsAtOnce = 200

export function rowsByKeys(session: Session, plan: Plan, keys: readonly Row[]): Promise<Found> {
  return lookUp(plan.source, keys, {
    together: (some) => joined(session, plan, some),
    async apart(some) {
      const groups: Rows[] = []
      for (const key of some) groups.push(await oneByOne(session, plan, key))
      return groups
    },
    isValueError,
    couldBe: async () => true,
  })
}

/** A join from the keys: each comes back, with its row or without one. */
async function joined(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const found: Rows[] = []
  const filter = filterOf(plan.source)
  const same = plan.keys.map(({ column }, i) => `t.${quoteName(column)} = k.column${i + 2}`).join(' and ')
  for (let at = 0; at < keys.length; at += rowsAtOnce) {
    const some = keys.slice(at, at + rowsAtOnce)
    const lines = some.map((_, place) => `(${[place, ...plan.keys.map(() => '?')].join(', ')})`)
    const sql = `select k.column1, t.there, ${listed(plan)} from (values ${lines.join(', ')}) k
      left join (select 1 as there, * from ${plan.table.from} t) t on ${same}${filter.text}`
    const values = some.flatMap((key) => plan.keys.map(({ item }, i) => stored(item, key[i]!)))
    const lineups = byPlace(await session.rows(sql, [...values, ...filter.values]), some.length, ([place]) => Number(place))
    for (const lines of lineups)
      found.push(
        portableRows(
          plan,
          lines.flatMap(([, there, ...row]) => (there === null ? [] : [row])),
        ),
      )
  }
  return found
}

/** Past every index. */
async function oneByOne(session: Session, plan: Plan, key: Row): Promise<Rows> {
  const filter = filterOf(plan.source)
  const same = plan.keys.map(({ column }) => `+t.${quoteName(column)} = ?`).join(' and ')
  const values = plan.keys.map(({ item }, i) => stored(item, key[i]!))
  const sql = `select ${listed(plan)} from ${plan.table.from} t where ${same}${filter.text}`
  return portableRows(plan, await session.rows(sql, [...values, ...filter.values]))
}

function listed({ columns }: Plan): string {
  return names(
    columns.map(({ column }) => column),
    't.',
  )
}

export function rowsAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const ways = {
    page: (after: Row | null, limit: number) => pageAfter(session, plan, after, limit),
    keyAfter: async (after: Row | null) => (await pageAfter(session, { ...plan, columns: plan.keys }, after, 1)).last,
    isValueError,
  }
  return pageOf(ways, after, limit)
}

async function pageAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const order = names(
    plan.keys.map(({ column }) => column),
    't.',
  )
  const filter = filterOf(plan.source)
  const behind = after ? ` and (${order}) > (${plan.keys.map(() => '?').join(', ')})` : ''
  const values = after ? plan.keys.map(({ item }, i) => stored(item, after[i]!)) : []
  const sql = `select ${listed(plan)} from ${plan.table.from} t where true${filter.text}${behind} order by ${order} limit ${limit}`
  const raw = await session.rows(sql, [...filter.values, ...values])
  const last = raw.at(-1)
  return { ...portableRows(plan, raw), last: last && raw.length > 0 ? keyOf(plan, last) : null }
}

/** Rows of one condition, at most so many. */
export async function rowsWhere(session: Session, plan: Plan, where: Condition, limit: number): Promise<Rows> {
  const sql = `select ${listed(plan)} from ${plan.table.from} t where ${where.text} limit ${limit}`
  return portableRows(plan, await session.rows(sql, where.values))
}

export async function countRows(session: Session, { source, table }: Plan): Promise<number> {
  const filter = filterOf(source)
  const [row] = await session.rows(`select count(*) from ${table.from} t where true${filter.text}`, filter.values)
  return Number(row![0])
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE. */
export async function keysSince(
  session: Session,
  { source, table, keys }: Plan,
  watermark: MappedColumn,
  from: Value,
  after: Mark | null,
  limit: number,
): Promise<Mark[]> {
  const { item, column } = watermark
  const found = findColumn(table, column)
  if (!found) throw refused(source, { zh: `列 ${column} 不存在`, en: `it has no column ${column}` })
  if (!canHold(item, found)) {
    throw new QianzhiError('QZ-SOURCE-TYPE', { table: source.table, column, type: found.type, item: `${item.id} (${item.type})` })
  }
  // Times may be written with a blank for the T.
  const isTime = item.type.startsWith('timestamp')
  const mark = isTime ? `replace(t.${quoteName(column)}, ' ', 'T')` : `t.${quoteName(column)}`
  const order = [mark, ...keys.map((key) => `t.${quoteName(key.column)}`)]
  const filter = filterOf(source)
  const conditions = [
    `${mark} is not null`,
    ...(from === null ? [] : [`${mark} >= ?`]),
    ...(after ? [`(${order.join(', ')}) > (${order.map(() => '?').join(', ')})`] : []),
  ]
  const values = [
    ...(from === null ? [] : [stored(item, from)]),
    ...(after ? [stored(item, after.value), ...keys.map((key, i) => stored(key.item, after.key[i]!))] : []),
    ...filter.values,
  ]
  const sql = `select ${order.join(', ')} from ${table.from} t where ${conditions.join(' and ')}${filter.text} order by ${order.join(', ')} limit ${limit}`
  return (await session.rows(sql, values)).map(([value, ...key]) => ({
    value: textOr(item, value!),
    key: keys.map((one, i) => textOr(one.item, key[i]!)),
  }))
}

/** Of what cannot travel the text as it is: it names the row. */
function textOr(item: MappedColumn['item'], raw: Raw): string {
  const read = portable(item, raw)
  return 'value' in read && read.value !== null ? read.value : String(raw)
}

function keyOf({ columns }: Plan, raw: readonly Raw[]): Row {
  return columns.flatMap(({ item }, i) => (item.key ? [textOr(item, raw[i]!)] : []))
}

function portableRows(plan: Plan, raw: readonly (readonly Raw[])[]): Rows {
  const found: Rows = { rows: [], faults: [] }
  for (const row of raw) {
    const read = portableRow(plan, row)
    if ('code' in read) found.faults.push(read)
    else found.rows.push(read)
  }
  return found
}

function portableRow(plan: Plan, raw: readonly Raw[]): Value[] | RowFault {
  const row: Value[] = []
  for (const [i, { item }] of plan.columns.entries()) {
    const value = raw[i]!
    const bytes = typeof value === 'string' ? Buffer.byteLength(value) : value instanceof Uint8Array ? value.length : 0
    if (bytes > plan.source.valueLimit) return { key: keyOf(plan, raw), code: 'QZ-ROW-TOO-LARGE', item: item.id }
    const read = portable(item, value)
    if ('fault' in read) return { key: keyOf(plan, raw), code: 'QZ-ROW-VALUE', item: item.id, reason: read.fault }
    row.push(read.value)
  }
  return row
}

/** Throws QZ-SOURCE-TABLE where triggers could not watch it: asked at set-up and by the running agent. */
export function requireWatchable({ source, table }: Plan): void {
  if (table.view) throw refused(source, { zh: '是视图，触发器只能看到表', en: 'it is a view: triggers see tables only' })
}
