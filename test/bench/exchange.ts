/**
 * Qianzhi end to end (PostgreSQL to PostgreSQL, through the hub) beside PostgreSQL's logical replication and one COPY-and-upsert pipe:
 * the same rows, fresh tables, durable settings, one run. Read the ratios.
 */
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { logSettings, startPostgres, type TestDatabaseServer } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { copyAndUpsert } from './copy-upsert.ts'
import { latencies } from './latency.ts'
import { insertLicences, licenceColumns, licencesResource, licenceTable } from './licences.ts'
import type { BenchOptions } from './main.ts'
import { perRow, postmasterOf, processorSeconds, showPerRow } from './processor.ts'

const transaction = 1_000

export async function run({ rows, relay, capture, note }: BenchOptions): Promise<Record<string, number>> {
  const settings = { ...logSettings, shared_buffers: '256MB', max_wal_size: '4GB' }
  const [a, b, store] = await Promise.all([startPostgres({ settings }), startPostgres({ settings }), startPostgres({ settings })])
  try {
    const logical = await logicalReplication(a, b, rows, note)
    const copy = await copyUpsert(a, b, rows, note)
    const overhead = await triggerCost(a, note)
    const line = await qianzhi([a, b, store], { rows, relay, capture, note })
    const ratio = (figure: number, to: number) => Number((figure / to).toFixed(2))
    return {
      rows,
      ...line.figures,
      ...overhead,
      logicalReplicationRowsPerSecond: logical.captured,
      logicalReplicationFirstLoadRowsPerSecond: logical.firstLoad,
      copyUpsertRowsPerSecond: copy,
      ratioToLogicalReplication: ratio(line.figures.capturedRowsPerSecond, logical.captured),
      ...processorRatios(line, logical.spent),
      ...usPerRow('', line.spent),
      ...usPerRow('LogicalReplication', logical.spent),
      firstLoadRatioToLogicalReplication: ratio(line.figures.firstLoadRowsPerSecond, logical.captured),
      ...(await mariadbLatency(note)),
    }
  } finally {
    await Promise.all([a.stop(), b.stop(), store.stop()])
  }
}

async function rowsPerSecond(rows: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return Math.round(rows / ((performance.now() - started) / 1000))
}

/** Waits for the last row by its key, which costs the server next to nothing, then counts. */
async function holds(client: Client, table: string, rows: number): Promise<void> {
  await until(
    `the last row is in ${table}`,
    async () => (await client.query(`select 1 from ${table} where id = ${rows}`)).length === 1,
    600,
  )
  await until(`${table} holds ${rows} rows`, async () => Number((await client.query(`select count(*) from ${table}`))[0]![0]) === rows, 60)
}

/** Inserts in transactions of 1,000 rows as fast as one connection can. */
async function insertAll(client: Client, table: string, from: number, to: number): Promise<void> {
  for (let at = from; at <= to; at += transaction) await client.query(insertLicences(table, at, Math.min(to, at + transaction - 1)))
}

async function logicalReplication(a: TestDatabaseServer, b: TestDatabaseServer, rows: number, note: BenchOptions['note']) {
  const [source, target] = [await openClient(await a.createDatabase('logical')), await openClient(await b.createDatabase('logical'))]
  for (const client of [source, target]) await client.query(`create table licences ${licenceTable}`)
  await source.query(insertLicences('licences', 1, rows))
  await source.query('create publication everything for all tables')
  const connection = `host=127.0.0.1 port=${a.port} user=postgres dbname=logical`
  const firstLoad = await rowsPerSecond(rows, async () => {
    await target.query(`create subscription everything connection '${connection}' publication everything`)
    await holds(target, 'licences', rows)
  })
  const meter = new Meter({ source: postmasterOf(a.dataDir), target: postmasterOf(b.dataDir) }, rows, (line) =>
    note(`logical replication: ${line}`),
  )
  const flows = await flow(meter, [source, target], ['licences', 'licences'], rows)
  const captured = flows['inserts']!
  await target.query('drop subscription everything')
  await Promise.all([source.end(), target.end()])
  note(`logical replication: first load ${firstLoad} rows/s`)
  return { firstLoad, captured, spent: meter.spent }
}

/** µs of processor per row of each kind of flow, by program and server. */
class Meter {
  readonly spent: Record<string, Record<string, number>> = {}
  readonly #roots: Record<string, number>
  readonly #rows: number
  readonly #note: (line: string) => void

  constructor(roots: Record<string, number>, rows: number, note: (line: string) => void) {
    this.#roots = roots
    this.#rows = rows
    this.#note = note
  }

  async measure(kind: string, work: () => Promise<unknown>): Promise<number> {
    const before = processorSeconds(this.#roots)
    const speed = await rowsPerSecond(this.#rows, work)
    this.spent[kind] = perRow(before, processorSeconds(this.#roots), this.#rows)
    this.#note(`${kind} ${speed} rows/s; µs of processor per row: ${showPerRow(this.spent[kind])}`)
    return speed
  }
}

/** Rows as many as are there inserted in transactions of 1,000, then updated, then deleted. */
async function flow(
  meter: Meter,
  [source, target]: [Client, Client],
  [table, delivered]: [string, string],
  rows: number,
): Promise<Record<string, number>> {
  const speeds: Record<string, number> = {}
  speeds['inserts'] = await meter.measure('inserts', async () => {
    await insertAll(source, table, rows + 1, rows * 2)
    await holds(target, delivered, rows * 2)
  })
  const parts = Array.from(
    { length: Math.ceil(rows / transaction) },
    (_, i) => `id > ${rows + i * transaction} and id <= ${rows + (i + 1) * transaction}`,
  )
  speeds['updates'] = await meter.measure('updates', async () => {
    for (const part of parts) await source.query(`update ${table} set person = 'changed' where ${part}`)
    await until(
      'all updates are there',
      async () => (await target.query(`select 1 from ${delivered} where id = ${rows * 2} and person = 'changed'`)).length === 1,
      600,
    )
    await until(
      'all updates are there',
      async () => Number((await target.query(`select count(*) from ${delivered} where person = 'changed'`))[0]![0]) === rows,
      600,
    )
  })
  speeds['deletes'] = await meter.measure('deletes', async () => {
    for (const part of parts) await source.query(`delete from ${table} where ${part}`)
    await until(
      'all deletes are there',
      async () => Number((await target.query(`select count(*) from ${delivered} where id > ${rows}`))[0]![0]) === 0,
      600,
    )
  })
  return speeds
}

/** As figures: `usPerRowOfInsertsProvider`, `usPerRowOfInsertsLogicalReplicationSum` … */
function usPerRow(whose: string, spent: Meter['spent']): Record<string, number> {
  const upper = (name: string) => name[0]!.toUpperCase() + name.slice(1)
  const figures = Object.entries(spent).flatMap(([kind, parts]) =>
    Object.entries(parts).map(([name, figure]) => [`usPerRowOf${upper(kind)}${whose}${upper(name)}`, Number(figure.toFixed(2))] as const),
  )
  return Object.fromEntries(figures)
}

/** Processor time of logical replication for that of Qianzhi, by kind of flow: 1 is as cheap. */
function processorRatios(line: { spent: Meter['spent'] }, logical: Meter['spent']): Record<string, number> {
  const ratio = (kind: string, name: string) => ({ [name]: Number((logical[kind]!['sum']! / line.spent[kind]!['sum']!).toFixed(2)) })
  return {
    ...ratio('inserts', 'processorRatioToLogicalReplication'),
    ...ratio('updates', 'processorRatioOfUpdates'),
    ...ratio('deletes', 'processorRatioOfDeletes'),
  }
}

async function copyUpsert(a: TestDatabaseServer, b: TestDatabaseServer, rows: number, note: BenchOptions['note']): Promise<number> {
  const [sourceUrl, targetUrl] = [await a.createDatabase('copy'), await b.createDatabase('copy')]
  const [source, target] = [await openClient(sourceUrl), await openClient(targetUrl)]
  for (const client of [source, target]) await client.query(`create table licences ${licenceTable}`)
  await source.query(insertLicences('licences', 1, rows))
  const figure = await rowsPerSecond(rows, () => copyAndUpsert(sourceUrl, targetUrl, 'licences', licenceColumns))
  await Promise.all([source.end(), target.end()])
  note(`COPY into a stage and upsert: ${figure} rows/s`)
  return figure
}

/** Insert time with capture against without: one writer in transactions of 1,000, and sixteen writers of single rows. */
async function triggerCost(a: TestDatabaseServer, note: BenchOptions['note']): Promise<Record<string, number>> {
  const { installCapture } = await import('./trigger-cost.ts')
  const times: Record<string, number> = {}
  for (const captured of [false, true, false, true]) {
    const url = await a.createDatabase(
      `cost_${Object.keys(times).length}_${captured}_${times['bulk_true'] ? 2 : 1}${times['bulk_false'] ? 2 : 1}`,
    )
    const client = await openClient(url)
    await client.query(`create table licences ${licenceTable}`)
    if (captured) await installCapture(url)
    const bulk = await elapsed(() => insertAll(client, 'licences', 1, 200_000))
    const single = await elapsed(() => sixteenWriters(url))
    times[`bulk_${captured}`] = Math.min(times[`bulk_${captured}`] ?? Infinity, bulk)
    times[`single_${captured}`] = Math.min(times[`single_${captured}`] ?? Infinity, single)
    await client.end()
  }
  const sourceTriggerOverhead = Number((times['bulk_true']! / times['bulk_false']!).toFixed(2))
  const sourceTriggerOverhead16Writers = Number((times['single_true']! / times['single_false']!).toFixed(2))
  note(`capture's cost: inserts of 1,000 ${sourceTriggerOverhead} ×, sixteen writers of single rows ${sourceTriggerOverhead16Writers} ×`)
  return { sourceTriggerOverhead, sourceTriggerOverhead16Writers }
}

async function sixteenWriters(url: string): Promise<void> {
  const writers = await Promise.all(Array.from({ length: 16 }, () => openClient(url)))
  await Promise.all(
    writers.map(async (client, i) => {
      for (let n = 0; n < 1_000; n++) await client.query(insertLicences('licences', 1_000_000 + i * 1000 + n, 1_000_000 + i * 1000 + n))
    }),
  )
  await Promise.all(writers.map((client) => client.end()))
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

async function qianzhi(
  [a, b, store]: [TestDatabaseServer, TestDatabaseServer, TestDatabaseServer],
  { rows, relay, capture, note }: Omit<BenchOptions, 'minutes'>,
) {
  const [sourceUrl, targetUrl] = [await a.createDatabase('qianzhi'), await b.createDatabase('qianzhi')]
  const [source, target] = [await openClient(sourceUrl), await openClient(targetUrl)]
  await source.query(`create table licences ${licenceTable}`)
  await source.query(insertLicences('licences', 1, rows))
  const exchange = await Exchange.start({ hub: { store: await store.createDatabase('hub') } })
  try {
    const [provider, receiver] = await connect(exchange, sourceUrl, targetUrl, { relay, capture })
    const firstLoadRowsPerSecond = await rowsPerSecond(rows, async () => {
      receiver.program.start()
      provider.program.start()
      await holds(target, 'delivered.licences', rows)
    })
    note(`Qianzhi: first load ${firstLoadRowsPerSecond} rows/s`)
    const servers = { source: postmasterOf(a.dataDir), store: postmasterOf(store.dataDir), target: postmasterOf(b.dataDir) }
    const programs = { provider: provider.program.pid!, hub: exchange.hub.pid!, receiver: receiver.program.pid! }
    const meter = new Meter({ ...servers, ...programs }, rows, (line) => note(`Qianzhi: ${line}`))
    const flows = await flow(meter, [source, target], ['licences', 'delivered.licences'], rows)
    const latency = await latencies(source, target, {
      from: 10_000_000,
      count: 400,
      insert: (id) => insertLicences('licences', id, id),
      table: 'delivered.licences',
    })
    note(`Qianzhi: one row from commit to visible: p50 ${latency.p50} ms, p99 ${latency.p99} ms`)
    const figures = {
      firstLoadRowsPerSecond,
      capturedRowsPerSecond: flows['inserts']!,
      capturedUpdatesRowsPerSecond: flows['updates']!,
      capturedDeletesRowsPerSecond: flows['deletes']!,
      latencyMsP50: latency.p50,
      latencyMsP99: latency.p99,
      agentRssMb: round(provider.program.peakMemoryMb),
      receiverRssMb: round(receiver.program.peakMemoryMb),
      hubRssMb: round(exchange.hub.peakMemoryMb),
    }
    return { figures, spent: meter.spent }
  } finally {
    await exchange.stop()
    await Promise.all([source.end(), target.end()])
  }
}

async function connect(
  exchange: Exchange,
  sourceUrl: string,
  targetUrl: string,
  { relay, capture }: Pick<BenchOptions, 'relay' | 'capture'>,
): Promise<[TestAgent, TestAgent]> {
  // Half of the table is deleted here, and that is meant.
  const sources = [{ resource: 'licences', database: 'front', table: 'licences', guard: false, capture }]
  const provider = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url: sourceUrl } }, sources })
  await exchange.publish(licencesResource(), ...(relay ? ['--keep', 'relay'] : []))
  await provider.command('setup')
  const sinks = [{ resource: 'licences', database: 'front' }]
  const receiver = await exchange.enrol('receiver', { agency: 'receiver', databases: { front: { url: targetUrl } }, sinks })
  await exchange.grant('licences', receiver, [...licenceColumns])
  return [provider, receiver]
}

function round(figure: number | undefined): number {
  return Math.round(figure ?? Number.NaN)
}

/** From a MariaDB table, where one is reachable. */
async function mariadbLatency(note: BenchOptions['note']): Promise<Record<string, number>> {
  const mariadb = await findMariadb()
  if (!mariadb) {
    note('no MariaDB: its latency was not measured')
    return {}
  }
  const { measureMariadb } = await import('./mariadb-latency.ts')
  const { p50, p99 } = await measureMariadb(mariadb)
  note(`Qianzhi from MariaDB: p50 ${p50} ms, p99 ${p99} ms`)
  return { mariadbLatencyMsP50: p50, mariadbLatencyMsP99: p99 }
}
