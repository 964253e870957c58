import { publishResource } from '../../../../hub/registry/publishing/direct-publishing.ts'
import t from 'tap'
import { startDeadline } from '../../../../hub/records/deadlines.ts'
import { openCity, person } from '../../city.ts'
import { always, licences, register, secrecy, submitAndPublish, textItem } from '../catalog/fixture.ts'

t.test('a resource is drafted, checked, submitted, returned, changed and published (Art. 10, 11)', async (t) => {
  const city = await openCity(t)
  const [registrar, reviewer] = [city.as('civil', 'registrar'), city.as('civil', 'reviewer')]
  const draft = await registrar.post('/registrations', { resource: 'ads', content: { title: '户外广告许可' } })
  t.match(draft, { status: 200, body: { state: 'draft', resource: 'ads', base: null, content: { title: '户外广告许可', table: 'ads' } } })
  const path = `/registrations/${draft.body.id}`
  t.match(await registrar.post(`${path}/submit`, { secrecy }), { status: 422, body: { code: 'QZ-RULE' } })

  const changed = await registrar.post(`${path}/change`, { content: licences() })
  t.match(changed.body, { state: 'draft', content: { subject: 'enterprise' } })
  t.same((await registrar.get(`${path}/check`)).body, { faults: [], sources: [], incompatible: [] })
  t.equal((await registrar.post(`${path}/submit`, {})).status, 400, 'without the secrecy declaration (Art. 27)')
  t.equal((await registrar.post(`${path}/submit`, { secrecy: { ...secrecy, reviewed: false } })).status, 400)
  t.match((await registrar.post(`${path}/submit`, { secrecy })).body, { state: 'submitted', secrecyReview: secrecy })
  t.match(await registrar.post(`${path}/change`, { content: licences() }), { status: 409, body: { code: 'QZ-STATE' } })
  t.equal((await registrar.post(`${path}/recall`)).body.state, 'draft')
  await registrar.post(`${path}/submit`, { secrecy })
  t.match((await reviewer.post(`${path}/return`, { reason: '摘要太短' })).body, { state: 'returned', reason: '摘要太短' })
  t.equal((await registrar.post(`${path}/change`, { content: licences((c) => (c.abstract = '详细')) })).body.state, 'returned')
  await registrar.post(`${path}/submit`, { secrecy })
  t.match(await registrar.post(`${path}/publish`), { status: 403 })
  t.match(await city.as('water', 'reviewer').post(`${path}/publish`), { status: 403 })
  t.equal((await reviewer.post(`${path}/publish`)).body.state, 'published')

  const entry = await city.as('water', 'user').get('/resources/ads')
  t.match(entry.body, {
    catalogCode: '302000/000001',
    agencyName: '民政局',
    openness: 'partial',
    catalogVersion: 1,
    version: 1,
    content: { abstract: '详细', cycle: 'daily' },
    schema: { table: 'ad_licences' },
  })
  t.same(
    entry.body.content,
    licences((c) => (c.abstract = '详细')),
  )
  const { items } = (await city.as('water', 'user').get('/resources/ads/versions')).body
  const [submittedBy, publishedBy] = [registrar.principal.actor, reviewer.principal.actor]
  t.match(items, [{ number: 1, submittedBy, publishedBy, secrecyReview: secrecy, registration: draft.body.id }])
  const told = await city.store.query<{ role: string }>(`select role from notice where object = $1 order by id`, [
    `registration ${draft.body.id}`,
  ])
  t.same(
    told.map(({ role }) => role),
    ['reviewer', 'reviewer', 'registrar', 'reviewer', 'registrar'],
  )
})

t.test('nobody publishes or returns what they wrote or submitted', async (t) => {
  const city = await openCity(t)
  const both = await person(city, city.app, 'civil', 'registrar', 'reviewer')
  const other = city.as('civil', 'registrar')
  const mine = (await both.post('/registrations', { content: licences() })).body.id as string
  await both.post(`/registrations/${mine}/submit`, { secrecy })
  for (const [event, body] of [
    ['publish', {}],
    ['return', { reason: 'x' }],
  ] as const) {
    t.match(await both.post(`/registrations/${mine}/${event}`, body), { status: 409, body: { code: 'QZ-SAME-PERSON' } })
  }
  await both.post(`/registrations/${mine}/recall`)
  await other.post(`/registrations/${mine}/submit`, { secrecy })
  t.match(await both.post(`/registrations/${mine}/publish`), { body: { code: 'QZ-SAME-PERSON' } }, 'written by one, submitted by another')
})

t.test('check lists everything that is wrong at once, in both languages, by item', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  const { body } = await registrar.post('/registrations', {
    content: {
      title: '许可',
      subject: 'person',
      licence: true,
      secrecy: true,
      sharing: 'conditional',
      shareModes: [],
      classification: '999',
      related: ['nothing'],
      producer: 'nobody',
      storedClosed: ['name'],
      items: [
        { id: 'name', name: 'name', label: '姓名', type: 'text', openness: 'public', role: 'person-name' },
        { id: 'sum', name: 'name', label: '金额', type: 'decimal', openness: 'public' },
        { id: 'half', label: '未填完' },
      ],
      exceptions: [{ item: 'none', basis: '法' }],
    },
  })
  const { faults } = (await registrar.get(`/registrations/${body.id}/check`)).body
  const has = (item: string | null, field: string, zh: RegExp) =>
    t.ok(
      faults.some((fault: any) => fault.item === item && fault.field === field && zh.test(fault.zh) && fault.en.length > 0),
      `${field} ${item} ${zh}`,
    )
  has(null, 'abstract', /未填写/)
  has(null, 'cycle', /更新周期/)
  has('half', 'type', /数据类型未填写/)
  has('half', 'openness', /公开属性/)
  has('sum', 'items', /name name 重复/)
  has('sum', 'items', /精度/)
  has(null, 'items', /主键/)
  for (const name of ['身份证件类型', '身份证件号码', '发证机关', '发证时间', '有效期', '实施机关', '业务办理时间']) {
    has(null, 'items', new RegExp(`“${name}”（第六条）`))
  }
  has(null, 'sharingConditions', /条件/)
  has(null, 'shareModes', /共享方式/)
  has(null, 'secrecy', /不予共享/)
  has(null, 'classification', /999/)
  has(null, 'related', /nothing/)
  has(null, 'producer', /nobody/)
  has('name', 'storedClosed', /不是不公开/)
  has('none', 'exceptions', /none/)
  t.notOk(
    faults.some((fault: any) => fault.zh.includes('“姓名”')),
    'what is there is not missed',
  )
})

t.test('mandatory items by subject (Art. 6); one code stands for three', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  const missing = async (content: object) => {
    const { body } = await registrar.post('/registrations', { content: licences((c) => Object.assign(c, content)) })
    const { faults } = (await registrar.get(`/registrations/${body.id}/check`)).body
    await registrar.post(`/registrations/${body.id}/discard`)
    for (const { field, zh } of faults) if (field === 'items') t.match(zh, /请把.*“基本元数据”选为它/, 'and what to do')
    return faults.flatMap((fault: any) => (/缺少必备信息项“([^”]*)”/.exec(fault.zh) ?? []).slice(1))
  }
  const items = [textItem('number', '文号', { key: true }), ...always]
  t.same(await missing({ items }), ['机构名称', '工商企业注册号', '组织机构代码'])
  t.same(await missing({ items, subject: 'social-organisation' }), ['机构名称', '社会组织登记号', '组织机构代码'])
  t.same(await missing({ items, subject: 'public-institution' }), ['机构名称', '批准文号', '组织机构代码'])
  t.same(await missing({ items, subject: 'person' }), ['姓名', '身份证件类型', '身份证件号码'])
  t.same(await missing({ items, subject: 'other' }), ['事项具体内容'])
  t.same(await missing({ items: items.slice(0, 1), subject: 'other' }), ['事项具体内容', '实施机关', '业务办理时间'])
  const coded = [...items, textItem('name', '名称', { role: 'institution-name' }), textItem('uscc', '代码', { role: 'uscc' })]
  t.same(await missing({ items: coded }), [], 'enterprises')
  t.same(await missing({ items: coded, subject: 'social-organisation' }), [])
  t.same(await missing({ items: coded, subject: 'public-institution' }), ['批准文号'])
  t.same(await missing({ items: coded, licence: true }), ['发证机关', '发证时间', '有效期'])
})

t.test('one datum, one source: what another agency supplies needs a legal basis (Art. 13)', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', licences(), { resource: 'ads' })
  const registrar = city.as('water', 'registrar')
  const twice = (more: object = {}) =>
    licences((c) => {
      c.title = '取水许可'
      c.items[3]!.label = '设置 地点'
      Object.assign(c, more)
    })
  const { body } = await registrar.post('/registrations', { content: twice() })
  const path = `/registrations/${body.id}`
  const { sources, faults } = (await registrar.get(`${path}/check`)).body
  const source = { item: 'place', resource: 'ads', agency: 'civil', agencyName: '民政局', basis: null }
  t.match(sources, [source], 'the mandatory items are none of them')
  t.match(faults, [{ field: 'exceptions', item: 'place', zh: /第十三条/ }])
  t.match(await registrar.post(`${path}/submit`, { secrecy }), { status: 422, body: { code: 'QZ-RULE' } })
  const exceptions = [{ item: 'place', basis: '《取水许可条例》第二条' }]
  await registrar.post(`${path}/change`, { content: twice({ exceptions }) })
  t.equal((await registrar.post(`${path}/submit`, { secrecy })).status, 200)
  const shown = (await city.as('water', 'reviewer').get(path)).body
  t.match(shown.sources, [{ item: 'place', basis: exceptions[0]!.basis }], 'the reviewer sees it')
  await city.as('water', 'reviewer').post(`${path}/publish`)
  const { items } = (await registrar.get(`/resources/${shown.resource}/versions`)).body
  t.same(items[0].content.exceptions, exceptions, 'kept with the version')

  const check = async (change: Parameters<typeof licences>[0]) => {
    const made = await city.as('health', 'registrar').post('/registrations', { content: licences(change) })
    const found = (await city.as('health', 'registrar').get(`/registrations/${made.body.id}/check`)).body.sources
    return found.map(({ item, resource }: any) => `${item} ${resource}`)
  }
  t.same(await check((c) => (c.subject = 'other')), [], 'about another subject')
  t.same(await check(() => {}), ['place ads', `place ${shown.resource}`])
  await register(
    city,
    'civil',
    licences((c) => (c.items[3]!.openness = 'closed')),
    { resource: 'ads' },
  )
  t.same(await check(() => {}), [`place ${shown.resource}`], 'what is closed is not to be had')
})

t.test('a change begins from the version in force, one at a time; versions and their differences', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  await register(city, 'civil', licences(), { resource: 'ads' })
  const begun = await registrar.post('/registrations', { resource: 'ads' })
  t.match(begun.body, { base: 1, content: licences() })
  t.match(await registrar.post('/registrations', { resource: 'ads' }), { status: 409, body: { code: 'QZ-CONFLICT' } })
  t.match(await city.as('water', 'registrar').post('/registrations', { resource: 'ads' }), { status: 409 }, "another agency's")
  const more = licences((c) => {
    c.abstract = '改'
    c.items[3]!.length = 200
    c.items.push(textItem('note', '备注'))
  })
  const path = `/registrations/${begun.body.id}`
  await registrar.post(`${path}/change`, { content: more })
  t.equal((await registrar.get('/resources/ads')).body.content.abstract, licences().abstract, 'the version in force stays')
  const expected = {
    metadata: [{ field: 'abstract', before: licences().abstract, after: '改' }],
    added: [{ id: 'note' }],
    removed: [],
    changed: [{ item: 'place', fields: [{ field: 'length', before: 100, after: 200 }] }],
  }
  t.match((await registrar.get(path)).body.changes, expected)
  t.equal((await submitAndPublish(city, 'civil', begun.body.id)).status, 200)
  t.match((await registrar.get('/resources/ads/diff?from=1&to=2')).body, expected)
  t.match((await registrar.get('/resources/ads/diff?from=2&to=1')).body, { added: [], removed: [{ id: 'note' }] })
  t.equal((await registrar.get('/resources/ads/diff?from=1&to=3')).status, 404)
  const entry = (await registrar.get('/resources/ads')).body
  t.match(entry, { version: 2, catalogVersion: 2, catalogCode: '302000/000001' })

  await register(city, 'civil', { ...more, abstract: '再改' }, { resource: 'ads' })
  t.match((await registrar.get('/resources/ads')).body, { version: 2, catalogVersion: 3 }, 'what does not travel needs no new snapshot')
})

t.test('a version that came meanwhile is a conflict', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', licences(), { resource: 'ads' })
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads' })
  await city.as('civil', 'registrar').post(`/registrations/${body.id}/submit`, { secrecy })
  const { title, table, items } = licences((c) => (c.title = '广告许可'))
  await publishResource(city, 'admin', { schema: { resource: 'ads', agency: 'civil', title, table, items } })
  const late = await city.as('civil', 'reviewer').post(`/registrations/${body.id}/publish`)
  t.match(late, {
    status: 409,
    body: { code: 'QZ-CONFLICT', detail: { zh: /现行第 2 版，登记所据为第 1 版/, en: /version 2 is in force/ } },
  })
})

t.test('where the data lies is decided beside a registration that waits, and holds it up no more', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', licences(), { resource: 'ads' })
  const { body } = await city.as('civil', 'registrar').post('/registrations', { resource: 'ads', content: { abstract: '更详细' } })
  await city.as('civil', 'registrar').post(`/registrations/${body.id}/submit`, { secrecy })
  t.equal((await city.as('civil', 'reviewer').put('/resources/ads/keep', { keep: 'relay' })).body.keep, 'relay')
  t.equal((await city.as('civil', 'reviewer').post(`/registrations/${body.id}/publish`)).status, 200)
  t.match((await city.as('civil', 'registrar').get('/resources/ads')).body, {
    keep: 'relay',
    catalogVersion: 3,
    content: { abstract: '更详细' },
  })
})

t.test('a change changes what it names; items go only where that is said', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  const { body } = await registrar.post('/registrations', { content: licences() })
  const change = (given: object) => registrar.post(`/registrations/${body.id}/change`, given)
  t.match((await change({ content: { title: '新名称' } })).body.content, {
    title: '新名称',
    abstract: '户外广告设置许可决定',
    items: { length: 6 },
  })
  const few = licences().items.slice(0, 2)
  t.match(await change({ content: { items: few } }), {
    status: 422,
    body: { code: 'QZ-RULE', detail: { zh: /将删除 4 个信息项.统一社会信用代码、设置地点/, en: /4 items would be gone.*"replace": true/ } },
  })
  t.equal((await registrar.get(`/registrations/${body.id}`)).body.content.items.length, 6)
  t.equal((await change({ content: { items: [...licences().items, textItem('note', '备注')] } })).body.content.items.length, 7)
  t.same((await change({ content: { title: '只有名称', items: few }, replace: true })).body.content, { title: '只有名称', items: few })
})

t.test('a text that is left empty in a draft is not given yet; what is begun may be unfinished', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  const items = [{ id: 'code', label: ' ', description: '' }, { label: '名称' }]
  const empty = {
    title: '',
    abstract: ' \n ',
    classification: '',
    contact: { name: '', phone: '22830000' },
    exceptions: [{ item: 'code', basis: '' }],
  }
  const begun = await registrar.post('/registrations', { resource: 'ads', content: { ...empty, keywords: [], items } })
  t.equal(begun.status, 200)
  const kept = { contact: { phone: '22830000' }, exceptions: [{ item: 'code' }], items: [{ id: 'code' }, { label: '名称' }] }
  t.match(begun.body.content, kept)
  for (const name of ['title', 'abstract', 'classification']) t.notOk(name in begun.body.content, name)
  const path = `/registrations/${begun.body.id}`
  const { faults } = (await registrar.get(`${path}/check`)).body
  for (const zh of ['信息资源名称未填写', '信息资源摘要未填写', '联系人填写不全', '一数一源例外填写不全'])
    t.ok(faults.some((fault: { zh: string }) => fault.zh === zh), zh) // prettier-ignore
  t.match(await registrar.post(`${path}/submit`, { secrecy }), { status: 422, body: { code: 'QZ-RULE' } })

  await registrar.post(`${path}/change`, { content: licences() })
  t.notOk('abstract' in (await registrar.post(`${path}/change`, { content: { abstract: '' } })).body.content, 'emptied')
  t.equal((await registrar.post(`${path}/change`, { content: { classification: 'x' } })).status, 400, 'what is given has its form')
})

t.test('names are unique in an agency; codes are made, and official codes number within a class', async (t) => {
  const city = await openCity(t)
  const registrar = city.as('civil', 'registrar')
  await register(city, 'civil', licences())
  const first = (await registrar.get('/resources/civil-0001')).body
  t.match(first, { code: 'civil-0001', catalogCode: '302000/000001' })
  t.match(await register(city, 'civil', licences()), { status: 422, body: { code: 'QZ-RULE' } })
  const own = licences((c) => (c.items[3]!.label = '地址'))
  t.equal((await register(city, 'water', own)).status, 200, "another agency's may have it")
  t.match(await city.as('civil', 'user').get('/resources/water-0001'), { body: { catalogCode: '302000/000002' } })
  const office = city.as('city', 'office')
  t.equal((await office.post('/classifications', { code: '302001', zh: '民政局', en: 'civil' })).body.parent, '302')
  t.equal((await office.post('/classifications', { code: '302001', zh: '水务局', en: 'water' })).status, 409)
  t.equal((await office.post('/classifications', { code: '302000', zh: '无', en: 'none' })).status, 400)
  t.equal((await office.post('/classifications', { code: '999', zh: '无', en: 'none' })).status, 404)
  t.equal((await registrar.post('/classifications', { code: '302002', zh: '无', en: 'none' })).status, 403)
  t.ok((await registrar.get('/classifications')).body.items.some(({ code }: any) => code === '302001'))
  await register(city, 'civil', { ...licences(), classification: '302001' }, { resource: 'civil-0001' })
  t.equal((await registrar.get('/resources/civil-0001')).body.catalogCode, '302001/000001')
})

t.test('openness has four states (Art. 5)', async (t) => {
  const city = await openCity(t)
  const state = async (resource: string, openness: string[]) => {
    const items = licences().items.map((item, i) => ({ ...item, openness: item.key ? openness[0]! : (openness[i] ?? openness.at(-1)!) }))
    const content = { ...licences(), title: resource, items } as ReturnType<typeof licences>
    t.equal((await register(city, 'civil', content, { resource })).status, 200)
    return (await city.as('water', 'user').get(`/resources/${resource}`)).body.openness
  }
  t.equal(await state('a', ['internal']), 'internal')
  t.equal(await state('b', ['public']), 'public')
  t.equal(await state('c', ['internal', 'closed']), 'closed', 'a surrogate key beside')
  t.equal(await state('d', ['internal', 'closed', 'internal']), 'partial')
  t.equal(await state('e', ['internal', 'public']), 'partial')
})

t.test('the catalog is searched; a withdrawn resource is found no more', async (t) => {
  const city = await openCity(t)
  await register(city, 'civil', licences(), { resource: 'ads' })
  const found = async (query: string) =>
    (await city.as('water', 'user').get(`/catalog?${query}`)).body.items.map(({ resource }: any) => resource)
  t.same(await found(`text=${encodeURIComponent('广告 地点')}`), ['ads'])
  t.same(await found(`text=${encodeURIComponent('302000/000001')}`), ['ads'])
  t.same(await found('openness=public'), [])
  t.same(await found('agency=civil&classification=3'), ['ads'])
  t.equal((await city.as('city', 'office').patch('/agencies/civil', { name: '民生局' })).status, 200)
  t.same(await found(`text=${encodeURIComponent('民生局')}`), ['ads'], "by the agency's new name")
  await city.as('civil', 'registrar').post('/registrations', { resource: 'ads' })
  t.equal((await city.as('civil', 'registrar').post('/resources/ads/withdraw', { reason: 'x' })).status, 403)
  t.equal((await city.as('civil', 'reviewer').post('/resources/ads/withdraw', { reason: '职能调整' })).body.state, 'withdrawn')
  t.same(await found('agency=civil'), [])
  t.match((await city.as('water', 'user').get('/resources/ads')).body, { state: 'withdrawn', withdrawnBecause: '职能调整' })
  t.match((await city.as('civil', 'registrar').get('/registrations')).body.items, [{ state: 'discarded' }, { state: 'published' }])
  t.equal((await city.as('civil', 'registrar').post('/registrations', { resource: 'ads' })).status, 409)
  t.equal((await register(city, 'civil', licences(), { resource: 'ads2' })).status, 200, 'its name is free again')
})

t.test('lists show what is within reach', async (t) => {
  const city = await openCity(t)
  const { body } = await city.as('civil', 'registrar').post('/registrations', {})
  const ids = async (agency: string, role: Parameters<typeof city.as>[1], query = '') =>
    (await city.as(agency, role).get(`/registrations${query}`)).body.items.map(({ id }: any) => id)
  t.same(await ids('civil', 'reviewer'), [body.id])
  t.same(await ids('water', 'registrar'), [])
  t.same(await ids('city', 'supervisor'), [body.id])
  t.same(await ids('city', 'office', '?state=submitted'), [])
  t.equal((await city.as('water', 'registrar').get(`/registrations/${body.id}`)).status, 403)
  t.equal((await city.as('civil', 'user').get('/registrations')).status, 403)
})

t.test('a registration answers a demand: its publication fulfils it, and ends the deadline', async (t) => {
  const city = await openCity(t)
  const [user, office, registrar] = [city.as('water', 'user'), city.as('city', 'office'), city.as('civil', 'registrar')]
  const demand = (await user.post('/demands', { title: '广告', what: '许可', why: '巡查', basis: '《条例》第二条' })).body.id as string
  t.equal((await registrar.post('/registrations', { demand, resource: 'ads' })).status, 422, 'made to nobody yet')
  await office.post(`/demands/${demand}/assign`, { provider: 'civil' })
  t.equal((await city.as('health', 'registrar').post('/registrations', { demand, resource: 'ads' })).status, 422, 'not made to them')
  await city.as('civil', 'reviewer').post(`/demands/${demand}/agree`, { what: '许可', until: '2027-01-31' })
  t.equal((await register(city, 'civil', licences(), { resource: 'ads', demand })).status, 200)
  t.match((await user.get(`/demands/${demand}`)).body, { state: 'fulfilled', resource: 'ads' })

  await startDeadline(city.store.query, {
    kind: 'catalog-update',
    object: 'resource ads',
    agency: 'civil',
    role: 'registrar',
    from: city.now,
  })
  await register(
    city,
    'civil',
    licences((c) => (c.abstract = '改')),
    { resource: 'ads' },
  )
  t.match(await city.store.query(`select outcome from deadline where object = 'resource ads'`), [{ outcome: 'met' }])
})
