import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../support/client.ts'

export interface LatencyOptions {
  /** First key and number of rows. */
  from: number
  count: number
  insert: (id: number) => string
  table: string
}

/**
 * Milliseconds from the commit of a single row until it is visible at the receiver. Rows are committed one by one, with pauses of
 * 10–90 ms between, and looked for without pause.
 */
export async function latencies(
  source: Client,
  target: Client,
  { from, count, insert, table }: LatencyOptions,
): Promise<{ p50: number; p99: number }> {
  const times: number[] = []
  for (let id = from; id < from + count; id++) {
    await source.query(insert(id))
    const committed = performance.now()
    while ((await target.query(`select 1 from ${table} where id = ${id}`)).length === 0) {
      if (performance.now() - committed > 30_000) throw new Error(`row ${id} did not arrive within 30 s`)
    }
    times.push(performance.now() - committed)
    await sleep(10 + (id % 7) * 13)
  }
  times.sort((x, y) => x - y)
  const at = (share: number): number => Number(times[Math.floor(times.length * share)]!.toFixed(1))
  return { p50: at(0.5), p99: at(0.99) }
}
