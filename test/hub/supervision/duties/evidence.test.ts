import t from 'tap'
import type { SourceReport } from '../../../../protocol/api.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { dayOf } from '../../../../hub/records/calendar.ts'
import { dutyEvidence } from '../../../../hub/supervision/duties/evidence.ts'
import { dutyStatus, listDuties } from '../../../../hub/supervision/duties/duties.ts'
import { recordSupply } from '../../../../hub/supervision/supply.ts'
import { storeUrl, enrolled, openOffice, publishedAt, refusal, villages } from '../../office.ts'
import { openBench, person, Provider } from '../../exchange/fixture.ts'

const flowing: SourceReport = {
  resource: 'villages',
  database: 'main',
  state: 'flowing',
  waiting: 0,
  position: null,
  rows: 0,
  quarantine: 0,
}
const fault = { code: 'QZ-DB-UNREACHABLE', zh: '数据库', en: 'database', since: '2026-11-22T03:00:00Z' }

async function openSource(test: Pick<typeof t, 'teardown'>) {
  const hub = await openOffice(test)
  hub.now = new Date('2026-11-22T04:00:00Z')
  const { query } = hub.store
  const { id } = await enrolled(hub, 'civil')
  await publishResource(hub, 'admin', { schema: villages() })
  await publishedAt(hub, 'villages', 'realtime', new Date('2026-06-01T00:00:00Z'))
  const report = async (source: Partial<SourceReport> | null, minutesAgo = 0) => {
    const sources = source === null ? [] : [{ ...flowing, ...source }]
    const seen = new Date(hub.now.getTime() - minutesAgo * 60_000)
    await query('update agent set report = $2, last_seen = $3 where id = $1', [
      id,
      JSON.stringify({ version: '1', session: 's', clockOffset: 0, sources, sinks: [] }),
      seen,
    ])
  }
  const evidence = (period = '2026-11') => dutyEvidence(query, 'villages', period, hub.now)
  const age = async () => (await dutyStatus(query, 'villages', hub.now)).age
  return { hub, query, id, report, evidence, age }
}

void t.test('nothing changed: capture intact, nothing waiting, no changed rows in the period', async (t) => {
  const { query, id, report, evidence } = await openSource(t)
  await report({})
  await query(`insert into supply_day (resource, day, batches, changed_rows, snapshot_rows) values
    ('villages', '2026-10-31', 1, 5, 0), ('villages', '2026-11-03', 2, 0, 700), ('villages', '2026-12-01', 1, 5, 0)`)
  t.match(await evidence(), {
    from: '2026-11-01',
    to: '2026-11-30',
    explainableFrom: new Date('2026-11-26T00:00:00+08:00'),
    capture: { agent: id, state: 'flowing', waiting: 0, fault: null, intact: true },
    changes: { batches: 2, changedRows: 0, snapshotRows: 700, lastChange: null },
    nothingChanged: true,
  })
  t.match(await evidence('2026-10'), { changes: { changedRows: 5 }, nothingChanged: false })
})

void t.test('what speaks against it', async (t) => {
  const { query, report, evidence } = await openSource(t)
  for (const [source, minutesAgo] of [
    [{}, 6],
    [{ state: 'held', fault }, 0],
    [{ state: 'loading' }, 0],
    [{ state: 'paused' }, 0],
    [null, 0],
  ] as const) {
    await report(source, minutesAgo)
    t.match(await evidence(), { capture: { intact: false }, nothingChanged: false }, JSON.stringify([source, minutesAgo]))
  }
  await report({ waiting: 3 })
  t.match(await evidence(), { capture: { intact: true, waiting: 3 }, nothingChanged: false })
  await query(`update agent set state = 'revoked'`)
  t.match(await evidence(), { capture: null, nothingChanged: false }, 'nobody captures')
  t.equal(await refusal(evidence('2026')), 'QZ-REQUEST-INVALID')
  t.equal(await refusal(dutyEvidence(query, 'none', '2026-11', new Date())), 'QZ-NOT-FOUND')
})

void t.test('a real-time resource is judged technically by the age of its data', async (t) => {
  const { report, age, query } = await openSource(t)
  await report({}, 1)
  t.same(await age(), { seconds: 60, stale: false })
  await report({}, 31)
  t.same(await age(), { seconds: 31 * 60, stale: true }, 'silent')
  await report({ waiting: 2, oldest: '2026-11-22T03:50:00Z' })
  t.same(await age(), { seconds: 600, stale: false })
  await report({ state: 'held', waiting: 2, oldest: '2026-11-22T03:20:00Z', fault })
  t.same(await age(), { seconds: 3600, stale: true })
  await report(null)
  t.same(await age(), { seconds: null, stale: true }, 'not reported on')
  await query(`update resource set cycle = 'daily'`)
  t.equal(await age(), null)
})

void t.test('batches that the hub accepts count by what is in them', async (t) => {
  const bench = await openBench(await storeUrl())
  t.teardown(() => bench.close())
  bench.time.now = new Date()
  const provider = new Provider(await bench.agent('provider', 'a'), await bench.resource('people', 'a'))
  const { exchange, store, log, time } = bench
  const today = dayOf(time.now)
  await publishedAt(bench, 'people', 'daily', new Date(time.now.getTime() - 40 * 86_400_000))
  await store.query(`insert into supply_day (resource, day, batches, snapshot_rows) values ('people', current_date - 30, 1, 1)`)
  const state = async () => {
    await recordSupply({ store, log })
    return (await listDuties(store.query, { resource: 'people', from: today, to: today }, time.now)).find(({ period }) => period === today)
      ?.state
  }
  t.equal(await state(), 'running')
  await provider.send(exchange, provider.snapshot([person(1)]))
  t.equal(await state(), 'running', 'a re-synchronisation does not count')
  await provider.send(exchange, provider.build([person(1)]))
  t.equal(await state(), 'updated')
})
