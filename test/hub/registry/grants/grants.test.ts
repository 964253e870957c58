import t from 'tap'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { startDeadline } from '../../../../hub/records/deadlines.ts'
import { theHub } from '../../../../hub/access/principal.ts'
import { expireGrants } from '../../../../hub/registry/grants/grant-queries.ts'
import { addGrant } from '../../../../hub/registry/grants/grants.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import { change } from '../../../../hub/records/registry.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import { applyEvent } from '../../../../hub/registry/workflow.ts'
import { grantFlow } from '../../../../hub/registry/grants/grant-workflow.ts'
import { AgentViews, endedBecause } from '../../../../hub/exchange/agent-views.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled, refusal, villages, woken } from '../../office.ts'

const hubKey = generateSigningKey()
const path = '/grants/villages.water'

/** The civil agency's villages, which flow to the water agency until the end of the year. */
async function granted(test: Pick<typeof t, 'teardown'>, services = {}) {
  const city = await openCity(test, services)
  await enrolled(city, 'civil')
  const receiver = await enrolled(city, 'water')
  await publishResource(city, 'admin', { schema: villages() })
  const wanted = {
    resource: 'villages',
    agency: 'water',
    items: ['name', 'street'],
    validTo: new Date('2026-12-31'),
    atEnd: 'remove',
  } as const
  const { id } = await addGrant(city, 'admin', wanted)
  await addRoute(city, 'admin', id, receiver.id)
  return { city, receiver }
}

async function policyOf(city: City, agent: string) {
  const { jws } = await currentPolicy(city.store, hubKey, agent, 0, city.now, { days: 30 })
  return openPolicy(jws, hubKey.publicKey, agent, 0)
}

/** What the exchange says of the only route. */
async function said(city: City, agent: string) {
  const views = new AgentViews(city.store, city.wakeups)
  const [route] = (await views.of(agent)).routes.values()
  views.close()
  const stop = endedBecause(route!, city.now)
  return { ended: stop?.reason.en, because: stop?.because }
}

t.test('suspended, resumed, revoked: it stops at once, and the receiver is told why', async (t) => {
  const { city, receiver } = await granted(t)
  const office = city.as('city', 'office')
  t.same(await woken(city, [receiver.id], () => office.post(`${path}/suspend`, { reason: '待核查' })), [receiver.id])
  t.same(await said(city, receiver.id), { ended: 'suspended', because: '待核查' })
  t.same((await policyOf(city, receiver.id)).receive, [])
  const told = await city.store.query(`select agency, role from notice where object = 'grant villages.water' and zh like '%待核查%'`)
  t.same(told, [
    { agency: 'water', role: 'user' },
    { agency: 'water', role: 'agency-it' },
    { agency: 'civil', role: 'reviewer' },
  ])
  t.same(await woken(city, [receiver.id], () => office.post(`${path}/resume`)), [receiver.id])
  t.same(await said(city, receiver.id), { ended: undefined, because: undefined })
  t.equal((await policyOf(city, receiver.id)).receive.length, 1)
  t.match((await office.post(`${path}/revoke`, { reason: '违规使用' })).body, { state: 'revoked', reason: '违规使用' })
  t.same(await said(city, receiver.id), { ended: 'revoked', because: '违规使用' })
  t.match(
    (await policyOf(city, receiver.id)).stopped,
    [{ since: city.now.toISOString(), by: '市电子政务办', over: true }],
    'when, and by whom',
  )
  const [notice] = await city.store.query(`select zh from notice where object = 'grant villages.water' order by id desc limit 1`)
  t.match(notice, { zh: /违规使用。不会自动恢复.*重新申请/ }, 'both sides are told what to do')
  t.match((await policyOf(city, receiver.id)).ended, [{ route: 'villages.water', data: 'remove' }])
  for (const event of ['suspend', 'resume', 'revoke', 'accept']) {
    const body = event === 'accept' ? { items: ['name'] } : event === 'resume' ? {} : { reason: 'x' }
    const who = event === 'accept' ? city.as('water', 'user') : office
    t.match(await who.post(`${path}/${event}`, body), { status: 409, body: { code: 'QZ-STATE' } }, event)
  }
  t.match(await city.store.query(`select act from audit_entry where object = 'grant villages.water' order by id`), [
    { act: 'grant.suspend' },
    { act: 'grant.resume' },
    { act: 'grant.revoke' },
  ])
})

t.test('only the office suspends and revokes; only the receiver gives up', async (t) => {
  const { city, receiver } = await granted(t)
  for (const who of [city.as('water', 'user'), city.as('civil', 'reviewer'), city.as('city', 'supervisor')]) {
    t.equal((await who.post(`${path}/revoke`, { reason: 'x' })).status, 403)
  }
  t.equal((await city.as('civil', 'user').post(`${path}/give-up`, { reason: 'x' })).status, 403)
  t.equal((await city.as('water', 'user').post(`${path}/give-up`, {})).status, 400)
  t.equal((await city.as('water', 'user').post(`${path}/give-up`, { reason: '停办' })).body.state, 'given-up')
  t.match((await policyOf(city, receiver.id)).ended, [{ data: 'remove' }], 'what was delivered goes')
})

t.test('it expires by itself, once, and both sides are told', async (t) => {
  const { city, receiver } = await granted(t)
  t.equal(await expireGrants(city), 0)
  const advanced = change(city, (query, affectedAgents) =>
    applyEvent(grantFlow, 'expire', 'villages.water', { registry: city, query, affectedAgents, principal: theHub, input: {} }),
  )
  t.equal(await refusal(advanced), 'QZ-RULE', 'not before its time')
  city.now = new Date('2026-12-31')
  t.match(await city.as('city', 'office').post(`${path}/suspend`, { reason: 'x' }), { status: 200 })
  t.match(await city.as('city', 'office').post(`${path}/resume`), { status: 422 }, 'what is over does not resume')
  const both = await woken(city, [receiver.id], async () =>
    t.equal((await Promise.all([expireGrants(city), expireGrants(city)])).toSorted().join(), '0,1'),
  )
  t.same(both, [receiver.id])
  t.match(await said(city, receiver.id), { ended: 'expired', because: { zh: '授权期限已满', en: 'its period is over' } })
  t.equal((await city.store.query(`select from notice where zh like '%已到期%'`)).length, 3)
  t.match((await city.as('water', 'user').get(path)).body, { state: 'expired' })
})

t.test('an expiry that a wrong clock brought about is undone by the office', async (t) => {
  const { city, receiver } = await granted(t)
  const office = city.as('city', 'office')
  const truth = city.now
  const reinstate = (who = office) => who.post(`${path}/reinstate`, { reason: '时钟有误' })
  const state = async () => (await office.get(path)).body
  const expire = async (before: string) => {
    city.now = new Date('2027-11-22')
    t.equal(await expireGrants(city), 1, `${before} expires`)
    city.now = truth
  }
  await startDeadline(city.store.query, {
    kind: 'delivery',
    object: 'route villages.water',
    agency: 'civil',
    role: 'agency-it',
    from: truth,
  })
  t.match(await reinstate(), { status: 409, body: { code: 'QZ-STATE' } }, 'what has not expired')
  await expire('what is in force')
  t.match((await policyOf(city, receiver.id)).ended, [{ route: 'villages.water', data: 'remove' }])
  for (const who of [city.as('water', 'user'), city.as('civil', 'reviewer'), city.as('city', 'supervisor')])
    t.equal((await reinstate(who)).status, 403)
  t.equal((await office.post(`${path}/reinstate`, {})).status, 400, 'not without a reason')
  city.now = new Date('2027-01-01')
  t.match(await reinstate(), { status: 422, body: { code: 'QZ-RULE' } }, 'not what is over')
  city.now = truth

  t.same(await woken(city, [receiver.id], reinstate), [receiver.id])
  t.match(await state(), { state: 'active', reason: null, heldVersion: null })
  t.same(await said(city, receiver.id), { ended: undefined, because: undefined })
  const { receive, ended } = await policyOf(city, receiver.id)
  t.equal(receive.length, 1, 'the route goes on')
  t.equal(ended, undefined, 'nothing is removed any more')
  t.equal((await city.store.query(`select from deadline where object = 'route villages.water' and ended_at is null`)).length, 1)
  const [line] = await city.store.query(`select details from audit_entry where act = 'grant.reinstate'`)
  t.match(line, { details: { from: 'expired', to: 'active', reason: '时钟有误' } })
  t.equal((await city.store.query(`select from notice where zh like '%到期有误%时钟有误%'`)).length, 3, 'both sides are told')

  await office.post(`${path}/suspend`, { reason: '待核查' })
  await expire('what is suspended')
  t.match((await reinstate()).body, { state: 'suspended', heldVersion: null }, 'it stays suspended')
  await office.post(`${path}/resume`)

  await expire('what is in force')
  await publishResource(city, 'admin', { schema: villages((draft) => void (draft.items[1]!.length = 120)) })
  t.match((await reinstate()).body, { state: 'active' }, 'a version that it need not accept')

  await expire('what is in force')
  // As the registration of an incompatible version leaves it.
  await city.store.query(`update resource_version set schema = jsonb_set(schema, '{items,1,length}', '200') where version = 1`)
  await city.store.query(`update history set details = '{"version": 1}' where event = 'expire'`)
  t.match(
    (await reinstate()).body,
    { state: 'held', heldVersion: 2, reason: { en: /version 2/ } },
    'a version that came meanwhile is for the receiver',
  )
  t.match((await city.as('water', 'user').post(`${path}/accept`, { items: ['name'] })).body, { state: 'active', heldVersion: null })

  await expire('what is in force')
  const other = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await addRoute(city, 'admin', other.id, receiver.id)
  t.match(
    await reinstate(),
    { status: 422, body: { code: 'QZ-RULE', detail: { en: new RegExp(other.id) } } },
    'what was approved since stays',
  )
})

t.test('held by an incompatible version until the receiver accepts it, with what was approved', async (t) => {
  const { city, receiver } = await granted(t)
  const user = city.as('water', 'user')
  const hold = (state: string) => city.store.query(`update access_grant set state = $1, held_version = 2, reason = 'v2'`, [state])
  await hold('held')
  t.match(await said(city, receiver.id), { ended: 'held' })
  t.equal((await city.as('civil', 'user').post(`${path}/accept`, { items: ['name'] })).status, 403)
  for (const [items, status] of [
    [['name', 'phone'], 422],
    [['nothing'], 422],
    [[], 400],
  ] as const) {
    t.equal((await user.post(`${path}/accept`, { items })).status, status, `${items.join()} is not within what was approved`)
  }
  t.same(await woken(city, [receiver.id], () => user.post(`${path}/accept`, { items: ['name'] })), [receiver.id])
  t.match((await user.get(path)).body, { state: 'active', items: ['name'], heldVersion: null, reason: null })
  t.match((await policyOf(city, receiver.id)).receive, [{ items: ['code', 'name'] }])

  await hold('suspended')
  t.match(
    (await city.as('city', 'office').post(`${path}/resume`)).body,
    { state: 'held', reason: { zh: /2/, en: /2/ } },
    'a suspended one is held when it resumes',
  )
  t.equal((await user.post(`${path}/give-up`, { reason: '不再需要' })).body.state, 'given-up')
})

t.test('both sides and their IT see a grant, its routes, and what the hub knows of them', async (t) => {
  const { city, receiver } = await granted(t, { explain: async (route: string) => ({ route, state: 'flows' }) })
  await city.store.query(`update route set written = 7, removed = '{"rows": 7, "tables": ["villages"], "time": "t", "receipt": "jws"}'`)
  for (const who of [
    city.as('water', 'agency-it'),
    city.as('water', 'user'),
    city.as('civil', 'reviewer'),
    city.as('city', 'supervisor'),
  ]) {
    t.match((await who.get(path)).body, {
      provider: 'civil',
      title: '村居名录',
      routes: [{ agent: receiver.id, written: '7', moved: null, removed: { rows: 7, receipt: 'jws' } }],
    })
    t.equal((await who.get('/grants')).body.items.length, 1)
  }
  t.match((await city.as('civil', 'agency-it').get(`${path}/explain`)).body, { items: [{ route: 'villages.water', state: 'flows' }] })
  t.equal((await city.as('health', 'user').get(path)).status, 403)
  t.equal((await city.as('health', 'agency-it').get(`${path}/explain`)).status, 403)
  t.same((await city.as('health', 'user').get('/grants')).body.items, [])
  const office = city.as('city', 'office')
  const count = async (query: string) => (await office.get(`/grants?${query}`)).body.items.length
  t.same(
    [await count('state=active'), await count('state=held'), await count('agency=civil'), await count('provider=health')],
    [1, 0, 0, 0],
  )
  t.equal((await office.get('/grants/none')).status, 404)
})
