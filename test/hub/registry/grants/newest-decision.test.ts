/**
 * Only an approval gives access, the newest decision counts, what was taken away stays away (Art. 7, 16, 21), and what may not be shared
 * does not flow (Art. 5, 17, 26, 27): the cases that were seen. Random histories are in model/sharing.test.ts.
 */
import t from 'tap'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import type { CatalogContent } from '../../../../hub/registry/catalog/content.ts'
import type { StandardForm } from '../../../../hub/registry/catalog/standard-form.ts'
import { keepGrants } from '../../../../hub/registry/grants/grant-queries.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled } from '../../office.ts'
import { always, licences, register, secrecy, textItem } from '../catalog/fixture.ts'

const hubKey = generateSigningKey()

async function policyOf(city: City, agent: string) {
  const { jws } = await currentPolicy(city.store, hubKey, agent, 0, city.now, { days: 30 })
  return openPolicy(jws, hubKey.publicKey, agent, 0)
}

const form: StandardForm = {
  title: '行政许可',
  abstract: '各单位的行政许可决定',
  subject: 'enterprise',
  licence: false,
  table: 'licences',
  classification: '104',
  items: [
    textItem('number', '文号', { key: true }),
    textItem('holder', '机构名称', { role: 'institution-name', openness: 'public' }),
    textItem('uscc', '统一社会信用代码', { role: 'uscc', length: 18 }),
    textItem('place', '地点'),
    ...always,
  ],
  optional: [],
}

const metadata = { title: '许可', sharing: 'unconditional', cycle: 'daily', supplyMode: 'front-end' }

/** A standard, and the registration of a resource by it that waits for its reviewer. */
async function adopting(city: City, agency: string, code: string): Promise<{ id: string; resource: string }> {
  const registrar = city.as(agency, 'registrar')
  const { body } = await registrar.post(`/standards/${code}/adopt`)
  await registrar.post(`/registrations/${body.id}/change`, { content: { ...body.content, ...metadata, title: `${agency} 许可` } })
  t.equal((await registrar.post(`/registrations/${body.id}/submit`, { secrecy })).status, 200)
  return { id: body.id, resource: body.resource }
}

async function standard(city: City): Promise<void> {
  await city.as('city', 'office').post('/standards', { code: 'permits', form })
  t.equal((await city.as('city', 'office').post('/standards/permits/publish')).status, 200)
}

interface Wanted {
  resource?: string
  standard?: string
  items: string[]
}

async function approved(city: City, agent: string, wanted: Wanted): Promise<string> {
  const user = city.as('water', 'user')
  const asked = { mode: 'exchange', purpose: '核验', basis: '三定方案', until: '2027-12-31', agent, ...wanted }
  const { id } = (await user.post('/applications', asked)).body
  t.equal((await user.post(`/applications/${id}/submit`)).status, 200)
  const answer = await city.as('city', 'office').post(`/applications/${id}/approve`)
  t.equal(answer.status, 200, answer.text)
  return id
}

/** What publications do, over and over: the entry is put into force again. */
async function publishAgain(city: City, resource: string): Promise<void> {
  const reviewer = city.as('civil', 'reviewer')
  const { keep } = (await reviewer.get(`/resources/${resource}`)).body.content
  t.equal((await reviewer.put(`/resources/${resource}/keep`, { keep: keep === 'store' ? 'relay' : 'store' })).status, 200)
}

t.test('an approval whose place a later one took gives nothing any more, nor does a late consent', async (t) => {
  const city = await openCity(t)
  await enrolled(city, 'civil')
  const { id: agent } = await enrolled(city, 'water')
  const conditional = (c: CatalogContent) => void Object.assign(c, { sharing: 'conditional', sharingConditions: '法定职责' })
  await register(city, 'civil', licences(conditional), { resource: 'ads' })
  const user = city.as('water', 'user')
  const ids: string[] = []
  for (const items of [['holder', 'place'], ['holder']]) {
    const asked = { mode: 'exchange', purpose: '核验', basis: '三定方案', until: '2027-12-31', agent, resource: 'ads', items }
    const { id } = (await user.post('/applications', asked)).body
    await user.post(`/applications/${id}/submit`)
    await city.as('civil', 'reviewer').post(`/applications/${id}/consent`)
    t.equal((await city.as('city', 'office').post(`/applications/${id}/approve`)).status, 200)
    ids.push(id)
  }
  const { id: grant } = (await city.as('city', 'office').get('/grants')).body.items[0]
  t.equal((await city.as('city', 'office').post(`/grants/${grant}/revoke`, { reason: '滥用' })).status, 200)
  for (const id of ids) await city.as('civil', 'reviewer').post(`/applications/${id}/consent`)
  await publishAgain(city, 'ads')
  t.same((await policyOf(city, agent)).receive, [])
})

t.test('who was revoked is given access at once no more: the office decides', async (t) => {
  const city = await openCity(t)
  city.applications = { grantAtOnce: true }
  await register(city, 'civil', licences(), { resource: 'ads' })
  const user = city.as('water', 'user')
  const ask = async () => {
    const asked = { mode: 'query', purpose: '核验', basis: '三定方案', until: '2027-12-31', resource: 'ads', items: ['holder'] }
    const { id } = (await user.post('/applications', asked)).body
    return (await user.post(`/applications/${id}/submit`)).body.state as string
  }
  t.equal(await ask(), 'approved')
  const { id } = (await city.as('city', 'office').get('/grants')).body.items[0]
  await city.as('city', 'office').post(`/grants/${id}/revoke`, { reason: '滥用' })
  t.equal(await ask(), 'reviewing')
})

t.test('nobody adopts a standard that was withdrawn meanwhile; an adopter goes on, and may close its own items', async (t) => {
  const city = await openCity(t)
  await enrolled(city, 'civil')
  const { id: agent } = await enrolled(city, 'water')
  await standard(city)
  const first = await adopting(city, 'civil', 'permits')
  t.equal((await city.as('civil', 'reviewer').post(`/registrations/${first.id}/publish`)).status, 200)
  await approved(city, agent, { standard: 'permits', items: ['holder', 'place'] })
  const late = await adopting(city, 'health', 'permits')
  await city.as('city', 'office').post('/standards/permits/withdraw')
  const refused = await city.as('health', 'reviewer').post(`/registrations/${late.id}/publish`)
  t.equal(refused.body.code, 'QZ-RULE')
  t.match(refused.text, /withdrawn/)
  t.equal((await policyOf(city, agent)).receive.length, 1)
  const registrar = city.as('civil', 'registrar')
  const { content } = (await registrar.get(`/resources/${first.resource}`)).body
  content.items.find(({ id }: { id: string }) => id === 'place').openness = 'closed'
  const { id } = (await registrar.post('/registrations', { resource: first.resource, content })).body
  t.equal((await registrar.post(`/registrations/${id}/submit`, { secrecy })).status, 200)
  t.equal((await city.as('civil', 'reviewer').post(`/registrations/${id}/publish`)).status, 200)
  const [route] = (await policyOf(city, agent)).receive
  t.notOk(route?.items.includes('place'))
})

function withheld(c: CatalogContent, secret: boolean): void {
  Object.assign(c, { sharing: 'none', sharingConditions: '保密法第九条', secrecy: secret })
  for (const item of c.items) item.openness = 'internal'
}

for (const [name, change, removed] of [
  ['not shared', (c: CatalogContent) => withheld(c, false), false],
  ['secret', (c: CatalogContent) => withheld(c, true), true],
  ['not exchanged', (c: CatalogContent) => void (c.shareModes = ['query']), false],
] as const) {
  t.test(`what is ${name} from a version on flows no more, its provider is not told to send it, and everybody is told`, async (t) => {
    const city = await openCity(t)
    const { id: from } = await enrolled(city, 'civil')
    const { id: agent } = await enrolled(city, 'water')
    await register(city, 'civil', licences(), { resource: 'ads' })
    await approved(city, agent, { resource: 'ads', items: ['holder'] })
    t.equal((await policyOf(city, from)).supply.length, 1)
    t.equal((await policyOf(city, agent)).receive.length, 1)
    const answer = await register(city, 'civil', licences(change), { resource: 'ads' })
    t.equal(answer.status, 200, answer.text)
    const policy = await policyOf(city, agent)
    t.same([policy.receive, policy.ended?.map(({ data }) => data) ?? []], [[], removed ? ['remove'] : []])
    t.equal((await policyOf(city, from)).supply.length, name === 'not exchanged' ? 1 : 0)
    const [grant] = (await city.as('city', 'office').get('/grants')).body.items
    t.equal(grant.state, 'revoked')
    const told = await city.store.query(`select from notice where object = $1 and agency = 'water' and zh like '%不%'`, [
      `grant ${grant.id}`,
    ])
    t.ok(told.length > 0)
    // Shared again, it is asked for again.
    await register(city, 'civil', licences(), { resource: 'ads' })
    t.same((await policyOf(city, agent)).receive, [])
  })
}

t.test('a resource all of whose items are closed is not granted by its key', async (t) => {
  const city = await openCity(t)
  const { id: agent } = await enrolled(city, 'water')
  const closed = (c: CatalogContent) => c.items.forEach((item) => !item.key && (item.openness = 'closed'))
  t.equal((await register(city, 'civil', licences(closed), { resource: 'ads' })).status, 200)
  const user = city.as('water', 'user')
  const asked = { mode: 'exchange', purpose: '核验', basis: '三定方案', until: '2027-12-31', agent, resource: 'ads', items: ['number'] }
  const { id } = (await user.post('/applications', asked)).body
  t.equal((await user.post(`/applications/${id}/submit`)).body.code, 'QZ-RULE')
})

t.test('a consent to publish ends with what it stands on, and its receiver is told to stop', async (t) => {
  const ends: Record<string, (city: City, grant: string) => Promise<unknown>> = {
    'the grant': (city, grant) => city.as('city', 'office').post(`/grants/${grant}/revoke`, { reason: '滥用' }),
    'the resource': (city) => city.as('civil', 'reviewer').post('/resources/ads/withdraw', { reason: '职能调整' }),
    'a stop for secrecy': (city) => city.as('city', 'secrecy').post('/resources/ads/stop', { reason: '疑似涉密' }),
    'the closing of its item': (city) =>
      register(
        city,
        'civil',
        licences((c) => void (c.items.find(({ id }) => id === 'place')!.openness = 'closed')),
        { resource: 'ads' },
      ),
  }
  for (const [name, end] of Object.entries(ends)) {
    const city = await openCity(t)
    const { id: agent } = await enrolled(city, 'water')
    await register(city, 'civil', licences(), { resource: 'ads' })
    await approved(city, agent, { resource: 'ads', items: ['holder', 'place'] })
    const [grant] = (await city.as('city', 'office').get('/grants')).body.items
    const asked = { grant: grant.id, items: ['place'], place: 'https://data.city', purpose: '公示', source: '民政局' }
    const { id } = (await city.as('water', 'user').post('/publications', asked)).body
    t.equal((await city.as('civil', 'reviewer').post(`/publications/${id}/consent`)).status, 200)
    await keepGrants(city)
    const state = async () =>
      (await city.store.query<{ state: string }>('select state from publication_request where id = $1', [id]))[0]!.state
    t.equal(await state(), 'consented')
    await end(city, grant.id)
    await keepGrants(city)
    t.equal(await state(), 'ended', name)
    const told = await city.store.query(`select from notice where object = $1 and agency = 'water' and zh like '%停止公开%'`, [
      `publication ${id}`,
    ])
    t.equal(told.length, 1)
  }
})
