import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { latencies } from './latency.ts'
import { licenceColumns, licencesResource } from './licences.ts'

type Mariadb = NonNullable<Awaited<ReturnType<typeof findMariadb>>>

/** Latency of single rows from a MariaDB table to a PostgreSQL table. */
export async function measureMariadb(mariadb: Mariadb): Promise<{ p50: number; p99: number }> {
  const sourceUrl = await mariadb.createDatabase()
  const b = await startPostgres()
  const exchange = await Exchange.start()
  const [source, target] = [await openClient(sourceUrl), await openClient(b.url())]
  try {
    const sources = [{ resource: 'licences', database: 'front', table: 'licences' }]
    const provider = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url: sourceUrl } }, sources })
    await exchange.publish(licencesResource())
    await provider.command('setup', '--create-table')
    const sinks = [{ resource: 'licences', database: 'front' }]
    const receiver = await exchange.enrol('receiver', { agency: 'receiver', databases: { front: { url: b.url() } }, sinks })
    await exchange.grant('licences', receiver, [...licenceColumns])
    provider.program.start()
    receiver.program.start()
    await source.query(insert(1))
    await until('the first row arrives', async () => (await target.query('select 1 from delivered.licences')).length === 1)
    return await latencies(source, target, { from: 2, count: 300, insert, table: 'delivered.licences' })
  } finally {
    await exchange.stop()
    await Promise.all([source.end(), target.end()])
    await b.stop()
    await mariadb.dropDatabase(sourceUrl)
  }
}

function insert(id: number): string {
  return `insert into licences (id, name, fee, updated) values (${id}, '东莞市第${id}号商贸有限公司', 12.50, '2026-01-01 08:30:00.123456')`
}
