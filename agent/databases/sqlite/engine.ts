/** A SQLite file as a source and as a target (agent/database.ts): an agency's small system is often one. */
import { existsSync } from 'node:fs'
import type { Database, DatabaseOptions } from '../../database.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { TableDatabase, type TableEngine } from '../bookkeeping/engine.ts'
import { bookSession, booksThere, dialect } from './books.ts'
import { readTable } from './catalog.ts'
import { SqliteCapture } from './capture.ts'
import { SqliteSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { readPlan, requireWatchable } from './plan.ts'
import { SqliteReading } from './reading.ts'
import { pathOf, Session } from './session.ts'
import { setupStatements, streamTable, teardownStatements } from './setup.ts'
import { supplyTable } from './sql.ts'

export async function openSqlite(options: DatabaseOptions): Promise<Database> {
  return new TableDatabase(options, engine)
}

const engine: TableEngine<Session> = {
  open: async (options) => Session.open(options),
  openBrief: async (options) => Session.open(options),
  hold: (session, role) => session.hold(role),
  capture: async (session, sources) => new SqliteCapture(session, sources),
  async reading(session) {
    session.script('pragma query_only = on')
    return new SqliteReading(session)
  },
  deliver: (session) => new TableDelivery(new SqliteSinks(session), () => session.close()),
  async readOnly(session, _table, work) {
    session.script('pragma query_only = on')
    return work()
  },
  describe: describeTable,
  tables: listTables,
  sample: sampleRows,
  previewRows,
  supplyTable: async (_, { table, schema, columns }) => supplyTable(table, schema, columns),
  async setupScript(session, source) {
    const plan = await readPlan(session, source)
    requireWatchable(plan)
    return setupStatements(plan)
  },
  teardownScript: async (session, source) => teardownStatements(source, (await readTable(session, streamTable)) !== undefined),
  async run(session, statements) {
    for (const statement of statements) session.script(statement)
  },
  books: async (session) => ({ session: bookSession(session), dialect, there: await booksThere(session) }),
  // Whoever may write the file may do everything.
  rights: async () => [],
  absent(options, sources) {
    const file = pathOf(options)
    if (existsSync(file)) return undefined
    const read = sources.length > 0
    const [zh, en] = read ? ['请核对路径', 'look at the path'] : ['首次接收时建立', 'it is made when the first rows come']
    return { name: 'file', ok: !read, zh: `${file} 不存在：${zh}`, en: `${file} does not exist: ${en}` }
  },
  doctor: diagnose,
}
