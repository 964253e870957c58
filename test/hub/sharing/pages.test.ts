/** Filters, sorts and pages against plain reckoning over the same rows. */
import fc from 'fast-check'
import { pino } from 'pino'
import t from 'tap'
import { Cursors } from '../../../hub/sharing/cursors.ts'
import { operatorsOf, readQuery, type Operator, type Parameters } from '../../../hub/sharing/filters.ts'
import { readPage, readRow } from '../../../hub/sharing/pages.ts'
import { openShare } from '../../../hub/sharing/share.ts'
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

const open = { openness: 'internal', searchable: true } as const
const items: CatalogItem[] = [
  { id: 'region', name: 'region', label: '区划', type: 'text', length: 12, key: true, openness: 'internal' },
  { id: 'no', name: 'no', label: '序号', type: 'integer', key: true, openness: 'internal' },
  { id: 'name', name: 'name', label: '名称', type: 'text', length: 20, ...open },
  { id: 'amount', name: 'amount', label: '金额', type: 'decimal', precision: 20, scale: 2, ...open },
  { id: 'valid', name: 'valid', label: '有效', type: 'boolean', ...open },
  { id: 'day', name: 'day', label: '日期', type: 'date', ...open },
  { id: 'moment', name: 'moment', label: '时刻', type: 'timestamptz', ...open },
  { id: 'limit', name: 'limit_', label: '限额', type: 'integer', ...open },
  { id: 'remark', name: 'remark', label: '备注', type: 'text', length: 50, openness: 'internal' },
  { id: 'hidden', name: 'hidden', label: '未授权', type: 'text', length: 50, ...open },
  { id: 'secret', name: 'secret', label: '不公开', type: 'text', openness: 'closed' },
]
const granted = ['name', 'amount', 'valid', 'day', 'moment', 'limit', 'remark']
const readable = items.filter(({ id, key }) => key || granted.includes(id))

/** Few values of each, so that filters meet them; with what SQL, LIKE and JSON mean something by. */
const pools: Record<string, readonly (string | null)[]> = {
  region: ['甲', '乙', 'a', 'B', "o'x"],
  no: ['-3', '0', '7', '10', '9223372036854775807'],
  name: [null, '', '张', '张三', '张三丰', '李四', '100%', '100_', "' or 1=1 --", String.raw`\x`, '𠮷野家', '￿'],
  amount: [null, '-1.50', '0.00', '2.10', '10.00', '999999999999999999.99'],
  valid: [null, 'true', 'false'],
  day: [null, '0001-01-01', '2026-02-28', '9999-12-31'],
  moment: [null, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000001Z', '1969-12-31T23:59:59.5Z'],
  limit: [null, '1', '2', '3'],
  remark: [null, 'x'],
  hidden: [null, 'geheim'],
  secret: [null],
}
const pick = (id: string) => fc.constantFrom(...pools[id]!)
const row = fc.record(Object.fromEntries(items.map(({ id }) => [id, pick(id)])))
const table = fc.uniqueArray(row, { selector: (one) => JSON.stringify([one['region'], one['no']]), minLength: 15, maxLength: 25 })

const searchable = readable.filter(({ key, searchable }) => key || searchable)
const filter = fc
  .constantFrom(...searchable)
  .chain((item) =>
    fc.tuple(fc.constant(item), fc.constantFrom(...operatorsOf(item.type)), fc.array(pick(item.id), { minLength: 1, maxLength: 3 })),
  )
const question = fc.record({
  filters: fc.array(filter, { maxLength: 3 }),
  sort: fc.option(fc.tuple(fc.constantFrom(...searchable), fc.boolean())),
  limit: fc.integer({ min: 1, max: 6 }),
  count: fc.constantFrom('none' as const, 'estimated' as const, 'exact' as const),
})
type Question = typeof question extends fc.Arbitrary<infer Q> ? Q : never
type Filters = Question['filters']

/** The parameter that asks it; undefined for what no text asks. */
function parameter([item, operator, values]: Filters[number]): [string, string] | undefined {
  const [value] = values
  const name = operator === 'eq' && item.id !== 'limit' ? item.id : `${item.id}.${operator}`
  if (operator === 'null') return [name, String(value === null)]
  if (operator === 'in') return values.some((one) => one === null || one.includes(',')) ? undefined : [name, values.join(',')]
  if (value === null) return undefined
  if (operator !== 'like') return [name, value!]
  return value === '' || value!.includes('*') ? undefined : [name, `${value!.slice(0, 2)}*`]
}

const number = (text: string): bigint => BigInt(text.replace('.', ''))
const microseconds = (text: string): bigint => {
  const [whole, fraction = ''] = text.slice(0, -1).split('.')
  return BigInt(Date.parse(`${whole}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0') || 0)
}

function compare(item: CatalogItem, a: string, b: string): number {
  if (item.type === 'text') return Buffer.compare(Buffer.from(a), Buffer.from(b))
  const by = { integer: number, decimal: number, timestamptz: microseconds }[item.type as 'integer']
  const [x, y] = by ? [by(a), by(b)] : [a, b]
  return x < y ? -1 : x > y ? 1 : 0
}

/** What PostgreSQL does with nulls in an order: behind all else, and before it when descending. */
function compareNulls(item: CatalogItem, a: string | null, b: string | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  return compare(item, a, b)
}

function holds([item, operator, values]: Filters[number], row: Row): boolean {
  const held = row[item.id]!
  if (operator === 'null') return (held === null) === (values[0] === null)
  if (operator === 'ne') return held === null || compare(item, held, values[0]!) !== 0
  if (held === null) return false
  if (operator === 'in') return values.some((value) => compare(item, held, value!) === 0)
  if (operator === 'like') return held.startsWith(values[0]!.slice(0, 2))
  const order = compare(item, held, values[0]!)
  const said: Partial<Record<Operator, boolean>> = { eq: order === 0, gt: order > 0, ge: order >= 0, lt: order < 0, le: order <= 0 }
  return said[operator]!
}

function expected(rows: readonly Row[], filters: Filters, sort: Question['sort']): Row[] {
  const keys = items.filter(({ key }) => key)
  const order = sort ? [sort[0], ...keys.filter(({ id }) => id !== sort[0].id)] : keys
  const sign = sort?.[1] ? -1 : 1
  const found = rows.filter((one) => filters.every((filter) => holds(filter, one)))
  return found.toSorted((a, b) => {
    for (const item of order) {
      const by = compareNulls(item, a[item.id]!, b[item.id]!)
      if (by !== 0) return sign * by
    }
    return 0
  })
}

async function filled(bench: Bench, rows: readonly Row[]) {
  const agent = await bench.agent('provider', 'a')
  const schema = await bench.resource('people', 'a', { items })
  const provider = new Provider(agent, schema)
  const tables = new ResourceTables({ ...bench, logger: pino({ level: 'silent' }), clock: () => bench.time.now })
  await provider.send(bench.exchange, provider.snapshot(rows.map(({ secret: _secret, ...shown }) => shown)))
  await tables.catchUp()
  const share = await openShare(bench.store.query, { id: 'grant', resource: 'people', items: granted })
  return { provider, tables, share }
}

const cursors = new Cursors(generateSigningKey().privateKey)

void t.test('filters, sorts and pages find what plain reckoning finds', async (t) => {
  await fc.assert(
    fc.asyncProperty(table, fc.array(question, { minLength: 25, maxLength: 25 }), async (rows, questions) => {
      const bench = await openBench(await hubStore(server))
      const reader = openReader(bench.store.url, { connections: 1 })
      try {
        const { share } = await filled(bench, rows)
        for (const { filters: wanted, sort, limit, count } of questions) {
          const filters = wanted.filter((one) => parameter(one) !== undefined)
          const parameters: Record<string, string | string[]> = { limit: String(limit), count }
          for (const one of filters) {
            const [name, value] = parameter(one)!
            parameters[name] = name in parameters ? [parameters[name]!, value].flat() : value
          }
          if (sort) parameters['sort'] = `${sort[1] ? '-' : ''}${sort[0].id}`
          const right = expected(rows, filters, sort)
          const found = await walkAll({ reader, cursors }, share, parameters, (page) => {
            if (count === 'exact' || (count === 'estimated' && filters.length === 0))
              check(page.count, { rows: right.length, exact: true }, parameters)
          })
          check(
            found,
            right.map((one) => readable.map(({ id }) => one[id]!)),
            parameters,
          )
        }
      } finally {
        await reader.close()
        await bench.close()
      }
    }),
    { numRuns: Number(process.env['QIANZHI_TEST_RUNS'] ?? 4), endOnFailure: true },
  )
  t.pass('all the same')
})

async function walkAll(
  deps: Parameters_<typeof readPage>[0],
  share: Parameters_<typeof readPage>[1],
  parameters: Parameters,
  each: (page: Awaited<ReturnType<typeof readPage>>) => unknown = () => undefined,
): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = []
  let after: string | undefined
  for (;;) {
    const page = await readPage(deps, share, readQuery(share, { ...parameters, ...(after !== undefined && { after }) }))
    rows.push(...page.rows)
    await each(page)
    if (page.next === undefined) return rows
    after = page.next
  }
}
type Parameters_<F extends (...all: never[]) => unknown> = F extends (...all: infer A) => unknown ? A : never

void t.test('what comes and goes between two pages neither repeats nor hides others', async (t) => {
  const bench = await openBench(await hubStore(server))
  const reader = openReader(bench.store.url)
  t.teardown(() => bench.close())
  t.teardown(() => reader.close())
  const rows = Array.from({ length: 40 }, (_, i): Row => ({ region: 'r', no: String(i * 2), name: ['甲', '乙', null][i % 3]! }))
  const { share, provider, tables } = await filled(bench, rows)
  let turn = 0
  const found = await walkAll({ reader, cursors }, share, { sort: '-name', limit: '3' }, async () => {
    const odd = ++turn * 2 - 1
    await provider.send(
      bench.exchange,
      provider.build([
        { region: 'r', no: String(odd), name: '乙' },
        { region: 'q', no: String(turn), name: null },
      ]),
    )
    await tables.catchUp()
  })
  const even = found.map(([, no]) => Number(no)).filter((no) => no % 2 === 0 && no >= 0)
  const old = found.filter(([region, no]) => region === 'r' && Number(no) % 2 === 0)
  t.equal(old.length, 40)
  t.equal(new Set(even).size, 40)
  t.equal(new Set(found.map(([region, no]) => `${region} ${no}`)).size, found.length, 'nothing twice')
})

void t.test('what is unknown, closed or not granted is one and the same', async (t) => {
  const bench = await openBench(await hubStore(server))
  const reader = openReader(bench.store.url)
  t.teardown(() => bench.close())
  t.teardown(() => reader.close())
  const { share } = await filled(bench, [{ region: 'r', no: '1', name: '甲', hidden: 'geheim' }])
  const refusals = ['hidden', 'secret', 'nowhere'].map((item) => {
    const asked: Parameters[] = [{ [item]: 'x' }, { [`${item}.ge`]: 'x' }, { select: `region,${item}` }, { sort: `-${item}` }]
    return asked.map((one) => {
      try {
        readQuery(share, one)
        return 'taken'
      } catch (error) {
        return String(error).replaceAll(item, 'ITEM')
      }
    })
  })
  t.same(refusals[0], refusals[1])
  t.same(refusals[0], refusals[2])
  t.match(refusals[0], [/QianzhiError/, /QianzhiError/, /QianzhiError/, /QianzhiError/])
  const { values, ...from } = (await readRow({ reader }, share, ['r', '1'], share.items))!
  t.notOk(values.includes('geheim'))
  t.match(from, { position: /^\d+$/, received: /^2026-11-23T08:00:00Z$/ })
  t.equal(await readRow({ reader }, share, ['r', '2'], share.items), undefined)
})

void t.test('a page goes on for the right and the question that it was given for', async (t) => {
  const bench = await openBench(await hubStore(server))
  const reader = openReader(bench.store.url)
  t.teardown(() => bench.close())
  t.teardown(() => reader.close())
  const { share } = await filled(
    bench,
    ['1', '2', '3'].map((no) => ({ region: 'r', no })),
  )
  const page = (as: typeof share, parameters: Parameters) => readPage({ reader, cursors }, as, readQuery(as, { limit: '1', ...parameters }))
  const { next } = await page(share, {})
  t.ok(next)
  const sealed = Buffer.from(next!, 'base64url')
  t.notOk(sealed.includes('"r"'), 'it tells nothing of the row')
  const forged = sealed.with(0, sealed[0]! ^ 1)
  for (const [name, as, parameters] of [
    ['another grant', { ...share, id: 'other' }, { after: next! }],
    ['another sort', share, { after: next!, sort: 'no' }],
    ['another filter', share, { after: next!, 'no.ge': '0' }],
    ['other items', share, { after: next!, select: 'no' }],
    ['forged', share, { after: Buffer.from(forged).toString('base64url') }],
    ['cut', share, { after: next!.slice(0, -8) }],
    ['none', share, { after: '-1' }],
    ['empty', share, { after: '' }],
  ] as const)
    await t.rejects(page(as, parameters), { code: 'QZ-DATA-CURSOR' }, name)
  t.match(await page(share, { after: next! }), { rows: [['r', '2']] })
})
