/** MySQL 8 and MariaDB as a source and as a target (agent/database.ts). One engine: what differs is probed at connection. */
import { supplyTable } from './sql.ts'
import type {
  Capture,
  Check,
  ColumnDescription,
  Database,
  DatabaseOptions,
  Delivery,
  PreviewRequest,
  QuarantinedKey,
  Reading,
  Row,
  Rows,
  SinkTable,
  SourceTable,
  TableListing,
} from '../../database.ts'
import { QuarantineBook } from '../bookkeeping/quarantine-book.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { bookSession, booksThere, dialect } from './books.ts'
import { place } from './catalog.ts'
import { MysqlCapture } from './capture.ts'
import { Session } from './connection.ts'
import { MysqlSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, readOnly, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { readPlan } from './plan.ts'
import { MysqlReading } from './reading.ts'
import { setupStatements, teardownStatements } from './setup.ts'

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
    await session.requireWritable()
    await session.lock('capture')
    return MysqlCapture.open(this.options, session, sources)
  }

  async openReading(): Promise<Reading> {
    const session = await Session.open(this.options)
    // A second lock on the door: servers that speak the protocol without having read-only transactions refuse it.
    await session.run('set session transaction read only').catch(() => {})
    return new MysqlReading(session)
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    const session = await Session.open(this.options)
    await session.requireWritable()
    await session.lock('delivery')
    return new TableDelivery(new MysqlSinks(session), () => session.close())
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    return this.#with((session) => describeTable(session, table))
  }

  async tables(limit: number): Promise<TableListing[]> {
    return this.#with((session) => readOnly(session, () => listTables(session, limit)))
  }

  async sample(table: string, columns: readonly string[], rows: number): Promise<Row[]> {
    return this.#with((session) => readOnly(session, () => sampleRows(session, table, columns, rows)))
  }

  async previewRows(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#with((session) => readOnly(session, () => previewRows(session, source, looking)))
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
      await session.requireWritable()
      for (const statement of statements) await session.run(statement)
    })
  }

  async quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    return this.#with((session) =>
      readOnly(session, async () => new QuarantineBook(bookSession(session), dialect).list(await booksThere(session), name, limit)),
    )
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
