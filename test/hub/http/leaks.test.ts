/** What somebody with a valid account must not see, nor reach through what they send. */
import t from 'tap'
import { seal } from '../../../hub/supervision/audit/sealer.ts'
import type { Role } from '../../../hub/records/roles.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { objectKinds } from '../../../hub/access/relations.ts'
import { reachOf } from '../../../hub/access/authorise.ts'
import { rights, type OperationName } from '../../../hub/access/rights.ts'
import { agencyRoles, openCity, person, type Caller, type City } from '../city.ts'
import { makeObject, openObjects } from '../objects.ts'
import { enrolled, villages } from '../office.ts'

/** The civil agency's villages, which the water agency receives. */
async function shared(test: Pick<typeof t, 'teardown'>, services = {}): Promise<City> {
  const city = await openCity(test, services)
  await publishResource(city, 'admin', { schema: villages() })
  await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  return city
}

const wanted = { resource: 'villages', mode: 'query', items: ['name'], purpose: '防汛通知', basis: '防汛条例第七条' }

t.test('what was never submitted is nobody else’s: neither read, listed, nor told by its history', async (t) => {
  const city = await shared(t)
  const user = city.as('water', 'user')
  const others = [city.as('civil', 'reviewer'), city.as('city', 'office'), city.as('city', 'supervisor')]
  const { id } = (await user.post('/applications', wanted)).body
  for (const state of ['draft', 'withdrawn']) {
    if (state === 'withdrawn') await user.post(`/applications/${id}/withdraw`)
    t.equal((await user.get(`/applications/${id}`)).body.state, state)
    t.equal((await user.get(`/history/application/${id}`)).status, 200)
    t.equal((await user.get('/applications')).body.items.length, 1)
    for (const other of others) {
      const who = `${state}, ${other.principal.name}`
      t.equal((await other.get(`/applications/${id}`)).status, 404, who)
      t.equal((await other.get(`/history/application/${id}`)).status, 404, who)
      t.same((await other.get('/applications')).body.items, [], who)
    }
  }
  const second = (await user.post('/applications', wanted)).body.id
  await user.post(`/applications/${second}/submit`)
  for (const other of others) t.equal((await other.get(`/history/application/${second}`)).status, 200, 'submitted')

  const { form } = standardBody
  await city.as('city', 'office').post('/standards', { code: 'secret-plan', form })
  t.equal((await city.as('city', 'office').get('/history/standard/secret-plan')).status, 200)
  t.equal((await user.get('/history/standard/secret-plan')).status, 404)
})

const standardBody = {
  form: {
    title: '双公示',
    abstract: '许可',
    subject: 'other',
    licence: false,
    table: 'plans',
    items: [{ id: 'number', name: 'number', label: '编号', type: 'text', length: 60, key: true, openness: 'public' }],
    optional: [],
  },
}

t.test('nothing that tells row values reaches who only watches', async (t) => {
  const asked = ['秘密预览甲', '秘密预览乙']
  const ask = async () => ({ items: ['code', 'name'], rows: [asked], faults: [], warned: 0, omitted: 0 })
  const city = await shared(t, { asks: { ask: ask as never } })
  const [user, office] = [city.as('water', 'user'), city.as('city', 'office')]
  const told = { key: { code: '秘密主键' }, items: ['name'], fault: '秘密错误', wanted: '秘密应为' }
  const { id } = (await user.post('/corrections', { resource: 'villages', ...told })).body
  await office.post(`/corrections/${id}/pass`)
  await city.as('civil', 'reviewer').post(`/corrections/${id}/answer`, { result: 'corrected', answer: '秘密答复' })
  await office.post(`/corrections/${id}/close`)
  t.equal((await user.post(`/corrections/${id}/reopen`, { reason: '秘密仍有误' })).body.state, 'passed')
  await enrolled(city, 'civil')
  const application = (await user.post('/applications', wanted)).body.id
  await user.post(`/applications/${application}/submit`)
  t.same((await office.post(`/applications/${application}/preview`)).body.rows, [asked])
  await city.as('civil', 'reviewer').get(`/corrections/${id}`)

  await seal(city.store)
  const paths = ['/audit', '/feed', '/audit/export', '/notices', '/corrections', `/corrections/${id}`, `/history/correction/${id}`]
  paths.push('/deadlines', `/history/application/${application}`, '/applications', '/grants')
  const watchers: Record<string, Caller> = {
    supervisor: city.as('city', 'supervisor'),
    'a supervisor with another office': await person(city, city.app, 'city', 'supervisor', 'secrecy'),
    'a supervisor of an agency that is no party': await person(city, city.app, 'health', 'supervisor', 'user', 'reviewer'),
    auditor: city.as('city', 'audit-admin'),
  }
  for (const [who, watcher] of Object.entries(watchers)) {
    let seen = 0
    for (const path of paths) {
      const { status, text } = await watcher.get(path)
      if (status === 200) seen++
      t.notMatch(text, /秘密/, `${who}: ${path}`)
    }
    t.ok(seen >= 3, `${who} sees ${seen}`)
  }
  for (const party of [office, user, city.as('civil', 'registrar')]) {
    t.match((await party.get(`/corrections/${id}`)).body, { ...told, answer: '秘密答复', reason: '秘密仍有误' })
    t.match((await party.get('/corrections')).body.items, [told])
  }
  const both = await person(city, city.app, 'water', 'supervisor', 'user')
  t.match((await both.get('/corrections')).body.items, [told], 'of the own agency, whatever else one is')
})

t.test('what the secrecy supervisor has stopped is not looked at either', async (t) => {
  let asks = 0
  const ask = async () => (asks++, { items: ['code', 'name'], rows: [['1', '2']], faults: [], warned: 0, omitted: 0 })
  const city = await shared(t, { asks: { ask: ask as never } })
  await enrolled(city, 'civil')
  const user = city.as('water', 'user')
  const { id } = (await user.post('/applications', wanted)).body
  await user.post(`/applications/${id}/submit`)
  const preview = (who: Caller) => who.post(`/applications/${id}/preview`)
  t.equal((await preview(city.as('city', 'office'))).status, 200)
  await city.as('city', 'secrecy').post('/resources/villages/stop', { reason: '疑似涉密' })
  for (const who of [city.as('city', 'office'), city.as('civil', 'reviewer')])
    t.match(await preview(who), { status: 422, body: { code: 'QZ-RULE' } }, who.principal.name)
  t.equal(asks, 1, 'the agent is not even asked')
})

t.test('why a resource was stopped is for those whom it concerns', async (t) => {
  const city = await shared(t)
  await city.as('city', 'secrecy').post('/resources/villages/stop', { reason: '疑似涉密' })
  const reads = async (caller: Caller) => (await caller.get('/history/resource/villages')).body.items
  for (const caller of [city.as('civil', 'user'), city.as('water', 'user'), city.as('city', 'office'), city.as('city', 'secrecy')])
    t.match(await reads(caller), [{ event: 'stop', details: { reason: '疑似涉密' } }], caller.principal.name)
  t.match(await reads(city.as('health', 'user')), [{ event: 'stop', to: 'suspended', details: {} }])
  t.notMatch(JSON.stringify(await reads(city.as('health', 'user'))), /涉密/)
})

t.test('what fails inside says nothing of the inside', async (t) => {
  const city = await shared(t)
  await city.store.query('alter table demand rename to hidden_table')
  const answer = await city.as('water', 'user').get('/demands')
  t.match(answer, { status: 500, body: { code: 'QZ-INTERNAL' } })
  t.notMatch(answer.text, /demand d|relation|exist/)
})

t.test('a machine’s key reads, drafts and asks; what somebody answers for it does not do', async (t) => {
  const city = await shared(t)
  const objects = await openObjects(city, { provider: 'civil', receiver: 'water' })
  const key = async (agency: string, role: Role) => {
    const { body } = await city.as('city', 'security-admin').post('/keys', { agency, name: 'machine', role })
    return city.caller(body.secret)
  }
  const refused = async (caller: Caller, path: string, body: object = {}) =>
    t.match(await caller.post(path, body), { status: 403, body: { code: 'QZ-FORBIDDEN' } }, path)
  const supervisor = await key('city', 'supervisor')
  await refused(supervisor, '/orders', { agency: 'civil', cause: 'update', text: '请更新', due: '2026-12-15' })
  const order = await makeObject(objects, 'order', 'answered')
  await refused(supervisor, `/orders/${order}/close`)
  await refused(supervisor, `/orders/${order}/reject-answer`, { reason: '不足' })
  await refused(supervisor, `/orders/${await makeObject(objects, 'order', 'transferred')}/conclude`, { result: '完' })
  t.equal((await supervisor.get('/feed')).status, 200)

  const registrar = await key('civil', 'registrar')
  await refused(registrar, '/declarations', { kind: 'force-majeure', text: '台风', measures: '抢修' })
  await refused(registrar, `/declarations/${await makeObject(objects, 'declaration', 'drafted')}/withdraw`)
  await refused(registrar, `/corrections/${await makeObject(objects, 'correction', 'passed')}/answer`, {
    result: 'no-error',
    answer: '无误',
  })
  t.equal((await registrar.post('/registrations', { content: { title: '草稿' } })).status, 200)

  const user = await key('water', 'user')
  await refused(user, `/grants/${await makeObject(objects, 'grant', 'active')}/give-up`, { reason: '不用' })
  await refused(user, `/grants/${await makeObject(objects, 'grant', 'held')}/accept`, { items: ['name'] })
  const drafted = await user.post('/applications', wanted)
  t.equal(drafted.status, 200)
  t.equal((await user.post(`/applications/${drafted.body.id}/submit`)).status, 200)
})

t.test('a list shows what one may read, and all of it', async (t) => {
  const city = await openCity(t)
  for (const parties of [
    { provider: 'civil', receiver: 'water' },
    { provider: 'water', receiver: 'health' },
    { provider: 'strangers', receiver: 'civil' },
  ]) {
    const objects = await openObjects(city, parties)
    for (const kind of objectKinds) await makeObject(objects, kind)
  }
  const lists: Partial<Record<(typeof objectKinds)[number], string>> = {
    person: '/people',
    registration: '/registrations',
    grant: '/grants',
    machine: '/machines',
    demand: '/demands',
    publication: '/publications',
    opening: '/openings',
    correction: '/corrections',
    declaration: '/declarations',
    order: '/orders',
    evaluation: '/evaluations',
    application: '/applications',
  }
  const callers = ['civil', 'water', 'health'].flatMap((agency) => agencyRoles.map((role) => city.as(agency, role)))
  for (const caller of [...callers, ...(['office', 'government', 'supervisor', 'secrecy'] as const).map((role) => city.as('city', role))]) {
    for (const [kind, path] of Object.entries(lists)) {
      const name = `${kind}.read` as OperationName
      if (!Object.hasOwn(rights, name) || reachOf(caller.principal, name).size === 0) continue
      const who = `${path} by ${caller.principal.name}`
      const listed = (await caller.get(`${path}?limit=100`)).body.items.map(({ id }: { id: string }) => id)
      const table =
        { grant: 'access_grant', machine: 'machine_application', publication: 'publication_request', order: 'rectification_order' }[kind] ??
        kind
      const all = await city.store.query<{ id: string }>(`select id::text from ${table}`)
      const readable: string[] = []
      for (const { id } of all) if ((await caller.get(`${path}/${id}`)).status === 200) readable.push(id)
      t.same(listed.toSorted(), readable.toSorted(), who)
    }
  }
})

t.test('what one’s agency does not have is not reached by naming it', async (t) => {
  const city = await shared(t)
  const theirs = await enrolled(city, 'water')
  const machine = await enrolled(city, 'civil')
  const healthUser = city.as('health', 'user')
  const refuse = async (work: Promise<{ status: number; text: string }>, status: number, what: string) => {
    const answer = await work
    t.equal(answer.status, status, `${what}: ${answer.text.slice(0, 200)}`)
  }
  const { id } = (await healthUser.post('/applications', { ...wanted, mode: 'exchange', agent: theirs.id })).body
  await refuse(healthUser.post(`/applications/${id}/submit`), 422, 'another agency’s machine')
  const publication = { items: ['name'], place: '网站', purpose: '公示', source: '民政局' }
  const foreign = await healthUser.post('/publications', { grant: 'villages.water', ...publication })
  const unknown = await healthUser.post('/publications', { grant: 'villages.nobody', ...publication })
  t.match([foreign.status, unknown.status], [404, 404], 'another agency’s grant is as if there were none')
  await refuse(healthUser.post('/corrections', { resource: 'villages', fault: '错' }), 422, 'what is not received')
  await refuse(
    city.as('health', 'agency-it').post('/machines', { name: 'x', purpose: 'x', providedBy: 'agency', replaces: machine.id }),
    422,
    'replaces',
  )
  await refuse(city.as('health', 'agency-it').get(`/tables?agent=${machine.id}`), 403, 'tables')
  await refuse(city.as('health', 'registrar').post('/tables/proposal', { agent: machine.id, database: 'a', table: 'b' }), 403, 'proposal')
  await refuse(
    city.as('health', 'registrar').post('/declarations', { kind: 'no-change', resource: 'villages', period: '2026-Q4', text: '无' }),
    422,
    'declaration',
  )
  await refuse(city.as('health', 'registrar').post('/registrations', { resource: 'villages' }), 409, 'registration')
  const demand = (await city.as('water', 'user').post('/demands', { title: 'a', what: 'b', why: 'c', basis: 'd' })).body.id
  await city.as('city', 'office').post(`/demands/${demand}/assign`, { provider: 'civil' })
  await refuse(city.as('health', 'registrar').post('/registrations', { demand }), 422, 'demand')
  const draft = (await city.as('health', 'registrar').post('/registrations', { content: { producer: machine.id } })).body.id
  const { faults } = (await city.as('health', 'registrar').get(`/registrations/${draft}/check`)).body
  t.ok(faults.some(({ field }: { field: string }) => field === 'producer'))
  const civilPerson = city.as('civil', 'user').principal.person
  await refuse(
    city.as('health', 'reviewer').put('/agencies/health/responsible', { responsible: civilPerson, deputy: null }),
    422,
    'responsible',
  )
  await refuse(
    city.as('health', 'reviewer').post('/agencies/health/handover', { from: civilPerson, to: healthUser.principal.person, reason: 'x' }),
    422,
    'handover',
  )
  await city.as('city', 'office').post(`/demands/${demand}/refuse`, { reason: '无' })
  const [notice] = (await city.as('water', 'user').get('/notices')).body.items
  await healthUser.post('/notices/read', { ids: [notice.id] })
  t.equal((await city.as('water', 'user').get('/notices')).body.items[0].read, false, 'another’s notice')
})

t.test('who manages accounts gives no roles, also not by handing them over', async (t) => {
  const city = await openCity(t)
  const admin = city.as('city', 'system-admin')
  const puppet = (await admin.post('/people', { agency: 'city', login: 'puppet', name: 'Puppet' })).body.person.id
  const from = city.as('city', 'office').principal.person
  t.match(await admin.post('/agencies/city/handover', { from, to: puppet, reason: '调离' }), {
    status: 403,
    body: { code: 'QZ-FORBIDDEN' },
  })
  const security = city.as('city', 'security-admin')
  t.match(await security.post('/agencies/city/handover', { from, to: puppet, reason: '调离' }), {
    status: 200,
    body: { roles: ['office'] },
  })
})
