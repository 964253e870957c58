/** The PostgreSQL engine (13 and later). */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError } from '../../../protocol/errors.ts'
import { supplyTable } from './sql.ts'
import {
  previewTimeoutMs,
  type Capture,
  type Check,
  type ColumnDescription,
  type Database,
  type DatabaseOptions,
  type Delivery,
  type PreviewRequest,
  type QuarantinedKey,
  type Reading,
  type Row,
  type Rows,
  type SinkTable,
  type SourceTable,
  type TableListing,
} from '../../database.ts'
import { QuarantineBook } from '../bookkeeping/quarantine-book.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { bookSession, booksThere, dialect } from './books.ts'
import { PostgresCapture } from './capture.ts'
import { connect, requireWritable, type Connection } from './connection.ts'
import { PostgresSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, sampleRows } from './describe.ts'
import { doctor } from './doctor.ts'
import { PostgresReading } from './reading.ts'
import { setupScript, teardownScript } from './setup.ts'
import { sourceTable, tableMembers } from './table.ts'

/** A killed agent's session lives on until the server notices: so long a lock that is held is asked for again. */
const lockPatienceMs = 3000

/** Advisory locks belong to the database, and go with the session. */
const locks = { capture: 'qianzhi capture', delivery: 'qianzhi delivery' }

export async function openPostgres(options: DatabaseOptions): Promise<Database> {
  return new PostgresDatabase(options)
}

class PostgresDatabase implements Database {
  readonly options: DatabaseOptions

  constructor(options: DatabaseOptions) {
    this.options = options
  }

  async openCapture(sources: readonly SourceTable[]): Promise<Capture> {
    return this.#locked('capture', (connection) => PostgresCapture.open(connection, sources, this.options.pace))
  }

  async openReading(): Promise<Reading> {
    const connection = await this.#connect('reading')
    await connection.script('set default_transaction_read_only = on')
    return new PostgresReading(connection)
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    return this.#locked('delivery', async (connection) => new TableDelivery(new PostgresSinks(connection), () => connection.close()))
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    return this.#briefly((connection) => describeTable(connection, table))
  }

  async tables(limit: number): Promise<TableListing[]> {
    return this.#looking((connection) => listTables(connection, limit))
  }

  async sample(table: string, columns: readonly string[], rows: number): Promise<Row[]> {
    return this.#looking((connection) => sampleRows(connection, table, columns, rows))
  }

  async previewRows(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#looking((connection) => previewRows(connection, source, looking))
  }

  async supplyTable(source: SourceTable): Promise<string[]> {
    return supplyTable(source.table, source.schema, source.columns)
  }

  async setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]> {
    return this.#briefly(async (connection) => {
      const table = await sourceTable(connection, source.table)
      return setupScript(source, table, await tableMembers(connection, table.oid), runtimeUser)
    })
  }

  async teardownScript(source: SourceTable): Promise<string[]> {
    return teardownScript(source)
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.#briefly(async (connection) => {
      for (const statement of statements) await connection.script(statement)
    })
  }

  async quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    return this.#looking(async (connection) =>
      new QuarantineBook(bookSession(connection), dialect).list(await booksThere(connection), name, limit),
    )
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    return doctor(() => this.#connect('doctor'), sources, sinks)
  }

  /** Captures and deliveries close their own connections. */
  async close(): Promise<void> {}

  #connect(role: string): Promise<Connection> {
    return connect(this.options.name, this.options.url, role)
  }

  /** A connection for one piece of work; a transaction that fails ends with it. */
  async #briefly<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#connect('command')
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  }

  /** The same, reading only, and not for long. */
  #looking<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#briefly(async (connection) => {
      await connection.script(
        `set statement_timeout = ${previewTimeoutMs}; set lock_timeout = ${previewTimeoutMs}; set default_transaction_read_only = on`,
      )
      return work(connection)
    })
  }

  async #locked<T>(role: keyof typeof locks, open: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#connect(role)
    try {
      await requireWritable(connection)
      await this.#lock(connection, role)
      return await open(connection)
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  async #lock(connection: Connection, role: keyof typeof locks): Promise<void> {
    for (const patience = Date.now() + lockPatienceMs; ; await sleep(100)) {
      const [row] = await connection.query('select pg_try_advisory_lock(hashtextextended($1, 0))', [locks[role]])
      if (row![0] === 't') return
      if (Date.now() > patience) throw new QianzhiError('QZ-AGENT-CLONED', { database: this.options.name })
    }
  }
}
