/** MySQL 8 and MariaDB as a source and as a target (agent/database.ts). One engine: what differs is probed at connection. */
import { supplyTable } from '../../protocol/tables/mysql.ts'
import type {
  Capture,
  Check,
  ColumnDescription,
  Database,
  DatabaseOptions,
  Delivery,
  Looking,
  Reading,
  Row,
  Rows,
  SinkTable,
  SourceTable,
  TableListing,
} from '../database.ts'
import { place } from './mysql-catalog.ts'
import { MysqlCapture } from './mysql-capture.ts'
import { Session } from './mysql-connection.ts'
import { MysqlDelivery } from './mysql-delivery.ts'
import { describeTable, listTables, lookAtRows, lookOnly, sampleRows } from './mysql-describe.ts'
import { diagnose } from './mysql-doctor.ts'
import { readPlan } from './mysql-plan.ts'
import { MysqlReading } from './mysql-reading.ts'
import { quarantinedOf } from './mysql-state.ts'
import { setupStatements, teardownStatements } from './mysql-setup.ts'

/** Connects only when something is asked of it. */
export async function openMysql(options: DatabaseOptions): Promise<Database> {
  return new MysqlDatabase(options)
}

class MysqlDatabase implements Database {
  readonly options: DatabaseOptions

  constructor(options: DatabaseOptions) {
    this.options = options
  }

  async openCapture(sources: readonly SourceTable[]): Promise<Capture> {
    const session = await Session.open(this.options)
    await session.lock('capture')
    return new MysqlCapture(this.options, session, sources)
  }

  async openReading(): Promise<Reading> {
    const session = await Session.open(this.options)
    await session.run('set session transaction read only')
    return new MysqlReading(session)
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    const session = await Session.open(this.options)
    await session.lock('delivery')
    return new MysqlDelivery(session)
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    return this.#with((session) => describeTable(session, table))
  }

  async tables(limit: number): Promise<TableListing[]> {
    return this.#with((session) => lookOnly(session, () => listTables(session, limit)))
  }

  async sample(table: string, columns: readonly string[], rows: number): Promise<Row[]> {
    return this.#with((session) => lookOnly(session, () => sampleRows(session, table, columns, rows)))
  }

  async look(source: SourceTable, looking: Looking): Promise<Rows> {
    return this.#with((session) => lookOnly(session, () => lookAtRows(session, source, looking)))
  }

  async quarantined(route: string, limit: number): Promise<{ key: Row; code: string }[]> {
    return this.#with((session) => lookOnly(session, () => quarantinedOf(session, route, limit)))
  }

  async supplyTable(source: SourceTable): Promise<string[]> {
    return this.#with(async ({ server }) => [supplyTable(source.table, source.schema, source.columns, server)])
  }

  async setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]> {
    return this.#with(async (session) => setupStatements(await readPlan(session, source), session.server, runtimeUser))
  }

  async teardownScript(source: SourceTable): Promise<string[]> {
    return this.#with(async (session) => teardownStatements(source, place(session, source.table), session.server))
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.#with(async (session) => {
      for (const statement of statements) await session.run(statement)
    })
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    return this.#with((session) => diagnose(session, sources, sinks))
  }

  async close(): Promise<void> {}

  async #with<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await Session.open(this.options)
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }
}
