/** Looking at Oracle's tables for those who register a resource: names, columns, samples, and rows as they would be sent. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { quoteName, quoteText, shownName } from './sql.ts'
import { valueFault } from '../../../protocol/value.ts'
import {
  previewTimeoutMs,
  type ColumnDescription,
  type PreviewRequest,
  type Row,
  type Rows,
  type SourceTable,
  type TableListing,
} from '../../database.ts'
import { findColumn, needTable, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { isMissing } from './errors.ts'
import { convertRows, lookStatement, readPlan, rowsAfter, type Plan } from './plan.ts'
import { proposedType } from './proposal.ts'
import { kindOf } from './types.ts'

/** Reads only, and not for long. The session is for this work alone. */
export async function readOnly<T>(session: Session, table: string, work: () => Promise<T>): Promise<T> {
  session.limit(previewTimeoutMs)
  try {
    return await work()
  } catch (error) {
    throw isMissing(error) ? new QianzhiError('QZ-SOURCE-TABLE', { table, reason: reasonOf(error) }, { cause: error }) : error
  }
}

/** Schemas of the server's own; from 12.1 on the dictionary knows them. */
const serverSchemas =
  'ANONYMOUS APEX_PUBLIC_USER APPQOSSYS AUDSYS CTXSYS DBSNMP DIP DVSYS EXFSYS FLOWS_FILES GSMADMIN_INTERNAL LBACSYS MDDATA MDSYS MGMT_VIEW OJVMSYS OLAPSYS ORACLE_OCM ORDDATA ORDPLUGINS ORDSYS OUTLN OWBSYS SI_INFORMTN_SCHEMA SPATIAL_CSW_ADMIN_USR SPATIAL_WFS_ADMIN_USR SYS SYSMAN SYSTEM WMSYS XDB XS$NULL'

/** A name with a dot in it could not be configured. The dictionary shows only what the account has some right to. Ours begin with QZ_. */
export function tablesQuery(user: string, limit: string, maintained: boolean): string {
  const own = maintained
    ? `f.owner not in (select username from all_users where oracle_maintained = 'Y')`
    : `f.owner not in (${serverSchemas.split(' ').map(quoteText).join(', ')}) and f.owner not like 'APEX\\_%' escape '\\'`
  return `select * from (
select f.owner, f.name, f.kind, c.comments, f.num_rows from (
  select owner, table_name as name, 'TABLE' as kind, num_rows from all_tables where dropped = 'NO' and nested = 'NO' and secondary = 'N'
  union all select owner, view_name, 'VIEW', null from all_views) f
left join all_tab_comments c on c.owner = f.owner and c.table_name = f.name
where ${own} and f.name not like 'QZ\\_%' escape '\\' and instr(f.owner, '.') = 0 and instr(f.name, '.') = 0
order by case when f.owner = ${user} then 0 else 1 end, f.owner, f.name
) where rownum <= ${limit}`
}

export async function listTables(session: Session, limit: number): Promise<TableListing[]> {
  const binds = session.binds()
  const { user, number } = session.server
  const found = await session.rows(tablesQuery(binds.code(user), binds.number(limit), number >= 1201000000), binds)
  return found.map(([owner, name, kind, comment, rows]) => ({
    table: owner === user ? shownName(String(name)) : `${shownName(String(owner))}.${shownName(String(name))}`,
    view: kind === 'VIEW',
    comment: comment ? String(comment) : '',
    rows: kind === 'VIEW' || rows === null || rows === undefined ? null : Number(rows),
  }))
}

export async function describeTable(session: Session, table: string): Promise<ColumnDescription[]> {
  const catalog = await needTable(session, table, 'QZ-SOURCE-TABLE')
  const key = catalog.keys[0]?.columns ?? []
  const comments = await commentsOf(session, catalog)
  const timed = await timedColumns(session, catalog)
  return catalog.columns.map((column) => {
    const isKey = key.includes(column.column)
    const proposal = proposedType(column, isKey, timed.has(column.column))
    return {
      column: shownName(column.column),
      type: shownType(column),
      nullable: column.nullable,
      key: isKey,
      comment: comments.get(column.column) ?? '',
      ...(proposal && { proposal }),
    }
  })
}

function shownType({ type, length, precision, scale }: CatalogTable['columns'][number]): string {
  if (length !== undefined) return `${type}(${length})`.toLowerCase()
  if (type !== 'NUMBER' || scale === undefined) return type.toLowerCase()
  return `number(${precision ?? '*'},${scale})`
}

async function commentsOf(session: Session, { owner, table }: CatalogTable): Promise<Map<string, string>> {
  const binds = session.binds()
  const found = await session.rows(
    `select column_name, comments from all_col_comments where owner = ${binds.code(owner)} and table_name = ${binds.code(table)} and comments is not null`,
    binds,
  )
  return new Map(found.map(([column, comment]) => [String(column), String(comment)]))
}

/** Rows in which a DATE column is looked at: does it hold days, or moments? */
const datesLooked = 1000

/** DATE columns of which some row has a time of day. */
async function timedColumns(session: Session, catalog: CatalogTable): Promise<Set<string>> {
  const dates = catalog.columns.filter(({ type }) => type === 'DATE').map(({ column }) => column)
  if (dates.length === 0) return new Set()
  try {
    const [row] = await session.rows(timedQuery(catalog.name, dates))
    return new Set(dates.filter((_, i) => Number(row?.[i]) > 0))
  } catch (error) {
    // Who may see the table but not its rows: a moment holds both.
    if (isMissing(error) || (error instanceof QianzhiError && error.code === 'QZ-DB-RIGHTS')) return new Set(dates)
    throw error
  }
}

export function timedQuery(table: string, dates: readonly string[]): string {
  const counts = dates.map((column) => `count(case when ${quoteName(column)} <> trunc(${quoteName(column)}) then 1 end)`)
  return `select ${counts.join(', ')} from (select ${dates.map(quoteName).join(', ')} from ${table} where rownum <= ${datesLooked})`
}

export async function sampleRows(session: Session, table: string, columns: readonly string[], rows: number): Promise<Row[]> {
  const catalog = await needTable(session, table, 'QZ-SOURCE-TABLE')
  const binds = session.binds()
  const values = columns.map((name) => {
    const column = findColumn(catalog, name)
    if (!column) throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason: { zh: `列 ${name} 不存在`, en: `it has no column ${name}` } })
    return sampled(column)
  })
  const found = await session.rows(`select ${values.join(', ')} from ${catalog.name} t where rownum <= ${binds.number(rows)}`, binds)
  return found.map((row) => row.map((value) => (value === null ? null : String(value))))
}

/** The beginning of a value as text; of what is no text its name only. */
function sampled(column: CatalogTable['columns'][number]): string {
  const at = `t.${quoteName(column.column)}`
  switch (kindOf(column)) {
    case undefined:
      return 'null'
    case 'blob':
    case 'raw':
      return `case when ${at} is not null then 'BINARY' end`
    case 'number':
      return `substr(to_char(${at}, 'TM9'), 1, 64)`
    case 'date':
    case 'timestamp':
    case 'timestamptz':
    case 'localtime':
    case 'interval':
      return `to_char(${at})`
    default:
      return `substr(${at}, 1, 64)`
  }
}

export async function previewRows(session: Session, source: SourceTable, { rows, filter }: PreviewRequest): Promise<Rows> {
  const plan = await readPlan(session, source)
  if (filter.length > 0) return rowsLike(session, plan, { rows, filter })
  const { rows: found, faults } = await rowsAfter(session, plan, null, rows)
  return { rows: found, faults }
}

export async function rowsLike(session: Session, plan: Plan, { rows, filter }: PreviewRequest): Promise<Rows> {
  const wanted = filter.map(({ item: id, value }) => {
    const at = plan.columns.findIndex(({ item }) => item.id === id)
    return { at, value, column: plan.columns[at]! }
  })
  const none = wanted.some(({ column, value }) => column.item.type !== 'text' && valueFault(column.item, value))
  if (none) return { rows: [], faults: [] }
  const { sql, binds } = lookStatement(session.server, plan, wanted, rows)
  const found = convertRows(plan, await session.rows(sql, binds))
  // Byte by byte, where the column's collation makes different texts equal.
  return {
    ...found,
    rows: found.rows.filter((row) => wanted.every(({ at, column, value }) => column.item.type !== 'text' || same(row[at]!, value))),
  }
}

/** Empty text is null here. */
function same(found: string | null, wanted: string | null): boolean {
  return (found ?? '') === (wanted ?? '')
}
