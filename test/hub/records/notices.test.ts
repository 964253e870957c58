import t from 'tap'
import { countUnread, listNotices, markRead, notify } from '../../../hub/records/notices.ts'
import { openOffice } from '../office.ts'

const registrar = { person: '1', agency: 'civil', roles: ['registrar'] }
const colleague = { person: '2', agency: 'civil', roles: ['registrar', 'user'] }
const other = { person: '3', agency: 'water', roles: ['registrar'] }
const supervisor = { person: '4', agency: 'city', roles: ['supervisor'] }

const text = { kind: 'duty-overdue', object: 'resource villages', zh: '逾期', en: 'overdue' }

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
  t.match((await listNotices(store.query, registrar)).items[0], { ...text, zh: '给民政局登记员', read: false })
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
  await markRead(store.query, registrar, now, [newest!.id])
  await markRead(store.query, registrar, now, [newest!.id])
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
  await markRead(store.query, other, now, [newest!.id])
  t.same(await store.query(`select person from notice_read order by person`), [{ person: '1' }], 'nobody marks what is not theirs')
  await markRead(store.query, colleague, now)
  t.equal(await countUnread(store.query, colleague), 0)
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
