/** One connection to MySQL or MariaDB, set up so that values come as text, and its errors as coded errors. */
import { Readable } from 'node:stream'
import {
  createConnection,
  type Connection,
  type ConnectionOptions,
  type FieldPacket,
  type QueryOptions,
  type ResultSetHeader,
} from 'mysql2/promise'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { closedDatabase } from './accounts.ts'
import { quoteText, type Flavour } from './sql.ts'
import type { DatabaseOptions } from '../../database.ts'
import { safeName } from './names.ts'
import { cut, watchSilence } from './keepalive.ts'

export type RawValue = string | number | Buffer | null

/** Probed once at connection: the engine asks for these, never for a product's name. */
export interface Server extends Flavour {
  version: string
  mariadb: boolean
  database: string
  host: string
  /** Of this session at the server. */
  connectionId: string
  localInfile: boolean
  maxPacket: number
}

/** A statement takes longer only where the network has swallowed it. */
const limits = { connect: 10_000, statement: 30 * 60_000 }

/** Zero dates must be readable, an explicit key 0 must stay 0, and whatever does not fit must be an error. */
const sqlMode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'

/** Servers of which a session asks what only they know; the others refuse it and need nothing. */
const optionalSettings = [
  // A long IN list must stay ranges over the index.
  'set session in_predicate_conversion_threshold = 0',
  'set session optimizer_max_sel_args = 64000',
  'set session range_optimizer_max_mem_size = 0',
  // A table of many long texts is refused when it is made otherwise, though its rows fit.
  'set session innodb_strict_mode = 0',
]

/** A column of a result, as the protocol tells it. */
export interface ResultColumn {
  name: string
  type: number
  charset: number
  /** Bytes, or digits with sign and point. */
  length: number
  decimals: number
  flags: number
}

export class Session {
  readonly #options: DatabaseOptions
  readonly #connection: Connection
  readonly server: Server

  private constructor(options: DatabaseOptions, connection: Connection, server: Server) {
    this.#options = options
    this.#connection = connection
    this.server = server
  }

  static async open(options: DatabaseOptions): Promise<Session> {
    let connection: Connection | undefined
    try {
      connection = await createConnection(connectionOptions(options.url))
      // Without a listener a connection lost between two statements would end the process; the next statement tells.
      connection.on('error', () => {})
      const server = await prepareSession(connection)
      return new Session(options, connection, server)
    } catch (error) {
      if (connection) cut(connection)
      throw new QianzhiError('QZ-DB-UNREACHABLE', { database: options.name, reason: closedDatabase(reasonOf(error)) }, { cause: error })
    }
  }

  get url(): string {
    return this.#options.url
  }

  /** Rows as arrays of raw values. Throws the driver's error where the server refused the statement, coded ones for what is no matter of the statement. */
  async rows<R extends RawValue[] = RawValue[]>(sql: string): Promise<R[]> {
    return (await this.#query(sql)) as R[]
  }

  /** What a statement's result would hold, by its metadata. */
  async columns(sql: string): Promise<ResultColumn[]> {
    const fields = (await this.#send({ sql, rowsAsArray: true }))[1] as FieldPacket[]
    return fields.map(({ name, columnType = 0, characterSet = 0, columnLength = 0, decimals, flags }) => ({
      name,
      type: columnType,
      charset: characterSet,
      length: columnLength,
      decimals,
      flags: Number(flags),
    }))
  }

  async run(sql: string): Promise<ResultSetHeader> {
    return (await this.#query(sql)) as ResultSetHeader
  }

  /** LOAD DATA LOCAL from memory. */
  async load(sql: string, data: Buffer): Promise<ResultSetHeader> {
    return (await this.#query(sql, () => Readable.from(slices(data), { objectMode: false }))) as ResultSetHeader
  }

  async #query(sql: string, infileStreamFactory?: () => Readable): Promise<unknown> {
    return (await this.#send({ sql, rowsAsArray: true, ...(infileStreamFactory ? { infileStreamFactory } : {}) }))[0]
  }

  async #send(options: QueryOptions): Promise<[unknown, unknown]> {
    const { host, connectionId: id } = this.server
    const giveUp = setTimeout(() => cut(this.#connection), limits.statement)
    const answered = watchSilence({ url: this.#options.url, id, host }, () => cut(this.#connection))
    try {
      return await this.#connection.query(options)
    } catch (error) {
      throw this.coded(error)
    } finally {
      clearTimeout(giveUp)
      answered()
    }
  }

  /** In one transaction; rolled back when `work` throws. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.run('start transaction')
    try {
      const result = await work()
      await this.run('commit')
      return result
    } catch (error) {
      await this.run('rollback').catch(() => {})
      throw error
    }
  }

  /** A replica's triggers do not fire for what is replicated, and an account with all rights could write into it. Throws QZ-DB-READ-ONLY. */
  async requireWritable(): Promise<void> {
    const [row] = await this.rows('select @@global.read_only')
    if (Number(row?.[0]) === 0) return
    throw new QianzhiError('QZ-DB-READ-ONLY', { database: this.#options.name, reason: 'read_only' })
  }

  /** Takes a named lock for the life of the connection. */
  async lock(purpose: string): Promise<void> {
    // A lock's name has at most 64 characters.
    const name = quoteText(`qianzhi:${purpose}:${safeName(this.server.database, 40)}`)
    const [answer] = await this.rows(`select get_lock(${name}, 1)`)
    if (String(answer?.[0]) === '1') return
    throw new QianzhiError('QZ-AGENT-CLONED', { database: this.#options.name })
  }

  coded(error: unknown): unknown {
    const code = connectionCode(error)
    return code ? new QianzhiError(code, { database: this.#options.name, reason: reasonOf(error) }, { cause: error }) : error
  }

  async close(): Promise<void> {
    await this.#connection.end().catch(() => {})
    cut(this.#connection)
  }
}

function connectionOptions(url: string): ConnectionOptions {
  return {
    uri: url,
    rowsAsArray: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    jsonStrings: true,
    charset: 'utf8mb4',
    timezone: 'Z',
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    connectTimeout: limits.connect,
    flags: ['+LOCAL_FILES', '+FOUND_ROWS'],
  }
}

/** A session of which nothing is heard any more ends, and with it its lock. */
const sessionSeconds = 'wait_timeout = 120, lock_wait_timeout = 30, innodb_lock_wait_timeout = 20'

async function prepareSession(connection: Connection): Promise<Server> {
  const ask = (sql: string) => connection.query({ sql, timeout: limits.connect })
  await ask(`set session time_zone = '+00:00', sql_mode = '${sqlMode}', ${sessionSeconds}`)
  await ask('set session transaction isolation level read committed')
  for (const setting of optionalSettings) await ask(setting).catch(() => {})
  const [rows] = (await ask(
    'select version(), database(), @@hostname, connection_id(), @@local_infile, @@max_allowed_packet',
  )) as unknown as [RawValue[][]]
  const [version, database, host, connectionId, localInfile, maxPacket] = rows[0]!.map(String) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const mariadb = /mariadb/i.test(version)
  return {
    version,
    mariadb,
    database,
    host,
    connectionId,
    localInfile: localInfile === '1',
    maxPacket: Number(maxPacket),
    binaryCollation: mariadb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin',
  }
}

function* slices(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += 1 << 18) yield data.subarray(at, at + (1 << 18))
}

interface DriverError extends Error {
  errno?: number
  code?: string
  sqlState?: string
  fatal?: boolean
}

/** Numbers of the servers' error lists (MySQL Server Error Message Reference, MariaDB Error Codes). */
const rights = new Set([1044, 1142, 1143, 1227, 1370, 1419])
const unusable = new Set([3, 1021, 1026, 1030, 1040, 1053, 1114, 1152, 1158, 1159, 1160, 1161, 1184, 1290, 1317, 1792, 1836, 1927, 4031])

function connectionCode(error: unknown): 'QZ-DB-RIGHTS' | 'QZ-DB-READ-ONLY' | 'QZ-DB-UNREACHABLE' | undefined {
  const { errno, code, fatal } = error as DriverError
  // 1290 names the option that forbids it.
  if (errno === 1792 || errno === 1836 || (errno === 1290 && /read[-_]only/i.test(reasonOf(error)))) return 'QZ-DB-READ-ONLY'
  if (errno !== undefined && rights.has(errno)) return 'QZ-DB-RIGHTS'
  if (fatal || (errno !== undefined && unusable.has(errno))) return 'QZ-DB-UNREACHABLE'
  return /^(PROTOCOL_|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ER_SERVER_SHUTDOWN)/.test(code ?? '') || /closed state/.test(reasonOf(error))
    ? 'QZ-DB-UNREACHABLE'
    : undefined
}

export function errorNumber(error: unknown): number | undefined {
  return (error as DriverError).errno
}

/** A deadlock or a lock wait that took too long: the whole transaction may be tried again. */
export function isContention(error: unknown): boolean {
  return [1205, 1213].includes(errorNumber(error) ?? 0)
}

/** The table or a column of the statement is not there. */
export function isMissing(error: unknown): boolean {
  return [1049, 1051, 1054, 1146].includes(errorNumber(error) ?? 0)
}

/**
 * Of a table or a statement: its engine, its definition, a lock, its partitions, a view; the server's limits of statements and transactions.
 */
const statementErrors = new Set([
  1015, 1016, 1017, 1033, 1034, 1035, 1036, 1099, 1100, 1103, 1136, 1194, 1195, 1196, 1197, 1206, 1235, 1286, 1288, 1347, 1356, 1394, 1395,
  1471, 1665, 1785, 1786, 3100,
])
/** Rows that are too long for their table, under the class of syntax errors. */
const longRows = new Set([1118, 1071, 1139])

/** "Column … cannot be null". */
export function isGuarded(error: unknown): boolean {
  return errorNumber(error) === 1048
}

/** A unique key, or a foreign key from or to the row. */
export function isConflict(error: unknown): boolean {
  return [1022, 1062, 1169, 1216, 1217, 1451, 1452, 1586, 1761, 1762].includes(errorNumber(error) ?? 0)
}

/** What cannot be compared: a character which the column’s character set lacks (MySQL 9: ER_CANNOT_CONVERT_STRING). */
const incomparable = new Set([1267, 1270, 1271, 3854])

/**
 * The server refused a statement because of a value in it or in a row that it read: SQLSTATE classes 21 and 22, 45 and those that are
 * nobody's, which functions of the agency's own raise.
 */
export function isValueError(error: unknown): boolean {
  const { errno, sqlState } = error as DriverError
  return errno !== undefined && (incomparable.has(errno) || errno === 1525 || /^(21|22|45|[5689I-WYZ])/.test(sqlState ?? ''))
}

/** Whatever the server says while the connection lives concerns a row, under any SQLSTATE that a trigger may signal, unless it names another thing. */
export function isRowError(error: unknown): boolean {
  const { errno, sqlState } = error as DriverError
  if (errno === undefined || errno <= 0 || error instanceof QianzhiError) return false
  if (longRows.has(errno)) return true
  if (isContention(error) || isMissing(error) || statementErrors.has(errno) || connectionCode(error)) return false
  return !/^(08|25|28|3D|40|42|70|HV|XA)/.test(sqlState ?? '')
}
