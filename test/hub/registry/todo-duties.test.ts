/** Update duties among what waits (Art. 14), how much waits, and what the caller may do at all. */
import pino from 'pino'
import t from 'tap'
import { rights } from '../../../hub/access/rights.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { supervisionSettings } from '../../../hub/records/settings.ts'
import { operations } from '../../../hub/operations/index.ts'
import { superviseOnce } from '../../../hub/supervision/supervision.ts'
import { agencyRoles, openCity, type Caller, type City } from '../city.ts'
import { publishedAt } from '../office.ts'
import { licences, register } from './catalog/fixture.ts'

const at = (text: string) => new Date(`${text}+08:00`)

async function openDuty(test: Pick<typeof t, 'teardown'>): Promise<City> {
  const city = await openCity(test)
  await register(city, 'civil', licences(), { resource: 'ads' })
  await publishedAt(city, 'ads', 'daily', at('2026-11-02T10:00'))
  return city
}

function supervise(city: City, now: string): Promise<void> {
  city.now = at(now)
  const logger = pino({ level: 'silent' })
  return superviseOnce({ store: city.store, settings: supervisionSettings(), catchUp: async () => {}, logger, clock: city.clock })
}

const duties = async (caller: Caller, path = '/todo') => (await caller.get(`${path}?kind=duty`)).body.items
const states = async (caller: Caller) => (await duties(caller)).map(({ id, state }: Record<string, string>) => `${id} ${state}`)

function accepted(city: City, day: string) {
  return city.store.query(`insert into supply_day (resource, day, batches, changed_rows, snapshot_rows) values ('ads', $1, 1, 1, 0)`, [day])
}

t.test("a duty of which its agency was warned is its registrar's until the data came, was explained, or is hindered", async (t) => {
  const city = await openDuty(t)
  const registrar = city.as('civil', 'registrar')
  await supervise(city, '2026-11-04T09:00')
  t.same(await states(registrar), ['ads 2026-11-03 overdue'], 'before the warning nothing of the day is pressing')
  await supervise(city, '2026-11-04T23:00')
  const [overdue, due] = await duties(registrar)
  t.match(overdue, { id: 'ads 2026-11-03', deadline: { kind: 'duty', due: '2026-11-03', daysLeft: 0, missed: true }, urgency: 'missed' })
  t.match(due, {
    id: 'ads 2026-11-04',
    title: '户外广告许可',
    agencyName: '民政局',
    state: 'due',
    stateName: { zh: '待更新' },
    turn: [{ role: 'registrar', agency: 'civil' }],
    actions: ['declaration.create'],
    deadline: { due: '2026-11-04', daysLeft: 0, missed: false },
    urgency: 'warned',
    reason: null,
  })
  const { status, body } = await registrar.get(due.link)
  t.equal(status, 200)
  t.match(body.items, [{ resource: 'ads' }])
  for (const other of [city.as('water', 'registrar'), city.as('civil', 'reviewer'), city.as('city', 'office')])
    t.same(await duties(other), [], 'nobody else must act')
  t.equal((await duties(city.as('city', 'supervisor'), '/cases')).length, 2, 'whoever watches sees it')
  t.match((await registrar.get('/todo/counts')).body, {
    items: [
      { kind: 'duty', urgency: 'missed', count: 1 },
      { kind: 'duty', urgency: 'warned', count: 1 },
    ],
    total: 2,
  })

  await accepted(city, '2026-11-04')
  t.same(await states(registrar), [], 'an update ends both')
  await supervise(city, '2026-11-08T09:00')
  t.same(await states(registrar), ['ads 2026-11-07 overdue'], 'of many the last')
  const explained = { kind: 'no-change', resource: 'ads', period: '2026-11-07', text: '无变化' }
  const { id } = (await registrar.post('/declarations', explained)).body
  t.equal((await city.as('civil', 'reviewer').post(`/declarations/${id}/sign`)).status, 200)
  t.same(await states(registrar), ['ads 2026-11-06 overdue'], 'then the one before it')
  const hindered = { kind: 'force-majeure', text: '机房进水', measures: '抽水', until: '2026-11-09' }
  const notice = (await registrar.post('/declarations', hindered)).body
  t.equal((await city.as('civil', 'reviewer').post(`/declarations/${notice.id}/sign`)).status, 200)
  t.same(await states(registrar), [])
  city.now = at('2026-11-10T09:00')
  t.same(await states(registrar), ['ads 2026-11-06 overdue'], 'when its time is over it is asked for again')
  await city.store.query(`update resource set state = 'suspended' where code = 'ads'`)
  t.same(await states(registrar), [], 'of a stopped resource nothing is')
})

t.test('the counts are those of the list, for everybody', async (t) => {
  const city = await openDuty(t)
  await supervise(city, '2026-11-08T23:00')
  const draft = { resource: 'ads', mode: 'query', items: ['holder'], purpose: '核验', basis: '三定方案' }
  const { id } = (await city.as('water', 'user').post('/applications', draft)).body
  for (let i = 0; i < 2; i++) await city.as('water', 'user').post('/applications', draft)
  await city.as('water', 'user').post(`/applications/${id}/submit`)
  const callers = [
    ...agencyRoles.flatMap((role) => [city.as('civil', role), city.as('water', role)]),
    ...roleNames.filter((role) => !agencyRoles.includes(role)).map((role) => city.as('city', role)),
  ]
  let total = 0
  for (const caller of callers) {
    const listed = (await caller.get('/todo?limit=100')).body.items as { kind: string; urgency: string }[]
    const counted = (await caller.get('/todo/counts')).body
    const byKind = Map.groupBy(listed, ({ kind, urgency }) => `${kind} ${urgency}`)
    t.same(
      counted.items.map(({ kind, urgency, count }: Record<string, string>) => `${kind} ${urgency} ${count}`),
      [...byKind].map(([key, { length }]) => `${key} ${length}`).toSorted(),
      caller.principal.name,
    )
    t.equal(counted.total, listed.length)
    total += listed.length
  }
  t.ok(total >= 4)
})

t.test('who asks is told what they may do, from the table of rights', async (t) => {
  const city = await openCity(t)
  const can = async (caller: Caller) => (await caller.get('/rights')).body
  const registrar = await can(city.as('civil', 'registrar'))
  t.match(registrar, {
    roles: ['registrar'],
    can: {
      'registration.create': ['own'],
      'correction.answer': ['provider'],
      'catalog.search': ['any'],
      'grant.list': ['provider', 'receiver'],
    },
  })
  t.notOk('registration.publish' in registrar.can)
  t.ok('registration.publish' in (await can(city.as('civil', 'reviewer'))).can)
  const paths = new Set(operations.map(({ name }) => name as string))
  for (const role of roleNames.filter((one) => !agencyRoles.includes(one))) {
    const { can: mine } = await can(city.as('city', role))
    const lines = Object.entries(rights as Record<string, Record<string, unknown>>)
    t.same(
      Object.keys(mine).toSorted(),
      lines.flatMap(([name, line]) => (role in line || 'everybody' in line ? [name] : [])).toSorted(),
      role,
    )
    for (const name of Object.keys(mine)) if (!paths.has(name)) t.fail(`${name} is no operation`)
  }
})
