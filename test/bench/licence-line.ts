import { openClient, type Client } from '../support/client.ts'
import { Exchange, type TestAgent } from '../support/exchange.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { licenceColumns, licencesResource } from './licences.ts'

/** One table from PostgreSQL to PostgreSQL, empty and flowing; all three programs run. */
export interface LicenceLine {
  exchange: Exchange
  provider: TestAgent
  receiver: TestAgent
  source: Client
  target: Client
  /** Waits for the licence of this number at the receiver. */
  arrived: (id: number, seconds: number) => Promise<void>
  stop: () => Promise<void>
}

export async function startLicenceLine(): Promise<LicenceLine> {
  const [a, b] = await Promise.all([startPostgres(), startPostgres()])
  const exchange = await Exchange.start()
  const [source, target] = [await openClient(a.url()), await openClient(b.url())]
  const stop = async (): Promise<void> => {
    await exchange.stop()
    await Promise.all([source.end(), target.end()])
    await Promise.all([a.stop(), b.stop()])
  }
  const arrived = async (id: number, seconds: number): Promise<void> => {
    const look = `select 1 from delivered.licences where id = ${id}`
    await until(`licence ${id} arrives`, async () => (await target.query(look)).length === 1, seconds)
  }
  try {
    const sources = [{ resource: 'licences', database: 'front', table: 'licences' }]
    const provider = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url: a.url() } }, sources })
    await exchange.publish(licencesResource())
    await provider.command('setup', '--create-table')
    const sinks = [{ resource: 'licences', database: 'front' }]
    const receiver = await exchange.enrol('receiver', { agency: 'receiver', databases: { front: { url: b.url() } }, sinks })
    await exchange.grant('licences', receiver, [...licenceColumns])
    for (const { program } of [provider, receiver]) program.start()
    await until('the empty table flows', async () => (await receiver.report())?.sinks[0]?.state === 'flowing')
    return { exchange, provider, receiver, source, target, arrived, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
