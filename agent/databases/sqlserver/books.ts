/** How the bookkeeper's tables are kept in SQL Server. */
import { savepoints } from '../bookkeeping/savepoints.ts'
import type { Attempt, BookDialect, BookSession, ColumnKind } from '../bookkeeping/session.ts'
import { RowsRefused } from '../bookkeeping/sink-engine.ts'
import { join, raw, render, sql, type Sql, type SqlValue } from '../bookkeeping/statement.ts'
import { bookTables, columnLines, missingColumns } from '../bookkeeping/tables.ts'
import { readTable } from './catalog.ts'
import { reads, type Session, type SqlParameters } from './connection.ts'
import { isRowError } from './errors.ts'
import { positionTable, quarantineTable, sourceQuarantine, streamTable } from './names.ts'
import { makeSchema, makeTable } from './setup.ts'
import { binaryCollation } from './sql.ts'

export const dialect: BookDialect = {
  positions: positionTable,
  quarantine: quarantineTable,
  streams: streamTable,
  sourceQuarantine,
  source: 'source',
  resource: 'resource',
  at: 'at',
  yes: '1',
  no: '0',
  now: 'sysutcdatetime()',
  moment: (column) => `convert(nvarchar(30), ${column}, 121)`,
  // The first update locks, and no other session delivers.
  forUpdate: '',
  alive: 'select 1',
  // A statement has at most 2,100 parameters.
  listLength: 500,
  insert: (table, columns, rows) => {
    const lines = rows.map((row) => sql`(${join(row, ', ')})`)
    return [sql`insert into ${raw(table)} (${raw(columns.join(', '))}) values ${join(lines, ',\n  ')}`]
  },
  first: ({ columns, from, order }, limit) => sql`select top (${raw(String(limit))}) ${raw(columns)} from ${from} order by ${raw(order)}`,
}

/** A session as the bookkeeper uses it; `waits`: whether what another session has locked is waited for. */
export function bookSession(session: Session, waits = true): BookSession {
  const savepoint = savepoints()
  return {
    rows(statement) {
      const { text, parameters } = textOf(statement)
      return session.query(waits ? text : reads(session.server, text), parameters)
    },
    async run(statement) {
      const { text, parameters } = textOf(statement)
      const rows = await session.query(`${text};\nselect @@rowcount`, parameters)
      return Number(rows.at(-1)?.[0] ?? 0)
    },
    transaction: (work) => session.transaction(work),
    attempt: (work) => savepoint((name) => attempt(session, name, work)),
  }
}

/** A refusal may leave the transaction as it was, or end it (a trigger's ROLLBACK, a value that is not to be converted). */
async function attempt<T>(session: Session, name: string, work: () => Promise<T>): Promise<Attempt<T>> {
  await session.query(`save transaction ${name}`)
  const stages = new Map(session.stages)
  try {
    return { done: await work() }
  } catch (error) {
    if (!(isRowError(error) || error instanceof RowsRefused)) throw error
    // Temporary tables that were made since go with what is undone.
    for (const use of session.stages.keys()) if (!stages.has(use)) session.stages.delete(use)
    const [row] = await session.query('select xact_state()')
    const transactionEnded = Number(row?.[0]) !== 1
    if (!transactionEnded) await session.query(`rollback transaction ${name}`)
    return { refused: error, transactionEnded }
  }
}

/** Codes are passed as the columns have them: of the other kind they would keep an index from being used. */
function textOf(statement: Sql): { text: string; parameters: SqlParameters } {
  const parameters: Record<string, string | null> = {}
  const pass = (value: SqlValue): string => {
    const name = `p${Object.keys(parameters).length + 1}`
    parameters[name] = value === null ? null : String(value)
    if (typeof value === 'number') return `convert(bigint, @${name})`
    return value !== null && isCode(value) ? `convert(varchar(128), @${name})` : `@${name}`
  }
  return { text: render(statement, pass), parameters }
}

function isCode(text: string): boolean {
  return text.length <= 128 && /^[\x20-\x7e]*$/.test(text)
}

/** Makes the tables; asked first, since making wants rights also where there is nothing to make. */
export async function makeBooks(session: Session): Promise<void> {
  if (await hasBooks(session)) return
  await session.query(makeSchema)
  for (const statement of bookStatements) await session.query(statement)
  for (const table of bookTables(dialect)) {
    const columns = (await readTable(session, table.name))?.columns.map(({ column }) => column) ?? []
    const missing = columns.length > 0 ? missingColumns(table, columns) : []
    if (missing.length > 0) await session.query(`alter table ${table.name} add ${columnLines(missing, columnType, dialect).join(', ')}`)
  }
}

export const bookStatements = bookTables(dialect).map(({ name, columns, key }) =>
  makeTable(name, [...columnLines(columns, columnType, dialect), `primary key (${key.join(', ')})`]),
)

function columnType(kind: ColumnKind): string {
  if (kind === 'long') return 'nvarchar(max)'
  if (kind === 'integer') return 'bigint'
  if (kind === 'flag') return 'bit'
  if (kind === 'time') return 'datetime2(3)'
  return 'code' in kind ? `varchar(${kind.code}) collate ${binaryCollation}` : `nvarchar(${kind.text})`
}

/** False in a database into which nothing was ever delivered. */
export async function hasBooks(session: Session): Promise<boolean> {
  const [row] = await session.query(`select ${[positionTable, quarantineTable].map((table) => `object_id(N'${table}', N'U')`).join(', ')}`)
  return !row!.includes(null)
}

/** Which ends have books in this database. */
export async function booksThere(session: Session): Promise<{ source: boolean; sink: boolean }> {
  const [row] = await session.query(
    `select ${[sourceQuarantine, positionTable, quarantineTable].map((table) => `object_id(N'${table}', N'U')`).join(', ')}`,
  )
  const [source, ...sinks] = row!
  return { source: source !== null, sink: !sinks.includes(null) }
}
