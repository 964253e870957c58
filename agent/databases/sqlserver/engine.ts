/** SQL Server 2012 and later, and servers that speak its protocol, as a source and as a target (agent/database.ts). */
import type { Database, DatabaseOptions } from '../../database.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { TableDatabase, type TableEngine } from '../bookkeeping/engine.ts'
import { bookSession, booksThere, dialect } from './books.ts'
import { ServerCapture } from './capture.ts'
import { readTable } from './catalog.ts'
import { ServerSession, type OwnSession } from './connection.ts'
import { errorNumber } from './errors.ts'
import { ServerSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, readOnly, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { requireUnmasked } from './masks.ts'
import { readPlan, requireWatchable } from './plan.ts'
import { Pool } from './pool.ts'
import { ServerReading } from './reading.ts'
import { rightsOf } from './rights.ts'
import { setupStatements, teardownStatements } from './setup.ts'
import { supplyTable } from './sql.ts'

export async function openSqlserver(options: DatabaseOptions): Promise<Database> {
  const pool = new Pool(options)
  return new TableDatabase(options, { ...engine, openBrief: () => pool.session(), end: () => pool.close() })
}

/** Sessions that hold locks stay on one connection of their own; short pieces of work take that of `mssql`'s pool (decision 017). */
const engine: Omit<TableEngine<ServerSession, OwnSession>, 'openBrief' | 'end'> = {
  open: (options, role) => ServerSession.open(options, role),
  loginRefused: (error) => [18452, 18456, 18486, 18487, 18488].includes(errorNumber(error) ?? 0),
  async hold(session, role) {
    await session.requireWritable()
    await session.lock(role)
  },
  capture: async (session, sources, options) => new ServerCapture(options, session, sources),
  reading: async (session) => new ServerReading(session),
  deliver: (session) => new TableDelivery(new ServerSinks(session), () => session.close()),
  readOnly,
  describe: describeTable,
  tables: listTables,
  sample: sampleRows,
  previewRows,
  supplyTable: async (session, { table, schema, columns }) => supplyTable(session.qualify(table), schema, columns),
  async setupScript(session, source, runtimeUser) {
    const plan = await readPlan(session, source)
    requireWatchable(plan)
    await requireUnmasked(session, plan)
    return setupStatements(plan, session.server, runtimeUser)
  },
  /** Also where the table is gone. */
  async teardownScript(session, source) {
    const table = (await readTable(session, source.table))?.table ?? session.qualify(source.table)
    return teardownStatements(source, table, session.server)
  },
  async run(session, statements) {
    for (const statement of statements) await session.query(statement)
  },
  books: async (session) => ({ session: bookSession(session, false), dialect, there: await booksThere(session) }),
  rights: rightsOf,
  doctor: diagnose,
}
