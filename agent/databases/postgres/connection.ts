/** One PostgreSQL session whose settings are ours, whose values are texts, and whose loss is a coded error and never an uncaught one. */
import type { Socket } from 'node:net'
import pg from 'pg'
import { QianzhiError, reasonOf, type ErrorCode } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Value } from '../../../protocol/value.ts'
import { watchSilence } from './keepalive.ts'

export type Texts = Value[]

/** Fixes every setting that decides how values are written, and lets the server notice an agent whose machine has gone. */
export const settings = `
  set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex';
  set row_security = off; set synchronize_seqscans = off; set default_transaction_isolation = 'read committed'; set jit = off;
  set client_min_messages = 'warning'; set standard_conforming_strings = on; set lock_timeout = 0; set statement_timeout = 0;
  set idle_in_transaction_session_timeout = '60s'; set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 4`

/** Longer than any statement should take: then the network has swallowed it. */
const answerMs = 30 * 60_000

export class Connection {
  readonly client: pg.Client
  readonly database: string
  /** Set once the session is gone; whoever waits for more than an answer is told. */
  lost: QianzhiError | undefined
  onLost: (() => void) | undefined
  readonly #statements = new Map<string, string>()
  #prepared = 0
  readonly #url: string
  #pid: number | undefined

  constructor(client: pg.Client, database: string, url: string) {
    this.client = client
    this.database = database
    this.#url = url
    client.on('error', (error) => this.#lose(error))
    client.on('end', () => this.#lose())
  }

  /** Fixes the session's settings. */
  async prepare(): Promise<void> {
    await this.client.query(settings)
    this.#pid = Number((await this.client.query<{ pid: string }>('select pg_backend_pid() as pid')).rows[0]!.pid)
  }

  #lose(cause?: unknown, why: LocalizedText = { zh: '连接已断开', en: 'the connection ended' }): void {
    const reason = cause ? reasonOf(cause) : why
    this.lost ??= new QianzhiError('QZ-DB-UNREACHABLE', { database: this.database, reason }, { cause })
    this.onLost?.()
  }

  /** Rows as arrays of texts. */
  async query(sql: string, values: readonly unknown[] = []): Promise<Texts[]> {
    return (await this.result(sql, values, false)).rows
  }

  /** The same, parsed once in this session: for statements that come again and again. */
  async prepared(sql: string, values: readonly unknown[] = []): Promise<Texts[]> {
    return (await this.result(sql, values, true)).rows
  }

  /** Rows, and how many the statement changed. */
  async result(sql: string, values: readonly unknown[], prepared: boolean): Promise<{ rows: Texts[]; changed: number }> {
    const name = prepared ? { name: this.#nameOf(sql) } : {}
    try {
      const { rows, rowCount } = await this.guard(() =>
        this.client.query<Texts>({ text: sql, values: [...values], rowMode: 'array', ...name }),
      )
      return { rows, changed: rowCount ?? 0 }
    } catch (error) {
      // "cached plan must not change result type": a column was altered. It is prepared anew the next time.
      if (sqlState(error) === '0A000') this.#statements.delete(sql)
      throw error
    }
  }

  #nameOf(sql: string): string {
    const known = this.#statements.get(sql)
    if (known) return known
    const name = `q${this.#prepared++}`
    this.#statements.set(sql, name)
    return name
  }

  /** Columns of a statement's result: name, type's OID, type modifier. */
  async columns(sql: string): Promise<{ name: string; type: number; modifier: number }[]> {
    const { fields } = await this.guard(() => this.client.query(sql))
    return fields.map(({ name, dataTypeID, dataTypeModifier }) => ({ name, type: dataTypeID, modifier: dataTypeModifier }))
  }

  /** Several statements without parameters in one message. */
  async script(sql: string): Promise<void> {
    await this.guard(() => this.client.query(sql))
  }

  /** `settings`: further statements before the work. */
  async transaction<T>(work: () => Promise<T>, settings = ''): Promise<T> {
    await this.script(`begin; ${settings}`)
    try {
      const result = await work()
      await this.script('commit')
      return result
    } catch (error) {
      await this.client.query('rollback').catch(() => {})
      throw error
    }
  }

  async close(): Promise<void> {
    this.onLost = undefined
    await this.client.end().catch(() => {})
  }

  /** Runs work on the client; what it throws becomes a coded error with its SQLSTATE in `cause`. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.lost) throw this.lost
    const answered = this.#watch()
    try {
      return await work()
    } catch (error) {
      throw this.lost ?? databaseError(this.database, error)
    } finally {
      answered()
    }
  }

  /** Ends a session that the network has swallowed, whereupon its statement fails. @returns to be called when there is an answer. */
  #watch(): () => void {
    if (this.#pid === undefined) return () => {}
    return watchSilence({ url: this.#url, pid: this.#pid }, (reason) => {
      this.#lose(undefined, reason)
      ;(this.client as unknown as { connection: { stream: Socket } }).connection.stream.destroy()
    })
  }
}

const types = { getTypeParser: () => (text: string) => text }

/** Connects and fixes the session's settings. Throws QZ-DB-UNREACHABLE, QZ-DB-RIGHTS. */
export async function connect(database: string, url: string, role: string): Promise<Connection> {
  const client = new pg.Client({
    connectionString: url,
    application_name: `qianzhi ${role}`,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 10_000,
    query_timeout: answerMs,
    types: types as unknown as pg.CustomTypesConfig,
  })
  const connection = new Connection(client, database, url)
  try {
    await client.connect()
    await requireSession(client, { database, url })
    await connection.prepare()
  } catch (error) {
    await client.end().catch(() => {})
    throw error instanceof QianzhiError ? error : connectError(database, error)
  }
  return connection
}

const pidQuery = 'select pg_backend_pid() as pid'

/**
 * A pooler gives a connection a number of its own in place of the server's. One that hands out sessions by transaction is told by another
 * connection: while that one holds a session, this one has another than before, or it has been given this one's. Throws QZ-DB-POOLED.
 */
async function requireSession(client: pg.Client, { database, url }: { database: string; url: string }): Promise<void> {
  const pidOf = async (one: pg.Client) => (await one.query<{ pid: number }>(pidQuery)).rows[0]!.pid
  const first = await pidOf(client)
  if ((client as unknown as { processID: number | null }).processID === first) return
  const other = new pg.Client({
    connectionString: url,
    application_name: 'qianzhi pooler',
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  })
  other.on('error', () => {})
  try {
    await other.connect()
    // Some poolers allow no transactions at all.
    const [, held] = (await other.query<{ pid: number }>(`begin; ${pidQuery}`)) as unknown as pg.QueryResult<{ pid: number }>[]
    if (held!.rows[0]!.pid !== first && (await pidOf(client)) === first) return
  } catch (error) {
    if (sqlState(error) !== '08P01') throw error
  } finally {
    await other.end().catch(() => {})
  }
  throw new QianzhiError('QZ-DB-POOLED', { database })
}

/** A replica would give rows and forget no queue entry. Throws QZ-DB-READ-ONLY. */
export async function requireWritable(connection: Connection): Promise<void> {
  const [row] = await connection.query(`select pg_is_in_recovery(), current_setting('transaction_read_only')`)
  const reason = row![0] === 't' ? 'pg_is_in_recovery()' : row![1] === 'on' ? 'default_transaction_read_only' : undefined
  if (reason) throw new QianzhiError('QZ-DB-READ-ONLY', { database: connection.database, reason })
}

/** SQLSTATE of a driver's error, also inside a coded one. */
export function sqlState(error: unknown): string | undefined {
  const inner = error instanceof QianzhiError ? error.cause : error
  return inner instanceof Error && 'code' in inner && typeof inner.code === 'string' ? inner.code : undefined
}

/** Class 08 the connection, 53 resources, 57 an operator, 58 the system, F0 and XX001, XX002 damaged files: the database cannot be used. */
const unusable = /^(?:08|53|57|58|F0|XX00[12])/
/** 0A not supported, 26, 34, 3D, 3F, 42 names and syntax, 55 a state of the table, 28 and 42501 rights, 25 and 40 the transaction. */
const ofStatement = /^(?:0A|0B|24|25|26|28|2D|34|3B|3D|3F|40|42|55)/

/** Whatever else the server says concerns a row: its values, constraints, limits, and what triggers of the receiver's own raise, under any code. */
export function isRowError(error: unknown): boolean {
  const state = serverState(error)
  return state !== undefined && !unusable.test(state) && !ofStatement.test(state)
}

/** The server itself has answered, and goes on: what it refuses lies with the statement. */
export function isOfStatement(error: unknown): boolean {
  const state = serverState(error)
  return state !== undefined && !unusable.test(state)
}

/** The SQLSTATE where the server itself has answered. */
function serverState(error: unknown): string | undefined {
  const inner = error instanceof QianzhiError ? error.cause : error
  return inner instanceof Error && 'severity' in inner ? sqlState(error) : undefined
}

/** SQLSTATE (PostgreSQL manual, appendix A) to a stable code. Whatever is not known to need a person may be tried again. */
function databaseError(database: string, error: unknown): QianzhiError {
  if (error instanceof QianzhiError) return error
  const state = sqlState(error) ?? ''
  return new QianzhiError(codeOf(state), { database, table: database, reason: reasonOf(error) }, { cause: error })
}

function codeOf(state: string): ErrorCode {
  if (state === '42501' || state.startsWith('28')) return 'QZ-DB-RIGHTS'
  if (state === '25006') return 'QZ-DB-READ-ONLY'
  if (state.startsWith('42') || state.startsWith('3F')) return 'QZ-SINK-TABLE'
  return 'QZ-DB-UNREACHABLE'
}

function connectError(database: string, cause: unknown): QianzhiError {
  const code = sqlState(cause)?.startsWith('28') ? 'QZ-DB-RIGHTS' : 'QZ-DB-UNREACHABLE'
  return new QianzhiError(code, { database, reason: reasonOf(cause) }, { cause })
}

/** The same error under the name of the table that the caller works on. */
export function withTable(error: unknown, table: string, code: ErrorCode): unknown {
  if (!(error instanceof QianzhiError) || error.code !== 'QZ-SINK-TABLE') return error
  return new QianzhiError(code, { ...error.details, table }, { cause: error.cause })
}
