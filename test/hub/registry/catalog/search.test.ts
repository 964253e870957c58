import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  dropFromIndex,
  indexResource,
  searchCatalog,
  type CatalogSearch,
  type FoundResource,
  type IndexedResource,
} from '../../../../hub/registry/catalog/search.ts'
import { maxCounted, type Total } from '../../../../hub/records/listing.ts'
import type { Query } from '../../../../hub/store/store.ts'
import { openOffice, refusal } from '../../office.ts'

function resource(code: string, title: string, more: Partial<IndexedResource> = {}): IndexedResource {
  return { resource: code, title, agency: 'civil', agencyName: '民政局', openness: 'public', items: [], ...more }
}
const item = (label: string, name = 'x') => ({ id: name, name, label })

async function indexed(t: Parameters<typeof openOffice>[0], resources: IndexedResource[]) {
  const { query } = (await openOffice(t)).store
  for (const one of resources) await indexResource(query, one)
  return query
}

const codes = async (query: Query, text: string, more: Partial<CatalogSearch> = {}): Promise<string[]> =>
  (await searchCatalog(query, { text, limit: 50, ...more })).items.map(({ resource }) => resource)

const catalog = [
  resource('civil-villages', '村居名录', {
    catalogCode: '307019/000001',
    classification: '307019',
    abstract: '全市村(居)民委员会的名称,每年一月更新',
    items: [item('区划代码', 'region_code'), item('负责人 姓 名', 'head_name')],
    keywords: ['基层自治'],
  }),
  resource('civil-marriages', '婚姻登记信息', { items: [item('姓名', 'name'), item('身份证件号码', 'id_number')], classification: '307' }),
  resource('market-firms', '企业登记信息', {
    agency: 'market',
    agencyName: '市场监督管理局',
    openness: 'internal',
    standard: 'firms',
    classification: '30',
    items: [item('统一社会信用代码', 'credit_code'), item('法定代表人姓名', 'person')],
    abstract: '含个体工商户;婚姻状况不在其中',
  }),
  resource('market-licences', 'ABC许可2023年版', { agency: 'market', agencyName: '市场监督管理局' }),
]

t.test('words: Chinese of any length, in any order, all of which must be found', async (t) => {
  const query = await indexed(t, catalog)
  t.same(await codes(query, '登记'), ['civil-marriages', 'market-firms'])
  t.same(await codes(query, '信息 企业'), ['market-firms'])
  t.same(await codes(query, '企业,信息'), ['market-firms'])
  t.same(await codes(query, '企业 村居'), [])
  t.same(await codes(query, '姓'), ['civil-marriages', 'civil-villages', 'market-firms'])
  t.same(await codes(query, '市场监督管理局 登记'), ['market-firms'])
  t.same(await codes(query, '登企'), [], 'its characters are there, the pair is not')
  t.same(await codes(query, '登记信息登记'), [], 'its pairs are there, the phrase is not')
  t.same(await codes(query, '民政局民政'), [])
  t.same(await codes(query, '负责人姓名'), ['civil-villages'], 'spaces within a label')
  t.same(await codes(query, '名录民政'), [], 'not over two fields')
})

t.test('codes, beginnings of words, full-width forms, mixed words', async (t) => {
  const query = await indexed(t, catalog)
  t.same(await codes(query, 'Civil-Villages'), ['civil-villages'])
  t.same(await codes(query, '307019/000001'), ['civil-villages'])
  t.same(await codes(query, 'mark'), ['market-firms', 'market-licences'])
  t.same(await codes(query, 'arket'), [], 'not from within a word')
  t.same(await codes(query, 'credit_code'), ['market-firms'])
  t.same(await codes(query, 'code_credit'), [])
  t.same(await codes(query, 'abc'), ['market-licences'])
  t.same(await codes(query, 'abc许可2023年'), ['market-licences'])
  t.same(await codes(query, '2023版'), [])
  t.same(await codes(query, 'x'.repeat(30)), [])
})

t.test('order: the code, the title, items, the abstract', async (t) => {
  const query = await indexed(t, [
    resource('a', '其他', { abstract: '供水' }),
    resource('b', '其他', { items: [item('供水量')] }),
    resource('c', '城市供水情况'),
    resource('d', '供水'),
    resource('e', '其他', { agencyName: '供水公司' }),
    resource('f', '其他', { catalogCode: '供水' }),
  ])
  t.same(await codes(query, '供水'), ['f', 'd', 'c', 'e', 'b', 'a'])
  t.same(await codes(query, 'e'), ['e'])
  const { items, total } = await searchCatalog(query, { text: '供水量', limit: 1 })
  t.same(total, { count: 1, more: false })
  t.match(items, [{ resource: 'b', title: '其他', agency: 'civil', agencyName: '民政局', openness: 'public', matched: ['供水量'] }])
  const both = await searchCatalog(await indexed(t, catalog), { text: '姓名 登记', limit: 9 })
  t.same(
    both.items.map(({ resource, matched }) => [resource, matched]),
    [
      ['civil-marriages', ['姓名']],
      ['market-firms', ['法定代表人姓名']],
    ],
  )
})

t.test('filters, alone and with words; without words all by title', async (t) => {
  const query = await indexed(t, catalog)
  t.same(await codes(query, ''), ['market-licences', 'market-firms', 'civil-marriages', 'civil-villages'])
  t.same(await codes(query, ' '), await codes(query, ''))
  t.same(await codes(query, '!!'), [], 'nothing but signs is no word')
  t.same(await codes(query, '登记', { agency: 'market' }), ['market-firms'])
  t.same(await codes(query, '', { agency: 'civil' }), ['civil-marriages', 'civil-villages'])
  t.same(await codes(query, '', { classification: '307' }), ['civil-marriages', 'civil-villages'], 'a class and those below')
  t.same(await codes(query, '', { openness: 'internal' }), ['market-firms'])
  t.same(await codes(query, '登记', { standard: 'firms' }), ['market-firms'])
  t.same(await codes(query, '登记', { standard: 'none' }), [])
})

t.test('what changes is found as it is, what is withdrawn not at all', async (t) => {
  const query = await indexed(t, catalog)
  await indexResource(query, resource('civil-villages', '社区名单', { agencyName: '民政和社会事务局' }))
  t.same(await codes(query, '村居'), [])
  t.same(await codes(query, '社会事务 社区'), ['civil-villages'])
  await dropFromIndex(query, 'civil-villages')
  t.same(await codes(query, '社区'), [])
})

t.test('nothing that is typed is SQL, and anything may be typed', async (t) => {
  const query = await indexed(t, catalog)
  for (const text of [
    `'; drop table catalog_index; --`,
    `登记' or '1'='1`,
    '\0',
    '登\0记',
    '{登记}',
    '%',
    '_',
    '\\',
    '🎈',
    '\ud800',
    'a'.repeat(5_000),
    '登 '.repeat(500),
  ])
    for (const more of [{}, { agency: text }, { classification: text }, { openness: text }, { standard: text }])
      await searchCatalog(query, { text, limit: 5, ...more })
  t.same((await codes(query, '')).length, 4)
  for (const after of ['', 'x', 'null', btoa('{}'), btoa('{"level":9}'), btoa('"')])
    t.equal(await refusal(searchCatalog(query, { after, limit: 1 })), 'QZ-REQUEST-INVALID', after)
})

t.test('the total is counted up to a bound', async (t) => {
  const query = await indexed(t, [])
  await query(`insert into catalog_index select 'r' || n, null, '水', 'a', 'a', '', 'public', null, '[]', '水', '水'::bytea, '', '', '{水}', '{水}', '{水}'
    from generate_series(1, ${maxCounted + 5}) n`)
  t.same((await searchCatalog(query, { text: '水', limit: 1 })).total, { count: maxCounted, more: true })
  t.same((await searchCatalog(query, { limit: 1 })).total, { count: maxCounted, more: true })
})

interface Document {
  title: string
  label: string
  abstract: string
}

/** Which documents hold all words, each with the level at which they do. */
function model(documents: readonly Document[], words: readonly string[]): Map<string, number> {
  const found = documents.map(({ title, label, abstract }, i): [string, number] => {
    const levels = [[title], [title, label], [title, label, abstract]]
    return [`r${i}`, levels.findIndex((texts) => words.every((word) => texts.some((text) => text.includes(word))))]
  })
  return new Map(found.filter(([, level]) => level >= 0))
}

async function allPages(query: Query, search: CatalogSearch): Promise<{ read: FoundResource[]; totals: Total[] }> {
  const read: FoundResource[] = []
  const totals: Total[] = []
  for (let after: string | undefined; read.length < 100;) {
    const page = await searchCatalog(query, { ...search, ...(after === undefined ? {} : { after }) })
    read.push(...page.items)
    totals.push(page.total)
    if (page.next === null) return { read, totals }
    after = page.next
  }
  throw new Error('the pages do not end')
}

t.test('against a model: the right resources in the right order, whatever the pages', async (t) => {
  const query = await indexed(t, [])
  const phrase = fc.string({ unit: fc.constantFrom('甲', '乙', '丙'), minLength: 1, maxLength: 4 })
  const documents = fc.array(fc.record({ title: phrase, label: phrase, abstract: phrase }), { minLength: 1, maxLength: 12 })
  const words = fc.array(phrase, { minLength: 1, maxLength: 3 })
  const property = fc.asyncProperty(documents, words, fc.integer({ min: 1, max: 5 }), async (documents, words, limit) => {
    await query('truncate catalog_index')
    for (const [i, { title, label, abstract }] of documents.entries())
      await indexResource(query, resource(`r${i}`, title, { abstract, items: [item(label)] }))
    const wanted = model(documents, words)
    const { read, totals } = await allPages(query, { text: words.join(' '), limit })
    assert.deepEqual(read.map(({ resource }) => resource).toSorted(), [...wanted.keys()].toSorted())
    const levels = read.map(({ resource }) => wanted.get(resource)!)
    assert.deepEqual(
      levels,
      levels.toSorted((a, b) => a - b),
    )
    for (const total of totals) assert.deepEqual(total, { count: wanted.size, more: false })
    const other = await allPages(query, { text: words.join(' '), limit, sort: '-title' })
    const byTitle = (a: string, b: string) => (a < b ? 1 : a > b ? -1 : 0)
    assert.deepEqual(
      other.read.map(({ title }) => title),
      [...wanted.keys()].map((code) => documents[Number(code.slice(1))]!.title).toSorted(byTitle),
    )
    const titles = (await allPages(query, { limit })).read.map(({ title }) => title)
    assert.deepEqual(titles, documents.map(({ title }) => title).toSorted())
  })
  await t.resolves(fc.assert(property, { numRuns: 40 }))
})
