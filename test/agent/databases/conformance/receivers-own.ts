/** What is not ours stays: whatever a receiver keeps in, on and around a delivered table survives all that delivery does with it. */
import type { Test } from 'tap'
import type { Applied, Change, Delivery, Part, Row, SinkTable } from '../../../../agent/database.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { at, licence, openSinks, schemaOf, sinkOf } from './fixture.ts'

type Sketch = Pick<Change, 'from' | 'to'> & Partial<Change> & { of: Row[] }

export function ownConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  const wider = schemaOf([...licence.items, { id: 'extra', type: 'text', length: 9 }], 2)
  const all = sinkOf(licence)
  const changes: Record<string, SinkTable> = {
    'a restart': all,
    'a version with a further item': sinkOf(wider),
    'a grant of fewer items': { ...all, columns: all.columns.slice(0, 2) },
  }
  for (const [what, next] of Object.entries(changes)) {
    t.test(`${what} leaves the receiver's rows, columns, values, triggers, indexes and references as they are`, async (t) => {
      const { test, delivery } = await openSinks(t, engine, freshDatabase, [all])
      await test.query(
        `create table delivered (id varchar(20) not null primary key, name varchar(100), amount decimal(12,2), remark varchar(20))`,
      )
      await test.query(`insert into delivered values ('local', 'ours', 7, 'r')`)
      await test.query('create index by_remark on delivered (remark)')
      await delivery.open(all)
      const of: Row[] = ['a', 'b', 'c'].map((id) => [id, 'old', '1.00'])
      await apply(delivery, all, { from: null, to: at(1), of })
      await test.query(`update delivered set remark = id where id <> 'local'`)
      await engine.referTo(test, 'refers', 'a')
      for (const statement of engine.refusingTrigger('delivered')) await test.query(statement)

      await delivery.open(next)
      await delivery.beginShadow(next)
      const fill = ['a', 'b', 'd'].map((id): Row => [id, 'new', '2.00', 'x'].slice(0, next.columns.length))
      await apply(delivery, next, { from: null, to: at(1, 2), of: fill, snapshot: { began: at(1, 2), last: true } }, 'shadow')
      await delivery.swap(next)
      t.same(await test.query('select id, name, remark, qz_source from delivered order by id'), [
        ['a', 'new', 'a', 'scjg'],
        ['b', 'new', 'b', 'scjg'],
        ['d', 'new', null, 'scjg'],
        ['local', 'ours', 'r', null],
      ])
      const refused: Row = ['e', 'refused', '1.00', 'x'].slice(0, next.columns.length)
      t.match(await apply(delivery, next, { from: at(1, 2), to: at(2, 2), of: [refused] }), { quarantined: 1 }, 'the trigger')
      await t.rejects(test.query('create index by_remark on delivered (remark)'), 'the index')
      t.match(
        await apply(delivery, next, { from: at(2, 2), to: at(3, 2), of: [fill[0]!], ops: ['d'] }),
        { quarantined: 1 },
        'the reference',
      )

      await test.query('drop table refers')
      while (!(await delivery.remove(next.route))!.done);
      t.same(await test.query('select id, name, remark from delivered'), [['local', 'ours', 'r']])
    })
  }
}

/** Applies rows given as rows. */
async function apply(delivery: Delivery, sink: SinkTable, { of, ...sketch }: Sketch, part: Part = 'live'): Promise<Applied> {
  const columns = sink.columns.map((_, i) => of.map((row) => row[i]!))
  return delivery.apply(sink, part, delivery.prepare(sink, { rows: of.length, columns, ...sketch }))
}
