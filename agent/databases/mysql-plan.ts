/** How one watched table is read: its readers, its key index, and the conversion of what comes back. */
import { QianzhiError } from '../../protocol/errors.ts'
import { keyAfter, keyIn, literal, quoteName } from '../../protocol/tables/mysql.ts'
import { missingColumns, type Row, type RowFault, type Rows, type SourceTable } from '../database.ts'
import { needTable, type CatalogTable } from './mysql-catalog.ts'
import type { RawValue, Session } from './mysql-connection.ts'
import { columnReader, type ColumnReader } from './mysql-types.ts'

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
  select: string
  from: string
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss. */
export async function readPlan(session: Session, source: SourceTable): Promise<Plan> {
  const catalog = await needTable(session, source.table, 'QZ-SOURCE-TABLE')
  const find = (name: string) => catalog.columns.find(({ column }) => same(column, name))
  const missing = missingColumns(source, (column) => find(column) !== undefined)
  if (missing) throw refused(source, missing)
  const columns = source.columns.map((mapped) => {
    const column = find(mapped.column)!
    const reader = columnReader(mapped, column, source)
    if (reader) return reader
    throw new QianzhiError('QZ-SOURCE-TYPE', {
      table: source.table,
      column: mapped.column,
      type: column.fullType,
      item: `${mapped.item.id} (${mapped.item.type})`,
    })
  })
  const keys = columns.filter(({ item }) => item.key)
  const index = keyIndex(catalog, keys)
  if (!index)
    throw refused(source, `the key items (${keys.map(({ column }) => column).join(', ')}) are not a unique index of not-null columns`)
  const indexOrder = index.columns.map((name) => keys.findIndex(({ column }) => same(column, name)))
  const table = `${quoteName(catalog.database)}.${quoteName(catalog.table)}`
  return {
    source,
    table,
    catalog,
    columns,
    keys,
    indexOrder,
    select: selectList(columns, source.valueLimit),
    from: `${table} t force index (${quoteName(index.name)})`,
  }
}

export function refused({ table }: SourceTable, reason: string): QianzhiError {
  return new QianzhiError('QZ-SOURCE-TABLE', { table, reason })
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

function keyIndex({ uniques }: CatalogTable, keys: readonly ColumnReader[]): CatalogTable['uniques'][number] | undefined {
  return uniques.find(
    ({ columns }) => columns.length === keys.length && columns.every((name) => keys.some(({ column }) => same(column, name))),
  )
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

/** A key as the literals of the index's own columns; of a value that is not of its type as text. */
function keyLiterals(plan: Plan, key: Row): string[] {
  return plan.indexOrder.map((at) => literal(plan.keys[at]!.item, key[at]!))
}

function indexColumns(plan: Plan): string[] {
  return plan.indexOrder.map((at) => reference(plan.keys[at]!))
}

const keysAtOnce = 1000

export async function rowsByKeys(session: Session, plan: Plan, keys: readonly Row[]): Promise<Rows> {
  const found = new Map<string, RawValue[]>()
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const condition = keyIn(
      indexColumns(plan),
      keys.slice(at, at + keysAtOnce).map((key) => keyLiterals(plan, key)),
    )
    const raw = await session.rows(`select ${plan.select} from ${plan.from} where ${condition}`)
    // Where the collation makes two queued keys one row, that row may come from two chunks.
    if (keys.length <= keysAtOnce) return convertRows(plan, raw)
    for (const row of raw) found.set(rawKey(plan, row), row)
  }
  return convertRows(plan, [...found.values()])
}

function rawKey(plan: Plan, row: readonly RawValue[]): string {
  return JSON.stringify(plan.keys.map((key) => row[plan.columns.indexOf(key)]))
}

export async function rowsAfter(session: Session, plan: Plan, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
  const columns = indexColumns(plan)
  const where = after ? `where ${keyAfter(columns, keyLiterals(plan, after))}` : ''
  const raw = await session.rows(`select ${plan.select} from ${plan.from} ${where} order by ${columns.join(', ')} limit ${limit}`)
  const last = raw.at(-1)
  // The key is taken before the conversion, which works in place.
  const lastKey = last ? portableKey(plan, last) : null
  return { ...convertRows(plan, raw), last: lastKey }
}

/** Rows that fulfil a condition on `t`, in no order and by any index. */
export async function rowsWhere(session: Session, plan: Plan, condition: string, limit: number): Promise<Rows> {
  return convertRows(plan, await session.rows(`select ${plan.select} from ${plan.table} t where ${condition} limit ${limit}`))
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
