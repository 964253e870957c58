import t from 'tap'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { openBatch, blockValues, splitBatch } from '../../../protocol/batch.ts'
import type { Caller } from '../city.ts'
import { openDataCity, places } from './fixture.ts'

const purpose = { purpose: '防汛补助核验' }
const path = '/queries/villages'

async function asking(test: Pick<typeof t, 'teardown' | 'equal'>, items = ['name', 'street']) {
  const data = await openDataCity(test)
  const grant = await data.grant('query', items)
  const user = data.city.as('water', 'user')
  test.equal((await user.put(`${path}/purpose`, purpose)).status, 200)
  return { ...data, grant, user }
}

const acts = (data: Awaited<ReturnType<typeof asking>>) =>
  data.city.store.query<{ act: string; actor: string; details: Record<string, unknown> }>(
    `select act, actor, details from audit_entry where act like 'query%' order by id`,
  )

void t.test('a person queries what their agency was granted, and it is on record with its purpose', async (t) => {
  const data = await asking(t)
  const { user } = data
  const found = await user.get(`${path}/rows?name.like=${encodeURIComponent('岗*')}&select=code,name&count=exact`)
  t.match(found.body, {
    items: [{ code: '441900003001', name: '岗贝社区' }],
    next: null,
    count: { rows: 1, exact: true },
    source: { agency: 'civil', agencyName: '民政局', title: '村居名录' },
  })
  t.notOk('street' in found.body.items[0])
  const all = await user.get(`${path}/rows?sort=-name&limit=3`)
  t.same(
    all.body.items.map(({ name }: { name: string }) => name),
    [null, '岗贝社区', '主山社区'],
  )
  const rest = await user.get(`${path}/rows?sort=-name&limit=3&after=${all.body.next}`)
  t.match(rest.body, { items: [{ name: '=1+1' }], next: null })
  const listed = await user.get('/queries')
  t.match(listed.body.items, [{ resource: 'villages', ready: true, ...purpose }])
  t.match(await acts(data), [
    { act: 'query.purpose' },
    { act: 'query', details: { grants: data.grant, ...purpose, items: ['code', 'name'], filters: ['name.like'], rows: 1 } },
    { act: 'query', details: { sort: '-name', rows: 3 } },
    { act: 'query', details: { rows: 1 } },
  ])
  t.notMatch(JSON.stringify(await acts(data)), /岗/, 'no values')
})

void t.test('who has not said what for, has no grant, or has none any more, reads nothing', async (t) => {
  const data = await openDataCity(t)
  const user = data.city.as('water', 'user')
  t.match((await user.get(`${path}/rows`)).body, { code: 'QZ-NOT-FOUND' })
  const unknown = await user.get('/queries/nowhere/rows')
  t.same((await user.get(`${path}/rows`)).text.replaceAll('villages', 'nowhere'), unknown.text, 'as if there were no such resource')
  const grant = await data.grant('query', ['name'])
  await data.grant('api', ['street'])
  t.match(await user.get(`${path}/rows`), { status: 428, body: { code: 'QZ-DATA-PURPOSE' } })
  await user.put(`${path}/purpose`, purpose)
  t.match(await user.get(`${path}/rows`), { status: 200 })
  t.match(await user.get(`${path}/rows?street=x`), { status: 400, body: { code: 'QZ-DATA-ITEM' } }, 'granted for another mode')
  const { query } = data.city.store
  for (const [name, ending, undo] of [
    ['suspended', `update access_grant set state = 'suspended' where id = $1`, `update access_grant set state = 'active' where id = $1`],
    ['over', `update access_grant set valid_to = '2020-01-01' where id = $1`, `update access_grant set valid_to = null where id = $1`],
    ['stopped', `update resource set state = 'suspended' where $1 <> ''`, `update resource set state = 'active' where $1 <> ''`],
    ['secret', `update resource set secrecy = true where $1 <> ''`, `update resource set secrecy = false where $1 <> ''`],
    ['no mode', `update resource set share_modes = '{api}' where $1 <> ''`, `update resource set share_modes = '{query}' where $1 <> ''`],
  ] as const) {
    await query(ending, [grant])
    for (const door of ['rows', 'row?code=441900003001', 'export', 'proof?position=10/1'])
      t.match(await user.get(`${path}/${door}`), { status: 403, body: { code: 'QZ-DATA-ENDED' } }, `${name}: ${door}`)
    await query(undo, [grant])
  }
  t.match(await user.get(`${path}/rows`), { status: 200 })
  await query(`update resource_version set schema = jsonb_set(schema, '{items,1,openness}', '"closed"')`)
  t.match(await user.get(`${path}/rows?name=x`), { status: 400, body: { code: 'QZ-DATA-ITEM' } }, 'closed since')
  t.match((await user.get(`${path}/rows?limit=1`)).body.items, [{ code: '441900003001' }])
  t.notOk('name' in (await user.get(`${path}/rows?limit=1`)).body.items[0])
})

void t.test('one row is shown with its source, and its batch proves it', async (t) => {
  const data = await asking(t, ['name'])
  const { user, provider } = data
  const { body } = await user.get(`${path}/row?code=441900003001`)
  t.match(body, { item: { code: '441900003001', name: '岗贝社区' }, position: '10/1', source: { agencyName: '民政局' } })
  const proof = await user.get(`${path}/proof?position=${body.position}`)
  const batch = openBatch(splitBatch(proof.bytes), () => provider.agent.publicKey)
  t.ok(blockValues(batch, 'name').includes('岗贝社区'))
  t.same(batch.blocks.map(({ item }) => item).toSorted(), ['code', 'name'], 'what is not granted is not in it')
  t.match(await user.get(`${path}/row?code=1`), { status: 404 })
  t.match(await user.get(`${path}/row?code=1&name=x`), { status: 400, body: { code: 'QZ-DATA-FILTER' } })
  t.match(await user.get(`${path}/row`), { status: 400, body: { code: 'QZ-DATA-FILTER' } })
})

void t.test('what a query finds is exported as CSV and Excel, with its source, and no formula', async (t) => {
  const { user } = await asking(t)
  const csv = (await user.get(`${path}/export?select=code,name`)).text.split('\r\n')
  t.same(csv.slice(0, 5), ['\ufeff区划代码,名称', '441900003001,岗贝社区', '441900003002,主山社区', "441900004001,'=1+1", '441900004002,'])
  t.match(csv[5], /^"?来源：民政局，村居名录；截至 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"?$/)
  const excel = await user.get(`${path}/export?format=xlsx&code.ge=441900004000`)
  const book = await readWorkbook(excel.bytes)
  const rows: (string | null)[][] = []
  for await (const row of book.sheets[0]!.rows()) rows.push(row.cells.map((cell) => cell ?? null))
  book.close()
  t.match(rows, [['区划代码', '名称', '街道'], ['441900004001', '=1+1', '南城街道'], ['441900004002'], [/^来源：民政局/]])
  t.match(await user.get(`${path}/export?format=pdf`), { status: 400, body: { code: 'QZ-DATA-FILTER' } })
})

void t.test('values are checked without being shown', async (t) => {
  const data = await asking(t, ['name'])
  const check = (rows: object[], who: Caller = data.user) => who.post(`${path}/check`, { rows })
  const { body } = await check([
    { code: '441900003001', name: '岗贝社区' },
    { code: '441900003001', name: '岗贝' },
    { code: '441900004002', name: null },
    { code: '441900004002', name: '' },
    { code: '441900009999', name: '岗贝社区' },
    { code: '一二三四五六七八九十一二三', name: 'x' },
    { code: '441900003002' },
  ])
  t.same(body.items, [
    { found: true, items: { name: 'equal' } },
    { found: true, items: { name: 'different' } },
    { found: true, items: { name: 'equal' } },
    { found: true, items: { name: 'different' } },
    { found: false, items: {} },
    { found: false, items: {} },
    { found: true, items: {} },
  ])
  t.match(await check([{ code: '441900003001', street: '东城街道' }]), { status: 400, body: { code: 'QZ-DATA-ITEM' } })
  t.match(await check([{ name: 'x' }]), { status: 400, body: { code: 'QZ-REQUEST-INVALID' } })
})

void t.test('a person has a limit a day', async (t) => {
  const data = await asking(t)
  data.city.services.sharing.limits = { ...data.city.services.sharing.limits, queriesPerDay: 3, rowsPerDay: places.length, exportRows: 10 }
  const { user } = data
  t.match(await user.get(`${path}/rows`), { status: 200 })
  t.match(await user.get(`${path}/export`), { status: 200 })
  t.match(await user.post(`${path}/check`, { rows: [{ code: '1' }] }), { status: 429, body: { code: 'QZ-DATA-LIMIT' } }, 'too many rows')
  t.match(await user.get(`${path}/rows`), { status: 200 })
  t.match(await user.get(`${path}/rows`), { status: 429 }, 'too many queries')
})

void t.test('rows are answered as they are, whatever their items are called', async (t) => {
  const { city, grant, send } = await openDataCity(t, (draft) => {
    for (const item of draft.items) if (item.id === 'street') item.id = item.name = 'agency'
  })
  await grant('query', ['agency'])
  await send([{ code: '441900003001', agency: 'civil' }])
  const user = city.as('water', 'user')
  await user.put(`${path}/purpose`, purpose)
  const row = { code: '441900003001', agency: 'civil' }
  t.same((await user.get(`${path}/rows?code=441900003001`)).body.items, [row])
  t.same((await user.get(`${path}/row?code=441900003001`)).body.item, row)
})
