/** The hub's part in reconciliations: when they begin, what becomes of them, and what is kept, with agents whose tables are in memory. */
import { compactVerify, importJWK } from 'jose'
import pino from 'pino'
import t, { type Test } from 'tap'
import type { ReconcileQuestion } from '../../../protocol/reconciliation.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { checkHealth } from '../../../hub/status/health.ts'
import { ReconciliationRunner } from '../../../hub/reconciliation/runner.ts'
import { lastEqual } from '../../../hub/reconciliation/last-equal.ts'
import { keysOfRun, listRuns, readRun, type WholeRun } from '../../../hub/reconciliation/records.ts'
import { requestRun } from '../../../hub/reconciliation/requesting.ts'
import { reconciliationSettings, slotOf, type ReconciliationSettings } from '../../../hub/reconciliation/settings.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { addGrant, setGrantState } from '../../../hub/registry/grants/grants.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { until } from '../../support/programs.ts'
import { enrolled, openOffice, refusal, villages, type Office } from '../office.ts'
import { away, MemoryAgent, position } from './memory-agent.ts'

const rows = Array.from({ length: 600 }, (_, i) => [`4401${i}`, `村 ${i}`])
const admin = { actor: 'admin', agency: null, via: 'admin-key' } as const

interface Stage {
  office: Office
  route: string
  source: MemoryAgent
  target: MemoryAgent
  settings: ReconciliationSettings
  conduct: () => ReconciliationRunner
  /** A run that somebody asks for, when it has ended or was put off. */
  reconcile: (repair?: boolean) => Promise<WholeRun>
}

async function open(test: Test, file: Parameters<typeof reconciliationSettings>[0] = { every: 0 }, mostKeys?: number): Promise<Stage> {
  const office = await openOffice(test)
  await publishResource(office, 'admin', { schema: villages() })
  const [provider, receiver] = [await enrolled(office, 'civil'), await enrolled(office, 'water')]
  const grant = await addGrant(office, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const { id: route } = await addRoute(office, 'admin', grant.id, receiver.id)
  await office.store.query('update route set epoch = 3, seq = 9, hash = $1', [position.hash])
  const source = new MemoryAgent(provider.key, rows)
  const target = new MemoryAgent(receiver.key, rows)
  source.resend = (keys) => {
    for (const key of keys) {
      target.rows.set(key, source.rows.get(key)!)
    }
  }
  const settings = reconciliationSettings(file)
  const agents = new Map([
    [provider.id, source],
    [receiver.id, target],
  ])
  const asks = { ask: async (agent: string, question: unknown) => agents.get(agent)!.answer(question as ReconcileQuestion) as never }
  const parts = {
    ...office,
    asks,
    settings,
    logger: pino({ level: 'silent' }),
    clock: office.clock,
    again: 1_000,
    ...(mostKeys && { mostKeys }),
  }
  const conductors: ReconciliationRunner[] = []
  test.teardown(async () => void (await Promise.all(conductors.map((one) => one.stop()))))
  const conduct = () => {
    const conductor = new ReconciliationRunner(parts)
    conductors.push(conductor)
    return conductor
  }
  const reconcile = async (repair?: boolean) => ended(office, await requestRun({ ...office, settings }, admin, route, repair))
  return { office, route, source, target, settings, conduct, reconcile }
}

function ended(office: Office, id: string): Promise<WholeRun> {
  return until('the run has ended, or was put off', async () => {
    const run = await readRun(office.store.query, id)
    return run.state !== 'running' && (run.state !== 'waiting' || run.code !== null) && run
  })
}

t.test('equal tables: nothing is told but two sums, and both signatures verify with another library', async (t) => {
  const { office, route, source, target, conduct, reconcile } = await open(t)
  conduct()
  const run = await reconcile()
  t.match(run, { state: 'equal', statement: { differing: 0, source: { rows: 600 }, target: { rows: 600 }, items: ['code', 'name'] } })
  t.same(
    [source.asked, target.asked],
    [
      ['digest', 'sign'],
      ['narrowing', 'digest', 'sign'],
    ],
  )
  for (const [jws, x] of [
    [run.sourceSignature!, run.sourceKey!],
    [run.targetSignature!, run.targetKey!],
  ] as const) {
    const { payload, protectedHeader } = await compactVerify(jws, await importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA'))
    t.equal(protectedHeader['typ'], 'qz-reconciliation')
    t.same(JSON.parse(Buffer.from(payload).toString()), run.statement)
  }
  t.match(await lastEqual(office.store.query, 'villages'), { run: run.id, route, rows: { source: 600, target: 600 } })
  const acts = await office.store.query<{ act: string }>(`select act from audit_entry where act like '%reconcil%' order by id`)
  t.same(
    acts.map(({ act }) => act),
    ['route.reconcile', 'reconciliation.equal'],
  )
})

t.test('one lost, one extra, one changed row are found by key, and mended where that is wanted', async (t) => {
  const { office, target, source, conduct, reconcile } = await open(t)
  conduct()
  target.rows.delete('44015')
  target.rows.set('9', ['9', 'nobody’s'])
  target.rows.set('44017', ['44017', 'edited'])
  const found = await reconcile(false)
  t.match(found, { state: 'different', statement: { differing: 3, remaining: 3 } })
  t.same(
    (await keysOfRun(office.store.query, found.id)).map(({ key, difference, state }) => [key[0], difference, state]),
    [
      ['44015', 'missing', 'remaining'],
      ['44017', 'changed', 'remaining'],
      ['9', 'extra', 'remaining'],
    ],
  )
  t.notOk(source.asked.includes('repair'))
  const health = await checkHealth({ store: office.store, data: '/tmp', clock: office.clock, lapse: 7, mail: false, reconciled: 1 })
  t.match(
    health.problems.map(({ code }) => code),
    ['QZ-HEALTH-ROUTE-DIFFERENT'],
  )
  const mended = await reconcile(true)
  t.match(mended, { state: 'equal', statement: { differing: 3, repaired: 3, remaining: 0 } })
  t.same(target.rows, new Map([...target.rows.keys()].map((code) => [code, source.rows.get(code)])))
  t.equal(target.rows.size, rows.length)
})

t.test('a route that cannot be reconciled is an alarm, but for one into a one-way gap', async (t) => {
  const { office, target, conduct, reconcile } = await open(t)
  conduct()
  // By the test's clock: the store's own may be later.
  await office.store.query('update access_grant set created_at = $1', [office.clock()])
  const later = () => new Date(office.clock().getTime() + 5 * 86_400_000)
  const problems = async () => {
    const { problems } = await checkHealth({ store: office.store, data: '/tmp', clock: later, lapse: 7, mail: false, reconciled: 1 })
    return problems.map(({ code }) => code).filter((code) => code.startsWith('QZ-HEALTH-ROUTE-UN'))
  }
  for (const [code, told] of [
    ['QZ-ROUTE-ENDED', ['QZ-HEALTH-ROUTE-UNRECONCILED']],
    ['QZ-GAP-ONE-WAY', []],
  ] as const) {
    target.answer = async () => {
      throw new QianzhiError(code)
    }
    t.match(await reconcile(), { state: 'failed', code })
    t.same(await problems(), told)
  }
})

t.test('a quarantined key is said to be that; what is under way settles', async (t) => {
  const { target, source, conduct, reconcile, office } = await open(t)
  conduct()
  source.rows.set('44011', ['44011', 'new'])
  source.rows.set('44012', ['44012', 'refused there'])
  target.faults.set('44012', 'QZ-ROW-REFUSED')
  source.resend = () => {}
  source.on = (step) => {
    if (step.do === 'recheck') target.rows.set('44011', ['44011', 'new'])
  }
  const run = await reconcile(true)
  t.match(run, { state: 'equal', statement: { differing: 2, settled: 1, quarantined: 1, repaired: 0 } })
  t.match(await keysOfRun(office.store.query, run.id), [{ key: ['44012'], state: 'quarantined', side: 'target', code: 'QZ-ROW-REFUSED' }])
})

t.test(
  'thousands of differences are followed and mended a portion after the other, those in a quarantine left out of the total',
  async (t) => {
    const { target, source, conduct, reconcile, office } = await open(t)
    conduct()
    for (let i = 0; i < 2500; i++) target.rows.set(`x${i}`, [`x${i}`, 'extra'])
    for (let i = 0; i < 600; i++) target.rows.delete(`4401${i}`)
    for (let i = 0; i < 1200; i++) {
      source.rows.set(`q${i}`, [`q${i}`, 'refused there'])
      target.faults.set(`q${i}`, 'QZ-ROW-REFUSED')
    }
    source.resend = (keys) => {
      for (const key of keys) if (!key.startsWith('q')) target.rows.set(key, source.rows.get(key)!)
    }
    const run = await reconcile(true)
    t.match(run, { state: 'equal', statement: { differing: 4300, repaired: 3100, quarantined: 1200, more: false, target: { rows: 600 } } })
    t.equal(source.asked.filter((step) => step === 'repair').length, 5, 'a thousand keys at a time')
    t.match(await office.store.query(`select count(*) as keys from reconciliation_key where state = 'repaired'`), [{ keys: '3100' }])
  },
)

t.test('what one side’s database does not confirm is never equal, and named', async (t) => {
  const { source, conduct, reconcile, office } = await open(t)
  conduct()
  source.doubt = 'rows'
  t.match(await reconcile(), {
    state: 'different',
    statement: { differing: 0, remaining: 0, source: { doubt: 'rows' }, outcome: 'different' },
  })
  const notices = await office.store.query<{ en: string }>(`select en from notice where kind = 'reconciliation-different'`)
  t.match(notices[0]?.en, /source: the database counts other rows/)
})

t.test('values that the receiver’s mapping does not keep are compared as it leaves them', async (t) => {
  const { source, target, conduct, reconcile } = await open(t)
  conduct()
  source.rows.set('44011', ['44011', 'no code'])
  target.rows.set('44011', ['44011', null])
  target.narrowed = [{ item: 'name', values: rows.map(([, name]) => name!) }]
  t.match(await reconcile(), { state: 'equal', statement: { differing: 0, narrowed: ['name'] } })
  target.rows.set('44012', ['44012', null])
  t.match(await reconcile(false), { state: 'different', statement: { remaining: 1 } }, 'what has a code is no null')
})

t.test('more differences than can be followed: the table wants a snapshot', async (t) => {
  const { target, conduct, reconcile, office } = await open(t, undefined, 1000)
  conduct()
  for (let i = 0; i < 1100; i++) target.rows.set(`x${i}`, [`x${i}`, 'extra'])
  const run = await reconcile(false)
  t.match(run, { state: 'different', statement: { differing: 1100, remaining: 1100, more: true, outcome: 'different' } })
  await office.store.query(`insert into stream (resource, producer) select 'villages', min(id) from agent on conflict do nothing`)
  const wanted = () => office.store.query('select snapshot_wanted as wanted from stream')
  t.match(await wanted(), [{ wanted: false }], 'nobody asked for a repair')
  await reconcile(true)
  t.match(await wanted(), [{ wanted: true }], 'what cannot be mended key by key comes with a snapshot')
})

t.test('an agent that is away, outside its window or restarted: put off, and begun anew', async (t) => {
  const { source, target, conduct, reconcile, office } = await open(t)
  conduct()
  source.on = () => away('a')
  const run = await reconcile()
  t.match(run, { state: 'waiting', code: 'QZ-ASK-AWAY' })
  source.on = () => {}
  target.on = () => {
    throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason: 'window' })
  }
  office.now = new Date(office.now.getTime() + 2_000)
  t.match(await reconcile(), { id: run.id, state: 'waiting', code: 'QZ-RECONCILE-NOT-NOW' }, 'asked again, it is the same run')
  let lost = true
  target.on = (step) => {
    if (step.do === 'sign' && lost) {
      lost = false
      throw new QianzhiError('QZ-RECONCILE-LOST', { run: run.id })
    }
  }
  office.now = new Date(office.now.getTime() + 2_000)
  await requestRun({ ...office, settings: reconciliationSettings() }, admin, run.route)
  const state = async () => (await readRun(office.store.query, run.id)).code
  await until('it was lost', async () => (await state()) === 'QZ-RECONCILE-LOST')
  office.now = new Date(office.now.getTime() + 2_000)
  await requestRun({ ...office, settings: reconciliationSettings() }, admin, run.route)
  t.match(
    await until('it is equal', async () => {
      const last = await readRun(office.store.query, run.id)
      return last.state === 'equal' && last
    }),
    { code: null, statement: { outcome: 'equal' } },
  )
})

t.test('a hub that dies in the middle: another one begins the run anew; one that stops gives it back', async (t) => {
  const { source, conduct, office, route, settings } = await open(t)
  const held = Promise.withResolvers<void>()
  source.on = () => held.promise
  const first = conduct()
  const id = await requestRun({ ...office, settings }, admin, route)
  await until('it is under way', () => source.asked.length > 0)
  t.match(await readRun(office.store.query, id), { state: 'running' })
  const stopping = first.stop()
  held.resolve()
  await stopping
  t.match(await readRun(office.store.query, id), { state: 'waiting', code: 'QZ-RECONCILE-INTERRUPTED' })
  await office.store.query(`update reconciliation set state = 'running', conductor = 'dead', beat_at = $1`, [office.now])
  office.now = new Date(office.now.getTime() + 180_000)
  source.on = () => {}
  conduct()
  await until('it is equal', async () => (await readRun(office.store.query, id)).state === 'equal')
})

t.test('a store that goes away while a run ends keeps the hub alive, and the run waits again', async (t) => {
  const { office, source, conduct, route, settings } = await open(t)
  const { store } = office
  const transaction = store.transaction.bind(store)
  let refused = 0
  store.transaction = async () => {
    refused++
    throw new Error('the database system is starting up')
  }
  source.on = () => {
    throw new Error('out of order')
  }
  conduct()
  const asking = { ...office, store: { ...store, transaction }, settings }
  const run = await requestRun(asking, admin, route)
  await until('the end of the run could not be written', () => Promise.resolve(refused > 0))
  store.transaction = transaction
  source.on = () => {}
  office.now = new Date(office.now.getTime() + 600_000)
  t.equal(await requestRun(asking, admin, route), run, 'asked again, it is the same run')
  await until('the run has ended', async () => (await readRun(store.query, run)).state === 'equal')
})

t.test('a grant that ends stops its run; so does the deadline; nothing half done is kept', async (t) => {
  const { source, target, conduct, reconcile, office, route, settings } = await open(t)
  conduct()
  target.rows.delete('44015')
  const [{ grant }] = (await office.store.query<{ grant: string }>('select access_grant as grant from route')) as [{ grant: string }]
  source.on = async (step) => {
    if (step.do === 'recheck') await setGrantState(office, 'admin', grant, 'suspended', '核查')
  }
  const stopped = await reconcile()
  t.match(stopped, { state: 'failed', code: 'QZ-ROUTE-ENDED', statement: null })
  t.same(await keysOfRun(office.store.query, stopped.id), [])
  t.equal(await refusal(requestRun({ ...office, settings }, admin, route)), 'QZ-ROUTE-ENDED')
  await setGrantState(office, 'admin', grant, 'active', '')
  source.on = (step) => {
    if (step.do === 'recheck') office.now = new Date(office.now.getTime() + 7 * 3_600_000)
  }
  t.match(await reconcile(), { state: 'failed', code: 'QZ-RECONCILE-TIME' })
})

t.test('old runs go with their keys, but for the newest of a route and its newest equal one', async (t) => {
  const { target, conduct, reconcile, office } = await open(t)
  conduct()
  await reconcile()
  const equal = await reconcile()
  target.rows.delete('44015')
  await reconcile(false)
  const last = await reconcile(false)
  await office.store.query(`update reconciliation set ended_at = ended_at - interval '401 days'`)
  conduct()
  const kept = await until('the old ones have gone', async () => {
    const runs = (await listRuns(office.store.query, null, {})).items
    return runs.length < 4 && runs
  })
  t.same(kept.map(({ id }) => id).toSorted(), [equal.id, last.id].toSorted())
  t.equal((await office.store.query('select 1 from reconciliation_key')).length, 1)
})

t.test('an agent that does not sign: the run fails, and says why', async (t) => {
  const { target, conduct, reconcile } = await open(t)
  conduct()
  target.on = (step) => {
    if (step.do === 'sign') throw new QianzhiError('QZ-RECONCILE-NUMBERS', { run: '1', what: 'target' })
  }
  t.match(await reconcile(), { state: 'failed', code: 'QZ-RECONCILE-NUMBERS', statement: null, sourceSignature: null })
})

t.test('each route has its minute of the night, and one run of it', async (t) => {
  const settings = reconciliationSettings({ at: '22:30', spread: 2 })
  const minutes = new Set<string>()
  for (let n = 0; n < 50; n++) {
    const slot = slotOf(`route-${n}`, settings, new Date('2026-11-24T12:00:00Z'))
    minutes.add(slot.toISOString())
    t.ok(slot >= new Date('2026-11-23T14:30:00Z') && slot <= new Date('2026-11-23T16:30:00Z'), slot.toISOString())
  }
  t.ok(minutes.size > 40)
  const weekly = reconciliationSettings({ every: 7 })
  const days = new Set(Array.from({ length: 28 }, (_, d) => slotOf('r', weekly, new Date(Date.UTC(2026, 10, 1 + d))).getTime()))
  t.ok(days.size >= 4 && days.size <= 5, 'once a week')

  const stage = await open(t, { every: 1, at: '01:00', spread: 0 })
  const { office } = stage
  office.now = new Date('2026-11-22T16:59:00Z')
  stage.conduct()
  await until('it has looked', async () => (await office.store.query('select 1')).length === 1)
  t.same((await listRuns(office.store.query, null, {})).items, [], 'not yet')
  office.now = new Date('2026-11-22T17:01:00Z')
  stage.conduct()
  const [run] = await until('the night’s run', async () => {
    const found = (await listRuns(office.store.query, 'water', {})).items
    return found[0]?.state === 'equal' && found
  })
  t.match(run, { requestedBy: 'hub', repair: true })
  stage.conduct()
  office.now = new Date('2026-11-22T18:00:00Z')
  stage.conduct()
  t.equal((await listRuns(office.store.query, null, {})).items.length, 1)
})
