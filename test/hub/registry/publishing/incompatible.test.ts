import t, { type Test } from 'tap'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import type { CatalogContent } from '../../../../hub/registry/catalog/content.ts'
import { addGrant, listGrants, setGrantState } from '../../../../hub/registry/grants/grants.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import { addRoute } from '../../../../hub/registry/grants/routes.ts'
import { AgentViews } from '../../../../hub/exchange/agent-views.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled, woken } from '../../office.ts'
import { licences, register, submitAndPublish, textItem } from '../catalog/fixture.ts'

const hubKey = generateSigningKey()

interface Shared extends City {
  /** Agents of the receivers: water has holder and place, health only holder. */
  water: string
  health: string
  received(agent: string): Promise<{ grant: string; version: number; items: string[] }[]>
  publish(change: (content: CatalogContent) => void): ReturnType<typeof register>
  grant(id: string): Promise<any>
}

async function shared(test: Pick<Test, 'teardown'>): Promise<Shared> {
  const city = await openCity(test)
  await enrolled(city, 'civil')
  const [water, health] = [(await enrolled(city, 'water')).id, (await enrolled(city, 'health')).id]
  await register(city, 'civil', licences(), { resource: 'ads' })
  await addGrant(city, 'admin', { id: 'ads.water', resource: 'ads', agency: 'water', items: ['holder', 'place'] })
  await addGrant(city, 'admin', { id: 'ads.health', resource: 'ads', agency: 'health', items: ['holder'] })
  await addRoute(city, 'admin', 'ads.water', water)
  await addRoute(city, 'admin', 'ads.health', health)
  return Object.assign(city, {
    water,
    health,
    received: async (agent: string) => {
      const { jws } = await currentPolicy(city.store, hubKey, agent, 0, city.now, { days: 30 })
      const { receive } = openPolicy(jws, hubKey.publicKey, agent, 0)
      return receive.map(({ grant, schema, items }) => ({ grant, version: schema.version, items }))
    },
    publish: (change: (content: CatalogContent) => void) => register(city, 'civil', licences(change), { resource: 'ads' }),
    grant: async (id: string) => (await city.as('city', 'office').get(`/grants/${id}`)).body,
  })
}

t.test('a compatible version flows on', async (t) => {
  const city = await shared(t)
  await city.publish((c) => {
    c.items.push(textItem('note', '备注'))
    c.items[3]!.length = 300
  })
  t.same(await city.received(city.water), [{ grant: 'ads.water', version: 2, items: ['number', 'holder', 'place'] }])
  t.equal((await city.grant('ads.water')).state, 'active')
})

t.test('an incompatible version holds the grants it touches until their receivers accept; the others flow on', async (t) => {
  const city = await shared(t)
  const without = (c: CatalogContent) => void c.items.splice(3, 1)
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content: licences(without) })
  const { incompatible, faults } = (await city.as('civil', 'registrar').get(`/registrations/${body.id}/check`)).body
  t.same(faults, [])
  t.match(incompatible, [{ items: ['place'], receivers: ['water'], zh: /place/ }], 'the registrar is told before')
  const awake = await woken(city, [city.water, city.health], () => submitAndPublish(city, 'civil', body.id))
  t.same(awake, [city.water, city.health])

  t.same(await city.received(city.health), [{ grant: 'ads.health', version: 2, items: ['number', 'holder'] }])
  t.same(await city.received(city.water), [], 'its route has stopped')
  t.match(await city.grant('ads.water'), {
    state: 'held',
    heldVersion: 2,
    heldCatalogVersion: 2,
    reason: { zh: /目录第 2 版.*place.*等待接收单位 water/, en: /version 2.*waits/ },
  })
  const { reason } = await city.grant('ads.water')
  t.same((await listGrants(city)).find(({ id }) => id === 'ads.water')?.reason, reason, 'in every list')
  const [listed] = (await city.as('city', 'office').get('/grants?agency=water')).body.items
  t.same(listed.reason, reason)
  const views = new AgentViews(city.store, city.wakeups)
  t.match((await views.of(city.water)).routes.get('ads.water'), {
    stop: { reason: { en: 'held' }, because: { zh: /place/, en: /place/ }, next: { zh: /接受新版本/ } },
  })
  views.close()
  const told = await city.store.query(
    `select agency, role from notice where object = 'grant ads.water' and kind = 'grant-held' order by id`,
  )
  t.same(told, [
    { agency: 'water', role: 'user' },
    { agency: 'water', role: 'agency-it' },
    { agency: null, role: 'office' },
  ])
  const history = await city.store.query(
    `select event, from_state, to_state from history where workflow = 'grant' and object = 'ads.water'`,
  )
  t.match(history, [{ event: 'hold', from_state: 'active', to_state: 'held' }])

  t.match(await city.as('health', 'user').post('/grants/ads.water/accept', { items: ['holder'] }), { status: 403 })
  t.equal((await city.as('water', 'user').post('/grants/ads.water/accept', { items: ['holder'] })).body.state, 'active')
  t.same(await city.received(city.water), [{ grant: 'ads.water', version: 2, items: ['number', 'holder'] }])
})

t.test('what touches whom', async (t) => {
  const cases: [string, (c: CatalogContent) => void, string[]][] = [
    ['a required item added', (c) => void c.items.push(textItem('note', '备注', { required: true })), []],
    ['an item made required', (c) => void (c.items[3]!.required = true), ['ads.water']],
    ['a text shortened', (c) => void (c.items[3]!.length = 50), ['ads.water']],
    ['a column renamed', (c) => void (c.items[1]!.name = 'owner'), ['ads.health', 'ads.water']],
    ['a key item added', (c) => void c.items.push(textItem('part', '分号', { key: true })), ['ads.health', 'ads.water']],
    ['another key', (c) => void [delete c.items[0]!.key, (c.items[2]!.key = true)], ['ads.health', 'ads.water']],
    ['another table', (c) => void (c.table = 'ads'), ['ads.health', 'ads.water']],
    ['an item closed', (c) => void (c.items[3]!.openness = 'closed'), []],
  ]
  for (const [what, change, held] of cases) {
    await t.test(what, async (t) => {
      const city = await shared(t)
      t.equal((await city.publish(change)).status, 200)
      t.equal((await city.as('civil', 'user').get('/resources/ads')).body.version, 2, 'it begins with a snapshot')
      const rows = await city.store.query<{ id: string }>(`select id from access_grant where state = 'held' order by id`)
      t.same(
        rows.map(({ id }) => id),
        held,
      )
    })
  }
})

t.test('another label or role holds whom it touches, unless the reviewer says that it means the same', async (t) => {
  const relabelled = (c: CatalogContent) => void (c.items[3]!.label = '法定代表人住址')
  const city = await shared(t)
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content: licences(relabelled) })
  const { incompatible } = (await city.as('civil', 'registrar').get(`/registrations/${body.id}/check`)).body
  t.match(incompatible, [{ items: ['place'], receivers: ['water'], zh: /“设置地点”改为“法定代表人住址”/ }])
  await submitAndPublish(city, 'civil', body.id)
  t.match(await city.grant('ads.water'), { state: 'held', reason: { zh: /法定代表人住址/ } })
  t.equal((await city.grant('ads.health')).state, 'active')
  t.same(await city.received(city.water), [], 'nothing flows under another name')
  t.equal((await city.as('water', 'user').post('/grants/ads.water/accept', { items: ['holder', 'place'] })).body.state, 'active')

  const reworded = (c: CatalogContent) => {
    relabelled(c)
    c.items[1]!.label = '单位名称'
  }
  const second = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content: licences(reworded) })
  t.match(await submitAndPublish(city, 'civil', second.body.id, { sameMeaning: ['nosuch'] }), { status: 422, text: /nosuch/ })
  const reviewer = city.as('civil', 'reviewer')
  t.equal((await reviewer.post(`/registrations/${second.body.id}/publish`, { sameMeaning: ['holder'] })).status, 200)
  t.same([(await city.grant('ads.water')).state, (await city.grant('ads.health')).state], ['active', 'active'])
})

t.test('another type is another item, also later', async (t) => {
  const city = await shared(t)
  const asDate = (c: CatalogContent) => void (c.items[3] = { ...always('place'), type: 'date' })
  t.match(await city.publish(asDate), { status: 422, body: { code: 'QZ-RULE', detail: { zh: /place 的类型不能改/ } } })
  const drafts = (await city.as('civil', 'registrar').get('/registrations?state=draft')).body.items
  await city.as('civil', 'registrar').post(`/registrations/${drafts[0].id}/discard`)
  await city.publish((c) => void c.items.splice(3, 1))
  t.match(await city.publish(asDate), { status: 422, body: { detail: { zh: /标识 place 曾用于 text/ } } })
})

const always = (id: string) => ({ id, name: id, label: id, openness: 'internal' as const })

t.test('a suspended grant is held when it resumes; a held one waits for the newest version', async (t) => {
  const city = await shared(t)
  await setGrantState(city, 'admin', 'ads.water', 'suspended', '核查')
  await city.publish((c) => void c.items.splice(3, 1))
  t.match(await city.grant('ads.water'), { state: 'suspended', reason: '核查', heldVersion: 2 })
  t.equal((await city.as('city', 'office').post('/grants/ads.water/resume')).body.state, 'held')
  await city.publish((c) => {
    c.items.splice(3, 1)
    c.table = 'other'
  })
  t.match(await city.grant('ads.water'), { state: 'held', heldVersion: 3 })
})

t.test('withdrawal ends every route, and receivers are told why', async (t) => {
  const city = await shared(t)
  const reviewer = city.as('civil', 'reviewer')
  const awake = await woken(city, [city.water, city.health], () => reviewer.post('/resources/ads/withdraw', { reason: '职能调整' }))
  t.same(awake, [city.water, city.health])
  t.same(await city.received(city.water), [])
  t.match(await city.grant('ads.water'), { state: 'revoked', reason: { zh: /职能调整/, en: /职能调整/ } })
  const told = await city.store.query(`select distinct agency from notice where kind = 'grant' and zh like '%职能调整%' order by 1`)
  t.same(told, [{ agency: 'health' }, { agency: 'water' }])
  t.equal((await reviewer.post('/resources/ads/withdraw', { reason: 'x' })).status, 409)
  t.equal((await reviewer.put('/resources/ads/keep', { keep: 'relay' })).status, 409)
})
