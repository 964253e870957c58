/** What a receiver's own constraints refuse is set aside by key: one such row holds no other, no route, and no snapshot's end. */
import { inLanguage } from '../../../../protocol/localized.ts'
import type { Test } from 'tap'
import type { Applied, Change, Delivery, Removal, Row, SinkTable } from '../../../../agent/database.ts'
import type { Op } from '../../../../protocol/batch.ts'
import type { Dialect, TestDatabase } from './suite.ts'
import { refusalText } from '../../../../agent/operator/refusal-texts.ts'
import { applyChange, at, delivered, licence, openSinks, sinkOf, type Filling } from './fixture.ts'

export function refusalConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  for (const cause of ['a foreign key', 'a trigger'] as const) {
    t.test(`a delete that ${cause} of the receiver's own refuses is set aside, the rest goes, and it is tried again`, async (t) => {
      const { filling, sink } = await filled(t, ['a', 'b', 'c'])
      const release = await refuse(filling.test, cause, 'b')
      const applied = await apply(filling.delivery, sink, { from: at(1), to: at(2) }, [
        ['d', ['a', null, null]],
        ['d', ['b', null, null]],
        ['u', ['d', 'new', '4.00']],
      ])
      t.same(applied, { written: 1, deleted: 1, quarantined: 1, quarantine: 1 })
      t.same(await ids(filling), ['b', 'c', 'd'])
      const [listed] = await filling.database.quarantine('route-1', 10)
      t.match(listed, { end: 'sink', key: ['b'], code: 'QZ-ROW-REFUSED', kept: true })
      t.ok(listed!.reason, 'the server says why')
      t.equal(
        refusalText(inLanguage(listed!.reason!, 'en')) === undefined,
        cause === 'a trigger',
        "what a trigger's author wrote stays here",
      )
      t.same(await apply(filling.delivery, sink, { from: at(2), to: at(3) }, [['u', ['e', 'n', null]]]), {
        written: 1,
        deleted: 0,
        quarantined: 0,
        quarantine: 1,
      })
      t.same(await filling.delivery.replay(sink, 'live'), { tried: 1, applied: 0, quarantine: 1 }, 'still refused')
      await release()
      t.same(await filling.delivery.replay(sink, 'live'), { tried: 1, applied: 1, quarantine: 0 })
      t.same(await ids(filling), ['c', 'd', 'e'])
    })

    t.test(`at a snapshot's end rows that ${cause} keeps are set aside, all others that it did not bring go`, async (t) => {
      const old = Array.from({ length: 2500 }, (_, i) => `k${String(i).padStart(4, '0')}`)
      const { filling, sink } = await filled(t, old)
      const kept = ['k0000', 'k1000', 'k2499']
      const releases: (() => Promise<void>)[] = []
      for (const key of cause === 'a trigger' ? [kept.join()] : kept) releases.push(await refuse(filling.test, cause, key))
      const began = { epoch: 2, seq: 1 }
      const snapshot = { began, last: true }
      const applied = await apply(filling.delivery, sink, { from: at(1), to: at(1, 2), snapshot }, [['u', ['k0001', 'brought', null]]])
      t.match(applied, { written: 1, deleted: 2496, quarantined: 3, quarantine: 3 })
      t.same(await ids(filling), [...kept, 'k0001'].toSorted())
      t.same((await filling.database.quarantine('route-1', 10)).map(({ key }) => String(key[0])).toSorted(), kept)
      t.match((await filling.delivery.open(sink)).live, { position: at(1, 2), snapshot: null, complete: true })
      for (const release of releases) await release()
      t.same(await filling.delivery.replay(sink, 'live'), { tried: 3, applied: 3, quarantine: 0 })
      t.same(await ids(filling), ['k0001'])
    })
  }

  t.test('of a refused row it is told which item is to blame', async (t) => {
    const { filling, sink } = await filled(t, ['a'])
    t.match(await apply(filling.delivery, sink, { from: at(1), to: at(2) }, [['u', ['b', 'n', 'no number']]]), {
      written: 0,
      quarantine: 1,
    })
    t.match(await filling.database.quarantine('route-1', 10), [{ key: ['b'], code: 'QZ-ROW-REFUSED', item: 'amount', kept: false }])
  })

  t.test('a key that a newer provider could not send, for a reason that is not known here, is set aside too', async (t) => {
    const { filling, sink } = await filled(t, ['a'])
    const applied = await apply(filling.delivery, sink, { from: at(1), to: at(2) }, [['c:QZ-OF-A-LATER-VERSION', ['a', null, null]]])
    t.same(applied, { written: 0, deleted: 0, quarantined: 1, quarantine: 1 })
    t.match(await filling.database.quarantine('route-1', 10), [{ key: ['a'], code: 'QZ-ROW-VALUE', kept: false }])
  })

  t.test('a removal that is begun again counts its rows once', async (t) => {
    const { filling, sink } = await filled(
      t,
      Array.from({ length: 6000 }, (_, i) => `k${i}`),
    )
    t.match(await filling.delivery.remove(sink.route), { rows: 5000, done: false })
    await filling.delivery.settleRemovals([])
    let removal: Removal | null
    do removal = await filling.delivery.remove(sink.route)
    while (removal && !removal.done)
    t.same(removal, { rows: 1000, tables: ['delivered'], done: true })
  })

  async function filled(t: Test, keys: readonly string[]): Promise<{ filling: Filling; sink: SinkTable }> {
    const sink = sinkOf(licence)
    const filling = await openSinks(t, engine, freshDatabase, [sink])
    await filling.delivery.open(sink)
    const rows = keys.map((key): [Op, Row] => ['u', [key, 'n', null]])
    await apply(filling.delivery, sink, { from: null, to: at(1), snapshot: { began: at(1), last: true } }, rows)
    return { filling, sink }
  }

  /** Keeps rows of `delivered` from being deleted. Gives what ends that. */
  async function refuse(test: TestDatabase, cause: 'a foreign key' | 'a trigger', keys: string): Promise<() => Promise<void>> {
    if (cause === 'a foreign key') {
      const child = `child_${keys}`
      await engine.referTo(test, child, keys)
      return async () => void (await test.query(`drop table ${child}`))
    }
    const list = keys.split(',').map((key) => `'${key}'`)
    for (const statement of engine.keepingTrigger('delivered', list.join(', '))) await test.query(statement)
    return async () => void (await test.query(engine.dropKeepingTrigger ?? 'drop trigger keep'))
  }
}

function apply(
  delivery: Delivery,
  sink: SinkTable,
  places: Pick<Change, 'from' | 'to' | 'snapshot'>,
  rows: readonly [Op, Row][],
): Promise<Applied> {
  const columns = sink.columns.map((_, i) => rows.map(([, row]) => row[i]!))
  return applyChange(delivery, sink, { ...places, rows: rows.length, columns, ops: rows.map(([op]) => op) })
}

async function ids(filling: Filling): Promise<string[]> {
  return (await delivered(filling, licence)).map(([id]) => id!).toSorted()
}
