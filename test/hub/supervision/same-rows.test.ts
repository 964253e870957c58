/** What an update of nothing counts for: batches as agents send them, through the real log. */
import t from 'tap'
import { dutyEvidence } from '../../../hub/supervision/duties/evidence.ts'
import { listDuties } from '../../../hub/supervision/duties/duties.ts'
import { recordSupply } from '../../../hub/supervision/supply.ts'
import { storeUrl, publishedAt } from '../office.ts'
import { openBench, person, Provider } from '../exchange/fixture.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const deleted = (n: number) => ({ ...person(n), $op: 'd' })

/** Three people, loaded on the first of November; each later day's batches are recorded by one turn. */
async function openLine(test: Pick<typeof t, 'teardown'>, cycle: string, keep: 'store' | 'relay' = 'store') {
  const bench = await openBench(await storeUrl())
  test.teardown(() => bench.close())
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a', { keep }))
  const { exchange, store, log, time } = bench
  await publishedAt(bench, 'people', cycle, at('2026-10-20T10:00'))
  const day = async (text: string, ...batches: (Record<string, string | null>[] | 'snapshot')[]) => {
    time.now = at(`${text}T10:00`)
    for (const batch of batches) {
      await provider.send(exchange, batch === 'snapshot' ? provider.snapshot([1, 2, 3].map((n) => person(n))) : provider.build(batch))
    }
    await recordSupply({ store, log })
    const [found] = await store.query<{ changed: string; same: string }>(
      'select changed_rows as changed, same_rows as same from supply_day where day = $1',
      [text],
    )
    return `${found!.changed} changed, ${found!.same} the same`
  }
  await day('2026-11-01', 'snapshot')
  return { ...bench, provider, day }
}

void t.test('rows that stand as they stood are no update; the first one that differs is', async (t) => {
  const { day, store, time } = await openLine(t, 'daily')
  t.equal(await day('2026-11-02', [person(1)], [person(2), person(3)]), '3 changed, 3 the same', 'set x = x')
  t.equal(await day('2026-11-03', [deleted(1), person(1)]), '2 changed, 2 the same', 'deleted and inserted, read once')
  t.equal(
    await day('2026-11-04', [person(1)], [person(2, { name: 'other' })], [person(3)]),
    '3 changed, 1 the same',
    'then one that differs',
  )
  t.equal(await day('2026-11-05', [person(2)]), '1 changed, 0 the same', 'changed back')
  t.equal(await day('2026-11-06', [person(4)]), '1 changed, 0 the same', 'a new row')
  t.equal(await day('2026-11-07', [deleted(4)]), '1 changed, 0 the same', 'a row that goes')
  t.equal(await day('2026-11-08', [deleted(4)]), '1 changed, 1 the same', 'one that is gone')
  t.equal(await day('2026-11-09', [deleted(3)], [person(3)]), '2 changed, 0 the same', 'deleted and inserted, read twice')
  t.equal(await day('2026-11-10', [{ ...person(1), $op: 'c:QZ-ROW-VALUE' }]), '1 changed, 1 the same', 'a row that cannot be sent')
  time.now = at('2026-11-12T10:00')
  const states = (await listDuties(store.query, { resource: 'people', from: '2026-11-02', to: '2026-11-10' }, time.now)).toReversed()
  t.same(
    states.map(({ state }) => state),
    ['overdue', 'overdue', 'updated', 'updated', 'updated', 'updated', 'overdue', 'updated', 'overdue'],
  )
  t.match(await dutyEvidence(store.query, 'people', '2026-11-03', time.now), { changes: { changedRows: 2, sameRows: 2, lastChange: null } })
})

void t.test('what the hub cannot tell counts as changed', async (t) => {
  const { day } = await openLine(t, 'daily')
  t.equal(await day('2026-11-02', 'snapshot', [person(1)]), '1 changed, 0 the same', 'a snapshot of the same day may have brought it first')
  t.equal(await day('2026-11-03', [person(1)]), '1 changed, 1 the same')
  const beginning = await openLine(t, 'daily')
  await beginning.day('2026-11-02', [person(1, { name: 'other' })])
  await beginning.store.query('delete from log_batch where last')
  t.equal(await beginning.day('2026-11-03', [person(1, { name: 'other' })]), '1 changed, 0 the same', 'a log without a whole state')
})

void t.test('only what a duty may hang on is looked at', async (t) => {
  const monthly = await openLine(t, 'monthly')
  t.equal(await monthly.day('2026-12-02', [person(1)]), '1 changed, 1 the same')
  t.equal(await monthly.day('2026-12-03', [person(1, { name: 'other' })]), '1 changed, 0 the same')
  t.equal(await monthly.day('2026-12-04', [person(1, { name: 'other' })]), '1 changed, 0 the same', 'December has its update')
  const quarterly = await openLine(t, 'quarterly')
  t.equal(await quarterly.day('2026-12-20', [person(1)]), '1 changed, 0 the same', 'outside the first ten days')
  t.equal(await quarterly.day('2027-01-05', [person(1)]), '1 changed, 1 the same')
})
