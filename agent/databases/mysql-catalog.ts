/** What the server's catalogue says of a table: columns and indexes. */
import { QianzhiError } from '../../protocol/errors.ts'
import { quoteText, splitTable } from '../../protocol/tables/mysql.ts'
import type { SinkTable } from '../database.ts'
import type { RawValue, Session } from './mysql-connection.ts'

export interface CatalogColumn {
  column: string
  /** `varchar`, `bigint` … */
  type: string
  /** `varchar(20)`, `bigint(20) unsigned` … */
  fullType: string
  nullable: boolean
  length?: number
  bytes?: number
  precision?: number
  scale?: number
  fraction?: number
  charset?: string
  collation?: string
}

export interface CatalogTable {
  database: string
  table: string
  engine: string
  kind: string
  /** Changes when the table was made anew or its columns were changed. */
  shape: string
  columns: CatalogColumn[]
  /** Unique indexes over whole, not-null columns, the primary key first. */
  uniques: { name: string; columns: string[] }[]
}

/** Where a table as configured lies: `= 'database' and table_name = 'table'`. */
export function place(session: Session, table: string): { database: string; name: string } {
  const parts = splitTable(table)
  return parts.length > 1 ? { database: parts[0]!, name: parts[1]! } : { database: session.server.database, name: parts[0]! }
}

export async function readTable(session: Session, table: string): Promise<CatalogTable | undefined> {
  const { database, name } = place(session, table)
  const where = `where table_schema = ${quoteText(database)} and table_name = ${quoteText(name)}`
  const [found] = await session.rows(
    `select table_name, ifnull(engine, ''), table_type, ifnull(cast(create_time as char), '') from information_schema.tables ${where}`,
  )
  if (!found) return undefined
  const columns = await session.rows(
    `select column_name, data_type, column_type, is_nullable, character_maximum_length, character_octet_length, numeric_precision,
      numeric_scale, datetime_precision, character_set_name, collation_name, md5(ifnull(column_default, '')), extra
    from information_schema.columns ${where} order by ordinal_position`,
  )
  const indexes = await session.rows(
    `select index_name, column_name, sub_part, nullable from information_schema.statistics ${where} and non_unique = 0 order by index_name, seq_in_index`,
  )
  return {
    database,
    table: name,
    engine: String(found[1]),
    kind: String(found[2]),
    shape: JSON.stringify([found[3], columns]),
    columns: columns.map(catalogColumn),
    uniques: uniqueIndexes(indexes.map((row) => row.map((value) => (value === null ? '' : String(value))))),
  }
}

export function unfit({ table }: SinkTable, reason: string, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table, reason }, { cause })
}

export async function needTable(session: Session, table: string, code: 'QZ-SOURCE-TABLE' | 'QZ-SINK-TABLE'): Promise<CatalogTable> {
  const found = await readTable(session, table)
  if (!found) throw new QianzhiError(code, { table, reason: 'it does not exist' })
  return found
}

function catalogColumn(row: readonly RawValue[]): CatalogColumn {
  const number = (i: number, name: string) => (row[i] === null ? {} : { [name]: Number(row[i]) })
  const word = (i: number, name: string) => (row[i] === null ? {} : { [name]: String(row[i]) })
  return {
    column: String(row[0]),
    type: String(row[1]).toLowerCase(),
    fullType: String(row[2]).toLowerCase(),
    nullable: row[3] === 'YES',
    ...number(4, 'length'),
    ...number(5, 'bytes'),
    ...number(6, 'precision'),
    ...number(7, 'scale'),
    ...number(8, 'fraction'),
    ...word(9, 'charset'),
    ...word(10, 'collation'),
  }
}

function uniqueIndexes(rows: readonly string[][]): { name: string; columns: string[] }[] {
  const found = new Map<string, string[]>()
  const unusable = new Set<string>()
  for (const [name, column, prefix, nullable] of rows as [string, string, string, string][]) {
    if (prefix !== '' || nullable === 'YES' || column === '') unusable.add(name)
    found.set(name, [...(found.get(name) ?? []), column])
  }
  const primaryFirst = ([a]: [string, string[]], [b]: [string, string[]]) => Number(b === 'PRIMARY') - Number(a === 'PRIMARY')
  return [...found].toSorted(primaryFirst).flatMap(([name, columns]) => (unusable.has(name) ? [] : [{ name, columns }]))
}
