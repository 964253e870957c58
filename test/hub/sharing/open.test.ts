/** Open data (Art. 5, 7.5, 17): what everybody may read, and nothing else. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { parse } from 'csv-parse/sync'
import jsonld from 'jsonld'
import { Parser, Store as Graph } from 'n3'
import Validator from 'rdf-validate-shacl'
import t from 'tap'
import { Agent, request } from 'undici'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { verifyStatement } from '../../../protocol/signature.ts'
import { keepGrants } from '../../../hub/registry/grants/grant-queries.ts'
import { dcatPage } from '../../../hub/registry/catalog/dcat.ts'
import type { CatalogItem } from '../../../hub/registry/catalog/content.ts'
import { fileKinds, openData, openFile } from '../../../hub/sharing/open-data.ts'
import { secondHub, type City } from '../city.ts'
import { openDataCity, places } from './fixture.ts'

type Test = Parameters<typeof openDataCity>[0]

async function openCityOf(test: Test, change?: Parameters<typeof openDataCity>[1]) {
  const data = await openDataCity(test, change)
  const { city } = data
  await city.store.query(`update resource set sharing = 'unconditional'`)
  const get = (path: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
    city.app.inject({ method, url: `/open${path}`, headers })
  return { ...data, get, reviewer: city.as('civil', 'reviewer'), office: city.as('city', 'office') }
}

async function released(test: Test, change?: Parameters<typeof openDataCity>[1]) {
  const data = await openCityOf(test, change)
  const path = await release(data.city)
  return { ...data, path }
}

async function release(city: City, body: object = {}): Promise<string> {
  const proposed = await city.as('civil', 'reviewer').post('/openings', { resource: 'villages', ...body })
  const path = `/openings/${proposed.body?.id}`
  const answer = await city.as('city', 'office').post(`${path}/release`)
  if (answer.status !== 200) throw new Error(`${proposed.text} ${answer.text}`)
  return path
}

const doors = ['', '/rows', '/manifest.json', ...fileKinds.map((kind) => `/data.${kind}`)]

void t.test('the provider proposes, the office releases or returns, either withdraws', async (t) => {
  const { city, get, reviewer, office } = await openCityOf(t)
  const wanted = { resource: 'villages' }
  const absent = await Promise.all(doors.map(async (door) => (await get(`/nothing${door}`)).rawPayload))
  const isAbsent = async (what: string) => {
    for (const [i, door] of doors.entries()) {
      const answer = await get(`/villages${door}`)
      t.equal(answer.statusCode, 404, `${what} ${door}`)
      t.ok(answer.rawPayload.equals(absent[i]!), `${what} ${door}: the same bytes as what there is not`)
    }
    t.notMatch((await get('')).body, /村居名录/, what)
    t.notMatch((await get('/dcat.jsonld')).body, /villages/, what)
    t.equal((await city.app.inject({ method: 'POST', url: '/open/villages/feedback', payload: { text: '?' } })).statusCode, 404, what)
    city.now = new Date(city.now.getTime() + 60_000)
  }
  await isAbsent('not proposed')
  t.equal((await city.as('civil', 'registrar').post('/openings', wanted)).status, 403)
  t.equal((await city.as('water', 'reviewer').post('/openings', wanted)).status, 404)
  t.match(await reviewer.post('/openings', { ...wanted, items: ['name', 'street'] }), { status: 422, body: { detail: { en: /street/ } } })
  const first = await reviewer.post('/openings', { ...wanted, note: '民生' })
  t.match(first.body, { state: 'proposed', items: ['code', 'name'], provider: 'civil' })
  t.equal((await reviewer.post('/openings', wanted)).status, 409)
  t.match((await office.get('/todo')).body.items, [{ kind: 'opening', link: `/openings/${first.body.id}` }])
  await isAbsent('proposed')
  const path = `/openings/${first.body.id}`
  t.equal((await reviewer.post(`${path}/release`)).status, 403)
  t.equal((await office.post(`${path}/release`, {}, '0')).status, 412, 'whoever releases has seen it')
  const unseen = {
    method: 'POST',
    url: `/api/v1${path}/release`,
    headers: { authorization: `Bearer ${office.secret}` },
    payload: {},
  } as const
  t.equal((await city.app.inject(unseen)).statusCode, 428, 'and says so')
  t.match((await office.post(`${path}/return`, { reason: '说明许可' })).body, { state: 'returned', reason: '说明许可' })
  await isAbsent('returned')
  const second = await release(city)
  t.equal((await get('/villages')).statusCode, 200)
  t.match((await get('/villages/rows')).json(), {
    items: [{ code: '441900003001', name: '岗贝社区' }, {}, {}, {}],
    source: { agency: 'civil' },
  })
  const third = await release(city, { items: ['code'] })
  t.equal((await office.get(second)).body.state, 'ended', 'the newest is what is open')
  t.notMatch((await get('/villages/rows')).body, /岗贝/)
  t.equal((await city.as('water', 'reviewer').post(`${third}/withdraw`, { reason: 'x' })).status, 403)
  t.match((await reviewer.post(`${third}/withdraw`, { reason: '核实' })).body, { state: 'withdrawn' })
  await isAbsent('withdrawn')
  t.match(await city.store.query(`select role from notice where kind = 'opening' order by id desc limit 2`), [
    { role: 'office' },
    { role: 'reviewer' },
  ])
})

void t.test('only what is in force, stored, shared unconditionally and not secret is open; what loses that is gone at once', async (t) => {
  const { city, get, reviewer, office, path } = await released(t)
  const elsewhere = await secondHub(t, city)
  const isGone = async (what: string) => {
    for (const hub of [city, elsewhere])
      for (const door of doors) t.equal((await hub.app.inject(`/open/villages${door}`)).statusCode, 404, `${what}: ${door}`)
    t.notMatch((await get('')).body, /村居名录/, what)
    t.notMatch((await get('/dcat.jsonld')).body, /villages/, what)
    city.now = new Date(city.now.getTime() + 60_000)
  }
  const changes = {
    conditional: [`update resource set sharing = 'conditional'`, `update resource set sharing = 'unconditional'`],
    relayed: [`update resource set keep = 'relay'`, `update resource set keep = 'store'`],
    secret: [`update resource set secrecy = true`, `update resource set secrecy = false`],
    suspended: [`update resource set state = 'suspended'`, `update resource set state = 'active'`],
    'no public items': [
      `update resource_version set schema = replace(schema::text, '"public"', '"internal"')::jsonb`,
      `update resource_version set schema = replace(schema::text, '"internal"', '"public"')::jsonb`,
    ],
  }
  await keepGrants(city)
  t.equal((await office.get(path)).body.state, 'released')
  for (const [what, [change, back]] of Object.entries(changes)) {
    await city.store.query(change!)
    await isGone(what)
    t.match(await reviewer.post('/openings', { resource: 'villages' }), { status: 422 }, what)
    await city.store.query(back!)
    if (what !== 'no public items') t.equal((await get('/villages')).statusCode, 200, what)
  }
  t.equal((await city.as('city', 'secrecy').post('/resources/villages/stop', { reason: '核查' })).status, 200)
  await isGone('stopped for secrecy')
  await keepGrants(city)
  t.equal((await office.get(path)).body.state, 'ended')
  t.match(await city.store.query(`select role from notice where kind = 'opening' and zh like '%已终止%'`), [
    { role: 'reviewer' },
    { role: 'office' },
  ])
})

void t.test('a proposal whose resource has changed since is not released', async (t) => {
  const { city, reviewer, office } = await openCityOf(t)
  const { id } = (await reviewer.post('/openings', { resource: 'villages' })).body
  await city.store.query(`update resource set sharing = 'conditional'`)
  t.match(await office.post(`/openings/${id}/release`), { status: 422, body: { code: 'QZ-RULE' } })
})

/** A key that is not public, beside public, internal and closed items. */
const hiddenKey = (draft: { items: Partial<CatalogItem>[] }) => {
  draft.items[0]!.openness = 'internal'
}

void t.test('no door tells anything but public items', async (t) => {
  const { city, get, send } = await released(t, hiddenKey)
  await send([{ code: 'SECRETKEY001', name: '公开名', street: 'SECRETSTREET' }])
  await send([{ code: 'SECRETKEY002', name: '公开名二', street: 'SECRETSTREET' }])
  const secrets = /SECRET|U0VDUkVU|街道|区划代码|电话|street|phone|"code"/i
  const asked = [...doors.toReversed(), '/rows?limit=1', '/rows?sort=-name&limit=1', '/data.csv?lang=en', '?lang=en'].map(
    (door) => `/villages${door}`,
  )
  for (const door of [...asked, '', '/dcat.jsonld']) {
    const answer = await get(door)
    t.equal(answer.statusCode, 200, door)
    const text = door.includes('xlsx') ? JSON.stringify(await readSheet(answer.rawPayload)) : answer.body.replace(/QZ-[A-Z-]+/g, '')
    t.notMatch(text, secrets, door)
    t.notMatch(JSON.stringify([answer.headers.link, answer.headers.etag, answer.headers['content-disposition']]), secrets, door)
    city.now = new Date(city.now.getTime() + 60_000)
  }
  t.match((await get('?text=电话')).body, /共 0 个/)
  const walked: string[] = []
  for (let next: string | null = ''; next !== null;) {
    const body: any = (await get(`/villages/rows?limit=1${next && `&after=${encodeURIComponent(next)}`}`)).json()
    walked.push(...body.items.map(({ name }: { name: string | null }) => String(name)))
    next = body.next
    t.notMatch(Buffer.from(next ?? '', 'base64url').toString('latin1'), secrets)
  }
  t.equal(walked.length, places.length + 2)
  const refused = async (item: string) =>
    Promise.all(
      [`${item}=x`, `${item}.ge=x`, `select=${item}`, `sort=${item}`, `sort=-${item}`].map(async (query) => {
        const { statusCode, body } = await get(`/villages/rows?${query}`)
        return `${statusCode} ${body.replaceAll(` ${item}`, ' ITEM').replaceAll(`"${item}"`, '"ITEM"').replace('"ITEM":', '"code":')}`
      }),
    )
  const unknown = await refused('nowhere')
  for (const line of unknown) t.match(line, /^400/)
  for (const item of ['code', 'street', 'phone']) t.same(await refused(item), unknown, item)
})

void t.test('what filters hold is only ever a value', async (t) => {
  const { city, get } = await released(t)
  for (const word of [
    `' or 1=1 --`,
    `"; drop table opening; --`,
    '%',
    '_',
    '\\',
    '*',
    '${7*7}',
    '<script>',
    '\u202e',
    '𠀀'.repeat(20),
    "'||pg_sleep(9)||'",
  ]) {
    t.same((await get(`/villages/rows?name=${encodeURIComponent(word)}`)).json().items, [], word)
    const listed = await get(`?text=${encodeURIComponent(word)}`)
    t.equal(listed.statusCode, 200, word)
    t.notMatch(listed.body, /<script>|村居名录/, word)
    city.now = new Date(city.now.getTime() + 60_000)
  }
  for (const query of ['name.like=*', 'limit=0', 'limit=1e9', 'after=x', 'name.gt.lt=1', 'sort=name,code', '__proto__=1', 'name=%00'])
    t.match(await get(`/villages/rows?${query}`), { statusCode: 400 }, query)
  t.match((await get('?text=村居&text=x')).statusCode, 200)
  t.match((await get('?page=-1')).statusCode, 400)
  t.match((await get('?text=村居 民政局')).body, /村居名录/)
})

void t.test('files are the table, name their source, and hold no formula', async (t) => {
  const { city, get } = await released(t)
  const rows = places.map(({ code, name }) => ({ code: code!, name }))
  const csv = await get('/villages/data.csv')
  const table = parse(csv.body, { relax_column_count: true })
  t.same(table[0], ['\ufeff区划代码', '名称'])
  t.same(table[3], ['441900004001', `'=1+1`])
  t.match(csv.body, /来源.民政局.村居名录.截至 /)
  t.equal(table.length, rows.length + 2)
  t.match(await readSheet((await get('/villages/data.xlsx')).rawPayload), [
    ['区划代码', '名称'],
    ...rows.map(({ code, name }) => (name === null ? [code] : [code, name])),
    [/^来源.民政局/],
  ])
  t.match((await get('/villages/data.json')).json(), {
    source: { agencyName: '民政局' },
    columns: [{ id: 'code' }, { id: 'name' }],
    items: rows,
  })
  const lines = (await get('/villages/data.ndjson')).body.trim().split('\n')
  t.match(
    lines.map((line) => JSON.parse(line) as object),
    [...rows, { $source: { agency: 'civil' } }],
  )
  t.same(lines.length, rows.length + 1)
  const usage = (await city.as('civil', 'registrar').get('/resources/villages/open-usage')).body.items
  t.same(
    usage.map(({ kind, downloads }: { kind: string; downloads: number }) => [kind, downloads]),
    fileKinds.toSorted().map((kind) => [kind, 1]),
  )
  t.equal((await city.as('water', 'user').get('/resources/villages/open-usage')).status, 403)
  const [made] = await city.store.query<{ sha256: string; bytes: string }>(`select sha256, bytes from open_file where kind = 'csv'`)
  t.same(made, { sha256: createHash('sha256').update(csv.rawPayload).digest('hex'), bytes: String(csv.rawPayload.length) })
})

void t.test('everybody, from any page, without cookies or scripts; HEAD and ETag', async (t) => {
  const { city, get, send } = await released(t)
  for (const door of ['', '/dcat.jsonld', ...doors.toReversed().map((one) => `/villages${one}`)]) {
    const [got, head] = [await get(door), await get(door, {}, 'HEAD')]
    for (const { statusCode, headers } of [got, head]) {
      t.equal(statusCode, 200, door)
      t.match(headers, {
        'access-control-allow-origin': '*',
        'cross-origin-resource-policy': 'cross-origin',
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      })
      t.equal(headers['set-cookie'], undefined)
    }
    t.equal(head.rawPayload.length, 0)
    t.equal(head.headers['content-type'], got.headers['content-type'], door)
    t.notMatch(got.body, /<script/)
    const tag = got.headers.etag
    if (tag === undefined) continue
    t.equal((await get(door, { 'if-none-match': `W/"x", ${tag}` })).statusCode, 304, door)
    city.now = new Date(city.now.getTime() + 60_000)
  }
  t.same(await city.store.query('select distinct downloads from open_usage'), [{ downloads: '1' }], 'what is sent whole is counted')
  t.equal((await get('/nothing/data.csv')).headers['access-control-allow-origin'], '*')
  const asking = { origin: 'https://elsewhere.test', 'access-control-request-method': 'GET' }
  t.match(await city.app.inject({ method: 'OPTIONS', url: '/open/villages/rows', headers: asking }), {
    statusCode: 204,
    headers: { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'if-none-match' },
  })
  for (const url of ['/', '/api/v1/openings', '/data/v1/villages'])
    t.equal((await city.app.inject(url)).headers['access-control-allow-origin'], undefined, url)
  const { etag } = (await get('/villages/rows')).headers
  await send([{ code: '441900003009', name: '新社区', street: '' }])
  const newer = await get('/villages/rows', { 'if-none-match': etag! })
  t.match(newer, { statusCode: 200, body: /新社区/ })
  const page = (await get('/villages?lang=en')).body
  for (const text of [/Licence/, /民政局/, /新社区/, /data\.csv\?lang=en/, /<html lang="en">/, /区划代码/]) t.match(page, text)
})

void t.test('a manifest says what the file is, signed by the hub', async (t) => {
  const { city, get, send } = await released(t)
  t.match(await get('/villages/manifest.json'), { statusCode: 404, body: /nobody has loaded it/ })
  const csv = await get('/villages/data.csv')
  const { manifest, signature, key } = (await get('/villages/manifest.json')).json()
  const expected = { file: 'data.csv', resource: 'villages', source: '民政局', position: '10/1', rows: 4, bytes: csv.rawPayload.length }
  t.match(manifest, { ...expected, sha256: createHash('sha256').update(csv.rawPayload).digest('hex') })
  t.equal(key, city.hubKey.publicKey)
  t.same(verifyStatement(signature, 'qz-open', key), manifest)
  await send([{ code: '441900003009', name: '新社区', street: '' }])
  t.equal((await get('/villages/manifest.json')).statusCode, 404, 'it is of another position')
})

void t.test('a file ends without its end where it is not open any more', async (t) => {
  const { city, send, reviewer, path } = await released(t)
  await send(Array.from({ length: 2500 }, (_, i) => ({ code: `44190001${i + 1000}`, name: `村${i}`, street: '' })))
  const data = (await openData(city.store.query, 'villages'))!
  const deps = { query: city.store.query, reader: city.services.sharing.reader }
  const parts = openFile(deps, data, { kind: 'ndjson', language: 'zh' })
  t.teardown(() => parts.return(undefined))
  t.match((await parts.next()).value!.toString().split('\n').length, 1001)
  await reviewer.post(`${path}/withdraw`, { reason: '核实' })
  await t.rejects(parts.next(), { code: 'QZ-DATA-ENDED' })
  t.same(await city.store.query('select from open_file'), [], 'what was not sent whole is no file')
})

void t.test('a label that a spreadsheet would take for a formula is none', async (t) => {
  const { get } = await released(t, (draft) => void (draft.items[1]!.label = '=cmd'))
  t.match((await get('/villages/data.csv')).body, /^\ufeff区划代码,'=cmd\r\n/)
})

void t.test('an address loads two files at once', async (t) => {
  const { city } = await released(t)
  await city.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = city.app.server.address() as AddressInfo
  const client = new Agent({ connect: { rejectUnauthorized: false } })
  t.teardown(() => client.close())
  const ask = () => request(`https://127.0.0.1:${port}/open/villages/data.csv`, { dispatcher: client })
  const held = holdFiles(city)
  const [first, second] = [ask(), ask()]
  await held.reached(2)
  const third = await ask()
  t.match(third, { statusCode: 503, headers: { 'retry-after': /\d/ } })
  await third.body.dump()
  held.free()
  for (const answer of [await first, await second]) t.match(await answer.body.text(), /岗贝/)
  const again = await ask()
  t.equal(again.statusCode, 200)
  await again.body.dump()
})

/** Reads of rows wait until they are freed. */
function holdFiles({ services: { sharing } }: City) {
  const { reader } = sharing
  const stream = reader.stream.bind(reader)
  const [reached, freed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let [count, wanted] = [0, Infinity]
  reader.stream = async function* (...asked) {
    if (++count >= wanted) reached.resolve()
    await freed.promise
    yield* stream(...asked)
  }
  return {
    reached: (number: number) => {
      wanted = number
      if (count >= number) reached.resolve()
      return reached.promise
    },
    free: () => freed.resolve(),
  }
}

void t.test('an address asks so often and no more', async (t) => {
  const { city, get } = await released(t)
  city.now = new Date(city.now.getTime() + 60_000)
  const answers = []
  for (let i = 0; i < 62; i++) answers.push(await get('/nothing/rows'))
  t.same(
    answers.map(({ statusCode }) => statusCode),
    [...Array(60).fill(404), 429, 429],
  )
  t.match(answers.at(-1)!.headers, { 'retry-after': '60', 'access-control-allow-origin': '*' })
  t.equal((await city.app.inject({ url: '/open', remoteAddress: '192.0.2.7' })).statusCode, 200)
})

void t.test('anybody’s feedback goes to the registrar and the office', async (t) => {
  const { city } = await released(t)
  const send = (payload: object | string, type = 'application/json') =>
    city.app.inject({ method: 'POST', url: '/open/villages/feedback', payload, headers: { 'content-type': type } })
  t.equal((await send({ text: '第三行名称有误', contact: '13800000000' })).statusCode, 202)
  t.match(await city.store.query(`select agency, role, zh from notice where kind = 'open-feedback' order by id`), [
    { agency: 'civil', role: 'registrar', zh: /第三行名称有误.联系方式.13800000000/ },
    { agency: null, role: 'office' },
  ])
  t.match(await send('text=%E5%A5%BD&contact=', 'application/x-www-form-urlencoded'), { statusCode: 200, body: /感谢/ })
  for (const body of [
    {},
    { text: '' },
    { text: ' ' },
    { text: 'x'.repeat(2001) },
    { text: 'x', contact: 'x'.repeat(201) },
    { text: 'x', more: 1 },
  ])
    t.equal((await send(body)).statusCode, 400)
  t.equal((await send({ text: '三' })).statusCode, 202)
  t.match(await send({ text: '四' }), { statusCode: 429, headers: { 'retry-after': /\d/ } })
})

async function readSheet(bytes: Buffer): Promise<(string | null)[][]> {
  const book = await readWorkbook(bytes)
  const rows: (string | null)[][] = []
  for await (const row of book.sheets[0]!.rows()) rows.push(row.cells.map((cell) => cell ?? null))
  book.close()
  return rows
}

const shapes = new Graph(new Parser().parse(readFileSync(new URL('./dcat-ap.ttl', import.meta.url), 'utf8')))

async function graphOf(document: object): Promise<Graph> {
  return new Graph(new Parser().parse((await jsonld.toRDF(document, { format: 'application/n-quads' })) as unknown as string))
}

void t.test('the catalog is DCAT-AP 3.0.0', async (t) => {
  const { city, get } = await released(t)
  await city.store.query(`update resource set classification = '302', abstract = ''`)
  await city.store.query(
    `update catalog_version set content = content || '{"openLicence": "https://example.org/licence", "contact": {"name": "信息科", "phone": "0769-1 转 2", "email": "a@example.org"}, "temporal": {"from": "2026-01-01"}}'`,
  )
  const csv = await get('/villages/data.csv')
  const answer = await get('/dcat.jsonld')
  t.equal(answer.headers['content-type'], 'application/ld+json')
  const graph = await graphOf(answer.json())
  const report = new Validator(shapes).validate(graph)
  t.same(
    (await report).results.map((result: { path: unknown }) => String(result.path)),
    [],
  )
  const found = (predicate: string) =>
    [...graph.match(null, { termType: 'NamedNode', value: predicate } as never)].map(({ object }) => object.value)
  const dcat = 'http://www.w3.org/ns/dcat#'
  t.same(found(`${dcat}downloadURL`).toSorted(), fileKinds.map((kind) => `https://hub.test/open/villages/data.${kind}`).toSorted())
  t.same(found(`${dcat}byteSize`), [String(csv.rawPayload.length)])
  t.equal(found(`${dcat}mediaType`).length, 4)
  t.same(new Set(found('http://purl.org/dc/terms/license')), new Set(['https://example.org/licence']))
  t.same(found('http://www.w3.org/2006/vcard/ns#hasEmail'), ['mailto:a@example.org'])
  t.same(found(`${dcat}startDate`), ['2026-01-01'])
  t.ok(found('http://www.w3.org/2004/02/skos/core#prefLabel').length >= 2)
  t.match(found('http://www.w3.org/ns/hydra/core#totalItems'), ['1'])
  const without = await graphOf({ ...answer.json(), '@graph': [{ '@id': 'urn:x', '@type': 'dcat:Catalog' }] })
  t.equal((await new Validator(shapes).validate(without)).conforms, false, 'the shapes find what is missing')
})

void t.test('many data sets, page by page', async (t) => {
  const { city, get } = await released(t)
  await copies(city, 250)
  const place = { address: 'https://hub.test', path: '/open', files: [] }
  const pages = await Promise.all([1, 2, 3].map(async (number) => (await dcatPage(city, place, number)) as { '@graph': any[] }))
  t.same(
    pages.map((page) => page['@graph'][0]['dcat:dataset'].length),
    [100, 100, 51],
  )
  t.match(pages[1]!['@graph'][1], {
    'hydra:next': { '@id': /page=3$/ },
    'hydra:nextPage': { '@id': /page=3$/ },
    'hydra:previous': { '@id': /page=1$/ },
    'hydra:lastPage': { '@id': /page=3$/ },
  })
  t.equal(new Set(pages.flatMap((page) => page['@graph'][0]['dcat:dataset'].map((one: any) => one['@id']))).size, 251)
  const listed = await get('?page=2')
  t.match(listed.body, /共 251 个数据集/)
  t.match(listed.body, /page=1"[^]*page=3"/)
})

/** As many more data sets of the same shape. */
async function copies(city: City, count: number): Promise<void> {
  const { query } = city.store
  const names = Array.from({ length: count }, (_, i) => `copy-${i}`)
  const columns = async (table: string, but: string[]) =>
    (await query<{ name: string }>(`select column_name as name from information_schema.columns where table_name = $1`, [table]))
      .map(({ name }) => name)
      .filter((name) => !but.includes(name))
      .join(', ')
  for (const [table, code] of [
    ['resource', 'code'],
    ['resource_version', 'resource'],
  ] as const) {
    const rest = await columns(table, [code, 'title', 'title_form'])
    const title = table === 'resource' ? ', title, title_form' : ''
    await query(
      `insert into ${table} (${code}${title}, ${rest}) select name${title && ', name, name'}, ${rest} from ${table}, unnest($1::text[]) name where ${code} = 'villages'`,
      [names],
    )
  }
  await query(
    `insert into opening (resource, items, state, created_at, released_at) select name, '{name}', 'released', now(), now() from unnest($1::text[]) name`,
    [names],
  )
}
