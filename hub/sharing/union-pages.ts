/**
 * Pages of a union by keyset. Each member gives at most as many rows as the page has, from its own index and behind the place where the page
 * before ended; the page is the first of them all. The source is the same in all rows of a member, so it is reckoned before anything is read.
 */
import type { Reader, ReadRow } from '../tables/reader.ts'
import { castType, positionColumn, quoted, receivedColumn } from '../tables/shape.ts'
import type { Cursors, Place } from './cursors.ts'
import { filterSql, wrong, type Parameters, type RowsQuery } from './filters.ts'
import { costly, readRow, type FoundRow, type Page } from './pages.ts'
import type { SharedItem } from './share.ts'
import type { Member, Union } from './unions.ts'

interface Deps {
  reader: Reader
  cursors: Cursors
}

/** Throws QZ-DATA-CURSOR, QZ-DATA-COSTLY. `asked`: the parameters that the query was read from. */
export async function readUnionPage({ reader, cursors }: Deps, union: Union, query: RowsQuery, asked: Parameters): Promise<Page> {
  const question = questionOf(union, asked)
  const place = query.after === undefined ? undefined : cursors.open(question, query.after)
  const plan = planOf(union, query)
  const rows = await costly(reader, () => walk(reader, union, plan, place, query.limit + 1))
  const more = rows.length > query.limit
  if (more) rows.pop()
  const last = rows.at(-1)
  const at = plan.columns.length - plan.order.length
  const next = more && last ? cursors.seal(question, last.slice(at)) : undefined
  const source = at + plan.order.indexOf(union.items[0]!)
  for (const row of rows) {
    maskRow(memberOf(union, row[source]!)!, query.select, row)
    row.length = query.select.length
  }
  const count = query.count === 'none' ? undefined : await costly(reader, () => countRows(reader, union, query))
  return { rows, ...(next !== undefined && { next }), ...(count && { count }) }
}

/** Not bound to the members: one that is revoked is gone from the next page. */
function questionOf({ id, standard }: Union, { after: _after, limit: _limit, count: _count, ...asked }: Parameters): string {
  return JSON.stringify([id, standard, Object.entries(asked).toSorted(([a], [b]) => (a < b ? -1 : 1))])
}

function memberOf({ members }: Union, source: string): Member | undefined {
  return members.find((member) => member.source === source)
}

function maskRow({ items }: Member, select: readonly SharedItem[], row: ReadRow): void {
  for (const [i, { id }] of select.entries()) {
    const mask = items.get(id)?.mask
    if (mask && row[i] != null) row[i] = mask(row[i])
  }
}

interface Plan {
  query: RowsQuery
  columns: readonly SharedItem[]
  order: readonly SharedItem[]
  descending: boolean
}

function planOf({ keys }: Union, query: RowsQuery): Plan {
  const { sort, select } = query
  const order = sort ? [sort.item, ...keys.filter(({ id }) => id !== sort.item.id)] : keys
  return { query, columns: [...select, ...order], order, descending: sort?.descending ?? false }
}

/** Rows without a value of the sorted item are another part, as in pages.ts. */
async function walk(reader: Reader, union: Union, plan: Plan, place: Place | undefined, limit: number): Promise<ReadRow[]> {
  const parts: ('values' | 'nulls')[] = plan.order[0]!.key ? ['values'] : plan.descending ? ['nulls', 'values'] : ['values', 'nulls']
  const from = place ? parts.indexOf(place[0] === null ? 'nulls' : 'values') : 0
  // Masks are the members' own, put on when the page is whole.
  const plain = plan.columns.map(({ type }) => ({ type }))
  const rows: ReadRow[] = []
  for (const [i, part] of parts.slice(from).entries()) {
    if (rows.length === limit) break
    const made = partSql(union, plan, { part, place: i === 0 ? place : undefined, limit: limit - rows.length })
    if (made) rows.push(...(await reader.rows(plain, made.sql, made.parameters)))
  }
  return rows
}

interface Part {
  part: 'values' | 'nulls'
  place: Place | undefined
  limit: number
}

/** Undefined where no member has anything behind the place. */
function partSql(union: Union, plan: Plan, part: Part): { sql: string; parameters: unknown[] } | undefined {
  const parameters: unknown[] = []
  const branches = union.members.flatMap((member) => branchSql(union, member, plan, part, parameters) ?? [])
  if (branches.length === 0) return undefined
  const direction = plan.descending ? ' desc' : ''
  const first = plan.columns.length - plan.order.length
  const by = plan.order.map((_, i) => `c${first + i}${direction}`).join(', ')
  return {
    sql: `select * from (${branches.map((sql) => `(${sql})`).join(' union all ')}) u order by ${by} limit ${part.limit}`,
    parameters,
  }
}

function branchSql(
  union: Union,
  member: Member,
  { query, columns, order, descending }: Plan,
  { part, place, limit }: Part,
  parameters: unknown[],
): string | undefined {
  const source = union.items[0]!
  const nullable = !order[0]!.key
  const by = nullable && part === 'nulls' ? order.slice(1) : order
  // First, since PostgreSQL takes no parameter that nothing uses.
  const behind = place
    ? behindPlace(by, source, { member, place: by.map((item) => place[order.indexOf(item)]!), descending, parameters })
    : 'all'
  if (behind === 'nothing') return undefined
  const conditions = query.filters.map((filter) => filterSql(filter, parameters))
  if (nullable) conditions.push(`${quoted(order[0]!.id)} is ${part === 'nulls' ? '' : 'not '}null`)
  if (behind !== 'all') conditions.push(behind)
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''
  const sorted = by.filter((item) => item !== source).map(({ id }) => `${quoted(id)}${descending ? ' desc' : ''}`)
  const shown = columns.map(({ id }, i) => `${quoted(id)} as c${i}`).join(', ')
  return `select ${shown} from ${viewOf(union, member, parameters)} t ${where} order by ${sorted.join(', ')} limit ${limit}`
}

/** What of a member comes behind a place: its source comes before, with or behind that of the place. */
function behindPlace(
  by: readonly SharedItem[],
  source: SharedItem,
  { member, place, descending, parameters }: { member: Member; place: Place; descending: boolean; parameters: unknown[] },
): string {
  const at = by.indexOf(source)
  const order = Buffer.compare(Buffer.from(member.source), Buffer.from(place[at]!)) * (descending ? -1 : 1)
  const compared = order === 0 ? [...by.keys()].filter((i) => i !== at) : [...by.keys()].slice(0, at)
  if (compared.length === 0) return order > 0 ? 'all' : 'nothing'
  const columns = compared.map((i) => quoted(by[i]!.id)).join(', ')
  const values = compared.map((i) => `$${parameters.push(place[i])}::${castType(by[i]!.type)}`).join(', ')
  return `(${columns}) ${descending ? '<' : '>'}${order > 0 ? '=' : ''} (${values})`
}

/** A member's table with the union's columns: its source, and nothing where an item is absent. */
function viewOf({ items }: Union, { source, share, items: own }: Member, parameters: unknown[]): string {
  const columns = items.map(({ id, type }, i) => {
    const collation = type === 'text' ? ' collate "C"' : ''
    if (i === 0) return `$${parameters.push(source)}::text${collation} as ${quoted(id)}`
    return own.has(id) ? quoted(id) : `null::${castType(type)}${collation} as ${quoted(id)}`
  })
  return `(select ${columns.join(', ')}, ${positionColumn}, ${receivedColumn} from ${share.table.name})`
}

async function countRows(reader: Reader, union: Union, { filters, count }: RowsQuery): Promise<{ rows: number; exact: boolean }> {
  const { members } = union
  if (filters.length === 0) return { rows: members.reduce((sum, { share }) => sum + share.table.rows, 0), exact: true }
  const parameters: unknown[] = []
  const branches = members.map((member) => {
    const where = filters.map((filter) => filterSql(filter, parameters)).join(' and ')
    return `select 1 from ${viewOf(union, member, parameters)} t where ${where}`
  })
  const all = branches.join(' union all ')
  if (count === 'exact') {
    const [[rows] = []] = await reader.texts(`select count(*) from (${all}) u`, parameters)
    return { rows: Number(rows), exact: true }
  }
  const [[plan] = []] = await reader.texts(`explain (format json) ${all}`, parameters)
  const [{ Plan }] = JSON.parse(plan!) as [{ Plan: { 'Plan Rows': number } }]
  return { rows: Plan['Plan Rows'], exact: false }
}

/** The row of a source and key, from the member that has it. */
export async function readUnionRow(
  deps: Pick<Deps, 'reader'>,
  union: Union,
  [source, ...key]: readonly string[],
  select: readonly SharedItem[],
): Promise<(FoundRow & { member: Member }) | undefined> {
  const member = memberOf(union, source!)
  if (!member) return undefined
  const { share, items } = member
  const byId = new Map(union.keys.slice(1).map(({ id }, i) => [id, key[i]!]))
  const own = select.flatMap(({ id }) => items.get(id) ?? [])
  const ownKey = share.keys.map(({ id }) => byId.get(id)!)
  const found = await readRow(deps, share, ownKey, own)
  if (!found) return undefined
  const values = select.map((item) =>
    item === union.items[0] ? source! : (found.values[own.findIndex(({ id }) => id === item.id)] ?? null),
  )
  return { ...found, values, member }
}

/**
 * All rows that a query finds, member after member in the order of the key, each as one statement saw it. Throws QZ-DATA-FILTER where another
 * order is asked for.
 */
export async function* streamUnion(
  reader: Reader,
  union: Union,
  { filters, sort, select }: RowsQuery,
  limit: number,
): AsyncGenerator<{ member: Member; rows: ReadRow[] }> {
  if (sort) throw wrong('sort', { zh: '只能与 limit 一起使用', en: 'only together with limit' })
  let left = limit
  for (const member of union.members) {
    const parameters: unknown[] = []
    const conditions = filters.map((filter) => filterSql(filter, parameters))
    const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''
    const columns = select.map(({ id }) => quoted(id)).join(', ')
    const by = union.keys.slice(1).map(({ id }) => quoted(id))
    const sql = `select ${columns} from ${viewOf(union, member, parameters)} t ${where} order by ${by.join(', ')} limit ${left}`
    for await (const rows of reader.stream(
      select.map((item) => member.items.get(item.id) ?? { type: item.type }),
      sql,
      parameters,
    )) {
      left -= rows.length
      yield { member, rows }
    }
    if (left === 0) return
  }
}
