/** A receiver's own table on PostgreSQL: what is refused when the sink opens, and what the server fills. */
import t from 'tap'
import type { CopyBatch } from '../../../../agent/databases/postgres/batch.ts'
import { findPostgres } from '../../../support/postgres.ts'
import { apply, at, batchOf, licence, openSinks, schemaOf, sinkOf } from '../conformance/fixture.ts'
import { until } from '../../../support/programs.ts'
import { freshDatabase, postgres } from './dialect.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const fresh = () => freshDatabase(server)

t.test('keys and columns by which no row can be written are refused with what mends them', async (t) => {
  const { test, delivery } = await openSinks(t, postgres, fresh, [])
  const of = (type: 'integer' | 'text') =>
    sinkOf(
      schemaOf([
        { id: 'id', type, length: 20, key: true, required: true },
        { id: 'name', type: 'text', length: 20 },
      ]),
    )
  await test.query(`create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
  for (const [columns, message, sink] of [
    ['id bigint primary key deferrable, name varchar(20)', /create unique index on/, of('integer')],
    [`id bigint primary key, name varchar(20) generated always as ('x') stored`, /filled by the database/, of('integer')],
    ['id varchar(20) collate loose primary key, name varchar(20)', /alter table .* collate "C"/, of('text')],
  ] as const) {
    await test.query(`create table delivered (${columns})`)
    await t.rejects(delivery.open(sink), { code: 'QZ-SINK-TABLE', message }, columns)
    await test.query('drop table delivered')
  }
})

t.test('a key that the server would number itself takes the values that come', async (t) => {
  const sink = sinkOf(
    schemaOf([
      { id: 'id', type: 'integer', key: true, required: true },
      { id: 'name', type: 'text', length: 20 },
    ]),
  )
  const { test, delivery } = await openSinks(t, postgres, fresh, [sink])
  await test.query('create table delivered (id bigint generated always as identity primary key, name varchar(20))')
  await delivery.open(sink)
  for (const [i, values] of [['7'], Array.from({ length: 100 }, (_, n) => String(n))].entries()) {
    const change = { from: i === 0 ? null : at(i), to: at(i + 1), rows: values.length, columns: [values, values] }
    t.match(await delivery.apply(sink, 'live', delivery.prepare(sink, change)), { written: values.length, quarantined: 0 })
  }
  t.same(await test.query('select count(*) from delivered'), [['100']])
})

const many = (name: string) => Array.from({ length: 100 }, (_, i) => [`k${i}`, name, '1.00'])
const child = `create table child (id varchar(20) references delivered (id) on delete cascade); insert into child values ('k1')`

t.test('rows of a plain table are taken out and put in again; of one that others refer to they never are', async (t) => {
  const sink = sinkOf(licence)
  const { test, delivery } = await openSinks(t, postgres, fresh, [sink])
  await delivery.open(sink)
  const isTakenOut = () => {
    const change = { from: null, to: at(9), rows: 100, columns: licence.items.map((_, i) => many('x').map((row) => row[i]!)) }
    return (delivery.prepareBlocks!(sink, 'live', { batch: batchOf(sink, change), change }) as CopyBatch).whole !== undefined
  }
  await apply(delivery, sink, { from: null, to: at(1), of: many('a') })
  await apply(delivery, sink, { from: at(1), to: at(2), of: many('b') })
  t.ok(isTakenOut())
  await test.query(child)
  await apply(delivery, sink, { from: at(2), to: at(3), of: many('c') })
  t.same(await test.query('select id from child'), [['k1']])
  t.same(await test.query(`select count(*) from delivered where name = 'c'`), [['100']])
  t.notOk(isTakenOut())
})

t.test('nor where somebody comes to refer to it between the look at the table and the statement', async (t) => {
  const sink = sinkOf(licence)
  const { test, delivery } = await openSinks(t, postgres, fresh, [sink])
  await delivery.open(sink)
  await apply(delivery, sink, { from: null, to: at(1), of: many('a') })
  const other = await test.connect()
  await other.query('begin; lock table delivered in exclusive mode')
  const applying = apply(delivery, sink, { from: at(1), to: at(2), of: many('b') })
  await until('the batch waits for the table', async () => {
    const [row] = await test.query(`select count(*) from pg_locks where relation = 'delivered'::regclass and not granted`)
    return row![0] === '1'
  })
  await other.query(`${child}; commit`)
  t.match(await applying, { written: 100, quarantined: 0 })
  t.same(await test.query('select id from child'), [['k1']])
  t.same(await test.query(`select count(*) from delivered where name = 'b'`), [['100']])
  await other.close()
})
