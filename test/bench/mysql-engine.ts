/** What the MySQL engine costs: `node test/bench/mysql-engine.ts`. Reads, applies, the triggers, and an idle agent with fifty tables. */
import { createConnection } from 'mysql2/promise'
import { openMysql } from '../../agent/databases/mysql/engine.ts'
import type { Row } from '../../agent/database.ts'
import { findMariadb } from '../support/mariadb.ts'
import { at, schemaOf, sinkOf, sourceOf } from '../agent/databases/conformance/fixture.ts'

const server = await findMariadb()
if (!server) throw new Error('no MariaDB server is reachable')
const url = await server.createDatabase()
const database = await openMysql({ name: 'bench', url, pace: 50 })
const application = await createConnection(url)

const schema = schemaOf([
  { id: 'id', type: 'text', length: 40, key: true, required: true },
  { id: 'name', type: 'text', length: 200 },
  { id: 'address', type: 'text', length: 200 },
  { id: 'person', type: 'text', length: 50 },
  { id: 'kind', type: 'integer' },
  { id: 'amount', type: 'decimal', precision: 12, scale: 2 },
  { id: 'valid', type: 'boolean' },
  { id: 'issued', type: 'date' },
  { id: 'changed', type: 'timestamp' },
  { id: 'note', type: 'text', length: 200 },
])
const source = sourceOf(schema)
const count = 200_000

async function measured(name: string, rows: number, work: () => Promise<unknown>): Promise<void> {
  const [started, before] = [performance.now(), process.cpuUsage()]
  await work()
  const [elapsed, cpu] = [performance.now() - started, process.cpuUsage(before)]
  const [rate, micros] = [Math.round((rows / elapsed) * 1000), ((cpu.user + cpu.system) / rows).toFixed(2)]
  console.log(`${name}: ${rate} rows/s, Node ${micros} µs/row`)
}

function fill(from: number, to: number): string {
  return `insert into licence select concat('JY1', seq), concat('东莞市某某餐饮管理有限公司', seq), '东莞市南城街道鸿福路99号', '张三', seq % 9, seq / 100,
    seq % 2, '2024-02-29', '2026-11-22 08:30:00.123456', '备注' from seq_${from}_to_${to}`
}

/** Transactions of a thousand rows. */
async function insert(from: number, rows: number): Promise<void> {
  for (let at = from; at < from + rows; at += 1000) await application.query(fill(at, at + 999))
}

await database.run(await database.supplyTable(source))
await insert(1_000_000, 20_000)
await measured('insert without trigger', 40_000, () => insert(2_000_000, 40_000))
await database.run(await database.setupScript(source))
await insert(3_000_000, 20_000)
await measured('insert with trigger', 40_000, () => insert(4_000_000, 40_000))
await application.query('truncate licence')
await insert(1, count)

const capture = await database.openCapture([source])
await capture.record(source, { from: null, to: at(1), entries: [], snapshot: null, faults: [], sent: [] })
await capture.collapse(source)
const all: Row[] = []
await measured('rowsAfter, 10,000 at a time', count, async () => {
  for (let after: Row | null = null; ;) {
    const read: Awaited<ReturnType<typeof capture.rowsAfter>> = await capture.rowsAfter(source, after, 10_000)
    all.push(...read.rows)
    if (!read.last) return
    after = read.last
  }
})
await measured('rowsByKeys, 5,000 at a time', count, async () => {
  for (let i = 0; i < count; i += 5000)
    await capture.rowsByKeys(
      source,
      all.slice(i, i + 5000).map((row) => [row[0]!]),
    )
})
await application.query('update licence set kind = kind + 1 limit 100000')
let seq = 1
await measured('take and record, 5,000 at a time', 100_000, async () => {
  for (;;) {
    const { entries } = await capture.take(source, 5000, new Set())
    if (entries.length === 0) return
    await capture.record(source, { from: at(seq), to: at(++seq), entries, faults: [], sent: [] })
  }
})

const delivery = await database.openDelivery([])
const sink = sinkOf(schema)
await delivery.open(sink)
const batches = Array.from({ length: count / 5000 }, (_, b) => {
  const rows = all.slice(b * 5000, (b + 1) * 5000)
  return schema.items.map((_, i) => rows.map((row) => row[i]!))
})
let place = 0
for (const name of ['apply new', 'apply existing']) {
  await measured(`${name}, 5,000 at a time`, count, async () => {
    for (const columns of batches) {
      const from = place ? at(place) : null
      await delivery.apply(sink, 'live', delivery.prepare(sink, { from, to: at(++place), rows: 5000, columns }))
    }
  })
}

const latencies: number[] = []
for (let i = 0; i < 200; i++) {
  const columns = batches[0]!.map((values) => [values[i]!])
  const started = performance.now()
  await delivery.apply(sink, 'live', delivery.prepare(sink, { from: at(place), to: at(++place), rows: 1, columns }))
  latencies.push(performance.now() - started)
}
latencies.sort((a, b) => a - b)
console.log(`apply of one row: p50 ${latencies[100]!.toFixed(1)} ms, p99 ${latencies[198]!.toFixed(1)} ms`)
await capture.close()

const fifty = Array.from({ length: 50 }, (_, i) =>
  sourceOf({ ...schema, resource: `bench.t${i}` }, { resource: `bench.t${i}`, table: `t${i}` }),
)
for (const one of fifty) {
  await database.run(await database.supplyTable(one))
  await database.run(await database.setupScript(one))
}
const idle = await database.openCapture(fifty)
await idle.waiting()
const [cpu, started] = [process.cpuUsage(), performance.now()]
while (performance.now() - started < 10_000) {
  await idle.waiting()
  await idle.idle(false, new AbortController().signal)
}
const used = process.cpuUsage(cpu)
console.log(`idle with 50 tables: ${((used.user + used.system) / 1000 / 100).toFixed(2)} % CPU`)
await idle.close()
await delivery.close()
await application.end()
await server.dropDatabase(url)
