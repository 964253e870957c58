/**
 * One session of SQL Server. It is one connection for its whole life: locks, temporary tables and settings belong to it, so a session that
 * is lost is never replaced quietly.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, Request, TYPES } from 'tedious'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteText, splitTable } from './sql.ts'
import type { DatabaseOptions } from '../../database.ts'
import { coded, connectionCode, firstError, isLost, withNumber } from './errors.ts'
import { watchSilence } from './keepalive.ts'
import { connectionOptions } from './url.ts'

/** Only the catalogue is read as numbers and booleans; values of tables come as texts, bytes, or (float, real) as what they are. */
export type RawValue = string | number | boolean | Buffer | null
export type SqlParameters = Readonly<Record<string, string | Buffer | null>>

/** Probed once at connection: the engine asks for these, never for a product's name. */
export interface Server {
  /** `15.0.2000.5`. */
  version: string
  edition: string
  database: string
  /** Where tables without a schema's name are. */
  schema: string
  collation: string
  /**
   * How reading does not wait for writers: `versioned` where READ COMMITTED reads versions (READ_COMMITTED_SNAPSHOT), `snapshot` where the
   * database allows snapshot isolation; otherwise `locking`: it waits, and only the queues are read past what is locked.
   */
  reading: 'versioned' | 'snapshot' | 'locking'
  /** SET ROWCOUNT, which an application may have used, can be undone. */
  rowcount: boolean
}

/** What the engine's parts ask of a session. */
export interface Session {
  readonly server: Server
  /** Rows of all results, as arrays. Without parameters the text is a batch of its own, so that what it sets or makes stays. */
  query(sql: string, parameters?: SqlParameters): Promise<RawValue[][]>
  /** Loads rows into a temporary table of this session. */
  load(table: string, columns: readonly LoadColumn[], rows: Iterable<readonly (string | Buffer | null)[]>): Promise<void>
  /** In one transaction; rolled back when `work` throws. */
  transaction<T>(work: () => Promise<T>, isolation?: 'snapshot'): Promise<T>
  /** `schema.table` of a table as configured. */
  qualify(table: string): string
  /** Makes temporary tables once: their names by what they are. */
  readonly stages: Map<string, string>
}

/** Whoever is given it closes it. */
export interface OwnSession extends Session {
  close(): Promise<void>
}

export interface LoadColumn {
  name: string
  binary: boolean
  /** Declared as `max`. */
  long: boolean
}

/** Servers of which a session asks what only they know; the others refuse it and need nothing. */
const optionalSettings = ['set lock_timeout 30000', 'set deadlock_priority low', 'set xact_abort off']

/** An agent captures from a database, or delivers into it, once. */
type Purpose = 'capture' | 'delivery'

/** Time for a second connection's answer. */
const probeMs = 20_000

/** A killed agent's session lives on until the server notices: so long a lock that is held is asked for again. */
const patienceMs = 3000

/** Lengths as the driver takes them: 65,535 stands for `max`. */
const max = 65_535

export class ServerSession implements OwnSession {
  readonly #options: DatabaseOptions
  readonly #connection: Connection
  readonly server: Server
  readonly stages = new Map<string, string>()
  #lost: QianzhiError | undefined
  /** Whose lock it holds. */
  #purpose: Purpose | undefined

  private constructor(options: DatabaseOptions, connection: Connection, server: Server) {
    this.#options = options
    this.#connection = connection
    this.server = server
    connection.on('end', () => this.#lose(undefined, { zh: '连接已断开', en: 'the connection ended' }))
  }

  static async open(options: DatabaseOptions, role: string): Promise<ServerSession> {
    let connection: Connection | undefined
    try {
      connection = await connect(options.url, `qianzhi ${role}`)
      const own = connection
      return new ServerSession(options, own, await prepare((sql) => send(own, sql)))
    } catch (error) {
      connection?.close()
      throw connectError(options, error)
    }
  }

  query(sql: string, parameters?: SqlParameters): Promise<RawValue[][]> {
    return this.#guard(() => send(this.#connection, sql, parameters))
  }

  load(table: string, columns: readonly LoadColumn[], rows: Iterable<readonly (string | Buffer | null)[]>): Promise<void> {
    return this.#guard(() => bulkLoad(this.#connection, table, columns, rows))
  }

  async transaction<T>(work: () => Promise<T>, isolation?: 'snapshot'): Promise<T> {
    await this.query(isolation ? 'set transaction isolation level snapshot; begin transaction' : 'begin transaction')
    const stages = new Map(this.stages)
    try {
      const result = await work()
      await this.query('commit transaction')
      return result
    } catch (error) {
      // What a trigger or the server has rolled back already is no transaction any more.
      if (!this.#lost) await this.query('if @@trancount > 0 rollback transaction').catch(() => {})
      // Temporary tables that were made within it are gone with it.
      for (const use of this.stages.keys()) if (!stages.has(use)) this.stages.delete(use)
      throw error
    } finally {
      if (isolation && !this.#lost) await this.query('set transaction isolation level read committed').catch(() => {})
    }
  }

  qualify(table: string): string {
    return qualify(this.server, table)
  }

  /** A readable secondary would give rows and forget no queue entry. Throws QZ-DB-READ-ONLY. */
  async requireWritable(): Promise<void> {
    const [row] = await this.query(updateabilityQuery)
    if (row?.[0] !== 'READ_ONLY') return
    throw new QianzhiError('QZ-DB-READ-ONLY', { database: this.#options.name, reason: 'Updateability = READ_ONLY' })
  }

  /** Takes a lock of the database for the life of the session. */
  async lock(purpose: Purpose): Promise<void> {
    const [row] = await this.query(lockStatement(purpose))
    if (!(Number(row?.[0]) >= 0)) throw new QianzhiError('QZ-AGENT-CLONED', { database: this.#options.name })
    this.#purpose = purpose
  }

  async close(): Promise<void> {
    if (this.#lost) return
    const ended = new Promise<void>((resolve) => this.#connection.once('end', () => resolve()))
    this.#connection.close()
    await ended
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#lost) throw this.#lost
    const answered = this.#watch()
    try {
      return await work()
    } catch (error) {
      if (isLost(error)) this.#lose(error)
      throw this.#lost ?? coded(this.#options.name, error)
    } finally {
      answered()
    }
  }

  #watch(): () => void {
    const purpose = this.#purpose
    if (!purpose) return () => {}
    const gone = () => lockIsFree(this.#options.url, purpose)
    return watchSilence(gone, () =>
      this.#lose(undefined, { zh: '服务器已结束会话，或无法连接', en: 'the server has ended the session, or cannot be reached' }),
    )
  }

  /** A session that did not answer in time is ended too: nobody knows what became of its statement. */
  #lose(cause: unknown, reason: string | LocalizedText = reasonOf(firstError(cause))): void {
    if (this.#lost) return
    this.#lost = new QianzhiError('QZ-DB-UNREACHABLE', { database: this.#options.name, reason }, { cause })
    this.#connection.close()
  }
}

/** Null where a compatible server does not know the property. */
const updateabilityQuery = `select convert(nvarchar(20), databasepropertyex(db_name(), 'Updateability'))`

export function connectError({ name }: DatabaseOptions, error: unknown): QianzhiError {
  const code = connectionCode(error) === 'QZ-DB-RIGHTS' ? 'QZ-DB-RIGHTS' : 'QZ-DB-UNREACHABLE'
  return new QianzhiError(code, { database: name, reason: reasonOf(firstError(error)) }, { cause: error })
}

/** `schema.table` of a table as configured. */
export function qualify(server: Pick<Server, 'schema'>, table: string): string {
  const { schema, name } = splitTable(table)
  return `${schema ?? server.schema}.${name}`
}

export function lockStatement(purpose: Purpose): string {
  // The server waits: Babelfish does not survive being asked for a refused lock again and again.
  return `declare @answer int, @resource nvarchar(255) = ${lockName(purpose)};
exec @answer = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = ${patienceMs};
select @answer`
}

/** With the database's name: such locks are each database's own in SQL Server, and one server's in Babelfish. */
function lockName(purpose: Purpose): string {
  return `${quoteText(`qianzhi:${purpose}:`)} + db_name()`
}

export function lockTestStatement(purpose: Purpose): string {
  return `declare @resource nvarchar(255) = ${lockName(purpose)};
select applock_test(N'public', @resource, N'Exclusive', N'Session')`
}

/** Whether a lock's holder is gone, or its server; false where the server refuses to say. */
async function lockIsFree(url: string, purpose: Purpose): Promise<boolean> {
  let connection: Connection | undefined
  const silent = sleep(probeMs, undefined, { ref: false })
  try {
    connection = await connect(url, 'qianzhi probe')
    const answer = await Promise.race([send(connection, lockTestStatement(purpose)), silent])
    return !answer || Number(answer[0]?.[0]) === 1
  } catch (error) {
    return isLost(error)
  } finally {
    connection?.close()
  }
}

/** Reading that does not wait for writers. A setting inside a statement with parameters ends with it. */
export function reads({ reading }: Server, sql: string): string {
  return reading === 'snapshot' ? `set transaction isolation level snapshot; ${sql}` : sql
}

/** READPAST is not allowed under snapshot isolation, nor needed. */
export function pastLocks({ reading }: Server): string {
  return reading === 'locking' ? ' with (readpast)' : ''
}

function connect(url: string, application: string): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const connection = new Connection(connectionOptions(url, application))
    // Without a listener a connection lost between two statements would end the process; the next statement tells.
    connection.on('error', () => {})
    // The driver's own error says no more than that the login failed; what the server said of it comes before.
    const said: number[] = []
    connection.on('errorMessage', ({ number }: { number: number }) => void said.push(number))
    connection.connect((error) => (error ? (connection.close(), reject(withNumber(error, said))) : resolve(connection)))
  })
}

const probe = `select convert(nvarchar(128), serverproperty('ProductVersion')), convert(nvarchar(128), serverproperty('Edition')), db_name(),
  isnull(schema_name(), N'dbo'), d.collation_name, convert(int, d.snapshot_isolation_state), convert(int, d.is_read_committed_snapshot_on)
from sys.databases d where d.database_id = db_id()`

/** Fixes a session's settings, and asks what must be known of its server. */
export async function prepare(query: (sql: string) => Promise<RawValue[][]>): Promise<Server> {
  const optional = (sql: string) =>
    query(sql).then(
      () => true,
      (error: unknown) => {
        if (isLost(error)) throw error
        return false
      },
    )
  for (const setting of optionalSettings) await optional(setting)
  const rowcount = await optional('set rowcount 0')
  const [row] = await query(probe)
  const [version, edition, database, schema, collation, snapshot, versioned] = row ?? []
  return {
    version: String(version),
    edition: String(edition),
    database: String(database),
    schema: String(schema),
    collation: String(collation),
    reading: Number(versioned) === 1 ? 'versioned' : Number(snapshot) === 1 ? 'snapshot' : 'locking',
    rowcount,
  }
}

function send(connection: Connection, sql: string, parameters?: SqlParameters): Promise<RawValue[][]> {
  return new Promise((resolve, reject) => {
    const rows: RawValue[][] = []
    const request = new Request(sql, (error) => (error ? reject(error) : resolve(rows)))
    request.on('row', (columns: { value: RawValue }[]) => rows.push(columns.map(({ value }) => value)))
    if (!parameters) return connection.execSqlBatch(request)
    for (const [name, value] of Object.entries(parameters)) {
      if (Buffer.isBuffer(value)) request.addParameter(name, TYPES.VarBinary, value, { length: value.length > 8000 ? max : 8000 })
      else request.addParameter(name, TYPES.NVarChar, value, { length: (value?.length ?? 0) > 4000 ? max : 4000 })
    }
    connection.execSql(request)
  })
}

function bulkLoad(
  connection: Connection,
  table: string,
  columns: readonly LoadColumn[],
  rows: Iterable<readonly (string | Buffer | null)[]>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const load = connection.newBulkLoad(table, { keepNulls: true }, (error) => (error ? reject(error) : resolve()))
    for (const { name, binary, long } of columns) {
      load.addColumn(name, binary ? TYPES.VarBinary : TYPES.NVarChar, { nullable: true, length: long ? max : binary ? 8000 : 4000 })
    }
    connection.execBulkLoad(load, rows as Iterable<unknown[]>)
  })
}
