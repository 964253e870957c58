import t, { type Test } from 'tap'
import type { StandardForm } from '../../../../hub/registry/catalog/standard-form.ts'
import { openCity, type City } from '../../city.ts'
import { always, submitAndPublish, textItem } from '../catalog/fixture.ts'

function form(change: (form: StandardForm) => void = () => {}): StandardForm {
  const made: StandardForm = {
    title: '行政许可',
    abstract: '各单位的行政许可决定（双公示）',
    subject: 'enterprise',
    licence: false,
    table: 'licences',
    classification: '104',
    items: [
      textItem('number', '文号', { key: true }),
      textItem('holder', '机构名称', { role: 'institution-name', openness: 'public' }),
      textItem('uscc', '统一社会信用代码', { role: 'uscc', length: 18 }),
      textItem('note', '备注'),
      ...always,
    ],
    optional: ['note'],
  }
  change(made)
  return made
}

async function published(test: Test): Promise<City> {
  const city = await openCity(test)
  await city.as('city', 'office').post('/standards', { code: 'licences', form: form() })
  await city.as('city', 'office').post('/standards/licences/publish')
  return city
}

/** Adopts the standard and adds the metadata of one's own. */
async function adopt(city: City, agency: string, change: (content: any) => void = () => {}): Promise<any> {
  const registrar = city.as(agency, 'registrar')
  const { body } = await registrar.post('/standards/licences/adopt')
  const content = { ...body.content, sharing: 'unconditional', cycle: 'daily', supplyMode: 'front-end' }
  change(content)
  await registrar.post(`/registrations/${body.id}/change`, { content, replace: true })
  return body
}

t.test('the office drafts and publishes; agencies adopt it as it is, into one table', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  t.match((await office.post('/standards', { code: 'licences', form: form() })).body, { state: 'draft', version: 0, form: null })
  t.equal((await office.post('/standards', { code: 'licences', form: form() })).status, 409)
  t.same((await city.as('civil', 'user').get('/standards')).body.items, [], 'drafts are the office’s')
  t.equal((await city.as('civil', 'user').get('/standards/licences')).status, 404)
  t.equal((await city.as('civil', 'registrar').post('/standards/licences/adopt')).status, 409)
  t.equal((await office.post('/standards/licences/change', { form: form((f) => (f.title = '许可')) })).body.draft.title, '许可')
  t.match((await office.post('/standards/licences/publish')).body, { state: 'published', version: 1, draft: null, form: { title: '许可' } })
  t.match(await office.post('/standards/licences/publish'), { status: 422 }, 'nothing new')

  const draft = await adopt(city, 'civil', (c) => (c.title = '民政许可'))
  t.match(draft, { standard: 'licences', content: { table: 'licences', classification: '104', items: form().items } })
  t.equal((await submitAndPublish(city, 'civil', draft.id)).status, 200)
  const other = await adopt(city, 'water', (c) => c.items.splice(3, 1))
  t.same((await city.as('water', 'registrar').get(`/registrations/${other.id}/check`)).body, { faults: [], sources: [], incompatible: [] })
  t.equal((await submitAndPublish(city, 'water', other.id)).status, 200, 'without the optional item')
  t.match((await city.as('health', 'user').get(`/resources/${other.resource}`)).body, {
    standard: 'licences',
    schema: { table: 'licences' },
  })
  t.match((await city.as('health', 'user').get('/standards')).body.items, [{ code: 'licences', adopters: ['civil', 'water'] }])
  const found = (await city.as('health', 'user').get('/catalog?standard=licences')).body.items
  t.same(found.map(({ agency }: any) => agency).toSorted(), ['civil', 'water'])
})

t.test('what the standard fixes cannot be changed', async (t) => {
  const city = await published(t)
  const cases: [string, (content: any) => void, RegExp][] = [
    ['another item', (c) => c.items.push(textItem('extra', '附加')), /没有信息项 extra/],
    ['a changed item', (c) => (c.items[3].length = 10), /note 须与标准一致/],
    ['a mandatory item left out', (c) => c.items.splice(1, 1), /缺少标准的信息项 holder/],
    ['another table', (c) => (c.table = 'own'), /须与标准 licences 一致：licences/],
    ['another subject', (c) => (c.subject = 'other'), /须与标准 licences 一致：enterprise/],
  ]
  for (const [what, change, zh] of cases) {
    const { id } = await adopt(city, 'civil', change)
    t.match(await submitAndPublish(city, 'civil', id), { status: 422, body: { detail: { zh } } }, what)
    await city.as('civil', 'registrar').post(`/registrations/${id}/discard`)
  }
})

t.test('a changed standard: adopters find a draft ready', async (t) => {
  const city = await published(t)
  const office = city.as('city', 'office')
  const civil = await adopt(city, 'civil', (c) => (c.title = '民政许可'))
  await submitAndPublish(city, 'civil', civil.id)
  const water = await adopt(city, 'water', (c) => (c.title = '水务许可'))
  await submitAndPublish(city, 'water', water.id)
  const begun = await city.as('water', 'registrar').post('/registrations', { resource: water.resource })
  const next = form((f) => f.items.push(textItem('reason', '许可内容')))
  await office.post('/standards/licences/change', { form: next })
  t.match((await city.as('civil', 'user').get('/standards/licences')).body, { version: 1, draft: null }, 'not before it is published')
  t.equal((await office.post('/standards/licences/publish')).body.version, 2)

  const [draft] = (await city.as('civil', 'registrar').get('/registrations?state=draft')).body.items
  t.match(draft, { resource: civil.resource, base: 1, draftedBy: 'hub', title: '民政许可', items: next.items.length })
  const { content } = (await city.as('civil', 'registrar').get(`/registrations/${draft.id}`)).body
  t.match(content, { title: '民政许可', items: next.items })
  t.match(await submitAndPublish(city, 'civil', draft.id), { status: 200 })
  t.equal((await city.as('civil', 'user').get(`/resources/${civil.resource}`)).body.version, 2)
  const told = await city.store.query(`select agency, object from notice where kind = 'standard-changed' order by agency`)
  t.same(told, [
    { agency: 'civil', object: `registration ${draft.id}` },
    { agency: 'water', object: `registration ${begun.body.id}` },
  ])
  t.match(await submitAndPublish(city, 'water', begun.body.id), { status: 422 }, 'the old form is no more')
})

t.test('a form must be sound, and keeps its table and types', async (t) => {
  const city = await published(t)
  const office = city.as('city', 'office')
  const cases: [string, (form: StandardForm) => void, RegExp][] = [
    ['no key', (f) => delete f.items[0]!.key, /主键/],
    ['an optional key', (f) => f.optional.push('number'), /number 不能可选/],
    ['an optional item that is none', (f) => f.optional.push('none'), /none 不能可选/],
    ['another table', (f) => (f.table = 'other'), /表名 licences 不能改/],
    ['another type', (f) => (f.items[3] = { ...form().items[5]!, id: 'note', name: 'note' }), /note 的类型不能改/],
  ]
  for (const [what, change, zh] of cases) {
    await office.post('/standards/licences/change', { form: form(change) })
    t.match(await office.post('/standards/licences/publish'), { status: 422, body: { code: 'QZ-RULE', detail: { zh } } }, what)
  }
  const adopted = await adopt(city, 'civil')
  await submitAndPublish(city, 'civil', adopted.id)
  t.equal((await office.post('/standards/licences/withdraw')).body.state, 'withdrawn')
  t.equal((await city.as('water', 'registrar').post('/standards/licences/adopt')).status, 409)
  t.equal((await city.as('water', 'user').get(`/resources/${adopted.resource}`)).body.state, 'active', 'what adopted it stays')
  t.match(await city.store.query(`select agency from notice where kind = 'standard-withdrawn'`), [{ agency: 'civil' }])
})
