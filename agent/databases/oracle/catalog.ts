/** What Oracle's dictionary says of a table, view or query: its place, columns and keys. */
import type oracledb from 'oracledb'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { madeName, quoteName, splitTable } from './sql.ts'
import type { SinkTable, SourceTable } from '../../database.ts'
import type { RawValue, Session } from './connection.ts'

export interface CatalogColumn {
  /** Its exact name. */
  column: string
  /** `VARCHAR2`, `TIMESTAMP(6) WITH TIME ZONE` … */
  type: string
  nullable: boolean
  /** In characters of a column that counts them, in bytes of one that counts bytes. */
  length?: number
  bytes?: number
  countsBytes: boolean
  precision?: number
  scale?: number
}

export interface Key {
  /** Its index, by which rows come in the key's order. */
  index: string
  /** Absent of a unique index without a constraint. */
  constraint?: string
  primary: boolean
  columns: string[]
}

export interface CatalogTable {
  owner: string
  table: string
  /** Quoted. */
  name: string
  view: boolean
  temporary: boolean
  columns: CatalogColumn[]
  /** Unique keys over not-null columns, the primary key first. */
  keys: Key[]
  /** Columns of all unique keys. */
  uniqueColumns: string[]
  /** Changes when the columns or their defaults do. */
  shape: string
}

/** As configured, to its names in the dictionary: exact, in upper case, or else in any case. */
const tableQuery = (owner: string, name: string, fold: (column: string) => string): string =>
  `select owner, name, kind, temporary from (
  select owner, table_name as name, 'TABLE' as kind, temporary from all_tables where dropped = 'NO'
  union all select owner, view_name, 'VIEW', 'N' from all_views)
where ${fold('owner')} in (${owner}) and ${fold('name')} in (${name})`

export async function readTable(session: Session, table: string): Promise<CatalogTable | undefined> {
  const found = await findTable(session, table)
  if (!found) return undefined
  const [owner, name, kind, temporary] = found
  const columns = await readColumns(session, owner, name)
  return {
    owner,
    table: name,
    name: `${quoteName(owner)}.${quoteName(name)}`,
    view: kind === 'VIEW',
    temporary: temporary === 'Y',
    columns: columns.map(catalogColumn),
    ...(kind === 'VIEW' ? { keys: [], uniqueColumns: [] } : await readKeys(session, owner, name, columns)),
    shape: JSON.stringify(columns),
  }
}

/** Owner and name of what is configured as `table`. */
export function place(session: Pick<Session, 'server'>, table: string): { owner: string; name: string } {
  const parts = splitTable(table)
  return parts.length > 1 ? { owner: parts[0]!, name: parts[1]! } : { owner: session.server.user, name: parts[0]! }
}

async function findTable(session: Session, table: string): Promise<[string, string, string, string] | undefined> {
  const { owner, name } = place(session, table)
  const look = async (owners: string[], found: string[], fold: (column: string) => string) => {
    const binds = session.binds()
    const list = (texts: string[]) => texts.map((text) => binds.typed(text, false)).join(', ')
    return (await session.rows(tableQuery(list(owners), list(found), fold), binds)) as [string, string, string, string][]
  }
  let rows = await look([owner, owner.toUpperCase()], [name, name.toUpperCase()], (column) => column)
  if (rows.length === 0) rows = await look([owner.toUpperCase()], [name.toUpperCase()], (column) => `upper(${column})`)
  const rank = ([is, called]: readonly string[]) => Number(is !== owner) + 2 * Number(called !== name)
  return rows.toSorted((a, b) => rank(a) - rank(b))[0]
}

const columnsQuery = (owner: string, name: string): string =>
  `select column_name, data_type, nullable, char_length, data_length, char_used, data_precision, data_scale, column_id, data_default
from all_tab_cols where owner = ${owner} and table_name = ${name} and hidden_column = 'NO' order by column_id`

async function readColumns(session: Session, owner: string, name: string): Promise<RawValue[][]> {
  const binds = session.binds()
  return session.rows(columnsQuery(binds.typed(owner, false), binds.typed(name, false)), binds)
}

function catalogColumn([column, type, nullable, length, bytes, used, precision, scale]: RawValue[]): CatalogColumn {
  const number = (name: string, value: RawValue | undefined) => (value === null || value === undefined ? {} : { [name]: Number(value) })
  return {
    column: String(column),
    type: String(type),
    nullable: nullable === 'Y',
    countsBytes: used === 'B',
    ...(used === null ? {} : number('length', length)),
    ...number('bytes', bytes),
    ...number('precision', precision),
    ...number('scale', scale),
  }
}

/** Enabled constraints, and unique indexes over plain columns; a key in descending order is held in a hidden column and left out. */
const keysQuery = (owner: string, name: string, owner2: string, name2: string): string =>
  `select c.constraint_type, c.constraint_name, c.index_name, k.column_name, k.position
from all_constraints c join all_cons_columns k on k.owner = c.owner and k.constraint_name = c.constraint_name and k.table_name = c.table_name
where c.owner = ${owner} and c.table_name = ${name} and c.constraint_type in ('P', 'U') and c.status = 'ENABLED' and c.index_name is not null
union all select 'I', null, i.index_name, k.column_name, k.column_position
from all_indexes i join all_ind_columns k on k.index_owner = i.owner and k.index_name = i.index_name
where i.table_owner = ${owner2} and i.table_name = ${name2} and i.uniqueness = 'UNIQUE' and i.status <> 'UNUSABLE'
order by 1, 2, 3, 5`

async function readKeys(session: Session, owner: string, name: string, columns: readonly RawValue[][]) {
  const binds = session.binds()
  const [a, b, c, d] = [owner, name, owner, name].map((text) => binds.typed(text, false)) as [string, string, string, string]
  const notNull = new Set(columns.filter((row) => row[2] !== 'Y').map((row) => String(row[0])))
  const rows = (await session.rows(keysQuery(a, b, c, d), binds)) as (string | null)[][]
  return { keys: keysOf(rows, notNull), uniqueColumns: rows.map((row) => String(row[3])) }
}

export function keysOf(rows: readonly (string | null)[][], notNull: ReadonlySet<string>): Key[] {
  const found = new Map<string, Key>()
  for (const [type, constraint, index, column] of rows) {
    const id = constraint ?? `index ${index}`
    const key = found.get(id) ?? {
      index: index!,
      ...(constraint !== null && { constraint: constraint! }),
      primary: type === 'P',
      columns: [],
    }
    key.columns.push(column!)
    found.set(id, key)
  }
  const constraints = new Set([...found.values()].flatMap(({ constraint, index }) => (constraint ? [index] : [])))
  return [...found.values()]
    .filter(({ constraint, index, columns }) => (constraint || !constraints.has(index)) && columns.every((name) => notNull.has(name)))
    .toSorted((a, b) => Number(b.primary) - Number(a.primary))
}

export function findColumn({ columns }: Pick<CatalogTable, 'columns'>, name: string): CatalogColumn | undefined {
  const named = (wanted: string) => columns.find(({ column }) => column === wanted)
  return named(name) ?? named(madeName(name)) ?? columns.find(({ column }) => column.toUpperCase() === name.toUpperCase())
}

export function sameName(a: string, b: string): boolean {
  return a.toUpperCase() === b.toUpperCase()
}

/** The columns of a query in the place of a table. */
export async function readQuery(session: Session, { query }: SourceTable): Promise<CatalogTable> {
  const columns = (await session.columnsOf(query!)).map(queryColumn)
  return {
    owner: '',
    table: '',
    name: `(${query!})`,
    view: true,
    temporary: false,
    columns,
    keys: [],
    uniqueColumns: [],
    shape: JSON.stringify(columns),
  }
}

/** The driver gives a timestamp's precision as its scale. */
export function queryColumn({ name, dbTypeName, byteSize, precision, scale, nullable }: oracledb.Metadata<unknown>): CatalogColumn {
  const type = String(dbTypeName)
  const isNumber = type === 'NUMBER'
  // A NUMBER without limits has a scale of -127; INTEGER has no precision.
  const limits = isNumber && scale !== -127 ? { ...(precision ? { precision } : {}), scale: scale ?? 0 } : {}
  const timed = /^(TIMESTAMP|INTERVAL)/.test(type) && scale !== undefined ? { scale } : {}
  const length = /CHAR/.test(type) && byteSize !== undefined ? { length: byteSize, bytes: byteSize } : {}
  return { column: name, type, nullable: nullable ?? true, countsBytes: true, ...length, ...limits, ...timed }
}

export function unfit({ table }: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table, reason }, { cause })
}

export async function needTable(session: Session, table: string, code: 'QZ-SOURCE-TABLE' | 'QZ-SINK-TABLE'): Promise<CatalogTable> {
  const found = await readTable(session, table)
  if (!found)
    throw new QianzhiError(code, { table, reason: { zh: '不存在或无权读取', en: 'it does not exist, or this account may not read it' } })
  return found
}
