/**
 * Oracle as a source and as a target (agent/database.ts): 12.1 and later by the driver alone, 11.2 by a client library
 * (`client=` in the URL, see url.ts). docs/databases-oracle.md tells what a DBA needs to know.
 */
import { madeName, supplyTable } from './sql.ts'
import {
  onlyReads,
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
import { bookSession, booksThere, dialectOf } from './books.ts'
import { OracleCapture } from './capture.ts'
import { Session } from './connection.ts'
import { OracleSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, readOnly, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { SchemaLock, type Purpose } from './lock.ts'
import { sourceNames } from './names.ts'
import { readPlan, refused } from './plan.ts'
import { OracleReading } from './reading.ts'
import { grantStatements, setupStatements, teardownStatements } from './setup.ts'

/** Connects only when something is asked of it. */
export async function openOracle(options: DatabaseOptions): Promise<Database> {
  return new OracleDatabase(options)
}

class OracleDatabase implements Database {
  readonly options: DatabaseOptions

  constructor(options: DatabaseOptions) {
    this.options = options
  }

  async openCapture(sources: readonly SourceTable[]): Promise<Capture> {
    return this.#locked('capture', (session, lock) => new OracleCapture(session, lock, sources))
  }

  async openReading(): Promise<Reading> {
    return new OracleReading(await Session.open(this.options))
  }

  async openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    return this.#locked('delivery', (session, lock) => deliver(session, lock))
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    return this.#with((session) => describeTable(session, table))
  }

  async tables(limit: number): Promise<TableListing[]> {
    return this.#with((session) => readOnly(session, 'all_tables', () => listTables(session, limit)))
  }

  async sample(table: string, columns: readonly string[], rows: number): Promise<Row[]> {
    return this.#with((session) => readOnly(session, table, () => sampleRows(session, table, columns, rows)))
  }

  async previewRows(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#with((session) => readOnly(session, source.table, () => previewRows(session, source, looking)))
  }

  async supplyTable(source: SourceTable): Promise<string[]> {
    return this.#with(async ({ server }) => supplyTable(source.table, source.schema, source.columns, server))
  }

  /** What is ours is made in the running account's schema, whoever runs the script. */
  async setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]> {
    return this.#with(async (session) => {
      const plan = await readPlan(session, source)
      const owner = runtimeUser === undefined ? session.server.user : madeName(runtimeUser)
      const grants =
        runtimeUser === undefined || source.query !== undefined || plan.catalog.owner === owner ? [] : grantStatements(plan, runtimeUser)
      if (onlyReads(source)) return grants
      if (plan.catalog.view || plan.catalog.temporary) throw refused(source, '不是普通表 / triggers see plain tables only')
      return [...grants, ...setupStatements(plan, owner, session.server)]
    })
  }

  async teardownScript(source: SourceTable): Promise<string[]> {
    if (onlyReads(source)) return []
    return this.#with(async (session) => teardownStatements(source, await this.#queueOwner(session, source), session.server))
  }

  /** The schema that holds the source's queue: another than the account's where a DBA runs the script. */
  async #queueOwner(session: Session, { resource }: SourceTable): Promise<string> {
    const binds = session.binds()
    const { user } = session.server
    const rows = await session.rows(
      `select owner from all_tables where table_name = ${binds.code(sourceNames(resource).queue)} order by owner`,
      binds,
    )
    const owners = rows.map((row) => String(row[0]))
    return owners.includes(user) ? user : (owners[0] ?? user)
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.#with(async (session) => {
      for (const statement of statements) await session.run(statement)
    })
  }

  async quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    return this.#with(async (session) =>
      new QuarantineBook(bookSession(session), dialectOf(session.server.user)).list(await booksThere(session), name, limit),
    )
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    return this.#with((session) => diagnose(session, sources, sinks))
  }

  async close(): Promise<void> {}

  async #locked<T>(purpose: Purpose, open: (session: Session, lock: SchemaLock | undefined) => T): Promise<T> {
    const lock = await SchemaLock.take(this.options, purpose)
    try {
      return open(await Session.open(this.options), lock)
    } catch (error) {
      await lock?.close()
      throw error
    }
  }

  async #with<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await Session.open(this.options)
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }
}

function deliver(session: Session, lock: SchemaLock | undefined): Delivery {
  lock?.guard(session)
  return new TableDelivery(new OracleSinks(session), async () => {
    await session.close()
    await lock?.close()
  })
}
