/** Sessions as people see and end them, and what they may know of the settings. */
import t from 'tap'
import { roleNames, type Role } from '../../../hub/records/roles.ts'
import { openSession } from '../../../hub/access/sessions.ts'
import { agencyRoles, openCity } from '../city.ts'

const homeOf = (role: Role) => (agencyRoles.includes(role) ? 'civil' : 'city')

t.test("one's own sessions, for the security administrator everybody's; ending one ends it at once", async (t) => {
  const city = await openCity(t)
  const { query } = city.store
  await query('update session set created_at = $1, last_used = $1', [city.now])
  for (const role of roleNames) {
    const caller = city.as(homeOf(role), role)
    for (let n = 0; n < 2; n++)
      await openSession(query, caller.principal.person!, { address: `10.1.0.${n}`, browser: `Firefox ${n}`, now: city.now })
  }
  await query(
    `insert into session (secret_hash, person, created_at, last_used) select 'old', min(id), '2026-01-01', '2026-01-01' from person`,
  )
  const count = async (where: string) => (await query<{ n: number }>(`select count(*)::int as n from session where ${where}`))[0]!.n
  for (const role of roleNames) {
    const caller = city.as(homeOf(role), role)
    const { items, total } = (await caller.get('/sessions?limit=1000')).body
    const all = role === 'security-admin'
    const wanted = await count(`secret_hash <> 'old' ${all ? '' : `and person = ${caller.principal.person}`}`)
    t.same([total.count, items.length], [wanted, wanted], role)
    t.same(items.filter(({ current }: any) => current).map(({ person }: any) => person), [caller.principal.person], `${role}: which one asks`) // prettier-ignore
    t.ok(
      items.some(({ address, browser }: any) => address === '10.1.0.1' && browser === 'Firefox 1'),
      role,
    )
    t.notMatch(JSON.stringify(items), /secret|hash/)
  }
  const [user, other, security] = [city.as('civil', 'user'), city.as('water', 'user'), city.as('city', 'security-admin')]
  const own = (await user.get('/sessions?text=10.1.0.0')).body.items[0]
  t.equal((await other.post(`/sessions/${own.id}/end`)).status, 403, 'not by somebody else')
  t.equal((await city.as('city', 'system-admin').post(`/sessions/${own.id}/end`)).status, 403)
  t.equal((await user.post(`/sessions/${own.id}/end`)).status, 200)
  t.equal((await user.post(`/sessions/${own.id}/end`)).status, 404)
  const current = (await other.get('/sessions?sort=created')).body.items.find((one: any) => one.current)
  t.equal((await security.post(`/sessions/${current.id}/end`)).status, 200)
  t.equal((await other.get('/me')).status, 401, 'its browser is signed out')
  const ends = await query<{ actor: string; object: string }>(
    `select actor, object from audit_entry where act = 'session.end' and outcome = 'done' order by id`,
  )
  t.same(ends, [
    { actor: user.principal.actor, object: `person ${user.principal.person}` },
    { actor: security.principal.actor, object: `person ${other.principal.person}` },
  ])
})

t.test('signing in says where and by which browser', async (t) => {
  const city = await openCity(t)
  const hash = await city.services.access.passwords.hash('Zhuang-47.Hetao')
  const { person } = city.as('civil', 'user').principal
  await city.store.query(`update person set login = 'zhang.san', password = $2, password_set_at = $3 where id = $1`, [
    person,
    hash,
    city.now,
  ])
  const payload = { login: 'zhang.san', password: 'Zhuang-47.Hetao' }
  const headers = { 'user-agent': `360SE ${'x'.repeat(500)}` }
  t.equal((await city.app.inject({ method: 'POST', url: '/api/v1/session', payload, headers })).statusCode, 200)
  const { items } = (await city.as('civil', 'user').get('/sessions?text=360se')).body
  t.match(items, [{ address: '127.0.0.1', browser: /^360SE x{294}$/ }])
})

t.test('settings: each sees the part that is theirs', async (t) => {
  const city = await openCity(t)
  const parts: Partial<Record<Role, string[]>> = {
    office: ['calendar', 'supervision'],
    supervisor: ['audit', 'calendar', 'supervision'],
    'system-admin': ['access', 'audit', 'calendar', 'supervision'],
    'security-admin': ['access'],
    'audit-admin': ['access', 'audit'],
  }
  for (const role of roleNames) {
    const { status, body } = await city.as(homeOf(role), role).get('/settings')
    if (!parts[role]) t.equal(status, 403, role)
    else t.same(Object.keys(body).toSorted(), parts[role], role)
  }
  const { supervision, calendar } = (await city.as('city', 'office').get('/settings')).body
  t.match(supervision.deadlines, { 'application-reply': { days: 10, extension: 5 }, correction: { days: 10 }, delivery: { days: 20 } })
  t.same(supervision.weights, { quantity: 20, timeliness: 50, use: 30 })
  t.ok(calendar.years.includes(2026))
  const { access } = (await city.as('city', 'security-admin').get('/settings')).body
  t.match(access, { session: { idle: 30, longest: 720 }, lock: { failures: 5 }, password: { length: 10 } })
})
