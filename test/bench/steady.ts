/** Memory under small steady work: 150 changed rows a second in transactions of one to five. After many minutes it must be that of the first. */
import { setTimeout as sleep } from 'node:timers/promises'
import { insertLicences } from './licences.ts'
import { startLicenceLine } from './licence-line.ts'
import type { BenchOptions } from './main.ts'

const rowsPerSecond = 150
const turnsPerSecond = 50

export async function run({ minutes, note }: BenchOptions): Promise<Record<string, number>> {
  const { exchange, provider, receiver, source, arrived, stop } = await startLicenceLine()
  try {
    const programs = { provider: provider.program, receiver: receiver.program, hub: exchange.hub }
    const memory = () =>
      Object.fromEntries(Object.entries(programs).map(([name, { memoryMb }]) => [name, Math.round(memoryMb ?? Number.NaN)]))
    const started = performance.now()
    let first = {} as Record<string, number>
    let last = 0
    for (let minute = 1; minute <= minutes; minute++) {
      for (let turn = 1; turn <= 60 * turnsPerSecond; turn++) {
        const rows = rowsPerSecond / turnsPerSecond
        await source.query(insertLicences('licences', last + 1, last + rows))
        last += rows
        const ahead = started + ((minute - 1) * 60 * turnsPerSecond + turn) * (1000 / turnsPerSecond) - performance.now()
        if (ahead > 0) await sleep(ahead)
      }
      const now = memory()
      if (minute === 1) first = now
      note(
        `minute ${minute}: ${Object.entries(now)
          .map(([name, mb]) => `${name} ${mb}`)
          .join(', ')} MiB`,
      )
    }
    await arrived(last, 60)
    const end = memory()
    return Object.fromEntries(
      Object.keys(programs).flatMap((name) => [
        [`${name}Mb`, end[name]!],
        [`${name}MbToFirstMinute`, Number((end[name]! / first[name]!).toFixed(2))],
      ]),
    )
  } finally {
    await stop()
  }
}
