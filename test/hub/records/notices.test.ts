import t from 'tap'
import { countUnread, listNotices, markRead, notify } from '../../../hub/records/notices.ts'
import { markMissed } from '../../../hub/supervision/deadlines-watch.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { openCity, type Answer } from '../city.ts'
import { openOffice, villages } from '../office.ts'

const registrar = { person: '1', agency: 'civil', roles: ['registrar'] }
const colleague = { person: '2', agency: 'civil', roles: ['registrar', 'user'] }
const other = { person: '3', agency: 'water', roles: ['registrar'] }
const supervisor = { person: '4', agency: 'city', roles: ['supervisor'] }

const text = { kind: 'duty-overdue', object: 'resource villages', zh: '逾期', en: 'overdue' } as const

void t.test('a notice is seen by whom it is for, and by nobody else', async (t) => {
  const { store } = await openOffice(t)
  await store.transaction(async (query) => {
    await notify(query, { ...text, to: { person: '2' }, zh: '只给二号' })
    await notify(query, { ...text, to: { agency: 'civil', role: 'registrar' }, zh: '给民政局登记员' })
    await notify(query, { ...text, to: [{ role: 'supervisor' }, { agency: 'water', role: 'user' }], zh: '给监察员和水务局使用员' })
  })
  const seen = async (reader: typeof registrar) => (await listNotices(store.query, reader)).items.map(({ zh }) => zh)
  t.same(await seen(registrar), ['给民政局登记员'])
  t.same(await seen(colleague), ['给民政局登记员', '只给二号'], 'newest first')
  t.same(await seen(other), [], 'another agency, another role')
  t.same(await seen(supervisor), ['给监察员和水务局使用员'])
  t.match((await listNotices(store.query, registrar)).items[0], {
    ...text,
    kindName: { zh: '更新逾期' },
    object: { kind: 'resource', id: 'villages', title: null },
    zh: '给民政局登记员',
    read: false,
  })
  t.same((await listNotices(store.query, { person: null, agency: 'civil', roles: [] })).items, [])
})

void t.test('an act that fails leaves no notice', async (t) => {
  const { store } = await openOffice(t)
  const failing = store.transaction(async (query) => {
    await notify(query, { ...text, to: { role: 'supervisor' } })
    throw new Error('the act fails')
  })
  await t.rejects(failing)
  t.same((await listNotices(store.query, supervisor)).items, [])
})

void t.test('each person reads for themselves', async (t) => {
  const { store, now } = await openOffice(t)
  for (const n of [1, 2, 3]) await notify(store.query, { ...text, to: { agency: 'civil', role: 'registrar' }, zh: `第 ${n} 条` })
  const [newest] = (await listNotices(store.query, registrar)).items
  await markRead(store.query, registrar, now, { ids: [newest!.id] })
  await markRead(store.query, registrar, now, { ids: [newest!.id] })
  t.equal(await countUnread(store.query, registrar), 2)
  t.equal(await countUnread(store.query, colleague), 3)
  t.same(
    (await listNotices(store.query, registrar)).items.map(({ read }) => read),
    [true, false, false],
  )
  t.same(
    (await listNotices(store.query, registrar, { unread: 'true' })).items.map(({ zh }) => zh),
    ['第 2 条', '第 1 条'],
  )
  await markRead(store.query, other, now, { ids: [newest!.id] })
  t.same(await store.query(`select person from notice_read order by person`), [{ person: '1' }], 'nobody marks what is not theirs')
  await markRead(store.query, colleague, now)
  t.equal(await countUnread(store.query, colleague), 0)
})

void t.test('all that was told of one object is read at once', async (t) => {
  const { store, now } = await openOffice(t)
  const to = { agency: 'civil', role: 'registrar' } as const
  for (const object of ['resource villages', 'resource villages', 'resource other', 'clock'])
    await notify(store.query, { ...text, to, object })
  await markRead(store.query, registrar, now, { object: { kind: 'resource', id: 'villages' } })
  const left = (await listNotices(store.query, registrar, { unread: 'true' })).items.map(({ object }) => `${object.kind} ${object.id}`)
  t.same(left, ['clock ', 'resource other'])
  t.equal(await countUnread(store.query, colleague), 4, 'for this reader alone')
  await markRead(store.query, registrar, now, { object: { kind: 'clock', id: '' } })
  t.equal(await countUnread(store.query, registrar), 1)
})

void t.test('what was written down in earlier times is read like the rest', async (t) => {
  const { store } = await openOffice(t)
  await store.query(`insert into notice (person, kind, object, zh, en) values (1, 'of-before', 'application 7', '旧', 'old')`)
  t.match((await listNotices(store.query, registrar)).items, [
    { kind: 'of-before', kindName: { zh: 'of-before' }, object: { kind: 'application', id: '7', title: null }, zh: '旧' },
  ])
})

void t.test('people are told names, not codes', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  await city.store.query(`update resource set sharing = 'conditional', share_modes = '{query}' where code = 'villages'`)
  const [user, reviewer, office] = [city.as('water', 'user'), city.as('civil', 'reviewer'), city.as('city', 'office')]
  const done = async (answer: Promise<Answer>) => {
    const { status, body, text } = await answer
    if (status !== 200) throw new Error(text)
    return body
  }
  const asked = { resource: 'villages', mode: 'query', items: ['name'], purpose: '防汛', basis: '防汛条例' }
  const { id } = await done(user.post('/applications', asked))
  await done(user.post(`/applications/${id}/submit`))
  await done(reviewer.post(`/applications/${id}/consent`))
  const { grants } = await done(office.post(`/applications/${id}/approve`))
  const publication = { grant: grants[0].id, items: ['name'], place: '网站', purpose: '公示', source: '民政局' }
  await done(user.post('/publications', publication))
  await done(user.post('/corrections', { resource: 'villages', fault: '有误' }))
  await done(user.post('/demands', { title: '水库', what: '水库名录', why: '防汛', basis: '防汛条例' }))
  await done(city.as('civil', 'agency-it').post('/machines', { name: '一号', purpose: '共享', providedBy: 'agency' }))
  await done(office.post(`/grants/${grants[0].id}/suspend`, { reason: '核查' }))
  await done(city.as('city', 'secrecy').post('/resources/villages/stop', { reason: '核查' }))
  await city.store.transaction((query) => markMissed(query, new Date('2027-03-01')))
  const told = await city.store.query<{ kind: string; zh: string; en: string }>('select kind, zh, en from notice')
  for (const kind of ['application', 'application-consent', 'grant', 'publication', 'correction', 'demand', 'machine', 'resource', 'deadline-missed'])
    t.ok(told.some((one) => one.kind === kind), kind) // prettier-ignore
  t.same(
    told.filter(({ zh, en }) => /\b(?:civil|water|villages)\b/.test(`${zh} ${en}`)),
    [],
  )
  const { items } = (await city.as('water', 'user').get('/notices?limit=1&kind=application')).body
  t.match(items, [{ kindName: { zh: '共享申请' }, object: { kind: 'application', id, title: '村居名录' } }])
  t.match(await user.post('/notices/read', { object: { kind: 'application', id } }), { status: 200 })
  t.same((await user.get('/notices?unread=true&kind=application')).body.items, [])
})

void t.test('lists come in pages', async (t) => {
  const { store } = await openOffice(t)
  for (const n of [1, 2, 3, 4, 5]) {
    await notify(store.query, { ...text, to: { person: '1' }, zh: String(n), kind: n === 2 ? 'deadline-missed' : 'duty-overdue' })
  }
  const { items: first, next, total } = await listNotices(store.query, registrar, { limit: '2' })
  t.same(total, { count: 5, more: false })
  const second = (await listNotices(store.query, registrar, { limit: '2', after: next! })).items
  t.same(
    [first, second].map((page) => page.map(({ zh }) => zh)),
    [
      ['5', '4'],
      ['3', '2'],
    ],
  )
  t.equal((await listNotices(store.query, registrar, { kind: 'deadline-missed' })).items.length, 1)
})
