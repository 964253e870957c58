/**
 * Pages of a resource's rows by keyset: each begins behind the last row of the one before, in the order of an index, so that page 10,000
 * costs what page 1 does, and rows that come and go meanwhile neither repeat nor hide others.
 */
import { hash } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'

import { valueFault } from '../../protocol/value.ts'
import type { Reader, ReadRow } from '../tables/reader.ts'
import { castType, positionColumn, quoted, receivedColumn } from '../tables/shape.ts'
import type { Cursors, Place } from './cursors.ts'
import { filterSql, wrong, type Parameters, type RowsQuery } from './filters.ts'
import type { Share, SharedItem } from './share.ts'

export interface Page {
  /** One value for each selected item. */
  rows: ReadRow[]
  /** Set where there is more. */
  next?: string
  /** How many rows the filters leave; `exact` is false for an estimate. */
  count?: { rows: number; exact: boolean }
}

export interface PageDeps {
  reader: Reader
  cursors: Cursors
}

/** Throws QZ-DATA-CURSOR, QZ-DATA-COSTLY. */
export async function readPage({ reader, cursors }: PageDeps, share: Share, query: RowsQuery): Promise<Page> {
  const question = questionOf(share, query)
  const place = query.after === undefined ? undefined : cursors.open(question, query.after)
  const plan = planOf(share, query)
  const rows = await costly(reader, () => walk(reader, share, plan, { place, limit: query.limit + 1 }))
  const more = rows.length > query.limit
  if (more) rows.pop()
  const last = rows.at(-1)
  const count = query.count === 'none' ? undefined : await costly(reader, () => countRows(reader, share, query))
  const next =
    more && last
      ? cursors.seal(
          question,
          plan.order.map((_, i) => last[plan.columns.length - plan.order.length + i]!),
        )
      : undefined
  for (const row of rows) row.length = query.select.length
  return { rows, ...(next !== undefined && { next }), ...(count && { count }) }
}

/** What a cursor is bound to: who asks what. */
function questionOf(share: Share, { filters, sort, select }: RowsQuery): string {
  return JSON.stringify([
    share.id,
    share.resource,
    filters.map(({ item, operator, values }) => [item.id, operator, values]),
    sort && [sort.item.id, sort.descending],
    select.map(({ id }) => id),
  ])
}

interface Plan {
  query: RowsQuery
  /** What the rows are read with: the selected items, then those of the order. */
  columns: readonly SharedItem[]
  /** Items by which rows are ordered, all in one direction. The first may be null, keys never. */
  order: readonly SharedItem[]
  descending: boolean
}

function planOf({ keys }: Share, query: RowsQuery): Plan {
  const { sort, select } = query
  const order = sort ? [sort.item, ...keys.filter(({ id }) => id !== sort.item.id)] : keys
  return { query, columns: [...select, ...order], order, descending: sort?.descending ?? false }
}

/**
 * Rows behind a place. An index has nulls behind everything else (before it, read backwards): rows without a value of the sorted item are
 * another part, behind the first one or before it.
 */
async function walk(
  reader: Reader,
  share: Share,
  plan: Plan,
  { place, limit }: { place: Place | undefined; limit: number },
): Promise<ReadRow[]> {
  const parts: ('values' | 'nulls')[] = plan.order[0]!.key ? ['values'] : plan.descending ? ['nulls', 'values'] : ['values', 'nulls']
  const from = place ? parts.indexOf(place[0] === null ? 'nulls' : 'values') : 0
  const rows: ReadRow[] = []
  for (const [i, part] of parts.slice(from).entries()) {
    if (rows.length === limit) break
    const { sql, parameters } = partSql(share, plan, { part, place: i === 0 ? place : undefined, limit: limit - rows.length })
    rows.push(...(await reader.rows(plan.columns, sql, parameters)))
  }
  return rows
}

function partSql(
  { table }: Share,
  { query, columns, order, descending }: Plan,
  { part, place, limit }: { part: 'values' | 'nulls'; place: Place | undefined; limit: number },
): { sql: string; parameters: unknown[] } {
  const parameters: unknown[] = []
  const [first, ...keys] = order
  const nullable = !first!.key
  const by = nullable && part === 'nulls' ? keys : order
  const conditions = query.filters.map((filter) => filterSql(filter, parameters))
  if (nullable) conditions.push(`${quoted(first!.id)} is ${part === 'nulls' ? '' : 'not '}null`)
  if (place) {
    const values = by.map((item) => `$${parameters.push(place[order.indexOf(item)]!)}::${castType(item.type)}`)
    conditions.push(`(${by.map(({ id }) => quoted(id)).join(', ')}) ${descending ? '<' : '>'} (${values.join(', ')})`)
  }
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''
  const direction = descending ? ' desc' : ''
  const sql = `select ${columns.map(({ id }) => quoted(id)).join(', ')} from ${table.name} ${where}
    order by ${by.map(({ id }) => `${quoted(id)}${direction}`).join(', ')} limit ${limit}`
  return { sql, parameters }
}

async function countRows(reader: Reader, { table }: Share, { filters, count }: RowsQuery): Promise<{ rows: number; exact: boolean }> {
  if (filters.length === 0) return { rows: table.rows, exact: true }
  const parameters: unknown[] = []
  const where = filters.map((filter) => filterSql(filter, parameters)).join(' and ')
  if (count === 'exact') {
    const [[rows] = []] = await reader.texts(`select count(*) from ${table.name} where ${where}`, parameters)
    return { rows: Number(rows), exact: true }
  }
  const [[plan] = []] = await reader.texts(`explain (format json) select from ${table.name} where ${where}`, parameters)
  const [{ Plan }] = JSON.parse(plan!) as [{ Plan: { 'Plan Rows': number } }]
  return { rows: Plan['Plan Rows'], exact: false }
}

/** A row with where it came from: its batch is the one at `position`, accepted at `received`. */
export interface FoundRow {
  values: ReadRow
  position: string
  received: string
}

/** The row of a key. Its statement is prepared once on each connection. */
export async function readRow(
  { reader }: Pick<PageDeps, 'reader'>,
  share: Share,
  key: readonly string[],
  select: readonly SharedItem[],
): Promise<FoundRow | undefined> {
  const columns = [...select, ownPosition, ownReceived]
  const where = share.keys.map(({ id, type }, i) => `${quoted(id)} = $${i + 1}::${castType(type)}`).join(' and ')
  const names = [...select.map(({ id }) => quoted(id)), positionColumn, receivedColumn]
  const sql = `select ${names.join(', ')} from ${share.table.name} where ${where}`
  const [row] = await reader.rows(columns, sql, key, `row ${hash('sha1', sql)}`)
  if (!row) return undefined
  const [position, received] = row.splice(select.length) as [string, string]
  return { values: row, position, received }
}

/** The key's values from parameters of their names, and no others. Throws QZ-DATA-FILTER. */
export function keyOf({ keys }: Pick<Share, 'keys'>, parameters: Parameters): string[] {
  const foreign = Object.keys(parameters).find((name) => !keys.some(({ id }) => id === name))
  if (foreign !== undefined) throw wrong(foreign, { zh: '这里只能写主键', en: 'only the key can be given here' })
  return keys.map((item) => {
    const value = parameters[item.id]
    if (typeof value !== 'string') throw wrong(item.id, { zh: '主键信息项须写且只写一次', en: 'a key item must be given, once' })
    const fault = valueFault(item, value)
    if (fault) throw wrong(item.id, fault)
    return value
  })
}

const ownPosition = { type: 'integer' } as const
const ownReceived = { type: 'timestamptz' } as const

/** A statement that was cut off because it took too long is told as that. */
export async function costly<T>(reader: Reader, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if ((error as { code?: unknown }).code !== '57014') throw error
    throw new QianzhiError('QZ-DATA-COSTLY', { seconds: Math.round(reader.patience / 1000) }, { cause: error })
  }
}
