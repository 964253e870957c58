/** Looking at the tables of MySQL and MariaDB for those who register a resource: names, columns, samples, and rows as they would be sent. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { literal, quoteName, quoteText } from './sql.ts'
import {
  previewTimeoutMs,
  type ColumnDescription,
  type PreviewRequest,
  type Row,
  type Rows,
  type SourceTable,
  type TableListing,
} from '../../database.ts'
import { needTable, place } from './catalog.ts'
import { errorNumber, isMissing, type Session } from './connection.ts'
import { readPlan, rowsAfter, rowsWhere, type Plan } from './plan.ts'
import { proposedType } from './proposal.ts'

/** Numbers of the servers' "statement took too long": MySQL's and MariaDB's. */
const tooLong = [3024, 1969]

/** Reads only, and not for long. The session is for this work alone. */
export async function readOnly<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.run(
    session.server.mariadb
      ? `set session max_statement_time = ${previewTimeoutMs / 1000}`
      : `set session max_execution_time = ${previewTimeoutMs}`,
  )
  await session.run('set session transaction read only')
  try {
    return await work()
  } catch (error) {
    if (tooLong.includes(errorNumber(error) ?? 0)) {
      throw new QianzhiError('QZ-DB-UNREACHABLE', { database: session.server.database, reason: reasonOf(error) }, { cause: error })
    }
    throw isMissing(error)
      ? new QianzhiError('QZ-SOURCE-TABLE', { table: session.server.database, reason: reasonOf(error) }, { cause: error })
      : error
  }
}

/** A name with a dot in it could not be configured. The dictionary shows only what the account has some right to. */
export async function listTables(session: Session, limit: number): Promise<TableListing[]> {
  const found = await session.rows(
    `select table_schema = database(), table_schema, table_name, table_type, table_comment, table_rows from information_schema.tables
    where table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema') and table_name not like 'qz\\_%'
      and instr(table_schema, '.') = 0 and instr(table_name, '.') = 0
    order by table_schema <> database(), table_schema, table_name limit ${limit}`,
  )
  return found.map(([here, database, name, type, comment, rows]) => {
    const view = type !== 'BASE TABLE'
    return {
      table: String(here) === '1' ? String(name) : `${String(database)}.${String(name)}`,
      view,
      comment: view ? '' : String(comment),
      rows: view || rows === null ? null : Number(rows),
    }
  })
}

export async function describeTable(session: Session, table: string): Promise<ColumnDescription[]> {
  const { columns, uniques } = await needTable(session, table, 'QZ-SOURCE-TABLE')
  const key = uniques[0]?.columns ?? []
  const comments = await commentsOf(session, table)
  return columns.map((column) => {
    const isKey = key.includes(column.column)
    const proposal = proposedType(column, isKey)
    return {
      column: column.column,
      type: column.fullType,
      nullable: column.nullable,
      key: isKey,
      comment: comments.get(column.column) ?? '',
      ...(proposal && { proposal }),
    }
  })
}

async function commentsOf(session: Session, table: string): Promise<Map<string, string>> {
  const { database, name } = place(session, table)
  const found = await session.rows(
    `select column_name, column_comment from information_schema.columns where table_schema = ${quoteText(database)} and table_name = ${quoteText(name)}`,
  )
  return new Map(found.map(([column, comment]) => [String(column), String(comment)]))
}

export async function sampleRows(session: Session, table: string, columns: readonly string[], rows: number): Promise<Row[]> {
  const { database, name } = place(session, table)
  const values = columns.map((column) => `left(cast(t.${quoteName(column)} as char), 64)`).join(', ')
  const found = await session.rows(`select ${values} from ${quoteName(database)}.${quoteName(name)} t limit ${rows}`)
  return found.map((row) => row.map((value) => (value === null ? null : String(value))))
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
    const { item, column } = plan.columns[at]!
    const document = plan.catalog.columns.find((one) => one.column === column)?.type === 'json'
    const text = value === null ? '' : document ? `cast(${quoteText(value)} as json)` : literal(item, value)
    const condition = `t.${quoteName(column)} ${value === null ? 'is null' : `= ${text}`}`
    return { at, item, value, condition }
  })
  const found = await rowsWhere(session, plan, wanted.map(({ condition }) => condition).join(' and '), rows)
  // Byte by byte, where the collation makes different texts equal.
  return { ...found, rows: found.rows.filter((row) => wanted.every(({ at, item, value }) => item.type !== 'text' || row[at] === value)) }
}
