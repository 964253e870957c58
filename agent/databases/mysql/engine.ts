/** MySQL 8 and MariaDB as a source and as a target (agent/database.ts). One engine: what differs is probed at connection. */
import { randomUUID } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { Database, DatabaseOptions } from '../../database.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { TableDatabase, type TableEngine } from '../bookkeeping/engine.ts'
import { bookSession, booksThere, dialect } from './books.ts'
import { MysqlCapture } from './capture.ts'
import { cascadesInto, cascadeTriggers } from './cascades.ts'
import { place } from './catalog.ts'
import { errorNumber, Session } from './connection.ts'
import { MysqlSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, readOnly, sampleRows } from './describe.ts'
import { diagnose } from './doctor.ts'
import { readPlan, refused, requireWatchable } from './plan.ts'
import { MysqlReading } from './reading.ts'
import { knownAccounts, rightsOf } from './rights.ts'
import { beginning, unloggedKeys, unreadableLog } from './log/place.ts'
import { logStatements, setupStatements, teardownStatements } from './setup.ts'
import { supplyTable } from './sql.ts'
import { moveOf } from './trigger-fingerprint.ts'

export async function openMysql(options: DatabaseOptions): Promise<Database> {
  return new TableDatabase(options, engine)
}

const engine: TableEngine<Session> = {
  open: (options) => Session.open(options),
  openBrief: (options) => Session.open(options),
  // Wrong password, or an account that logs in in another way.
  loginRefused: (error) => error instanceof QianzhiError && [1045, 1698].includes(errorNumber(error.cause) ?? 0),
  async hold(session, role) {
    await session.requireWritable()
    await session.lock(role)
  },
  capture: (session, sources, options) => MysqlCapture.open(options, session, sources),
  async reading(session) {
    // A second lock on the door: servers that speak the protocol without having read-only transactions refuse it.
    await session.run('set session transaction read only').catch(() => {})
    return new MysqlReading(session)
  },
  deliver: (session) => new TableDelivery(new MysqlSinks(session), () => session.close()),
  readOnly: (session, _table, work) => readOnly(session, work),
  describe: describeTable,
  tables: listTables,
  sample: sampleRows,
  previewRows,
  supplyTable: async ({ server }, { table, schema, columns }) => [supplyTable(table, schema, columns, server)],
  async setupScript(session, source, runtimeUser) {
    const plan = await readPlan(session, source)
    requireWatchable(plan)
    const around = { cascades: await cascadesInto(session, plan.catalog), there: await cascadeTriggers(session, source) }
    const [account] = runtimeUser === undefined ? [] : await knownAccounts(session, runtimeUser)
    const move = await moveOf(session, source)
    if (source.capture !== 'log') return setupStatements(plan, session.server, around, { runtimeUser: account, move })
    const reason = (await unreadableLog(session, [plan.catalog.database])) ?? (await unloggedKeys(session, plan))
    if (reason) throw refused(source, reason)
    const from = await beginning(session)
    return logStatements(plan, session.server, around, { from, since: randomUUID(), runtimeUser: account, move })
  },
  async teardownScript(session, source) {
    const there = await cascadeTriggers(session, source)
    const rows = await session.rows('select table_name from information_schema.tables where table_schema = database()')
    const tables = new Set(rows.map(([name]) => String(name)))
    return teardownStatements(source, place(session, source.table), session.server, { there }, tables)
  },
  async run(session, statements) {
    await session.requireWritable()
    for (const statement of statements) await session.run(statement)
  },
  books: async (session) => ({ session: bookSession(session), dialect, there: await booksThere(session) }),
  async rights(session, sources, sinks, user) {
    const accounts = user === undefined ? [undefined] : await knownAccounts(session, user)
    return (await Promise.all(accounts.map((account) => rightsOf(session, sources, sinks, account)))).flat()
  },
  doctor: diagnose,
}
