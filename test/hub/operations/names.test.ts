/** Whoever reads an answer, or the audit, reads names beside codes. */
import t from 'tap'
import { openCity } from '../city.ts'
import { enrolled } from '../office.ts'
import { licences, register } from '../registry/catalog/fixture.ts'

t.test('names stand beside codes', async (t) => {
  const city = await openCity(t)
  const { id: agent } = await enrolled(city, 'water')
  const published = await register(city, 'civil', licences(), { resource: 'ads' })
  const user = city.as('water', 'user')
  const ask = { resource: 'ads', mode: 'exchange', items: ['holder'], purpose: '核验', basis: '三定方案', agent }
  const { body: application } = await user.post('/applications', ask)
  t.match(application, {
    agency: 'water',
    agencyName: '水务局',
    resource: 'ads',
    resourceName: published.body.content.title,
    agentName: 'water machine',
  })
  await user.post(`/applications/${application.id}/submit`)
  await city.as('city', 'office').post(`/applications/${application.id}/approve`)
  t.match((await user.get('/grants')).body.items, [{ agency: 'water', agencyName: '水务局', provider: 'civil', providerName: '民政局' }])
  t.match(published.body, { draftedByName: 'civil registrar', submittedByName: 'civil registrar', agencyName: '民政局' })
  t.match((await city.as('city', 'office').get('/agents')).body.items, [{ agencyName: '水务局' }])
  t.match((await city.as('city', 'system-admin').get('/people?agency=civil')).body.items[0], { agencyName: '民政局' })
  const audit = (await city.as('city', 'audit-admin').get('/audit?act=registration.publish')).body.items
  t.match(
    audit,
    [{ actor: /^person \d+$/, actorName: 'civil reviewer', agencyName: '民政局', details: { from: 'submitted' } }],
    'for who may not read people',
  )
  t.notOk('agencyName' in audit[0].details, 'what is on record stays as it was written down')
  const { paths } = (await city.app.inject('/docs/json')).json()
  const shape = paths['/api/v1/grants'].get.responses['200'].content['application/json'].schema
  t.match(shape.properties.items.items.properties, { providerName: { type: ['string', 'null'] } }, 'and are documented')
})

t.test('notices call agencies by their names', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  await city.as('water', 'agency-it').post('/machines', { name: 'm', purpose: '接入', providedBy: 'agency' })
  const { id } = (await city.as('water', 'user').post('/demands', { title: '养老机构', what: '名称', why: '安置', basis: '条例' })).body
  await office.post(`/demands/${id}/assign`, { provider: 'civil' })
  const order = { agency: 'civil', cause: 'update', text: '更新', due: '2026-12-31' }
  const issued = (await office.post('/orders', order)).body.id
  await city.as('civil', 'reviewer').post(`/orders/${issued}/answer`, { answer: '已更新' })
  const measures = { kind: 'force-majeure', text: '机房水淹', measures: '改用备份' }
  const declared = (await city.as('civil', 'registrar').post('/declarations', measures)).body.id
  await city.as('civil', 'reviewer').post(`/declarations/${declared}/sign`)
  const told = (await city.store.query<{ zh: string }>('select zh from notice order by id')).map(({ zh }) => zh)
  t.same(
    told.filter((zh) => /water|civil/.test(zh)),
    [],
  )
  for (const start of [/^水务局申请前置机/, /^水务局提出目录外需求/, /^水务局的目录外需求/, /^民政局已就责令改正/, /^民政局的.*不可抗力/])
    t.ok(
      told.some((zh) => start.test(zh)),
      String(start),
    )
})

t.test('the audit of an object is found whatever its entries call it', async (t) => {
  const city = await openCity(t)
  const it = city.as('water', 'agency-it')
  const office = city.as('city', 'office')
  await register(city, 'civil', licences(), { resource: 'ads' })
  await city.as('city', 'secrecy').post('/resources/ads/stop', { reason: '核查' })
  const acts = async (object: string) =>
    (await city.as('city', 'supervisor').get(`/audit?object=${encodeURIComponent(object)}`)).body.items as Record<string, string>[]
  t.same(
    (await acts('resource ads')).map(({ act }) => act),
    ['resource.stop', 'resource.publish'],
  )
  const { id } = (await it.post('/machines', { name: 'm', purpose: '接入', providedBy: 'agency' })).body
  await office.post(`/machines/${id}/approve`)
  await it.post(`/machines/${id}/token`)
  const files = await office.post('/machines/enrolment-files', { agencies: ['water'] })
  t.equal(files.status, 200, files.text.slice(0, 300))
  t.match((await acts('agency water')).slice(0, 1), [{ act: 'token.issue', agency: 'city', via: 'session', actorName: 'city office' }])
  const { id: agent } = await enrolled(city, 'water')
  await office.post(`/agents/${agent}/revoke`, { reason: '遗失' })
  t.match((await acts(`agent ${agent}`))[0], { act: 'agent.revoke', agency: 'city', via: 'session' })
  t.same(await acts('resource nothing'), [])
})
