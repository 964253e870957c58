import t from 'tap'
import { addGrant } from '../../../../hub/registry/grants/grants.ts'
import { agentByKey } from '../../../../hub/registry/machines/agents.ts'
import { enrol } from '../../../../hub/registry/machines/enrolment.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import type { Registry } from '../../../../hub/records/registry.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import type { QianzhiError } from '../../../../protocol/errors.ts'
import { localTime } from '../../../../protocol/local-time.ts'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey, type SigningKey } from '../../../../protocol/signature.ts'
import { openBench, Provider, poll, pollRequest, person as row, receiptFor, seqs, type TestAgent } from '../../exchange/fixture.ts'
import { openCity, type City } from '../../city.ts'
import { storeUrl, enrolled, refusal, villages, woken } from '../../office.ts'

const wanted = { name: '水务局前置机', purpose: '接收村居名录', providedBy: 'office' }

async function applied(city: City, more = {}): Promise<string> {
  const { body } = await city.as('water', 'agency-it').post('/machines', { ...wanted, ...more })
  return `/machines/${body.id}`
}

const secretOf = (token: string): string => JSON.parse(Buffer.from(token.replace('qzt1.', ''), 'base64url').toString()).secret

const enrolWith = (registry: Registry, token: string, key: SigningKey = generateSigningKey()) =>
  enrol(registry, { secret: secretOf(token), publicKey: key.publicKey, name: 'machine' })

t.test('applied for, approved, its token taken, enrolled (Art. 15)', async (t) => {
  const city = await openCity(t)
  const [it, office] = [city.as('water', 'agency-it'), city.as('city', 'office')]
  const path = await applied(city)
  t.match(await city.store.query('select role from notice'), [{ role: 'office' }])
  t.match(await it.post(`${path}/token`), { status: 409, body: { code: 'QZ-STATE' } })
  t.equal((await it.post(`${path}/approve`)).status, 403)
  t.equal((await office.post(`${path}/approve`)).body.state, 'approved')
  t.equal((await city.as('civil', 'agency-it').post(`${path}/token`)).status, 403)
  t.equal((await office.post(`${path}/token`)).status, 403, 'the applicant alone takes the token')

  const first = (await it.post(`${path}/token`)).body.token
  const second = await it.post(`${path}/token`)
  t.match(second.body, { token: /^qzt1\./, expires: '2026-11-25T00:00:00.000Z' })
  await t.rejects(enrolWith(city, first), { code: 'QZ-TOKEN', message: /replaced/ }, 'the one taken before counts no longer')
  const key = generateSigningKey()
  const agent = await enrolWith(city, second.body.token, key)
  t.match((await it.get(path)).body, { state: 'enrolled', agent: agent.id })
  t.same(await enrolWith(city, second.body.token, key), agent, 'asking again is not enrolling again')
  t.equal((await it.post(`${path}/token`)).status, 409)
  t.notMatch(
    JSON.stringify(await city.store.query('select details from audit_entry union all select details from history')),
    secretOf(second.body.token),
  )
  t.match((await it.get('/agents')).body.items, [{ id: agent.id, state: 'active' }])
})

t.test('rejected with a reason, withdrawn with its token, seen by its own', async (t) => {
  const city = await openCity(t)
  const [it, office] = [city.as('water', 'agency-it'), city.as('city', 'office')]
  const rejected = await applied(city)
  t.equal((await office.post(`${rejected}/reject`, {})).status, 400)
  t.match((await office.post(`${rejected}/reject`, { reason: '已有' })).body, { state: 'rejected', reason: '已有' })
  const path = await applied(city)
  await office.post(`${path}/approve`)
  const { token } = (await it.post(`${path}/token`)).body
  t.equal((await city.as('civil', 'agency-it').post(`${path}/withdraw`)).status, 403)
  t.equal((await it.post(`${path}/withdraw`)).body.state, 'withdrawn')
  t.equal(await refusal(enrolWith(city, token)), 'QZ-TOKEN')
  t.equal((await it.get('/machines')).body.items.length, 2)
  t.equal((await it.get('/machines?state=rejected')).body.items.length, 1)
  t.same((await city.as('civil', 'agency-it').get('/machines')).body.items, [])
  t.equal((await office.get('/machines')).body.items.length, 2)
  t.equal((await city.as('civil', 'agency-it').get(path)).status, 403)
  t.equal((await city.as('water', 'user').get('/machines')).status, 403)
})

t.test('agents: seen by their own, revoked by the office', async (t) => {
  const city = await openCity(t)
  const { id } = await enrolled(city, 'water')
  t.same((await city.as('civil', 'agency-it').get('/agents')).body.items, [])
  t.equal((await city.as('water', 'agency-it').post(`/agents/${id}/revoke`, { reason: 'x' })).status, 403)
  const office = city.as('city', 'office')
  t.equal((await office.post(`/agents/${id}/revoke`, {})).status, 400)
  t.same((await office.post(`/agents/${id}/revoke`, { reason: '遗失' })).body, { id, state: 'revoked' })
  t.match((await office.get('/agents')).body.items, [{ id, state: 'revoked' }])
  t.match(await city.store.query(`select agency, role from notice where object = $1`, [`agent ${id}`]), [
    { agency: 'water', role: 'agency-it' },
  ])
  t.equal((await office.post('/agents/none/revoke', { reason: 'x' })).status, 404)
})

const hubKey = generateSigningKey()

t.test('a replacement takes over what the dead machine produced and received', async (t) => {
  const city = await openCity(t)
  const [it, office] = [city.as('water', 'agency-it'), city.as('city', 'office')]
  const dead = await enrolled(city, 'water')
  const provider = await enrolled(city, 'civil')
  await publishResource(city, 'admin', { schema: villages() })
  const lakes = villages((d) => Object.assign(d, { resource: 'lakes', agency: 'water' }))
  await publishResource(city, 'admin', { schema: lakes, producer: dead.id })
  for (const [resource, agency, agent] of [
    ['villages', 'water', dead.id],
    ['lakes', 'civil', provider.id],
  ] as const) {
    const grant = await addGrant(city, 'admin', { resource, agency, items: ['name'] })
    await addRoute(city, 'admin', grant.id, agent)
  }
  t.match(await it.post('/machines', { ...wanted, replaces: provider.id }), { status: 422, body: { code: 'QZ-RULE' } })
  t.equal((await it.post('/machines', { ...wanted, replaces: 'none' })).status, 404)
  const path = await applied(city, { replaces: dead.id })
  await office.post(`${path}/approve`)
  const { token } = (await it.post(`${path}/token`)).body
  const key = generateSigningKey()
  const heard = await woken(city, [dead.id, provider.id], () => enrolWith(city, token, key))
  t.same(heard, [dead.id, provider.id])
  const { agent } = (await it.get(path)).body
  const policy = async (id: string) =>
    openPolicy((await currentPolicy(city.store, hubKey, id, 0, city.now, { days: 30 })).jws, hubKey.publicKey, id, 0)
  t.match(await policy(agent), { receive: [{ route: 'villages.water' }], supply: [{ schema: { resource: 'lakes' } }] })
  t.match((await policy(provider.id)).receive, [{ keys: [{ key: key.publicKey }] }], 'its receivers trust the new key')
  t.equal(await refusal(policy(dead.id)), 'QZ-AGENT-REVOKED')
  t.match(await city.store.query(`select object, details from audit_entry where act = 'agent.replace'`), [
    { object: dead.id, details: { by: agent, resources: ['lakes'], routes: ['villages.water'] } },
  ])
})

t.test('a revoked machine: its people are told, it waits for them, and the machine hears what to do', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  const dead = await enrolled(city, 'water')
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await addRoute(city, 'admin', grant.id, dead.id)
  const it = city.as('water', 'agency-it')
  const todo = async () => (await it.get('/todo?kind=agent')).body.items.map((one: { state: string }) => one.state)
  await city.store.query('update agent set last_seen = $1', [city.now])
  t.same(await todo(), [])
  await city.as('city', 'office').post(`/agents/${dead.id}/revoke`, { reason: '设备遗失' })
  t.match((await it.get('/todo?kind=agent')).body.items, [{ state: 'revoked', id: dead.id, actions: ['machine.apply'] }])
  t.match((await it.get('/notices')).body.items, [{ kind: 'agent', zh: new RegExp(`设备遗失。不会自动恢复.*替换 ${dead.id}`) }])
  t.match((await city.as('water', 'user').get('/notices')).body.items, [{ kind: 'agent', zh: /停止交换/ }])
  const [{ id: key }] = (await city.store.query('select key_id as id from agent where id = $1', [dead.id])) as [{ id: string }]
  const error: QianzhiError = await agentByKey(city, key).catch((thrown) => thrown)
  t.equal(error.text('zh'), `前置机代理 ${dead.id} 已被撤销（${localTime(city.now)} 市电子政务办）`)
  t.match(error.details, { next: { zh: /不会自动恢复/, en: /applies for a machine/ } })

  const path = await applied(city, { replaces: dead.id })
  t.same(await todo(), [], 'under way')
  await city.as('city', 'office').post(`${path}/approve`)
  await enrolWith(city, (await it.post(`${path}/token`)).body.token, generateSigningKey())
  t.same(await todo(), ['not-started'])
})

t.test('a stolen machine that was revoked first is replaced all the same; a machine enrolled again replaces nothing', async (t) => {
  const city = await openCity(t)
  const [it, office] = [city.as('water', 'agency-it'), city.as('city', 'office')]
  const key = generateSigningKey()
  const { id } = await enrolled(city, 'water', key)
  const again = await applied(city, { replaces: id })
  await office.post(`${again}/approve`)
  await enrolWith(city, (await it.post(`${again}/token`)).body.token, key)
  t.match((await it.get('/agents')).body.items, [{ id, state: 'active' }])
  await office.post(`/agents/${id}/revoke`, { reason: '被盗' })
  const path = await applied(city, { replaces: id })
  await office.post(`${path}/approve`)
  const agent = await enrolWith(city, (await it.post(`${path}/token`)).body.token)
  t.match((await it.get(path)).body, { state: 'enrolled', agent: agent.id })
})

t.test('rows go on after both machines of an exchange were replaced', async (t) => {
  const bench = await openBench(await storeUrl())
  t.teardown(() => bench.close())
  const registry: Registry = { store: bench.store, wakeups: bench.wakeups, clock: () => bench.time.now }
  const { exchange } = bench
  const [a, b] = [await bench.agent('a', 'civil'), await bench.agent('b', 'water')]
  const provider = new Provider(a, await bench.resource('people', 'civil'))
  await bench.route('r', 'people', b, ['name'])
  await provider.send(exchange, provider.snapshot([row(1)]))
  const first = await poll(exchange, b, pollRequest([{ route: 'r' }]), [a])
  const { position } = first.batches[0]!
  await exchange.receipts(b, [receiptFor(b, 'r', position)])

  /** A machine that takes the place of another, enrolled with the token of an approved application. */
  async function replacement(old: TestAgent): Promise<TestAgent> {
    const [machine] = await bench.store.query<{ id: string }>(
      `insert into machine_application (agency, name, purpose, provided_by, replaces, state, created_at)
       values ($1, 'm', 'p', 'agency', $2, 'approved', now()) returning id`,
      [old.agency, old.id],
    )
    const key = generateSigningKey()
    await bench.store.query(
      `insert into enrolment_token (secret_hash, agency, expires_at, machine) values (encode(sha256($1::bytea), 'hex'), $2, 'infinity', $3)`,
      [Buffer.from(`secret ${old.id}`), old.agency, machine!.id],
    )
    const { id } = await enrol(registry, { secret: `secret ${old.id}`, publicKey: key.publicKey, name: 'new' })
    return { id, agency: old.agency, publicKey: key.publicKey, key }
  }

  const receiver = await replacement(b)
  const next = provider.build([row(2)])
  await provider.send(exchange, next)
  const kept = await poll(exchange, receiver, pollRequest([{ route: 'r', after: position }]), [a])
  t.same(seqs(kept), [2], 'with the database of the dead machine it goes on where that was')
  await exchange.receipts(receiver, [receiptFor(receiver, 'r', kept.batches[0]!.position)])
  const fresh = await poll(exchange, receiver, pollRequest([{ route: 'r', after: null }]), [a])
  t.same(seqs(fresh), [1, 2], 'with an empty one it begins with the snapshot')
  t.equal(
    await refusal(poll(exchange, b, pollRequest([{ route: 'r', after: position }]))),
    'QZ-AGENT-REVOKED',
    'the dead machine gets nothing more',
  )

  const producer = await replacement(a)
  t.equal(await refusal(provider.send(exchange, provider.build([row(3)]))), 'QZ-AGENT-REVOKED', 'nor is anything taken from it')
  const anew = new Provider(producer, provider.schema, 11)
  await anew.send(exchange, anew.snapshot([row(1), row(2), row(4)]))
  const last = await poll(exchange, receiver, pollRequest([{ route: 'r', after: fresh.batches.at(-1)!.position }]), [producer])
  t.match(last.batches, [{ position: { epoch: 11, seq: 1 } }], 'the new producer begins a new epoch, which the route goes on with')
})
