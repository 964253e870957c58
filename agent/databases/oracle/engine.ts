/**
 * Oracle as a source and as a target (agent/database.ts): 12.1 and later by the driver alone, 11.2 by a client library
 * (`client=` in the URL, see url.ts). docs/databases-oracle.md tells what a DBA needs to know.
 */
import { QianzhiError } from '../../../protocol/errors.ts'
import { onlyReads, type Database, type DatabaseOptions, type SourceTable } from '../../database.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { TableDatabase, type TableEngine } from '../bookkeeping/engine.ts'
import { bookSession, booksThere, dialectOf } from './books.ts'
import { OracleCapture } from './capture.ts'
import { Session } from './connection.ts'
import { errorNumber } from './errors.ts'
import { OracleSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, readOnly, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { SchemaLock } from './lock.ts'
import { sourceNames } from './names.ts'
import { readPlan, refused } from './plan.ts'
import { OracleReading } from './reading.ts'
import { rightsOf } from './rights.ts'
import { grantStatements, setupStatements, teardownStatements } from './setup.ts'
import { madeName, supplyTable } from './sql.ts'

export async function openOracle(options: DatabaseOptions): Promise<Database> {
  return new TableDatabase(options, engine)
}

const engine: TableEngine<Session> = {
  open: (options) => Session.open(options),
  openBrief: (options) => Session.open(options),
  // Wrong user or password, or a locked account.
  loginRefused: (error) => error instanceof QianzhiError && [1017, 28000].includes(errorNumber(error.cause) ?? 0),
  /** The lock has a session of its own, which ends with the working one. */
  async hold(session, role, options) {
    const lock = await SchemaLock.take(options, role)
    if (!lock) return
    session.endsWith(lock)
    lock.guard(session)
  },
  capture: async (session, sources) => new OracleCapture(session, sources),
  reading: async (session) => new OracleReading(session),
  deliver: (session) => new TableDelivery(new OracleSinks(session), () => session.close()),
  readOnly,
  describe: describeTable,
  tables: listTables,
  sample: sampleRows,
  previewRows,
  supplyTable: async ({ server }, { table, schema, columns }) => supplyTable(table, schema, columns, server),
  /** What is ours is made in the running account's schema, whoever runs the script. */
  async setupScript(session, source, runtimeUser) {
    const plan = await readPlan(session, source)
    const owner = runtimeUser === undefined ? session.server.user : madeName(runtimeUser)
    const grants =
      runtimeUser === undefined || source.query !== undefined || plan.catalog.owner === owner ? [] : grantStatements(plan, runtimeUser)
    if (onlyReads(source)) return grants
    if (plan.catalog.view || plan.catalog.temporary) throw refused(source, { zh: '不是普通表', en: 'triggers see plain tables only' })
    return [...grants, ...setupStatements(plan, owner, session.server)]
  },
  async teardownScript(session, source) {
    return onlyReads(source) ? [] : teardownStatements(source, await queueOwner(session, source))
  },
  async run(session, statements) {
    for (const statement of statements) await session.run(statement)
  },
  books: async (session) => ({
    session: bookSession(session),
    dialect: dialectOf(session.server.user),
    there: await booksThere(session),
  }),
  rights: rightsOf,
  doctor: diagnose,
}

/** The schema that holds the source's queue: another than the account's where a DBA runs the script. */
async function queueOwner(session: Session, { resource }: SourceTable): Promise<string> {
  const binds = session.binds()
  const { user } = session.server
  const rows = await session.rows(
    `select owner from all_tables where table_name = ${binds.code(sourceNames(resource).queue)} order by owner`,
    binds,
  )
  const owners = rows.map((row) => String(row[0]))
  return owners.includes(user) ? user : (owners[0] ?? user)
}
