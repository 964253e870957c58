/** The Oracle engine against the conformance suite, where a server can be had, and what only Oracle does. */
import t, { type Test } from 'tap'
import { openOracle } from '../../../../agent/databases/oracle/engine.ts'
import { conformance } from '../conformance/suite.ts'
import { at, delivered, licence, openDatabase, openSinks, schemaOf, setUp, sinkOf, sourceOf, watch } from '../conformance/fixture.ts'
import { inOracle, oracle, OracleServer } from './dialect.ts'

/** `oracle://user:password@host:1521/service` of an account that may create and drop users and end sessions (SYSTEM of a pluggable database). */
const url = process.env['QIANZHI_TEST_ORACLE_URL']
const skip = !url && 'no Oracle server: set QIANZHI_TEST_ORACLE_URL to the URL of a privileged account (docs/databases-oracle.md)'

const server = url ? await OracleServer.connect(url) : undefined
t.teardown(() => server?.close())

await t.test('conformance on Oracle', { skip }, async (t) => {
  conformance(t, oracle(server!), () => server!.freshDatabase())
})

await t.test('only Oracle', { skip }, async (t) => onlyOracle(t, server!))

function onlyOracle(t: Test, server: OracleServer): void {
  const engine = oracle(server)
  const fresh = () => server.freshDatabase()

  t.test('an empty key is set aside, an empty text is null, an empty binary value is none', async (t) => {
    const schema = schemaOf([
      { id: 'k', type: 'text', length: 30, key: true },
      { id: 'v', type: 'text', length: 20 },
      { id: 'long', type: 'text' },
      { id: 'scan', type: 'binary' },
    ])
    const sink = sinkOf(schema)
    const filling = await openSinks(t, engine, fresh, [sink])
    await filling.delivery.open(sink)
    const columns = [
      ['', 'a'],
      ['x', ''],
      ['', ''],
      ['', ''],
    ]
    const change = { from: null, to: at(1), rows: 2, columns }
    t.match(await filling.delivery.apply(sink, 'live', filling.delivery.prepare(sink, change)), { written: 1, quarantined: 1 })
    t.same(await delivered(filling, schema), [['a', null, null, '']])
  })

  t.test('a DATE is a day only at midnight; as a timestamp it has its time', async (t) => {
    const opened = await openDatabase(t, engine, fresh)
    await opened.test.query('create table licence (id number primary key, d date, m date)')
    await opened.test.query(`insert into licence values (1, date '2026-11-22', timestamp '2026-11-22 08:30:00')`)
    await opened.test.query(`insert into licence values (2.5, timestamp '2026-11-22 08:30:00', null)`)
    const schema = schemaOf([
      { id: 'id', type: 'decimal', precision: 10, scale: 2, key: true },
      { id: 'd', type: 'date' },
      { id: 'm', type: 'timestamp' },
    ])
    const { capture, source } = await setUp(t, opened, sourceOf(schema))
    const read = await capture.rowsAfter(source, null, 10)
    t.same(read.rows, [['1.00', '2026-11-22', '2026-11-22T08:30:00']])
    t.match(read.faults, [{ key: ['2.50'], code: 'QZ-ROW-VALUE', item: 'd' }])
    t.same(
      (await opened.database.describe('licence')).map(({ proposal }) => proposal?.type),
      ['text', 'timestamp', 'timestamp'],
    )
  })

  t.test('keys do not depend on the language of the application’s session', async (t) => {
    const schema = schemaOf([
      { id: 'at', type: 'timestamptz', key: true, required: true },
      { id: 'n', type: 'decimal', precision: 10, scale: 2, key: true, required: true },
      { id: 'id', type: 'text', length: 20, key: true, required: true },
    ])
    const { test, capture, source } = await watch(t, engine, fresh, sourceOf(schema))
    await test.query(`alter session set nls_numeric_characters = ',.' nls_comp = linguistic nls_sort = binary_ci`)
    await test.query(`insert into licence values (timestamp '2024-05-05 10:00:00.12 +05:30', 1.5, '许x')`)
    await test.query(`update licence set id = '许X'`)
    const take = await capture.take(source, 10, new Set())
    t.same(take.keys, [
      ['2024-05-05T04:30:00.12Z', '1.50', '许x'],
      ['2024-05-05T04:30:00.12Z', '1.50', '许X'],
    ])
    t.same((await capture.rowsByKeys(source, take.keys)).rows, [take.keys[1]])
  })

  t.test('a queue that somebody drops fails no statement of the application', async (t) => {
    const { test, capture, source } = await watch(t, engine, fresh)
    const [queue] = await test.query(`select table_name from user_tables where table_name like 'QZ\\_Q\\_%' escape '\\'`)
    await test.query(`drop table "${queue![0]}" purge`)
    await test.query(`insert into licence values ('a', null, null)`)
    t.same(await test.query('select count(*) from licence'), [['1']])
    await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
    t.same(await capture.waiting(), new Set())
  })

  t.test('TRUNCATE changes the coverage', async (t) => {
    const { test, capture, source } = await watch(t, engine, fresh)
    await test.query(`insert into licence values ('a', null, null)`)
    const before = await capture.triggerFingerprint(source)
    await test.query('truncate table licence')
    t.not(await capture.triggerFingerprint(source), before)
  })

  t.test('views, queries and parts of tables are read with SELECT alone, by watermark too', async (t) => {
    const { test, database } = await openDatabase(t, engine, fresh)
    await test.query('create table plain (id number(9), name varchar2(20), changed timestamp(6), agency varchar2(9))')
    await test.query(
      `insert into plain values (1, 'a', timestamp '2026-01-01 00:00:00', 'x'), (2, 'b', timestamp '2026-01-02 00:00:00', 'x'), (3, 'c', timestamp '2026-01-02 00:00:00', 'y')`,
    )
    await test.query('create view seen as select * from plain')
    const schema = schemaOf([
      { id: 'id', type: 'integer', key: true, required: true },
      { id: 'name', type: 'text', length: 20 },
    ])
    const reading = await database.openReading()
    t.teardown(() => reading.close())
    const changed = {
      item: { id: 'c', name: 'c', label: 'c', openness: 'internal' as const, type: 'timestamp' as const },
      column: 'changed',
    }
    for (const part of [{ table: 'seen' }, { table: 'query', query: 'select id, name, changed, agency from plain' }]) {
      const source = sourceOf(schema, { ...part, capture: 'watermark', rowFilter: [{ column: 'agency', value: 'x' }] })
      await reading.checkTable(source)
      t.equal(await reading.count(source), 2)
      t.same((await reading.rowsAfter(source, ['1'], 10)).rows, [['2', 'b']])
      t.same(await reading.keysSince(source, changed, '2026-01-02T00:00:00', null, 10), [{ value: '2026-01-02T00:00:00', key: ['2'] }])
    }
    await t.rejects(reading.checkTable(sourceOf(schema, { table: 'plain', capture: 'tracking' })), { code: 'QZ-SOURCE-TABLE' })
  })

  t.test('the running agent needs no right on the table but SELECT, and nothing of ours lies elsewhere', async (t) => {
    const owner = await openDatabase(t, engine, fresh)
    const runtime = await openDatabase(t, engine, fresh)
    const [user, schema] = [runtime, owner].map(({ test }) => new URL(test.url).username) as [string, string]
    await owner.database.run(await owner.database.supplyTable(sourceOf(licence)))
    const source = sourceOf(licence, { table: `${schema.toLowerCase()}.licence` })
    const dba = await openOracle({ name: 'dba', url: url!, pace: 5 })
    await dba.run(await dba.setupScript(source, user))
    const capture = await runtime.database.openCapture([source])
    t.teardown(() => capture.close())
    await capture.mark(source, { coverage: await capture.triggerFingerprint(source) })
    await capture.record(source, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
    await owner.test.query(`insert into licence values ('a', null, null)`)
    t.same(await capture.waiting(), new Set([source.resource]))
    const { keys, entries } = await capture.take(source, 10, new Set())
    t.same((await capture.rowsByKeys(source, keys)).rows, [['a', null, null]])
    await capture.record(source, { from: at(1), to: at(2), entries, faults: [], sent: [] })
    t.ok(await capture.collapse(source))
    await dba.run(await dba.teardownScript(source))
    await t.rejects(capture.triggerFingerprint(source), { code: 'QZ-SOURCE-NOT-SET-UP' })
  })
}

t.test('the suite’s SQL in Oracle’s words', async (t) => {
  t.same(inOracle(`insert into licence values ('a''),(', null, 1.5), ('b', 'true', -2)`), [
    `insert into licence select 'a''),(', null, 1.5 from dual union all select 'b', 'true', -2 from dual`,
  ])
  t.same(inOracle(`insert into "许 可" values ('a', 'x')`), [`insert into "许 可" values ('a', 'x')`])
  t.same(inOracle(`insert into t (a, b) values (1, true), (2, false)`), [
    'insert into t (a, b) select 1, 1 from dual union all select 2, 0 from dual',
  ])
  t.same(inOracle('select id from delivered where qz_deleted order by id'), ['select id from delivered where qz_deleted = 1 order by id'])
  t.same(inOracle('alter table licence add column amount decimal(12,2) default 3'), [
    'alter table licence add amount decimal(12,2) default 3',
  ])
  t.same(inOracle(`select number, name from delivered where name = 'number'`), [
    `select "NUMBER", name from delivered where name = 'number'`,
  ])
  t.same(inOracle('drop table delivered'), ['drop table delivered purge'])
})
