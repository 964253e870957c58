/** The doors of a data standard: query and API over all adopters as one resource. */
import t from 'tap'
import { recordUsage } from '../../../hub/sharing/usage.ts'
import { requireResource } from '../../../hub/registry/catalog/resources.ts'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { Provider } from '../exchange/fixture.ts'
import { enrolled, refusal, villages } from '../office.ts'
import { openDataCity } from './fixture.ts'

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
  return { ...data, grants }
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
