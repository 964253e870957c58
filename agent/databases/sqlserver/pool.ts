/**
 * Sessions for short pieces of work that hold no lock: describing, doctor, set-up. They share the one connection of `mssql`'s pool, which is
 * closed when nothing was asked for a while, and made anew when it was lost.
 */
import mssql from 'mssql'
import type { DatabaseOptions } from '../../database.ts'
import {
  connectError,
  prepare,
  qualify,
  ServerSession,
  type OwnSession,
  type RawValue,
  type Server,
  type SqlParameters,
} from './connection.ts'
import { coded } from './errors.ts'
import { connectionOptions } from './url.ts'

/** Milliseconds without work after which the connection is closed. */
const idleMs = 30_000

export class Pool {
  readonly #options: DatabaseOptions
  #connected: Promise<mssql.ConnectionPool> | undefined

  constructor(options: DatabaseOptions) {
    this.#options = options
  }

  /** Throws QZ-DB-UNREACHABLE, QZ-DB-RIGHTS. */
  async session(): Promise<OwnSession> {
    try {
      const pool = await (this.#connected ??= this.#connect())
      const server = await prepare((sql) => send(pool.request(), sql))
      return new PooledSession(this.#options.name, pool, server)
    } catch (error) {
      this.#connected = undefined
      // The pool keeps to itself what the server said of a refused login: a session of its own is told.
      if ((error as { code?: string }).code === 'ELOGIN') return ServerSession.open(this.#options, 'command')
      throw connectError(this.#options, error)
    }
  }

  async #connect(): Promise<mssql.ConnectionPool> {
    const { server, authentication, options } = connectionOptions(this.#options.url, 'qianzhi command')
    const limits = { max: 1, min: 0, idleTimeoutMillis: idleMs }
    const pool = new mssql.ConnectionPool({ server, authentication, options, pool: limits, arrayRowMode: true } as unknown as mssql.config)
    // Without a listener a connection lost between two pieces of work would end the process; the next one tells.
    pool.on('error', () => {})
    return pool.connect()
  }

  async close(): Promise<void> {
    const pool = await this.#connected?.catch(() => undefined)
    await pool?.close()
  }
}

class PooledSession implements OwnSession {
  readonly server: Server
  /** None: temporary tables and transactions are for sessions of their own. */
  readonly stages = new Map<string, string>()
  readonly #name: string
  readonly #pool: mssql.ConnectionPool
  readonly #running = new Set<mssql.Request>()

  constructor(name: string, pool: mssql.ConnectionPool, server: Server) {
    this.#name = name
    this.#pool = pool
    this.server = server
  }

  async query(sql: string, parameters?: SqlParameters): Promise<RawValue[][]> {
    const request = this.#pool.request()
    this.#running.add(request)
    try {
      return await send(request, sql, parameters)
    } catch (error) {
      throw coded(this.#name, error)
    } finally {
      this.#running.delete(request)
    }
  }

  load(): never {
    throw new Error('a pooled session has no temporary tables')
  }

  transaction(): never {
    throw new Error('a pooled session has no transactions')
  }

  qualify(table: string): string {
    return qualify(this.server, table)
  }

  /** The connection stays with the pool; what nobody waits for any more is given up. */
  async close(): Promise<void> {
    for (const request of this.#running) request.cancel()
  }
}

/** Rows of all results, as arrays; without parameters as a batch of its own. */
async function send(request: mssql.Request, sql: string, parameters?: SqlParameters): Promise<RawValue[][]> {
  request.arrayRowMode = true
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (Buffer.isBuffer(value)) request.input(name, mssql.VarBinary(mssql.MAX), value)
    else request.input(name, (value?.length ?? 0) > 4000 ? mssql.NVarChar(mssql.MAX) : mssql.NVarChar(4000), value)
  }
  const { recordsets } = parameters ? await request.query(sql) : await request.batch(sql)
  return (recordsets as unknown as RawValue[][][]).flat()
}
