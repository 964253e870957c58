/** What SQLite's schema says of a table: its columns with their affinities, and its unique indexes. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { SinkTable, SourceTable } from '../../database.ts'
import type { Session } from './session.ts'
import { quoteName, quoteText } from './sql.ts'

/** How SQLite converts what is stored in a column, by its declared type (sqlite.org/datatype3.html, section 3.1); `any` of an expression. */
type Affinity = 'integer' | 'text' | 'blob' | 'real' | 'numeric' | 'any'

export interface Column {
  column: string
  /** As declared. */
  type: string
  affinity: Affinity
  notNull: boolean
  defaulted: boolean
  generated: boolean
}

export interface Table {
  name: string
  view: boolean
  /** The statements that made it and its indexes. Not where it lies: VACUUM changes that. */
  made: string
  columns: Column[]
  /** Columns of each unique index over whole columns, the primary key first. */
  uniques: { name: string; columns: string[] }[]
  /** Columns of all unique indexes, in lower case; where one has an expression or a condition, all that stand in its statement. */
  contested: string[]
}

function affinityOf(type: string): Affinity {
  if (/int/i.test(type)) return 'integer'
  if (/char|clob|text/i.test(type)) return 'text'
  if (/blob/i.test(type) || type === '') return 'blob'
  return /real|floa|doub/i.test(type) ? 'real' : 'numeric'
}

export async function readTable(session: Session, table: string): Promise<Table | undefined> {
  const [found] = await session.rows(
    `select name, type, sql from sqlite_schema where type in ('table', 'view') and lower(name) = lower(${quoteText(table)})`,
  )
  if (!found) return undefined
  const [name, kind, made] = found.map(String) as [string, string, string]
  const columns = await session.rows(`select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(${quoteText(name)})`)
  const indexes = await session.rows(
    `select l.name, l.origin, group_concat(i.name, char(10)), (select sql from sqlite_schema s where s.name = l.name)
     from pragma_index_list(${quoteText(name)}) l, pragma_index_info(l.name) i where l."unique" = 1 and l.partial = 0
     group by l.seq order by l.origin = 'pk' desc, l.seq`,
  )
  const contested = await session.rows(
    `select distinct lower(c.name) from pragma_table_xinfo(${quoteText(name)}) c, pragma_index_list(${quoteText(name)}) l
     where l."unique" = 1 and (c.name in (select name from pragma_index_info(l.name))
       or exists (select 1 from sqlite_schema s where s.name = l.name and instr(lower(s.sql), lower(c.name)) > 0))`,
  )
  // An INTEGER PRIMARY KEY is the row's own number and has no index.
  const primary = columns.filter((row) => Number(row[4]) > 0).toSorted((a, b) => Number(a[4]) - Number(b[4]))
  const own = primary.map((row) => String(row[0]))
  const uniques = indexes.map(([index, , list]) => ({ name: String(index), columns: String(list).split('\n') }))
  if (own.length > 0 && !uniques.some((unique) => unique.columns.join() === own.join())) uniques.unshift({ name: '', columns: own })
  return {
    name,
    view: kind === 'view',
    made: JSON.stringify([made, indexes.map((row) => row.map(String))]),
    columns: columns.map(([column, type, notNull, initial, pk, hidden]) => ({
      column: String(column),
      type: String(type),
      affinity: kind === 'view' && type === '' ? 'any' : affinityOf(String(type)),
      notNull: Number(notNull) === 1 || Number(pk) > 0,
      defaulted: initial !== null,
      generated: Number(hidden) > 1,
    })),
    uniques,
    contested: contested.map(([column]) => String(column)),
  }
}

/** What a source reads from: its table, or its SELECT as if it were a view. Throws QZ-SOURCE-TABLE. */
export async function readSource(
  session: Session,
  { table, query }: Pick<SourceTable, 'table' | 'query'>,
): Promise<Table & { from: string }> {
  if (query === undefined) {
    const found = await readTable(session, table)
    if (!found) throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: { zh: '不存在', en: 'it does not exist' } })
    return { ...found, from: quoteName(found.name) }
  }
  const from = `(${query}\n)`
  const columns = session.columns(`select * from ${from} limit 0`).map(({ name, type }): Column => {
    return { column: name, type, affinity: type === '' ? 'any' : affinityOf(type), notNull: false, defaulted: false, generated: false }
  })
  return { name: table, from, view: true, made: JSON.stringify(columns), columns, uniques: [], contested: [] }
}

export function findColumn({ columns }: Pick<Table, 'columns'>, column: string): Column | undefined {
  return columns.find(({ column: name }) => name.toLowerCase() === column.toLowerCase())
}

export function unfit({ table }: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table, reason }, { cause })
}

export function refused({ table }: Pick<SourceTable, 'table'>, reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SOURCE-TABLE', { table, reason }, { cause })
}
