/** Whatever can be edited has a revision: of two who edit the same, the later is told who did what since they looked. */
import t from 'tap'
import { operations } from '../../../hub/operations/index.ts'
import { openCity, person, type Answer, type Caller, type City } from '../city.ts'
import { licences, register } from './catalog/fixture.ts'

interface Edit {
  read: string
  /** Two edits, each by another person, where there are two who may. */
  one: (seen?: string) => Promise<Answer>
  other: (seen?: string) => Promise<Answer>
  /** Who does the first, and what it is called. */
  who: string
  what: string
}

async function edits(city: City): Promise<Record<string, Edit>> {
  const { app } = city
  const [office, system, security] = [city.as('city', 'office'), city.as('city', 'system-admin'), city.as('city', 'security-admin')]
  const second: Record<string, Caller> = {}
  for (const role of ['office', 'system-admin', 'security-admin'] as const) second[role] = await person(city, app, 'city', role)
  const [reviewer, secondReviewer] = [city.as('civil', 'reviewer'), await person(city, app, 'civil', 'reviewer')]
  const [registrar, secondRegistrar] = [city.as('civil', 'registrar'), await person(city, app, 'civil', 'registrar')]
  const [user, secondUser] = [city.as('water', 'user'), await person(city, app, 'water', 'user')]
  const some = (await person(city, app, 'civil', 'user')).principal.person!
  const { resource } = (await register(city, 'civil', licences())).body
  const { id: draft } = (await registrar.post('/registrations', { content: licences((c) => void (c.title = '另一')) })).body
  const { id: applied } = (await user.post('/applications', { resource, mode: 'query', items: ['holder'], purpose: '核验', basis: '三定' }))
    .body
  await office.post('/standards', { code: 'form', form: form('一') })
  await city.store.query(
    `insert into access_grant (id, resource, agency, items, mode, basis) values ('shared', $1, 'water', '{holder}', 'api', nextval('decision'))`,
    [resource],
  )
  await city.store.query(
    `insert into api_client (id, access_grant, name, created_by, created_at) values ('hook', 'shared', '推送', 'test', now())`,
  )
  await city.store.query(`insert into webhook (client, url, next_at) values ('hook', 'https://push.test/', 'infinity')`)
  const evaluation = (await office.post('/evaluations', { period: '2026-Q4' })).body.id
  const [one, two] = [registrar, reviewer].map(({ principal }) => principal.person)
  const ask = (items: string[]) => ({ mode: 'query', items, purpose: '核验', basis: '三定' })
  return {
    'agency.change': {
      read: '/agencies/health',
      one: (seen) => office.patch('/agencies/health', { name: '卫生局' }, seen),
      other: (seen) => system.patch('/agencies/health', { kind: 'other' }, seen),
      who: 'city office',
      what: '修改、撤销机关单位',
    },
    'agency.responsible': {
      read: '/agencies/civil',
      one: (seen) => reviewer.put('/agencies/civil/responsible', { responsible: one, deputy: two }, seen),
      other: (seen) => office.put('/agencies/civil/responsible', { responsible: two, deputy: null }, seen),
      who: 'civil reviewer',
      what: '指定负责人和联系人',
    },
    'person.change': {
      read: `/people/${some}`,
      one: (seen) => system.patch(`/people/${some}`, { phone: '1' }, seen),
      other: (seen) => second['system-admin']!.patch(`/people/${some}`, { phone: '2' }, seen),
      who: 'city system-admin',
      what: '修改姓名和联系方式',
    },
    'person.roles': {
      read: `/people/${some}`,
      one: (seen) => security.put(`/people/${some}/roles`, { roles: ['registrar'] }, seen),
      other: (seen) => second['security-admin']!.put(`/people/${some}/roles`, { roles: ['reviewer'] }, seen),
      who: 'city security-admin',
      what: '分配角色',
    },
    'resource.keep': {
      read: `/resources/${resource}`,
      one: (seen) => reviewer.put(`/resources/${resource}/keep`, { keep: 'relay' }, seen),
      other: (seen) => secondReviewer.put(`/resources/${resource}/keep`, { keep: 'store' }, seen),
      who: 'civil reviewer',
      what: '',
    },
    'registration.change': {
      read: `/registrations/${draft}`,
      one: (seen) => registrar.post(`/registrations/${draft}/change`, { content: { title: '一' } }, seen),
      other: (seen) => secondRegistrar.post(`/registrations/${draft}/change`, { content: { title: '二' } }, seen),
      who: 'civil registrar',
      what: '修改登记内容',
    },
    'standard.change': {
      read: '/standards/form',
      one: (seen) => office.post('/standards/form/change', { form: form('二') }, seen),
      other: (seen) => second['office']!.post('/standards/form/change', { form: form('三') }, seen),
      who: 'city office',
      what: '修改数据标准',
    },
    'application.change': {
      read: `/applications/${applied}`,
      one: (seen) => user.post(`/applications/${applied}/change`, ask(['place']), seen),
      other: (seen) => secondUser.post(`/applications/${applied}/change`, ask(['uscc']), seen),
      who: 'water user',
      what: '修改草稿',
    },
    'grant.mask': {
      read: '/grants/shared',
      one: (seen) => reviewer.put('/grants/shared/masks', { masks: { holder: { kind: 'hide' } } }, seen),
      other: (seen) => secondReviewer.put('/grants/shared/masks', { masks: {} }, seen),
      who: 'civil reviewer',
      what: '设定授权的脱敏要求',
    },
    'grant.limits': {
      read: '/grants/shared',
      one: (seen) => office.put('/grants/shared/limits', { rate: 1, quota: null }, seen),
      other: (seen) => second['office']!.put('/grants/shared/limits', { rate: 2, quota: null }, seen),
      who: 'city office',
      what: '设定接口授权的频率和配额',
    },
    'webhook.change': {
      read: '/grants/shared',
      one: (seen) => user.patch('/grants/shared/webhooks/hook', { name: '一' }, seen),
      other: (seen) => secondUser.patch('/grants/shared/webhooks/hook', { name: '二' }, seen),
      who: 'water user',
      what: '更改推送',
    },
    'evaluation.advise': {
      read: `/evaluations/${evaluation}`,
      one: (seen) => office.post(`/evaluations/${evaluation}/advise`, { agency: 'civil', advice: '一' }, seen),
      other: (seen) => second['office']!.post(`/evaluations/${evaluation}/advise`, { agency: 'civil', advice: '二' }, seen),
      who: 'city office',
      what: '写改进意见',
    },
  }
}

const form = (title: string) => {
  const { abstract, subject, licence, table, items } = licences()
  return { title, abstract, subject, licence, table, items, optional: [] }
}

/** Nothing that another could have looked at before, or only oneself; a row names the place at which it was seen. */
const without = /^(?:me|session)\.|^query\.(?:standard-)?purpose$|^row\./

t.test('of two who edit the same, the later is told', async (t) => {
  const city = await openCity(t)
  const known = await edits(city)
  for (const [name, { read, one, other, who, what }] of Object.entries(known)) {
    const reader = city.as(...reading[name.split('.')[0]!]!)
    const looked = await reader.get(read)
    const { revision: seen } = looked.body
    t.type(seen, 'string', `${name}: what is read has a revision`)
    t.equal(looked.headers['etag'], `"${seen}"`, 'and so its ETag')
    const first = await one(seen)
    t.equal(first.status, 200, `${name}: ${first.text}`)
    t.not(first.body.revision, seen)
    t.equal(first.body.revision, (await reader.get(read)).body.revision, 'the answer tells the one that it made')
    const late = await other(seen)
    t.match(
      late,
      { status: 412, body: { code: 'QZ-REVISION', who: 'requester', detail: { zh: new RegExp(`${who}.*${what}`), en: new RegExp(who) } } },
      `${name}: ${late.text}`,
    )
    t.equal(first.body.revision, (await reader.get(read)).body.revision, `${name}: nothing was done`)
    t.equal((await other(first.body.revision)).status, 200, `${name}: who looked again may`)
    t.equal((await one()).status, 200, `${name}: who does not say what they saw may, as ever`)
  }
  const changing = operations.filter(({ method, name }) => (method !== 'GET' && method !== 'POST') || name.endsWith('.change'))
  t.same(
    changing.map(({ name }) => name).filter((name) => !known[name] && !without.test(name)),
    [],
    'none left out',
  )
})

t.test('two at the same moment: one', async (t) => {
  const city = await openCity(t)
  const { id } = (await city.as('civil', 'registrar').post('/registrations', { content: {} })).body
  const some = (await person(city, city.app, 'civil', 'user')).principal.person!
  const races: Record<string, (i: number, seen: string) => Promise<Answer>> = {
    '/agencies/health': (i, seen) => city.as('city', 'office').patch('/agencies/health', { name: `卫生局${i}` }, seen),
    [`/people/${some}`]: (i, seen) => city.as('city', 'system-admin').patch(`/people/${some}`, { phone: String(i) }, seen),
    [`/registrations/${id}`]: (i, seen) =>
      city.as('civil', 'registrar').post(`/registrations/${id}/change`, { content: { title: String(i) } }, seen),
  }
  for (const [path, act] of Object.entries(races)) {
    const reader = city.as(...reading[{ a: 'agency', p: 'person', r: 'registration' }[path[1]!]!]!)
    const outcomes: number[][] = []
    for (let i = 0; i < 10; i++) {
      const { revision } = (await reader.get(path)).body
      const answers = await Promise.all([act(2 * i, revision), act(2 * i + 1, revision)])
      outcomes.push(answers.map(({ status }) => status).toSorted((a, b) => a - b))
    }
    t.same(new Set(outcomes.map(String)), new Set(['200,412']), path)
  }
})

const reading: Record<string, Parameters<City['as']>> = {
  agency: ['city', 'office'],
  person: ['city', 'system-admin'],
  resource: ['civil', 'reviewer'],
  registration: ['civil', 'registrar'],
  standard: ['city', 'office'],
  application: ['water', 'user'],
  grant: ['city', 'office'],
  webhook: ['city', 'office'],
  evaluation: ['city', 'office'],
}
