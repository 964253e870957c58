/** Memory while a backlog is worked off: it must not grow with the backlog. Rows are captured while the agents are stopped. */
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { insertLicences, licenceColumns, licencesResource } from './licences.ts'
import type { BenchOptions } from './main.ts'

export async function run({ note }: BenchOptions): Promise<Record<string, number>> {
  const figures: Record<string, number> = {}
  for (const rows of [100_000, 1_000_000]) {
    const { provider, receiver, hub, seconds } = await workOff(rows)
    note(`backlog of ${rows}: provider ${provider} MiB, receiver ${receiver} MiB, hub ${hub} MiB at their highest; ${seconds.toFixed(1)} s`)
    Object.assign(figures, { [`providerPeakMb${rows}`]: provider, [`receiverPeakMb${rows}`]: receiver, [`hubPeakMb${rows}`]: hub })
  }
  return figures
}

async function workOff(rows: number): Promise<{ provider: number; receiver: number; hub: number; seconds: number }> {
  const [a, b] = await Promise.all([startPostgres(), startPostgres()])
  const exchange = await Exchange.start()
  const [source, target] = [await openClient(a.url()), await openClient(b.url())]
  try {
    const sources = [{ resource: 'licences', database: 'front', table: 'licences' }]
    const provider = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url: a.url() } }, sources })
    await exchange.publish(licencesResource())
    await provider.command('setup', '--create-table')
    const sinks = [{ resource: 'licences', database: 'front' }]
    const receiver = await exchange.enrol('receiver', { agency: 'receiver', databases: { front: { url: b.url() } }, sinks })
    await exchange.grant('licences', receiver, [...licenceColumns])
    const agents = [provider, receiver]
    agents.forEach(({ program }) => program.start())
    await until('the empty table flows', async () => (await receiver.report())?.sinks[0]?.state === 'flowing')
    await Promise.all(agents.map(({ program }) => program.end()))
    for (let at = 1; at <= rows; at += 10_000) await source.query(insertLicences('licences', at, at + 9_999))
    const started = performance.now()
    agents.forEach(({ program }) => program.start())
    const last = `select 1 from delivered.licences where id = ${rows}`
    await until('the last row arrives', async () => (await target.query(last)).length === 1, 600)
    const seconds = (performance.now() - started) / 1000
    const peak = (mb: number | undefined): number => Math.round(mb ?? Number.NaN)
    return {
      provider: peak(provider.program.peakMemoryMb),
      receiver: peak(receiver.program.peakMemoryMb),
      hub: peak(exchange.hub.peakMemoryMb),
      seconds,
    }
  } finally {
    await exchange.stop()
    await Promise.all([source.end(), target.end()])
    await Promise.all([a.stop(), b.stop()])
  }
}
