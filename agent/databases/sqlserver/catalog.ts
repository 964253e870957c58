/** What the server's catalogue says of a table, a view or a SELECT: columns and unique indexes. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteName, splitTable, type TextColumn } from './sql.ts'
import type { SinkTable, SourceTable } from '../../database.ts'
import type { RawValue, Session } from './connection.ts'

export interface CatalogColumn {
  column: string
  /** Name of the base type, below alias types: `nvarchar`, `datetime2` … */
  type: string
  /** In bytes; -1 for `max`. */
  bytes: number
  precision: number
  scale: number
  nullable: boolean
  collation: string | undefined
  computed: boolean
  identity: boolean
  /** The server fills it: a rowversion, or a period's or ledger's column. */
  automatic: boolean
  /** Unlike that of a column that was dropped and made again. */
  id: number
  defaulted: boolean
}

export interface UniqueIndex {
  name: string
  primary: boolean
  /** Made by ALTER TABLE … ADD CONSTRAINT, and dropped as such. */
  constraint: boolean
  columns: string[]
}

export interface CatalogTable {
  id: number
  /** `schema.table`. */
  table: string
  /** Quoted. */
  name: string
  kind: 'table' | 'view' | 'query'
  columns: CatalogColumn[]
  /** Unique indexes over not-null columns, the primary key first. */
  uniques: UniqueIndex[]
}

const columnsQuery = `select c.name, coalesce(b.name, u.name), convert(int, c.max_length), convert(int, c.precision), convert(int, c.scale), convert(int, c.is_nullable),
  c.collation_name, convert(int, c.is_computed), convert(int, c.is_identity), c.column_id, case when c.default_object_id <> 0 then 1 else 0 end,
  convert(int, coalesce(columnproperty(c.object_id, c.name, 'GeneratedAlwaysType'), 0))
from sys.columns c left join sys.types b on b.user_type_id = c.system_type_id left join sys.types u on u.user_type_id = c.user_type_id
where c.object_id = convert(int, @id) order by c.column_id`

const indexesQuery = `select i.name, convert(int, i.is_primary_key), convert(int, i.is_unique_constraint), c.name, convert(int, c.is_nullable)
from sys.indexes i join sys.index_columns k on k.object_id = i.object_id and k.index_id = i.index_id
  join sys.columns c on c.object_id = k.object_id and c.column_id = k.column_id
where i.object_id = convert(int, @id) and i.is_unique = 1 and i.is_disabled = 0 and i.has_filter = 0 and k.key_ordinal > 0
order by i.is_primary_key desc, i.index_id, k.key_ordinal`

export async function readTable(session: Session, table: string): Promise<CatalogTable | undefined> {
  const { schema, name } = splitTable(table)
  const [found] = await session.query(
    `select o.object_id, s.name, o.name, rtrim(o.type) from sys.objects o join sys.schemas s on s.schema_id = o.schema_id
where o.name = @name and o.type in ('U', 'V') and s.name in (@schema, @fallback) order by case when s.name = @schema then 0 else 1 end`,
    { name, schema: schema ?? session.server.schema, fallback: schema ?? 'dbo' },
  )
  if (!found) return undefined
  const id = String(found[0])
  const place = `${String(found[1])}.${String(found[2])}`
  return {
    id: Number(id),
    table: place,
    name: `${quoteName(String(found[1]))}.${quoteName(String(found[2]))}`,
    kind: found[3] === 'U' ? 'table' : 'view',
    columns: (await session.query(columnsQuery, { id })).map(catalogColumn),
    uniques: uniqueIndexes(await session.query(indexesQuery, { id })),
  }
}

export async function needTable(session: Session, table: string): Promise<CatalogTable> {
  const found = await readTable(session, table)
  if (!found) throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: { zh: '不存在', en: 'it does not exist' } })
  return found
}

/** A SELECT that is read in a table's place, described by the server without running it. */
export async function describeQuery(session: Session, { table, query }: SourceTable): Promise<CatalogTable> {
  try {
    const rows = await session.query('exec sp_describe_first_result_set @tsql', { tsql: `select * from (\n${query}\n) t` })
    const columns = rows.filter((row) => row[0] !== true).map(queryColumn)
    return { id: 0, table, name: `(\n${query}\n)`, kind: 'query', columns, uniques: [] }
  } catch (error) {
    if (error instanceof QianzhiError) throw error
    throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: reasonOf(error) }, { cause: error })
  }
}

function catalogColumn(row: readonly RawValue[]): CatalogColumn {
  const [column, type, bytes, precision, scale, nullable, collation, computed, identity, id, defaulted, automatic] = row
  return {
    column: String(column),
    type: String(type).toLowerCase(),
    bytes: Number(bytes),
    precision: Number(precision),
    scale: Number(scale),
    nullable: Number(nullable) === 1,
    collation: typeof collation === 'string' ? collation : undefined,
    computed: Number(computed) === 1,
    identity: Number(identity) === 1,
    automatic: String(type).toLowerCase() === 'timestamp' || Number(automatic ?? 0) > 0,
    id: Number(id),
    defaulted: Number(defaulted) === 1,
  }
}

/** A row of sp_describe_first_result_set. */
function queryColumn(row: readonly RawValue[]): CatalogColumn {
  const [, ordinal, name, nullable, , type, bytes, precision, scale, collation] = row
  return {
    column: String(name),
    type: String(type).toLowerCase().replace(/\(.*/, ''),
    bytes: Number(bytes),
    precision: Number(precision),
    scale: Number(scale),
    nullable: nullable !== false,
    collation: typeof collation === 'string' ? collation : undefined,
    computed: false,
    identity: false,
    automatic: false,
    id: Number(ordinal),
    defaulted: false,
  }
}

function uniqueIndexes(rows: readonly RawValue[][]): UniqueIndex[] {
  const found = new Map<string, UniqueIndex & { nullable: boolean }>()
  for (const [index, primary, constraint, column, nullable] of rows) {
    const name = String(index)
    const known = found.get(name) ?? {
      name,
      primary: Number(primary) === 1,
      constraint: Number(constraint) === 1,
      columns: [],
      nullable: false,
    }
    known.columns.push(String(column))
    known.nullable ||= Number(nullable) === 1
    found.set(name, known)
  }
  return [...found.values()].flatMap(({ nullable, ...index }) => (nullable ? [] : [index]))
}

export const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

export function findColumn({ columns }: Pick<CatalogTable, 'columns'>, name: string): CatalogColumn | undefined {
  return columns.find(({ column }) => sameName(column, name))
}

/** How texts of a column are compared. */
export function textColumn({ type, collation }: CatalogColumn): TextColumn | undefined {
  return type.endsWith('char') ? { collation: collation ?? 'database_default', narrow: !type.startsWith('n') } : undefined
}

/** As a column is declared: `nvarchar(20)`, `decimal(12,2)` … */
export function fullType({ type, bytes, precision, scale }: CatalogColumn): string {
  if (/(char|binary)$/.test(type)) return `${type}(${bytes < 0 ? 'max' : type.startsWith('n') ? bytes / 2 : bytes})`
  if (type === 'decimal' || type === 'numeric') return `${type}(${precision},${scale})`
  return ['datetime2', 'datetimeoffset', 'time'].includes(type) ? `${type}(${scale})` : type
}

export function unfit({ table }: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table, reason }, { cause })
}
