import pino from 'pino'
import t from 'tap'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { QianzhiError } from '../../../../protocol/errors.ts'
import { addAgency } from '../../../../hub/registry/agencies/agencies.ts'
import { revokeAgent } from '../../../../hub/registry/machines/agents.ts'
import { noteDeliveries } from '../../../../hub/registry/grants/grant-queries.ts'
import { resourcePublished } from '../../../../hub/registry/grants/approve-application.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import { supervisionSettings } from '../../../../hub/records/settings.ts'
import { superviseOnce } from '../../../../hub/supervision/supervision.ts'
import { change } from '../../../../hub/records/registry.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled, villages, woken } from '../../office.ts'

const hubKey = generateSigningKey()

async function received(city: City, agent: string) {
  const { jws } = await currentPolicy(city.store, hubKey, agent, 0, city.now, { days: 30 })
  return openPolicy(jws, hubKey.publicKey, agent, 0).receive
}

/** The civil agency's villages, and an agent of each side. */
async function published(
  test: Pick<typeof t, 'teardown'>,
  sharing: 'unconditional' | 'conditional' | 'none' = 'unconditional',
  services = {},
) {
  const city = await openCity(test, services)
  const provider = await enrolled(city, 'civil')
  const receiver = await enrolled(city, 'water')
  await publishResource(city, 'admin', { schema: villages() })
  await city.store.query('update resource set sharing = $1', [sharing])
  return { city, provider, receiver, wanted: wantedBy(receiver.id) }
}

const wantedBy = (agent: string) => ({
  resource: 'villages',
  mode: 'exchange',
  items: ['street', 'name'],
  purpose: '防汛通知',
  basis: '防汛条例第七条',
  agent,
  until: '2027-12-31',
})

async function submitted(city: City, body: object): Promise<string> {
  const user = city.as('water', 'user')
  const { id } = (await user.post('/applications', body)).body
  t.equal((await user.post(`/applications/${id}/submit`)).status, 200)
  return `/applications/${id}`
}

const notices = (city: City, object: string) =>
  city.store.query<{ agency: string | null; role: string; zh: string }>(
    'select agency, role, zh from notice where object = $1 order by id',
    [object],
  )

t.test('an agency with one machine names none; and who has nothing to say sends no body', async (t) => {
  const { city, receiver, wanted } = await published(t)
  const { agent: _, ...unnamed } = wanted
  const user = city.as('water', 'user')
  const drafted = (await user.post('/applications', unnamed)).body
  t.equal(drafted.agent, receiver.id)
  t.equal((await user.post(`/applications/${drafted.id}/change`, { ...unnamed, resource: undefined })).body.agent, receiver.id)
  const bare = (caller: typeof user, path: string, seen?: string) =>
    city.app.inject({
      method: 'POST',
      url: `/api/v1${path}`,
      headers: { authorization: `Bearer ${caller.secret}`, ...(seen !== undefined && { 'if-match': `"${seen}"` }) },
    })
  t.equal((await bare(user, `/applications/${drafted.id}/submit`)).statusCode, 200)
  const { revision } = (await city.as('city', 'office').get(`/applications/${drafted.id}`)).body
  t.equal((await bare(city.as('city', 'office'), `/applications/${drafted.id}/approve`, revision)).statusCode, 200)
  await enrolled(city, 'water')
  const second = (await user.post('/applications', unnamed)).body
  t.equal(second.agent, null, 'of several it must say which')
  t.match((await user.post(`/applications/${second.id}/submit`)).text, /several and none is named/)
})

t.test('approval alone makes data flow: grant, route, policy, the receiving agent woken', async (t) => {
  const { city, provider, receiver, wanted } = await published(t)
  const user = city.as('water', 'user')
  const draft = await user.post('/applications', { ...wanted, items: ['name'] })
  t.match(draft, { status: 200, body: { state: 'draft', agency: 'water', title: '村居名录', until: '2027-12-31T16:00:00.000Z' } })
  const path = `/applications/${draft.body.id}`
  t.equal((await city.as('city', 'office').get(path)).status, 404, 'a draft is its agency’s alone')
  t.same((await city.as('civil', 'reviewer').get('/applications')).body.items, [])
  const { resource: _resource, ...content } = wanted
  t.same((await user.post(`${path}/change`, content)).body.items, ['street', 'name'])
  t.match((await user.post(`${path}/submit`)).body, { state: 'reviewing', submitted: city.now.toISOString() })
  t.match(await notices(city, `application ${draft.body.id}`), [{ role: 'office' }])
  t.match(await city.store.query('select kind, agency, role, due::text from deadline'), [
    { kind: 'application-reply', agency: 'city', role: 'office' },
  ])
  t.same((await received(city, receiver.id)).length, 0)

  const heard = await woken(city, [provider.id, receiver.id], () => city.as('city', 'office').post(`${path}/approve`))
  t.same(heard, [receiver.id], 'what the provider’s agent knows is as it was')
  const approved = (await user.get(path)).body
  t.match(approved, { state: 'approved', approvedItems: ['street', 'name'], grants: [{ id: 'villages.water', state: 'active' }] })
  t.match(await received(city, receiver.id), [
    { route: 'villages.water', items: ['code', 'name', 'street'], expires: '2027-12-31T16:00:00.000Z' },
  ])
  t.match(await notices(city, 'grant villages.water'), [{ agency: 'civil', role: 'reviewer' }])
  t.match((await notices(city, `application ${draft.body.id}`)).at(-1), { agency: 'water', role: 'user', zh: /已批准/ })

  const deadlines = () => city.store.query('select kind, object, agency, outcome from deadline order by id')
  t.match(await deadlines(), [
    { kind: 'application-reply', outcome: 'met' },
    { kind: 'delivery', object: 'route villages.water', agency: 'civil', outcome: null },
  ])
  t.equal(await noteDeliveries(city), 0)
  await city.store.query(`update route set receipt = 'jws', first_receipt_at = $1`, [city.now])
  t.equal(await noteDeliveries(city), 1)
  t.match((await deadlines())[1], { outcome: 'met' })
})

t.test('a draft names only what there is: an unknown item is told with those that may be had', async (t) => {
  const { city, wanted } = await published(t)
  const user = city.as('water', 'user')
  const unknown = { status: 400, body: { code: 'QZ-REQUEST-INVALID', faults: [{ item: 'nothing', allowed: ['code', 'name', 'street'] }] } }
  const items = ['nothing', 'name']
  const refused = await user.post('/applications', { ...wanted, items })
  t.match(refused, unknown)
  t.match(refused.body.detail.zh, '没有信息项 nothing')
  const { id } = (await user.post('/applications', wanted)).body
  const { resource: _resource, ...content } = wanted
  t.match(await user.post(`/applications/${id}/change`, { ...content, items }), unknown)
  t.match(await user.post('/applications', { ...wanted, resource: 'none' }), { status: 404, body: { code: 'QZ-NOT-FOUND' } })
  t.match(await user.post('/applications', { ...wanted, agent: 'none' }), { status: 404 })
})

t.test('what is not allowed is refused at the latest when it is submitted, with the reason', async (t) => {
  const { city, provider, wanted } = await published(t)
  const user = city.as('water', 'user')
  const other = await enrolled(city, 'water')
  await revokeAgent(city, 'admin', other.id, '')
  const submit = async (change: object, who = user) => {
    const { id } = (await who.post('/applications', { ...wanted, ...change })).body
    return who.post(`/applications/${id}/submit`)
  }
  for (const [what, change, reason] of [
    ['a closed item', { items: ['phone'] }, /第五条/],
    ['no item', { items: [] }, /第十六条/],
    ['no purpose', { purpose: ' ' }, /第七条/],
    ['no basis', { basis: '' }, /第七条/],
    ['a period that is over', { until: '2026-11-21' }, /期限/],
    ["another agency's agent", { agent: provider.id }, /前置机/],
    ['an agent where none delivers', { mode: 'query' }, /第十六条/],
  ] as const) {
    const answer = await submit(change)
    t.match(answer, { status: 422, body: { code: 'QZ-RULE', details: { reason } } }, what)
  }
  t.match(await submit({ agent: other.id }), { body: { code: 'QZ-AGENT-REVOKED' } })
  const own = await submit({ agent: provider.id }, city.as('civil', 'user'))
  t.match(own, { status: 422, body: { details: { reason: /自己/ } } }, 'its own resource')
  for (const [column, value, reason] of [
    ['state', 'suspended', /停止/],
    ['state', 'withdrawn', /撤销/],
    ['sharing', 'none', /第五条/],
    ['secrecy', 'true', /第五条/],
    ['share_modes', '{query}', /第十六条/],
  ] as const) {
    await city.store.query(`update resource set ${column} = $1`, [value])
    t.match(await submit({}), { status: 422, body: { details: { reason } } }, `${column} ${value}`)
    await city.store.query(
      `update resource set state = 'active', sharing = 'unconditional', secrecy = false, share_modes = '{query,api,exchange}'`,
    )
  }
  t.equal((await submit({})).status, 200)
  t.match(await user.post('/applications', { ...wanted, resource: 'none' }), { status: 404 })
  t.match(await user.post('/applications', { ...wanted, agent: 'none' }), { status: 404 })
  t.match(await user.post('/applications', { ...wanted, standard: 'x' }), { status: 400 }, 'one of the two')
  t.match(await user.post('/applications', { ...wanted, until: '2027-02-30' }), { status: 400 })
  t.match(await user.post('/applications', { ...wanted, colour: 'red' }), { status: 400 })
  t.equal((await city.as('city', 'office').post('/applications', wanted)).status, 403)
})

t.test('approved in part, never more; what changed meanwhile is checked again', async (t) => {
  const { city, receiver, wanted } = await published(t)
  const office = city.as('city', 'office')
  const path = await submitted(city, wanted)
  for (const more of [{ items: ['code'] }, { items: [] }, { until: '2028-01-01' }, { until: '2026-11-21' }]) {
    t.match(await office.post(`${path}/approve`, more), { status: 422, body: { code: 'QZ-RULE' } })
  }
  await city.store.query(`update resource set state = 'suspended'`)
  t.match(await office.post(`${path}/approve`), { status: 422, body: { details: { reason: /停止/ } } })
  await city.store.query(`update resource set state = 'active'`)
  t.match((await office.post(`${path}/approve`, { items: ['name'], until: '2027-06-30' })).body, {
    items: ['street', 'name'],
    approvedItems: ['name'],
    approvedUntil: '2027-06-30T16:00:00.000Z',
  })
  t.match(await received(city, receiver.id), [{ items: ['code', 'name'], expires: '2027-06-30T16:00:00.000Z' }])
  t.match(await office.post(`${path}/approve`), { status: 409, body: { code: 'QZ-STATE' } })
  for (const who of [city.as('civil', 'reviewer'), city.as('water', 'user')]) t.equal((await who.post(`${path}/approve`)).status, 403)
  const told = (await notices(city, path.slice(1).replace('applications/', 'application '))).at(-1)!
  t.match(told.zh, /已批准；未批准信息项 街道；期限至 2027-06-30/, 'the notice says what was not approved')
})

t.test('the newest approval takes the place of the one before, on the same route', async (t) => {
  const { city, receiver, wanted } = await published(t)
  const office = city.as('city', 'office')
  await office.post(`${await submitted(city, { ...wanted, items: ['name'] })}/approve`)
  const second = await submitted(city, { ...wanted, until: '2028-12-31', atEnd: 'remove' })
  t.same(await woken(city, [receiver.id], () => office.post(`${second}/approve`)), [receiver.id])
  t.match((await office.get(second)).body.grants, [{ id: 'villages.water', state: 'active' }])
  t.match(await received(city, receiver.id), [{ route: 'villages.water', items: ['code', 'name', 'street'], expires: /2028/ }])
  t.match((await office.get('/grants/villages.water')).body, { atEnd: 'remove', routes: [{ agent: receiver.id }] })
  const another = await enrolled(city, 'water')
  const third = await submitted(city, { ...wanted, agent: another.id })
  t.match((await office.post(`${third}/approve`)).body.grants, [{ id: 'villages.water-2' }], 'another machine has a grant of its own')
})

t.test('a conditional resource asks its provider first', async (t) => {
  const { city, wanted } = await published(t, 'conditional')
  const [office, reviewer] = [city.as('city', 'office'), city.as('civil', 'reviewer')]
  const path = await submitted(city, wanted)
  t.match((await office.get(path)).body, { state: 'consulting', consents: [{ agency: 'civil', resource: 'villages', state: 'asked' }] })
  t.match(
    (await notices(city, `application ${path.split('/')[2]}`)).find(({ agency }) => agency === 'civil'),
    { role: 'reviewer' },
  )
  t.match(await office.post(`${path}/approve`), { status: 409 }, 'not before the provider has answered')
  t.equal((await city.as('health', 'reviewer').post(`${path}/consent`)).status, 403)
  t.equal((await city.as('civil', 'registrar').post(`${path}/consent`)).status, 403)
  t.equal((await reviewer.post(`${path}/object`)).status, 400, 'an objection needs a reason')
  t.match((await reviewer.post(`${path}/object`, { reason: '与职能无关' })).body, {
    state: 'reviewing',
    consents: [{ state: 'objected', reason: '与职能无关', by: reviewer.principal.name }],
  })
  t.match(await office.post(`${path}/approve`), { status: 422, body: { details: { reason: /第五条/ } } })
  t.match((await reviewer.post(`${path}/consent`)).body, { state: 'reviewing', consents: [{ state: 'consented' }] })
  t.match((await office.post(`${path}/approve`)).body, { state: 'approved', grants: [{ id: 'villages.water' }] })
  t.match(await reviewer.post(`${path}/object`, { reason: 'x' }), { status: 422, body: { details: { reason: /第七条/ } } })
})

t.test('masks are decided with the consent and the approval: no row leaves before them', async (t) => {
  const { city, receiver, wanted } = await published(t, 'conditional')
  const [office, reviewer] = [city.as('city', 'office'), city.as('civil', 'reviewer')]
  const path = await submitted(city, wanted)
  const hidden = { kind: 'hide' }
  const first = { kind: 'keep', first: 1, last: 0 }
  for (const [masks, why] of [
    [{ code: hidden }, 'a key'],
    [{ leader: hidden }, 'what was not asked for'],
    [{ name: { kind: 'year' } }, 'a text has no year'],
    [{ name: { kind: 'blur' } }, 'no mask'],
  ] as const) {
    t.equal((await reviewer.post(`${path}/consent`, { masks })).status, 400, `the provider: ${why}`)
  }
  t.match((await reviewer.post(`${path}/consent`, { masks: { name: first } })).body, {
    consents: [{ state: 'consented', masks: { name: first } }],
  })
  t.equal((await office.post(`${path}/approve`, { items: ['name'], masks: { street: hidden } })).status, 400, 'what is not approved')
  const before = await received(city, receiver.id)
  t.same(before, [])
  t.match((await office.post(`${path}/approve`, { masks: { name: hidden, street: hidden } })).body, {
    masks: { name: hidden, street: hidden },
  })
  t.match(await received(city, receiver.id), [{ masks: { name: first, street: hidden } }], 'in the first policy that names the route')
  t.match((await office.get('/grants/villages.water/masks')).body, { provider: { name: first }, office: { name: hidden, street: hidden } })

  const again = await submitted(city, wanted)
  await reviewer.post(`${again}/consent`, { masks: { street: first } })
  await office.post(`${again}/approve`)
  t.match(
    (await office.get('/grants/villages.water/masks')).body,
    { provider: { name: first, street: first }, office: { name: hidden, street: hidden } },
    'what is masked stays so where nobody speaks of it',
  )
})

t.test('while the provider is asked, the time runs against the provider and not against the office', async (t) => {
  const { city, wanted } = await published(t, 'conditional')
  const at = (text: string) => new Date(`${text}+08:00`)
  city.now = at('2026-11-23T10:00')
  const paths = [await submitted(city, wanted), await submitted(city, { ...wanted, mode: 'query', agent: undefined })]
  const deadlines = () => city.store.query('select object, agency, role, due::text, outcome from deadline order by object')
  t.match(await deadlines(), [
    { object: 'application 1', agency: 'city', due: '2026-12-07' },
    { object: 'application 2', agency: 'city', due: '2026-12-07' },
    { object: 'consent 1 villages', agency: 'civil', role: 'reviewer', due: '2026-12-07' },
    { object: 'consent 2 villages', agency: 'civil', role: 'reviewer', due: '2026-12-07' },
  ])
  city.now = at('2026-12-10T10:00')
  await city.as('civil', 'reviewer').post(`${paths[0]}/consent`)
  await city.as('water', 'user').post(`${paths[1]}/withdraw`)
  city.now = at('2026-12-23T10:00')
  await city.as('city', 'office').post(`${paths[0]}/approve`)
  t.match(await deadlines(), [
    // Asked from the 23rd of November to the 10th of December: ten working days from then on.
    { object: 'application 1', due: '2026-12-23', outcome: 'met' },
    { object: 'application 2', outcome: 'dropped' },
    { object: 'consent 1 villages', due: '2026-12-07', outcome: 'missed' },
    // Needless from the 10th on, and late by then.
    { object: 'consent 2 villages', outcome: 'missed' },
    { object: 'route villages.water' },
  ])
})

t.test('unconditional resources have nobody to consent', async (t) => {
  const { city, wanted } = await published(t)
  const path = await submitted(city, wanted)
  t.match(await city.as('civil', 'reviewer').post(`${path}/consent`), { status: 422, body: { code: 'QZ-RULE' } })
})

t.test('query and API of unconditional resources are granted at once where the city says so', async (t) => {
  const { city, wanted } = await published(t)
  const { agent: _agent, ...query } = { ...wanted, mode: 'query' }
  const state = async (body: object) => (await city.as('city', 'office').get(await submitted(city, body))).body.state
  t.equal(await state(query), 'reviewing')
  city.applications = { grantAtOnce: true }
  t.equal(await state(wanted), 'reviewing', 'exchange goes the whole way')
  t.equal(await state(query), 'approved')
  t.match(await city.store.query('select mode, items, (select count(*)::int from route) as routes from access_grant'), [
    { mode: 'query', items: ['name', 'street'], routes: 0 },
  ])
  await city.store.query(`update resource set sharing = 'conditional'`)
  t.equal(await state(query), 'consulting')
})

t.test('many at once, each on its own', async (t) => {
  const { city, wanted } = await published(t)
  const office = city.as('city', 'office')
  const first = (await submitted(city, wanted)).split('/')[2]!
  const second = (await submitted(city, { ...wanted, mode: 'query', agent: undefined })).split('/')[2]!
  await city.store.query(`update application set items = '{phone}' where id = $1`, [first])
  const listed = (await office.get('/applications')).body.items as { id: string; revision: string }[]
  const seen = (...ids: string[]) => ids.map((id) => ({ id, revision: listed.find((one) => one.id === id)?.revision ?? '0' }))
  const answer = await office.post('/applications/decide-many', { cases: seen(first, second, '999', second), decision: 'approve' })
  t.match(answer.body.items, [
    { id: first, code: 'QZ-RULE', zh: /不公开/ },
    { id: second, state: 'approved' },
    { id: '999', code: 'QZ-NOT-FOUND' },
  ])
  t.equal(answer.body.items.length, 3)
  t.match(
    await office.post('/applications/decide-many', { cases: seen(first), decision: 'reject' }),
    { status: 422 },
    'a rejection needs a reason',
  )
  t.match((await office.post('/applications/decide-many', { cases: seen(first), decision: 'reject', reason: '不符' })).body.items, [
    { state: 'rejected' },
  ])
  const again = (await office.get('/applications')).body.items.find((one: { id: string }) => one.id === first)
  const [late] = (await office.post('/applications/decide-many', { cases: [{ id: first, revision: again.revision }], decision: 'approve' }))
    .body.items
  t.match(late, { code: 'QZ-STATE', zh: /已驳回.*批准/ })
  t.notMatch(late.zh, /application/, 'in words, as from its own door')
  t.match((await city.as('water', 'user').get(`/applications/${first}`)).body, { state: 'rejected', reason: '不符' })
  t.equal((await city.as('water', 'user').post('/applications/decide-many', { cases: seen(first), decision: 'approve' })).status, 403)
})

t.test('rejected, extended once, withdrawn', async (t) => {
  const { city, wanted } = await published(t)
  const office = city.as('city', 'office')
  const path = await submitted(city, wanted)
  const due = async () =>
    (await city.store.query<{ due: string; outcome: string }>(`select due::text, outcome from deadline order by id desc limit 1`))[0]!
  const before = await due()
  t.match((await office.post(`${path}/extend`, { reason: '需会商' })).body, { extended: true, state: 'reviewing' })
  t.ok((await due()).due > before.due)
  t.match(await office.post(`${path}/extend`, { reason: '再延' }), { status: 422, body: { code: 'QZ-RULE' } })
  t.equal((await office.post(`${path}/reject`, {})).status, 400)
  t.match((await office.post(`${path}/reject`, { reason: '依据不足' })).body, { state: 'rejected', reason: '依据不足' })
  t.equal((await due()).outcome, 'met')
  t.equal((await city.as('water', 'user').post(`${path}/withdraw`)).status, 409)
  const second = await submitted(city, wanted)
  t.equal((await city.as('health', 'user').post(`${second}/withdraw`)).status, 403)
  t.equal((await city.as('water', 'user').post(`${second}/withdraw`)).body.state, 'withdrawn')
  t.equal((await due()).outcome, 'dropped')
})

t.test('returned for completion: nobody is late meanwhile, and everybody is asked anew', async (t) => {
  const { city, receiver, wanted } = await published(t, 'conditional')
  const [office, reviewer, user] = [city.as('city', 'office'), city.as('civil', 'reviewer'), city.as('water', 'user')]
  const at = (day: string, time = '10:00') => (city.now = new Date(`${day}T${time}:00+08:00`))
  // Of force majeure and the like nothing is known here: what is looked after by the minute is the days alone.
  const supervised = () => superviseOnce({ store: city.store, settings: supervisionSettings(), catchUp: async () => undefined, logger: pino({ level: 'silent' }), clock: city.clock }) // prettier-ignore
  const reply = async (path: string) => {
    await supervised()
    const { items } = (await office.get(`/deadlines?kind=application-reply&object=application%20${path.split('/')[2]}`)).body
    return items[0]
  }
  at('2026-11-23')
  const path = await submitted(city, wanted)
  await reviewer.post(`${path}/consent`, { masks: { name: { kind: 'hide' } } })
  t.match(await reply(path), { due: '2026-12-07', state: 'running', waits: null }, 'ten working days')

  at('2026-12-07', '16:00')
  t.equal((await office.post(`${path}/return`, {})).status, 400, 'a return needs a reason')
  t.equal((await reviewer.post(`${path}/return`, { reason: '补正' })).status, 403)
  const returned = (await office.post(`${path}/return`, { reason: '请写明条款' })).body
  t.match(returned, { state: 'returned', reason: '请写明条款', consents: [], grants: [] })
  t.match((await notices(city, path.slice(1).replace('applications/', 'application '))).at(-1), {
    agency: 'water',
    zh: /退回补正：请写明条款/,
  })
  t.match((await user.get('/todo')).body.items, [
    { kind: 'application', id: path.split('/')[2], state: 'returned', reason: { zh: /不计期限/ } },
  ])
  t.same((await office.get('/todo?kind=application')).body.items, [])
  for (const event of ['approve', 'consent', 'reject']) {
    const who = event === 'consent' ? reviewer : office
    t.equal((await who.post(`${path}/${event}`, event === 'reject' ? { reason: 'x' } : {})).status, 409, event)
  }
  at('2026-12-14')
  t.match(
    await reply(path),
    { due: null, daysLeft: null, state: 'waiting', waits: 'applicant', missedAt: null },
    'returned on its last day',
  )

  const { resource: _, ...content } = wanted
  t.match((await user.post(`${path}/change`, { ...content, items: ['name'], basis: '防汛条例第七条第二款' })).body, { state: 'returned' })
  t.match((await user.post(`${path}/submit`)).body, { state: 'consulting', reason: null, consents: [{ state: 'asked', masks: {} }] })
  t.match(await office.post(`${path}/approve`), { status: 409 }, 'what was consented to was something else')
  t.match(await reply(path), { due: '2026-12-15', state: 'warned', daysLeft: 1 }, 'the last day is left')
  await reviewer.post(`${path}/consent`)
  t.match((await office.post(`${path}/approve`)).body, { state: 'approved', approvedItems: ['name'], grants: [{ id: 'villages.water' }] })
  t.match(await received(city, receiver.id), [{ items: ['code', 'name'] }])
  t.match(await reply(path), { due: '2026-12-15', state: 'met' })
  const events = (await office.get(`/history/application/${path.split('/')[2]}`)).body.items.map((line: { event: string }) => line.event)
  t.same(events, ['create', 'submit', 'consent', 'return', 'change', 'submit', 'consent', 'approve'])

  const taken = await submitted(city, { ...wanted, items: ['name', 'street'] })
  t.equal((await office.post(`${taken}/return`, { reason: '补正' })).status, 200)
  t.match(await received(city, receiver.id), [{ items: ['code', 'name'] }], 'what it has it keeps')
  t.equal((await user.post(`${taken}/withdraw`)).body.state, 'withdrawn')
  t.match(await reply(taken), { state: 'dropped' })

  const late = await submitted(city, { ...wanted, items: ['name', 'street'] })
  await reviewer.post(`${late}/consent`)
  at('2026-12-30')
  t.equal((await reply(late)).state, 'missed')
  await office.post(`${late}/return`, { reason: '补正' })
  t.match(await reply(late), { state: 'missed' }, 'what was late stays late')
  await user.post(`${late}/submit`)
  t.match(await reply(late), { state: 'missed' })
})

t.test('lists show what is within reach', async (t) => {
  const { city, wanted } = await published(t)
  const path = await submitted(city, wanted)
  const id = path.split('/')[2]
  await city.as('water', 'user').post('/applications', wanted)
  const ids = async (agency: string, role: 'user' | 'reviewer' | 'office' | 'supervisor', query = '') =>
    (await city.as(agency, role).get(`/applications${query}`)).body.items.map((one: { id: string }) => one.id)
  t.equal((await ids('water', 'user')).length, 2)
  t.same(await ids('water', 'user', `?state=reviewing&resource=villages`), [id])
  t.same(await ids('water', 'user', `?mode=query`), [])
  t.same(await ids('civil', 'reviewer'), [id])
  t.same(await ids('city', 'office'), [id])
  t.same(await ids('city', 'supervisor'), [id])
  t.same(await ids('health', 'user'), [])
  t.equal((await city.as('health', 'user').get(path)).status, 403)
  t.equal((await city.nobody.get(path)).status, 401)
})

t.test('a preview shows rows once and leaves none of them behind', async (t) => {
  const asked: unknown[] = []
  const ask = async (agent: string, question: object) => {
    if (asked.length > 0) throw new QianzhiError('QZ-ASK-AWAY', { agent, seen: '-' })
    asked.push([agent, question])
    return { items: ['code', 'name'], rows: [['441900003001', '岗贝社区']], faults: [], warned: 0, omitted: 0 }
  }
  const { city, provider, wanted } = await published(t, 'unconditional', { asks: { ask } })
  const office = city.as('city', 'office')
  const path = await submitted(city, { ...wanted, items: ['name'] })
  t.match((await office.post(`${path}/preview`)).body, { resource: 'villages', rows: [['441900003001', '岗贝社区']] })
  t.match(asked, [[provider.id, { kind: 'preview', resource: 'villages', items: ['name'], rows: 20, schema: { version: 1 } }]])
  const acts = await city.store.query(`select actor, object, details from audit_entry where act = 'application.preview'`)
  t.match(acts, [{ actor: office.principal.actor, details: { resource: 'villages', items: ['name'], rows: 1 } }])
  t.notMatch(JSON.stringify(await city.store.query('select details from audit_entry union all select details from history')), /岗贝/)
  t.match(await city.as('civil', 'reviewer').post(`${path}/preview`), { status: 503, body: { code: 'QZ-ASK-AWAY' } })
  t.equal((await city.as('water', 'user').post(`${path}/preview`)).status, 403)
  t.equal((await office.post(`${path}/preview`, { resource: 'other' })).status, 404)
  await office.post(`${path}/reject`, { reason: 'x' })
  t.match(await office.post(`${path}/preview`), { status: 422 }, 'not when it is over')
})

/** A standard with villages' items; civil and health adopt it. */
async function adopted(test: Pick<typeof t, 'teardown'>) {
  const { city, receiver, wanted } = await published(test)
  const { query } = city.store
  const form = JSON.stringify({ title: '名录', items: villages().items })
  await query(`insert into standard (code, state, version, form) values ('register', 'published', 1, $1)`, [form])
  const adopt = async (agency: string, sharing: string) => {
    const resource = `${agency}.register`
    await publishResource(city, 'admin', { schema: villages((d) => Object.assign(d, { resource, title: '名录', agency })) })
    await query(`update resource set standard = 'register', sharing = $2 where code = $1`, [`${agency}.register`, sharing])
    await change(city, (inside, affectedAgents) => resourcePublished(inside, affectedAgents, { code: `${agency}.register` }, city.now))
  }
  const { resource: _resource, ...rest } = wanted
  return { city, receiver, adopt, wanted: { ...rest, standard: 'register' } }
}

t.test('an application for a standard covers all adopters, later ones too', async (t) => {
  const { city, receiver, adopt, wanted } = await adopted(t)
  const [office, health] = [city.as('city', 'office'), city.as('health', 'reviewer')]
  await adopt('civil', 'unconditional')
  await adopt('health', 'conditional')
  await adopt('water', 'unconditional')
  const path = await submitted(city, wanted)
  t.match((await office.get(path)).body, { state: 'consulting', title: '名录', consents: [{ agency: 'health', state: 'asked' }] })
  t.same((await health.get('/applications')).body.items.length, 1)
  const routes = async () => (await received(city, receiver.id)).map(({ route }) => route)
  const approved = await office.post(`${path}/approve`)
  t.match(approved.body.grants, [{ resource: 'civil.register' }], 'one provider does not hold up the others, nor does one get its own')
  t.equal(approved.body.grants.length, 1)
  t.match((await notices(city, path.slice(1).replace('applications/', 'application '))).at(-1)!.zh, /已批准；卫健局 未同意，不含其数据$/)
  t.same(await routes(), ['civil.register.water'])
  t.equal((await health.post(`${path}/consent`)).status, 200)
  t.same(await routes(), ['civil.register.water', 'health.register.water'], 'a later consent is enough')

  await addAgency(city, 'admin', { code: 'school', name: '教育局' })
  const heard = await woken(city, [receiver.id], () => adopt('school', 'unconditional'))
  t.same(heard, [receiver.id])
  t.same(await routes(), ['civil.register.water', 'health.register.water', 'school.register.water'], 'without any further step')
  await adopt('school', 'unconditional')
  t.equal((await routes()).length, 3, 'published again changes nothing')
  await office.post('/grants/school.register.water/revoke', { reason: '停用' })
  await adopt('school', 'unconditional')
  t.equal((await routes()).length, 2, 'nor does it give back what was revoked')

  await addAgency(city, 'admin', { code: 'fire', name: '消防局' })
  await adopt('fire', 'conditional')
  t.match((await office.get(path)).body.consents, [{ agency: 'fire', state: 'asked' }, { agency: 'health' }])
  t.equal((await city.store.query(`select from notice where agency = 'fire' and kind = 'application-consent'`)).length, 1)
})

t.test('of a standard nothing is approved where everybody objects, and only its published form counts', async (t) => {
  const { city, adopt, wanted } = await adopted(t)
  await adopt('civil', 'conditional')
  const path = await submitted(city, wanted)
  t.equal((await city.as('civil', 'reviewer').post(`${path}/object`, { reason: '不宜' })).body.state, 'reviewing')
  t.match(await city.as('city', 'office').post(`${path}/approve`), { status: 422 })
  const user = city.as('water', 'user')
  const closed = (await user.post('/applications', { ...wanted, items: ['phone'] })).body
  t.equal((await user.post(`/applications/${closed.id}/submit`)).status, 422)
  t.match(await user.post('/applications', { ...wanted, items: ['nothing'] }), {
    status: 400,
    body: { detail: { zh: /没有信息项 nothing/ } },
  })
  await city.store.query(`update standard set state = 'withdrawn'`)
  const { id } = (await user.post('/applications', wanted)).body
  t.match(await user.post(`/applications/${id}/submit`), { status: 422, body: { details: { reason: /未发布/ } } })
})
