import t from 'tap'
import { readWorkbook } from '../../../../protocol/excel/read.ts'
import { writeWorkbook } from '../../../../protocol/excel/write.ts'
import { excelType } from '../../../../hub/operations/operation.ts'
import { addAgency } from '../../../../hub/registry/agencies/agencies.ts'
import { enrol, issueToken } from '../../../../hub/registry/machines/enrolment.ts'
import { addGrant, setGrantState } from '../../../../hub/registry/grants/grants.ts'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { searchCatalog } from '../../../../hub/registry/catalog/search.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { openCity, person, type Caller, type City } from '../../city.ts'
import { makeObject } from '../../objects.ts'
import { refusal, villages } from '../../office.ts'

const uscc = '91350100M000100Y43'

t.test('agencies are a tree', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const education = { code: 'education', name: '教育局', kind: 'municipal', uscc, parent: 'city' }
  t.equal((await city.as('civil', 'reviewer').post('/agencies', education)).status, 403)
  t.match((await office.post('/agencies', education)).body, { ...education, state: 'active', responsible: null, rules: null })
  t.equal((await office.post('/agencies', education)).status, 409)
  t.equal((await office.post('/agencies', { code: 'Town', name: 'x' })).status, 400)
  t.equal((await office.post('/agencies', { code: 'town', name: 'x', parent: 'nowhere' })).status, 404)
  t.match(await office.post('/agencies', { code: 'town', name: 'x', uscc: '91310115MA1G4L1WXK' }), {
    status: 400,
    body: { detail: { zh: /校验码/ } },
  })
  t.equal((await office.post('/agencies', { code: 'school', name: '一中', kind: 'other', parent: 'education' })).status, 200)

  t.match(await office.patch('/agencies/city', { parent: 'school' }), { status: 422, body: { code: 'QZ-RULE' } }, 'a circle')
  t.equal((await office.patch('/agencies/school', { parent: 'school' })).status, 422)
  const crossing = await Promise.all([
    office.patch('/agencies/civil', { parent: 'water' }),
    city.as('city', 'system-admin').patch('/agencies/water', { parent: 'civil' }),
  ])
  t.same(
    crossing.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 422],
    'two moves at once cannot close one either',
  )

  t.match((await office.patch('/agencies/school', { name: '第一中学', uscc: null, parent: null })).body, { name: '第一中学', parent: null })
  t.equal((await office.patch('/agencies/school', {})).status, 400)
  t.equal((await office.patch('/agencies/school', { uscc: '91310115MA1G4L1WXK' })).status, 400)
  t.equal((await office.patch('/agencies/nowhere', { name: 'x' })).status, 404)
  const audit = () => city.store.query(`select details from audit_entry where act = 'agency.change' and object = 'agency school'`)
  t.same(
    (await audit()).map(({ details }) => details),
    [{ name: '第一中学', parent: null }],
    'what changed is on record',
  )
  await office.patch('/agencies/school', { name: '第一中学' })
  t.equal((await audit()).length, 1)

  const user = city.as('water', 'user')
  t.equal(((await user.get('/agencies')).body.items as object[]).length, 6)
  t.match((await user.get('/agencies?parent=city')).body.items, [{ code: 'education' }])
  t.match((await user.get('/agencies/education')).body, education)
})

t.test('resources are found by the new name of their agency', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  const found = async (text: string) => (await searchCatalog(city.store.query, { text, limit: 10 })).items.map(({ resource }) => resource)
  t.same(await found('民政局'), ['villages'])
  await city.as('city', 'office').patch('/agencies/civil', { name: '社会事务局' })
  t.same(await found('社会事务局'), ['villages'])
  t.same(await found('民政局'), [])
})

t.test('an agency is closed when nothing is in force for it', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  await addAgency(city, 'admin', { code: 'old', name: '旧局' })
  await addAgency(city, 'admin', { code: 'branch', name: '分局' })
  await office.patch('/agencies/branch', { parent: 'old' })
  const close = () => office.patch('/agencies/old', { state: 'closed' })
  const blocked = async (what: string) => t.match(await close(), { status: 422, body: { detail: { en: new RegExp(what) } } }, what)
  await blocked('agencies below 1')
  await office.patch('/agencies/branch', { parent: null })

  const clerk = await person(city, city.app, 'old', 'user')
  await blocked('people 1')
  await city.as('city', 'system-admin').post(`/people/${clerk.principal.person}/disable`, { reason: '机构改革' })

  const { secret } = await issueToken(city, 'admin', 'old', 48)
  const key = generateSigningKey()
  const { id: agent } = await enrol(city, { secret, publicKey: key.publicKey, name: 'old' })
  await blocked('agents 1')
  await city.store.query(`update agent set state = 'revoked' where id = $1`, [agent])

  await publishResource(city, 'admin', { schema: villages() })
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'old', items: ['name'] })
  await blocked('grants 1')
  await setGrantState(city, 'admin', grant.id, 'revoked', 'x')
  await publishResource(city, 'admin', {
    schema: villages((draft) => Object.assign(draft, { resource: 'own', table: 'own', agency: 'old' })),
  })
  await blocked('resources 1')
  await city.store.query(`update resource set state = 'withdrawn' where code = 'own'`)
  const objects = { office: city, parties: { provider: 'old', receiver: 'old' }, resource: 'villages', agent, own: agent }
  for (const [kind, state, left] of [
    ['application', 'reviewing', 'open applications 1'],
    ['machine', 'applied', 'open applications for machines 1'],
    ['registration', 'returned', 'open registrations 1'],
    ['demand', 'agreed', 'open demands 1'],
    ['declaration', 'reported', 'open declarations 1'],
    ['order', 'issued', 'open orders 1'],
  ] as const) {
    const id = await makeObject(objects, kind, state)
    await blocked(left)
    const table = {
      application: 'application',
      machine: 'machine_application',
      registration: 'registration',
      demand: 'demand',
      declaration: 'declaration',
      order: 'rectification_order',
    }[kind]
    await city.store.query(`delete from ${table} where id::text = $1`, [id])
  }

  const security = city.as('city', 'security-admin')
  const made = await security.post('/keys', { agency: 'old', name: 'k', role: 'user' })
  const unused = await issueToken(city, 'admin', 'old', 48)
  t.match((await close()).body, { state: 'closed' })
  const byKey = await city.app.inject({ url: '/api/v1/me', headers: { authorization: `Bearer ${made.body.secret}` } })
  t.equal(byKey.statusCode, 401, 'its keys end')
  t.equal(await refusal(enrol(city, { secret: unused.secret, publicKey: generateSigningKey().publicKey, name: 'x' })), 'QZ-TOKEN')
  t.equal(await refusal(issueToken(city, 'admin', 'old', 48)), 'QZ-STATE', 'nothing new is made for it')
  t.equal((await security.post('/keys', { agency: 'old', name: 'k', role: 'user' })).status, 409)
  t.match((await office.get('/agencies?state=closed')).body.items, [{ code: 'old' }])
  t.match((await office.patch('/agencies/old', { state: 'active' })).body, { state: 'active' })
})

t.test('responsible person and deputy (Art. 23)', async (t) => {
  const city = await openCity(t)
  const reviewer = city.as('civil', 'reviewer')
  const [one, two] = ['registrar', 'user'].map((role) => city.as('civil', role as 'user').principal.person!)
  const name = (who: Caller, body: object) => who.put('/agencies/civil/responsible', body)
  t.equal((await name(city.as('water', 'reviewer'), { responsible: one, deputy: two })).status, 403)
  t.match((await name(reviewer, { responsible: one, deputy: two })).body, {
    responsible: { id: one },
    deputy: { id: two, name: 'civil user' },
  })
  t.equal((await name(reviewer, { responsible: one, deputy: one })).status, 422)
  t.equal((await name(reviewer, { responsible: city.as('water', 'user').principal.person, deputy: null })).status, 422)
  await city.as('city', 'system-admin').post(`/people/${two}/disable`, { reason: 'x' })
  t.match((await reviewer.get('/agencies/civil')).body, { responsible: { id: one }, deputy: null })
  t.equal((await name(reviewer, { responsible: one, deputy: two })).status, 422, 'disabled')
  const notices = await city.store.query(`select 1 from notice where role = 'office' and kind = 'agency-responsible'`)
  t.equal(notices.length, 1, 'the office is told that somebody is missing')
})

t.test('internal rules, each version kept (Art. 23)', async (t) => {
  const city = await openCity(t)
  const reviewer = city.as('civil', 'reviewer')
  const bytes = 'application/octet-stream'
  const put = (name: string, content: string, who = reviewer) =>
    who.upload(`/agencies/civil/rules?name=${encodeURIComponent(name)}`, bytes, Buffer.from(content, 'latin1'))
  const pdf = '%PDF-1.7 rules'
  t.match((await put('管理制度.pdf', pdf)).body, { version: 1, name: '管理制度.pdf', type: 'application/pdf', bytes: 14 })
  t.match((await put('rules.docx', 'PK\x03\x04 word/document.xml')).body, { version: 2 })
  t.equal((await reviewer.upload('/agencies/civil/rules?name=r.txt', bytes, Buffer.from('制度'))).status, 200)
  for (const [name, content] of [
    ['rules.pdf', 'MZ'],
    ['rules.docx', pdf],
    ['rules.txt', '\xff\xfe'],
    ['rules.txt', 'a\0b'],
    ['rules.exe', 'MZ'],
    ['rules.txt', ''],
    ['../rules.txt', 'x'],
  ] as const)
    t.match(await put(name, content), { status: 400, body: { code: 'QZ-REQUEST-INVALID' } }, name)
  t.equal((await put('big.txt', 'x'.repeat((10 << 20) + 1))).status, 413)
  t.equal((await put('rules.pdf', pdf, city.as('water', 'reviewer'))).status, 403)
  t.equal((await put('rules.pdf', pdf, city.as('civil', 'user'))).status, 403)

  const versions = (await city.as('civil', 'user').get('/agencies/civil/rules')).body.items as { version: number }[]
  t.same(
    versions.map(({ version }) => version),
    [3, 2, 1],
  )
  const first = await city.as('city', 'supervisor').get('/agencies/civil/rules?version=1')
  t.match(first, { status: 200, text: pdf, type: 'application/pdf' })
  t.equal((await reviewer.get('/agencies/civil/rules?version=9')).status, 404)
  t.equal((await city.as('water', 'user').get('/agencies/civil/rules')).status, 403)
  t.equal((await reviewer.get('/agencies/civil')).body.rules, 3)
})

t.test('a handover when staff change', async (t) => {
  const city = await openCity(t)
  const security = city.as('city', 'security-admin')
  const [from, to] = ['registrar', 'user'].map((role) => city.as('civil', role as 'user'))
  const ids = { from: from!.principal.person!, to: to!.principal.person! }
  await city.store.query(`update agency set responsible = $1, deputy = $2 where code = 'civil'`, [ids.from, ids.to])
  const pass = (who: Caller, more: object = {}, agency = 'civil') =>
    who.post(`/agencies/${agency}/handover`, { ...ids, reason: '轮岗', disable: true, ...more })
  t.equal((await pass(city.as('water', 'reviewer'))).status, 403)
  t.equal((await pass(to!)).status, 403)
  for (const wrong of [{ to: ids.from }, { to: city.as('water', 'user').principal.person }])
    t.equal((await pass(security, wrong)).status, 422, JSON.stringify(wrong))
  const reviewer = city.as('civil', 'reviewer')
  t.equal((await pass(reviewer, { to: reviewer.principal.person })).status, 422, 'nobody gives roles to oneself')

  t.match((await pass(reviewer)).body, { id: ids.to, roles: ['registrar', 'user'] })
  t.match((await security.get(`/people/${ids.from}`)).body, { state: 'disabled', roles: [] })
  t.match((await security.get('/agencies/civil')).body, { responsible: { id: ids.to }, deputy: null })
  for (const who of [from!, to!]) t.equal((await who.get('/me')).status, 401, 'both sign in again')
  t.match(await city.store.query(`select details from history where event = 'handover'`), [
    { details: { to: ids.to, roles: ['registrar'] } },
  ])

  const office = city.as('city', 'office').principal.person!
  const audit = city.as('city', 'audit-admin').principal.person!
  const clerk = (await person(city, city.app, 'city')).principal.person!
  const chief = await person(city, city.app, 'city', 'reviewer')
  t.equal((await pass(chief, { from: office, to: clerk }, 'city')).status, 422, "the city's roles are not an agency's to pass on")
  t.equal((await pass(security, { from: audit, to: clerk }, 'city')).status, 422, "administrators' roles are not handed over")
  t.equal((await pass(security, { from: office, to: audit }, 'city')).status, 422, 'separation')
  t.match((await pass(security, { from: office, to: clerk, disable: false }, 'city')).body, { roles: ['office'] })
  t.match((await security.get(`/people/${office}`)).body, { state: 'active', roles: [] })
})

const headers = ['单位代码*', '单位名称*', '上级单位代码', '单位类别', '统一社会信用代码']
const importRows = async (who: Caller, rows: (string | null)[][], query = '') =>
  who.upload(
    `/agencies/import${query}`,
    excelType,
    await writeWorkbook({ sheets: [{ name: '单位', columns: headers.map((header) => ({ header })), rows }] }),
  )
async function cells(bytes: Buffer): Promise<(string | null)[][]> {
  const workbook = await readWorkbook(bytes)
  const rows = await Array.fromAsync(workbook.sheets[0]!.rows(), ({ cells }) => [...cells])
  workbook.close()
  return rows
}

t.test('agencies from Excel', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const rows = [
    ['street', '东城街道', 'towns', '镇街', null],
    ['towns', '镇街', null, null, uscc],
    ['civil', '民政局', 'city', null, null],
    ['water', '水务局', null, null, null],
  ]
  t.equal((await importRows(city.as('civil', 'reviewer'), rows)).status, 403)
  const looked = async () => [
    (await office.get('/agencies')).body,
    (await city.store.query(`select count(*) from audit_entry where outcome = 'done'`))[0],
  ]
  const asItWas = await looked()
  const would = (await importRows(office, rows, '?check=true')).body
  t.same(await looked(), asItWas, 'a check does nothing')
  t.match(would, { created: 2, changed: 1, unchanged: 1 })
  t.same(would.items[2], {
    row: 4,
    code: 'civil',
    name: '民政局',
    outcome: 'changed',
    changes: [{ member: 'parent', before: null, after: 'city' }],
  })
  t.same((await importRows(office, rows)).body, would, 'what was said is what is done')
  t.match((await office.get('/agencies/street')).body, { name: '东城街道', parent: 'towns', kind: 'town' })
  const count = async () => (await city.store.query('select from audit_entry')).length
  const before = await count()
  t.match((await importRows(office, rows)).body, { created: 0, changed: 0, unchanged: 4 })
  t.equal(await count(), before, 'the same file again changes nothing')

  const agencies = (await office.get('/agencies')).body
  const bad = await importRows(office, [
    ['new', '新局', null, null, null],
    ['new', '新局', null, null, null],
    ['New', '新局', null, null, null],
    ['a', null, null, null, null],
    ['b', '乙', 'nowhere', null, null],
    ['c', '丙', null, '部委', '91310115MA1G4L1WXK'],
  ])
  t.match(bad, { status: 422, body: { code: 'QZ-EXCEL' } })
  for (const cell of ['A3', 'A4', 'B5', 'C6', 'D7', 'E7']) t.match(bad.body.detail.zh, `单位!${cell}:`, cell)
  const circle = await importRows(office, [
    ['p', '甲', 'q', null, null],
    ['q', '乙', 'p', null, null],
  ])
  t.match(circle, { status: 422, body: { code: 'QZ-EXCEL', detail: { zh: /单位!C3/ } } })
  t.same((await office.get('/agencies')).body, agencies, 'all or nothing')
  t.same(await cells((await office.get('/agencies/import-template')).bytes), [headers])

  const named = await importRows(office, [
    ['new', '新局', null, null, null],
    ['newer', '新 局', null, null, null],
    ['other', '衛健局', null, null, null],
  ])
  t.match(named.body.detail.zh, /单位!B3: 与 new 重名\n单位!B4: 与 health 重名/)
  const swapped = [
    ['civil', '水务局', 'city', null, null],
    ['water', '民政局', null, null, null],
  ]
  t.match((await importRows(office, swapped)).body, { changed: 2 }, 'agencies of the file may take each other’s names')
  t.equal((await office.post('/agencies', { code: 'third', name: '民政局' })).status, 422, 'which are theirs then')
})

t.test('enrolment tokens for many agencies', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const issue = (body: object, who: Caller = office) => who.post('/machines/enrolment-files', body)
  t.equal((await issue({ agencies: ['civil'] }, city.as('civil', 'agency-it'))).status, 403)
  t.equal((await issue({ agencies: ['civil', 'nowhere'] })).status, 404)
  t.same(await city.store.query('select from enrolment_token'), [], 'all or none')
  const { items } = (await issue({ agencies: ['civil', 'water', 'civil'] })).body as {
    items: { agency: string; file: string; content: string }[]
  }
  t.match(items, [{ agency: 'civil', name: '民政局', file: 'civil.token' }, { agency: 'water' }])
  const secretIn = (content: string) => (JSON.parse(Buffer.from(content.slice(5), 'base64url').toString()) as { secret: string }).secret
  const excel = await issue({ agencies: ['health'], format: 'excel' })
  const [, row] = await cells(excel.bytes)
  for (const [content, agency] of [
    [items[1]!.content, 'water'],
    [row![3]!, 'health'],
  ] as const)
    t.match(await enrolWith(city, secretIn(content)), { agency })
})

function enrolWith(city: City, secret: string) {
  return enrol(city, { secret, publicKey: generateSigningKey().publicKey, name: 'front-end' })
}
