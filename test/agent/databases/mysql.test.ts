/** The MySQL and MariaDB engine: the conformance suite, and what only these servers do. */
import { createConnection, type Connection } from 'mysql2/promise'
import t, { type Test } from 'tap'
import { openMysql } from '../../../agent/databases/mysql.ts'
import { literal, quoteName } from '../../../protocol/tables/mysql.ts'
import { findMariadb } from '../../support/mariadb.ts'
import { conformance, type Dialect, type Session, type TestDatabase } from './conformance.ts'

const server = await findMariadb()

async function connect(url: string): Promise<Session> {
  const connection = await createConnection({
    uri: url,
    rowsAsArray: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  })
  return { query: (sql) => query(connection, sql), close: () => connection.end() }
}

async function query(connection: Connection, sql: string): Promise<(string | null)[][]> {
  const [rows] = await connection.query(sql)
  if (!Array.isArray(rows)) return []
  return (rows as unknown[][]).map((row) => row.map((value) => (value === null ? null : String(value))))
}

async function freshDatabase(): Promise<TestDatabase> {
  const url = await server!.createDatabase()
  const session = await connect(url)
  return {
    ...session,
    url,
    connect: () => connect(url),
    drop: async () => {
      await session.close()
      await server!.dropDatabase(url)
    },
  }
}

const mariadb: Dialect = {
  name: 'MariaDB',
  open: openMysql,
  quote: quoteName,
  literal: (type, value) => literal({ type }, value),
  seesTruncate: false,
  caseInsensitive: { type: 'varchar(20) character set utf8mb4 collate utf8mb4_general_ci', prepare: [] },
  lossy: [
    { column: 'float', type: 'decimal', precision: 10, scale: 2 },
    { column: 'double', type: 'integer' },
    { column: 'decimal(12,4)', type: 'decimal', precision: 12, scale: 2 },
    { column: 'decimal(12,1)', type: 'integer' },
    { column: 'timestamp null', type: 'timestamp' },
    { column: 'datetime', type: 'date' },
    { column: 'int', type: 'boolean' },
    { column: 'bit(2)', type: 'boolean' },
    { column: 'blob', type: 'text' },
    { column: 'point', type: 'text' },
    { column: 'varchar(20)', type: 'date' },
  ],
  dropTriggers: async (session, table) => {
    for (const [name] of await session.query(
      `select trigger_name from information_schema.triggers where event_object_schema = database() and event_object_table = '${table}'`,
    )) {
      await session.query(`drop trigger ${quoteName(name!)}`)
    }
  },
  refusingTrigger: (table) => [
    `create trigger refuse before insert on ${quoteName(table)} for each row
    begin if NEW.name = 'refused' then signal sqlstate '45000' set message_text = 'refused here'; end if; end`,
  ],
  extremes: [
    { type: 'date', value: '0001-01-01' },
    { type: 'timestamp', value: '1000-01-01T00:00:00' },
    { type: 'time', value: '23:59:59.9' },
  ],
}

async function suite(t: Test): Promise<void> {
  conformance(t, mariadb, freshDatabase)
}

await t.test(
  `conformance on ${server?.version ?? 'MariaDB'}`,
  { skip: !server && 'no MariaDB server is reachable (QIANZHI_TEST_MARIADB_URL)' },
  suite,
)
