/** What the server's catalogue says of a table: columns and indexes. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteText, splitTable } from './sql.ts'
import type { SinkTable } from '../../database.ts'
import type { RawValue, ResultColumn, Session } from './connection.ts'

export interface CatalogColumn {
  column: string
  /** `varchar`, `bigint` … */
  type: string
  /** `varchar(20)`, `bigint(20) unsigned` … */
  fullType: string
  nullable: boolean
  /** Has a value where none is given. */
  defaulted?: boolean
  generated?: boolean
  length?: number
  bytes?: number
  precision?: number
  scale?: number
  fraction?: number
  charset?: string
  collation?: string
  /** Of an ENUM or SET. */
  labels?: string[]
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
  /** All unique indexes, with whatever columns they have. */
  allUniques: { name: string; columns: string[] }[]
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
      numeric_scale, datetime_precision, character_set_name, collation_name, sha2(ifnull(column_default, ''), 256), extra, column_default is not null
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
    ...uniqueIndexes(indexes.map((row) => row.map((value) => (value === null ? '' : String(value))))),
  }
}

/** Numbers of the protocol's column types (MySQL Internals, `enum_field_types`); of texts and blobs the character set tells which. */
const resultTypes: Readonly<Record<number, [string, string?]>> = {
  1: ['tinyint'],
  2: ['smallint'],
  3: ['int'],
  4: ['float'],
  5: ['double'],
  7: ['timestamp'],
  8: ['bigint'],
  9: ['mediumint'],
  10: ['date'],
  11: ['time'],
  12: ['datetime'],
  13: ['year'],
  16: ['bit'],
  245: ['json'],
  246: ['decimal'],
  249: ['tinytext', 'tinyblob'],
  250: ['mediumtext', 'mediumblob'],
  251: ['longtext', 'longblob'],
  252: ['text', 'blob'],
  253: ['varchar', 'varbinary'],
  254: ['char', 'binary'],
}
const flags = { notNull: 1, unsigned: 32, zerofill: 64, enum: 256, set: 2048 }
const binaryCharset = 63

/** A SELECT as if it were a view: its columns by the metadata of its result. What has no known type can supply nothing. */
export async function queryCatalog(session: Session, query: string): Promise<CatalogTable> {
  const columns = await session.columns(`select * from (${query}\n) t limit 0`)
  const shape = JSON.stringify(columns)
  return { database: '', table: '', engine: '', kind: 'VIEW', shape, columns: columns.map(resultColumn), uniques: [], allUniques: [] }
}

function resultColumn({ name, type, charset, length, decimals, flags: has }: ResultColumn): CatalogColumn {
  const is = (flag: number) => (has & flag) > 0
  const [text, bytes] = resultTypes[type] ?? [`type ${type}`]
  const isText = bytes !== undefined && charset !== binaryCharset
  const base = is(flags.enum) ? 'enum' : is(flags.set) ? 'set' : isText || !bytes ? text : bytes
  const column: CatalogColumn = {
    column: name,
    type: base,
    fullType: `${base}${is(flags.unsigned) ? ' unsigned' : ''}${is(flags.zerofill) ? ' zerofill' : ''}`,
    nullable: !is(flags.notNull),
  }
  if (bytes) column.bytes = length
  // The session's character set is utf8mb4: four bytes for each character that the column may hold.
  if (isText) Object.assign(column, { length: Math.floor(length / 4), charset: 'utf8mb4' })
  if (base === 'bit') column.precision = length
  if (base === 'decimal') {
    column.scale = decimals
    column.precision = length - (is(flags.unsigned) ? 0 : 1) - (decimals > 0 ? 1 : 0)
  }
  if (['datetime', 'timestamp', 'time'].includes(base)) column.fraction = decimals
  return column
}

export function unfit({ table }: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table, reason }, { cause })
}

export async function needTable(session: Session, table: string, code: 'QZ-SOURCE-TABLE' | 'QZ-SINK-TABLE'): Promise<CatalogTable> {
  const found = await readTable(session, table)
  if (!found) throw new QianzhiError(code, { table, reason: { zh: '不存在', en: 'it does not exist' } })
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
    defaulted: Number(row[13]) === 1 || /auto_increment/i.test(String(row[12])),
    generated: /generated/i.test(String(row[12])) && !/default_generated/i.test(String(row[12])),
    ...number(4, 'length'),
    ...number(5, 'bytes'),
    ...number(6, 'precision'),
    ...number(7, 'scale'),
    ...number(8, 'fraction'),
    ...word(9, 'charset'),
    ...word(10, 'collation'),
    ...(/^(enum|set)$/i.test(String(row[1])) ? { labels: labelsOf(String(row[2])) } : {}),
  }
}

function labelsOf(fullType: string): string[] {
  return Array.from(fullType.matchAll(/'((?:[^']|'')*)'/g), ([, label]) => label!.replaceAll("''", "'"))
}

function uniqueIndexes(rows: readonly string[][]): Pick<CatalogTable, 'uniques' | 'allUniques'> {
  const found = new Map<string, string[]>()
  const unusable = new Set<string>()
  for (const [name, column, prefix, nullable] of rows as [string, string, string, string][]) {
    if (prefix !== '' || nullable === 'YES' || column === '') unusable.add(name)
    found.set(name, [...(found.get(name) ?? []), column])
  }
  const primaryFirst = ([a]: [string, string[]], [b]: [string, string[]]) => Number(b === 'PRIMARY') - Number(a === 'PRIMARY')
  const allUniques = [...found].toSorted(primaryFirst).map(([name, columns]) => ({ name, columns }))
  return { allUniques, uniques: allUniques.filter(({ name }) => !unusable.has(name)) }
}
