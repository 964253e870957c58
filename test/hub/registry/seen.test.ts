/** Nobody decides on what they never saw: decisions name the revision that was looked at (Art. 5, 7, 10, 16). */
import t from 'tap'
import type { Role } from '../../../hub/records/roles.ts'
import { openCity, person, type Answer, type Caller, type City } from '../city.ts'
import { enrolled } from '../office.ts'
import { licences, register, secrecy, submitAndPublish } from './catalog/fixture.ts'

const withLabel = (label: string) => licences((c) => void (c.items[3]!.label = label))

async function published(test: Pick<typeof t, 'teardown'>): Promise<{ city: City; agent: string }> {
  const city = await openCity(test)
  await enrolled(city, 'civil')
  const { id: agent } = await enrolled(city, 'water')
  t.equal((await register(city, 'civil', licences(), { resource: 'ads' })).status, 200)
  return { city, agent }
}

async function applied(city: City, agent: string): Promise<string> {
  const user = city.as('water', 'user')
  const wanted = { resource: 'ads', mode: 'exchange', items: ['holder', 'place'], purpose: '核验', basis: '三定方案', agent }
  const { id } = (await user.post('/applications', wanted)).body
  t.equal((await user.post(`/applications/${id}/submit`)).status, 200)
  return `/applications/${id}`
}

async function publishNext(city: City, change: Parameters<typeof licences>[0], said: object = {}): Promise<void> {
  const { id } = (await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content: licences(change) })).body
  const answer = await submitAndPublish(city, 'civil', id, said)
  t.equal(answer.status, 200, answer.text)
}

const conditional = (c: Parameters<NonNullable<Parameters<typeof licences>[0]>>[0]) =>
  Object.assign(c, { sharing: 'conditional', sharingConditions: '法定职责' })

/** Each decision that somebody may be too late for: what is decided on, by whom, and what another does meanwhile. */
const decisions: Record<
  string,
  (
    city: City,
    agent: string,
  ) => Promise<{ path: string; event: string; body?: object; by: [string, Role]; meanwhile: () => Promise<unknown>; who: RegExp }>
> = {
  'a registration is published': async (city) => {
    const registrar = city.as('civil', 'registrar')
    const { id } = (await registrar.post('/registrations', { resource: 'ads', content: withLabel('位置') })).body
    const path = `/registrations/${id}`
    await registrar.post(`${path}/submit`, { secrecy })
    const meanwhile = async () => {
      await registrar.post(`${path}/recall`)
      await registrar.post(`${path}/change`, { content: withLabel('法定代表人住址') })
      t.equal((await registrar.post(`${path}/submit`, { secrecy })).status, 200)
    }
    return { path, event: 'publish', by: ['civil', 'reviewer'], meanwhile, who: /civil registrar/ }
  },
  'a registration is returned': async (city) => ({
    ...(await decisions['a registration is published']!(city, '')),
    event: 'return',
    body: { reason: '摘要过于简单' },
  }),
  'an application is approved': async (city, agent) => ({
    path: await applied(city, agent),
    event: 'approve',
    by: ['city', 'office'],
    meanwhile: () => publishNext(city, (c) => void (c.abstract = '另一说明')),
    who: /civil reviewer/,
  }),
  'an application is rejected': async (city, agent) => ({
    ...(await decisions['an application is approved']!(city, agent)),
    event: 'reject',
    body: { reason: '依据不足' },
  }),
  'a provider consents': async (city, agent) => {
    await publishNext(city, conditional)
    const meanwhile = () => publishNext(city, (c) => Object.assign(conditional(c), { sharingConditions: '另一条件' }))
    return { path: await applied(city, agent), event: 'consent', by: ['civil', 'reviewer'], meanwhile, who: /civil reviewer/ }
  },
  'a provider objects': async (city, agent) => ({
    ...(await decisions['a provider consents']!(city, agent)),
    event: 'object',
    body: { reason: '与职能无关' },
  }),
  'a receiver accepts a version': async (city, agent) => {
    const path = await applied(city, agent)
    const { grants } = (await city.as('city', 'office').post(`${path}/approve`)).body
    await publishNext(city, (c) => void (c.items[3]!.label = '地点二'))
    const meanwhile = () => publishNext(city, (c) => void (c.items[3]!.label = '地点三'))
    return {
      path: `/grants/${grants[0].id}`,
      event: 'accept',
      body: { items: ['place'] },
      by: ['water', 'user'],
      meanwhile,
      who: /civil reviewer/,
    }
  },
  'a standard is published': async (city) => {
    const { title, abstract, subject, licence, table, items } = licences()
    const form = { title, abstract, subject, licence, table, items, optional: [] }
    await city.as('city', 'office').post('/standards', { code: 'permits', form })
    const colleague = await person(city, city.app, 'city', 'office')
    const meanwhile = () => colleague.post('/standards/permits/change', { form: { ...form, title: '另一标题' } })
    return { path: '/standards/permits', event: 'publish', by: ['city', 'office'], meanwhile, who: /city office/ }
  },
}

for (const [name, make] of Object.entries(decisions)) {
  t.test(name, async (t) => {
    const { city, agent } = await published(t)
    const { path, event, body = {}, by, meanwhile, who } = await make(city, agent)
    const decider = city.as(...by)
    const looked = (await decider.get(path)).body
    const bare = await city.app.inject({
      method: 'POST',
      url: `/api/v1${path}/${event}`,
      headers: { authorization: `Bearer ${decider.secret}` },
      payload: body,
    })
    t.match({ status: bare.statusCode, ...bare.json<object>() }, { status: 428, code: 'QZ-REVISION-MISSING', who: 'requester' })
    await meanwhile()
    const before = (await decider.get(path)).body
    const late = await decider.post(`${path}/${event}`, body, looked.revision)
    t.match(late, { status: 412, body: { code: 'QZ-REVISION', detail: { zh: who, en: who } } })
    t.same((await decider.get(path)).body, before, 'nothing has happened')
    const decided = await decider.post(`${path}/${event}`, body, before.revision)
    t.equal(decided.status, 200, decided.text)
    t.not(decided.body.revision, before.revision)
    const [line] = await city.store.query<{ seen: string }>(
      `select details ->> 'seen' as seen from history where event = $1 order by id desc limit 1`,
      [event],
    )
    t.equal(line?.seen, before.revision, 'on record is what it was decided on')
  })
}

t.test('what is shared under conditions by now asks its provider, also during the review; and the other way about', async (t) => {
  const { city, agent } = await published(t)
  const path = await applied(city, agent)
  const office = city.as('city', 'office')
  const state = async () => (await office.get(path)).body.state
  t.equal(await state(), 'reviewing')
  await publishNext(city, conditional)
  t.equal(await state(), 'consulting')
  t.match((await city.as('civil', 'reviewer').get('/notices')).body.items[0], { kind: 'application-consent' })
  t.match(await office.post(`${path}/approve`), { status: 409 }, 'not without the provider')
  await publishNext(city, () => undefined)
  t.equal(await state(), 'reviewing', 'nobody waits for an answer that is not needed')
  t.same((await office.get(path)).body.consents, [])
  await publishNext(city, conditional)
  t.equal((await city.as('civil', 'reviewer').post(`${path}/consent`)).body.state, 'reviewing')
  t.match((await office.post(`${path}/approve`)).body, { state: 'approved', grants: [{ state: 'active' }] })
})

t.test('If-Match is one ETag, and the same as an answer gives', async (t) => {
  const { city, agent } = await published(t)
  const path = await applied(city, agent)
  const office: Caller = city.as('city', 'office')
  const send = (method: 'GET' | 'POST', url: string, match?: string) =>
    city.app.inject({
      method,
      url: `/api/v1${url}`,
      headers: { authorization: `Bearer ${office.secret}`, ...(match !== undefined && { 'if-match': match }) },
    })
  const { headers } = await send('GET', path)
  t.match(headers.etag, /^"\d+\.[0-9a-f]{8}"$/)
  t.equal((await send('POST', `${path}/approve`, 'W/"1"')).statusCode, 400)
  t.equal((await send('POST', `${path}/approve`, '*')).statusCode, 428, 'anything is nothing that was seen')
  t.equal((await send('POST', `${path}/approve`, headers.etag as string)).statusCode, 200)
  const listed: Answer = await office.get('/applications')
  t.equal(listed.body.items[0].revision, (await office.get(path)).body.revision, 'lists have it too')
})
