/** How one table, view or query is read: its statements, and the conversion of what comes back. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { valueFault, type Value } from '../../../protocol/value.ts'
import { byPlace, lookUp, pageOf } from '../bookkeeping/look-up.ts'
import { bindText, fromText, quoteName, type ColumnKind, type Flavour } from './sql.ts'
import {
  missingColumns,
  onlyReads,
  type Found,
  type Mark,
  type MappedColumn,
  type Row,
  type RowFault,
  type Rows,
  type SourceTable,
} from '../../database.ts'
import { findColumn, needTable, readQuery, type CatalogTable, type Key } from './catalog.ts'
import { Binds, type RawValue, type Session } from './connection.ts'
import { isRowError } from './errors.ts'
import { columnReader, faultOf, isNational, type ColumnReader } from './types.ts'

export interface Plan {
  source: SourceTable
  catalog: CatalogTable
  columns: readonly ColumnReader[]
  /** In the schema's order, as keys cross the contract. */
  keys: readonly ColumnReader[]
  /** The keys in the index's order, as places within `keys`. */
  order: readonly number[]
  /** Index whose order is the key's; absent where none is known. */
  index?: string
  select: string
  /** Places of the large objects, whose lengths follow the columns. */
  large: readonly number[]
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss. */
export async function readPlan(session: Session, source: SourceTable): Promise<Plan> {
  if (source.capture === 'tracking')
    throw refused(source, {
      zh: 'Oracle 没有 tracking 采集方式，请用 triggers、watermark 或 compare',
      en: 'Oracle has no tracking: capture is one of triggers, watermark, compare',
    })
  const catalog = source.query === undefined ? await needTable(session, source.table, 'QZ-SOURCE-TABLE') : await readQuery(session, source)
  return planOf(source, catalog)
}

export function planOf(source: SourceTable, catalog: CatalogTable): Plan {
  const missing = missingColumns(source, (column) => findColumn(catalog, column) !== undefined)
  if (missing) throw refused(source, missing)
  const columns = source.columns.map((mapped) => readerOf(source, catalog, mapped))
  const keys = columns.filter(({ item }) => item.key)
  const key = keyIndex(catalog, keys)
  if (!key && !onlyReads(source)) {
    const list = keys.map(({ column }) => column).join(', ')
    throw refused(source, {
      zh: `主键信息项 (${list}) 不是非空唯一键`,
      en: `the key items (${list}) are not a unique key of not-null columns`,
    })
  }
  return {
    source,
    catalog,
    columns,
    keys,
    order: key ? key.columns.map((name) => keys.findIndex(({ column }) => column === name)) : keys.map((_, i) => i),
    ...(key && { index: key.index }),
    select: selectList(columns, source.valueLimit),
    large: columns.flatMap(({ large }, place) => (large ? [place] : [])),
  }
}

function readerOf(source: SourceTable, catalog: CatalogTable, mapped: MappedColumn): ColumnReader {
  const column = findColumn(catalog, mapped.column)!
  const reader = columnReader(mapped, column, source)
  if (reader) return reader
  const { item } = mapped
  throw new QianzhiError('QZ-SOURCE-TYPE', {
    table: source.table,
    column: mapped.column,
    type: column.type,
    item: `${item.id} (${item.type})`,
  })
}

export function refused({ table }: SourceTable, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-SOURCE-TABLE', { table, reason })
}

function keyIndex({ keys }: CatalogTable, wanted: readonly ColumnReader[]): Key | undefined {
  return keys.find(
    ({ columns }) => columns.length === wanted.length && columns.every((name) => wanted.some(({ column }) => column === name)),
  )
}

function reference({ column }: Pick<ColumnReader, 'column'>): string {
  return `t.${quoteName(column)}`
}

/** Every column has an alias; large objects over the limit stay on the server, and their lengths follow. */
function selectList(columns: readonly ColumnReader[], limit: number): string {
  const values = columns.map((column, i) => {
    const at = reference(column)
    const value = column.select(at)
    return `${column.large ? `case when length(${at}) <= ${limit} then ${value} end` : value} as c${i + 1}`
  })
  const lengths = columns.flatMap((column, i) => (column.large ? [`length(${reference(column)}) as l${i + 1}`] : []))
  return [...values, ...lengths].join(', ')
}

/** What is read: the table or the query, narrowed to a route's part. */
function fromClause({ catalog }: Plan): string {
  return `${catalog.name} t`
}

function onlyConditions(plan: Plan, binds: Binds): string[] {
  return (plan.source.rowFilter ?? []).map(({ column, value }) => {
    const found = findColumn(plan.catalog, column)
    if (!found) throw refused(plan.source, { zh: `列 ${column} 不存在`, en: `it has no column ${column}` })
    const at = `t.${quoteName(found.column)}`
    if (value === null || value === '') return `${at} is null`
    // Compared as the database compares its column with a literal.
    return `${at} = ${binds.typed(value, /^N(CHAR|VARCHAR)/.test(found.type))}`
  })
}

/** A condition that a value is the key's; the bound text has the column's own kind, so that its index is used. */
function boundKey(key: ColumnReader, value: Value, binds: Binds): string {
  const kind: ColumnKind = key.kind === 'raw' ? 'blob' : key.kind
  const bind = binds.typed(bindText(kind, key.item, value), isNational(kind))
  return fromText(kind, bind, key.charType)
}

/** A key that was written down before its column's type was altered is no value of the new type: it has no row. */
function couldBe(plan: Plan, key: Row): boolean {
  return plan.keys.every(({ kind, item }, i) => {
    if (key[i] === null || key[i] === '') return false
    return isText(kind) ? !key[i]!.includes('\0') : kind === 'number' ? isNumber(item.type, key[i]!) : !valueFault(item, key[i]!)
  })
}

function isText(kind: ColumnReader['kind']): boolean {
  return ['text', 'ntext', 'char', 'nchar'].includes(kind)
}

function isNumber(type: string, value: string): boolean {
  return type === 'boolean' ? value === 'true' || value === 'false' : /^-?\d+(\.\d+)?$/.test(value)
}

/** Sizes of key lists: few different statements, filled up by repeating the last key. A list may hold 1,000 expressions. */
const listSizes = [1, 10, 100, 500]

export function listSize(keys: number): number {
  return listSizes.find((size) => size >= keys) ?? listSizes.at(-1)!
}

export function keyIn(plan: Plan, keys: readonly Row[], binds: Binds): string {
  const filled = Array.from({ length: listSize(keys.length) }, (_, i) => keys[Math.min(i, keys.length - 1)]!)
  const columns = plan.order.map((at) => reference(plan.keys[at]!))
  const values = filled.map((key) => plan.order.map((at) => boundKey(plan.keys[at]!, key[at]!, binds)))
  if (columns.length === 1) return `${columns[0]} in (${values.map(([value]) => value).join(', ')})`
  // A long list of pairs would be taken apart into as many alternatives; of this the optimizer makes a join.
  return `(${columns.join(', ')}) in (${values.map((key) => `select ${key.join(', ')} from dual`).join(' union all ')})`
}

/** A join from the keys: each comes back with its place, and with 1 and its row or with 0; `place` -1 are those that fill up the list. */
export function fromKeysStatement(flavour: Flavour, plan: Plan, keys: readonly Row[]): Statement {
  const binds = new Binds(flavour)
  const lines = Array.from({ length: listSize(keys.length) }, (_, place) => {
    const key = keys[Math.min(place, keys.length - 1)]!
    const first = binds.number(place < keys.length ? place : -1)
    const values = plan.keys.map((one, i) => `${boundKey(one, key[i]!, binds)} as k${i + 1}`)
    return `select ${first} as place, ${values.join(', ')} from dual`
  })
  const same = plan.keys.map((key, i) => `${reference(key)} = k.k${i + 1}`)
  const on = [...same, ...onlyConditions(plan, binds)].join(' and ')
  const isThere = `case when ${reference(plan.keys[0]!)} is null then 0 else 1 end`
  const sql = `select k.place as place, ${isThere} as is_there, ${plan.select}
from (${lines.join(' union all ')}) k left join ${fromClause(plan)} on ${on}`
  return { sql, binds }
}

/** Rows after a key: the first column's range alone is what an index is entered by. */
export function keyAfter(plan: Plan, after: Row, binds: Binds): string {
  const columns = plan.order.map((at) => ({ name: reference(plan.keys[at]!), bind: () => boundKey(plan.keys[at]!, after[at]!, binds) }))
  const [first] = columns as [(typeof columns)[number]]
  if (columns.length === 1) return `${first.name} > ${first.bind()}`
  const enter = `${first.name} >= ${first.bind()}`
  const alternatives = columns.map((column, i) => {
    const same = columns.slice(0, i).map((before) => `${before.name} = ${before.bind()}`)
    return `(${[...same, `${column.name} > ${column.bind()}`].join(' and ')})`
  })
  return `${enter} and (${alternatives.join(' or ')})`
}

function where(conditions: readonly string[]): string {
  return conditions.length > 0 ? `\nwhere ${conditions.join(' and ')}` : ''
}

/** Before 12.1 there is no FETCH FIRST: the rows of an ordered query are counted outside it. */
function first(query: string, limit: number, binds: Binds): string {
  return `select * from (\n${query}\n) where rownum <= ${binds.number(limit)}`
}

function ordered({ keys, order, index }: Plan): { hint: string; by: string } {
  return { hint: index === undefined ? '' : `/*+ index(t ${quoteName(index)}) */ `, by: order.map((at) => reference(keys[at]!)).join(', ') }
}

export interface Statement {
  sql: string
  binds: Binds
}

export function byKeysStatement(flavour: Flavour, plan: Plan, keys: readonly Row[]): Statement {
  const binds = new Binds(flavour)
  const conditions = [keyIn(plan, keys, binds), ...onlyConditions(plan, binds)]
  return { sql: `select ${plan.select}\nfrom ${fromClause(plan)}${where(conditions)}`, binds }
}

export function afterStatement(flavour: Flavour, plan: Plan, after: Row | null, limit: number): Statement {
  const binds = new Binds(flavour)
  const { hint, by } = ordered(plan)
  const conditions = [...(after ? [keyAfter(plan, after, binds)] : []), ...onlyConditions(plan, binds)]
  const query = `select ${hint}${plan.select}\nfrom ${fromClause(plan)}${where(conditions)}\norder by ${by}`
  return { sql: first(query, limit, binds), binds }
}

export function sinceStatement(
  flavour: Flavour,
  plan: Plan,
  watermark: ColumnReader,
  from: Value,
  after: Mark | null,
  limit: number,
): Statement {
  const binds = new Binds(flavour)
  const at = reference(watermark)
  const conditions = [`${at} is not null`]
  if (from !== null) conditions.push(`${at} >= ${boundKey(watermark, from, binds)}`)
  if (after) {
    const beyond = `${at} > ${boundKey(watermark, after.value, binds)}`
    const same = `${at} = ${boundKey(watermark, after.value, binds)}`
    conditions.push(`(${beyond} or (${same} and ${keyAfter(plan, after.key, binds)}))`)
  }
  conditions.push(...onlyConditions(plan, binds))
  const list = [`${watermark.select(at)} as w`, ...plan.keys.map((key, i) => `${key.select(reference(key))} as k${i + 1}`)]
  const query = `select ${list.join(', ')}\nfrom ${fromClause(plan)}${where(conditions)}\norder by ${at}, ${ordered(plan).by}`
  return { sql: first(query, limit, binds), binds }
}

export function countStatement(flavour: Flavour, plan: Plan): Statement {
  const binds = new Binds(flavour)
  // Of a table as it is stored, not by the index that rows are paged by; of a view the hint says nothing.
  return { sql: `select /*+ full(t) */ count(*) from ${fromClause(plan)}${where(onlyConditions(plan, binds))}`, binds }
}

/** One row that has no value in a key column. */
export function withoutKeyStatement(flavour: Flavour, plan: Plan): Statement {
  const binds = new Binds(flavour)
  const missing = plan.keys.map((key) => `${key.select(reference(key))} is null`).join(' or ')
  const conditions = [`(${missing})`, ...onlyConditions(plan, binds), 'rownum = 1']
  return { sql: `select 1 from ${fromClause(plan)}${where(conditions)}`, binds }
}

/** Rows whose items have these values, in no order. */
export function lookStatement(
  flavour: Flavour,
  plan: Plan,
  wanted: readonly { column: ColumnReader; value: Value }[],
  limit: number,
): Statement {
  const binds = new Binds(flavour)
  const conditions = wanted.map(({ column, value }) => {
    const at = reference(column)
    if (value === null || value === '') return `${at} is null`
    if (column.kind === 'blob') return '1 = 0'
    if (!column.large) return `${at} = ${boundKey(column, value, binds)}`
    return `length(${at}) <= 1000 and to_char(substr(${at}, 1, 1000)) = ${binds.typed(value, isNational(column.kind))}`
  })
  conditions.push(...onlyConditions(plan, binds), `rownum <= ${binds.number(limit)}`)
  return { sql: `select ${plan.select}\nfrom ${fromClause(plan)}${where(conditions)}`, binds }
}

export function rowsByKeys(session: Session, plan: Plan, keys: readonly Row[]): Promise<Found> {
  return lookUp(plan.source, keys, {
    together: (keys) => together(session, plan, keys),
    apart: (keys) => apart(session, plan, keys),
    isValueError: isRowError,
    couldBe: async (key) => couldBe(plan, key),
  })
}

/** Keys that could be values, as many as one statement takes. */
function* keyLists(plan: Plan, keys: readonly Row[]): Generator<Row[]> {
  const known = keys.filter((key) => couldBe(plan, key))
  const most = listSizes.at(-1)!
  for (let at = 0; at < known.length; at += most) yield known.slice(at, at + most)
}

async function together(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const groups: Rows[] = []
  for (const list of keyLists(plan, keys)) {
    const { sql, binds } = byKeysStatement(session.server, plan, list)
    groups.push(convertRows(plan, await session.rows(sql, binds)))
  }
  return groups
}

async function apart(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const groups: Rows[] = []
  const there = (lines: RawValue[][]) => lines.filter((line) => Number(line[1]) === 1).map((line) => line.slice(2))
  for (const list of keyLists(plan, keys)) {
    const { sql, binds } = fromKeysStatement(session.server, plan, list)
    const lines: RawValue[][] = await session.rows(sql, binds)
    const asked = lines.filter(([place]) => Number(place) >= 0)
    for (const found of byPlace(asked, list.length, ([place]) => Number(place))) groups.push(convertRows(plan, there(found)))
  }
  return groups
}

export function rowsAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const { keys, source } = plan
  const large = keys.flatMap((key, place) => (key.large ? [place] : []))
  const ofKeys: Plan = { ...plan, columns: keys, select: selectList(keys, source.valueLimit), large }
  const ways = {
    page: (after: Row | null, limit: number) => pageAfter(session, plan, after, limit),
    keyAfter: async (after: Row | null) => (await pageAfter(session, ofKeys, after, 1)).last,
    isValueError: isRowError,
  }
  return pageOf(ways, after, limit)
}

async function pageAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const { sql, binds } = afterStatement(session.server, plan, after, limit)
  const raw = await session.rows(sql, binds)
  const last = raw.at(-1)
  return { ...convertRows(plan, raw), last: last ? portableKey(plan, last) : null }
}

/** The key of a raw row; a key that cannot travel stays as it was read, so that its fault can name it. */
function portableKey({ columns, keys }: Plan, row: readonly RawValue[]): Row {
  return keys.map((key) => portableOr(key, row[columns.indexOf(key)] ?? null))
}

/** The key that a queue entry holds. */
export function queuedKey({ keys }: Plan, texts: readonly RawValue[]): Row {
  return keys.map((key, i) => portableOr(key, texts[i] ?? null))
}

export function portableOr(key: ColumnReader, raw: RawValue): string {
  return raw === null ? '' : (key.convert(raw) ?? String(raw))
}

/** A row with a value that cannot travel becomes a fault. */
export function convertRows(plan: Plan, raw: readonly RawValue[][]): Rows {
  const rows: Row[] = []
  const faults: RowFault[] = []
  for (const row of raw) {
    const made = convertRow(plan, row)
    if (Array.isArray(made)) rows.push(made)
    else faults.push(made)
  }
  return { rows, faults }
}

function convertRow(plan: Plan, row: readonly RawValue[]): Value[] | RowFault {
  const { columns, large, source } = plan
  const values: Value[] = []
  for (const [place, column] of columns.entries()) {
    const raw = column.large ? largeValue(column, row[place]!, row[columns.length + large.indexOf(place)]!, source.valueLimit) : row[place]!
    if (raw === null) values.push(null)
    else if (raw === tooLong || (column.limited && Buffer.byteLength(raw) > source.valueLimit)) {
      return { key: portableKey(plan, row), code: 'QZ-ROW-TOO-LARGE', item: column.item.id }
    } else {
      const value = column.convert(raw)
      if (value === undefined) {
        return { key: portableKey(plan, row), code: 'QZ-ROW-VALUE', item: column.item.id, reason: faultOf(column, raw) }
      }
      values.push(value)
    }
  }
  return values
}

const tooLong = Symbol('too long')

/** An empty large object is fetched as null: its length tells. */
function largeValue({ kind }: ColumnReader, raw: RawValue, length: RawValue, limit: number): RawValue | typeof tooLong {
  if (length === null) return null
  if (Number(length) > limit) return tooLong
  return raw ?? (kind === 'blob' ? Buffer.alloc(0) : '')
}
