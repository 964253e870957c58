/** A receiver's own table on PostgreSQL: what is refused when the sink opens, and what the server fills. */
import t from 'tap'
import { findPostgres } from '../../../support/postgres.ts'
import { at, openSinks, schemaOf, sinkOf } from '../conformance/fixture.ts'
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
