/** A wall screen: what it shows is what SQL says, and its key reads that and nothing else, from where it may, for as long as it lasts. */
import t from 'tap'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { operations } from '../../../hub/operations/index.ts'
import { keepWall } from '../../../hub/operations/wall.ts'
import { makeCalendar, workingDaysBetween } from '../../../hub/records/calendar.ts'
import { roleNames } from '../../../hub/records/roles.ts'
import { addGrant } from '../../../hub/registry/grants/grants.ts'
import { addRoute } from '../../../hub/registry/grants/routes.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { watchEvents } from '../../support/event-stream.ts'
import { until } from '../../support/programs.ts'
import { agencyRoles, openCity, type Caller, type City } from '../city.ts'
import { listening } from '../listening.ts'
import { enrolled, villages } from '../office.ts'

async function makeKey(city: City, more: object = {}): Promise<{ id: string; secret: string; link: string; caller: Caller }> {
  const { status, body } = await city.as('city', 'security-admin').post('/keys', { agency: 'city', name: '大厅', role: 'display', ...more })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return { ...body, caller: city.caller(body.secret) }
}

/** Whatever it takes to be asked at all. */
function knock(caller: Caller, { method, path, upload }: (typeof operations)[number]) {
  const url = path.replaceAll(/:\w+/g, '1')
  if (upload) return caller.upload(url, upload.type, Buffer.from('nothing'))
  return method === 'GET' || method === 'DELETE'
    ? caller[method === 'GET' ? 'get' : 'delete'](url)
    : caller[method.toLowerCase() as 'post'](url, [], '1')
}

t.test('its key reads the wall, and nothing else of the whole table', async (t) => {
  const city = await openCity(t)
  const { caller, link, secret, id } = await makeKey(city)
  t.equal(link, `https://hub.test/wall#${secret}`)
  for (const operation of operations) {
    const { status, body } = await knock(caller, operation)
    if (operation.name === 'wall.read') t.equal(status, 200)
    else t.match({ status, body }, { status: 403, body: { code: 'QZ-FORBIDDEN' } }, operation.name)
  }
  for (const role of roleNames) {
    const who = agencyRoles.includes(role) ? city.as('civil', role) : city.as('city', role)
    t.equal((await who.get('/wall')).status, ['office', 'supervisor'].includes(role) ? 200 : 403, role)
  }
  t.equal((await city.nobody.get('/wall')).status, 401)

  const begun = city.now.getTime()
  for (const [days, status] of [
    [1, 200],
    [364, 200],
    [365.1, 401],
  ] as const) {
    city.now = new Date(begun + days * 86_400_000)
    t.equal((await caller.get('/wall')).status, status, `after ${days} days`)
  }
  city.now = new Date(begun)
  t.equal((await city.as('city', 'security-admin').post(`/keys/${id}/end`)).status, 200)
  t.equal((await caller.get('/wall')).status, 401, 'ended')
})

t.test('a key is for whoever watches over all, is no role of people, and may be bound to addresses', async (t) => {
  const city = await openCity(t)
  const admin = city.as('city', 'security-admin')
  t.match(await admin.post('/keys', { agency: 'civil', name: 'x', role: 'display' }), { body: { code: 'QZ-RULE' } })
  t.equal((await admin.post('/keys', { agency: 'city', name: 'x', role: 'display', days: 366 })).status, 400)
  t.equal((await admin.put(`/people/${city.as('civil', 'user').principal.person}/roles`, { roles: ['display'] })).status, 400)
  t.equal((await admin.post('/keys', { agency: 'city', name: 'x', role: 'display', addresses: ['10.0.0.0/33'] })).status, 400)
  const { secret } = await makeKey(city, { addresses: ['10.20.0.0/16', '::1'] })
  const from = async (remoteAddress: string) =>
    (await city.app.inject({ url: '/api/v1/wall', remoteAddress, headers: { authorization: `Bearer ${secret}` } })).statusCode
  t.same([await from('10.20.3.4'), await from('::1'), await from('10.21.0.1'), await from('127.0.0.1')], [200, 200, 403, 403])
  const opened = (remoteAddress: string) => city.app.inject({ method: 'POST', url: '/api/v1/display', remoteAddress, payload: { secret } })
  t.match((await opened('127.0.0.1')).json(), { code: 'QZ-API-ADDRESS' })
  t.equal((await opened('10.20.3.4')).statusCode, 200)
})

t.test('a browser keeps it where no script reads it, and only the screen uses it', async (t) => {
  const city = await openCity(t)
  const { secret } = await makeKey(city)
  const open = (given: string) => city.app.inject({ method: 'POST', url: '/api/v1/display', payload: { secret: given } })
  const answer = await open(secret)
  t.notMatch(answer.body, secret)
  const cookie = String(answer.headers['set-cookie'])
  for (const part of ['HttpOnly', 'Secure', 'SameSite=Strict', 'Path=/']) t.match(cookie, part)
  t.equal((await open('qzk_nonsense')).statusCode, 401)
  t.equal((await open(city.as('city', 'office').secret)).statusCode, 401, 'a session is no screen')
  const key = await city.as('city', 'security-admin').post('/keys', { agency: 'city', name: 'x', role: 'supervisor' })
  t.equal((await open(key.body.secret)).statusCode, 401, 'nor is another key')
  const ask = async (url: string, headers: Record<string, string>) =>
    (await city.app.inject({ url: `/api/v1${url}`, headers: { cookie: cookie.split(';')[0]!, ...headers } })).statusCode
  t.equal(await ask('/wall', { 'qz-display': '1' }), 200)
  t.equal(await ask('/wall', {}), 401, 'what is not the screen is not signed in')
  t.equal(await ask('/me', { 'qz-display': '1' }), 403)
})

t.test('it is told of lines, of nothing else, and no more when the key ends', async (t) => {
  const { city, origin } = await listening(t)
  const { secret, id } = await makeKey(city)
  await publishResource(city, 'admin', { schema: villages() })
  const { id: agent } = await enrolled(city, 'water')
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await addRoute(city, 'admin', grant.id, agent)
  const stream = await watchEvents(origin, secret)
  t.teardown(() => stream.close())
  t.equal((await city.as('city', 'office').post(`/grants/${grant.id}/suspend`, { reason: '核查' })).status, 200)
  await until('it was told', () => stream.told.some(({ event }) => event === 'line'))
  t.same(
    stream.told.filter(({ event }) => event !== 'line'),
    [],
  )
  t.equal((await city.as('city', 'security-admin').post(`/keys/${id}/end`)).status, 200)
  await stream.ended
  t.equal((await watchEvents(origin, secret)).status, 401)
})

t.test('what it shows is what SQL says; no values, reasons or purposes', async (t) => {
  const city = await openCity(t)
  const { query } = city.store
  const { caller } = await makeKey(city)
  const empty = (await caller.get('/wall')).body
  t.match(empty, { agencies: { connected: 0, all: 0 }, age: { median: null }, applications: { meanDays: null }, corrections: { all: 0 } })
  for (const agency of ['civil', 'water', 'health']) {
    const schema = villages((draft) => Object.assign(draft, { resource: agency, title: `${agency} 名录`, agency, table: agency }))
    await publishResource(city, 'admin', { schema })
    const { id } = await enrolled(city, agency)
    await query('update agent set last_seen = $2 where id = $1', [id, agency === 'civil' ? new Date(0) : city.now])
  }
  // The 22nd of November: the quarter has begun on the 1st of October.
  await query(`insert into duty_mark (resource, period, mark, agency, ends, at) select code, d::date, (array['updated', 'overdue', 'explained', 'excused'])[1 + floor(random() * 4)::int],
    agency, d::date, now() from resource, generate_series('2026-09-20'::date, '2026-11-25', interval '1 day') d`)
  await query(`insert into application (agency, resource, mode, items, purpose, basis, state, created_at, submitted_at, decided_at)
    select 'water', 'civil', 'query', '{name}', 'planted-purpose', 'planted-basis', (array['reviewing', 'approved', 'consulting', 'draft'])[1 + n % 4], at, at,
      case when n % 4 = 1 then at + interval '3 days' end from generate_series(1, 60) n, lateral (select timestamptz '2026-10-01' + n * interval '20 hours' as at) x`)
  await query(`insert into deadline (kind, object, agency, role, started_at, days, due) select 'application-reply', 'application ' || n, 'city', 'office', now(), 10,
    date '2026-11-22' + n from generate_series(-5, 5) n`)
  await query(`insert into correction (agency, resource, items, fault, state, created_at)
    select 'water', 'civil', '{}', 'planted-fault', (array['reported', 'closed', 'dismissed', 'withdrawn'])[1 + n % 4], timestamptz '2026-09-25' + n * interval '1 day' from generate_series(1, 40) n`)
  for (const [event, reason] of [
    ['approve', 'planted-reason'],
    ['reject', 'planted-reason'],
    ['submit', ''],
  ])
    await query(`insert into history (workflow, object, event, from_state, to_state, actor, actor_name, details) select 'application', min(id)::text, $1, 'a', 'b', 'person 1', 'planted-name', $2 from application`, [event, { reason }]) // prettier-ignore
  const wall = (await caller.get('/wall')).body
  const sql = async <T>(text: string) => (await query<{ found: T }>(`select (${text}) as found`))[0]!.found
  const duties = (mark: string, more = '') =>
    sql(`select count(*)::int from duty_mark where mark = '${mark}' and ends >= '2026-10-01' and ends < '2026-11-22' ${more}`)
  for (const mark of ['updated', 'explained', 'overdue', 'excused']) t.equal(wall.duties[mark], await duties(mark), mark)
  t.ok(wall.duties.worst.length > 0)
  for (const { agency, agencyName, overdue } of wall.duties.worst) {
    t.equal(overdue, await duties('overdue', `and agency = '${agency}'`))
    t.equal(agencyName, await sql(`select name from agency where code = '${agency}'`))
  }
  const ranked = wall.duties.worst.map(({ overdue }: { overdue: number }) => overdue)
  t.same(ranked, ranked.toSorted((a: number, b: number) => b - a), 'the worst first') // prettier-ignore
  t.same(wall.agencies, { connected: 2, all: 3 })
  t.equal(wall.resources, 3)
  t.same(
    [wall.applications.waiting, wall.applications.overdue],
    [await sql(`select count(*)::int from application where state in ('reviewing', 'consulting')`), 5],
  )
  const decided = await query<{ a: string; b: string }>(`select to_char(submitted_at at time zone 'Asia/Shanghai', 'YYYY-MM-DD') as a, to_char(decided_at at time zone 'Asia/Shanghai', 'YYYY-MM-DD') as b
    from application where decided_at at time zone 'Asia/Shanghai' >= '2026-10-24'`) // prettier-ignore
  const days = decided.map(({ a, b }) => workingDaysBetween(makeCalendar(), a, b))
  t.ok(decided.length > 3)
  t.equal(wall.applications.meanDays, Math.round((days.reduce((x, y) => x + y, 0) / days.length) * 10) / 10)
  t.same(wall.corrections, {
    all: await sql(`select count(*)::int from correction where created_at at time zone 'Asia/Shanghai' >= '2026-10-01' and state <> 'withdrawn'`),
    ended: await sql(`select count(*)::int from correction where created_at at time zone 'Asia/Shanghai' >= '2026-10-01' and state in ('closed', 'dismissed')`),
  }) // prettier-ignore
  t.match(wall.acts, [{ act: 'application.approve', title: 'civil 名录', agency: 'water', agencyName: '水务局' }])
  t.equal(wall.acts.length, 1, 'neither refusals nor what is only asked for')
  t.notMatch(JSON.stringify(wall), /planted/)
})

t.test('ten walls that are open are read once', async (t) => {
  let reads = 0
  const kept: { wall?: ReturnType<typeof keepWall> } = {}
  const city = await openCity(t, { wall: () => kept.wall!.current() })
  const query: City['store']['query'] = (text, values) => {
    if (text.includes('from duty_tally')) reads++
    return city.store.query(text, values)
  }
  const log = openPostgresLog(city.store)
  kept.wall = keepWall(() => ({ query, log, now: city.now, lapse: 7 }))
  const { caller } = await makeKey(city)
  const walls = await Promise.all(Array.from({ length: 10 }, () => caller.get('/wall')))
  t.same(new Set(walls.map(({ status, text }) => `${status} ${text}`)).size, 1, 'all show the same')
  t.equal(walls[0]!.status, 200)
  t.equal(reads, 1)
})
