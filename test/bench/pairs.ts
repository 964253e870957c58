/**
 * Every pair of engines through the hub, beside the target engine's own bulk loader (COPY, LOAD DATA LOCAL) which gets the same rows as
 * text from memory: first load in rows a second, and one row from its commit until it is visible. SQL Server and Oracle are no part of
 * it: their servers cannot be started here.
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { latencies } from './latency.ts'
import {
  insertIntoMariadb,
  insertLicences,
  licenceColumns,
  licenceLines,
  licencesResource,
  licenceTable,
  licenceTableOnMariadb,
} from './licences.ts'
import type { BenchOptions } from './main.ts'

interface Engine {
  name: string
  createDatabase(): Promise<string>
  table: string
  delivered: string
  insert: (table: string, from: number, to: number) => string
  /** The engine's own way of taking many rows. */
  bulkLoad(url: string, table: string, text: string): Promise<void>
}

const maxRows = 200_000

export async function measurePairs({ rows, note }: BenchOptions): Promise<Record<string, number>> {
  const [postgres, mariadb] = [await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } }), await findMariadb()]
  const made: string[] = []
  const engines: Engine[] = [
    {
      name: 'postgres',
      createDatabase: () => postgres.createDatabase(),
      table: licenceTable,
      delivered: 'delivered.licences',
      insert: insertLicences,
      bulkLoad: copyInto,
    },
  ]
  if (mariadb) {
    const createDatabase = async () => {
      const url = await mariadb.createDatabase()
      made.push(url)
      return url
    }
    const [table, insert] = [licenceTableOnMariadb, insertIntoMariadb]
    engines.push({ name: 'mariadb', createDatabase, table, delivered: 'licences', insert, bulkLoad: loadDataInto })
  } else note('no MariaDB: its pairs were not measured')
  try {
    const count = Math.min(rows, maxRows)
    const figures: Record<string, number> = { pairRows: count }
    for (const source of engines) {
      for (const target of engines) Object.assign(figures, await measurePair(source, target, count, note))
    }
    return figures
  } finally {
    await postgres.stop()
    for (const url of made) await mariadb!.dropDatabase(url)
  }
}

async function measurePair(source: Engine, target: Engine, rows: number, note: BenchOptions['note']): Promise<Record<string, number>> {
  const [sourceUrl, targetUrl] = [await source.createDatabase(), await target.createDatabase()]
  const [from, to] = [await openClient(sourceUrl), await openClient(targetUrl)]
  const exchange = await Exchange.start()
  try {
    await from.query(`create table licences ${source.table}`)
    await from.query(source.insert('licences', 1, rows))
    await to.query(`create table bulk ${target.table}`)
    const text = licenceLines(1, rows)
    const bulk = await perSecond(rows, () => target.bulkLoad(targetUrl, 'bulk', text))
    await connect(exchange, sourceUrl, targetUrl)
    const line = await perSecond(rows, async () => {
      for (const agent of exchange.agents.values()) agent.program.start()
      await until(
        'the last row is there',
        async () => (await to.query(`select 1 from ${target.delivered} where id = ${rows}`).catch(() => [])).length === 1,
        600,
      )
    })
    const insert = (id: number) => source.insert('licences', id, id)
    const { p50, p99 } = await latencies(from, to, { from: rows + 1, count: 200, insert, table: target.delivered })
    const pair = `${source.name}To${target.name[0]!.toUpperCase()}${target.name.slice(1)}`
    note(`${pair}: ${line} rows/s beside ${bulk} of the bulk loader; one row p50 ${p50} ms, p99 ${p99} ms`)
    return {
      [`${pair}RowsPerSecond`]: line,
      [`${pair}BulkRowsPerSecond`]: bulk,
      [`${pair}ToBulk`]: Number((line / bulk).toFixed(2)),
      [`${pair}LatencyMsP50`]: p50,
      [`${pair}LatencyMsP99`]: p99,
    }
  } finally {
    await exchange.stop()
    await Promise.all([from.end(), to.end()])
  }
}

async function connect(exchange: Exchange, sourceUrl: string, targetUrl: string): Promise<void> {
  const sources = [{ resource: 'licences', database: 'front', table: 'licences' }]
  const provider = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url: sourceUrl } }, sources })
  await exchange.publish(licencesResource())
  await provider.command('setup')
  const sinks = [{ resource: 'licences', database: 'front' }]
  const receiver = await exchange.enrol('receiver', { agency: 'receiver', databases: { front: { url: targetUrl } }, sinks })
  await exchange.grant('licences', receiver, [...licenceColumns])
}

async function perSecond(rows: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return Math.round(rows / ((performance.now() - started) / 1000))
}

async function copyInto(url: string, table: string, text: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await pipeline(Readable.from([text]), client.query(copyFrom(`copy ${table} from stdin`)))
  } finally {
    await client.end()
  }
}

async function loadDataInto(url: string, table: string, text: string): Promise<void> {
  const connection = await createConnection({ uri: url, flags: ['+LOCAL_FILES'] })
  try {
    await connection.query({
      sql: `load data local infile 'rows' into table ${table} character set utf8mb4`,
      infileStreamFactory: () => Readable.from(packets(Buffer.from(text)), { objectMode: false }),
    })
  } finally {
    await connection.end()
  }
}

/** The server takes no packet larger than its limit. */
function* packets(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20))
}
