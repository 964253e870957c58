/** How the bookkeeper's tables are kept in SQLite. */
import type { BookDialect, BookSession, ColumnKind } from '../bookkeeping/session.ts'
import { RowsRefused } from '../bookkeeping/sink-engine.ts'
import { join, raw, render, sql, type Sql, type SqlValue } from '../bookkeeping/statement.ts'
import { bookTables, columnLines } from '../bookkeeping/tables.ts'
import { isRowError, type Session } from './session.ts'

export const dialect: BookDialect = {
  positions: 'qz_route_position',
  quarantine: 'qz_quarantine',
  streams: 'qz_stream',
  sourceQuarantine: 'qz_source_quarantine',
  source: 'source',
  resource: 'resource',
  at: 'at',
  yes: '1',
  no: '0',
  now: `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`,
  moment: (column) => column,
  // A writer has the file to itself.
  forUpdate: '',
  alive: 'select 1',
  listLength: 1000,
  insert: (table, columns, rows) => {
    const lines = rows.map((row) => sql`(${join(row, ', ')})`)
    return [sql`insert into ${raw(table)} (${raw(columns.join(', '))}) values ${join(lines, ', ')}`]
  },
  first: ({ columns, from, order }, limit) => sql`select ${raw(columns)} from ${from} order by ${raw(order)} limit ${limit}`,
}

/** A session as the bookkeeper uses it. */
export function bookSession(session: Session): BookSession {
  return {
    async rows(statement) {
      const { text, values } = textOf(statement)
      const rows = await session.rows(text, values)
      return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? null : value)))
    },
    run(statement) {
      const { text, values } = textOf(statement)
      return session.run(text, values)
    },
    transaction: (work) => session.transaction(work),
    /** A trigger's RAISE(ROLLBACK) ends the transaction. */
    async attempt(work) {
      session.script('savepoint qz_rows')
      try {
        const done = await work()
        session.script('release qz_rows')
        return { done }
      } catch (error) {
        if (!(isRowError(error) || error instanceof RowsRefused)) throw error
        const transactionEnded = !session.inTransaction
        if (!transactionEnded) session.script('rollback to qz_rows; release qz_rows')
        return { refused: error, transactionEnded }
      }
    },
  }
}

function textOf(statement: Sql): { text: string; values: SqlValue[] } {
  return { text: render(statement, () => '?'), values: [...statement.values] }
}

function columnType(kind: ColumnKind): string {
  return kind === 'integer' || kind === 'flag' ? 'integer' : 'text'
}

export async function makeBooks(session: Session): Promise<void> {
  if (await hasBooks(session)) return
  for (const { name, columns, key } of bookTables(dialect)) {
    const lines = [...columnLines(columns, columnType, dialect), `primary key (${key.join(', ')})`]
    await session.run(`create table if not exists ${name} (${lines.join(', ')})`)
  }
}

export async function hasBooks(session: Session): Promise<boolean> {
  return (await booksThere(session)).sink
}

/** Which ends have books in this file. */
export async function booksThere(session: Session): Promise<{ source: boolean; sink: boolean }> {
  const rows = await session.rows(`select name from sqlite_schema where type = 'table' and name like 'qz\\_%' escape '\\'`)
  const there = new Set(rows.map(([name]) => name))
  return { source: there.has('qz_source_quarantine'), sink: there.has('qz_route_position') && there.has('qz_quarantine') }
}
