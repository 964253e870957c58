/**
 * Random batches into two tables, one as blocks, as a route applies them, and one value by value: both end alike, whatever the batches hold and
 * the receiver has around its tables. A failure names its seed: QIANZHI_SEED=<it> begins with that run.
 */
import type { Test } from 'tap'
import type { Applied, Change, Row, SinkTable } from '../../../../agent/database.ts'
import type { Op } from '../../../../protocol/batch.ts'
import { valueFault, type Value } from '../../../../protocol/value.ts'
import { Random, seedOfThisRun } from '../../../faults/random.ts'
import { at, batchOf, openSinks, schemaOf, sinkOf, sortRows, sourceOf, watch, type Filling } from './fixture.ts'
import type { Dialect, TestDatabase } from './suite.ts'

const usual = { runs: 4, batches: 4 }
const long = { runs: 100, batches: 12 }
const keys = 300

const schema = schemaOf([
  { id: 'id', type: 'text', length: 20, key: true, required: true },
  { id: 'part', type: 'integer', key: true, required: true },
  { id: 'name', type: 'text', length: 8 },
  { id: 'code', type: 'text', length: 20 },
  { id: 'amount', type: 'decimal', precision: 8, scale: 2 },
  { id: 'yes', type: 'boolean' },
  { id: 'day', type: 'date' },
  { id: 'at', type: 'timestamp' },
  { id: 'utc', type: 'timestamptz' },
  { id: 'time', type: 'time' },
])

/** Of each type some that fit and, behind them, some that do not. */
const values: Record<string, readonly string[]> = {
  text: ['a', '汉字\\', 'tab\there', 'line\nfeed', '\r', '"quoted"', '\\N', '\u0001', '123456789'],
  integer: ['0', '-5', '9223372036854775807', '9223372036854775808', 'x'],
  decimal: ['0', '-12.50', '123456.78', '1234567', '1.234'],
  boolean: ['true', 'false', 'maybe'],
  date: ['2026-02-28', '2024-02-29', '2026-02-30', 'now'],
  timestamp: ['2026-11-30T08:30:00', '2026-11-30T08:30:00.123456', '2026-11-30T25:00:00'],
  timestamptz: ['2026-11-30T08:30:00Z', '2026-11-30T08:30:00.5Z', '2026-11-30T08:30:00'],
  time: ['08:30:00', '23:59:59.999999', '24:00:00'],
}

export function blocksConformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>): void {
  for (const key of [['id'], ['id', 'part']])
    t.test(`changed rows are taken as blocks as they are by value, or not at all: by ${key.join(' and ')}`, async (t) => {
      const of = (id: string) => ({ ...schema.items.find((item) => item.id === id)!, key: key.includes(id) })
      const read = schemaOf([...key, 'name', 'code', 'amount', 'yes', 'day', 'at', 'utc', 'time'].map(of))
      const { test, capture, source } = await watch(t, engine, freshDatabase, sourceOf(read))
      const random = new Random(seedOfThisRun())
      const shows = `seed ${random.seed}`
      let ofBlocks = 0
      for (let turn = 0, seq = 1; turn < 8; turn++) {
        const change = randomChange(random, { columns: source.columns }, 2, 0, turn === 0 ? [150] : undefined)
        const all = change.columns[0]!.map((_, row) => change.columns.map((column) => column[row]!))
        const rows = [...new Map(all.map((row) => [row[0], row])).values()]
        const literals = ([id, ...values]: Row) =>
          [id!, ...values].map((value, i) => (value === null ? 'null' : engine.literal(read.items[i]!.type, value))).join(', ')
        await test.query(`delete from licence where id in (${rows.map(([id]) => engine.literal('text', id!)).join(', ')})`)
        for (const row of turn % 4 === 3 ? rows.slice(1) : rows) await test.query(`insert into licence values (${literals(row)})`)
        const { keys } = await capture.take(source, 10_000, new Set())
        const found = await capture.rowsByKeys(source, keys)
        const blocks = await capture.takeBlocks?.(source, 10_000, new Set())
        if (blocks) {
          ofBlocks++
          const values = blocks.columns.map((json) => JSON.parse(json.toString()) as Value[])
          t.same(sortRows(values[0]!.map((_, row) => values.map((column) => column[row]!))), sortRows(found.rows), shows)
          t.same([found.missing, found.faults, blocks.rows], [[], [], found.rows.length], shows)
          t.ok(
            blocks.columns.every((json, i) => json.toString() === JSON.stringify(values[i])),
            `${shows}: written as JSON.stringify does`,
          )
        }
        const few = await capture.takeBlocks?.(source, 40, new Set())
        t.ok(!few || few.keys <= 80, `${shows}: no more than about what is asked for`)
        const { entries } = blocks ?? (await capture.take(source, 10_000, new Set()))
        await capture.record(source, { from: at(seq), to: at(++seq), entries, faults: [], sent: [] })
        t.same((await capture.take(source, 10, new Set())).entries, [], `${shows}: all was taken`)
      }
      t.equal(ofBlocks > 0, engine.readsBlocks ?? false, `${ofBlocks} of 8 were blocks`)
    })

  t.test('a batch goes in from its blocks as it does value by value', async (t) => {
    const { runs, batches } = process.env['QIANZHI_TEST_LONG'] ? long : usual
    const began = seedOfThisRun()
    let ofBlocks = 0
    for (let seed = began; seed < began + runs; seed++) {
      const random = new Random(seed)
      const sinks = (['by_blocks', 'by_values'] as const).map((table) => sinkOf(schema, { route: table, table }))
      const settings: Partial<SinkTable> = {
        deletes: random.pick(['remove', 'mark']),
        takeOver: random.chance(0.3),
        shared: random.chance(0.2),
      }
      for (const sink of sinks) Object.assign(sink, settings)
      const filling = await openSinks(t, engine, freshDatabase, sinks)
      for (const sink of sinks) await filling.delivery.open(sink)
      const around = new Around(engine, filling, random)
      for (let seq = 1; seq <= batches; seq++) {
        const change = randomChange(random, sinks[0]!, seq)
        const applied = await Promise.all(
          sinks.map(async (sink, i): Promise<Applied> => {
            const { delivery } = filling
            const blocks = i === 0 ? delivery.prepareBlocks?.(sink, 'live', { batch: batchOf(sink, change), change }) : undefined
            if (blocks) ofBlocks++
            return delivery.apply(sink, 'live', blocks ?? delivery.prepare(sink, change))
          }),
        )
        const shows = `seed ${seed}, batch ${seq}, ${JSON.stringify(settings)}, ${around.shows}`
        t.same(applied[0], applied[1], `${shows}: counts`)
        t.same(await rows(engine, filling, sinks[0]!), await rows(engine, filling, sinks[1]!), shows)
        t.same(await aside(filling, 'by_blocks'), await aside(filling, 'by_values'), `${shows}: quarantine`)
        await around.change()
      }
    }
    t.equal(ofBlocks > 0, engine.takesBlocks ?? false, `${ofBlocks} batches from their blocks, from seed ${began}`)
  })
}

function randomChange(random: Random, { columns }: Pick<SinkTable, 'columns'>, seq: number, oddity = 0.3, counts = [3, 60, 150]): Change {
  const count = random.pick(counts)
  const odd = random.chance(oddity)
  const twice = random.chance(0.1)
  const ids = Array.from({ length: keys }, (_, i) => i)
  const chosen = Array.from({ length: count }, () => (twice ? random.pick(ids) : ids.splice(random.between(0, ids.length - 1), 1)[0]!))
  const ops = random.chance(0.4) ? chosen.map((): Op => random.pick(odd ? ['u', 'u', 'd', 'c:QZ-ROW-VALUE'] : ['u', 'u', 'd'])) : undefined
  return {
    from: seq === 1 ? null : at(seq - 1),
    to: at(seq),
    rows: count,
    columns: columns.map(({ item }) =>
      chosen.map((number, row): Value => {
        if (item.id === 'id') return `k${number}`
        if (item.id === 'part') return String(number % 3)
        if (item.id === 'code') return `c${number}`
        if (random.chance(0.1) || (ops && ops[row] !== 'u')) return null
        const all = values[item.type]!
        return random.pick(odd && random.chance(0.05) ? all : all.filter((value) => valueFault(item, value) === undefined))
      }),
    ),
    ...(ops && { ops }),
  }
}

/** What the receiver does to both of its tables between two batches. */
class Around {
  shows = 'nothing around'
  readonly #engine: Dialect
  readonly #filling: Filling
  readonly #random: Random
  /** The first one as often as all others. */
  readonly #left = ['rows', 'unique', 'trigger', 'column']

  constructor(engine: Dialect, filling: Filling, random: Random) {
    this.#engine = engine
    this.#filling = filling
    this.#random = random
  }

  async change(): Promise<void> {
    if (this.#left.length === 0 || !this.#random.chance(0.6)) return
    const [what] = this.#left.splice(this.#random.chance(0.5) ? 0 : this.#random.between(0, this.#left.length - 1), 1)
    this.shows += `, ${what}`
    for (const table of ['by_blocks', 'by_values'] as const)
      for (const statement of this.#statements(what!, table)) await this.#filling.test.query(statement)
  }

  #statements(what: string, table: string): string[] {
    const engine = this.#engine
    if (what === 'unique')
      return [engine.addUnique?.(table, 'code', `${table}_code`) ?? `alter table ${table} add constraint ${table}_code unique (code)`]
    // It refuses nothing that is sent: it only stands there.
    if (what === 'trigger') return table === 'by_blocks' ? engine.refusingTrigger(table) : []
    if (what === 'column') return [`alter table ${table} add remark varchar(20)`]
    const others = Array.from({ length: 10 }, (_, number) => `('k${number}', ${number % 3}, 'ours', 'other')`)
    return [
      `delete from ${table} where id in (${others.map((_, number) => `'k${number}'`).join(', ')})`,
      `insert into ${table} (id, part, name, qz_source) values ${others.join(', ')}`,
    ]
  }
}

/** All columns but the time. */
async function rows(engine: Dialect, { test }: Filling, { table, columns, deletes }: SinkTable): Promise<(string | null)[][]> {
  const shown = columns.map(({ item, column }) => (engine.shown ? engine.shown(engine.quote(column), item.type) : engine.quote(column)))
  const added = ['qz_source', 'qz_position', ...(deletes === 'mark' ? ['qz_deleted'] : [])]
  return test.query(
    `select ${[...shown, ...added].join(', ')} from ${table} where qz_received_at is not null or qz_position is null order by id, part, qz_source`,
  )
}

async function aside({ database }: Filling, route: string): Promise<object[]> {
  const listed = await database.quarantine(route, 1000)
  return listed
    .map(({ key, code, item, reason }) => ({ key, code, item, reason }))
    .toSorted((a, b) => String(a.key).localeCompare(String(b.key)))
}
