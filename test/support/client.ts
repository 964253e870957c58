/** One plain client for three engines, as an application would use it: values come as text. */
import mysql from 'mysql2/promise'
import pg from 'pg'
import { FileSession } from './sqlite.ts'

export interface Client {
  readonly engine: 'postgres' | 'mysql' | 'sqlite'
  /** Rows as texts. Parameters are `$1…` (PostgreSQL) or `?` (MySQL); on SQLite none. */
  query(sql: string, values?: readonly unknown[]): Promise<(string | null)[][]>
  end(): Promise<void>
}

export async function openClient(url: string): Promise<Client> {
  if (url.startsWith('sqlite')) return openSqlite(url)
  return url.startsWith('postgres') ? openPostgres(url) : openMysql(url)
}

async function openPostgres(connectionString: string): Promise<Client> {
  const client = new pg.Client({ connectionString, types: { getTypeParser: () => (text: string | Buffer) => text } })
  client.on('error', () => undefined)
  await client.connect()
  return {
    engine: 'postgres',
    query: async (text, values = []) => (await client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' })).rows,
    end: () => client.end(),
  }
}

function openSqlite(url: string): Client {
  const session = new FileSession(url)
  return { engine: 'sqlite', query: (sql) => session.query(sql), end: () => session.close() }
}

async function openMysql(uri: string): Promise<Client> {
  const connection = await mysql.createConnection({
    uri,
    rowsAsArray: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    flags: ['+LOCAL_FILES'],
  })
  connection.on('error', () => undefined)
  return {
    engine: 'mysql',
    async query(sql, values = []) {
      const [rows] = await connection.query({ sql, values: [...values] })
      if (!Array.isArray(rows)) return []
      return (rows as (string | number | null)[][]).map((row) => row.map((value) => (value === null ? null : String(value))))
    },
    end: () => connection.end(),
  }
}

/** Every row of a table as one text, sorted: two tables hold the same rows where these are equal. */
export async function tableRows(client: Client, table: string, columns: readonly string[], where = ''): Promise<string[]> {
  const rows = await client.query(`select ${columns.join(', ')} from ${table} ${where}`)
  return rows.map((row) => JSON.stringify(row)).toSorted()
}

/** Whether it may be worth while to compare two tables row by row: cheap, and no proof. */
export async function mayBeEqual(a: Client, tableA: string, b: Client, tableB: string, columns: readonly string[]): Promise<boolean> {
  const hashes = {
    postgres: `hashtext(concat_ws('|', ${columns.join(', ')}))::bigint`,
    mysql: `crc32(concat_ws('|', ${columns.join(', ')}))`,
    sqlite: '1',
  }
  const hashed = (client: Client) => (a.engine === b.engine ? hashes[client.engine] : '1')
  const sums = [`select sum(${hashed(a)}) from ${tableA}`, `select sum(${hashed(b)}) from ${tableB}`] as const
  return (await a.query(sums[0]))[0]![0] === (await b.query(sums[1]))[0]![0]
}

export interface Difference {
  rows: number
  /** In the first but not the second, and the other way round; a changed row counts in both. */
  missing: string[]
  surplus: string[]
}

export function difference(a: readonly string[], b: readonly string[]): Difference {
  const [inA, inB] = [new Set(a), new Set(b)]
  const surplus = b.filter((row) => !inA.has(row))
  if (inB.size !== b.length) surplus.push(`${b.length - inB.size} rows twice`)
  return { rows: a.length, missing: a.filter((row) => !inB.has(row)), surplus }
}
