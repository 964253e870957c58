/** PostgreSQL captured from its log: the conformance suite in that mode, and what a log has of its own. */
import t, { type Test } from 'tap'
import type { SourceTable } from '../../../../agent/database.ts'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { longer } from '../../../support/longer.ts'
import { logSettings, startPostgres } from '../../../support/postgres.ts'
import { captureConformance } from '../conformance/capture.ts'
import {
  at,
  licence,
  Model,
  openDatabase,
  schemaOf,
  setUp,
  sortRows,
  sourceOf,
  tableRows,
  twoKeys,
  type Opened,
  type Watched,
} from '../conformance/fixture.ts'
import { alteredConformance } from '../conformance/schema-drift.ts'
import { setupConformance } from '../conformance/setup.ts'
import { conformance, type Dialect, type Session } from '../conformance/suite.ts'
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

// What follows is behind the queue, whoever fills it.
const behind = longer ? [] : [valueConformance, alteredConformance]
conformance(t, logged, () => freshDatabase(server), [captureConformance, setupConformance, ...behind])

const plain = 'create table licence (id varchar(20) primary key, name varchar(100), amount numeric(12,2))'
const byLog = (changes: Partial<SourceTable> = {}): SourceTable => sourceOf(licence, { capture: 'log', ...changes })

async function opened(t: Test, ddl = plain): Promise<Opened> {
  const opened = await openDatabase(t, logged, () => freshDatabase(server))
  await opened.test.query(ddl)
  return opened
}

async function watched(t: Test, ddl = plain, source = byLog()): Promise<Watched> {
  return setUp(t, await opened(t, ddl), source)
}

async function drained({ capture, source }: Pick<Watched, 'capture' | 'source'>, model = new Model()): Promise<Model> {
  await model.drain({ capture, source })
  return model
}

async function session(t: Test, { test }: Opened): Promise<Session> {
  const made = await test.connect()
  t.teardown(() => made.close())
  return made
}

t.test('nothing of ours is at the table, and its writers need no right', async (t) => {
  const { test, ...rest } = await watched(t)
  t.same(await test.query(`select tgname from pg_trigger where tgrelid = 'licence'::regclass`), [])
  await test.query(`do $$ begin create role log_clerk; exception when duplicate_object then null; end $$`)
  await test.query('grant insert, update on licence to log_clerk; set role log_clerk')
  await test.query(`insert into licence values ('a', '甲', 1)`)
  await test.query('reset role')
  t.same((await drained(rest)).sorted(), [['a', '甲', '1.00']])
})

t.test('random transactions: savepoints, prepared ones, keys changed in place, TRUNCATE, partitions', async (t) => {
  const began = seedOfThisRun()
  for (let seed = began; seed < began + (longer ? 1 : 8); seed++) {
    const random = new Random(seed)
    const parted = random.chance(0.5)
    const made = await watched(
      t,
      parted
        ? `create table licence (region bigint not null, name varchar(100), code varchar(20) not null, primary key (region, code)) partition by list (region);
           create table licence_0 partition of licence for values in (0, 1, 2); create table licence_9 partition of licence default`
        : 'create table licence (region bigint not null, name varchar(100), code varchar(20) not null, primary key (code, region))',
      sourceOf(twoKeys, { capture: 'log' }),
    )
    const model = new Model()
    const writers = [await session(t, made), await session(t, made)]
    const code = () => random.pick(['a', 'b', 'c', 'd', '东', 'e ', "q'"]).replaceAll("'", "''")
    const change = (): string =>
      random.pick(
        [
          () => `insert into licence values (${random.between(0, 4)}, 'n${random.between(0, 99)}', '${code()}') on conflict do nothing`,
          () => `update licence set name = 'm${random.between(0, 99)}' where code = '${code()}'`,
          () => `update licence set region = region + 10 where code = '${code()}' and region < 5`,
          () => `update licence set code = code || 'x' where code = '${code()}'`,
          () => `delete from licence where region = ${random.between(0, 14)}`,
          () => `truncate ${parted ? random.pick(['licence', 'licence_0', 'licence_9']) : 'licence'}`,
        ].filter((_, i) => i < 5 || random.chance(0.15)),
      )()
    for (let turn = 0; turn < 40; turn++) {
      const writer = random.pick(writers)
      await writer.query('begin')
      for (let n = random.between(1, 4); n > 0; n--) {
        await writer.query('savepoint s')
        // Two rows may not come to have one key.
        const refused = await writer.query(change()).then(
          () => false,
          () => true,
        )
        if (refused || random.chance(0.2)) await writer.query('rollback to s')
      }
      const end = random.pick(['commit', 'commit', 'rollback', 'prepared'])
      if (end !== 'prepared') await writer.query(end)
      else {
        await writer.query(`prepare transaction 'p${seed}'`)
        await writer.query(`${random.chance(0.5) ? 'commit' : 'rollback'} prepared 'p${seed}'`)
      }
      if (random.chance(0.3)) await model.drain(made)
      if (model.marked) {
        // What a snapshot does: all is read anew.
        model.marked = false
        model.rows.clear()
        for (const row of await tableRows(made.capture, made.source)) model.rows.set(JSON.stringify([row[0], row[2]]), row)
      }
    }
    await model.drain(made)
    const rows = await tableRows(made.capture, made.source)
    if (model.marked) t.pass('the last change was a TRUNCATE: a snapshot')
    else t.same(model.sorted(), rows, `seed ${seed}`)
  }
})

t.test('a transaction that others do not see yet is not queued', async (t) => {
  const { test, capture, source } = await watched(t)
  // Without a standby that answers, a commit stands in the log and is not visible.
  await test.query(`alter system set synchronous_standby_names = 'nobody'`)
  await test.query('select pg_reload_conf()')
  t.teardown(async () => {
    await test.query('alter system reset synchronous_standby_names')
    await test.query('select pg_reload_conf()')
  })
  const writer = await session(t, { test } as Opened)
  await writer.query(`set synchronous_commit = 'on'`)
  while ((await writer.query('show synchronous_standby_names'))[0]![0] !== 'nobody');
  const committed = writer.query(`insert into licence values ('a', null, null)`)
  while ((await test.query(`select 1 from pg_stat_activity where wait_event = 'SyncRep'`)).length === 0);
  t.same(await test.query('select * from licence'), [], 'others do not see it')
  const queue = await queueOf(test)
  const asked = new Set<string | null>()
  // The reader asks again and again whether it may be seen.
  const asking = `select query_start from pg_stat_activity where application_name = 'qianzhi log' and query like '%pg_visible_in_snapshot%' and datname = current_database()`
  while (asked.size < 3 && (await test.query(`select from ${queue}`)).length === 0)
    for (const [when] of await test.query(asking)) asked.add(when!)
  t.same(await test.query(`select from ${queue}`), [], 'nor is it queued')
  await test.query(`alter system set synchronous_standby_names = ''`)
  await test.query('select pg_reload_conf()')
  await committed
  t.same((await drained({ capture, source })).sorted(), [['a', null, null]])
})

async function queueOf(test: Session): Promise<string> {
  return (await test.query(`select 'qianzhi.' || relname from pg_class where relname like 'q\\_%' and relkind = 'r'`))[0]![0]!
}

t.test('what was written while no agent ran is read when one comes', async (t) => {
  const { test, database, capture, source } = await watched(t)
  await test.query(`insert into licence values ('a', null, 1)`)
  const model = await drained({ capture, source })
  await capture.close()
  await test.query(`insert into licence values ('b', null, 2); update licence set amount = 3 where id = 'a'`)
  const next = await database.openCapture([source])
  t.teardown(() => next.close())
  await model.drain({ capture: next, source })
  t.same(model.sorted(), [
    ['a', null, '3.00'],
    ['b', null, '2.00'],
  ])
})

t.test('a killed reader repeats, and loses nothing', async (t) => {
  const { test, database, capture, source } = await watched(t)
  const model = new Model()
  for (let n = 0; n < 5; n++) {
    await test.query(
      `insert into licence select 'k' || i, null, ${n} from generate_series(${n * 10}, ${n * 10 + 30}) i on conflict (id) do update set amount = excluded.amount`,
    )
    if (n % 2) await model.drain({ capture, source })
  }
  await logged.endOthers!(test)
  await t.rejects(model.drain({ capture, source }), { code: 'QZ-DB-UNREACHABLE' })
  await capture.close()
  await test.query(`delete from licence where id = 'k3'`)
  const next = await database.openCapture([source])
  t.teardown(() => next.close())
  model.seq = (await next.state(source)).position!.seq
  await model.drain({ capture: next, source })
  t.same(model.sorted(), await tableRows(next, source))
  t.equal(model.rows.size, 70)
})

t.test('a slot that is gone, that another has moved, or that the server gave up is a new coverage: a snapshot, no loss', async (t) => {
  const { test, database, capture, source } = await watched(t)
  let coverage = await capture.triggerFingerprint(source)
  await capture.close()
  const name = (await test.query(`select slot_name from pg_replication_slots where database = current_database()`))[0]![0]!
  const statements =
    (...all: string[]) =>
    async () => {
      for (const one of all) await test.query(one)
    }
  const drop = `select pg_drop_replication_slot('${name}')`
  const spoil: Record<string, () => Promise<void>> = {
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
      const status = async () => (await test.query(`select wal_status from pg_replication_slots where slot_name = '${name}'`))[0]![0]
      while ((await status()) !== 'lost') await statements(`update licence set amount = 1`, 'select pg_switch_wal()', 'checkpoint')()
      await statements('alter system reset max_slot_wal_keep_size', 'select pg_reload_conf()')()
    },
  }
  for (const [what, happen] of Object.entries(spoil)) {
    await happen()
    const next = await database.openCapture([source])
    const found = await next.triggerFingerprint(source)
    t.not(found, coverage, what)
    t.equal(await next.triggerFingerprint(source), found, 'and stands')
    await test.query(`insert into licence values ('${what}', null, null)`)
    t.same((await next.take(source, 100, new Set())).keys, [[what]], 'it goes on')
    await next.mark(source, { entries: (await next.take(source, 100, new Set())).entries })
    await next.close()
    coverage = found
  }
  const again = await database.openCapture([source])
  t.equal(await again.triggerFingerprint(source), coverage, 'a clean restart is none')
  await again.close()
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

t.test('from triggers to the log and back: the queue, the place and the coverage stay, and nothing is lost', async (t) => {
  const { test, database } = await opened(t)
  const byTriggers = sourceOf(licence)
  await database.run(await database.setupScript(byTriggers))
  let capture = await database.openCapture([byTriggers])
  await capture.record(byTriggers, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
  const coverage = await capture.triggerFingerprint(byTriggers)
  const model = new Model()
  await test.query(`insert into licence values ('a', null, null)`)
  for (const [turn, source] of [byLog(), byTriggers, byLog(), byTriggers].entries()) {
    await test.query(`insert into licence values ('running ${turn}', null, null)`)
    await capture.close()
    await test.query(`insert into licence values ('before ${turn}', null, null)`)
    const writer = await session(t, { test } as Opened)
    await writer.query(`begin; insert into licence values ('open ${turn}', null, null)`)
    const script = await database.setupScript(source)
    const moving = database.run(script)
    await test.query(`insert into licence values ('during ${turn}', null, null)`)
    await writer.query('commit')
    await moving
    await test.query(`insert into licence values ('after ${turn}', null, null)`)
    capture = await database.openCapture([source])
    t.equal(await capture.triggerFingerprint(source), coverage, `${source.capture}: the same coverage`)
    t.equal((await capture.state(source)).snapshot, null)
    await test.query(`update licence set name = 'x' where id = 'a'`)
    await model.drain({ capture, source })
    t.same(model.sorted(), await tableRows(capture, source))
    t.equal(model.rows.size, 1 + 5 * (turn + 1))
    const triggers = await test.query(`select count(*) from pg_trigger where tgrelid = 'licence'::regclass`)
    t.equal(triggers[0]![0] !== '0', source.capture === 'triggers')
    const slots = await test.query(`select count(*) from pg_replication_slots where database = current_database()`)
    t.equal(slots[0]![0], source.capture === 'log' ? '1' : '0')
  }
  await test.query('alter table licence alter column name type varchar(120)')
  t.not(await capture.triggerFingerprint(byTriggers), coverage, 'what is altered later is seen')
  await capture.close()
})

t.test('a slot that is lost before it was read to its end is a snapshot, also for a source that has triggers by now', async (t) => {
  const { test, database, capture, source } = await watched(t)
  const coverage = await capture.triggerFingerprint(source)
  await capture.close()
  await test.query(`insert into licence values ('unread', null, null)`)
  const byTriggers = sourceOf(licence)
  await database.run(await database.setupScript(byTriggers))
  await test.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()')
  let next = await database.openCapture([byTriggers])
  const found = await next.triggerFingerprint(byTriggers)
  t.not(found, coverage)
  await next.close()
  next = await database.openCapture([byTriggers])
  t.equal(await next.triggerFingerprint(byTriggers), found, 'once')
  await next.close()
})

t.test('a source that the log was not read for while it was read for others has a new coverage', async (t) => {
  const { test, database } = await opened(t)
  await test.query('create table other (id varchar(20) primary key, name varchar(100), amount numeric(12,2))')
  const one = byLog()
  const other = sourceOf({ ...licence, resource: 'scjg.other' }, { capture: 'log', resource: 'scjg.other', table: 'other' })
  for (const source of [one, other]) await database.run(await database.setupScript(source))
  const coverages = async (...sources: SourceTable[]) => {
    const capture = await database.openCapture(sources)
    const found = []
    for (const source of sources) found.push(await capture.triggerFingerprint(source))
    await test.query(
      `insert into licence values (gen_random_uuid()::text::varchar(20), null, null); insert into other values (gen_random_uuid()::text::varchar(20), null, null)`,
    )
    await capture.waiting()
    await capture.close()
    return found
  }
  const both = await coverages(one, other)
  t.same(await coverages(one, other), both)
  t.same(await coverages(one), [both[0]])
  const again = await coverages(one, other)
  t.equal(again[0], both[0])
  t.not(again[1], both[1])
  t.same(await coverages(one, other), again)
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

t.test('doctor says that the log could be read', async (t) => {
  const { database } = await opened(t)
  await database.run(await database.setupScript(sourceOf(licence)))
  const said = (await database.doctor([sourceOf(licence)], [])).filter(({ name }) => name.startsWith('capture'))
  t.match(said, [{ ok: true, en: /capture: log/ }])
})

t.test('no more than the key travels where the server can leave the rest out', async (t) => {
  const { test, database, source } = await watched(t)
  const before = await test.query('select oid from pg_publication_rel')
  const [row] = await test.query(
    `select to_jsonb(r) ->> 'prattrs', current_setting('server_version_num')::int >= 150000 from pg_publication_rel r`,
  )
  t.equal(row![0], row![1] === 't' ? '[1]' : null)
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

t.test('the run-time user needs no more than set-up gives', async (t) => {
  const { test, database } = await opened(t)
  const user = `runner_${Math.random().toString(36).slice(2, 8)}`
  await test.query(`create role ${user} login password 'secret'`)
  await database.run(await database.setupScript(byLog(), user))
  const url = new URL(test.url)
  url.username = user
  url.password = 'secret'
  const own = await logged.open({ name: 'front', url: url.href, pace: 5 })
  t.teardown(() => own.close())
  t.same(
    (await own.doctor([byLog()], [])).filter(({ ok }) => !ok),
    [],
  )
  let capture = await own.openCapture([byLog()])
  const source = byLog()
  await capture.record(source, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
  await test.query(`insert into licence values ('a', null, null)`)
  const model = await drained({ capture, source })
  await capture.close()
  await test.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`)
  capture = await own.openCapture([source])
  await test.query(`insert into licence values ('b', null, null)`)
  await model.drain({ capture, source })
  t.equal(model.rows.size, 2)
  await capture.close()
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

t.test('a large transaction, and small ones beside it', async (t) => {
  const made = await watched(t)
  const writer = await session(t, made)
  await writer.query('begin')
  await writer.query(`insert into licence select 'big' || i, null, i from generate_series(1, 60000) i`)
  await made.test.query(`insert into licence values ('small', null, null)`)
  const model = await drained(made)
  t.equal(model.rows.size, 1)
  await writer.query('commit')
  while ((await model.step(made, 20_000)).entries.length > 0);
  t.equal(model.rows.size, 60_001)
})

t.test('what was committed before it was asked for is taken', async (t) => {
  const { test, capture, source } = await watched(t)
  for (let turn = 0; turn < 30; turn++) {
    await test.query(`insert into licence values ('k${turn}', null, null)`)
    const { keys, entries } = await capture.take(source, 10, new Set())
    t.same(keys, [[`k${turn}`]])
    await capture.mark(source, { entries })
    t.equal((await capture.backlog(source, 10)).entries, 0)
    await test.query(`update licence set amount = ${turn} where id = 'k${turn}'`)
    t.equal((await capture.backlog(source, 10)).entries, 1)
    await capture.mark(source, { entries: (await capture.take(source, 10, new Set())).entries })
  }
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

t.test('two sources of one table, each by its own key', async (t) => {
  const { test, database } = await opened(
    t,
    'create table licence (region bigint not null, name varchar(100), code varchar(20) not null, primary key (region, code), unique (code)); alter table licence replica identity full',
  )
  const one = sourceOf(twoKeys, { capture: 'log' })
  const other = sourceOf(
    { ...schemaOf(twoKeys.items.map((item) => ({ ...item, key: item.id === 'code' }))), resource: 'scjg.other' },
    {
      capture: 'log',
      resource: 'scjg.other',
    },
  )
  for (const source of [one, other]) await database.run(await database.setupScript(source))
  const capture = await database.openCapture([one, other])
  const coverage = await capture.triggerFingerprint(one)
  await database.run(await database.setupScript(other))
  t.equal(await capture.triggerFingerprint(one), coverage, 'the other one’s set-up is none of its business')
  t.teardown(() => capture.close())
  await test.query(`insert into licence values (1, 'n', 'a')`)
  t.same(sortRows((await capture.take(one, 10, new Set())).keys), [['1', 'a']])
  t.same(sortRows((await capture.take(other, 10, new Set())).keys), [['a']])
})
