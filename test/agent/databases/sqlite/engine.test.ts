/** The SQLite engine: the conformance suite, and what only a file does. */
import t from 'tap'
import { conformance } from '../conformance/suite.ts'
import { licence, Model, openDatabase, setUp, sortRows, sourceOf, tableRows, watch } from '../conformance/fixture.ts'
import { freshDatabase, sqlite } from './dialect.ts'

await t.test('conformance on SQLite', async (t) => conformance(t, sqlite, freshDatabase))

t.test('VACUUM, which moves tables within the file, is no change of the table', async (t) => {
  const { test, capture, source } = await watch(t, sqlite, freshDatabase)
  const before = await capture.triggerFingerprint(source)
  await test.query('create table big as with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) select * from n')
  await test.query('drop table big')
  await test.query('vacuum')
  t.equal(await capture.triggerFingerprint(source), before)
})

t.test('a value that is stored as another type than its column is a fault of its row', async (t) => {
  const { test, capture, source } = await watch(t, sqlite, freshDatabase)
  await test.query(
    `insert into licence values ('a', '甲', 'no number'), ('b', x'00ff', 1), ('c', '丙', 1.255), ('d', '丁', 1e20), ('e', 7, 2)`,
  )
  const { keys } = await capture.take(source, 10, new Set())
  const read = await capture.rowsByKeys(source, keys)
  t.same(read.rows, [['e', '7', '2.00']], 'a column of texts makes a text of a number')
  t.same(sortRows(read.faults.map(({ key, item }) => [key[0]!, item!])), [
    ['a', 'amount'],
    ['b', 'name'],
    ['c', 'amount'],
    ['d', 'amount'],
  ])
})

t.test('a table without rowids, and one whose key is the rowid, are captured', async (t) => {
  for (const made of [
    'create table licence (id varchar(20) not null primary key, name varchar(100), amount decimal(12,2)) without rowid',
    'create table licence (id integer primary key, name varchar(100), amount decimal(12,2))',
  ]) {
    const opened = await openDatabase(t, sqlite, freshDatabase)
    await opened.test.query(made)
    const id = made.includes('integer') ? { ...licence.items[0]!, type: 'integer' as const, length: undefined } : licence.items[0]!
    const schema = JSON.parse(JSON.stringify({ ...licence, items: [id, ...licence.items.slice(1)] })) as typeof licence
    const { test, capture, source } = await setUp(t, opened, sourceOf(schema))
    const model = new Model()
    await test.query(`insert into licence values ('1', 'a', 1), ('2', 'b', 2), ('3', 'c', 3)`)
    await model.drain({ capture, source })
    await test.query(`update licence set id = '4' where id = '2'`)
    await test.query(`insert or replace into licence values ('1', 'again', 9)`)
    await test.query(`delete from licence where id = '3'`)
    await model.drain({ capture, source })
    t.same(model.sorted(), await tableRows(capture, source))
    t.equal(model.rows.size, 2)
  }
})
