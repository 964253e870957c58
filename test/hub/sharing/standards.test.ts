/** The doors of a data standard: query and API over all adopters as one resource. */
import t from 'tap'
import { recordUsage } from '../../../hub/sharing/usage.ts'
import { requireResource } from '../../../hub/registry/catalog/resources.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { Provider } from '../exchange/fixture.ts'
import { enrolled, refusal, villages } from '../office.ts'
import { blockValues, openBatch, splitBatch } from '../../../protocol/batch.ts'
import { until } from '../../support/programs.ts'
import { openDataCity, places, type Row } from './fixture.ts'

const own = [
  { code: '441900003001', name: '卫生站', street: '东城街道' },
  { code: '441900009001', name: '医院', street: '万江街道' },
]

/** Villages of civil, and of health, by one standard; water was granted both by one approval. */
async function adopted(test: Pick<typeof t, 'teardown' | 'equal'>, mode: 'api' | 'query') {
  const data = await openDataCity(test)
  const { city, tables } = data
  const agent = await enrolled(city, 'health')
  const schema = villages((draft) => {
    Object.assign(draft, { resource: 'health.villages', agency: 'health', title: '卫健村居' })
    for (const item of draft.items) if (item.id === 'name') Object.assign(item, { searchable: true })
  })
  await publishResource(city, 'admin', { schema })
  const published = await requireResource(city.store.query, 'health.villages')
  const open = { ...published.schema, items: published.schema.items.filter(({ openness }) => openness !== 'closed') }
  const provider = new Provider({ id: agent.id, agency: 'health', publicKey: agent.key.publicKey, key: agent.key }, open)
  await provider.send(city.exchange, provider.snapshot(own))
  await tables.catchUp()
  const { query } = city.store
  await query(`insert into standard (code, state, version, form, created_at) values ('villages', 'published', 1, $1, now())`, [
    JSON.stringify({ title: '村居', items: published.schema.items, optional: [] }),
  ])
  await query(`update resource set standard = 'villages'`)
  const [application] = await query<{ id: string }>(
    `insert into application (agency, standard, mode, items, purpose, basis, state, created_at) values ('water', 'villages', $1, '{name}', 'x', 'x', 'approved', now())
     returning id`,
    [mode],
  )
  const granted = async (resource: string, items: string[]) => {
    const id = await data.grant(mode, items)
    await query('update access_grant set resource = $2, application = $3 where id = $1', [id, resource, application!.id])
    return id
  }
  const grants = { civil: await granted('villages', ['name', 'street']), health: await granted('health.villages', ['name']) }
  const sendHealth = async (rows: Row[], how?: 'snapshot') => {
    await provider.send(city.exchange, how ? provider.snapshot(rows) : provider.build(rows))
    await tables.catchUp()
  }
  return { ...data, grants, sendHealth, providers: { civil: data.provider, health: provider } }
}

/** A program that reads the standard by the grant of civil's rows. */
async function program(data: Awaited<ReturnType<typeof adopted>>) {
  const { city, grants } = data
  const made = await city.as('water', 'agency-it').post(`/grants/${grants.civil}/credentials`, { name: 'x' })
  const { id, secret } = made.body as { id: string; secret: string }
  const { token } = await city.data.tokens.issue({ client: id, secret })
  return async (path: string, { accept = 'application/json', body }: { accept?: string; body?: object } = {}) =>
    city.app.inject({
      method: body ? 'POST' : 'GET',
      url: `/data/v1/standards/villages${path}`,
      headers: { authorization: `Bearer ${token}`, accept },
      ...(body && { payload: body }),
    })
}

void t.test('a program reads all adopters of its approval as one resource', async (t) => {
  const { city, grants, grant } = await adopted(t, 'api')
  const it = city.as('water', 'agency-it')
  const { id, secret } = (await it.post(`/grants/${grants.civil}/credentials`, { name: 'x' })).body as { id: string; secret: string }
  const { token } = await city.data.tokens.issue({ client: id, secret })
  // What a process believes for an instant is not waited for: each call is another process's.
  const call = async (path: string, headers: Record<string, string> = {}) =>
    city.app.inject({ url: `/data/v1/standards/villages${path}`, headers: { authorization: `Bearer ${token}`, ...headers } })
  const page = (await call('?limit=4&sort=name&count=exact')).json()
  t.match(page, {
    count: { rows: 6, exact: true },
    items: [
      { source: 'civil', code: '441900004001', name: '=1+1' },
      { source: 'civil', code: '441900003002' },
      { source: 'health', code: '441900009001', name: '医院', street: null },
      { source: 'health', code: '441900003001' },
    ],
    sources: [
      { agency: 'civil', agencyName: '民政局', resource: 'villages', absent: [] },
      { agency: 'health', agencyName: '卫健局', absent: ['street'] },
    ],
    leftOut: [],
  })
  t.match((await call('?source=health&name.null=false')).json().items, [{ code: '441900003001' }, { code: '441900009001' }])
  t.match(await call('?phone=1'), { statusCode: 400 }, 'closed in all')
  t.match(await call('?street=x'), { statusCode: 400 }, 'not searchable')
  const row = await call('/by-key?source=health&code=441900003001')
  t.match(row.json(), { item: { source: 'health', name: '卫生站', street: null }, position: '10/1', source: { agency: 'health' } })
  t.match(await call('/by-key?source=water&code=441900003001'), { statusCode: 404 })
  t.match(await call('/by-key?code=441900003001'), { statusCode: 400 }, 'the source is part of the key')
  const lines = (await call('?select=source,code', { accept: 'text/csv' })).body.trim().split('\r\n')
  t.same([lines.length, lines[1], lines.at(-1)], [7, 'civil,441900003001', 'health,441900009001'])
  t.same((await call('?source=health&select=name', { accept: 'application/x-ndjson' })).body, '{"name":"卫生站"}\n{"name":"医院"}\n')
  const { etag } = (await call('?limit=2')).headers
  t.match(await call('?limit=2', { 'if-none-match': String(etag) }), { statusCode: 304 })
  t.match(await city.app.inject({ url: '/data/v1/standards/nowhere', headers: { authorization: `Bearer ${token}` } }), { statusCode: 404 })

  for (const [grantId, rows] of [
    [grants.civil, 2 + 4 + 0],
    [grants.health, 2 + 2 + 1 + 2 + 2],
  ] as const) {
    const [used] = (await it.get(`/grants/${grantId}/usage`)).body.items
    t.ok(used.rows >= rows, `${grantId}: ${used.rows} rows told by its own grant`)
  }
  await recordUsage(city.store, new Date(city.now.getTime() + 60_000))
  const acts = await city.store.query(`select distinct object, details ->> 'grant' as grant from audit_entry where act = 'api' order by 1`)
  t.same(acts, [
    { object: 'health.villages', grant: grants.health },
    { object: 'villages', grant: grants.civil },
  ])
  const alone = await grant('api', ['name'])
  const other = (await it.post(`/grants/${alone}/credentials`, { name: 'x' })).body as { id: string; secret: string }
  const single = await city.data.tokens.issue({ client: other.id, secret: other.secret })
  const seen = await city.app.inject({ url: '/data/v1/standards/villages', headers: { authorization: `Bearer ${single.token}` } })
  t.same(
    new Set((seen.json().items as { source: string }[]).map(({ source }) => source)),
    new Set(['civil']),
    'a grant of another approval is its own resource alone',
  )
})

void t.test('no resource can be called as the path of standards is', async (t) => {
  const { city } = await openDataCity(t)
  const schema = villages((draft) => void (draft.resource = 'standards'))
  t.equal(await refusal(publishResource(city, 'admin', { schema })), 'QZ-REQUEST-INVALID')
})

void t.test('people query a standard; an adopter that is revoked between two pages is gone from the next', async (t) => {
  const { city, grants } = await adopted(t, 'query')
  const user = city.as('water', 'user')
  const path = '/queries/standards/villages'
  t.match(await user.get(`${path}/rows`), { status: 428 }, 'what for?')
  const said = await user.put(`${path}/purpose`, { purpose: '核验' })
  t.match(said.body, { items: [{ id: 'source', key: true }, { id: 'code' }, { id: 'name' }, { id: 'street' }], sources: [{}, {}] })
  t.match((await user.get('/queries')).body.items, [{ standard: 'villages' }, { standard: 'villages' }])
  const first = (await user.get(`${path}/rows?sort=-source&limit=1&select=source,name`)).body
  t.same(first.items, [{ source: 'health', name: '医院' }])
  t.match((await user.get(`${path}/row?source=civil&code=441900003001`)).body, { item: { name: '岗贝社区' }, source: { agency: 'civil' } })
  await city.as('civil', 'reviewer').put(`/grants/${grants.civil}/masks`, { masks: { name: { kind: 'hide' } } })
  t.match(await user.get(`${path}/rows?name=x`), { status: 400 }, 'nothing is found by what one of them masks')
  t.same((await user.get(`${path}/row?source=civil&code=441900003001`)).body.item.name, null)
  await city.store.query(`update access_grant set state = 'revoked' where id = $1`, [grants.health])
  const next = await user.get(`${path}/rows?sort=-source&limit=9&select=source,name&after=${first.next}`)
  t.match(next, { status: 200 }, next.text)
  t.same(new Set(next.body.items.map(({ source }: { source: string }) => source)), new Set(['civil']))
  t.match(next.body.sources, [{ agency: 'civil' }])
  t.match(await user.get(`${path}/rows?sort=source&limit=9&select=source,name&after=${first.next}`), { status: 400 }, 'another question')
  const acts = await city.store.query(`select object, details from audit_entry where act = 'query' order by id`)
  t.match(acts.slice(0, 2), [
    { object: 'villages', details: { standard: 'villages', rows: 0 } },
    { object: 'health.villages', details: { grants: grants.health, rows: 1, purpose: '核验' } },
  ])
  await city.store.query(`update access_grant set state = 'revoked' where id = $1`, [grants.civil])
  t.match(await user.get(`${path}/rows`), { status: 404 })
  t.match(await city.as('water', 'user').get('/queries/standards/nowhere/rows'), { status: 404 })
})

type Answered = { changes: { op: string; item: Row }[]; next: string; complete: boolean }

void t.test('a copy of all sources is kept by changes, whatever comes of which source', async (t) => {
  const data = await adopted(t, 'api')
  const { send, sendHealth } = data
  const call = await program(data)
  const model = new Map<string, Row>()
  const put = (source: string, rows: Row[], whole = false) => {
    if (whole) for (const [key, row] of model) if (row['source'] === source) model.delete(key)
    for (const { code, name = null, street = null, $op } of rows) {
      const key = `${source} ${code}`
      if ($op) model.delete(key)
      else model.set(key, { source, code: code!, name, street: source === 'civil' ? street : null })
    }
  }
  put('civil', places)
  put('health', own)
  const copy = new Map<string, Row>()
  let next: string | undefined
  let answers = 0
  const sorted = (rows: Map<string, Row>) => JSON.stringify([...rows.keys()].toSorted().map((key) => rows.get(key)!))
  const read = async (limit: number) => {
    for (let complete = false; !complete; answers++) {
      const asked = `/changes?limit=${limit}${next === undefined ? '' : `&after=${encodeURIComponent(next)}`}`
      const answer = (await call(asked)).json<Answered>()
      for (const { op, item } of answer.changes) {
        const key = `${item['source']} ${item['code']}`
        if (op === 'upsert') copy.set(key, item)
        else copy.delete(key)
      }
      ;({ next, complete } = answer)
    }
  }
  // A process believes what it looked up for an instant.
  const follow = (limit: number) => until('the copy is equal', async () => (await read(limit), sorted(copy) === sorted(model)))
  await follow(1)
  let turn = 0
  for (const limit of [1, 2, 3, 100]) {
    const change = async (source: 'civil' | 'health', rows: Row[], how?: 'snapshot') => {
      put(source, rows, how === 'snapshot')
      await (source === 'civil' ? send : sendHealth)(rows, how)
    }
    turn++
    await change('civil', [
      { code: `${turn}`, name: '新', street: `s${turn}` },
      { code: places[turn % 4]!['code']!, $op: 'd' },
    ])
    await change('health', [{ code: `${turn}`, name: null, street: 'x' }])
    if (turn === 2) await change('health', [{ code: 'h', name: '全', street: null }], 'snapshot')
    await change('health', [{ code: `${turn}b`, name: '一', street: '' }])
    await follow(limit)
  }
  // Twice as many as it was followed: how many more depends on how quickly the changes come.
  t.ok(answers > 10, `${answers} answers`)
  const kept = next!
  t.match((await call(`/changes?after=${kept}`)).json(), {
    changes: [],
    complete: true,
    sources: [{ agency: 'civil' }, { agency: 'health' }],
  })
  const lines = await call('/changes?limit=1', { accept: 'application/x-ndjson' })
  t.match([lines.body.trim().split('\n').length, lines.headers['x-complete']], [1, 'false'])
  for (const wrong of ['x', '10.1.0', Buffer.from('{}').toString('base64url')])
    t.match((await call(`/changes?after=${wrong}`)).json(), { code: 'QZ-DATA-FILTER' })

  const again = { statusCode: 410 }
  const believed = (what: string, work: () => Promise<boolean>) => until(what, work)
  await data.city.as('health', 'reviewer').put(`/grants/${data.grants.health}/masks`, { masks: { name: { kind: 'hide' } } })
  await believed('the mask is seen', async () => (await call(`/changes?after=${kept}`)).statusCode === 410)
  const masked = (await call('/changes')).json<Answered>()
  t.same(
    new Set(masked.changes.flatMap(({ op, item }) => (op === 'upsert' && item['source'] === 'health' ? [item['name']] : []))),
    new Set([null]),
  )
  t.match(await call(`/changes?after=${masked.next}`), { statusCode: 200 })
  await data.city.store.query(`update access_grant set state = 'revoked' where id = $1`, [data.grants.health])
  await believed('a source is gone', async () => (await call('/by-key?source=health&code=4')).statusCode === 404)
  t.match(await call(`/changes?after=${masked.next}`), again, 'what was of it has to go')
  const left = (await call('/changes')).json<Answered>()
  await data.city.store.query(`update access_grant set state = 'active' where id = $1`, [data.grants.health])
  await believed('it is back', async () => (await call('/by-key?source=health&code=4')).statusCode === 200)
  const joined = (await call(`/changes?after=${left.next}`)).json<Answered>()
  t.same(new Set(joined.changes.map(({ item }) => item['source'])), new Set(['health']), 'a source that joins begins at its beginning')
  t.ok(joined.complete)
})

void t.test('check, proof and description over a standard', async (t) => {
  const data = await adopted(t, 'api')
  const { providers } = data
  const call = await program(data)
  const rows = [
    { source: 'civil', code: '441900003001', name: '岗贝社区' },
    { source: 'health', code: '441900003001', name: '岗贝社区' },
    { source: 'health', code: '441900003001', name: '卫生站' },
    { source: 'water', code: '441900003001', name: 'x' },
    { source: 'civil', code: 'none' },
  ]
  const checked = await call('/check', { body: { rows } })
  t.same(checked.json().items, [
    { found: true, items: { name: 'equal' } },
    { found: true, items: { name: 'different' } },
    { found: true, items: { name: 'equal' } },
    { found: false, items: {} },
    { found: false, items: {} },
  ])
  const refused = async (row: object) => (await call('/check', { body: { rows: [row] } })).json<{ code: string; detail: { en: string } }>()
  t.match(await refused({ code: '1' }), { code: 'QZ-REQUEST-INVALID', detail: { en: /lacks the key item source/ } })
  t.match(await refused({ source: 'civil' }), { code: 'QZ-REQUEST-INVALID', detail: { en: /lacks the key item code/ } })
  t.match(await refused({ source: 'health', code: '1', street: 'x' }), { detail: { en: /source health does not show item street/ } })
  t.match(await refused({ source: 'civil', code: '1', phone: 'x' }), { code: 'QZ-DATA-ITEM' })

  for (const [source, items] of [
    ['civil', ['code', 'name', 'street']],
    ['health', ['code', 'name']],
  ] as const) {
    const proof = await call(`/proof?source=${source}&position=10/1`)
    const batch = openBatch(splitBatch(proof.rawPayload), () => providers[source].agent.publicKey)
    t.same(batch.blocks.map(({ item }) => item).toSorted(), items)
    t.ok(blockValues(batch, 'code').includes('441900003001'))
  }
  t.match(await call('/proof?source=health&position=10/9'), { statusCode: 404 })
  t.match(await call('/proof?source=water&position=10/1'), { statusCode: 404 })
  t.match((await call('/proof?source=civil&position=1')).json(), { code: 'QZ-DATA-FILTER' })

  await data.city.as('civil', 'reviewer').put(`/grants/${data.grants.civil}/masks`, { masks: { name: { kind: 'hide' } } })
  await until('the mask is seen', async () => (await refused(rows[0]!)).code === 'QZ-REQUEST-INVALID')
  t.match((await call('/check', { body: { rows: [rows[1]] } })).json().items, [{ found: true }], 'where it is not masked it is checked')
  const document = (await call('/openapi.json')).json()
  t.match(document, {
    openapi: '3.1.0',
    info: { title: '村居', description: /民政局、卫健局/ },
    components: {
      schemas: { Row: { properties: { source: { type: 'string' }, name: { type: ['string', 'null'], description: /masked/ } } } },
    },
  })
  const paths = ['', '/by-key', '/changes', '/proof', '/check'].map((path) => `/standards/villages${path}`)
  t.same(Object.keys(document.paths), paths)
  t.same(
    document.paths['/standards/villages/proof'].get.parameters.map(({ name }: { name: string }) => name),
    ['source', 'position'],
  )
  t.notOk(JSON.stringify(document.paths[paths[0]!]).includes('"name.like"'), 'nothing is found by what one masks')
  const page = (await call('?limit=1')).json()
  t.same(
    Object.keys(page).toSorted(),
    Object.keys(document.components.schemas.Page.properties)
      .filter((key) => key !== 'count')
      .toSorted(),
  )
  t.same(Object.keys(page.items[0]).toSorted(), Object.keys(document.components.schemas.Row.properties).toSorted())
})

void t.test('people check, prove and export a standard', async (t) => {
  const { city, grants, providers } = await adopted(t, 'query')
  const user = city.as('water', 'user')
  const path = '/queries/standards/villages'
  t.match(await user.get(`${path}/export`), { status: 428 }, 'what for?')
  await user.put(`${path}/purpose`, { purpose: '核验' })
  const check = await user.post(`${path}/check`, { rows: [{ source: 'health', code: '441900009001', name: '医院' }] })
  t.match(check.body, { items: [{ found: true, items: { name: 'equal' } }], sources: [{}, {}], leftOut: [] })
  const proof = (await user.get(`${path}/proof?source=health&position=10/1`)).bytes
  t.ok(openBatch(splitBatch(proof), () => providers.health.agent.publicKey))
  t.match(await user.get(`${path}/proof?source=water&position=10/1`), { status: 404 })
  const csv = (await user.get(`${path}/export?name.null=false&select=source,code,name`)).text.trim().split('\r\n')
  t.same(csv.slice(1, -2), [
    'civil,441900003001,岗贝社区',
    'civil,441900003002,主山社区',
    "civil,441900004001,'=1+1",
    'health,441900003001,卫生站',
    'health,441900009001,医院',
  ])
  t.match(csv.slice(-2), [/民政局/, /卫健局/], 'each source is named')
  t.equal((await user.get(`${path}/export?format=xlsx`)).status, 200)
  t.match((await user.get(`${path}/export?sort=name`)).body, { code: 'QZ-DATA-FILTER' })
  t.match((await user.get(`${path}/export?format=pdf`)).body, { code: 'QZ-DATA-FILTER' })
  const acts = await city.store.query(`select object, details from audit_entry where act = 'query' order by id desc limit 2`)
  t.match(acts, [{ details: { grants: grants.health, format: 'xlsx', rows: 6 } }, { details: { grants: grants.civil } }])
})
