/**
 * The SQL Server engine: the conformance suite on the server at QIANZHI_TEST_SQLSERVER_URL (an account that may make databases). Both modes of
 * capture where the server knows Change Tracking, or the one that QIANZHI_TEST_SQLSERVER_CAPTURE names.
 */
import t from 'tap'
import type { CaptureMode } from '../../../../agent/database.ts'
import { conformance } from '../conformance/suite.ts'
import { at, licence, setUp, openDatabase, sourceOf, watch } from '../conformance/fixture.ts'
import { freshDatabase, sqlserver, tracks } from './dialect.ts'

const server = process.env['QIANZHI_TEST_SQLSERVER_URL']
const chosen = process.env['QIANZHI_TEST_SQLSERVER_CAPTURE'] as CaptureMode | undefined
const skip =
  !server && 'no SQL Server is named (QIANZHI_TEST_SQLSERVER_URL=sqlserver://user:password@host:1433/master?trustServerCertificate=true)'
const modes: CaptureMode[] = chosen ? [chosen] : server && (await tracks(server)) ? ['tracking', 'triggers'] : ['triggers']

for (const mode of modes) {
  await t.test(`conformance on SQL Server, capture by ${mode}`, { skip }, async (t) =>
    conformance(t, sqlserver(mode), () => freshDatabase(server!)),
  )
}

const onlyTracking = skip || (!modes.includes('tracking') && 'the server refuses Change Tracking')
await t.test('only Change Tracking', { skip: onlyTracking }, async (t) => {
  const engine = sqlserver('tracking')
  const fresh = () => freshDatabase(server!)

  t.test('TRUNCATE, and more changes than the queue may hold, leave a mark', async (t) => {
    const { test, capture, source } = await watch(t, engine, fresh, sourceOf(licence, { queueLimit: 1 }))
    const record = async (seq: number, entries: string[]) =>
      capture.record(source, { from: at(seq), to: at(seq + 1), entries, snapshot: null, faults: [], sent: [] })
    await test.query(`insert into licence values ('a', null, null)`)
    const first = await capture.take(source, 10, new Set())
    t.same(first.keys, [['a']])
    await record(1, first.entries)
    await test.query('truncate table licence')
    const truncated = await capture.take(source, 10, new Set())
    t.ok(truncated.marked)
    await record(2, truncated.entries)
    const rows = Array.from({ length: 1500 }, (_, i) => `('${i}', null, null)`)
    await test.query(`insert into licence values ${rows.join(',')}`)
    const full = await capture.take(source, 10, new Set())
    t.ok(full.marked)
    t.same(full.keys, [])
    await record(3, full.entries)
    await test.query(`insert into licence values ('after', null, null)`)
    t.same((await capture.take(source, 10, new Set())).keys, [['after']], 'and it goes on')
  })

  t.test('a table whose registered key is not its primary key is refused by name', async (t) => {
    const opened = await openDatabase(t, engine, fresh)
    await opened.test.query(
      'create table licence (n int not null primary key, id varchar(20) not null unique, name varchar(100), amount decimal(12,2))',
    )
    await t.rejects(setUp(t, opened, sourceOf(licence, { capture: 'tracking' })), { code: 'QZ-SOURCE-TABLE', message: /triggers/ })
  })
})

await t.test('only SQL Server', { skip }, async (t) => {
  const fresh = () => freshDatabase(server!)

  t.test('@@IDENTITY and the number of rows stay the application’s', async (t) => {
    const opened = await openDatabase(t, sqlserver('triggers'), fresh)
    const { test } = opened
    const items = licence.items.slice(0, 2).map((item, i) => (i === 0 ? { ...item, type: 'integer' as const, length: undefined } : item))
    const schema = JSON.parse(JSON.stringify({ ...licence, items })) as typeof licence
    await test.query('create table licence (id bigint identity(700, 1) not null primary key, name varchar(100))')
    await setUp(t, opened, sourceOf(schema))
    t.same(await test.query(`insert into licence (name) values ('a'), ('b'); select @@rowcount, @@identity, scope_identity()`), [
      ['2', '701', '701'],
    ])
    t.same(await test.query(`update licence set name = 'c'; select @@rowcount`), [['2']])
  })

  t.test(
    'a user with no right but on the table writes as before',
    { skip: onlyTracking && 'a server that is only compatible knows no EXECUTE AS' },
    async (t) => {
      const { test, capture, source } = await watch(t, sqlserver('triggers'), fresh)
      await test.query('create user clerk without login')
      await test.query('grant select, insert, update, delete on licence to clerk')
      await test.query(`execute as user = 'clerk'`)
      await test.query(`insert into licence values ('a', '甲', 1)`)
      await t.rejects(test.query('select * from qianzhi.stream'))
      await test.query('revert')
      t.same((await capture.take(source, 10, new Set())).keys, [['a']])
    },
  )
})
