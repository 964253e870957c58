/** PostgreSQL captured from its log: the conformance suite in that mode, and what a log has of its own. */
import t, { type Test } from 'tap'
import { sourceNames } from '../../../../agent/databases/postgres/setup.ts'
import type { Random } from '../../../faults/random.ts'
import { longer } from '../../../support/longer.ts'
import { logSettings, startPostgres } from '../../../support/postgres.ts'
import { captureConformance } from '../conformance/capture.ts'
import { Model, openDatabase, schemaOf, setUp, sourceOf, tableRows, twoKeys } from '../conformance/fixture.ts'
import { logConformance } from '../conformance/log.ts'
import { byLog, drained, openedLog, plain, sessionOf, type Held, type LoggedEngine } from '../conformance/log-fixture.ts'
import { alteredConformance } from '../conformance/schema-drift.ts'
import { setupConformance } from '../conformance/setup.ts'
import { conformance, type Dialect, type KeyColumn, type Session, type TestDatabase } from '../conformance/suite.ts'
import { valueConformance } from '../conformance/values.ts'
import { freshDatabase, postgres } from './dialect.ts'

const server = await startPostgres({
  settings: {
    ...logSettings,
    max_replication_slots: '300',
    max_wal_senders: '300',
    max_connections: '400',
    max_prepared_transactions: '10',
    fsync: 'off',
    full_page_writes: 'off',
  },
})
t.teardown(() => server.stop())

const logged: Dialect = {
  ...postgres,
  name: 'PostgreSQL by its log',
  capture: 'log',
  async dropTriggers(session, table) {
    await session.query(`alter publication qianzhi drop table ${table}`)
  },
}
delete logged.disableTriggers

/** Besides those that every capture is tried with. */
const keyColumns: readonly KeyColumn[] = [
  { column: 'boolean', item: { type: 'boolean' }, values: ['true', 'false'] },
  { column: 'smallint', item: { type: 'integer' }, values: ['-300', '300', '1'] },
  { column: 'numeric(30,10)', item: { type: 'decimal', precision: 30, scale: 10 }, values: ['-12345678901234567890.0123456789', '0.5'] },
  { column: 'numeric(10)', item: { type: 'integer' }, values: ['-1', '0', '9999999999'] },
  { column: 'varchar(300)', item: { type: 'text', length: 300 }, values: ['东莞', 'a'.repeat(300), `q'"{,\\`, '', 'NULL'] },
  { column: 'cidr', item: { type: 'text', length: 50 }, values: ['10.0.0.0/8', '::/0'] },
  { column: 'timestamp(2)', item: { type: 'timestamp' }, values: ['1000-01-01T00:00:00.25', '9999-12-31T23:59:59'] },
]

// What follows is behind the queue, whoever fills it.
const behind = longer ? [] : [valueConformance, alteredConformance]
const fresh = () => freshDatabase(server)
conformance(t, logged, fresh, [captureConformance, setupConformance, ...behind])

const opened = (t: Test) => openedLog(t, { dialect: logged, fresh })
const watched = async (t: Test, ddl?: string, source = byLog()) => setUp(t, await openedLog(t, { dialect: logged, fresh }, ddl), source)

logConformance(t, {
  dialect: logged,
  fresh,
  own: async (t) => {
    const own = await startPostgres({ settings: logSettings })
    t.teardown(() => own.stop())
    return { fresh: () => freshDatabase(own), kill: (signal) => own.kill(signal), restart: () => own.restart() }
  },
  triggers: 'select count(*) from pg_trigger where not tgisinternal',
  held: 'select count(*) from pg_replication_slots where database = current_database()',
  queued: ({ resource }) => {
    const { queue } = sourceNames(resource)
    return `select unnest(k1) from ${queue}`
  },
  spoil,
  prepared: {
    begin: () => 'begin',
    prepare: (id) => [`prepare transaction '${id}'`],
    end: (id, how) => `${how} prepared '${id}'`,
    atOnce: () => ['commit'],
    savepoints: true,
  },
  hold,
  marksAfterCrash: false,
  whole: ['alter table licence replica identity full'],
  widen: (column) => `alter table licence alter column ${column} type varchar(120)`,
  makeUser: (name) => `create role ${name} login password 'secret'`,
  keyColumns,
  randomTable,
})

function randomTable(random: Random): ReturnType<LoggedEngine['randomTable']> {
  const parted = random.chance(0.5)
  const columns = 'region bigint not null, name varchar(100), code varchar(20) not null, primary key (region, code)'
  return {
    name: parted ? 'partitions' : 'one table',
    ddl: parted
      ? [
          `create table licence (${columns}) partition by list (region)`,
          'create table licence_0 partition of licence for values in (0, 1, 2)',
          'create table licence_9 partition of licence default',
        ]
      : [`create table licence (${columns})`],
    writers: [[], []],
    changes: [],
    truncate: () => `truncate ${parted ? random.pick(['licence', 'licence_0', 'licence_9']) : 'licence'}`,
  }
}

/** Without a standby that answers. */
async function hold(t: Test, test: TestDatabase, writer: Session): Promise<Held> {
  const standby = async (names: string) => {
    await test.query(`alter system set synchronous_standby_names = '${names}'`)
    await test.query('select pg_reload_conf()')
  }
  await writer.query(`set synchronous_commit = 'on'`)
  const [pid] = (await writer.query('select pg_backend_pid()'))[0]!
  const waits = async (pid: string) =>
    (await test.query(`select from pg_stat_activity where wait_event = 'SyncRep' and pid = ${pid}`)).length > 0
  await standby('nobody')
  t.teardown(() => standby(''))
  await untilCommitsWait(t, test, waits)
  const asked = new Set<string | null>()
  const asking = `select query_start from pg_stat_activity where application_name = 'qianzhi log' and query like '%pg_visible_in_snapshot%' and datname = current_database()`
  return {
    isLogged: () => waits(pid!),
    // It asks again and again whether the transaction may be seen.
    async isLookedAt() {
      for (const [when] of await test.query(asking)) asked.add(when!)
      return asked.size > 2
    },
    go: () => standby(''),
  }
}

/** The checkpointer tells all others, some time after the configuration is read. */
async function untilCommitsWait(t: Test, test: TestDatabase, waits: (pid: string) => Promise<boolean>): Promise<void> {
  const probe = await sessionOf(t, { test })
  const [pid] = (await probe.query('select pg_backend_pid()'))[0]!
  await probe.query(`set synchronous_commit = 'on'`)
  for (let turn = 0; ; turn++) {
    const through = probe.query(`create temp table probe_${turn} ()`).then(() => 'through')
    let state: string
    do state = await Promise.race([through, waits(pid!).then((waiting) => (waiting ? 'waits' : ''))])
    while (state === '')
    if (state === 'waits') return
  }
}

async function spoil(test: Session): Promise<Record<string, () => Promise<void>>> {
  const slots = 'pg_replication_slots where database = current_database()'
  const name = (await test.query(`select slot_name from ${slots}`))[0]![0]!
  const statements =
    (...all: string[]) =>
    async () => {
      for (const one of all) await test.query(one)
    }
  const drop = `select pg_drop_replication_slot('${name}')`
  return {
    dropped: statements(drop),
    'made again': statements(
      drop,
      `insert into licence values ('x', null, null)`,
      `select pg_create_logical_replication_slot('${name}', 'pgoutput')`,
    ),
    'moved on': statements(
      `insert into licence values ('y', null, null)`,
      `select pg_replication_slot_advance('${name}', pg_current_wal_lsn())`,
    ),
    'given up': async () => {
      await statements(`alter system set max_slot_wal_keep_size = '1MB'`, 'select pg_reload_conf()')()
      while ((await test.query(`select wal_status from ${slots}`))[0]![0] !== 'lost')
        await statements(`update licence set amount = 1`, 'select pg_switch_wal()', 'checkpoint')()
      await statements('alter system reset max_slot_wal_keep_size', 'select pg_reload_conf()')()
    },
  }
}

t.test('its writers need no right', async (t) => {
  const { test, ...rest } = await watched(t)
  await test.query(`do $$ begin create role log_clerk; exception when duplicate_object then null; end $$`)
  await test.query('grant insert, update on licence to log_clerk; set role log_clerk')
  await test.query(`insert into licence values ('a', '甲', 1)`)
  await test.query('reset role')
  t.same((await drained(rest)).sorted(), [['a', '甲', '1.00']])
})

t.test('a publication made anew, or of fewer operations, is a gap', async (t) => {
  const { test, database, capture, source } = await watched(t)
  const first = await capture.triggerFingerprint(source)
  await test.query(`alter publication qianzhi set (publish = 'insert')`)
  await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
  await test.query(`alter publication qianzhi set (publish = 'insert, update, delete, truncate')`)
  await test.query('alter publication qianzhi drop table licence')
  await test.query('alter publication qianzhi add table licence')
  t.not(await capture.triggerFingerprint(source), first)
  await capture.close()
  await test.query('drop publication qianzhi')
  await test.query(`insert into licence values ('between', null, null)`)
  await test.query('create publication qianzhi for table licence')
  // The server cannot read past what was written without the publication: the reader ends, and the next one begins a new thread.
  const errors: string[] = []
  for (let turn = 0; turn < 5; turn++) {
    const next = await database.openCapture([source])
    try {
      await next.waiting()
      t.not(await next.triggerFingerprint(source), first)
      await test.query(`insert into licence values ('after', null, null)`)
      t.same((await next.take(source, 10, new Set())).keys, [['after']])
      return
    } catch (error) {
      errors.push(String(error))
    } finally {
      await next.close()
    }
  }
  t.fail(errors.join('\n'))
})

t.test('what the log does not tell is refused, with what to do', async (t) => {
  const { test, database } = await opened(t)
  const refused = (message: RegExp) => t.rejects(database.setupScript(byLog()), { code: 'QZ-SOURCE-TABLE', message })
  await test.query('alter table licence set unlogged')
  await refused(/set logged/)
  await test.query('alter table licence set logged')
  await test.query('alter table licence replica identity nothing')
  await refused(/replica identity/)
  await test.query('alter table licence replica identity full')
  await database.setupScript(byLog())
  await test.query('alter table licence replica identity default')
  await test.query('create table heir () inherits (licence)')
  await refused(/inherit/)
  const small = await startPostgres({ settings: { fsync: 'off' } })
  t.teardown(() => small.stop())
  const other = await openDatabase(t, logged, () => freshDatabase(small))
  await other.test.query(plain)
  await t.rejects(other.database.setupScript(byLog()), { code: 'QZ-SOURCE-TABLE', message: /wal_level/ })
  const checks = await other.database.doctor([byLog()], [])
  t.ok(checks.some(({ ok, en }) => !ok && en.includes('wal_level')))
})

t.test('no more than the key travels where the server can leave the rest out', async (t) => {
  const { test, database, source } = await watched(t)
  const before = await test.query('select oid from pg_publication_rel')
  const [row] = await test.query(
    `select to_jsonb(r) ->> 'prattrs', current_setting('server_version_num')::int >= 150000 from pg_publication_rel r`,
  )
  t.equal(row![0], row![1] === 't' ? '[1]' : null)
  const longer = test.query('alter table licence alter column id type varchar(30)')
  if (row![1] === 't') await t.rejects(longer, { code: '0A000' }, 'which has its price (docs/databases.md)')
  else await longer
  await database.run(await database.setupScript(source))
  t.same(await test.query('select oid from pg_publication_rel'), before, 'and set-up again leaves it')
})

t.test('teardown leaves no slot, no publication and no table', async (t) => {
  const { test, database, source } = await watched(t)
  await database.run(await database.teardownScript(source))
  t.same(await test.query(`select * from pg_replication_slots where database = current_database()`), [])
  t.same(await test.query('select * from pg_publication'), [])
  t.same(await test.query(`select relname from pg_class where relnamespace = to_regnamespace('qianzhi')`), [])
})

t.test('keys of types that are printed otherwise than cast, and such as are stored apart', async (t) => {
  const long = schemaOf([
    { id: 'flag', type: 'boolean', key: true, required: true },
    { id: 'code', type: 'text', length: 20, key: true, required: true },
    { id: 'place', type: 'text', length: 50, key: true, required: true },
    { id: 'name', type: 'text', length: 100_000 },
  ])
  const made = await watched(
    t,
    'create table licence (flag boolean, code char(9), place inet, name text, primary key (flag, code, place))',
    sourceOf(long, { capture: 'log' }),
  )
  await made.test.query(`insert into licence values (true, 'ab', '10.0.0.1', repeat('x', 50000)), (false, '', '10.0.0.0/8', null)`)
  await made.test.query(`update licence set flag = not flag`)
  const model = await drained(made)
  t.same(model.sorted(), await tableRows(made.capture, made.source))
  t.equal(model.rows.size, 2)
  await made.test.query('delete from licence where flag')
  await drained(made, model)
  t.same(model.sorted(), await tableRows(made.capture, made.source))
})

t.test('a partition that is made, filled and attached while the log is read', async (t) => {
  const made = await watched(
    t,
    `create table licence (region bigint not null, name varchar(100), code varchar(20) not null, primary key (region, code)) partition by list (region);
     create table licence_1 partition of licence for values in (1)`,
    sourceOf(twoKeys, { capture: 'log' }),
  )
  const first = await made.capture.triggerFingerprint(made.source)
  await made.test.query(`insert into licence values (1, 'n', 'a')`)
  await made.test.query('create table licence_2 partition of licence for values in (2)')
  await made.test.query(`insert into licence values (2, 'n', 'b')`)
  const model = await drained(made)
  t.same(model.sorted(), await tableRows(made.capture, made.source))
  t.equal(model.rows.size, 2)
  t.not(await made.capture.triggerFingerprint(made.source), first)
})

t.test('many keys come as blocks, and their end is seen with them', async (t) => {
  const { test, capture, source } = await watched(t)
  await test.query(`insert into licence select 'k' || i, null, i from generate_series(1, 200) i`)
  await drained({ capture, source })
  const model = new Model()
  model.seq = (await capture.state(source)).position!.seq
  for (let turn = 0; turn < 10; turn++) {
    await test.query(`update licence set amount = ${turn}`)
    await capture.take(source, 1000, new Set())
    await test.query(`update licence set name = 'last' where id = 'k7'`)
    const blocks = await capture.takeBlocks!(source, 1000, new Set())
    t.ok(blocks && blocks.rows === 200 && blocks.keys === 201, 'what was committed before it was asked for is among them')
    await capture.mark(source, { entries: blocks!.entries })
    t.same((await capture.take(source, 10, new Set())).entries, [])
  }
})

t.test('the slot moves on, so that the server may forget', async (t) => {
  const { test, capture, source } = await watched(t)
  const confirmed = async () =>
    BigInt((await test.query(`select confirmed_flush_lsn - '0/0' from pg_replication_slots where database = current_database()`))[0]![0]!)
  const before = await confirmed()
  await test.query(`insert into licence values ('a', null, null)`)
  await drained({ capture, source })
  await capture.close()
  t.ok((await confirmed()) > before)
})
