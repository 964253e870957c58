/** How one table, view or SELECT is read: its readers, its key, the statements, and the conversion of what comes back. */
import { QianzhiError } from '../../../protocol/errors.ts'
import { byPlace, lookUp, pageOf } from '../bookkeeping/look-up.ts'
import { binaryCollation, quoteName, spacesColumn, spacesOf, stageValue } from './sql.ts'
import { joinTexts, type LocalizedText } from '../../../protocol/localized.ts'
import { valueFault, type Value } from '../../../protocol/value.ts'
import {
  missingColumns,
  onlyReads,
  type Found,
  type MappedColumn,
  type Mark,
  type Row,
  type RowFault,
  type Rows,
  type SourceTable,
} from '../../database.ts'
import { describeQuery, findColumn, fullType, needTable, sameName, type CatalogTable } from './catalog.ts'
import { reads, type SqlParameters, type RawValue, type Session } from './connection.ts'
import { errorNumber, isRowError } from './errors.ts'
import { rowset, type StageType } from './rowset.ts'
import { columnReader, queueText, type ColumnReader } from './types.ts'

export interface Plan {
  /** What it reads from cannot be read by snapshot isolation: set once the server has said so. */
  waits?: boolean
  source: SourceTable
  catalog: CatalogTable
  columns: readonly ColumnReader[]
  /** In the schema's order, as keys cross the contract. */
  keys: readonly ColumnReader[]
  /** Positions within `keys` in the order in which rows are read; `spaces` is the column that tells apart keys in a table that was delivered. */
  order: readonly (number | 'spaces')[]
  /** Whether a key has at most one row. */
  unique: boolean
  select: string
  /** A column over the limit is told in a last column (counted from 1). */
  limited: boolean
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss. */
export async function readPlan(session: Session, source: SourceTable): Promise<Plan> {
  return planOf(source, source.query === undefined ? await needTable(session, source.table) : await describeQuery(session, source))
}

export function planOf(source: SourceTable, catalog: CatalogTable): Plan {
  const missing = missingColumns(source, (column) => findColumn(catalog, column) !== undefined)
  if (missing) throw refused(source, missing)
  const columns = source.columns.map((mapped) => readerFor(source, catalog, mapped))
  const keys = columns.filter(({ item }) => item.key)
  const index = keyIndex(source, catalog, keys)
  if (!index && !onlyReads(source)) {
    const list = keys.map(({ column }) => column).join(', ')
    throw refused(source, source.capture === 'tracking' ? notPrimary(list) : noIndex(list))
  }
  const place = (name: string) =>
    sameName(name, spacesColumn) ? ('spaces' as const) : keys.findIndex(({ column }) => sameName(column, name))
  const spaced = index?.some((name) => sameName(name, spacesColumn))
  const order = onlyReads(source) || !index ? [...keys.map((_, i) => i), ...(spaced ? (['spaces'] as const) : [])] : index.map(place)
  const limited = columns.some(({ over }) => over)
  return { source, catalog, columns, keys, order, unique: index !== undefined, select: selectList(columns), limited }
}

export function readerFor(source: SourceTable, catalog: CatalogTable, mapped: MappedColumn): ColumnReader {
  const column = findColumn(catalog, mapped.column)
  if (!column) throw refused(source, { zh: `缺少列 ${mapped.column}`, en: `it has no column ${mapped.column}` })
  const reader = columnReader({ ...mapped, column: column.column }, column, source.valueLimit)
  if (reader) return reader
  const item = `${mapped.item.id} (${mapped.item.type})`
  throw new QianzhiError('QZ-SOURCE-TYPE', { table: source.table, column: mapped.column, type: fullType(column), item })
}

export function refused({ table }: SourceTable, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-SOURCE-TABLE', { table, reason })
}

/** Throws QZ-SOURCE-TABLE where its changes could not be watched: asked at set-up and by the running agent. */
export function requireWatchable({ source, catalog }: Plan): void {
  if (catalog.kind !== 'table')
    throw refused(source, { zh: '是视图：只能看到表的变化', en: 'it is a view: changes are seen in tables only' })
}

function noIndex(list: string): LocalizedText {
  return {
    zh: `主键信息项 (${list}) 不是非空列上的唯一索引`,
    en: `the key items (${list}) are not a unique index of not-null columns`,
  }
}

function notPrimary(list: string): LocalizedText {
  return {
    zh: `更改跟踪只记录主键，而资源的主键 (${list}) 不是表的主键：请用 capture: triggers`,
    en: `Change Tracking knows rows by the primary key, which (${list}) is not: use capture: triggers`,
  }
}

/** Change Tracking gives the columns of the primary key and no others. */
function keyIndex({ capture }: SourceTable, { uniques }: CatalogTable, keys: readonly ColumnReader[]): readonly string[] | undefined {
  return uniques.find(
    ({ primary, columns }) =>
      (capture !== 'tracking' || primary) &&
      keys.every(({ column }) => columns.some((name) => sameName(column, name))) &&
      columns.every((name) => sameName(name, spacesColumn) || keys.some(({ column }) => sameName(column, name))),
  )?.columns
}

export function reference({ column }: Pick<ColumnReader, 'column'>): string {
  return `t.${quoteName(column)}`
}

/** What is surely over the limit stays on the server. */
function selectList(columns: readonly ColumnReader[]): string {
  const list = columns.map((column) => {
    const at = reference(column)
    if (!column.over) return column.select(at)
    const read = `case when ${column.over(at)} then null else ${column.select(at)} end`
    // Babelfish sends a CASE over long texts in the server's code page.
    return column.item.type === 'binary' ? read : `convert(nvarchar(max), ${read})`
  })
  const cases = columns.flatMap((column, i) => (column.over ? [`when ${column.over(reference(column))} then ${i + 1}`] : []))
  return cases.length > 0 ? `${list.join(', ')}, case ${cases.join(' ')} else 0 end` : list.join(', ')
}

function from({ catalog }: Plan): string {
  return `${catalog.name} t`
}

/** A route's part of a shared table. */
function onlyCondition({ source }: Plan): { conditions: string[]; parameters: SqlParameters } {
  const only = source.rowFilter ?? []
  return {
    conditions: only.map(({ column, value }, i) => `t.${quoteName(column)} ${value === null ? 'is null' : `= @only${i + 1}`}`),
    parameters: Object.fromEntries(only.flatMap(({ value }, i) => (value === null ? [] : [[`only${i + 1}`, value]]))),
  }
}

function where(conditions: readonly string[]): string {
  return conditions.length > 0 ? ` where ${conditions.join(' and ')}` : ''
}

/**
 * Keys that the column's collation holds for equal, as a queue may name both, are one: so each row comes once, sought by the index. A text
 * that is no value of the column's type any more finds nothing.
 */
export function byKeysStatement(plan: Plan, staged: string): string {
  const wanted = plan.keys.map((key, i) => `${key.fromText(`s.c${i + 1}`)} as k${i + 1}`)
  const same = plan.keys.map((key, i) => `${reference(key)} = k.k${i + 1}`)
  return `select ${plan.select}
from (select distinct ${wanted.join(', ')} from ${staged}) k inner loop join ${from(plan)} on ${same.join(' and ')}${where(onlyCondition(plan).conditions)}`
}

/** A join from the keys, `place` being the column behind theirs: each comes back, with 1 and its row or with 0. */
export function fromKeysStatement(plan: Plan, staged: string): string {
  const same = plan.keys.map((key, i) => `${reference(key)} = ${key.fromText(`s.c${i + 1}`)}`)
  const on = [...same, ...onlyCondition(plan).conditions].join(' and ')
  return `select s.c${plan.keys.length + 1}, case when ${reference(plan.keys[0]!)} is null then 0 else 1 end, ${plan.select}
from ${staged} left loop join ${from(plan)} on ${on}`
}

export function keyStage({ keys }: Plan): StageType[] {
  return keys.map(() => 'nvarchar(4000)')
}

export function stagedKeys({ keys }: Plan, rows: readonly Row[]): string[][] {
  return rows.map((key) => keys.map(({ item }, i) => queueText(item.type, key[i]!)))
}

/** Sources that snapshot isolation does not reach: another database that does not allow it (3952), remote ones (3996), memory-optimized (41332). */
export const beyondSnapshots: ReadonlySet<number> = new Set([3952, 3996, 41332])

/** Without waiting for writers, where all that is read allows it. */
async function read(session: Session, plan: Plan, sql: string, parameters: SqlParameters): Promise<RawValue[][]> {
  if (plan.waits) return session.query(sql, parameters)
  try {
    return await session.query(reads(session.server, sql), parameters)
  } catch (error) {
    if (session.server.reading !== 'snapshot' || !beyondSnapshots.has(errorNumber(error) ?? 0)) throw error
    plan.waits = true
    return session.query(sql, parameters)
  }
}

export function rowsByKeys(session: Session, plan: Plan, keys: readonly Row[]): Promise<Found> {
  return lookUp(plan.source, keys, {
    together: (keys) => together(session, plan, keys),
    apart: (keys) => apart(session, plan, keys),
    isValueError: isRowError,
    // A text that is no value of its column's type is nothing's (try_cast): what the server refuses lies in the row.
    couldBe: async () => true,
  })
}

async function together(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const staged = await rowset(session, keyStage(plan), stagedKeys(plan, keys))
  const sql = byKeysStatement(plan, staged.from)
  return [portableRows(plan, await read(session, plan, sql, { ...staged.parameters, ...onlyCondition(plan).parameters }))]
}

async function apart(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const placed = stagedKeys(plan, keys).map((key, place) => [...key, String(place)])
  const staged = await rowset(session, [...keyStage(plan), 'nvarchar(4000)'], placed, 's', 'placed')
  const sql = fromKeysStatement(plan, staged.from)
  const lines = await read(session, plan, sql, { ...staged.parameters, ...onlyCondition(plan).parameters })
  const there = (lines: RawValue[][]) => lines.filter((line) => Number(line[1]) === 1).map((line) => line.slice(2))
  return byPlace(lines, keys.length, ([place]) => Number(place)).map((found) => portableRows(plan, there(found)))
}

/**
 * The condition "after this key", in the order of reading. The lower bound on the first column makes of it a range of the index: the
 * alternatives alone would be tried on every row from the first.
 */
function keyAfter(plan: Plan): string {
  const keys = plan.order.map((at, i) => {
    const value = `@after${i + 1}`
    return {
      column: orderColumn(plan, at),
      value: at === 'spaces' ? `${value} collate ${binaryCollation}` : plan.keys[at]!.fromText(value),
    }
  })
  const alternatives = keys.map(({ column, value }, i) => {
    const equal = keys.slice(0, i).map((key) => `${key.column} = ${key.value}`)
    return [...equal, `${column} > ${value}`].join(' and ')
  })
  const [first] = keys
  return keys.length === 1
    ? alternatives[0]!
    : `${first!.column} >= ${first!.value} and (${alternatives.map((one) => `(${one})`).join(' or ')})`
}

function orderColumn({ keys }: Plan, at: number | 'spaces'): string {
  return at === 'spaces' ? `t.${spacesColumn}` : reference(keys[at]!)
}

function afterParameters({ order, keys }: Plan, after: Row): SqlParameters {
  const value = (at: number | 'spaces') => (at === 'spaces' ? spacesOf(keys, after) : queueText(keys[at]!.item.type, after[at]!))
  return Object.fromEntries(order.map((at, i) => [`after${i + 1}`, value(at)]))
}

/** Rows of equal keys come together: a chunk does not end between them. */
export function afterStatement(plan: Plan, after: boolean): string {
  const columns = plan.order.map((at) => orderColumn(plan, at)).join(', ')
  const conditions = [...(after ? [keyAfter(plan)] : []), ...onlyCondition(plan).conditions]
  return `select top (convert(int, @limit))${plan.unique ? '' : ' with ties'} ${plan.select}
from ${from(plan)}${where(conditions)} order by ${columns}`
}

export function rowsAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const ofKeys: Plan = { ...plan, columns: plan.keys, select: selectList(plan.keys), limited: plan.keys.some(({ over }) => over) }
  const ways = {
    page: (after: Row | null, limit: number) => pageAfter(session, plan, after, limit),
    keyAfter: async (after: Row | null) => (await pageAfter(session, ofKeys, after, 1)).last,
    isValueError: isRowError,
  }
  return pageOf(ways, after, limit)
}

async function pageAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const parameters = { limit: String(limit), ...(after && afterParameters(plan, after)), ...onlyCondition(plan).parameters }
  const raw = await read(session, plan, afterStatement(plan, after !== null), parameters)
  const end = raw.at(-1)
  return { ...portableRows(plan, raw), last: end ? keyOf(plan, end) : null }
}

/** Rows that fulfil conditions on `t`, in no order. */
export async function rowsWhere(
  session: Session,
  plan: Plan,
  conditions: readonly string[],
  parameters: SqlParameters,
  limit: number,
): Promise<Rows> {
  const only = onlyCondition(plan)
  const sql = `select top (${limit}) ${plan.select} from ${from(plan)}${where([...conditions, ...only.conditions])}`
  return portableRows(plan, await read(session, plan, sql, { ...parameters, ...only.parameters }))
}

/** Keys in the order of (watermark, key); `after` and `since` tell which conditions there are. */
export function sinceStatement(plan: Plan, watermark: ColumnReader, has: { since: boolean; after: boolean }): string {
  const at = reference(watermark)
  const keys = plan.keys.map(reference)
  const values = [{ column: at, value: watermark.fromText('@mark') }]
  for (const [i, key] of plan.keys.entries()) values.push({ column: reference(key), value: key.fromText(`@key${i + 1}`) })
  const alternatives = values.map(({ column, value }, i) => {
    return `(${[...values.slice(0, i).map((one) => `${one.column} = ${one.value}`), `${column} > ${value}`].join(' and ')})`
  })
  const conditions = [
    `${at} is not null`,
    ...(has.since ? [`${at} >= ${watermark.fromText('@since')}`] : []),
    ...(has.after ? [`${at} >= ${values[0]!.value}`, `(${alternatives.join(' or ')})`] : []),
    ...onlyCondition(plan).conditions,
  ]
  const read = [watermark, ...plan.keys].map((column) => column.select(reference(column)))
  return `select top (convert(int, @limit))${plan.unique ? '' : ' with ties'} ${read.join(', ')}
from ${from(plan)}${where(conditions)} order by ${[at, ...keys].join(', ')}`
}

export async function keysSince(
  session: Session,
  plan: Plan,
  mapped: MappedColumn,
  since: Value,
  after: Mark | null,
  limit: number,
): Promise<Mark[]> {
  const watermark = readerFor(plan.source, plan.catalog, mapped)
  const parameters: Record<string, string | null> = { limit: String(limit) }
  if (since !== null) parameters.since = text(watermark, since)
  if (after) {
    parameters.mark = text(watermark, after.value)
    for (const [i, key] of plan.keys.entries()) parameters[`key${i + 1}`] = text(key, after.key[i]!)
  }
  const sql = sinceStatement(plan, watermark, { since: since !== null, after: after !== null })
  const raw = await read(session, plan, sql, {
    ...parameters,
    ...(onlyCondition(plan).parameters as Record<string, string>),
  })
  return raw.map(([value, ...key]) => ({ value: watermark.convert(value!) ?? String(value), key: queuedKey(plan, key) }))
}

function text({ item }: ColumnReader, value: Value): string {
  return String(stageValue({ type: item.type }, value))
}

export async function countRows(session: Session, plan: Plan): Promise<number> {
  const { conditions, parameters } = onlyCondition(plan)
  const sql = `select count_big(*) from ${from(plan)}${where(conditions)}`
  const [row] = await read(session, plan, sql, { ...parameters })
  return Number(row?.[0])
}

/** Of a source that only reads: a row without a value in a key column would never be met. */
export async function checkKeysPresent(session: Session, plan: Plan): Promise<void> {
  const nullable = plan.keys.filter(({ nullable }) => nullable)
  if (nullable.length === 0) return
  const missing = nullable.map((key) => `${reference(key)} is null`).join(' or ')
  const { conditions, parameters } = onlyCondition(plan)
  const sql = `select top (1) 1 from ${from(plan)}${where([`(${missing})`, ...conditions])}`
  if ((await read(session, plan, sql, { ...parameters })).length === 0) return
  const list = nullable.map(({ column }) => column).join(', ')
  throw refused(plan.source, { zh: `有行的主键列 ${list} 为空`, en: `rows have no value in the key column ${list}` })
}

/** The key of a raw row; a key that cannot travel stays as it was read, so that its fault can name it. */
function keyOf({ columns, keys }: Plan, row: readonly RawValue[]): Row {
  return keys.map((key) => portableOr(key, row[columns.indexOf(key)]!))
}

/** The key that a queue entry holds. */
export function queuedKey({ keys }: Plan, texts: readonly RawValue[]): Row {
  return keys.map((key, i) => portableOr(key, texts[i]!))
}

function portableOr(key: ColumnReader, raw: RawValue): string {
  return key.convert(raw) ?? String(raw)
}

/** A row with a value that cannot travel becomes a fault. */
function portableRows(plan: Plan, raw: readonly RawValue[][]): Rows {
  const rows: Row[] = []
  const faults: RowFault[] = []
  for (const row of raw) {
    const made = portableRow(plan, row)
    if (isRow(made)) rows.push(made)
    else faults.push(made)
  }
  return { rows, faults }
}

function isRow(made: Value[] | RowFault): made is Value[] {
  return Array.isArray(made)
}

function portableRow(plan: Plan, raw: readonly RawValue[]): Value[] | RowFault {
  const { columns, limited } = plan
  const over = limited ? Number(raw[columns.length]) : 0
  if (over > 0) return { key: keyOf(plan, raw), code: 'QZ-ROW-TOO-LARGE', item: columns[over - 1]!.item.id }
  const row: Value[] = []
  for (const [i, { item, convert, limit }] of columns.entries()) {
    const value = raw[i]!
    if (value === null) {
      row.push(null)
      continue
    }
    const made = convert(value)
    if (made === undefined) return { key: keyOf(plan, raw), code: 'QZ-ROW-VALUE', item: item.id, reason: faultReason(plan, i, value) }
    if (limit !== undefined && 3 * made.length > limit && Buffer.byteLength(made) > limit)
      return { key: keyOf(plan, raw), code: 'QZ-ROW-TOO-LARGE', item: item.id }
    row.push(made)
  }
  return row
}

function faultReason({ columns }: Plan, i: number, raw: RawValue): LocalizedText {
  const shown = Buffer.isBuffer(raw) ? { zh: `${raw.length} 字节`, en: `${raw.length} bytes` } : String(raw).slice(0, 60)
  const reason = valueFault(columns[i]!.item, String(raw)) ?? { zh: '无法传送', en: 'cannot travel' }
  return joinTexts([shown, reason], { zh: '：', en: ': ' })
}
