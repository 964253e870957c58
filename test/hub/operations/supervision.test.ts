import t from 'tap'
import { seal } from '../../../hub/supervision/audit/sealer.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { excelType } from '../../../hub/operations/operation.ts'
import { openCity } from '../city.ts'
import { villages } from '../office.ts'

const order = { agency: 'civil', cause: 'update', text: '请更新村居名录', due: '2026-12-10' }

t.test('an agency sees its own duties and deadlines, the office and the supervisor all', async (t) => {
  const city = await openCity(t)
  await publishResource(city, 'admin', { schema: villages() })
  await city.store.query(`update resource set published_at = '2026-01-01'`)
  await city.as('city', 'office').post('/orders', order)
  const supervisor = city.as('city', 'supervisor')
  const all = (await supervisor.get('/duties')).body.items
  t.match(all, [{ resource: 'villages', agency: 'civil' }])
  t.same((await city.as('civil', 'registrar').get('/duties')).body.items, all)
  t.same((await city.as('water', 'registrar').get('/duties')).body.items, [])
  t.same((await city.as('water', 'registrar').get('/duties?agency=civil')).body.items, [], 'naming another agency does not help')
  t.match((await supervisor.get('/duties?agency=civil&from=2026-10-01&to=2026-12-31')).body.items, [{ period: '2026-Q4' }])
  t.equal((await supervisor.get('/duties?from=2026-02-30')).status, 400)

  t.match((await supervisor.get('/deadlines')).body.items, [
    { kind: 'rectification', agency: 'civil', due: '2026-12-10', state: 'running' },
  ])
  t.equal((await city.as('civil', 'reviewer').get('/deadlines?state=running')).body.items.length, 1)
  t.same((await city.as('water', 'reviewer').get('/deadlines?agency=civil')).body.items, [])
})

t.test('notices are for those they are addressed to, and read by each on their own', async (t) => {
  const city = await openCity(t)
  await city.as('city', 'office').post('/orders', order)
  const reviewer = city.as('civil', 'reviewer')
  const mine = (await reviewer.get('/notices')).body
  t.match(mine, { unread: 1, items: [{ kind: 'order', read: false, zh: /责令改正/, en: /Rectification order/ }] })
  t.match((await city.as('water', 'reviewer').get('/notices')).body, { unread: 0, items: [] })
  t.match((await city.as('civil', 'registrar').get('/notices')).body, { items: [] })
  t.same((await city.as('water', 'reviewer').post('/notices/read', { ids: [mine.items[0].id] })).body, { unread: 0 })
  t.equal((await reviewer.get('/notices')).body.unread, 1, "another's mark does not count")
  t.same((await reviewer.post('/notices/read', { ids: [mine.items[0].id] })).body, { unread: 0 })
  t.match((await reviewer.get('/notices?unread=true')).body.items, [])
})

t.test('the history of an object is for those who may read the object', async (t) => {
  const city = await openCity(t)
  const { id } = (await city.as('city', 'office').post('/orders', order)).body
  await city.as('civil', 'reviewer').post(`/orders/${id}/answer`, { answer: '已更新' })
  const path = `/history/order/${id}`
  t.match((await city.as('civil', 'reviewer').get(path)).body.items, [
    { event: 'issue', from: null, to: 'issued', agency: 'city' },
    { event: 'answer', from: 'issued', to: 'answered', actorName: 'civil reviewer', agency: 'civil' },
  ])
  t.equal((await city.as('water', 'reviewer').get(path)).status, 403)
  t.equal((await city.as('civil', 'user').get(path)).status, 403)
  t.equal((await city.as('city', 'supervisor').get('/history/order/999')).status, 404)
  t.equal((await city.as('city', 'supervisor').get('/history/secret/1')).status, 400)
})

t.test('the audit is read by audit and supervision; the feed goes on where its reader left off', async (t) => {
  const city = await openCity(t)
  const { id } = (await city.as('city', 'office').post('/orders', order)).body
  const auditor = city.as('city', 'audit-admin')
  const { items } = (await auditor.get(`/audit?object=${encodeURIComponent(`order ${id}`)}`)).body
  t.match(items, [{ act: 'order.issue', outcome: 'done', actor: city.as('city', 'office').principal.actor, seq: null }])
  t.equal((await city.as('city', 'system-admin').get('/audit')).status, 403)
  t.same((await auditor.get('/audit?from=2000-01-01&to=2000-01-02')).body.items, [])

  await seal(city.store)
  const supervisor = city.as('city', 'supervisor')
  const first = (await supervisor.get('/feed?limit=1')).body
  t.match(first, { items: [{ seq: 1 }], next: 1 })
  const rest = (await supervisor.get(`/feed?after=${first.next}`)).body
  t.match(rest.items.slice(-2), [{ act: 'order.issue' }, { act: 'request', outcome: 'QZ-FORBIDDEN', seq: rest.next }], 'also the refusal')
  t.match((await supervisor.get(`/feed?after=${rest.next}`)).body, { items: [], next: rest.next })
  t.equal((await auditor.get('/feed')).status, 403)
})

t.test('an evaluation is drawn up, advised, frozen, published, and goes round as a table (Art. 24)', async (t) => {
  const city = await openCity(t)
  const office = city.as('city', 'office')
  const reviewer = city.as('civil', 'reviewer')
  await city.store.query(`update agency set created_at = '2026-01-01'`)
  const { id } = (await office.post('/evaluations', { period: '2026-Q3' })).body
  const path = `/evaluations/${id}`
  t.equal((await office.post('/evaluations', { period: '2026-Q5' })).status, 400)
  t.match((await city.as('city', 'supervisor').get(path)).body, { state: 'draft', lines: [{ figures: {}, scores: {} }] })
  t.equal((await reviewer.get(path)).status, 403, 'not before it is published')
  t.same((await reviewer.get('/evaluations')).body.items, [])
  t.equal((await office.post(`${path}/advise`, { agency: 'civil', advice: '请按时更新' })).status, 200)
  t.equal((await office.post(`${path}/publish`)).status, 409)
  await city.store.query(
    `insert into setting (key, value) values ('duties_judged_to', '2026-11-21') on conflict (key) do update set value = excluded.value`,
  )
  t.equal((await office.post(`${path}/freeze`)).body.state, 'frozen')
  t.equal((await office.post('/evaluations', { period: '2026-Q3' })).status, 409)
  t.equal((await office.post(`${path}/publish`)).body.state, 'published')
  const { lines } = (await reviewer.get(path)).body
  t.match(
    lines.find((line: { agency: string }) => line.agency === 'civil'),
    { advice: '请按时更新' },
  )
  t.match((await reviewer.get('/evaluations')).body.items, [{ period: '2026-Q3' }])
  const file = await reviewer.get(`${path}/export`)
  t.match(file, { status: 200, type: excelType })
  const rows = []
  for await (const row of (await readWorkbook(file.bytes)).sheets[0]!.rows()) rows.push(row)
  t.equal(rows.length, lines.length + 1, 'a row for each agency')
})

t.test('the audit chain is taken through the API, and verifies', async (t) => {
  const city = await openCity(t)
  await city.as('city', 'office').post('/orders', order)
  await seal(city.store)
  const { status, text } = await city.as('city', 'audit-admin').get('/audit/export')
  t.equal(status, 200)
  const lines = text.trimEnd().split('\n')
  t.ok(lines.some((line) => line.includes('order.issue')))
  t.equal((await city.as('city', 'office').get('/audit/export')).status, 403)
})
