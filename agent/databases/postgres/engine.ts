/** The PostgreSQL engine (13 and later). */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError } from '../../../protocol/errors.ts'
import { previewTimeoutMs, type Database, type DatabaseOptions } from '../../database.ts'
import { TableDelivery } from '../bookkeeping/delivery.ts'
import { TableDatabase, type TableEngine } from '../bookkeeping/engine.ts'
import { bookSession, booksThere, dialect } from './books.ts'
import { PostgresCapture } from './capture.ts'
import { connect, requireWritable, sqlState, type Connection } from './connection.ts'
import { PostgresSinks } from './delivery.ts'
import { describeTable, listTables, previewRows, sampleRows } from './describe.ts'
import { doctor } from './doctor.ts'
import { PostgresReading } from './reading.ts'
import { rightsOf } from './rights.ts'
import { readerOf } from './rows.ts'
import { logScript, setupScript, teardownScript } from './setup.ts'
import { publishScript, unloggedKeys, unreadableLog } from './log/slot.ts'
import { moveOf } from './trigger-fingerprint.ts'
import { supplyTable } from './sql.ts'
import { findTable, sourceTable, tableMembers } from './table.ts'

/** A killed agent's session lives on until the server notices: so long a lock that is held is asked for again. */
const lockPatienceMs = 3000

export async function openPostgres(options: DatabaseOptions): Promise<Database> {
  return new TableDatabase(options, engine)
}

const open = ({ name, url }: DatabaseOptions, role: string): Promise<Connection> => connect(name, url, role)

const engine: TableEngine<Connection> = {
  open,
  openBrief: open,
  loginRefused: (error) => ['28P01', '28000'].includes(sqlState(error) ?? ''),
  /** Advisory locks belong to the database, and go with the session. */
  async hold(connection, role, { name }) {
    await requireWritable(connection)
    for (const patience = performance.now() + lockPatienceMs; ; await sleep(100)) {
      const [row] = await connection.query('select pg_try_advisory_lock(hashtextextended($1, 0))', [`qianzhi ${role}`])
      if (row![0] === 't') return
      if (performance.now() > patience) throw new QianzhiError('QZ-AGENT-CLONED', { database: name })
    }
  },
  capture: (connection, sources, options) => PostgresCapture.open(connection, sources, options),
  async reading(connection) {
    await connection.script('set default_transaction_read_only = on')
    return new PostgresReading(connection)
  },
  deliver: (connection) => new TableDelivery(new PostgresSinks(connection), () => connection.close()),
  async readOnly(connection, _table, work) {
    const limits = `set statement_timeout = ${previewTimeoutMs}; set lock_timeout = ${previewTimeoutMs}`
    await connection.script(`${limits}; set default_transaction_read_only = on`)
    return work()
  },
  describe: describeTable,
  tables: listTables,
  sample: sampleRows,
  previewRows,
  supplyTable: async (_, { table, schema, columns }) => supplyTable(table, schema, columns),
  async setupScript(connection, source, runtimeUser) {
    const table = await sourceTable(connection, source.table)
    // What running would refuse is not set up.
    readerOf(source, table)
    const move = await moveOf(connection, source)
    if (source.capture === 'log') {
      const reason = (await unreadableLog(connection)) ?? (await unloggedKeys(connection, source, table))
      if (reason) throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason })
      return logScript(source, table, await publishScript(connection, table), { runtimeUser, move })
    }
    return setupScript(source, table, await tableMembers(connection, table.oid), { runtimeUser, move })
  },
  teardownScript: async (connection, source) => teardownScript(source, (await findTable(connection, source.table))?.name),
  async run(connection, statements) {
    for (const statement of statements) await connection.script(statement)
  },
  books: async (connection) => ({ session: bookSession(connection), dialect, there: await booksThere(connection) }),
  rights: rightsOf,
  doctor,
}
