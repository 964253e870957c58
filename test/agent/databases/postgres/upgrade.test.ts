/** What older agents wrote down in a database is taken over: positions, quarantined keys, the state of a snapshot. */
import t from 'tap'
import { at, licence, openDatabase, sinkOf, sourceOf } from '../conformance/fixture.ts'
import { findPostgres } from '../../../support/postgres.ts'
import { freshDatabase, postgres } from './dialect.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const fresh = () => freshDatabase(server)

t.test('a receiver', async (t) => {
  const { database, test } = await openDatabase(t, postgres, fresh)
  const sink = sinkOf(licence)
  const first = await database.openDelivery([sink])
  await first.open(sink)
  const columns = [
    ['a', 'b'],
    ['n', 'x'],
    ['1.00', 'no number'],
  ]
  await first.apply(sink, 'live', first.prepare(sink, { from: null, to: at(1), rows: 2, columns }))
  await first.close()
  for (const statement of [
    'alter table qianzhi.route_position rename column began_epoch to snapshot_epoch',
    'alter table qianzhi.route_position rename column began_seq to snapshot_seq',
    'alter table qianzhi.route_position rename column items to columns',
    'alter table qianzhi.route_position rename column key_items to keys',
    'alter table qianzhi.route_position drop column removed, drop column at',
    'alter table qianzhi.quarantine drop constraint quarantine_pkey, add column epoch integer, add column seq bigint',
    'update qianzhi.quarantine set epoch = position / 4294967296, seq = position % 4294967296',
    'alter table qianzhi.quarantine drop column key_hash, drop column position',
    'alter table qianzhi.quarantine rename column key_text to key',
    'alter table qianzhi.quarantine alter column epoch set not null, alter column seq set not null, add primary key (route, part, key)',
  ]) {
    await test.query(statement)
  }
  const later = await database.openDelivery([sink])
  t.teardown(() => later.close())
  t.match((await later.open(sink)).live, { position: at(1), quarantine: 1, items: ['id', 'name', 'amount'] })
  t.match(await database.quarantine(undefined, 10), [{ end: 'sink', key: ['b'], item: 'amount' }])
  const newer = { from: at(1), to: at(2), rows: 1, columns: [['b'], ['x'], ['2.00']] }
  t.match(await later.apply(sink, 'live', later.prepare(sink, newer)), { written: 1, quarantine: 0 }, 'the key is found by its hash')
})

t.test('a provider, when it is set up again', async (t) => {
  const { database, test } = await openDatabase(t, postgres, fresh)
  const source = sourceOf(licence)
  await database.run(await database.supplyTable(source))
  for (const statement of [
    'create schema qianzhi',
    `create table qianzhi.stream (
      resource text primary key, epoch integer, seq bigint, hash text,
      snapshot_needed boolean not null default true, snapshot_epoch integer, snapshot_seq bigint, snapshot_after text,
      coverage text not null default '')`,
    `create table qianzhi.source_quarantine (
      resource text, key text collate "C", code text not null, item text, reason text, at timestamptz not null default now(),
      primary key (resource, key))`,
    `insert into qianzhi.stream values ('${source.resource}', 1, 1, '${at(1).hash}', false, 1, 1, '["k"]', 'x'),
      ('other', 1, 1, '${at(1).hash}', false, 1, 1, '["k"]', 'x'), ('quiet', 1, 1, '${at(1).hash}', false, null, null, null, 'x')`,
    `insert into qianzhi.source_quarantine values ('other', '["q"]', 'QZ-ROW-VALUE', 'name', 'why')`,
  ]) {
    await test.query(statement)
  }
  await database.run(await database.setupScript(source))
  const capture = await database.openCapture([source])
  t.teardown(() => capture.close())
  t.match(await capture.state(source), { position: at(1), snapshot: 'needed' }, 'its triggers are new: a snapshot comes')
  const began = { epoch: 1, seq: 1 }
  t.same(await capture.state({ ...source, resource: 'other' }), {
    position: at(1),
    snapshot: { began, after: ['k'] },
    coverage: 'x',
    quarantine: 1,
  })
  t.match(await capture.state({ ...source, resource: 'quiet' }), { snapshot: null })
  t.match(await database.quarantine('other', 10), [{ end: 'source', key: ['q'], item: 'name', reason: 'why' }])
})
