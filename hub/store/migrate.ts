import { readFile, readdir } from 'node:fs/promises'
import type pg from 'pg'
import { QianzhiError } from '../../protocol/errors.ts'
import { sha256 } from '../../protocol/signature.ts'
import { grantServing } from './roles.ts'

const folder = new URL('./migrations/', import.meta.url)
/** Advisory lock that keeps two hubs from migrating at once: any number, but always the same. */
const lock = 7_140_001

interface Migration {
  name: string
  sql: string
  checksum: string
}

/**
 * Brings the schema up to date: each `NNN_name.sql` once, in order, each in its own transaction. A migration that ran is never edited:
 * its checksum is compared (QZ-CONFLICT). Then `serving`, the role that the hub runs with where that is another, gets its rights.
 */
export async function migrate(pool: pg.Pool, from: URL = folder, serving?: string): Promise<void> {
  const migrations = await read(from)
  const client = await pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [lock])
    await client.query(
      `create table if not exists migration (name text primary key, checksum text not null, ran_at timestamptz not null default now())`,
    )
    const { rows } = await client.query<{ name: string; checksum: string }>('select name, checksum from migration')
    const ran = new Map(rows.map((row) => [row.name, row.checksum]))
    for (const migration of migrations) await runOnce(client, migration, ran.get(migration.name))
    if (serving !== undefined) await grantServing(client, serving)
  } finally {
    // Destroying the connection gives the lock back, whatever state it is in.
    client.release(true)
  }
}

async function read(from: URL): Promise<Migration[]> {
  const names = (await readdir(from)).filter((name) => /^\d{3}_\w+\.sql$/.test(name)).toSorted()
  return Promise.all(
    names.map(async (name) => {
      const sql = (await readFile(new URL(name, from), 'utf8')).replaceAll('\r\n', '\n')
      return { name, sql, checksum: sha256(sql) }
    }),
  )
}

async function runOnce(client: pg.PoolClient, { name, sql, checksum }: Migration, ran: string | undefined): Promise<void> {
  if (ran === checksum) return
  if (ran !== undefined) throw new QianzhiError('QZ-CONFLICT', { what: { zh: `迁移 ${name}`, en: `migration ${name}` } })
  await client.query('begin')
  await client.query(sql)
  await client.query('insert into migration (name, checksum) values ($1, $2)', [name, checksum])
  await client.query('commit')
}
