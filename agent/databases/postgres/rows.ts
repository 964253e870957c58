/**
 * Reads rows of a source table as portable texts. Everything that depends on the columns' types is decided once, so that a row costs
 * a few steps only for the columns that need any.
 */
import { QianzhiError } from '../../../protocol/errors.ts'
import { joinTexts, type LocalizedText } from '../../../protocol/localized.ts'
import { keyItems } from '../../../protocol/schema.ts'
import { byPlace, lookUp, pageOf } from '../bookkeeping/look-up.ts'
import { quoteName } from './sql.ts'
import { valueFault, type Value } from '../../../protocol/value.ts'
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
import { sqlState, type Connection, type Texts } from './connection.ts'
import type { Table } from './table.ts'
import {
  bytesOf,
  conditionOf,
  fewEntries,
  joinFromKeys,
  keylessQuery,
  statements,
  type IndexColumn,
  type KeyReading,
} from './row-queries.ts'
import type { CopiedColumn } from './copy-out.ts'
import { isToldByText, readingOf, type Convert, type Reading } from './types.ts'

interface ColumnConversion {
  place: number
  convert: Convert
}

export interface Reader {
  keys: readonly KeyReading[]
  conversions: readonly ColumnConversion[]
  columns: readonly MappedColumn[]
  /** True where a last column holds the place of the first value over the limit. */
  counted: boolean
  /** All rows, as `r`, with a WHERE clause that further conditions can follow. */
  select: string
  /** How many there are. */
  count: string
  /** A row without a value in its key, where the table allows one and the database is not asked to forbid it. */
  keyless: string | undefined
  byKeys: string
  /** A join from the keys: each comes back, with the first of its row's key columns or null, then the row. */
  fromKeys: string
  /** The texts of one key as values of their columns. */
  keyValues: string
  first: string
  next: string
  /** Rows in the key's order behind a place (SQL of the values of `order`, or none), so many. */
  page: (after: readonly string[] | undefined, limit: string) => string
  /** Keyset order: the index's columns as places in `keys`. */
  order: readonly number[]
  /** The same of the key's columns alone. */
  ofKeys(): Reader
  /** Entries of a queue, each with its keys and their rows; undefined where a key is not told by its text. */
  entries: ((queue: string) => string) | undefined
  /** How COPY's bytes become the columns of a batch: undefined where they do not, or a key is not told by its text. */
  copied: readonly CopiedColumn[] | undefined
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss. */
export function readerOf(source: SourceTable, table: Table): Reader {
  checkShape(source, table)
  const readings = source.columns.map((mapped) => readingFor(source, table, mapped))
  const keys = keyReading(source, table)
  const counted = source.columns.flatMap(({ column }, place) => (readings[place]!.wide ? [{ column, place }] : []))
  const over = counted.map(({ column, place }) => ({ place, test: `${bytesOf(table.columns.get(column)!)} > ${source.valueLimit}` }))
  const values = source.columns.map(({ column }, place) => {
    const value = `r.${quoteName(column)}${readings[place]!.asText ? '::text' : ''}`
    const test = over.find((one) => one.place === place)?.test
    return test ? `case when ${test} then null else ${value} end` : value
  })
  if (over.length > 0) values.push(`case ${over.map((one) => `when ${one.test} then ${one.place}`).join(' ')} end`)
  const rows = `${table.name} r where ${conditionOf(source)}`
  const from = `from ${rows}`
  const select = `select ${values.join(', ')} ${from}`
  const conversions = readings.flatMap(({ convert }, place) => (convert ? [{ place, convert }] : []))
  return {
    keys,
    conversions,
    columns: source.columns,
    counted: over.length > 0,
    select,
    count: `select count(*) ${from}`,
    keyless: keylessQuery(source, table, from),
    ...statements(select, keys, keyIndex(source, table) ?? keys.map(({ column }) => ({ column, collation: null }))),
    fromKeys: joinFromKeys(values, rows, keys),
    copied: copiedOf(source, table, readings),
    entries: keys.every(({ column }) => isToldByText(table.columns.get(column)!))
      ? (queue) => fewEntries(queue, values, rows, keys)
      : undefined,
    ofKeys: () => readerOf({ ...source, columns: source.columns.filter(({ item }) => item.key) }, table),
    keyValues: `select ${keys.map((key, i) => `$${i + 1}::${key.cast}`).join(', ')}`,
  }
}

function copiedOf(source: SourceTable, table: Table, readings: readonly Reading[]): CopiedColumn[] | undefined {
  const keys = source.columns.filter(({ item }) => item.key)
  if (!keys.every(({ column }) => isToldByText(table.columns.get(column)!))) return undefined
  if (source.columns.some(({ mapping }) => mapping)) return undefined
  const copied = readings.flatMap((reading) => reading.copied ?? [])
  return copied.length === readings.length ? copied : undefined
}

function checkShape(source: SourceTable, table: Table): void {
  const fail = (reason: LocalizedText): never => {
    throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason })
  }
  const reads = onlyReads(source)
  if (!reads && !['r', 'p'].includes(table.kind))
    fail({ zh: '不是表，触发器看不到变化', en: 'it is no table, so triggers cannot see what changes in it' })
  if (table.persistence === 't') fail({ zh: '是临时表', en: 'it is temporary' })
  if (table.rowSecurity)
    fail({
      zh: '行级安全策略使本账号看不到全部数据行：请授予 BYPASSRLS，或关闭行级安全',
      en: 'row security hides rows from this user: exempt it (BYPASSRLS) or switch row security off',
    })
  const missing = missingColumns(source, (column) => table.columns.has(column))
  if (missing) fail(missing)
  if (reads) return
  if (!keyIndex(source, table)) {
    const names = source.columns.filter(({ item }) => item.key).map(({ column }) => column)
    fail(noKey(names))
  }
  for (const { item, column } of source.columns) {
    if (item.key && !table.columns.get(column)!.notNull) fail({ zh: `主键列 ${column} 允许为空`, en: `key column ${column} may be null` })
  }
}

function keyIndex(source: SourceTable, table: Table): readonly IndexColumn[] | undefined {
  const wanted = new Set(source.columns.filter(({ item }) => item.key).map(({ column }) => column))
  const place = table.keys.findIndex((key) => key.length === wanted.size && key.every((column) => wanted.has(column)))
  return table.keys[place]?.map((column, i) => ({ column, collation: table.collations[place]![i]! }))
}

function readingFor(source: SourceTable, table: Table, { item, column }: MappedColumn) {
  const found = table.columns.get(column)!
  const reading = readingOf(item, found, source.valueLimit)
  if (!reading) throw new QianzhiError('QZ-SOURCE-TYPE', { table: source.table, column, type: found.type, item: item.id })
  return reading
}

/** The key columns in the schema's order, as `Row` keys are. */
export function keyReading(source: SourceTable, table: Table): KeyReading[] {
  checkShape(source, table)
  return keyItems(source.schema).map((item) => {
    const place = source.columns.findIndex((mapped) => mapped.item.id === item.id)
    const mapped = source.columns[place]
    if (!mapped)
      throw new QianzhiError('QZ-SOURCE-TABLE', {
        table: source.table,
        reason: { zh: `主键信息项 ${item.id} 没有对应的列`, en: `key item ${item.id} has no column` },
      })
    const { convert } = readingFor(source, table, mapped)
    return { place, column: mapped.column, cast: table.columns.get(mapped.column)!.cast, convert }
  })
}

export function readByKeys(connection: Connection, reader: Reader, keys: readonly Row[]): Promise<Found> {
  const lists = (keys: readonly Row[]) => reader.keys.map((_, i) => keys.map((key) => key[i]))
  return lookUp(reader, keys, {
    together: async (keys) => [portableRows(reader, await connection.prepared(reader.byKeys, lists(keys)))],
    async apart(keys) {
      const lines = byPlace(await connection.prepared(reader.fromKeys, lists(keys)), keys.length, ([place]) => Number(place) - 1)
      return lines.map((found) =>
        portableRows(
          reader,
          found.filter(([, there]) => there !== null).map((line) => line.slice(2)),
        ),
      )
    },
    isValueError,
    couldBe: (key) => isKey(connection, reader, key),
  })
}

/** Classes of SQLSTATE that lie with the statement, its session or the server (PostgreSQL manual, appendix A). */
const notOfRows = /^(0|20|24|25|26|27|28|2B|2D|34|3B|3D|3F|40|42|53|55|57|58|72|HV|XX)/

/** Raised for what a row holds: data exceptions, what functions of the agency's own raise, a row that is damaged on the disk. */
export function isValueError(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && /^[0-9A-Z]{5}$/.test(state) && (!notOfRows.test(state) || state === 'XX001')
}

async function isKey(connection: Connection, reader: Reader, key: Row): Promise<boolean> {
  try {
    await connection.query(reader.keyValues, key)
    return true
  } catch (error) {
    if (isValueError(error)) return false
    throw error
  }
}

export function readAfter(connection: Connection, reader: Reader, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const ways = {
    page: (after: Row | null, limit: number) => pageAfter(connection, reader, after, limit),
    keyAfter: async (after: Row | null) => (await pageAfter(connection, reader.ofKeys(), after, 1)).last,
    isValueError,
  }
  return pageOf(ways, after, limit)
}

async function pageAfter(connection: Connection, reader: Reader, after: Row | null, limit: number) {
  const texts = after
    ? await connection.prepared(reader.next, [...reader.order.map((key) => after[key]), limit])
    : await connection.prepared(reader.first, [limit])
  const end = texts.at(-1)
  const last = end ? keyOf(reader, end) : null
  return { ...portableRows(reader, texts), last }
}

/** Throws QZ-SOURCE-TABLE where a row has no value in its key: reading in the key's order would never meet it. */
export async function checkKeys(connection: Connection, reader: Reader, source: SourceTable): Promise<void> {
  if (!reader.keyless || (await connection.query(reader.keyless)).length === 0) return
  throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason: keyless })
}

export async function countRows(connection: Connection, reader: Reader): Promise<number> {
  const [row] = await connection.query(reader.count)
  return Number(row![0])
}

/** See `Reading.keysSince`. Throws QZ-SOURCE-TYPE where the column is no such type. */
export async function keysSince(
  connection: Connection,
  reader: Reader,
  source: SourceTable,
  table: Table,
  watermark: MappedColumn,
  from: Value,
  after: Mark | null,
  limit: number,
): Promise<Mark[]> {
  if (!table.columns.has(watermark.column)) {
    const reason = missingColumns({ ...source, columns: [watermark] }, () => false)!
    throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason })
  }
  const { asText, convert } = readingFor(source, table, watermark)
  const [column, { cast }] = [`r.${quoteName(watermark.column)}`, table.columns.get(watermark.column)!]
  const keys = source.columns.filter(({ item }) => item.key)
  const keyTexts = keys.map(({ column }) => `r.${quoteName(column)}::text`)
  const order = [column, ...keys.map(({ column }) => `r.${quoteName(column)}`)]
  const values: Value[] = []
  const bound = (value: Value, type: string): string => `$${values.push(value)}::${type}`
  const conditions = [`${column} is not null`]
  if (after) {
    const place = [bound(after.value, cast), ...reader.keys.map((key, i) => bound(after.key[i]!, key.cast))]
    conditions.push(`(${order.join(', ')}) > (${place.join(', ')})`)
  } else if (from !== null) conditions.push(`${column} >= ${bound(from, cast)}`)
  const found = await connection.query(
    `select ${column}${asText ? '::text' : ''}, ${keyTexts.join(', ')} from ${table.name} r
     where ${conditionOf(source)} and ${conditions.join(' and ')} order by ${order.join(', ')} limit ${limit}`,
    values,
  )
  return found.map(([value, ...key]) => ({
    value: convert?.(value!) ?? value!,
    key: key.map((text, i) => reader.keys[i]!.convert?.(text!) ?? text!),
  }))
}

/** Rows that fulfil a condition on `r`, in no order. */
export async function readWhere(
  connection: Connection,
  reader: Reader,
  condition: string,
  values: readonly unknown[],
  limit: number,
): Promise<Rows> {
  return portableRows(reader, await connection.query(`${reader.select} and ${condition} limit ${limit}`, values))
}

/** The key of a row as read, also of one that cannot travel: what is no portable value stays as PostgreSQL writes it. */
function keyOf(reader: Reader, row: Texts): Row {
  return reader.keys.map(({ place, convert }) => (convert ? (convert(row[place]!) ?? row[place]!) : row[place]!))
}

/** Converts in place: the arrays come from the driver and are nobody else's. */
export function portableRows(reader: Reader, texts: Texts[]): Rows {
  const { conversions, counted } = reader
  if (conversions.length === 0 && !counted) return { rows: texts, faults: [] }
  const rows: Row[] = []
  const faults: RowFault[] = []
  for (const row of texts) {
    const fault = (counted ? tooLarge(reader, row) : undefined) ?? convertRow(reader, conversions, row)
    if (fault) faults.push(fault)
    else rows.push(row)
  }
  return { rows, faults }
}

function tooLarge(reader: Reader, row: Texts): RowFault | undefined {
  const place = row.pop()
  if (place === null) return undefined
  return { key: keyOf(reader, row), code: 'QZ-ROW-TOO-LARGE', item: reader.columns[Number(place)]!.item.id }
}

function convertRow(reader: Reader, conversions: readonly ColumnConversion[], row: Texts): RowFault | undefined {
  for (const { place, convert } of conversions) {
    const text = row[place]!
    if (text === null) continue
    const value = convert(text)
    if (value === undefined) {
      const { item } = reader.columns[place]!
      const reason = valueFault(item, text) ?? { zh: '无法传送', en: 'cannot travel' }
      return {
        key: keyOf(reader, row),
        code: 'QZ-ROW-VALUE',
        item: item.id,
        reason: joinTexts([text.slice(0, 60), reason], { zh: '：', en: ': ' }),
      }
    }
    row[place] = value
  }
  return undefined
}

/** Key texts as the queue holds them, made portable; distinct, byte by byte. */
export function portableKeys(reader: Reader, columns: readonly (readonly string[])[], seen: Map<string, Row>): void {
  const [first] = columns
  const converts = reader.keys.map(({ convert }) => convert)
  for (let i = 0; i < first!.length; i++) {
    const key = columns.map((texts, k) => converts[k]?.(texts[i]!) ?? texts[i]!)
    seen.set(key.length === 1 ? key[0]! : key.join('\0'), key)
  }
}
