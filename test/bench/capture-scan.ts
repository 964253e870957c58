/** One measured piece of `npm run bench -- capture` in a process of its own: `node test/bench/capture-scan.ts URL STORE read|compare`. */
import type { Row, SourceTable } from '../../agent/database.ts'
import { openMysql } from '../../agent/databases/mysql/engine.ts'
import { openPostgres } from '../../agent/databases/postgres/engine.ts'
import { compareTable } from '../../agent/scans/compare.ts'
import { Fingerprints } from '../../agent/scans/fingerprints.ts'
import { Scan } from '../../agent/scans/scan.ts'
import { StreamStore } from '../../agent/runtime/stream-store.ts'
import { sourceOf } from '../agent/databases/conformance/fixture.ts'
import { licencesResource } from './licences.ts'

export interface Measured {
  rows: number
  changed: number
  seconds: number
  peakMb: number
}

const [url = '', file = '', what = ''] = process.argv.slice(2)
const source: SourceTable = sourceOf(
  { ...licencesResource(), version: 1 },
  { table: 'licences', capture: 'compare', scan: { schedule: '0 * * * *', timezone: 'UTC' } },
)
const database = await (url.startsWith('postgres') ? openPostgres : openMysql)({ name: 'bench', url, pace: 50 })
const reading = await database.openReading()
const started = performance.now()
const { rows, changed } = await (what === 'read' ? readAlone() : compareAll())
const seconds = (performance.now() - started) / 1000
const measured: Measured = { rows, changed, seconds, peakMb: Math.round(process.resourceUsage().maxRSS / 1024) }
process.stdout.write(JSON.stringify(measured))
await reading.close()
await database.close()

/** As quick as the reader is: the same pages, nothing done with them. */
async function readAlone(): Promise<{ rows: number; changed: number }> {
  let rows = 0
  for (let after: Row | null = null; ;) {
    const page: Awaited<ReturnType<typeof reading.rowsAfter>> = await reading.rowsAfter(source, after, 16_000)
    rows += page.rows.length
    if (page.last === null) return { rows, changed: 0 }
    after = page.last
  }
}

/** What was queued counts as sent. */
async function compareAll(): Promise<{ rows: number; changed: number }> {
  const store = new StreamStore(file)
  const scan = new Scan(store, { signal: new AbortController().signal, queued: () => undefined })
  const result = await compareTable(reading, source, store, new Fingerprints(store), scan)
  store.run('delete from queue')
  store.close()
  return result
}
