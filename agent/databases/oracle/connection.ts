/** One connection to Oracle, set up so that values come as text whatever the server's language is, and its errors as coded errors. */
import { setTimeout as sleep } from 'node:timers/promises'
import oracledb, { type BindDefinition, type BindParameter, type Connection } from 'oracledb'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { quoteName, type Flavour } from './sql.ts'
import type { DatabaseOptions } from '../../database.ts'
import { connectionCode } from './errors.ts'
import { addressOf, type Address } from './url.ts'

export type RawValue = string | Buffer | null

/** Probed once at connection: the engine asks for these, never for a product's name. */
export interface Server extends Flavour {
  version: string
  /** `oracleServerVersion`: 1902000000 for 19.2. */
  number: number
  charset: string
  nationalCharset: string
  /** The account, whose schema holds what is ours. */
  user: string
  /** PRIMARY, or a standby's role. */
  role: string
  /** Whether an array statement tells how many rows each of its rows affected: from 12.1 on, of server and client library. */
  counts: boolean
  thin: boolean
}

/** Milliseconds. A statement takes longer only where the network has swallowed it. */
const statementMs = 30 * 60_000
const closeMs = 3_000

/**
 * The session's own settings stand above the client's environment, never above a column's. Comparison and order are by bytes; a character
 * that a column cannot hold is an error where the server can tell.
 */
export const sessionSettings = [
  `alter session set nls_comp = binary nls_sort = binary nls_numeric_characters = '.,' nls_calendar = gregorian nls_length_semantics = byte`,
  `alter session set nls_date_format = 'YYYY-MM-DD HH24:MI:SS' nls_timestamp_format = 'YYYY-MM-DD HH24:MI:SS.FF6' nls_timestamp_tz_format = 'YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM'`,
  `alter session set time_zone = '+00:00'`,
  'alter session set nls_nchar_conv_excp = true',
  'alter session set ddl_lock_timeout = 20',
]

const serverQuery = `select sys_context('userenv', 'session_user'), sys_context('userenv', 'database_role'),
  (select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'),
  (select value from nls_database_parameters where parameter = 'NLS_NCHAR_CHARACTERSET') from dual`

/** Values bound to placeholders `:1`, `:2` … in the order in which they are asked for; each stands once in the statement. */
export class Binds {
  readonly values: BindParameter[] = []
  readonly #flavour: Flavour

  constructor(flavour: Flavour) {
    this.#flavour = flavour
  }

  /** A text of ours or of the registry: it may hold any character. */
  text(value: string | null): string {
    return this.typed(value, !this.#flavour.unicode)
  }

  /** A code or a name of the dictionary. */
  code(value: string | null): string {
    return this.typed(value, false)
  }

  /** A text as the column has it; `national` for NVARCHAR2 and its kin: of the other kind it would keep an index from being used. */
  typed(value: string | Buffer | null, national: boolean): string {
    const type = Buffer.isBuffer(value) ? oracledb.DB_TYPE_RAW : national ? oracledb.DB_TYPE_NVARCHAR : oracledb.DB_TYPE_VARCHAR
    return `:${this.values.push({ val: value, type })}`
  }

  number(value: number | null): string {
    return `:${this.values.push({ val: value, type: oracledb.DB_TYPE_NUMBER })}`
  }
}

/** How a column of many rows is bound. */
export type BindKind = 'text' | 'national' | 'bytes'

export interface RowError {
  /** The row's place. */
  offset: number
  error: Error
}

export interface ManyResult {
  affected: number
  /** Rows that each bind row affected, where they were asked for. */
  counts: readonly number[]
  errors: readonly RowError[]
}

export class Session {
  readonly options: DatabaseOptions
  readonly #connection: Connection
  readonly server: Server
  #inTransaction = false
  #lock: { close(): Promise<void> } | undefined
  #abandon: (error: QianzhiError) => void = () => {}
  readonly #abandoned: Promise<never>

  private constructor(options: DatabaseOptions, connection: Connection, server: Server) {
    this.options = options
    this.#connection = connection
    this.server = server
    this.#abandoned = new Promise((_, reject) => (this.#abandon = reject))
    this.#abandoned.catch(() => {})
  }

  static async open(options: DatabaseOptions): Promise<Session> {
    const address = addressOf(options.name, options.url)
    useClient(options.name, address)
    let connection: Connection | undefined
    try {
      connection = await connectTo(address)
      connection.callTimeout = statementMs
      for (const setting of sessionSettings) await connection.execute(setting)
      return new Session(options, connection, await probe(connection))
    } catch (error) {
      await connection?.close({ drop: true }).catch(() => {})
      throw new QianzhiError('QZ-DB-UNREACHABLE', { database: options.name, reason: reasonOf(error) }, { cause: error })
    }
  }

  /** A table of ours, in the account's own schema. */
  own(name: string): string {
    return `${quoteName(this.server.user)}.${quoteName(name)}`
  }

  binds(): Binds {
    return new Binds(this.server)
  }

  /** Rows as arrays of raw values. Throws the driver's error where the server refused the statement, coded ones for what is no matter of the statement. */
  async rows(sql: string, binds: Binds = this.binds()): Promise<RawValue[][]> {
    const { rows } = await this.#ask(() => this.#connection.execute<RawValue[]>(sql, binds.values, fetchOptions))
    return rows ?? []
  }

  /** Names and types of a query's columns, without its rows. */
  async columnsOf(query: string): Promise<readonly oracledb.Metadata<unknown>[]> {
    const { metaData } = await this.#ask(() => this.#connection.execute(`select * from (${query}) where 1 = 0`, [], { maxRows: 1 }))
    return metaData ?? []
  }

  /** Any other statement; how many rows it affected. What is not in a transaction is committed. */
  async run(sql: string, binds: Binds = this.binds()): Promise<number> {
    const result = await this.#ask(() => this.#connection.execute(sql, binds.values, { autoCommit: !this.#inTransaction }))
    return result.rowsAffected ?? 0
  }

  /** One statement for many rows; a row that is refused does not undo the others. */
  async many(sql: string, rows: readonly RawValue[][], kinds: readonly BindKind[], counted = false): Promise<ManyResult> {
    if (rows.length === 0) return { affected: 0, counts: [], errors: [] }
    const bindDefs = kinds.map((kind, place) => bindDefinition(rows, place, kind))
    const options = { bindDefs, batchErrors: true, autoCommit: false, ...(counted && { dmlRowCounts: true }) }
    const result = await this.#ask(() => this.#connection.executeMany(sql, rows as RawValue[][], options))
    if (!this.#inTransaction) await this.#ask(() => this.#connection.commit())
    const errors = (result.batchErrors ?? []).map((error) => ({ offset: (error as { offset?: number }).offset ?? 0, error }))
    return { affected: result.rowsAffected ?? 0, counts: result.dmlRowCounts ?? [], errors }
  }

  /** The same where no row may be refused. */
  async all(sql: string, rows: readonly RawValue[][], kinds: readonly BindKind[]): Promise<number> {
    const { affected, errors } = await this.many(sql, rows, kinds)
    if (errors[0]) throw this.coded(errors[0].error)
    return affected
  }

  /** A standby would give rows and forget no queue entry. Throws QZ-DB-READ-ONLY. */
  requireWritable(): void {
    const { role } = this.server
    if (role.endsWith('STANDBY'))
      throw new QianzhiError('QZ-DB-READ-ONLY', { database: this.options.name, reason: `DATABASE_ROLE = ${role}` })
  }

  /** How texts of ours are bound. */
  get textKind(): BindKind {
    return this.server.unicode ? 'text' : 'national'
  }

  /** In one transaction; rolled back when `work` throws. No DDL within: it commits. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    this.#inTransaction = true
    try {
      const result = await work()
      await this.#ask(() => this.#connection.commit())
      return result
    } catch (error) {
      await this.#ask(() => this.#connection.rollback()).catch(() => {})
      throw error
    } finally {
      this.#inTransaction = false
    }
  }

  /** Leaves a transaction open, for a lock that is held as long as the session lives. */
  holdTransaction(): void {
    this.#inTransaction = true
  }

  /** Each answer must come within so many milliseconds: else QZ-DB-UNREACHABLE. */
  limit(milliseconds: number): void {
    this.#connection.callTimeout = milliseconds
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await Promise.race([work(), this.#abandoned])
    } catch (error) {
      throw this.coded(error)
    }
  }

  coded(error: unknown): unknown {
    if (error instanceof QianzhiError) return error
    const code = connectionCode(error)
    return code ? new QianzhiError(code, { database: this.options.name, reason: reasonOf(error) }, { cause: error }) : error
  }

  /** What is asked, and will be, ends with QZ-DB-UNREACHABLE: the session is known to be of no use any more. */
  abandon(reason: LocalizedText): void {
    this.#abandon(new QianzhiError('QZ-DB-UNREACHABLE', { database: this.options.name, reason }))
  }

  /** Without waiting for a server that does not answer, nor for a statement that it works on. */
  async close(): Promise<void> {
    const closed = this.#connection.close({ drop: true }).catch(() => {})
    await Promise.race([closed, sleep(closeMs, undefined, { ref: false })])
    await this.#lock?.close()
  }

  /** What keeps others out as long as this session lives. */
  endsWith(lock: { close(): Promise<void> }): void {
    this.#lock = lock
  }
}

/** The folder that the process has loaded the client library from: the driver can do so once. */
let loadedClient: string | undefined

/** Throws QZ-CONFIG where the library cannot be loaded, or another one is. */
function useClient(name: string, { client }: Address): void {
  if (client === undefined || client === loadedClient) return
  const fail = (reason: LocalizedText, cause?: unknown): never => {
    throw new QianzhiError('QZ-CONFIG', { key: `databases.${name}.url`, reason }, { cause })
  }
  if (loadedClient !== undefined)
    fail({
      zh: `client=${client}：本进程已使用 ${loadedClient} 中的客户端库，只能有一个`,
      en: `client=${client}: this process uses the client library in ${loadedClient}, and there can be only one`,
    })
  try {
    oracledb.initOracleClient({ libDir: client })
  } catch (error) {
    fail(
      {
        zh: `client=${client}：${reasonOf(error, 'zh')}；配置了多个 oracle:// 数据库时，每个都要写 client`,
        en: `client=${client}: ${reasonOf(error)}; where several oracle:// databases are configured, name the client in each`,
      },
      error,
    )
  }
  loadedClient = client
}

async function connectTo({ user, password, descriptor, wallet, walletPassword }: Address): Promise<Connection> {
  return oracledb.getConnection({
    user,
    password,
    connectString: descriptor,
    ...(wallet !== undefined && { walletLocation: wallet }),
    ...(walletPassword !== undefined && { walletPassword }),
  })
}

const countsFrom = 1201000000

async function probe(connection: Connection): Promise<Server> {
  const { rows } = await connection.execute<(string | null)[]>(serverQuery, [], fetchOptions)
  const [user, role, charset, nationalCharset] = rows![0]!.map(String) as [string, string, string, string]
  return {
    version: connection.oracleServerVersionString,
    number: connection.oracleServerVersion,
    unicode: charset === 'AL32UTF8',
    charset,
    nationalCharset,
    user,
    role,
    counts: Math.min(connection.oracleServerVersion, oracledb.thin ? Infinity : oracledb.oracleClientVersion) >= countsFrom,
    thin: connection.thin ?? true,
  }
}

/** Large objects and the dictionary's LONG columns come with the rows, numbers as text. */
function fetchType({ dbType }: oracledb.Metadata<unknown>): { type: oracledb.DbType } | undefined {
  if (dbType === oracledb.DB_TYPE_BLOB) return { type: oracledb.DB_TYPE_RAW }
  const asText: unknown[] = [oracledb.DB_TYPE_CLOB, oracledb.DB_TYPE_NCLOB, oracledb.DB_TYPE_LONG, oracledb.DB_TYPE_NUMBER]
  return asText.includes(dbType) ? { type: oracledb.DB_TYPE_VARCHAR } : undefined
}

const fetchOptions = { outFormat: oracledb.OUT_FORMAT_ARRAY, fetchTypeHandler: fetchType, fetchArraySize: 1000, maxRows: 0 }

const bindTypes = { text: oracledb.DB_TYPE_VARCHAR, national: oracledb.DB_TYPE_NVARCHAR, bytes: oracledb.DB_TYPE_RAW }

/** As wide as the widest value of the column: a bind that is declared wider than 4,000 bytes goes another way to the server. */
function bindDefinition(rows: readonly RawValue[][], place: number, kind: BindKind): BindDefinition {
  let maxSize = 1
  for (const row of rows) {
    const value = row[place] ?? null
    if (value !== null) maxSize = Math.max(maxSize, Buffer.byteLength(value))
  }
  return { type: bindTypes[kind], maxSize }
}
