import t from 'tap'
import { theHub } from '../../../../hub/access/principal.ts'
import { addGrant, setGrantState } from '../../../../hub/registry/grants/grants.ts'
import { expirePublications, publicationFlow } from '../../../../hub/registry/cases/publications.ts'
import { change } from '../../../../hub/records/registry.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { applyEvent } from '../../../../hub/registry/workflow.ts'
import { openCity } from '../../city.ts'
import { refusal, villages } from '../../office.ts'

const wanted = { grant: 'villages.water', items: ['name'], place: '水务局网站', purpose: '责任人公示', source: '来源：市民政局' }

async function receiving(test: Pick<typeof t, 'teardown'>) {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages() })
  await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name', 'street'], validTo: new Date('2028-01-01') })
  return { city, user: city.as('water', 'user'), reviewer: city.as('civil', 'reviewer') }
}

t.test('a receiver publishes only with the provider’s consent, on conditions, until its end (Art. 17)', async (t) => {
  const { city, user, reviewer } = await receiving(t)
  const asked = await user.post('/publications', wanted)
  t.match(asked.body, { state: 'asked', provider: 'civil', resource: 'villages', items: ['name'], source: '来源：市民政局' })
  const path = `/publications/${asked.body.id}`
  t.match(await city.store.query('select agency, role from notice'), [{ agency: 'civil', role: 'reviewer' }])
  t.equal((await user.post(`${path}/consent`)).status, 403)
  t.equal((await city.as('health', 'reviewer').post(`${path}/consent`)).status, 403)
  t.match(await reviewer.post(`${path}/consent`, { until: '2026-11-01' }), { status: 422 })
  t.match((await reviewer.post(`${path}/consent`, { conditions: '仅名称', until: '2027-06-30' })).body, {
    state: 'consented',
    conditions: '仅名称',
    until: '2027-06-30T16:00:00.000Z',
  })
  t.match((await city.store.query('select agency, role from notice order by id desc limit 1'))[0], { agency: 'water', role: 'user' })
  t.equal(await expirePublications(city), 0)
  const early = change(city, (query, affectedAgents) =>
    applyEvent(publicationFlow, 'expire', asked.body.id, { registry: city, query, affectedAgents, principal: theHub, input: {} }),
  )
  t.equal(await refusal(early), 'QZ-RULE')
  city.now = new Date('2027-06-30T16:00:00Z')
  t.equal(await expirePublications(city), 1)
  t.equal((await user.get(path)).body.state, 'ended')
})

t.test('refused, withdrawn, ended by the provider', async (t) => {
  const { user, reviewer } = await receiving(t)
  const ask = async () => `/publications/${(await user.post('/publications', wanted)).body.id}`
  const refused = await ask()
  t.equal((await reviewer.post(`${refused}/refuse`, {})).status, 400)
  t.match((await reviewer.post(`${refused}/refuse`, { reason: '含个人信息' })).body, { state: 'refused', reason: '含个人信息' })
  t.equal((await reviewer.post(`${refused}/consent`)).status, 409)
  const withdrawn = await ask()
  t.equal((await reviewer.post(`${withdrawn}/withdraw`)).status, 403)
  t.equal((await user.post(`${withdrawn}/withdraw`)).body.state, 'withdrawn')
  const ended = await ask()
  await reviewer.post(`${ended}/consent`)
  t.match((await reviewer.post(`${ended}/end`, { reason: '改为对内' })).body, { state: 'ended', reason: '改为对内' })
})

t.test('only items of a grant of its own that is in force', async (t) => {
  const { city, user, reviewer } = await receiving(t)
  t.match(await user.post('/publications', { ...wanted, items: ['name', 'phone'] }), {
    status: 422,
    body: { details: { reason: /第十七条/ } },
  })
  t.match(await user.post('/publications', { ...wanted, grant: 'none' }), { status: 404 })
  t.match(await city.as('health', 'user').post('/publications', wanted), { status: 404 })
  t.equal((await reviewer.post('/publications', wanted)).status, 403)
  t.equal((await user.post('/publications', { ...wanted, items: [] })).status, 400)
  const { id } = (await user.post('/publications', wanted)).body
  await setGrantState(city, 'admin', 'villages.water', 'suspended', '')
  t.match(await user.post('/publications', wanted), { status: 422 })
  t.match(await reviewer.post(`/publications/${id}/consent`), { status: 422 }, 'nor is it consented to then')
  await setGrantState(city, 'admin', 'villages.water', 'active', '')
  city.now = new Date('2028-01-01')
  t.match(await user.post('/publications', wanted), { status: 422 }, 'its period is over')
})

t.test('both sides and the office see it', async (t) => {
  const { city, user, reviewer } = await receiving(t)
  const { id } = (await user.post('/publications', wanted)).body
  const count = async (who: typeof user, query = '') => (await who.get(`/publications${query}`)).body.items.length
  t.same(
    [await count(user), await count(reviewer), await count(city.as('city', 'supervisor')), await count(city.as('health', 'reviewer'))],
    [1, 1, 1, 0],
  )
  t.same([await count(user, '?state=ended'), await count(user, `?provider=nobody`)], [0, 0])
  t.equal((await city.as('health', 'reviewer').get(`/publications/${id}`)).status, 403)
})
