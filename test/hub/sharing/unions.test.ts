/** All adopters of a standard as one resource, against a plain union of the same rows. */
import fc from 'fast-check'
import { pino } from 'pino'
import t from 'tap'
import { Cursors } from '../../../hub/sharing/cursors.ts'
import { readQuery, type Parameters } from '../../../hub/sharing/filters.ts'
import type { Mask } from '../../../protocol/masks.ts'
import { streamUnion, readUnionPage, readUnionRow } from '../../../hub/sharing/union-pages.ts'
import { openUnion, type Union } from '../../../hub/sharing/unions.ts'
import { openReader } from '../../../hub/tables/reader.ts'
import { ResourceTables } from '../../../hub/tables/tables.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { findPostgres } from '../../support/postgres.ts'
import { hubStore } from '../../support/hub-store.ts'
import { openBench, Provider, type Bench } from '../exchange/fixture.ts'
import { check } from './alike.ts'
import type { CatalogItem } from '../../../hub/registry/catalog/content.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

type Row = Record<string, string | null>
const internal = { openness: 'internal', searchable: true } as const
const items: CatalogItem[] = [
  { id: 'region', name: 'region', label: '区划', type: 'text', length: 12, key: true, openness: 'internal' },
  { id: 'no', name: 'no', label: '序号', type: 'integer', key: true, openness: 'internal' },
  { id: 'name', name: 'name', label: '名称', type: 'text', length: 20, ...internal },
  { id: 'amount', name: 'amount', label: '金额', type: 'decimal', precision: 12, scale: 2, ...internal },
  { id: 'note', name: 'note', label: '备注', type: 'text', openness: 'internal' },
]

/** What one adopter has, and what of it is granted. */
interface Adopter {
  source: string
  rows: readonly Row[]
  granted: readonly string[]
  hidden: readonly string[]
}

const row = fc.record({
  region: fc.constantFrom('r', '区', 's'),
  no: fc.integer({ min: -3, max: 6 }).map(String),
  name: fc.option(fc.constantFrom('', '甲', '乙乙', 'a', 'Z')),
  amount: fc.option(fc.constantFrom('0', '9.5', '10', '-1.25', '9.50')),
  note: fc.option(fc.constantFrom('x', 'y')),
})
const adopters = fc.tuple(
  ...['a', 'b-1', 'b', 'z'].map((source) =>
    fc.record({
      source: fc.constant(source),
      rows: fc.uniqueArray(row, { selector: ({ region, no }) => `${region} ${no}`, maxLength: 8 }),
      granted: fc.subarray(['name', 'amount', 'note']),
      hidden: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, { weight: 1, arbitrary: fc.subarray(['name', 'note']) }),
    }),
  ),
)
const question = fc.record({
  sort: fc.option(fc.tuple(fc.constantFrom('source', 'region', 'no', 'name', 'amount'), fc.boolean())),
  filters: fc.array(
    fc.oneof(
      fc.tuple(fc.constantFrom('source', 'source.gt', 'source.ne'), fc.constantFrom('a', 'b', 'c')),
      fc.tuple(fc.constantFrom('no.ge', 'no.lt', 'no'), fc.constantFrom('-1', '2')),
      fc.tuple(fc.constantFrom('name', 'name.ne', 'name.ge'), fc.constantFrom('甲', '', 'a')),
      fc.tuple(fc.constantFrom('amount.le', 'amount'), fc.constantFrom('9.5', '10')),
      fc.tuple(fc.constantFrom('name.null', 'amount.null'), fc.constantFrom('true', 'false')),
    ),
    { maxLength: 2 },
  ),
  limit: fc.integer({ min: 1, max: 7 }),
})

function compare(id: string, a: string | null, b: string | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  if (id === 'no' || id === 'amount') return Number(a) - Number(b)
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function holds([name, value]: readonly [string, string], row: Row): boolean {
  const [id, operator = 'eq'] = name.split('.') as [string, string?]
  const held = row[id]!
  if (operator === 'null') return (held === null) === (value === 'true')
  if (operator === 'ne') return held === null || compare(id, held, value) !== 0
  if (held === null) return false
  const order = compare(id, held, value)
  return { eq: order === 0, gt: order > 0, ge: order >= 0, lt: order < 0, le: order <= 0 }[operator]!
}

/** The union as plain rows: what is not granted has no value. */
function plain(of: readonly Adopter[]): Row[] {
  return of.flatMap(({ source, rows, granted }) =>
    rows.map((row) => ({
      source,
      ...Object.fromEntries(items.map(({ id, key }) => [id, key || granted.includes(id) ? row[id as 'no'] : null])),
    })),
  )
}

function ordered(rows: readonly Row[], by: readonly string[], descending: boolean): Row[] {
  return rows.toSorted((a, b) => {
    for (const id of by) {
      const order = compare(id, a[id]!, b[id]!)
      if (order !== 0) return descending ? -order : order
    }
    return 0
  })
}

const cursors = new Cursors(generateSigningKey().privateKey)
const hide: Mask = { kind: 'hide' }

async function filled(bench: Bench, of: readonly Adopter[]) {
  await bench.store.query(`insert into standard (code, state, version, form) values ('people', 'published', 1, $1)`, [
    JSON.stringify({ title: '人员', items, optional: [] }),
  ])
  const tables = new ResourceTables({ ...bench, logger: pino({ level: 'silent' }), clock: () => bench.time.now })
  for (const { source, rows } of of) {
    const agent = await bench.agent(`${source}-agent`, source)
    const provider = new Provider(agent, await bench.resource(`${source}.people`, source, { items }))
    await bench.store.query(`update resource set standard = 'people' where agency = $1`, [source])
    await provider.send(bench.exchange, provider.snapshot([...rows]))
  }
  await tables.catchUp()
  return openUnion(
    bench.store.query,
    'right',
    'people',
    of.map(({ source, granted, hidden }) => ({
      id: `g-${source}`,
      resource: `${source}.people`,
      items: granted,
      masks: Object.fromEntries(hidden.map((id) => [id, hide])),
    })),
  )
}

async function walkAll(deps: Parameters_<typeof readUnionPage>[0], union: Union, parameters: Parameters): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = []
  for (let after: string | undefined; ;) {
    const asked = { ...parameters, ...(after !== undefined && { after }) }
    const page = await readUnionPage(deps, union, readQuery(union, asked), asked)
    rows.push(...page.rows)
    if (page.next === undefined) return rows
    after = page.next
  }
}
type Parameters_<F extends (...all: never[]) => unknown> = F extends (...all: infer A) => unknown ? A : never

void t.test('pages, counts, rows and streams of a union are those of its rows together', async (t) => {
  await fc.assert(
    fc.asyncProperty(adopters, fc.array(question, { minLength: 20, maxLength: 20 }), async (of, questions) => {
      const bench = await openBench(await hubStore(server))
      const reader = openReader(bench.store.url, { connections: 1 })
      try {
        const union = (await filled(bench, of))!
        const shown = [
          'source',
          ...items.filter(({ id, key }) => key || of.some(({ granted }) => granted.includes(id))).map(({ id }) => id),
        ]
        check(
          union.items.map(({ id }) => id),
          shown,
          'items',
        )
        const searchable = (id: string) =>
          ['source', 'region', 'no'].includes(id) ||
          (shown.includes(id) && of.every(({ granted, hidden }) => !granted.includes(id) || !hidden.includes(id)))
        const told = (row: Row) =>
          shown.map((id) => (of.find(({ source }) => source === row['source'])!.hidden.includes(id) ? null : row[id]!))
        for (const { sort, filters, limit } of questions) {
          if (sort && !searchable(sort[0])) continue
          const usable = filters.filter(([name]) => searchable(name.split('.')[0]!))
          const parameters: Record<string, string | string[]> = { limit: String(limit) }
          for (const [name, value] of usable) parameters[name] = name in parameters ? [parameters[name]!, value].flat() : value
          if (sort) parameters['sort'] = `${sort[1] ? '-' : ''}${sort[0]}`
          const keys = ['source', 'region', 'no']
          const by = sort ? [sort[0], ...keys.filter((id) => id !== sort[0])] : keys
          const right = ordered(
            plain(of).filter((row) => usable.every((one) => holds(one, row))),
            by,
            sort?.[1] ?? false,
          )
          check(await walkAll({ reader, cursors }, union, parameters), right.map(told), parameters)
          const counting = { ...parameters, count: 'exact' }
          const { count } = await readUnionPage({ reader, cursors }, union, readQuery(union, counting), counting)
          check(count, { rows: right.length, exact: true }, counting)
          if (sort) continue
          const streamed: (string | null)[][] = []
          for await (const { rows } of streamUnion(reader, union, readQuery(union, parameters), 1000)) streamed.push(...rows)
          check(streamed, right.map(told), parameters)
        }
        for (const row of plain(of).slice(0, 5)) {
          const found = await readUnionRow({ reader }, union, [row['source']!, row['region']!, row['no']!], union.items)
          check(found?.values, told(row), row)
        }
        check(await readUnionRow({ reader }, union, ['nobody', 'r', '1'], union.items), undefined, 'no such source')
      } finally {
        await reader.close()
        await bench.close()
      }
    }),
    { numRuns: Number(process.env['QIANZHI_TEST_RUNS'] ?? 4), endOnFailure: true },
  )
  t.pass('all the same')
})

void t.test('what cannot be part of it is left out, and said; what is absent is said of each source', async (t) => {
  const bench = await openBench(await hubStore(server))
  t.teardown(() => bench.close())
  const of = ['a', 'b', 'c'].map((source) => ({ source, rows: [{ region: 'r', no: '1', name: source }], granted: ['name'], hidden: [] }))
  t.equal((await filled(bench, of))!.members.length, 3)
  const other = { ...items[2]!, type: 'integer' as const }
  const { length: _, ...changed } = other
  const asked = of.map(({ source }) => ({ id: source, resource: `${source}.people`, items: source === 'b' ? [] : ['name'] }))
  const open = () => openUnion(bench.store.query, 'right', 'people', asked)
  const schema = JSON.stringify([items[0], items[1], changed])
  await bench.store.query(`update resource_version set schema = jsonb_set(schema, '{items}', $1) where resource = 'c.people'`, [schema])
  const union = (await open())!
  t.match(
    union.members.map(({ source, absent }) => [source, absent]),
    [
      ['a', []],
      ['b', ['name']],
      ['c', ['name']],
    ],
    'of another type is absent',
  )
  await bench.store.query(`update resource_version set schema = jsonb_set(schema, '{items}', $1) where resource = 'c.people'`, [
    JSON.stringify([items[0], { ...items[1], key: false }]),
  ])
  await bench.store.query(`update resource set keep = 'relay' where code = 'a.people'`)
  t.match(await open(), { members: [{ source: 'b' }], leftOut: ['a.people', 'c.people'] })
  await bench.store.query(`update resource set keep = 'relay' where code = 'b.people'`)
  await t.rejects(open(), { code: 'QZ-DATA-RELAYED' }, 'nothing is left')
  t.equal(await openUnion(bench.store.query, 'right', 'nowhere', asked), undefined)
})
