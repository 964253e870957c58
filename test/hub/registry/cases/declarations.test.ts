import t from 'tap'
import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import { listDuties } from '../../../../hub/supervision/duties/duties.ts'
import { openCity, person, type City } from '../../city.ts'
import { villages } from '../../office.ts'

async function published(test: Pick<typeof t, 'teardown'>): Promise<City> {
  const city = await openCity(test)
  await publishResource(city, 'admin', { schema: villages() })
  await city.store.query(`update resource set published_at = '2026-01-01'`)
  return city
}

const noticesTo = (city: City, role: string, like: string) =>
  city.store.query(`select agency, role, zh from notice where role = $1 and zh like $2`, [role, like])

t.test('nothing changed: drafted, signed by another person, with evidence; the period is explained (Art. 14)', async (t) => {
  const city = await published(t)
  const drafted = await city
    .as('civil', 'registrar')
    .post('/declarations', { kind: 'no-change', resource: 'villages', period: '2026-Q4', text: '本季度区划没有变更' })
  t.match(drafted, { status: 200, body: { state: 'drafted', evidence: null } })
  const signed = await city.as('civil', 'reviewer').post(`/declarations/${drafted.body.id}/sign`)
  t.match(signed, {
    status: 200,
    body: { state: 'accepted', evidence: { period: '2026-Q4', changes: { changedRows: 0 } }, signedAt: String },
  })
  const duties = await listDuties(city.store.query, { resource: 'villages' }, city.now)
  t.match(
    duties.filter(({ period }) => period === '2026-Q4'),
    [{ state: 'explained', declaration: drafted.body.id }],
  )
  t.equal((await noticesTo(city, 'supervisor', '%没有变化%')).length, 1)
  t.match(await city.as('civil', 'reviewer').get('/resources/villages/evidence/2026-Q4'), {
    status: 200,
    body: { nothingChanged: false, capture: null },
  })
})

t.test('that nothing changed is refused at once where there is nothing to say it of', async (t) => {
  const city = await published(t)
  const draft = (period: string) =>
    city.as('civil', 'registrar').post('/declarations', { kind: 'no-change', resource: 'villages', period, text: '没有变更' })
  t.match(await draft('2027-Q3'), { status: 422, body: { code: 'QZ-RULE', detail: { zh: /2027-Q3 尚未开始/, en: /has not begun/ } } })
  t.match(
    await draft('2026-11-21'),
    { status: 404, body: { code: 'QZ-NOT-FOUND', detail: { zh: '没有找到 更新任务 villages 2026-11-21' } } },
    'it is updated by the quarter',
  )
  t.match(await draft('2019-Q4'), { status: 404 }, 'before there was the resource')
  t.equal((await draft('2026-Q4')).status, 200)
  t.same(await city.store.query('select count(*)::int as count from declaration'), [{ count: 1 }])
})

t.test('each notice of a report tells where it lies', async (t) => {
  const city = await published(t)
  const { id } = (await city.as('civil', 'registrar').post('/declarations', { kind: 'cannot-supply', text: '系统停用', basis: '机构改革' }))
    .body
  await city.as('civil', 'reviewer').post(`/declarations/${id}/sign`)
  await city.as('city', 'government').post(`/declarations/${id}/delegate`)
  const told = await city.store.query<{ zh: string }>(`select zh from notice where role = 'office' order by id`)
  t.match(
    told.map(({ zh }) => zh),
    [/已报市政府办公室$/, /市电子政务办协商中$/],
  )
})

t.test('who drafted does not sign', async (t) => {
  const city = await published(t)
  const both = await person(city, city.app, 'civil', 'registrar', 'reviewer')
  const { id } = (await both.post('/declarations', { kind: 'force-majeure', text: '机房水淹', measures: '改用备份' })).body
  t.match(await both.post(`/declarations/${id}/sign`), { status: 409, body: { code: 'QZ-SAME-PERSON' } })
  t.match(await city.as('civil', 'reviewer').post(`/declarations/${id}/sign`), { status: 200, body: { state: 'noticed' } })
  t.equal((await city.as('city', 'office').post(`/declarations/${id}/acknowledge`)).body.state, 'acknowledged')
})

t.test('cannot supply: to the city government office, delegated, escalated, settled (Art. 7.4)', async (t) => {
  const city = await published(t)
  const draft = { kind: 'cannot-supply', resource: 'villages', text: '职能划转,不再掌握', basis: '东编〔2026〕1号' }
  const { id } = (await city.as('civil', 'registrar').post('/declarations', draft)).body
  const event = (role: 'office' | 'government', name: string, body = {}) => city.as('city', role).post(`/declarations/${id}/${name}`, body)
  t.equal((await event('government', 'delegate')).status, 409, 'not before it is signed')
  t.equal((await city.as('civil', 'reviewer').post(`/declarations/${id}/sign`)).body.state, 'reported')
  t.equal((await noticesTo(city, 'government', '%不能提供%')).length, 1)
  t.match(await event('office', 'settle', { result: '不再提供' }), { status: 403 }, 'the office only what was delegated to it')
  t.equal((await event('government', 'delegate')).body.state, 'delegated')
  t.equal((await event('office', 'escalate', { reason: '重大' })).body.state, 'escalated')
  t.equal((await event('office', 'settle', { result: '不再提供' })).status, 403)
  t.match(await event('government', 'settle', { result: '由自然资源局提供' }), {
    status: 200,
    body: { state: 'settled', result: '由自然资源局提供' },
  })
})

t.test('what a kind needs must be there, and the resource must be the own one', async (t) => {
  const city = await published(t)
  const draft = (body: object, agency = 'civil') => city.as(agency, 'registrar').post('/declarations', body)
  t.match(await draft({ kind: 'no-change', resource: 'villages', text: 'x' }), { status: 422 })
  t.match(await draft({ kind: 'no-change', period: '2026-Q4', text: 'x' }), { status: 422 })
  t.match(await draft({ kind: 'no-change', resource: 'villages', period: '2026-13', text: 'x' }), { status: 400 })
  t.match(await draft({ kind: 'cannot-supply', text: 'x' }), { status: 422 })
  t.match(await draft({ kind: 'force-majeure', text: 'x' }), { status: 422 })
  t.match(await draft({ kind: 'no-change', resource: 'villages', period: '2026-Q4', text: 'x' }, 'water'), { status: 422 })
  t.match(await draft({ kind: 'force-majeure', text: 'x', measures: 'y', until: '2026-02-30' }), { status: 400 })
})

t.test('returned with a reason', async (t) => {
  const city = await published(t)
  const { id } = (
    await city.as('civil', 'registrar').post('/declarations', { kind: 'force-majeure', text: 'x', measures: 'y', until: '2026-12-01' })
  ).body
  t.match(await city.as('civil', 'reviewer').post(`/declarations/${id}/return`, { reason: '写明期限' }), {
    status: 200,
    body: { state: 'returned', result: '写明期限', until: '2026-12-01' },
  })
  t.equal((await city.as('civil', 'reviewer').post(`/declarations/${id}/sign`)).status, 409)
})
