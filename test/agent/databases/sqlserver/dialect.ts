/** SQL Server for the conformance suite, whose plain SQL is said in Transact-SQL here. */
import { randomBytes } from 'node:crypto'
import { Connection, Request } from 'tedious'
import { openSqlserver } from '../../../../agent/databases/sqlserver/engine.ts'
import { connectionOptions } from '../../../../agent/databases/sqlserver/url.ts'
import type { CaptureMode } from '../../../../agent/database.ts'
import { quoteName, quoteText, stageValue } from '../../../../agent/databases/sqlserver/sql.ts'
import type { Dialect, Session, TestDatabase } from '../conformance/suite.ts'

interface Column {
  value: string | number | boolean | null | undefined
  metadata: { type: { name: string }; scale?: number }
}

export async function connectSession(url: string): Promise<Session> {
  const connection = await new Promise<Connection>((resolve, reject) => {
    const made = new Connection(connectionOptions(url, 'qianzhi test'))
    made.on('error', () => {})
    made.connect((error) => (error ? reject(error) : resolve(made)))
  })
  return {
    query: (sql) => send(connection, transactSql(sql)),
    close: () => end(connection),
  }
}

function end(connection: Connection): Promise<void> {
  if ((connection as unknown as { closed: boolean }).closed) return Promise.resolve()
  const ended = new Promise<void>((resolve) => connection.once('end', () => resolve()))
  connection.close()
  return ended
}

function send(connection: Connection, sql: string): Promise<(string | null)[][]> {
  return new Promise((resolve, reject) => {
    const rows: (string | null)[][] = []
    const request = new Request(sql, (error) => (error ? reject(error) : resolve(rows)))
    request.on('row', (columns: Column[]) => rows.push(columns.map(asText)))
    connection.execSqlBatch(request)
  })
}

/** The driver makes numbers of decimals: their scale is in the metadata. */
function asText({ value, metadata }: Column): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' && /^(Decimal|Numeric)/.test(metadata.type.name)) return value.toFixed(metadata.scale)
  return typeof value === 'boolean' ? String(Number(value)) : String(value)
}

const words: [RegExp, string][] = [
  [/^begin$/, 'begin transaction'],
  [/\badd column\b/g, 'add'],
  [/(?<![a-z])varchar\(/g, 'nvarchar('],
  [/\bboolean\b/g, 'bit'],
  [/\btrue\b/g, '1'],
  [/\bfalse\b/g, '0'],
  [/\bchar_length\(/g, 'len('],
  [/\bnot qz_deleted\b/g, 'qz_deleted = 0'],
  [/\bwhere qz_deleted\b(?! =)/g, 'where qz_deleted = 1'],
]

const sentences: [RegExp, string][] = [
  [/^alter table (\w+) rename to (\w+)$/, `exec sp_rename '$1', '$2'`],
  [/^create table (\w+) as select \* from (\w+)$/, 'select * into $1 from $2'],
  [/^(select .* from \w+) (where .*) for update skip locked$/, '$1 with (updlock, readpast) $2'],
]

/** The suite's SQL with national literals and SQL Server's words; an INSERT takes at most a thousand rows. */
export function transactSql(sql: string): string {
  const sentence = sentences.reduce((text, [from, to]) => text.replace(from, to), sql)
  const parts = sentence.split(/(N?'(?:[^']|'')*')/)
  const said = parts.map((part, i) => {
    if (i % 2 === 1) return part.startsWith('N') ? part : `N${part}`
    return words.reduce((text, [from, to]) => text.replace(from, to), part)
  })
  return inThousands(said.join(''))
}

function inThousands(sql: string): string {
  const [, head, rows] = /^(insert into \S+ values )(.*)$/s.exec(sql) ?? []
  if (!head || !rows || rows.length < 10_000) return sql
  const lists = rows.split(/(?<=\))\s*,\s*(?=\()/)
  const statements: string[] = []
  for (let at = 0; at < lists.length; at += 1000) statements.push(head + lists.slice(at, at + 1000).join(','))
  return statements.join(';\n')
}

/** A fresh database beside the one that the URL names. */
export async function freshDatabase(server: string): Promise<TestDatabase> {
  const name = `qianzhi_test_${randomBytes(6).toString('hex')}`
  const administrator = await connectSession(server)
  await administrator.query(`create database ${name} collate Chinese_PRC_CI_AS`).catch(() => administrator.query(`create database ${name}`))
  await administrator.close()
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  let session: Promise<Session> | undefined
  return {
    url,
    query: async (sql) => (await (session ??= connectSession(url))).query(sql),
    close: async () => (await session)?.close(),
    connect: () => connectSession(url),
    drop: async () => {
      await (await session)?.close()
      const again = await connectSession(server)
      await again.query(`alter database ${name} set single_user with rollback immediate`).catch(() => {})
      await again.query(`drop database ${name}`).catch(() => {})
      await again.close()
    },
  }
}

/** Whether the server knows Change Tracking; compatible servers may not. */
export async function tracks(server: string): Promise<boolean> {
  const test = await freshDatabase(server)
  try {
    await test.query('alter database current set change_tracking = on (change_retention = 7 days, auto_cleanup = on)')
    return (await test.query('select change_tracking_current_version()'))[0]?.[0] !== null
  } catch {
    return false
  } finally {
    await test.drop()
  }
}

export function sqlserver(capture: CaptureMode): Dialect {
  return {
    name: `SQL Server (${capture})`,
    capture,
    open: openSqlserver,
    quote: quoteName,
    literal(type, value) {
      const staged = stageValue({ type }, value)
      if (Buffer.isBuffer(staged)) return `0x${staged.toString('hex')}`
      return type === 'integer' || type === 'decimal' || type === 'boolean' ? String(staged) : quoteText(String(staged))
    },
    seesTruncate: false,
    unreadable: { prepare: [], value: 'cast(amount * (amount / amount) as decimal(12,2))' },
    caseInsensitive: { type: 'nvarchar(20) collate Chinese_PRC_CI_AS', prepare: [] },
    lossy: [
      { column: 'float', type: 'decimal', precision: 20, scale: 5 },
      { column: 'real', type: 'integer' },
      { column: 'decimal(12,2)', type: 'integer' },
      { column: 'decimal(12,4)', type: 'decimal', precision: 12, scale: 2 },
      { column: 'money', type: 'decimal', precision: 20, scale: 2 },
      { column: 'datetime', type: 'date' },
      { column: 'smalldatetime', type: 'timestamptz' },
      { column: 'int', type: 'boolean' },
      { column: 'varbinary(20)', type: 'text' },
      { column: 'sql_variant', type: 'text' },
      { column: 'varchar(10)', type: 'integer' },
    ],
    async dropTriggers(session, table) {
      if (capture === 'tracking') {
        await session.query(`alter table ${table} disable change_tracking`)
        return
      }
      const names = await session.query(`select name from sys.triggers where parent_id = object_id('${table}')`)
      for (const [name] of names) await session.query(`drop trigger ${quoteName(name!)}`)
    },
    ...(capture === 'triggers' && {
      async disableTriggers(session: Session, table: string) {
        await session.query(`disable trigger all on ${table}`)
      },
    }),
    dropKey: (table) => `declare @drop nvarchar(400);
select @drop = 'alter table ${table} drop constraint ' + quotename(name) from sys.key_constraints
where parent_object_id = object_id('${table}') and type = 'PK';
exec(@drop)`,
    async endOthers(session) {
      for (const [id] of await session.query('select spid from sys.sysprocesses where dbid = db_id() and spid <> @@spid')) {
        await session.query(`kill ${id}`).catch(() => {})
      }
    },
    addUniqueOverNulls: (table, columns, name) => {
      const filled = columns.split(', ').map((column) => `${column} is not null`)
      return `create unique index ${name} on ${quoteName(table)} (${columns}) where ${filled.join(' and ')}`
    },
    refusingTrigger: (table) => [
      `create trigger refuse on ${quoteName(table)} after insert, update as
      if exists (select 1 from inserted where name = 'refused')
      begin
        throw 50001, 'refused here', 1;
      end`,
    ],
    keyColumns: [
      { column: 'nvarchar(20)', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
      { column: 'varchar (20) collate Chinese_PRC_CI_AS', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
      { column: 'varchar (20) collate Chinese_PRC_BIN2', item: { type: 'text', length: 20 }, values: ['东莞', '莞城', 'ascii', '无'] },
      { column: 'nchar(9)', item: { type: 'text', length: 20 }, values: ['东莞', 'x', '无'] },
      { column: 'bigint', item: { type: 'integer' }, values: ['-7', '0', '12', '13'] },
      { column: 'decimal(12,2)', item: { type: 'decimal', precision: 12, scale: 2 }, values: ['-1.50', '2.00', '3.00'] },
      { column: 'date', item: { type: 'date' }, values: ['2026-11-22', '1999-01-01', '2026-11-23'] },
      {
        column: 'datetime2(6)',
        item: { type: 'timestamp' },
        values: ['2026-11-22T08:30:00.123456', '2026-11-22T08:30:00', '2026-11-22T08:30:01'],
      },
    ],
    keepingTrigger: (table, ids) => [
      `create trigger keep on ${quoteName(table)} after delete as
      if exists (select 1 from deleted where id in (${ids}))
      begin
        throw 50001, 'kept here', 1;
      end`,
    ],
    async referTo(session, table, id) {
      await session.query(
        `create table ${table} (parent nvarchar(40) collate Latin1_General_100_BIN2, spaces nvarchar(30) collate Latin1_General_100_BIN2,
        foreign key (parent, spaces) references delivered (id, qz_spaces))`,
      )
      await session.query(`insert into ${table} values (N'${id}', N'')`)
    },
    extremes: [
      { type: 'date', value: '0001-01-01' },
      { type: 'timestamp', value: '0001-01-01T00:00:00.000001' },
      { type: 'timestamptz', value: '9999-12-31T23:59:59.999999Z' },
    ],
  }
}
