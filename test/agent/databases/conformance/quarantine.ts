/** Quarantines at both ends: what is listed, and what trying again does and does not do. */
import { inLanguage } from '../../../../protocol/localized.ts'
import { refusalText } from '../../../../agent/operator/refusal-texts.ts'
import type { Test } from 'tap'
import type { Delivery, QuarantinedKey, Row, SinkTable } from '../../../../agent/database.ts'
import type { ChainPosition } from '../../../../protocol/position.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { applyChange, at, delivered, licence, openDatabase, openSinks, sinkOf, watch, type Filling } from './fixture.ts'

export function quarantineConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  t.test('a database that knows nothing of Qianzhi has no quarantine', async (t) => {
    const { database } = await openDatabase(t, engine, freshDatabase)
    t.same(await database.quarantine(undefined, 10), [])
  })

  t.test('keys that cannot be sent are listed, and queued again', async (t) => {
    const { database, capture, source, test } = await watch(t, engine, freshDatabase)
    const fault = { key: ['k1'], code: 'QZ-ROW-VALUE', item: 'name', reason: { zh: '坏', en: 'bad' } } as const
    const long = { zh: '长"'.repeat(500), en: 'long"'.repeat(300) }
    await capture.record(source, {
      from: at(1),
      to: at(2),
      entries: [],
      faults: [fault, { key: ['k2'], code: 'QZ-ROW-VALUE', reason: long }],
      sent: [],
    })
    const listed = await database.quarantine(source.resource, 10)
    t.match(bare(listed), [
      {
        end: 'source',
        resource: source.resource,
        key: ['k1'],
        code: 'QZ-ROW-VALUE',
        item: 'name',
        reason: { zh: '坏', en: 'bad' },
        kept: false,
      },
      { end: 'source', key: ['k2'], code: 'QZ-ROW-VALUE', reason: { zh: /^长"长/, en: /^long"long/ } },
    ])
    t.ok(Math.abs(listed[0]!.since.getTime() - Date.now()) < 60_000, 'since when')
    t.same(await database.quarantine('other', 10), [])
    t.equal((await database.quarantine(undefined, 1)).length, 1, 'no more than asked for')
    await test.query(`insert into licence (id, name) values ('k1', 'n')`)
    await capture.requeue(source, [['k1'], ['k2']], at(2))
    const take = await capture.take(source, 100, new Set())
    t.same(new Set(take.keys.flat()), new Set(['k1', 'k2']))
    t.same((await capture.state(source)).position, at(2), 'the position stays')
    const again = [{ ...fault, item: 'money' }, { key: ['k3'], code: 'QZ-ROW-VALUE' } as const]
    await capture.record(source, { from: at(2), to: at(3), entries: take.entries, faults: again, sent: [] })
    const later = await database.quarantine(source.resource, 10)
    t.same(
      later.slice(0, 2).map(({ since }) => since),
      listed.map(({ since }) => since),
      'tried again, it has stood there since the first time',
    )
    t.match(bare(later), [{ item: 'money' }, { key: ['k2'] }, { key: ['k3'] }])
  })

  t.test('refused rows are applied when what refused them is gone, at their own position', async (t) => {
    const { sink, filling } = await refusing(t)
    const { database, delivery, test } = filling
    await apply(delivery, sink, at(1), at(2), [
      ['a', 'refused', '1.00'],
      ['b', 'n', '1.00'],
    ])
    await apply(delivery, sink, at(2), at(3), [['c', 'refused', '2.00']])
    t.match(bare(await database.quarantine('route-1', 10)), [
      { end: 'sink', route: 'route-1', resource: sink.resource, key: ['a'], code: 'QZ-ROW-REFUSED', kept: true },
      { key: ['c'], kept: true },
    ])
    t.equal((await database.quarantine(sink.resource, 10)).length, 2, 'by its resource too')

    t.same(await delivery.replay(sink, 'live'), { tried: 2, applied: 0, quarantine: 2 }, 'still refused')
    const { reason } = (await database.quarantine('route-1', 10))[0]!
    t.match(reason, /wanted/i)
    // On SQLite a trigger says it, by its own text alone.
    if (reason !== 'wanted') t.match(refusalText(inLanguage(reason!, 'en'))?.text, /wanted/i, 'and so it may be told')
    await uncheck(filling, 'wanted')
    t.same(await delivery.replay(sink, 'live'), { tried: 2, applied: 2, quarantine: 0 })
    t.same(await delivered(filling, licence), [
      ['a', 'refused', '1.00'],
      ['b', 'n', '1.00'],
      ['c', 'refused', '2.00'],
    ])
    const positions = await test.query('select qz_position from delivered order by id')
    t.equal(positions[0]![0], positions[1]![0], 'the position of the batch that brought it')
    t.not(positions[2]![0], positions[1]![0])
    t.same((await delivery.open(sink)).live.position, at(3), 'the route stays where it is')
  })

  t.test('a row that something newer has touched is never brought back', async (t) => {
    const { sink, filling } = await refusing(t)
    const { delivery } = filling
    await apply(delivery, sink, at(1), at(2), [
      ['a', 'refused', '1.00'],
      ['b', 'refused', '1.00'],
    ])
    await delivery.apply(
      sink,
      'live',
      delivery.prepare(
        sink,
        change(
          at(2),
          at(3),
          [
            ['a', 'newer', '2.00'],
            ['b', null, null],
          ],
          ['u', 'd'],
        ),
      ),
    )
    await uncheck(filling, 'wanted')
    t.same(await delivery.replay(sink, 'live'), { tried: 0, applied: 0, quarantine: 0 })
    t.same(await delivered(filling, licence), [['a', 'newer', '2.00']])
  })

  t.test('of rows that can be tried some may be refused again; what the provider could not send is not tried', async (t) => {
    const { sink, filling } = await refusing(t)
    const { delivery, database } = filling
    await apply(delivery, sink, at(1), at(2), [
      ['a', 'refused', '1.00'],
      ['b', 'refused', '-1.00'],
    ])
    await delivery.apply(sink, 'live', delivery.prepare(sink, change(at(2), at(3), [['c', null, null]], ['c:QZ-ROW-TOO-LARGE'])))
    await uncheck(filling, 'wanted')
    await check(filling, 'positive', 'amount', '> 0')
    t.same(await delivery.replay(sink, 'live'), { tried: 2, applied: 1, quarantine: 2 })
    t.same(await delivered(filling, licence), [['a', 'refused', '1.00']])
    const left = new Map((await database.quarantine(undefined, 10)).map((found) => [found.key[0], found]))
    t.match(left.get('b')!.reason, /positive/i, 'the new reason')
    t.match(left.get('c'), { code: 'QZ-ROW-TOO-LARGE', kept: false })
  })

  async function check({ test }: Filling, name: string, column: string, condition: string): Promise<void> {
    const plain = [`alter table delivered add constraint ${name} check (${column} ${condition})`]
    for (const statement of engine.addCheck?.('delivered', name, column, condition) ?? plain) await test.query(statement)
  }

  async function uncheck({ test }: Filling, name: string): Promise<void> {
    const plain = [`alter table delivered drop constraint ${name}`]
    for (const statement of engine.dropCheck?.('delivered', name) ?? plain) await test.query(statement)
  }

  async function refusing(t: Test) {
    const sink = sinkOf(licence)
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    await filling.delivery.open(sink)
    await check(filling, 'wanted', 'name', `<> 'refused'`)
    await apply(filling.delivery, sink, null, at(1), [['z', 'n', null]])
    await filling.test.query('delete from delivered')
    return { sink, filling }
  }
}

function change(from: ChainPosition | null, to: ChainPosition, rows: Row[], ops?: string[]) {
  const columns = licence.items.map((_, i) => rows.map((row) => row[i]!))
  return { from, to, rows: rows.length, columns, ...(ops && { ops: ops as ('u' | 'd' | `c:${string}`)[] }) }
}

function apply(delivery: Delivery, sink: SinkTable, from: ChainPosition | null, to: ChainPosition, rows: Row[]) {
  return applyChange(delivery, sink, change(from, to, rows))
}

function bare(keys: readonly QuarantinedKey[]): object[] {
  return keys.map(({ end, resource, route, key, code, item, reason, kept }) => ({ end, resource, route, key, code, item, reason, kept }))
}
