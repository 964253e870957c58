/** One plain client for three engines, as an application would use it: values come as text. */
import mysql from 'mysql2/promise'
import pg from 'pg'
import { FileSession } from './sqlite.ts'

export interface Client {
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
    query: async (text, values = []) => (await client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' })).rows,
    end: () => client.end(),
  }
}

function openSqlite(url: string): Client {
  const session = new FileSession(url)
  return { query: (sql) => session.query(sql), end: () => session.close() }
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
