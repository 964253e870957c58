/** A delivered table that somebody alters while it is filled: found before a row is harmed, never blamed on the rows. */
import type { Test } from 'tap'
import type { Row } from '../../../../agent/database.ts'
import type { ChainPosition } from '../../../../protocol/position.ts'
import { until } from '../../../support/programs.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { applyChange, at, delivered, licence, openSinks, sinkOf, type Filling } from './fixture.ts'

export function alteredConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const sink = sinkOf(licence)

  async function filled(t: Test): Promise<Filling> {
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    await filling.delivery.open(sink)
    await apply(filling, null, at(1), [['a', '甲', '1.25']])
    return filling
  }

  function apply({ delivery }: Filling, from: ChainPosition | null, to: ChainPosition, rows: Row[]) {
    const columns = licence.items.map((_, i) => rows.map((row) => row[i]!))
    return applyChange(delivery, sink, { from, to, rows: rows.length, columns })
  }

  /** The table is refused, nothing is written, nothing is blamed on the rows; few and many rows go different ways. */
  async function refuses(t: Test, filling: Filling, what: string): Promise<void> {
    for (const count of [1, 300]) {
      const rows = Array.from({ length: count }, (_, i) => [`k${i}`, '乙', '2.75'])
      await t.rejects(apply(filling, at(1), at(2), rows), { code: 'QZ-SINK-TABLE' }, `${what}, ${count} rows`)
    }
    t.same(await filling.database.quarantine(undefined, 10), [], `${what}: no row is set aside`)
    t.equal(Number((await filling.test.query('select count(*) from delivered'))[0]![0]), 1, `${what}: no row is written`)
  }

  t.test('a delivered column is dropped, and comes back', async (t) => {
    const filling = await filled(t)
    await filling.test.query('alter table delivered drop column amount')
    await refuses(t, filling, 'dropped')
    await t.rejects(filling.delivery.open(sink), { code: 'QZ-SINK-TABLE' })
    await filling.test.query('alter table delivered add column amount decimal(12,2)')
    const { live } = await filling.delivery.open(sink)
    t.same(live.position, at(1))
    t.match(await apply(filling, at(1), at(2), [['b', '乙', '2.75']]), { written: 1 })
  })

  t.test('a delivered column is exchanged between two batches for one that would clip its values', async (t) => {
    const filling = await filled(t)
    await filling.test.query('alter table delivered drop column amount')
    await filling.test.query('alter table delivered add column amount decimal(12,0)')
    await refuses(t, filling, 'exchanged')
  })

  t.test('a delivered column is exchanged for an equal one: what it held is gone', async (t) => {
    const filling = await filled(t)
    await filling.test.query('alter table delivered drop column name')
    await filling.test.query('alter table delivered add column name varchar(100)')
    await refuses(t, filling, 'exchanged')
  })

  t.test('what the receiver adds does not stop anything', async (t) => {
    const filling = await filled(t)
    await filling.test.query('alter table delivered add column note varchar(20)')
    await filling.test.query('create index own on delivered (name)')
    t.match(await apply(filling, at(1), at(2), [['b', '乙', '2.75']]), { written: 1 })
    t.same(await delivered(filling, licence), [
      ['a', '甲', '1.25'],
      ['b', '乙', '2.75'],
    ])
  })

  if (engine.dropKey) {
    t.test('its key is dropped: rows would come twice', async (t) => {
      const filling = await filled(t)
      await filling.test.query(engine.dropKey!('delivered'))
      await refuses(t, filling, 'without key')
    })

    t.test('another table takes its name', async (t) => {
      const filling = await filled(t)
      await filling.test.query('alter table delivered rename to away')
      await filling.test.query('create table delivered as select * from away')
      await refuses(t, filling, 'another table')
    })

    t.test('deadlocks with another session pass', async (t) => {
      const filling = await filled(t)
      const rows = (name: string) => ['k1', 'k2'].map((id) => [id, name, null])
      await apply(filling, at(1), at(2), rows('before'))
      const other = await filling.test.connect()
      t.teardown(() => other.close())
      await other.query('begin')
      await other.query(`update delivered set name = 'other' where id = 'k2'`)
      const applying = apply(filling, at(2), at(3), rows('after')).then(
        () => undefined,
        (error: unknown) => error,
      )
      await until('the batch holds the first row', async () => {
        return (await filling.test.query(`select id from delivered where id = 'k1' for update skip locked`)).length === 0
      })
      await other.query(`update delivered set name = 'other' where id = 'k1'`).catch(() => undefined)
      await other.query('commit').catch(() => other.query('rollback'))
      const error = await applying
      if (error) {
        t.match(error, { code: 'QZ-DB-UNREACHABLE' }, 'to be tried again')
        await apply(filling, at(2), at(3), rows('after'))
      }
      t.same((await filling.test.query(`select distinct name from delivered where id like 'k%'`)).flat(), ['after'])
      t.same(await filling.database.quarantine(undefined, 10), [])
    })
  }
}
