/** The hub as the source of what people enter: its head statements, and its end of a reconciliation, against a receiver in memory. */
import fc from 'fast-check'
import t from 'tap'
import { blockValues, openBatch, splitBatch } from '../../../protocol/batch.ts'
import { headStatement } from '../../../protocol/receipt.ts'
import { openReconciliation, type ReconcileQuestion } from '../../../protocol/reconciliation.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { newSalt, RunSide } from '../../../hub/reconciliation/asking.ts'
import { compare, type Compared } from '../../../hub/reconciliation/comparison.ts'
import type { RunRoute } from '../../../hub/reconciliation/routes.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { OwnSource, type OwnSourceDeps } from '../../../hub/supply/own-source.ts'
import { wantSnapshot } from '../../../hub/exchange/streams.ts'
import { openCity, type Caller, type City } from '../city.ts'
import { refusal, villages } from '../office.ts'
import { MemoryAgent } from '../reconciliation/memory-agent.ts'

interface Scene {
  city: City
  registrar: Caller
  /** What was entered: code and name. */
  entered: Map<string, string | null>
  enter: (code: string, name: string | null) => Promise<void>
}

async function open(test: Pick<typeof t, 'teardown'>): Promise<Scene> {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages(), supplyMode: 'form' })
  const registrar = city.as('civil', 'registrar')
  const entered: Scene['entered'] = new Map()
  const enter = async (code: string, name: string | null) => {
    const { status, text } = await registrar.post('/resources/villages/rows', { values: { code, name, street: '街' } })
    if (status !== 200) throw new Error(text)
    entered.set(code, name)
  }
  return { city, registrar, entered, enter }
}

const route: RunRoute = {
  route: 'r',
  resource: 'villages',
  title: '',
  provider: 'civil',
  receiver: 'water',
  schema: 1,
  items: ['code', 'name'],
  masked: [],
  sourceAgent: 'hub',
  targetAgent: 'target',
}

interface Reconciled extends Compared {
  source: OwnSource
}

/** A run between the hub and a receiver in memory. */
async function reconcile({ city }: Pick<Scene, 'city'>, target: MemoryAgent, more: Partial<OwnSourceDeps> = {}): Promise<Reconciled> {
  const { store, hubKey, services } = city
  const { reader } = services.sharing
  const salt = newSalt()
  const parts = { goOn: async () => {}, signal: new AbortController().signal }
  const asks = { ask: async (_: string, question: unknown) => target.answer(question as ReconcileQuestion) as never }
  const deps = { store, reader, producer: services.producer, hubKey, clock: city.clock, ...more }
  const source = new OwnSource(deps, { ...parts, run: '1', salt, route })
  const side = new RunSide({ ...parts, asks }, '1', salt, 'target', route)
  return { ...(await compare({ run: '1', salt, route, source, target: side, repair: true, now: city.clock })), source }
}

const receiver = (rows: Iterable<[string, string | null]>) => new MemoryAgent(generateSigningKey(), rows)

/** The rows of the newest batch, read without the product's tables. */
async function lastBatch(city: City): Promise<{ kind: string; rows: [string | null, string | null][] }> {
  const stored = await openPostgresLog(city.store).read('villages', null, 1 << 30)
  const batch = openBatch(splitBatch(stored.at(-1)!.bytes), () => city.hubKey.publicKey)
  const names = blockValues(batch, 'name')
  return { kind: batch.manifest.kind, rows: blockValues(batch, 'code').map((code, i) => [code, names[i]!]) }
}

void t.test('whatever a receiver has otherwise is found by key, sent again, and named where the hub has nothing', async (t) => {
  const scene = await open(t)
  for (let i = 0; i < 30; i++) await scene.enter(String(i).padStart(3, '0'), i % 7 === 0 ? null : `名 ${i} `)
  const code = fc.integer({ min: 0, max: 40 }).map((i) => String(i).padStart(3, '0'))
  const edits = fc.array(fc.tuple(code, fc.oneof(fc.constant('gone'), fc.constant(null), fc.constant(''), fc.constant('别名 '))), {
    maxLength: 12,
  })
  await fc.assert(
    fc.asyncProperty(edits, async (done) => {
      const held = new Map(scene.entered)
      for (const [key, name] of done) {
        if (name === 'gone') held.delete(key)
        else held.set(key, name)
      }
      const target = receiver(held)
      const expected = new Map<string, string>()
      for (const key of new Set([...held.keys(), ...scene.entered.keys()])) {
        if (!held.has(key)) expected.set(key, 'missing')
        else if (!scene.entered.has(key)) expected.set(key, 'extra')
        else if (held.get(key) !== scene.entered.get(key)) expected.set(key, 'changed')
      }
      const again = [...expected].filter(([, one]) => one !== 'extra').map(([key]) => key)
      // What the stream brings: the newest batch, once it was written.
      const { length } = await openPostgresLog(scene.city.store).list('villages', null, 10_000)
      target.on = async (step) => {
        if (step.do !== 'remove' && step.do !== 'recheck') return
        const batches = await openPostgresLog(scene.city.store).list('villages', null, 10_000)
        if (batches.length === length) return
        for (const [key, name] of (await lastBatch(scene.city)).rows) target.rows.set(key!, [key, name])
      }
      const { statement, keys } = await reconcile(scene, target)
      t.same(new Map(keys.map(({ key, difference }) => [key[0], difference])), expected)
      t.equal(statement.outcome, 'equal')
      t.same(
        keys.map(({ state }) => state).filter((state) => state !== 'repaired'),
        [],
      )
      t.same(new Map([...target.rows.values()].map(([key, name]) => [key, name])), scene.entered)
      const after = await openPostgresLog(scene.city.store).list('villages', null, 10_000)
      t.equal(after.length, length + (again.length > 0 ? 1 : 0), 'and nothing else was written')
      if (again.length > 0) t.same(new Set((await lastBatch(scene.city)).rows.map(([key]) => key)), new Set(again))
    }),
    { numRuns: 12 },
  )
  const [first] = (await scene.registrar.get('/resources/villages/rows?limit=1')).body.items
  t.match(await scene.registrar.put('/resources/villages/rows', { values: first.values, seen: first.position }), { status: 200 })
  t.same(
    await scene.city.store.query(`select r.op from supply_entry e join supply_entry_row r on r.entry = e.id where act = 'supply.resend'`),
    [],
    'who sends again has changed nothing',
  )
})

void t.test('both sides sign the same; the hub signs its own numbers alone', async (t) => {
  const scene = await open(t)
  await scene.enter('1', '一')
  const target = receiver(scene.entered)
  const { statement, source } = await reconcile(scene, target)
  t.match(statement, { outcome: 'equal', source: { rows: 1 }, target: { rows: 1 } })
  const { publicKey } = scene.city.hubKey
  t.same(openReconciliation(await source.sign(statement), publicKey), statement)
  const other = { ...statement, source: { ...statement.source, rows: 2 } }
  t.equal(await refusal(source.sign(other)), 'QZ-RECONCILE-NUMBERS')
  t.equal(await refusal(source.sign({ ...statement, outcome: 'different' })), 'QZ-RECONCILE-NUMBERS')
})

void t.test('what is entered meanwhile is under way, and no difference', async (t) => {
  const scene = await open(t)
  await scene.enter('1', '一')
  const target = receiver(scene.entered)
  target.on = async (step) => {
    // The other side reads at the same time: it may have the row, or not yet.
    if (step.do === 'digest') await scene.enter('2', '二')
    if (step.do === 'digest') target.rows.set('2', ['2', '二'])
    if (step.do === 'recheck') target.rows.set('1', ['1', '一'])
  }
  target.rows.delete('1')
  const { statement, keys } = await reconcile(scene, target)
  t.equal(statement.outcome, 'equal', JSON.stringify(statement))
  t.ok(keys.every(({ state }) => state === 'settled'))
})

void t.test('a table that is not what its follower, or its server, says of it is never equal', async (t) => {
  const scene = await open(t)
  for (let i = 0; i < 5; i++) await scene.enter(String(i), `名 ${i}`)
  const { reader } = scene.city.services.sharing
  const misread: OwnSourceDeps['reader'] = {
    ...reader,
    async *stream(...asked) {
      for await (const rows of reader.stream(...asked)) yield rows.map(([code, ...others]) => [code!, ...others.map(() => '误')])
    },
  }
  const wrongly = receiver([...scene.entered.keys()].map((code) => [code, '误']))
  t.match((await reconcile(scene, wrongly, { reader: misread })).statement, {
    outcome: 'different',
    source: { rows: 5, doubt: 'values' },
    target: { rows: 5 },
  })
  await scene.city.store.query('update resource_table set rows = rows + 1')
  t.match((await reconcile(scene, receiver(scene.entered))).statement, { outcome: 'different', source: { doubt: 'rows' } })
})

void t.test('while a snapshot is due nothing is compared', async (t) => {
  const scene = await open(t)
  await scene.enter('1', '一')
  await publishResource(scene.city, 'admin', { schema: villages((draft) => void (draft.items[1]!.length = 150)) })
  t.equal(await refusal(reconcile(scene, receiver(scene.entered))), 'QZ-RECONCILE-NOT-NOW')
  await scene.city.services.producer.look()
  t.equal(await refusal(reconcile(scene, receiver(scene.entered))), 'QZ-RECONCILE-NOT-NOW', 'and another version than that of the run')
})

void t.test('the hub says what its newest batch is, with the rows that its receivers have then', async (t) => {
  const { city, enter, registrar } = await open(t)
  const said = async (behind = false) => {
    if (!behind) await city.services.producer.catchUp('villages')
    await city.services.producer.look()
    const [stream] = await city.store.query<{ jws: string | null }>('select head_statement as jws from stream')
    return stream?.jws ? headStatement.open(stream.jws, city.hubKey.publicKey) : undefined
  }
  const head = async () => (await openPostgresLog(city.store).heads(['villages'])).get('villages')
  await enter('1', '一')
  await enter('2', '二')
  const first = await said()
  t.match(first, { ...(await head()), producer: 'hub', rows: 2, time: city.now.toISOString() })
  city.now = new Date(city.now.getTime() + 10_000)
  t.same(await said(), first, 'nothing new')
  const { position } = (await registrar.get('/resources/villages/rows?code=1')).body.items[0]
  await registrar.post('/resources/villages/rows/delete', { key: { code: '1' }, seen: position })
  t.match(await said(), { ...(await head()), rows: 1, time: city.now.toISOString() })
  city.now = new Date(city.now.getTime() + 30_000)
  t.match(await said(), { rows: 1, time: city.now.toISOString() }, 'the same again, of now')
  const before = await said()
  city.now = new Date(city.now.getTime() + 30_000)
  await wantSnapshot(city.store, 'villages', null)
  t.same(await said(true), before, 'the table has yet to follow the snapshot: nothing is said of it, nor of what was before as of now')
  t.match(await said(), await head())
  await publishResource(city, 'admin', { schema: villages(), supplyMode: 'front-end' })
  const last = await said()
  city.now = new Date(city.now.getTime() + 30_000)
  t.same(await said(), last, 'of what a machine supplies its agent speaks')
})

void t.test('who decides on an application sees rows as they stand at the hub, and nothing that is not asked for', async (t) => {
  const { city, registrar } = await open(t)
  const check = { kind: 'uscc', on: 'warn' } as const
  await publishResource(city, 'admin', { schema: villages((draft) => void (draft.items[1]!.check = check)), storedClosed: ['phone'] })
  const user = city.as('water', 'user')
  const content = { resource: 'villages', mode: 'query', items: ['name'], purpose: '防汛', basis: '条例' }
  const { id } = (await user.post('/applications', content)).body
  await user.post(`/applications/${id}/submit`)
  const office = city.as('city', 'office')
  const preview = () => office.post(`/applications/${id}/preview`)
  t.match((await preview()).body, { items: ['code', 'name'], rows: [], warned: 0 }, 'nobody has entered anything')
  for (let i = 30; i > 0; i--) {
    const values = { code: String(100 + i), name: i % 2 ? null : '91310115MA1G4L1WXK', street: '秘密', phone: '秘密' }
    t.equal((await registrar.post('/resources/villages/rows', { values })).status, 200)
  }
  const { body, text } = await preview()
  t.match(body, { resource: 'villages', items: ['code', 'name'], faults: [], warned: 10, omitted: 0 })
  t.same(
    body.rows,
    Array.from({ length: 20 }, (_, i) => [String(101 + i), i % 2 ? '91310115MA1G4L1WXK' : null]),
  )
  t.notMatch(text, /秘密/)
  t.match(await city.store.query(`select details from audit_entry where act = 'application.preview'`), [
    { details: { rows: 0 } },
    { details: { resource: 'villages', items: ['name'], rows: 20 } },
  ])
})
