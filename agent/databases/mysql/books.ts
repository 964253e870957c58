/** How the bookkeeper's tables are kept in MySQL and MariaDB. */
import { savepointAttempts } from '../bookkeeping/savepoints.ts'
import type { BookDialect, BookSession, ColumnKind } from '../bookkeeping/session.ts'
import { join, raw, render, sql, type Sql, type SqlValue } from '../bookkeeping/statement.ts'
import { bookTables, columnLines, missingColumns } from '../bookkeeping/tables.ts'
import { readTable } from './catalog.ts'
import { isRowError, type Server, type Session } from './connection.ts'
import { sourceQuarantine, streamTable } from './setup.ts'
import { names, quoteText } from './sql.ts'

export const dialect: BookDialect = {
  positions: 'qz_route_position',
  quarantine: 'qz_quarantine',
  streams: streamTable,
  sourceQuarantine,
  source: 'source',
  resource: 'resource',
  at: 'at',
  yes: '1',
  no: '0',
  now: 'utc_timestamp(6)',
  moment: (column) => `date_format(${column}, '%Y-%m-%dT%H:%i:%s.%fZ')`,
  forUpdate: ' for update',
  alive: 'select 1',
  listLength: 1000,
  insert: (table, columns, rows) => {
    const lines = rows.map((row) => sql`(${join(row, ', ')})`)
    return [sql`insert into ${raw(table)} (${raw(names(columns))}) values ${join(lines, ', ')}`]
  },
  first: ({ columns, from, order }, limit) => sql`select ${raw(columns)} from ${from} order by ${raw(order)} limit ${limit}`,
}

/** A session as the bookkeeper uses it. */
export function bookSession(session: Session): BookSession {
  return {
    rows: (statement) => session.rows(textOf(statement)),
    run: async (statement) => (await session.run(textOf(statement))).affectedRows,
    transaction: (work) => session.transaction(work),
    attempt: savepointAttempts((statement) => session.run(statement), isRowError),
  }
}

function textOf(statement: Sql): string {
  return render(statement, literal)
}

function literal(value: SqlValue): string {
  return value === null ? 'null' : typeof value === 'number' ? String(value) : quoteText(value)
}

/** Makes the tables, and adds to what an older agent made. */
export async function makeBooks(session: Session): Promise<void> {
  const typeOf = (kind: ColumnKind) => columnType(kind, session.server)
  for (const table of bookTables(dialect)) {
    const there = await readTable(session, table.name)
    if (!there) {
      const lines = [...columnLines(table.columns, typeOf, dialect), `primary key (${table.key.join(', ')})`]
      await session.run(
        `create table ${table.name} (\n  ${lines.join(',\n  ')}\n) engine=InnoDB row_format=dynamic default character set utf8mb4 comment=${quoteText(table.comment)}`,
      )
    } else {
      const missing = missingColumns(
        table,
        there.columns.map(({ column }) => column),
      )
      if (missing.length > 0)
        await session.run(
          `alter table ${table.name} ${columnLines(missing, typeOf, dialect)
            .map((line) => `add column ${line}`)
            .join(', ')}`,
        )
    }
  }
}

function columnType(kind: ColumnKind, { binaryCollation }: Server): string {
  if (kind === 'long') return 'longtext'
  if (kind === 'integer') return 'bigint'
  if (kind === 'flag') return 'tinyint'
  if (kind === 'time') return 'datetime(6)'
  return 'code' in kind ? `varchar(${kind.code}) character set utf8mb4 collate ${binaryCollation}` : `varchar(${kind.text})`
}

/** False in a database into which nothing was ever delivered. */
export async function hasBooks(session: Session): Promise<boolean> {
  for (const table of bookTables(dialect)) {
    const there = await readTable(session, table.name)
    if (
      !there ||
      missingColumns(
        table,
        there.columns.map(({ column }) => column),
      ).length > 0
    )
      return false
  }
  return true
}

/** Which ends have books in this database. */
export async function booksThere(session: Session): Promise<{ source: boolean; sink: boolean }> {
  return { source: (await readTable(session, sourceQuarantine)) !== undefined, sink: await hasBooks(session) }
}
