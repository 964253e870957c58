/** The PostgreSQL engine (13 and later). */
import { setTimeout as delay } from 'node:timers/promises'
import { QianzhiError } from '../../protocol/errors.ts'
import { supplyTable } from '../../protocol/tables/postgres.ts'
import type { Capture, Check, ColumnDescription, Database, DatabaseOptions, Delivery, SinkTable, SourceTable } from '../database.ts'
import { PostgresCapture } from './postgres-capture.ts'
import { connect, type Connection } from './postgres-connection.ts'
import { PostgresDelivery } from './postgres-delivery.ts'
import { doctor } from './postgres-doctor.ts'
import { setupScript, teardownScript } from './postgres-setup.ts'
import { sourceTable, tableMembers } from './postgres-table.ts'

/** A killed agent's session lives on until the server notices: so long a lock that is held is asked for again. */
const LOCK_PATIENCE_MS = 3000

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
    return this.locked('capture', (connection) => PostgresCapture.open(connection, sources, this.options.pace))
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    return this.locked('delivery', (connection) => PostgresDelivery.open(connection))
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    return this.briefly(async (connection) => {
      const found = await sourceTable(connection, table)
      const key = found.keys[0] ?? []
      return [...found.columns.values()].map(({ name, type, notNull }) => {
        return { column: name, type, nullable: !notNull, key: key.includes(name) }
      })
    })
  }

  async supplyTable(source: SourceTable): Promise<string[]> {
    return supplyTable(source.table, source.schema, source.columns)
  }

  async setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]> {
    return this.briefly(async (connection) => {
      const table = await sourceTable(connection, source.table)
      return setupScript(source, table, await tableMembers(connection, table.oid), runtimeUser)
    })
  }

  async teardownScript(source: SourceTable): Promise<string[]> {
    return teardownScript(source)
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.briefly(async (connection) => {
      for (const statement of statements) await connection.script(statement)
    })
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    return doctor(() => this.connect('doctor'), sources, sinks)
  }

  /** Captures and deliveries close their own connections. */
  async close(): Promise<void> {}

  private connect(role: string): Promise<Connection> {
    return connect(this.options.name, this.options.url, role)
  }

  /** A connection for one piece of work; a transaction that fails ends with it. */
  private async briefly<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.connect('command')
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  }

  private async locked<T>(role: keyof typeof locks, open: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.connect(role)
    try {
      await this.lock(connection, role)
      return await open(connection)
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  private async lock(connection: Connection, role: keyof typeof locks): Promise<void> {
    for (const patience = Date.now() + LOCK_PATIENCE_MS; ; await delay(100)) {
      const [row] = await connection.query('select pg_try_advisory_lock(hashtextextended($1, 0))', [locks[role]])
      if (row![0] === 't') return
      if (Date.now() > patience) throw new QianzhiError('QZ-AGENT-CLONED', { database: this.options.name })
    }
  }
}
