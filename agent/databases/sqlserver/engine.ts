/** SQL Server 2012 and later, and servers that speak its protocol, as a source and as a target (agent/database.ts). */
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
import { ServerCapture } from './capture.ts'
import { readTable } from './catalog.ts'
import { ServerSession } from './connection.ts'
import { ServerSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, readOnly, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { readPlan } from './plan.ts'
import { ServerReading } from './reading.ts'
import { setupStatements, teardownStatements } from './setup.ts'

/** Connects only when something is asked of it. */
export async function openSqlserver(options: DatabaseOptions): Promise<Database> {
  return new SqlserverDatabase(options)
}

class SqlserverDatabase implements Database {
  readonly options: DatabaseOptions

  constructor(options: DatabaseOptions) {
    this.options = options
  }

  async openCapture(sources: readonly SourceTable[]): Promise<Capture> {
    const session = await ServerSession.open(this.options, 'capture')
    await session.requireWritable()
    await session.lock('capture')
    return new ServerCapture(this.options, session, sources)
  }

  async openReading(): Promise<Reading> {
    return new ServerReading(await ServerSession.open(this.options, 'reading'))
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    const session = await ServerSession.open(this.options, 'delivery')
    await session.requireWritable()
    await session.lock('delivery')
    return new TableDelivery(new ServerSinks(session), () => session.close())
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    return this.#with((session) => describeTable(session, table))
  }

  async tables(limit: number): Promise<TableListing[]> {
    return this.#with((session) => readOnly(session, session.server.database, () => listTables(session, limit)))
  }

  async sample(table: string, columns: readonly string[], rows: number): Promise<Row[]> {
    return this.#with((session) => readOnly(session, table, () => sampleRows(session, table, columns, rows)))
  }

  async previewRows(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#with((session) => readOnly(session, source.table, () => previewRows(session, source, looking)))
  }

  async supplyTable(source: SourceTable): Promise<string[]> {
    return this.#with(async (session) => supplyTable(session.qualify(source.table), source.schema, source.columns))
  }

  async setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]> {
    return this.#with(async (session) => setupStatements(await readPlan(session, source), session.server, runtimeUser))
  }

  /** Also where the table is gone. */
  async teardownScript(source: SourceTable): Promise<string[]> {
    return this.#with(async (session) => {
      const table = (await readTable(session, source.table))?.table ?? session.qualify(source.table)
      return teardownStatements(source, table, session.server)
    })
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.#with(async (session) => {
      for (const statement of statements) await session.query(statement)
    })
  }

  async quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    return this.#with(async (session) =>
      new QuarantineBook(bookSession(session, false), dialect).list(await booksThere(session), name, limit),
    )
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    return this.#with((session) => diagnose(session, sources, sinks))
  }

  /** Captures, readings and deliveries close their own sessions. */
  async close(): Promise<void> {}

  async #with<T>(work: (session: ServerSession) => Promise<T>): Promise<T> {
    const session = await ServerSession.open(this.options, 'command')
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }
}
