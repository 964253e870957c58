import iconv from 'iconv-lite'
import t from 'tap'
import { makeAccess } from '../../../../hub/access/access.ts'
import { inviteFirst } from '../../../../hub/registry/people/invitations.ts'
import type { Role } from '../../../../hub/records/roles.ts'
import { defaultAccess } from '../../../../hub/access/settings.ts'
import { readWorkbook } from '../../../../protocol/excel/read.ts'
import { writeWorkbook } from '../../../../protocol/excel/write.ts'
import { csvType, excelType } from '../../../../hub/operations/operation.ts'
import { openCity, person, type Caller, type City } from '../../city.ts'
import { refusal } from '../../office.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { until } from '../../../support/programs.ts'

const rules = { ...defaultAccess, factor: [], attempts: 1000, password: { ...defaultAccess.password, cost: 10 } }
const good = 'Kapok-tree-41'

const town = (test: Pick<typeof t, 'teardown'>) => openCity(test, { access: makeAccess(rules, generateSigningKey().privateKey) })
const secretOf = (link: string) => link.slice(link.indexOf('#') + 1)
const activate = (city: City, link: string, password = good, more: object = {}) =>
  city.nobody.post('/activation', { secret: secretOf(link), password, ...more })
const signIn = (city: City, login: string, password = good) => city.nobody.post('/session', { login, password })
const zhang = { agency: 'civil', login: 'Zhang.San', name: '张三', email: 'zhang@example.gov.cn' }

/** Several calls that overlap for certain: nobody may write to the table before all of them wait. */
async function overlapping<T>(city: City, table: string, calls: readonly (() => Promise<T>)[]): Promise<T[]> {
  const answers = await city.store.transaction(async (query) => {
    await query(`lock table ${table} in share mode`)
    const made = calls.map((call) => call())
    const waiting = async () => (await city.store.query('select from pg_locks where not granted')).length
    await until('all wait', async () => (await waiting()) === calls.length)
    return made
  })
  return Promise.all(answers)
}

const statuses = (answers: readonly { status: number }[]) => answers.map(({ status }) => status).toSorted((a, b) => a - b)

/** Everybody who was there before no longer is. */
async function nobodyYet(city: City): Promise<void> {
  await city.store.query(`delete from session`)
  await city.store.query(`delete from person_role`)
  await city.store.query(`delete from person`)
}

t.test('the first administrator comes by a link, which works once', async (t) => {
  const city = await town(t)
  await nobodyYet(city)
  const starts = await overlapping(
    city,
    'invitation',
    [1, 2].map(() => () => inviteFirst(city, rules, { once: true })),
  )
  const [printed, ...others] = starts.filter((link) => link !== null)
  t.ok(printed)
  t.same(others, [], 'two hubs that start at once print one link')
  t.equal(await inviteFirst(city, rules, { once: true }), null, 'not while a link works')
  const { secret } = (await inviteFirst(city, rules))!
  t.match(await activate(city, `#${printed!.secret}`), { status: 403, body: { code: 'QZ-LINK' } }, 'replaced by the newer one')
  const first = { login: 'Admin.Li', name: '李管理', agency: { code: 'data', name: '数据局' } }
  t.match((await city.nobody.post('/activation/view', { secret })).body, { person: null, login: null })
  t.match(await activate(city, `#${secret}`), { status: 400 }, 'who is it?')
  t.match(await activate(city, `#${secret}`, 'weak', { first }), { status: 422 })
  const [one, two] = await Promise.all(
    [1, 2].map((n) => activate(city, `#${secret}`, good, { first: { ...first, login: `admin.li${n}` } })),
  )
  t.same(statuses([one!, two!]), [200, 403], 'one of two who try at once')
  const { login } = (one!.status === 200 ? one! : two!).body as { login: string }
  t.match(await signIn(city, login), { status: 200, body: { roles: ['system-admin'], agency: 'data' } })
  t.equal(await refusal(inviteFirst(city, rules)), 'QZ-FORBIDDEN', 'there is an administrator')
  const acts = await city.store.query(`select act, actor from audit_entry where act like 'person.%' order by id`)
  t.match(acts, [
    { act: 'person.invite-first', actor: 'hub' },
    { act: 'person.invite-first', actor: 'admin' },
    { act: 'person.create-first' },
  ])
  t.notMatch(JSON.stringify(await city.store.query('select * from audit_entry')), good)
})

t.test('a link expires', async (t) => {
  const city = await town(t)
  const { link } = (await city.as('city', 'system-admin').post('/people', zhang)).body as { link: string }
  city.now = new Date(city.now.getTime() + 71 * 3_600_000)
  t.match((await city.nobody.post('/activation/view', { secret: secretOf(link) })).body, { login: 'zhang.san', agency: 'civil' })
  city.now = new Date(city.now.getTime() + 2 * 3_600_000)
  t.match(await activate(city, link), { status: 403, body: { code: 'QZ-LINK' } })
})

t.test('a link works once, however many use it at once', async (t) => {
  const city = await town(t)
  const { link } = (await city.as('city', 'system-admin').post('/people', zhang)).body as { link: string }
  const both = await overlapping(
    city,
    'invitation',
    ['Lychee-tree-42', 'Longan-tree-43'].map((password) => () => activate(city, link, password)),
  )
  t.same(statuses(both), [200, 403])
})

t.test('a person from the invitation to the end', async (t) => {
  const city = await town(t)
  const system = city.as('city', 'system-admin')
  const security = city.as('city', 'security-admin')
  t.equal((await city.as('civil', 'registrar').post('/people', zhang)).status, 403)
  const created = await system.post('/people', zhang)
  t.match(created, {
    status: 200,
    body: { person: { login: 'zhang.san', state: 'invited', roles: [] }, link: /^https:\/\/hub\.test\/activate#/ },
  })
  const { id } = created.body.person as { id: string }
  t.equal((await system.post('/people', zhang)).status, 409, 'the login name is taken')
  t.equal((await system.post('/people', { ...zhang, login: '张三' })).status, 400)
  t.equal((await system.post('/people', { ...zhang, login: 'other', agency: 'nowhere' })).status, 404)
  t.equal((await signIn(city, 'zhang.san')).status, 401)

  t.match((await security.put(`/people/${id}/roles`, { roles: ['registrar', 'user'] })).body, { roles: ['registrar', 'user'] })
  t.equal((await system.put(`/people/${id}/roles`, { roles: ['user'] })).status, 403)
  t.equal((await activate(city, created.body.link)).status, 200)
  t.equal((await activate(city, created.body.link)).status, 403, 'used')
  const { token } = (await signIn(city, 'zhang.san')).body as { token: string }
  const me = () => city.app.inject({ url: '/api/v1/me', headers: { authorization: `Bearer ${token}` } })
  t.match((await me()).json(), { roles: ['registrar', 'user'] })

  t.match((await system.patch(`/people/${id}`, { phone: '0769-1', email: null })).body, { phone: '0769-1', email: null, name: '张三' })
  t.equal((await system.patch(`/people/${id}`, {})).status, 400)
  await security.put(`/people/${id}/roles`, { roles: ['user', 'registrar'] })
  t.equal((await me()).statusCode, 200, 'the same roles change nothing')
  await security.put(`/people/${id}/roles`, { roles: ['user'] })
  t.equal((await me()).statusCode, 401, 'other roles end sessions at once')

  t.match((await security.post(`/people/${id}/sign-out`)).body, { ended: 0 })
  for (let i = 0; i < 5; i++) await signIn(city, 'zhang.san', 'wrong')
  t.equal((await signIn(city, 'zhang.san')).status, 401)
  t.match((await security.post(`/people/${id}/unlock`)).body, { lockedUntil: null })
  t.equal((await signIn(city, 'zhang.san')).status, 200)

  const again = (await system.post(`/people/${id}/invite`)).body as { link: string }
  t.equal((await activate(city, again.link)).status, 422, 'not the password that it was')
  t.equal((await activate(city, again.link, 'Lychee-tree-42')).status, 200)
  const { token: last } = (await signIn(city, 'zhang.san', 'Lychee-tree-42')).body as { token: string }
  t.match((await system.post(`/people/${id}/disable`, { reason: '调离' })).body, { state: 'disabled' })
  t.equal((await city.app.inject({ url: '/api/v1/me', headers: { authorization: `Bearer ${last}` } })).statusCode, 401)
  t.equal((await signIn(city, 'zhang.san', 'Lychee-tree-42')).status, 401)
  for (const act of ['invite', 'disable'])
    t.equal((await system.post(`/people/${id}/${act}`, act === 'disable' ? { reason: 'x' } : {})).status, 409)
  t.equal((await security.put(`/people/${id}/roles`, { roles: [] })).status, 409)
  t.match((await system.post(`/people/${id}/enable`)).body, { state: 'active', roles: ['user'] })
  t.equal((await system.post(`/people/${id}/enable`)).status, 409)
  t.equal((await signIn(city, 'zhang.san', 'Lychee-tree-42')).status, 200)
  const [notice] = await city.store.query(`select 1 from notice where person = $1 and kind = 'person-roles'`, [id])
  t.ok(notice)
  const events = await city.store.query<{ event: string }>(
    `select event from history where workflow = 'person' and object = $1 order by id`,
    [id],
  )
  t.same(
    events.map(({ event }) => event),
    ['create', 'roles', 'change', 'roles', 'sign-out', 'unlock', 'invite', 'disable', 'enable'],
  )
})

t.test('lists and who sees whom', async (t) => {
  const city = await town(t)
  const system = city.as('city', 'system-admin')
  const all = (await system.get('/people?limit=500')).body.items as { id: string; agency: string }[]
  t.equal(all.length, 19)
  const page = (await system.get('/people?limit=10')).body as { items: { id: string }[]; next: string }
  const rest = (await system.get(`/people?limit=10&after=${page.next}`)).body as { items: { id: string }[]; next: string | null }
  t.same(
    [...page.items, ...rest.items].map(({ id }) => id),
    all.map(({ id }) => id),
  )
  t.equal(rest.next, null)
  t.equal(((await system.get('/people?role=registrar')).body.items as object[]).length, 3)
  t.equal(((await system.get('/people?agency=water&state=active')).body.items as object[]).length, 4)
  t.equal(((await system.get('/people?text=WATER%20rev')).body.items as object[]).length, 1)
  const own = (await city.as('civil', 'registrar').get('/people')).body.items as { agency: string; id: string }[]
  t.same([...new Set(own.map(({ agency }) => agency))], ['civil'])
  const other = all.find(({ agency }) => agency === 'water')!
  t.equal((await city.as('civil', 'registrar').get(`/people/${other.id}`)).status, 403)
  t.equal((await city.as('civil', 'registrar').get(`/people/${own[0]!.id}`)).status, 200)
  t.equal((await city.as('city', 'audit-admin').get('/people')).status, 403)
  t.equal((await system.get('/people/999')).status, 404)
})

t.test('separation of the administrators', async (t) => {
  const city = await town(t)
  const security = city.as('city', 'security-admin')
  const extra = await person(city, city.app, 'city')
  const id = extra.principal.person!
  const give = (...roles: Role[]) => security.put(`/people/${id}/roles`, { roles })
  t.match(await give('system-admin', 'audit-admin'), { status: 422, body: { code: 'QZ-RULE', detail: { zh: /三员分立/ } } })
  t.equal((await give('security-admin', 'user')).status, 422)
  t.equal((await give('office', 'user')).status, 200)
  t.equal((await give('security-admin')).status, 200)
  const mine = `/people/${security.principal.person}`
  t.match(await security.put(`${mine}/roles`, { roles: ['security-admin'] }), { status: 422 }, 'nobody gives roles to oneself')
  t.equal((await security.post(`${mine}/reset-factor`)).status, 422)
  t.equal((await security.post(`/people/${id}/reset-factor`)).status, 200)
})

t.test('the last of each administrator stays', async (t) => {
  const city = await town(t)
  const system = city.as('city', 'system-admin')
  const security = city.as('city', 'security-admin')
  const audit = city.as('city', 'audit-admin')
  for (const last of [system, security, audit])
    t.match(await system.post(`/people/${last.principal.person}/disable`, { reason: 'x' }), { status: 422, body: { code: 'QZ-RULE' } })
  t.equal((await security.put(`/people/${audit.principal.person}/roles`, { roles: [] })).status, 422)

  const spare = await person(city, city.app, 'city', 'audit-admin')
  await city.store.query(`update person set state = 'invited' where id = $1`, [spare.principal.person])
  t.equal((await security.put(`/people/${audit.principal.person}/roles`, { roles: [] })).status, 422, 'who is only invited cannot act yet')
  await city.store.query(`update person set state = 'active' where id = $1`, [spare.principal.person])
  const both = await overlapping(
    city,
    'person_role',
    [audit, spare].map(
      ({ principal }) =>
        () =>
          security.put(`/people/${principal.person}/roles`, { roles: ['user'] }),
    ),
  )
  t.same(statuses(both), [200, 422], 'two who go at once do not each count on the other')
})

t.test('founding the separate administrators', async (t) => {
  const city = await town(t)
  const { query } = city.store
  const system = city.as('city', 'system-admin')
  const found = (role: string, login: string) => system.post('/people/found', { agency: 'city', login, name: login, role })
  t.match(await found('audit-admin', 'audit.two'), { status: 422, body: { code: 'QZ-RULE' } }, 'there is a security administrator')
  await query(`delete from person_role where role in ('security-admin', 'audit-admin')`)
  t.equal((await found('system-admin', 'system.two')).status, 400)
  t.equal(
    (await city.as('civil', 'reviewer').post('/people/found', { agency: 'city', login: 'sec.one', name: 'x', role: 'security-admin' }))
      .status,
    403,
  )
  const founded = await found('security-admin', 'sec.one')
  t.match(founded, { status: 200, body: { person: { state: 'invited', roles: ['security-admin'] } } })
  t.equal((await found('security-admin', 'sec.two')).status, 422, 'not missing')
  await system.post(`/people/${founded.body.person.id}/disable`, { reason: 'lost' })
  const second = await found('security-admin', 'sec.two')
  t.equal(second.status, 200, 'missing again')
  const both = await overlapping(
    city,
    'person',
    ['audit.one', 'audit.two'].map((login) => () => found('audit-admin', login)),
  )
  t.same(statuses(both), [200, 422])
  await activate(city, second.body.link)
  await query(`delete from person_role where role = 'audit-admin'`)
  t.equal((await found('audit-admin', 'audit.three')).status, 422, 'that one now gives roles')
})

t.test('keys of machines', async (t) => {
  const city = await town(t)
  const security = city.as('city', 'security-admin')
  const it = city.as('civil', 'agency-it')
  const wanted = { agency: 'civil', name: '填报系统', role: 'registrar', days: 30 }
  t.equal((await it.post('/keys', wanted)).status, 403)
  t.equal((await security.post('/keys', { ...wanted, role: 'reviewer' })).status, 400, 'a machine decides nothing')
  t.equal((await security.post('/keys', { ...wanted, days: 366 })).status, 400)
  const made = await security.post('/keys', wanted)
  const { id, secret } = made.body as { id: string; secret: string }
  t.match(secret, /^qzk_/)
  const asKey = (path: string) => city.app.inject({ url: `/api/v1${path}`, headers: { authorization: `Bearer ${secret}` } })
  t.match((await asKey('/me')).json(), { person: null, name: '填报系统', agency: 'civil', roles: ['registrar'], due: null })
  const password = await city.app.inject({
    method: 'POST',
    url: '/api/v1/me/password',
    headers: { authorization: `Bearer ${secret}` },
    payload: { password: good, next: 'Lychee-tree-42' },
  })
  t.equal(password.statusCode, 403)
  const [listed] = (await it.get('/keys')).body.items as { id: string; lastUsed: string; state: string }[]
  t.match(listed, { id, state: 'active', lastUsed: city.now.toISOString() })
  t.notMatch(JSON.stringify(listed), secret)
  t.same((await city.as('water', 'agency-it').get('/keys')).body.items, [])
  t.equal((await city.as('water', 'agency-it').post(`/keys/${id}/end`)).status, 403)
  city.now = new Date(city.now.getTime() + 30 * 86_400_000 + 1)
  t.equal((await asKey('/me')).statusCode, 401, 'expired')
  city.now = new Date(city.now.getTime() - 86_400_000)
  t.equal((await asKey('/me')).statusCode, 200)
  t.match((await it.post(`/keys/${id}/end`)).body, { state: 'ended' })
  t.equal((await asKey('/me')).statusCode, 401, 'ended at once')
  t.equal((await it.post('/keys/999/end')).status, 404)
})

const headers = ['单位代码*', '登录名*', '姓名*', '电子邮箱', '电话', '角色']
const book = (rows: (string | null)[][], head = headers) =>
  writeWorkbook({ sheets: [{ name: '人员', columns: head.map((header) => ({ header })), rows }] })
const importBook = async (who: Caller, rows: (string | null)[][]) => who.upload('/people/import', excelType, await book(rows))
async function cells(bytes: Buffer): Promise<(string | null)[][]> {
  const workbook = await readWorkbook(bytes)
  const rows = await Array.fromAsync(workbook.sheets[0]!.rows(), ({ cells }) => [...cells])
  workbook.close()
  return rows
}

t.test('people from CSV: UTF-8 with and without a mark, GB18030; what is wrong is said by line', async (t) => {
  const city = await town(t)
  const system = city.as('city', 'system-admin')
  const check = (bytes: Buffer) => system.upload('/people/import?format=json&check=true', csvType, bytes)
  const lines = ['人员名单', '单位代码,登录名,姓名,电话,角色', 'civil,wang.wu,"王,五",0769-1,"登记员、使用员"', ',,,,', 'water,zhao.liu,赵黄凘,,'] // prettier-ignore
  const text = lines.join('\r\n')
  const expected = [
    { row: 3, agency: 'civil', login: 'wang.wu', name: '王,五', outcome: 'created' },
    { row: 5, agency: 'water', login: 'zhao.liu', name: '赵黄凘', outcome: 'created' },
  ]
  for (const [name, bytes] of [
    ['UTF-8', Buffer.from(text)],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${text}`)],
    ['GB18030', iconv.encode(text, 'gb18030')],
    ['tabs', Buffer.from(text.replaceAll(',', '\t').replace('王\t五', '王,五'))],
  ] as const)
    t.match((await check(bytes)).body.items, expected, name)
  t.match(
    (await system.upload('/people/import?format=json', excelType, Buffer.from(text))).body.items,
    expected,
    'by its bytes, not its name',
  )

  const refused = async (bytes: Buffer, ...told: RegExp[]) => {
    const { status, body } = await check(bytes)
    t.match({ status, body }, { status: 422, body: { code: 'QZ-EXCEL' } })
    for (const zh of told) t.match(body.detail.zh, zh)
  }
  const head = '单位代码,登录名,姓名'
  await refused(Buffer.from(`${head}\nnowhere,a.b,甲\ncivil,,乙`), /CSV!A2: 没有在用的单位 nowhere/, /CSV!B3: 必填/)
  await refused(Buffer.from(`${head}\ncivil,a.b,"甲"乙\ncivil,c.d,"丙"丁`), /CSV!2: 引号之后还有内容[^]*CSV!3/)
  const broken = Buffer.concat([Buffer.from(`${head}\ncivil,a.b,甲\ncivil,c.d,`), Buffer.from([0xff, 0xfe, 0x0a])])
  await refused(broken, /CSV!3.*既不是 UTF-8 也不是 GB18030/)
  await refused(Buffer.from(`\ufeff${head}\n`, 'utf16le'), /既不是 Excel 文件.*也不是 CSV/)
  await refused(Buffer.from('姓名\n甲'), /缺少列/)
  await refused(Buffer.from(`${head}\n${'civil,a.b,甲\n'.repeat(20_001)}`), /超过 20000 行/)
})

t.test('people from Excel', async (t) => {
  const city = await town(t)
  const system = city.as('city', 'system-admin')
  const rows = [
    ['civil', 'wang.wu', '王五', 'wang@example.gov.cn', null, '登记员\uff0c使用员'],
    ['water', 'Zhao.Liu', '赵六', null, '0769-2', 'reviewer'],
  ]
  t.equal((await importBook(city.as('city', 'security-admin'), rows)).status, 403)
  const check = await system.upload('/people/import?format=json&check=true', excelType, await book(rows))
  t.match(check.body.items, [
    { row: 2, login: 'wang.wu', outcome: 'created', link: null },
    { row: 3, login: 'zhao.liu', outcome: 'created', link: null },
  ])
  t.same((await system.get('/people?text=wang.wu')).body.items, [], 'a check makes nobody')
  const answer = await importBook(system, rows)
  t.equal(answer.status, 200)
  const [, wang, zhao] = await cells(answer.bytes)
  t.match(zhao, ['3', 'water', 'zhao.liu', '赵六', '新增', '', /^https:\/\/hub\.test\/activate#/])
  t.equal((await activate(city, wang![6]!)).status, 200, 'the links work')

  const count = async () => (await city.store.query('select from audit_entry')).length
  const before = await count()
  const again = await cells((await importBook(system, rows)).bytes)
  t.same(
    again.slice(1).map((line) => [line[2], line[4], line[6]]),
    [
      ['wang.wu', '未变', null],
      ['zhao.liu', '未变', null],
    ],
    'what became of each line, and no new links',
  )
  t.equal(await count(), before, 'the same file again changes nothing')

  const security = city.as('city', 'security-admin')
  const give = async (lines: (string | null)[][]) => security.upload('/people/import-roles?format=json', excelType, await book(lines))
  t.equal((await system.upload('/people/import-roles', excelType, await book(rows))).status, 403, 'who makes people gives them no roles')
  t.match((await security.upload('/people/import-roles?format=json&check=true', excelType, await book(rows))).body.items, [
    { outcome: 'changed', changes: [{ member: 'roles', before: [], after: ['registrar', 'user'] }] },
    { outcome: 'changed' },
  ])
  t.match((await system.get('/people?text=wang.wu')).body.items, [{ roles: [] }], 'a check gives no roles')
  t.match((await give(rows)).body.items, [
    { row: 2, login: 'wang.wu', outcome: 'changed', roles: ['registrar', 'user'], link: null },
    { row: 3, login: 'zhao.liu', outcome: 'changed', roles: ['reviewer'] },
  ])
  t.match((await give(rows)).body.items, [{ outcome: 'unchanged' }, { outcome: 'unchanged' }])
  t.match(
    (await give([['civil', 'wang.wu', '王五', null, null, null]])).body.items,
    [{ outcome: 'unchanged', roles: ['registrar', 'user'] }],
    'a blank cell changes nothing',
  )
  const unfit = await give([
    ['civil', 'wang.wu', '王五', null, null, '局长'],
    ['civil', 'nobody.x', '无', null, null, 'user'],
    ['water', 'zhao.liu', '赵六', null, null, '系统管理员\uff1b使用员'],
  ])
  t.match(unfit, { status: 422, body: { code: 'QZ-EXCEL' } })
  for (const cell of ['F2', 'B3', 'F4']) t.match(unfit.body.detail.zh, `人员!${cell}:`, cell)
  t.match((await system.get('/people?text=zhao.liu')).body.items, [{ roles: ['reviewer'] }], 'all or nothing')
  const relinked = await system.upload('/people/import?format=json&relink=true', excelType, await book(rows))
  t.match(
    relinked.body.items,
    [
      { login: 'wang.wu', outcome: 'unchanged', link: null },
      { login: 'zhao.liu', outcome: 'invited', link: /activate#/ },
    ],
    'a lost link is made anew',
  )
  t.equal((await activate(city, relinked.body.items[1].link)).status, 200)

  await importBook(system, [['civil', 'wang.wu', '王小五', null, '1']])
  t.match((await system.get('/people?text=wang.wu')).body.items, [
    { name: '王小五', email: 'wang@example.gov.cn', phone: '1', state: 'active' },
  ])

  const bad = await importBook(system, [
    ['civil', 'new.one', '新人', null, null],
    ['nowhere', 'new.two', '新人', null, null],
    ['civil', '张三', '新人', 'no address', null],
    ['civil', 'new.one', '新人', null, null],
    ['water', 'wang.wu', '王五', null, null],
    ['civil', 'new.three', null, null, null],
    ['civil', 'new.four', '新人', null, null, '局长'],
  ])
  t.match(bad, { status: 422, body: { code: 'QZ-EXCEL' } })
  for (const cell of ['A3', 'B4', 'D4', 'B5', 'B6', 'C7', 'F8']) t.match(bad.body.detail.zh, `人员!${cell}:`, cell)
  t.same((await system.get('/people?text=new.')).body.items, [], 'all or nothing')
  const template = await cells((await system.get('/people/import-template')).bytes)
  t.same(template, [headers])
  t.equal((await system.upload('/people/import', excelType, Buffer.from('no workbook'))).status, 422)
})
