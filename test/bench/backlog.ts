/** Memory while a backlog is worked off: it must not grow with the backlog. Rows are captured while the agents are stopped. */
import { insertLicences } from './licences.ts'
import { startLicenceLine } from './licence-line.ts'
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
  const { exchange, provider, receiver, source, arrived, stop } = await startLicenceLine()
  try {
    const agents = [provider, receiver]
    await Promise.all(agents.map(({ program }) => program.end()))
    for (let at = 1; at <= rows; at += 10_000) await source.query(insertLicences('licences', at, at + 9_999))
    const started = performance.now()
    agents.forEach(({ program }) => program.start())
    await arrived(rows, 600)
    const seconds = (performance.now() - started) / 1000
    const peak = (mb: number | undefined): number => Math.round(mb ?? Number.NaN)
    return {
      provider: peak(provider.program.peakMemoryMb),
      receiver: peak(receiver.program.peakMemoryMb),
      hub: peak(exchange.hub.peakMemoryMb),
      seconds,
    }
  } finally {
    await stop()
  }
}
