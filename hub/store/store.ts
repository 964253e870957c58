import pg from 'pg'
import type { Logger } from 'pino'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { migrate } from './migrate.ts'
import { requireWeaker, roleOf } from './roles.ts'

export type Query = <T = Record<string, unknown>>(text: string, values?: readonly unknown[]) => Promise<T[]>

/** The hub's database: one PostgreSQL, its own (embedded.ts) or a given one that several hub processes share. */
export interface Store {
  readonly pool: pg.Pool
  readonly url: string
  /** True where other hub processes may use the same database. */
  readonly shared: boolean
  /** Runs one statement by itself. bigint and numeric come as text, json parsed, timestamps as Date. */
  query: Query
  /** Commits when `work` resolves, rolls back when it throws. Use only the given query inside. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface StoreOptions {
  shared?: boolean
  /** URL of the role that owns the tables and migrates them; the store is then used with the rights of the weaker role of `url`. */
  owner?: string | undefined
  connections?: number
  logger?: Logger
}

/**
 * Connects and migrates. Throws QZ-DB-UNREACHABLE, QZ-CONFLICT where a migration was edited after it ran, and QZ-CONFIG where `owner` is
 * given and the role of `url` could change the audit all the same.
 */
export async function openStore(url: string, { shared = true, owner, connections = 16, logger }: StoreOptions = {}): Promise<Store> {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    application_name: 'qianzhi-hub',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    // What the hub asks is planned anew each time: compiling it besides takes seconds, where a server of one's own does that.
    options: '-c jit=off',
  })
  // A connection that dies while idle is replaced by the pool; without a listener its error would end the process.
  pool.on('error', (error) => logger?.warn({ err: error }, 'store connection lost'))
  const store: Store = {
    pool,
    url,
    shared,
    query: async <T>(text: string, values?: readonly unknown[]) => (await run(pool, text, values)) as T[],
    transaction: (work) => transaction(pool, work),
    close: () => pool.end(),
  }
  try {
    if (owner === undefined) await migrate(pool)
    else await migrateAs(owner, pool)
  } catch (error) {
    await pool.end()
    throw error instanceof QianzhiError ? error : unreachable(error)
  }
  return store
}

async function migrateAs(owner: string, serving: pg.Pool): Promise<void> {
  const pool = new pg.Pool({ connectionString: owner, max: 1, application_name: 'qianzhi-hub migration', connectionTimeoutMillis: 10_000 })
  pool.on('error', () => {})
  try {
    await migrate(pool, undefined, await roleOf(serving))
  } finally {
    await pool.end()
  }
  await requireWeaker(serving)
}

async function run(on: pg.Pool | pg.PoolClient, text: string, values: readonly unknown[] | undefined): Promise<unknown[]> {
  const result = await on.query<Record<string, unknown>>(text, values as unknown[])
  return result.rows
}

async function transaction<T>(pool: pg.Pool, work: (query: Query) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  const failed = (error: Error) => (broken = error)
  client.on('error', failed)
  try {
    await client.query('begin')
    const result = await work(async <R>(text: string, values?: readonly unknown[]) => (await run(client, text, values)) as R[])
    await client.query('commit')
    return result
  } catch (error) {
    // A connection that cannot even roll back is thrown away.
    await client.query('rollback').catch((failure: Error) => (broken = failure))
    throw error
  } finally {
    client.off('error', failed)
    client.release(broken)
  }
}

function unreachable(error: unknown): QianzhiError {
  return new QianzhiError('QZ-DB-UNREACHABLE', { database: 'store', reason: reasonOf(error) }, { cause: error })
}
