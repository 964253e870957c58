/** How one watched table is read: its readers, its key index, and the conversion of what comes back. */
import { QianzhiError } from '../../../protocol/errors.ts'
import { byPlace, lookUp, pageOf } from '../bookkeeping/look-up.ts'
import { columnText, keyAfter, keyIn, keyIs, literal, quoteName, quoteText } from './sql.ts'
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
import type { LocalizedText } from '../../../protocol/localized.ts'
import { valueFault as portableFault, type Value } from '../../../protocol/value.ts'
import { needTable, queryCatalog, type CatalogColumn, type CatalogTable } from './catalog.ts'
import { unreadable } from './grants.ts'
import { isValueError, type RawValue, type Session } from './connection.ts'
import { columnReader, labelNumber, rawText, type ColumnReader } from './types.ts'

export interface Plan {
  source: SourceTable
  /** Quoted `database`.`table`. */
  table: string
  catalog: CatalogTable
  columns: readonly ColumnReader[]
  /** In the schema's order, as keys cross the contract. */
  keys: readonly ColumnReader[]
  /** Positions within `keys` in the index's order. */
  indexOrder: readonly number[]
  /** The table has no unique index over the key: texts are compared byte by byte, so that none is passed over. */
  binaryOrder: boolean
  select: string
  /** `table` as `t`, by the index of the key where there is one. */
  keyed: string
  /** Of the rows that are this source's. */
  condition: string
  /** With a WHERE clause that further conditions can follow. */
  from: string
  /** The same by any index. */
  fromAny: string
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss. */
export async function readPlan(session: Session, source: SourceTable): Promise<Plan> {
  const catalog = await (source.query === undefined
    ? needTable(session, source.table, 'QZ-SOURCE-TABLE').catch(async (error) => {
        throw (await unreadable(session, source)) ?? error
      })
    : queryCatalog(session, source.query))
  const missing = missingColumns(source, (column) => findColumn(catalog, column) !== undefined)
  if (missing) throw (source.query === undefined ? await unreadable(session, source) : undefined) ?? refused(source, missing)
  const columns = source.columns.map((mapped) => readerFor(source, catalog, mapped))
  const keys = columns.filter(({ item }) => item.key)
  const names = keys.map(({ column }) => column)
  const index = keyIndex(catalog, keys, source.rowFilter)
  if (!index && !onlyReads(source)) throw refused(source, noKey(names))
  const indexOrder = (index?.columns ?? names).map((name) => keys.findIndex(({ column }) => same(column, name)))
  const table = source.query === undefined ? `${quoteName(catalog.database)}.${quoteName(catalog.table)}` : `(${source.query}\n)`
  const condition = conditionOf(source)
  const keyed = `${table} t${index ? ` force index (${quoteName(index.name)})` : ''}`
  return {
    source,
    table,
    catalog,
    columns,
    keys,
    indexOrder,
    binaryOrder: !index,
    select: selectList(columns, source.valueLimit),
    keyed,
    condition,
    from: `${keyed} where ${condition}`,
    fromAny: `${table} t where ${condition}`,
  }
}

function findColumn({ columns }: CatalogTable, name: string): CatalogColumn | undefined {
  return columns.find(({ column }) => same(column, name))
}

function readerFor(source: SourceTable, catalog: CatalogTable, mapped: MappedColumn): ColumnReader {
  const column = findColumn(catalog, mapped.column)!
  const reader = columnReader(mapped, column, source)
  if (reader) return reader
  throw new QianzhiError('QZ-SOURCE-TYPE', {
    table: source.table,
    column: mapped.column,
    type: column.fullType,
    item: `${mapped.item.id} (${mapped.item.type})`,
  })
}

function conditionOf({ rowFilter = [] }: SourceTable): string {
  if (rowFilter.length === 0) return 'true'
  return rowFilter
    .map(({ column, value }) => `t.${quoteName(column)} ${value === null ? 'is null' : `= ${quoteText(value)}`}`)
    .join(' and ')
}

export function refused({ table }: SourceTable, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-SOURCE-TABLE', { table, reason })
}

/** Throws QZ-SOURCE-TABLE where triggers could not watch it: asked at set-up and by the running agent. */
export function requireWatchable({ source, catalog: { kind, engine } }: Plan): void {
  if (kind !== 'BASE TABLE')
    throw refused(source, {
      zh: `类型为 ${kind.toLowerCase()}，不是表，触发器看不到变化`,
      en: `it is a ${kind.toLowerCase()}: triggers see tables only`,
    })
  if (engine.toLowerCase() !== 'innodb')
    throw refused(source, {
      zh: `存储引擎是 ${engine}，数据与队列不能一同提交：请改用 InnoDB`,
      en: `its engine is ${engine}: changes and their queue entries would not commit together, InnoDB is needed`,
    })
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** What `only` fixes may stand in the index besides: a shared table's key begins with the source. */
function keyIndex(
  { uniques }: CatalogTable,
  keys: readonly ColumnReader[],
  only: SourceTable['rowFilter'] = [],
): CatalogTable['uniques'][number] | undefined {
  return uniques
    .map((unique) => ({ ...unique, columns: unique.columns.filter((name) => !only.some(({ column }) => same(column, name))) }))
    .find(({ columns }) => columns.length === keys.length && columns.every((name) => keys.some(({ column }) => same(column, name))))
}

function reference({ column }: ColumnReader): string {
  return `t.${quoteName(column)}`
}

/** What is over the limit stays on the server; the last column then tells which (counted from 1). */
function selectList(columns: readonly ColumnReader[], limit: number): string {
  const tooLong = (column: ColumnReader) => `octet_length(${reference(column)}) > ${limit}`
  const list = columns.map((column) => {
    const read = column.select(reference(column))
    return column.limited ? `if(${tooLong(column)}, null, ${read})` : read
  })
  const cases = columns.flatMap((column, i) => (column.limited ? [`when ${tooLong(column)} then ${i + 1}`] : []))
  return cases.length > 0 ? `${list.join(', ')}, case ${cases.join(' ')} else 0 end` : list.join(', ')
}

/** A key as literals to compare with `indexColumns`; of a value that is not of its type as text. */
function keyLiterals(plan: Plan, key: Row): string[] {
  return plan.indexOrder.map((at) => {
    const text = literal(plan.keys[at]!.item, key[at]!)
    return inBytes(plan, plan.keys[at]!) ? `cast(${text} as binary)` : text
  })
}

/** The same to compare with `>`: an ENUM or SET is ordered by its number, while with a text it would be compared as text. */
function orderLiterals(plan: Plan, key: Row): string[] {
  return keyLiterals(plan, key).map((text, i) => {
    const at = plan.indexOrder[i]!
    const number = inBytes(plan, plan.keys[at]!) ? undefined : labelNumber(findColumn(plan.catalog, plan.keys[at]!.column)!, key[at]!)
    return number === undefined ? text : String(number)
  })
}

/** The key's columns as rows are ordered and found by. */
function indexColumns(plan: Plan): string[] {
  return plan.indexOrder.map((at) => {
    const key = plan.keys[at]!
    return inBytes(plan, key) ? `cast(convert(${reference(key)} using utf8mb4) as binary)` : reference(key)
  })
}

function inBytes(plan: Plan, { item }: ColumnReader): boolean {
  return plan.binaryOrder && item.type === 'text'
}

/** Keys of one statement, and of one that has a part for each of them. */
const [keysAtOnce, apartAtOnce] = [1000, 100]

export function rowsByKeys(session: Session, plan: Plan, keys: readonly Row[]): Promise<Found> {
  return lookUp(plan.source, keys, {
    together: (keys) => together(session, plan, keys),
    apart: (keys) => (plan.binaryOrder ? byTexts(session, plan, keys) : apart(session, plan, keys)),
    isValueError,
    couldBe: (key) => couldBe(session, plan, key),
  })
}

/** By literals in the columns' own character sets. */
async function together(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const groups: Rows[] = []
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const literals = keys.slice(at, at + keysAtOnce).map((key) => indexLiterals(plan, key))
    const condition = keyIn(indexColumns(plan), literals)
    groups.push(convertRows(plan, await session.rows(`select ${plan.select} from ${plan.from} and ${condition}`)))
  }
  return groups
}

function indexLiterals(plan: Plan, key: Row): string[] {
  return keyLiterals(plan, key).map((text, i) => {
    const reader = plan.keys[plan.indexOrder[i]!]!
    return inBytes(plan, reader) ? text : columnText(text, findColumn(plan.catalog, reader.column)!)
  })
}

/** Each key by a statement of its own, its literals as the server understands them. */
async function apart(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const isThere = `${reference(plan.keys[0]!)} is not null`
  const groups: Rows[] = []
  for (let at = 0; at < keys.length; at += apartAtOnce) {
    const part = keys.slice(at, at + apartAtOnce)
    const looks = part.map((key, place) => {
      const on = `${plan.condition} and ${keyIs(indexColumns(plan), keyLiterals(plan, key))}`
      return `(select ${place}, ${isThere}, ${plan.select} from (select 1) one left join ${plan.keyed} on ${on})`
    })
    const lines = await session.rows(looks.join(' union all '))
    const there = (lines: RawValue[][]) => lines.filter((line) => Number(line[1]) === 1).map((line) => line.slice(2))
    for (const found of byPlace(lines, part.length, (line) => Number(line[0]))) groups.push(convertRows(plan, there(found)))
  }
  return groups
}

/** Where there is no index to find each by: the whole key as one text, as the queue holds it. */
async function byTexts(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows[]> {
  const bytes = (text: string) => `cast(convert(${text} using utf8mb4) as binary)`
  const whole = `concat_ws(x'00', ${plan.keys.map((key) => bytes(key.select(reference(key)))).join(', ')})`
  const groups: Rows[] = []
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const texts = keys.slice(at, at + keysAtOnce).map((key) => plan.keys.map(({ item }, i) => rawText(item.type, key[i]!)).join('\0'))
    const within = texts.map((text) => `cast(${quoteText(text)} as binary)`).join(', ')
    groups.push(convertRows(plan, await session.rows(`select ${plan.select} from ${plan.from} and ${whole} in (${within})`)))
  }
  return groups
}

/** Portable, and of characters that the column's character set has. */
async function couldBe(session: Session, { keys, catalog }: Plan, key: Row): Promise<boolean> {
  if (keys.some(({ item }, i) => portableFault(item, key[i]!) !== undefined)) return false
  const texts = keys.map(({ column }, i) => {
    const own = columnText(quoteText(key[i]!), { charset: findColumn(catalog, column)!.charset ?? 'utf8mb4' })
    return `convert(${own} using utf8mb4) = ${quoteText(key[i]!)}`
  })
  const [row] = await session.rows(`select ${texts.join(' and ')}`)
  return Number(row![0]) === 1
}

export function rowsAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const ofKeys: Plan = { ...plan, columns: plan.keys, select: selectList(plan.keys, plan.source.valueLimit) }
  const ways = {
    page: (after: Row | null, limit: number) => pageAfter(session, plan, after, limit),
    keyAfter: async (after: Row | null) => (await pageAfter(session, ofKeys, after, 1)).last,
    isValueError,
  }
  return pageOf(ways, after, limit)
}

async function pageAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const columns = indexColumns(plan)
  const further = after ? `and (${keyAfter(columns, orderLiterals(plan, after))})` : ''
  const raw = await session.rows(`select ${plan.select} from ${plan.from} ${further} order by ${columns.join(', ')} limit ${limit}`)
  const last = raw.at(-1)
  // The key is taken before the conversion, which works in place.
  const lastKey = last ? portableKey(plan, last) : null
  return { ...convertRows(plan, raw), last: lastKey }
}

/** Rows that fulfil a condition on `t`, in no order and by any index. */
export async function rowsWhere(session: Session, plan: Plan, condition: string, limit: number): Promise<Rows> {
  return convertRows(plan, await session.rows(`select ${plan.select} from ${plan.fromAny} and ${condition} limit ${limit}`))
}

export async function countRows(session: Session, plan: Plan): Promise<number> {
  // Of a table as it is stored, not by the index that rows are paged by.
  const hint = plan.catalog.kind === 'BASE TABLE' ? ' use index ()' : ''
  const [row] = await session.rows(`select count(*) from ${plan.table} t${hint} where ${plan.condition}`)
  return Number(row![0])
}

/** Throws QZ-SOURCE-TABLE where a row has no value in its key: reading in the key's order would never meet it. */
export async function checkKeys(session: Session, plan: Plan): Promise<void> {
  const open = plan.keys.filter(({ column }) => findColumn(plan.catalog, column)!.nullable)
  if (open.length === 0) return
  const condition = open.map((key) => `${reference(key)} is null`).join(' or ')
  const found = await session.rows(`select 1 from ${plan.fromAny} and (${condition}) limit 1`)
  if (found.length > 0) throw refused(plan.source, keyless)
}

/** See `Reading.keysSince`. Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE. */
export async function keysSince(
  session: Session,
  plan: Plan,
  watermark: MappedColumn,
  from: Value,
  after: Mark | null,
  limit: number,
): Promise<Mark[]> {
  const missing = missingColumns({ ...plan.source, columns: [watermark] }, (name) => findColumn(plan.catalog, name) !== undefined)
  if (missing) throw refused(plan.source, missing)
  const reader = readerFor(plan.source, plan.catalog, watermark)
  const column = reference(reader)
  const columns = indexColumns(plan)
  const conditions = [`${column} is not null`]
  if (after)
    conditions.push(`(${keyAfter([column, ...columns], [literal(watermark.item, after.value), ...orderLiterals(plan, after.key)])})`)
  else if (from !== null) conditions.push(`${column} >= ${literal(watermark.item, from)}`)
  const texts = plan.keys.map((key) => key.select(reference(key)))
  const found = await session.rows(
    `select ${reader.select(column)}, ${texts.join(', ')} from ${plan.fromAny} and ${conditions.join(' and ')}
    order by ${[column, ...columns].join(', ')} limit ${limit}`,
  )
  return found.map(([value, ...key]) => ({ value: portableOr(reader, value!), key: queuedKey(plan, key) }))
}

/** The key of a raw row; a key that cannot travel stays as it was read, so that its fault can name it. */
function portableKey({ columns, keys }: Plan, row: readonly RawValue[]): Row {
  return keys.map((key) => portableOr(key, row[columns.indexOf(key)]!))
}

/** The key that a queue entry holds. */
export function queuedKey({ keys }: Plan, texts: readonly RawValue[]): Row {
  return keys.map((key, i) => portableOr(key, texts[i]!))
}

function portableOr(key: ColumnReader, raw: RawValue): string {
  const text = String(raw)
  return key.convert?.(text as never) ?? text
}

/** Converts in place, column by column within a row; a row with a value that cannot travel becomes a fault. */
function convertRows(plan: Plan, raw: RawValue[][]): Rows {
  const { columns } = plan
  const converting = columns.flatMap(({ convert }, at) =>
    convert ? [{ at, convert: convert as (raw: RawValue) => RawValue | undefined }] : [],
  )
  const limited = columns.some(({ limited }) => limited)
  const rows: RawValue[][] = []
  const faults: RowFault[] = []
  next: for (const row of raw) {
    const over = limited ? Number(row.pop()) : 0
    if (over > 0) {
      faults.push({ key: portableKey(plan, row), code: 'QZ-ROW-TOO-LARGE', item: columns[over - 1]!.item.id })
      continue
    }
    for (const [done, { at, convert }] of converting.entries()) {
      const value = row[at]!
      if (value === null) continue
      const made = convert(value)
      if (made === undefined) {
        faults.push(valueFault(plan, row, at, new Set(converting.slice(0, done).map(({ at }) => at))))
        continue next
      }
      row[at] = made
    }
    rows.push(row)
  }
  return { rows: rows as Row[], faults }
}

function valueFault({ columns, keys }: Plan, row: readonly RawValue[], at: number, converted: ReadonlySet<number>): RowFault {
  const key = keys.map((key) => {
    const i = columns.indexOf(key)
    return converted.has(i) ? String(row[i]) : portableOr(key, row[i]!)
  })
  return { key, code: 'QZ-ROW-VALUE', item: columns[at]!.item.id, reason: columns[at]!.fault(row[at]!) }
}
