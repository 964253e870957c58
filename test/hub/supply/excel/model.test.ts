/**
 * Histories of workbooks, taken by two hubs of which one is killed now and then, against a plain map: a workbook of values of every kind, written
 * by hand, is what the map says; every count of a check is what the map gives; nothing comes twice.
 */
import t, { type Test } from 'tap'
import { blockValues, openBatch, splitBatch } from '../../../../protocol/batch.ts'
import { openPostgresLog } from '../../../../hub/logs/postgres.ts'
import { HubProducer } from '../../../../hub/supply/producer.ts'
import type { CatalogItem } from '../../../../hub/registry/catalog/content.ts'
import { pino } from 'pino'
import { longer } from '../../../support/longer.ts'
import type { City } from '../../city.ts'
import { workbook, type Cell } from '../../../support/workbook.ts'
import { check, depsOf, excelCity, path, runnerOf, secondExcelHub, standing, type ExcelCity } from './fixture.ts'

/** mulberry32 */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const bare = { openness: 'internal' } as const
const items: CatalogItem[] = [
  { ...bare, id: 'code', name: 'code', label: '编码', type: 'text', length: 18, key: true },
  { ...bare, id: 'part', name: 'part', label: '部分', type: 'decimal', precision: 6, scale: 1, key: true },
  { ...bare, id: 'text', name: 'text', label: '文本', type: 'text', length: 300 },
  { ...bare, id: 'number', name: 'number', label: '整数', type: 'integer' },
  { ...bare, id: 'money', name: 'money', label: '金额', type: 'decimal', precision: 38, scale: 10 },
  { ...bare, id: 'yes', name: 'yes', label: '是否', type: 'boolean' },
  { ...bare, id: 'day', name: 'day', label: '日期', type: 'date' },
  { ...bare, id: 'at', name: 'at', label: '时间', type: 'timestamp' },
  { ...bare, id: 'json', name: 'json', label: '附加', type: 'json' },
]

/** Pairs of what a cell says and the value that it means; the first is no value. */
const values: Record<string, [Cell, string | null][]> = {
  text: [
    [null, null],
    ['', null],
    [' ', ' '],
    ['=1+1', '=1+1'],
    ['-1', '-1'],
    ["'; drop table x; --", "'; drop table x; --"],
    ['𠮷野家🍜', '𠮷野家🍜'],
    ['<&"\'>', '<&"\'>'],
    ['_x0041_', '_x0041_'],
    ['行\n\t末 ', '行\n\t末 '],
    ['\u0001\u001f', '\u0001\u001f'],
    ['null', 'null'],
    ['\\N', '\\N'],
    [{ n: '007' }, '7'],
    [{ n: '1.5E-3' }, '0.0015'],
    [{ xml: '<c t="b"><v>1</v></c>' }, 'true'],
    ['\u202eabc\u200b', '\u202eabc\u200b'],
    ['1E5', '1E5'],
  ],
  number: [
    [null, null],
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    [{ n: '12' }, '12'],
    [' +007 ', '7'],
    ['-0', '0'],
  ],
  money: [
    [null, null],
    ['0.1', '0.1'],
    ['0.10', '0.10'],
    [{ n: '19.899999999999999' }, '19.9'],
    ['-1234567890123456789012345678.0123456789', '-1234567890123456789012345678.0123456789'],
    ['.5', '0.5'],
  ],
  yes: [
    [null, null],
    ['是', 'true'],
    ['否', 'false'],
    [{ xml: '<c t="b"><v>0</v></c>' }, 'false'],
    ['Y', 'true'],
    [{ n: '1' }, 'true'],
  ],
  day: [
    [null, null],
    ['2026-11-22', '2026-11-22'],
    ['2026年1月2日', '2026-01-02'],
    ['20260203', '2026-02-03'],
    ['0001-01-01', '0001-01-01'],
    ['9999-12-31', '9999-12-31'],
  ],
  at: [
    [null, null],
    ['2026-03-29 02:30:00', '2026-03-29T02:30:00'],
    ['2026/3/9 2:30', '2026-03-09T02:30:00'],
    ['2026-03-29T02:30:00.120', '2026-03-29T02:30:00.12'],
  ],
  json: [
    [null, null],
    ['{"a": [1, 2.50], "b": null}', '{"a": [1, 2.50], "b": null}'],
    ['"x"', '"x"'],
  ],
}

type Row = Record<string, string | null>

/** One number has one text, as far as this model needs it. */
const plain = (id: string, value: string | null) =>
  value !== null && id === 'money' && value.includes('.') ? value.replace(/0+$/, '').replace(/\.$/, '') : value
const sameRow = (a: Row, b: Row) => Object.keys(a).every((id) => plain(id, a[id]!) === plain(id, b[id]!))
const keyOf = ({ code, part }: Row) => `${code} ${part}`

function generate(pick: (below: number) => number, size: number, pool: number): { cells: Cell[][]; rows: Map<string, Row> } {
  const rows = new Map<string, Row>()
  const cells: Cell[][] = []
  const order = items.map(({ id }) => id).toSorted(() => pick(3) - 1)
  while (rows.size < size) {
    const code = `${['0', 'é', '=', '一', 'Z'][pick(5)]}${pick(pool)}`
    const tenths = pick(3)
    const row: Row = { code, part: `${pick(2)}.${tenths}` }
    const written: Record<string, Cell> = { code, part: tenths === 0 ? `0${row['part']!.split('.')[0]}` : `${row['part']}0` }
    for (const [id, pairs] of Object.entries(values)) [written[id], row[id]] = pairs[pick(pairs.length)]!
    if (rows.has(keyOf(row))) continue
    rows.set(keyOf(row), row)
    cells.push(order.map((id) => written[id]!))
  }
  return { cells: [order, ...cells], rows }
}

let kills = 0

/** A hub that is killed within its next batches: before or behind the log has one. What it was doing is never settled. */
function mortal(test: Pick<Test, 'teardown'>, city: City, dies: { at: number; behind: boolean }) {
  const { store, wakeups, hubKey } = city
  const { reader } = city.services.sharing
  let runner: ReturnType<typeof runnerOf> | undefined
  let left = dies.at
  const exchange: Pick<City['exchange'], 'produce'> = {
    async produce(batch, expected) {
      if (--left > 0) return city.exchange.produce(batch, expected)
      kills++
      if (dies.behind) await city.exchange.produce(batch, expected)
      void runner!.stop()
      throw new Error('killed')
    },
  }
  const parts = { store, log: openPostgresLog(store), wakeups, hubKey, clock: () => city.clock(), logger: pino({ level: 'silent' }) }
  const producer = new HubProducer({ ...parts, exchange, reader })
  runner = runnerOf(test, city, { ...depsOf(city), producer, batchRows: 7 })
  return runner
}

async function history(t: Test, seed: number, { steps, size }: { steps: number; size: number }): Promise<void> {
  const pick = random(seed)
  const first = await excelCity(t, (draft) => {
    draft.items = items
  })
  const hubs: ExcelCity[] = [first, await secondExcelHub(t, first.city)]
  let model = new Map<string, Row>()
  for (let step = 0; step < steps; step++) {
    const hub = hubs[pick(2)]!
    const { cells, rows } = generate(pick, 1 + pick(size), 1 + pick(40))
    const mode = pick(2) ? 'replace' : 'upsert'
    const expected = {
      rows: rows.size,
      created: [...rows.keys()].filter((key) => !model.has(key)).length,
      changed: [...rows].filter(([key, row]) => model.has(key) && !sameRow(row, model.get(key)!)).length,
      standing: model.size,
      absent: [...model.keys()].filter((key) => !rows.has(key)).length,
      rejects: 0,
    }
    const what = `seed ${seed} step ${step} ${mode}`
    const checked = await check(hub, workbook(cells))
    t.match(
      checked.result,
      { ...expected, same: expected.rows - expected.created - expected.changed },
      `${what} ${JSON.stringify(checked)}`,
    )
    const { body } = await hub.registrar.post(`${path}/import`, { check: checked.id, mode, deletes: expected.absent })
    const deaths = pick(4)
    for (let death = 0; death < deaths; death++) await mortal(t, hubs[pick(2)]!.city, { at: 1 + pick(4), behind: pick(2) === 1 }).settle()
    await hubs[pick(2)]!.runner.settle()
    const job = (await hub.registrar.get(`/jobs/${body.id}`)).body
    const deleted = mode === 'replace' ? expected.absent : 0
    t.match(
      job,
      { state: 'done', result: { rows: rows.size, created: expected.created, changed: expected.changed, deleted } },
      `${what} ${JSON.stringify(job)}`,
    )
    model = mode === 'replace' ? new Map() : new Map(model)
    const before = model
    for (const [key, row] of rows) before.set(key, row)
    compare(t, await standing(hub), model, what)
  }
  compare(t, await replay(first.city), model, `seed ${seed}: the stream`)
  t.equal((await first.city.store.query(`select from supply_entry where job is not null and stored and act <> 'row.import'`)).length, 0)
}

function compare(t: Test, found: readonly Row[], model: ReadonlyMap<string, Row>, what: string): void {
  t.equal(found.length, model.size, what)
  const wrong = found.find((row) => !model.has(keyOf(row)) || !sameRow(row, model.get(keyOf(row))!))
  t.equal(wrong, undefined, `${what} ${JSON.stringify(wrong && [wrong, model.get(keyOf(wrong))])}`)
}

/** What receivers would have: each batch in turn, no reader of tables. */
async function replay({ store, hubKey }: City): Promise<Row[]> {
  const rows = new Map<string, Row>()
  for (const { bytes } of await openPostgresLog(store).read('villages', null, 1 << 30)) {
    const batch = openBatch(splitBatch(bytes), () => hubKey.publicKey)
    const columns = batch.manifest.blocks.map(({ item }) => [item, blockValues(batch, item)] as const)
    for (let i = 0; i < batch.manifest.rows; i++) {
      const { $op = 'u', ...row } = Object.fromEntries(columns.map(([item, column]) => [item, column[i]!])) as Row
      if ($op === 'd') rows.delete(keyOf(row))
      else rows.set(keyOf(row), row)
    }
  }
  return [...rows.values()]
}

/** Cells that are no values of their items, and such as need not be looked at. */
const wrong: Record<string, Cell[]> = {
  text: ['x'.repeat(301), '\ufffd', { xml: '<c t="e"><v>#REF!</v></c>' }],
  number: ['1.5', '一', '9223372036854775808', '1e3'],
  money: ['1,000', '0.12345678901', 'x'],
  yes: ['2', '对'],
  day: ['2026-02-30', '26-1-1', '明天'],
  at: ['2026-13-01 00:00:00', '25:00'],
  json: ['{', "{'a': 1}"],
  code: [null, ' ', 'x'.repeat(19)],
  part: [null, '1.55', 'x'],
}

for (const seed of [11, 12])
  void t.test(`faults ${seed}`, async (t) => {
    const pick = random(seed)
    const excel = await excelCity(t, (draft) => {
      draft.items = items
    })
    for (let round = 0; round < 6; round++) {
      const { cells } = generate(pick, 1 + pick(400), 10_000)
      const [order, ...rows] = cells
      const above = pick(4)
      const places = new Set<string>()
      for (let n = pick(60); n > 0; n--) {
        const [row, column] = [pick(rows.length), pick(order!.length)]
        const id = order![column] as string
        rows[row]![column] = wrong[id]![pick(wrong[id]!.length)]!
        places.add(`${String.fromCharCode(65 + column)}${above + 2 + row}`)
      }
      const { result } = await check(excel, workbook([...Array.from({ length: above }, (): Cell[] => ['标题']), order!, ...rows]))
      t.same(new Set(placesOf(result.faults)), places, `seed ${seed} round ${round}`)
      t.equal(result.rejects, places.size)
      const faulty = new Set([...places].map((place) => place.replace(/^[A-Z]+/, '')))
      t.match(result, { rows: rows.length, created: rows.length - faulty.size })
    }
  })

function placesOf(lines: { severity: string; column?: string; rows: string[] }[]): string[] {
  return lines
    .filter(({ severity }) => severity === 'reject')
    .flatMap(({ column, rows }) =>
      rows.flatMap((range) => {
        const [from, to = from] = range.split('-').map(Number) as [number, number?]
        return Array.from({ length: to - from + 1 }, (_, i) => `${column}${from + i}`)
      }),
    )
}

const seeds = longer ? [1, 2, 3] : Array.from({ length: 30 }, (_, i) => i + 1)
for (const seed of seeds) void t.test(`history ${seed}`, (t) => history(t, seed, { steps: 8, size: 60 }))

void t.test('hubs were killed on the way', async (t) => t.ok(kills > 10, String(kills)))
