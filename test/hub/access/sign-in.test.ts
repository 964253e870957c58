import t from 'tap'
import { makeAccess } from '../../../hub/access/access.ts'
import { Passwords } from '../../../hub/access/passwords.ts'
import type { Role } from '../../../hub/records/roles.ts'
import { Sealed } from '../../../hub/access/sealed.ts'
import { defaultAccess, type AccessRules } from '../../../hub/access/settings.ts'
import { fromBase32, totp } from '../../../hub/access/totp.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import type { Query } from '../../../hub/store/store.ts'
import { openCity, type City } from '../city.ts'

const quick: AccessRules = { ...defaultAccess, attempts: 1000, password: { ...defaultAccess.password, cost: 10 } }
const good = 'Kapok-tree-41'
const hubKey = generateSigningKey().privateKey

async function town(test: Pick<typeof t, 'teardown'>, rules: Partial<AccessRules> = {}): Promise<City> {
  return openCity(test, { access: makeAccess({ ...quick, ...rules }, hubKey) })
}

/** Somebody with a password. @returns the id. */
async function resident(city: City, login: string, ...roles: Role[]): Promise<string> {
  const { query } = city.store
  const hash = await city.services.access.passwords.hash(good)
  const [row] = await query<{ id: string }>(
    `insert into person (agency, login, name, state, password, password_set_at) values ('civil', $1, '张三', 'active', $2, $3) returning id`,
    [login, hash, city.now],
  )
  for (const role of roles) await query(`insert into person_role (person, role, given_by) values ($1, $2, 'test')`, [row!.id, role])
  return row!.id
}

const signIn = (city: City, login: string, password = good, code?: string) => city.nobody.post('/session', { login, password, code })

async function call(city: City, token: string, method: 'GET' | 'POST', path: string, body?: object) {
  const answer = await city.app.inject({
    method,
    url: `/api/v1${path}`,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { payload: JSON.stringify(body) }),
  })
  return { status: answer.statusCode, body: answer.json() as Record<string, any> }
}

const later = (city: City, minutes: number) => (city.now = new Date(city.now.getTime() + minutes * 60_000))
const codeAt = (secret: string, city: City, steps = 0) => totp(fromBase32(secret), Math.floor(city.now.getTime() / 30_000) + steps)
const acts = (city: City, act: string) =>
  city.store.query<{ actor: string; object: string; outcome: string; ip: string; details: object }>(
    'select actor, object, outcome, ip, details from audit_entry where act = $1 order by id',
    [act],
  )

t.test('signing in and out, as a program and as a browser', async (t) => {
  const city = await town(t)
  const id = await resident(city, 'zhang.san', 'user')
  const answer = await city.app.inject({ method: 'POST', url: '/api/v1/session', payload: { login: 'Zhang.San', password: good } })
  t.equal(answer.statusCode, 200)
  const { token, ...rest } = answer.json<{ token: string }>()
  t.same(rest, { person: id, name: '张三', agency: 'civil', roles: ['user'], due: null })
  const cookie = String(answer.headers['set-cookie'])
  for (const part of ['HttpOnly', 'Secure', 'SameSite=Strict', 'Path=/']) t.match(cookie, part)
  t.match(await call(city, token, 'GET', '/me'), { status: 200, body: { login: 'zhang.san', agencyName: '民政局', needsFactor: false } })
  const byCookie = await city.app.inject({ url: '/api/v1/me', headers: { cookie: cookie.split(';')[0]! } })
  t.equal(byCookie.statusCode, 200)

  const second = (await signIn(city, 'zhang.san')).body.token as string
  const third = (await signIn(city, 'zhang.san')).body.token as string
  t.equal((await call(city, token, 'POST', '/session/close', {})).status, 200)
  t.equal((await call(city, token, 'GET', '/me')).status, 401)
  t.equal((await call(city, second, 'GET', '/me')).status, 200)
  t.equal((await call(city, second, 'POST', '/session/close-all', {})).status, 200)
  for (const ended of [second, third]) t.equal((await call(city, ended, 'GET', '/me')).status, 401)
  t.match(await acts(city, 'session.open'), [{ actor: `person ${id}`, outcome: 'done', ip: '127.0.0.1' }, {}, {}])
  t.equal((await acts(city, 'session.close')).length + (await acts(city, 'session.close-all')).length, 2)
})

t.test('unknown, wrong, invited, disabled and of a closed agency: one answer', async (t) => {
  const city = await town(t)
  const { query } = city.store
  for (const login of ['known', 'invited', 'disabled', 'closed']) await resident(city, login)
  await query(`update person set state = login where login in ('invited', 'disabled')`)
  await query(`insert into agency (code, name, state) values ('gone', '旧局', 'closed')`)
  await query(`update person set agency = 'gone' where login = 'closed'`)
  const answers = [await signIn(city, 'nobody'), await signIn(city, 'known', 'wrong')]
  for (const login of ['invited', 'disabled', 'closed']) answers.push(await signIn(city, login))
  for (const { status, text } of answers) {
    t.equal(status, 401)
    t.equal(text, answers[0]!.text)
  }
  const refused = await acts(city, 'session.open')
  t.equal(refused.length, 5, 'each on record')
  t.ok(refused.every(({ outcome }) => outcome === 'QZ-SIGN-IN'))
  const all = JSON.stringify(await query('select * from audit_entry'))
  for (const typed of ['nobody', 'wrong', good]) t.notMatch(all, `"${typed}`, 'neither password nor an unknown name is written down')
})

t.test('the same statements run whether a name is known or not', async (t) => {
  const city = await town(t)
  await resident(city, 'known')
  await resident(city, 'locked')
  await city.store.query(`update person set failures = 9, locked_until = '2999-01-01' where login = 'locked'`)
  let ran: string[] = []
  const { store } = city
  const noting =
    (inner: Query): Query =>
    (text, values) => (ran.push(text), inner(text, values))
  city.store = {
    ...store,
    query: noting(store.query),
    transaction: (work) => (ran.push('begin'), store.transaction((inner) => work(noting(inner)))),
  }
  const statements: Record<string, string[]> = {}
  for (const login of ['nobody', 'known', 'locked']) {
    ran = []
    await signIn(city, login, 'wrong')
    statements[login] = ran
  }
  t.ok(statements['known']!.length >= 5, `${statements['known']!.length} statements`)
  t.same(statements['nobody'], statements['known'])
  t.same(statements['locked'], statements['known'])
})

t.test('five failures lock, each further one for twice as long', async (t) => {
  const city = await town(t)
  const id = await resident(city, 'zhang.san')
  for (let i = 0; i < 4; i++) await signIn(city, 'zhang.san', 'wrong')
  t.equal((await signIn(city, 'zhang.san')).status, 200, 'four are forgiven')
  const many = await Promise.all(Array.from({ length: 12 }, (_, i) => signIn(city, 'zhang.san', `wrong ${i}`)))
  t.ok(many.every(({ status }) => status === 401))
  const [row] = await city.store.query<{ failures: number }>('select failures from person where id = $1', [id])
  t.equal(row!.failures, 5, 'made at once they count one by one, and none after the lock')
  t.equal((await signIn(city, 'zhang.san')).status, 401, 'locked also for the right password')
  later(city, 14)
  t.equal((await signIn(city, 'zhang.san')).status, 401)
  later(city, 2)
  t.equal((await signIn(city, 'zhang.san', 'wrong')).status, 401)
  later(city, 16)
  t.equal((await signIn(city, 'zhang.san')).status, 401, 'the sixth locks for thirty minutes')
  later(city, 15)
  t.equal((await signIn(city, 'zhang.san')).status, 200)
  t.match(await acts(city, 'person.lock'), [
    { actor: 'hub', object: `person ${id}`, details: { minutes: 15 } },
    { details: { minutes: 30 } },
  ])

  for (let i = 0; i < 5; i++) await signIn(city, 'zhang.san', 'wrong')
  t.equal((await signIn(city, 'zhang.san')).status, 401)
  t.equal((await city.as('civil', 'reviewer').post(`/people/${id}/unlock`)).status, 403)
})

t.test('a session ends when it is idle, and at its longest', async (t) => {
  const city = await town(t)
  await resident(city, 'zhang.san')
  const { token } = (await signIn(city, 'zhang.san')).body as { token: string }
  for (let i = 0; i < 26; i++) {
    later(city, 27)
    t.equal((await call(city, token, 'GET', '/me')).status, 200)
  }
  later(city, 27)
  t.equal((await call(city, token, 'GET', '/me')).status, 401, 'twelve hours')
  const { token: idle } = (await signIn(city, 'zhang.san')).body as { token: string }
  later(city, 31)
  t.equal((await call(city, idle, 'GET', '/me')).status, 401)
  await signIn(city, 'zhang.san')
  const [row] = await city.store.query<{ count: number }>(
    `select count(*)::int as count from session s join person p on p.id = s.person where login = 'zhang.san'`,
  )
  t.equal(row!.count, 1, 'those that timed out are forgotten')
})

t.test('changing the password', async (t) => {
  const city = await town(t)
  await resident(city, 'zhang.san')
  const { token } = (await signIn(city, 'zhang.san')).body as { token: string }
  const { token: other } = (await signIn(city, 'zhang.san')).body as { token: string }
  const change = (password: string, next: string) => call(city, token, 'POST', '/me/password', { password, next })
  t.equal((await change('wrong', 'Lychee-tree-42')).status, 401)
  t.equal((await change(good, 'short')).status, 422)
  t.equal((await change(good, good)).status, 422, 'the same again')
  t.equal((await change(good, 'Lychee-tree-42')).status, 200)
  t.equal((await call(city, token, 'GET', '/me')).status, 200)
  t.equal((await call(city, other, 'GET', '/me')).status, 401, 'other sessions end')
  t.equal((await signIn(city, 'zhang.san')).status, 401)
  t.equal((await change('Lychee-tree-42', good)).status, 422, 'an earlier one')
  let last = 'Lychee-tree-42'
  for (const n of [1, 2, 3, 4]) {
    t.equal((await change(last, `Longan-tree-${n}0`)).status, 200)
    last = `Longan-tree-${n}0`
  }
  t.equal((await change(last, good)).status, 200, 'the sixth back may come again')
  for (let i = 0; i < 5; i++) await change('wrong', 'Lychee-tree-43')
  t.equal((await signIn(city, 'zhang.san')).status, 401, 'guessing in a session locks too')
})

t.test('after ninety days signing in only allows choosing another password', async (t) => {
  const city = await town(t)
  await resident(city, 'zhang.san', 'user')
  later(city, 91 * 24 * 60)
  const { token, due } = (await signIn(city, 'zhang.san')).body as { token: string; due: string }
  t.equal(due, 'password')
  t.match(await call(city, token, 'GET', '/agencies'), { status: 403, body: { code: 'QZ-PASSWORD-DUE' } })
  t.match(await call(city, token, 'GET', '/me'), { status: 200, body: { due: 'password' } })
  t.equal((await call(city, token, 'POST', '/me/password', { password: good, next: 'Lychee-tree-42' })).status, 200)
  t.equal((await call(city, token, 'GET', '/agencies')).status, 200)
})

t.test('the second factor', async (t) => {
  const city = await town(t)
  const id = await resident(city, 'li.si', 'office')
  const { token, due } = (await signIn(city, 'li.si')).body as { token: string; due: string }
  t.equal(due, 'factor')
  t.match(await call(city, token, 'GET', '/agencies'), { status: 403, body: { code: 'QZ-FACTOR-DUE' } })
  t.equal((await call(city, token, 'POST', '/me/factor/confirm', { code: '000000' })).status, 409, 'not begun')
  const { token: other } = (await signIn(city, 'li.si')).body as { token: string }
  const { secret, uri } = (await call(city, token, 'POST', '/me/factor', {})).body as { secret: string; uri: string }
  t.match(uri, `secret=${secret}`)
  t.equal((await signIn(city, 'li.si')).status, 200, 'does not count before it is confirmed')
  t.equal((await call(city, token, 'POST', '/me/factor/confirm', { code: codeAt(secret, city, 5) })).status, 401)
  t.equal((await call(city, token, 'POST', '/me/factor/confirm', { code: codeAt(secret, city) })).status, 200)
  t.equal((await call(city, token, 'GET', '/agencies')).status, 200)
  t.equal((await call(city, other, 'GET', '/me')).status, 401, 'a session opened without it ends')
  const [row] = await city.store.query<{ factor: string }>('select factor from person where id = $1', [id])
  t.notMatch(row!.factor, secret, 'the store holds it sealed')
  t.equal(city.services.access.sealed.open(row!.factor, `person ${id}`), secret)
  t.throws(() => city.services.access.sealed.open(row!.factor, 'person 999'), 'and for this person alone')
  t.throws(() => new Sealed(generateSigningKey().privateKey).open(row!.factor, `person ${id}`))

  t.match(await signIn(city, 'li.si'), { status: 401, body: { code: 'QZ-SECOND-FACTOR' } })
  t.match(await signIn(city, 'li.si', 'wrong'), { status: 401, body: { code: 'QZ-SIGN-IN' } })
  t.equal((await signIn(city, 'li.si', good, codeAt(secret, city))).status, 401, 'the code that confirmed it is used')
  later(city, 1)
  const code = codeAt(secret, city)
  t.equal((await signIn(city, 'li.si', 'wrong', code)).status, 401)
  t.match(await signIn(city, 'li.si', good, code), { status: 200, body: { due: null } })
  t.equal((await signIn(city, 'li.si', good, code)).status, 401, 'a code counts once')

  t.match(await call(city, token, 'POST', '/me/factor', {}), { status: 401, body: { code: 'QZ-SECOND-FACTOR' } })
  t.equal((await call(city, token, 'POST', '/me/factor', { code: '000000' })).status, 401)
  later(city, 1)
  const begun = await call(city, token, 'POST', '/me/factor', { code: codeAt(secret, city) })
  t.equal(begun.status, 200, 'replaced by who has the old one')
  later(city, 1)
  t.equal((await signIn(city, 'li.si', good, codeAt(secret, city))).status, 200, 'which counts until then')
  const admin = city.as('city', 'security-admin')
  t.equal((await city.as('city', 'system-admin').post(`/people/${id}/reset-factor`)).status, 403)
  t.equal((await admin.post(`/people/${id}/reset-factor`)).status, 403, 'who has no second factor may do nothing either')
})

t.test('too many attempts from one address', async (t) => {
  const city = await town(t, { attempts: 3 })
  await resident(city, 'zhang.san')
  for (let i = 0; i < 3; i++) await signIn(city, 'zhang.san', 'wrong')
  t.match(await signIn(city, 'zhang.san'), { status: 429, body: { code: 'QZ-SIGN-IN-RATE', retry: true } })
  t.equal((await city.nobody.post('/activation/view', { secret: 'x' })).status, 429)
  later(city, 1)
  t.equal((await signIn(city, 'zhang.san')).status, 200)
})

t.test('a password is hashed again where the cost has been raised', async (t) => {
  const city = await town(t)
  const id = await resident(city, 'zhang.san')
  const cheap = await new Passwords(11).hash(good)
  await city.store.query('update person set password = $2 where id = $1', [id, cheap])
  t.equal((await signIn(city, 'zhang.san')).status, 200)
  const [row] = await city.store.query<{ password: string }>('select password from person where id = $1', [id])
  t.match(row!.password, '$argon2id$v=19$m=1024,')
  t.equal((await signIn(city, 'zhang.san')).status, 200)
})

t.test('what is refused behind the doors is on record with who asked', async (t) => {
  const city = await town(t, { factor: [] })
  const user = city.as('civil', 'user')
  t.equal((await user.post('/people', { agency: 'civil', login: 'x', name: 'x' })).status, 403)
  t.equal((await city.nobody.get('/me')).status, 401)
  const lines = await city.store.query(`select actor, agency, via, object, outcome from audit_entry where act = 'request' order by id`)
  t.same(lines, [
    { actor: user.principal.actor, agency: 'civil', via: 'session', object: 'POST /api/v1/people', outcome: 'QZ-FORBIDDEN' },
    { actor: 'address 127.0.0.1', agency: null, via: null, object: 'GET /api/v1/me', outcome: 'QZ-SIGN-IN' },
  ])
})

t.test('the cookie counts only from our own pages where something changes', async (t) => {
  const city = await town(t)
  await resident(city, 'zhang.san')
  const { token } = (await signIn(city, 'zhang.san')).body as { token: string }
  const post = async (origin?: string) => {
    const headers = { cookie: `qz_session=${token}`, host: 'hub.test', 'content-type': 'application/json', ...(origin && { origin }) }
    return (await city.app.inject({ method: 'POST', url: '/api/v1/me/factor', headers, payload: '{}' })).statusCode
  }
  t.equal(await post(), 401)
  t.equal(await post('https://evil.test'), 401)
  t.equal(await post('https://hub.test'), 200)
})
