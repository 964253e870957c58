/** How the bookkeeper's tables are kept in PostgreSQL. */
import type { BookDialect, BookSession, ColumnKind } from '../bookkeeping/session.ts'
import { RowsRefused } from '../bookkeeping/sink-engine.ts'
import { join, raw, sql, type Sql } from '../bookkeeping/statement.ts'
import { bookTables, columnLines, missingColumns } from '../bookkeeping/tables.ts'
import { isRowError, type Connection } from './connection.ts'
import { quoteText } from './sql.ts'
import { findTable } from './table.ts'

export const dialect: BookDialect = {
  positions: 'qianzhi.route_position',
  quarantine: 'qianzhi.quarantine',
  streams: 'qianzhi.stream',
  sourceQuarantine: 'qianzhi.source_quarantine',
  source: 'source',
  resource: 'resource',
  at: 'at',
  yes: 'true',
  no: 'false',
  now: 'now()',
  moment: (column) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  forUpdate: ' for update',
  alive: 'select 1',
  listLength: 1000,
  insert: (table, columns, rows) => {
    const lines = rows.map((row) => sql`(${join(row, ', ')})`)
    return [sql`insert into ${raw(table)} (${raw(columns.join(', '))}) values ${join(lines, ', ')}`]
  },
  first: ({ columns, from, order }, limit) => sql`select ${raw(columns)} from ${from} order by ${raw(order)} limit ${limit}`,
}

/** Statements with more values than this come in too many lengths to be kept. */
const preparedValues = 30

/** A connection as the bookkeeper uses it. */
export function bookSession(connection: Connection): BookSession {
  return {
    rows: async (statement) => (await send(connection, statement)).rows,
    run: async (statement) => (await send(connection, statement)).changed,
    transaction: (work) =>
      connection.transaction(async () => {
        // Where the receiver's constraints are deferred, they must speak before COMMIT.
        await connection.script('set constraints all immediate')
        return work()
      }),
    async attempt(work) {
      await connection.script('savepoint qz_rows')
      try {
        const done = await work()
        await connection.script('release savepoint qz_rows')
        return { done }
      } catch (error) {
        if (!(isRowError(error) || error instanceof RowsRefused)) throw error
        await connection.script('rollback to savepoint qz_rows; release savepoint qz_rows')
        return { refused: error, transactionEnded: false }
      }
    },
  }
}

function send(connection: Connection, statement: Sql) {
  const { text, values } = textOf(statement)
  return connection.result(text, values, values.length <= preparedValues)
}

/** `first`: number of the first placeholder. */
export function textOf({ texts, values }: Sql, first = 1): { text: string; values: unknown[] } {
  return { text: values.reduce<string>((text, _, i) => `${text}$${first + i}${texts[i + 1]!}`, texts[0]!), values: [...values] }
}

/** Makes the tables, and brings those of an older agent to the present form. */
export async function makeBooks(connection: Connection): Promise<void> {
  // Asked first: "if not exists" wants the right to create also where there is nothing to create.
  if (await hasBooks(connection)) return
  await connection.transaction(async () => {
    const [schema] = await connection.query(`select from pg_namespace where nspname = 'qianzhi'`)
    if (!schema) await connection.script('create schema qianzhi')
    for (const rename of renamed) await connection.script(rename)
    for (const table of bookTables(dialect)) {
      const there = await findTable(connection, table.name)
      if (!there) {
        const lines = [...columnLines(table.columns, columnType, dialect), `primary key (${table.key.join(', ')})`]
        await connection.script(
          `create table ${table.name} (${lines.join(', ')}); comment on table ${table.name} is ${quoteText(table.comment)}`,
        )
      }
      const missing = missingColumns(table, there ? [...there.columns.keys()] : table.columns.map(({ name }) => name))
      for (const line of columnLines(missing, columnType, dialect)) await connection.script(`alter table ${table.name} add column ${line}`)
    }
  })
}

function columnType(kind: ColumnKind): string {
  if (kind === 'integer') return 'bigint'
  if (kind === 'flag') return 'boolean'
  return kind === 'time' ? 'timestamptz' : 'text'
}

/** What older agents called otherwise; a quarantine's key was its text, and its position two numbers. */
const renamed = [
  ...[
    ['route_position', 'snapshot_epoch', 'began_epoch'],
    ['route_position', 'snapshot_seq', 'began_seq'],
    ['route_position', 'columns', 'items'],
    ['route_position', 'keys', 'key_items'],
  ].map(([table, from, to]) => ifColumn(table!, from!, `alter table qianzhi.${table} rename column ${from} to ${to}`)),
  ifColumn(
    'quarantine',
    'key',
    `alter table qianzhi.quarantine add column key_hash text, add column position bigint;
     update qianzhi.quarantine set key_hash = encode(sha256(convert_to(key, 'UTF8')), 'hex'), position = epoch::bigint * 4294967296 + seq;
     alter table qianzhi.quarantine drop constraint quarantine_pkey;
     alter table qianzhi.quarantine rename column key to key_text;
     alter table qianzhi.quarantine add primary key (route, part, key_hash), alter column position set not null,
       alter column key_text set not null, drop column epoch, drop column seq`,
  ),
]

function ifColumn(table: string, column: string, statements: string): string {
  return `do $$ begin if exists (select from pg_attribute where attrelid = to_regclass('qianzhi.${table}') and attname = '${column}'
    and not attisdropped) then ${statements}; end if; end $$`
}

/** False in a database into which nothing was ever delivered. */
export async function hasBooks(connection: Connection): Promise<boolean> {
  for (const table of bookTables(dialect)) {
    const there = await findTable(connection, table.name)
    if (!there || missingColumns(table, [...there.columns.keys()]).length > 0) return false
  }
  return true
}

/** Which ends have books in this database. */
export async function booksThere(connection: Connection): Promise<{ source: boolean; sink: boolean }> {
  const [row] = await connection.query(`select to_regclass('qianzhi.source_quarantine')`)
  return { source: row![0] !== null, sink: await hasBooks(connection) }
}
