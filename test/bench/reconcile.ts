/**
 * What a reconciliation costs beside what it reads: two equal tables, one on each side, are summed up by the agents' own code, against
 * reading both once and doing nothing with the rows. PostgreSQL, one process, by turns.
 */
import { openPostgres } from '../../agent/databases/postgres/engine.ts'
import type { Database, SourceTable } from '../../agent/database.ts'
import type { ReconciledTable } from '../../agent/reconciliation/table.ts'
import { digestTable } from '../../agent/reconciliation/reading.ts'
import { RowHasher } from '../../protocol/digest.ts'
import type { Item, Schema } from '../../protocol/schema.ts'
import { openClient } from '../support/client.ts'
import { startPostgres } from '../support/postgres.ts'
import type { BenchOptions } from './main.ts'

const item = (id: string, more: Partial<Item> = {}): Item => ({
  id,
  name: id,
  label: id,
  type: 'text',
  length: 100,
  openness: 'internal',
  ...more,
})
const items: Item[] = [
  item('code', { key: true, length: 20 }),
  item('name'),
  item('street'),
  item('kind'),
  { ...item('amount', { type: 'decimal', precision: 12, scale: 2 }), length: undefined as never },
  { ...item('changed', { type: 'timestamp' }), length: undefined as never },
]
const schema: Schema = { resource: 'bench', version: 1, title: 'bench', agency: 'bench', table: 'bench', items }
const rounds = 3

export async function run({ rows, note }: BenchOptions): Promise<Record<string, number>> {
  const server = await startPostgres({ settings: { shared_buffers: '512MB', max_wal_size: '4GB' } })
  try {
    const sides = [await side(server, 'source', 'numeric', rows), await side(server, 'target', 'numeric(12,2)', rows)]
    const times = { read: [] as number[], compare: [] as number[] }
    let equal = true
    for (let round = 0; round < rounds; round++) {
      times.read.push(await timed(async () => void (await Promise.all(sides.map(read)))))
      times.compare.push(
        await timed(async () => {
          const [a, b] = (await Promise.all(sides.map(sum))).map(({ digest }) => digest.total())
          equal &&= a!.rows === rows && a!.rows === b!.rows && a!.digest === b!.digest
        }),
      )
      note(`read ${times.read.at(-1)!.toFixed(2)} s, compared ${times.compare.at(-1)!.toFixed(2)} s`)
    }
    if (!equal) throw new Error('two equal tables have different sums')
    const [readSeconds, compareSeconds] = [middle(times.read), middle(times.compare)]
    return {
      reconcileRows: rows,
      reconcileReadSeconds: round2(readSeconds),
      reconcileSeconds: round2(compareSeconds),
      reconcileRatio: round2(compareSeconds / readSeconds),
      reconcileRowsPerSecond: Math.round((2 * rows) / compareSeconds),
    }
  } finally {
    await server.stop()
  }
}

interface Side {
  database: Database
  table: ReconciledTable
}

async function side(
  server: Awaited<ReturnType<typeof startPostgres>>,
  name: 'source' | 'target',
  amount: string,
  rows: number,
): Promise<Side> {
  const url = await server.createDatabase()
  const client = await openClient(url)
  await client.query(
    `create table bench (code varchar(20) primary key, name varchar(100), street varchar(100), kind varchar(100), amount ${amount}, changed timestamp)`,
  )
  await client.query(`insert into bench select lpad(n::text, 12, '0'), '东华门街道多福巷社区居民委员会' || n, '东华门街道', '121', n % 1000, timestamp '2026-01-01' + n * interval '1 second'
    from generate_series(1, ${rows}) n order by ${name === 'source' ? 'n' : 'n desc'}`)
  await client.query('vacuum analyze bench')
  await client.end()
  const source: SourceTable = {
    resource: 'bench',
    table: 'bench',
    capture: 'compare',
    schema,
    columns: items.map((one) => ({ item: one, column: one.name })),
    zeroDates: 'refuse',
    valueLimit: 1 << 20,
    queueLimit: 0,
  }
  const database = await openPostgres({ name, url, pace: 50 })
  return { database, table: { side: name, database: name, table: source, items, whole: source, places: items.map((_, i) => i) } }
}

async function read({ database, table }: Side): Promise<void> {
  const reading = await database.openReading()
  let { last } = await reading.rowsAfter(table.table, null, 10_000)
  while (last) ({ last } = await reading.rowsAfter(table.table, last, 10_000))
  await reading.close()
}

function sum({ database, table }: Side) {
  const hasher = new RowHasher(items, '00112233445566778899aabbccddeeff')
  return digestTable({
    database,
    table,
    hasher,
    pace: undefined,
    check: () => {},
    progress: () => {},
    signal: new AbortController().signal,
    chance: 0,
  })
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
const round2 = (figure: number): number => Number(figure.toFixed(2))
