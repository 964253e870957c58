/** How the bookkeeper's tables are kept in Oracle: in the running account's schema. */
import { savepointAttempts } from '../bookkeeping/savepoints.ts'
import type { BookDialect, BookSession, ColumnKind } from '../bookkeeping/session.ts'
import { join, raw, render, sql, type Sql } from '../bookkeeping/statement.ts'
import { bookTables, columnLines } from '../bookkeeping/tables.ts'
import type { Binds, Session } from './connection.ts'
import { isRowError } from './errors.ts'
import { sourceQuarantine, streamTable } from './setup.ts'
import { quoteName, textType, unlessError, type Flavour } from './sql.ts'

export const positionTable = 'QZ_ROUTE_POSITION'
export const quarantineTable = 'QZ_QUARANTINE'

export function dialectOf(owner: string): BookDialect {
  const own = (table: string) => `${quoteName(owner)}.${quoteName(table)}`
  return {
    positions: own(positionTable),
    quarantine: own(quarantineTable),
    streams: own(streamTable),
    sourceQuarantine: own(sourceQuarantine),
    source: 'source_code',
    resource: 'resource_code',
    at: 'written_at',
    yes: '1',
    no: '0',
    now: 'sys_extract_utc(systimestamp)',
    moment: (column) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"')`,
    forUpdate: ' for update',
    alive: 'select 1 from dual',
    listLength: 500,
    insert: (table, columns, rows) =>
      rows.map((row) => sql`insert into ${raw(table)} (${raw(columns.join(', '))})\nvalues (${join(row, ', ')})`),
    first: ({ columns, from, order }, limit) =>
      sql`select * from (\nselect ${raw(columns)} from ${from} order by ${raw(order)}\n) where rownum <= ${limit}`,
  }
}

/** A session as the bookkeeper uses it. */
export function bookSession(session: Session): BookSession {
  return {
    rows(statement) {
      const { text, binds } = textOf(session, statement)
      return session.rows(text, binds)
    },
    run(statement) {
      const { text, binds } = textOf(session, statement)
      return session.run(text, binds)
    },
    transaction: (work) => session.transaction(work),
    attempt: savepointAttempts((statement) => session.run(statement), isRowError),
  }
}

function textOf(session: Session, statement: Sql): { text: string; binds: Binds } {
  const binds = session.binds()
  const text = render(statement, (value) => {
    if (typeof value === 'number') return binds.number(value)
    return value === null || isCode(value) ? binds.code(value) : binds.text(value)
  })
  return { text, binds }
}

/** What every character set has. */
function isCode(text: string): boolean {
  return text.length <= 1000 && /^[\x20-\x7e]*$/.test(text)
}

/** Makes the tables. */
export async function makeBooks(session: Session): Promise<void> {
  if (!(await hasBooks(session))) for (const statement of bookStatements(session.server.user, session.server)) await session.run(statement)
}

export function bookStatements(owner: string, flavour: Flavour): string[] {
  const dialect = dialectOf(owner)
  return bookTables(dialect).map(({ name, columns, key }) => {
    const lines = [...columnLines(columns, (kind) => columnType(kind, flavour), dialect), `primary key (${key.join(', ')})`]
    return unlessError(-955, `create table ${name} (\n  ${lines.join(',\n  ')}\n)`)
  })
}

function columnType(kind: ColumnKind, flavour: Flavour): string {
  if (kind === 'long') return textType(undefined, flavour)
  if (kind === 'integer') return 'number(19)'
  if (kind === 'flag') return 'number(1)'
  if (kind === 'time') return 'timestamp(6)'
  return 'code' in kind ? `varchar2(${kind.code} char)` : textType(kind.text, flavour)
}

/** False in a database into which nothing was ever delivered. */
export async function hasBooks(session: Session): Promise<boolean> {
  return (await booksThere(session)).sink
}

/** Which ends have books in this database. */
export async function booksThere(session: Session): Promise<{ source: boolean; sink: boolean }> {
  const binds = session.binds()
  const [user, ...tables] = [session.server.user, sourceQuarantine, quarantineTable, positionTable].map((name) => binds.code(name))
  const rows = await session.rows(`select table_name from all_tables where owner = ${user} and table_name in (${tables.join(', ')})`, binds)
  const there = new Set(rows.map(([name]) => name))
  return { source: there.has(sourceQuarantine), sink: there.has(quarantineTable) && there.has(positionTable) }
}
