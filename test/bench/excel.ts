/** Excel supply: a workbook of 100,000 rows of 10 columns is checked against as many that stand, and taken. */
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pino } from 'pino'
import { writePages } from '../../protocol/excel/write-pages.ts'
import { UploadFolder } from '../../hub/jobs/files.ts'
import { addJob, readJob, type NewJob } from '../../hub/jobs/jobs.ts'
import { JobRunner } from '../../hub/jobs/runner.ts'
import type { CatalogItem } from '../../hub/registry/catalog/content.ts'
import { excelJobs } from '../../hub/supply/excel/jobs.ts'
import { HubProducer } from '../../hub/supply/producer.ts'
import type { Reader } from '../../hub/tables/reader.ts'
import type { Bench } from '../hub/exchange/fixture.ts'

const rows = 100_000

export async function excelBench(
  bench: Bench,
  { reader, items, rowOf, note }: { reader: Reader; items: CatalogItem[]; rowOf: (n: number) => object; note: (line: string) => void },
): Promise<Record<string, number>> {
  const { store, log, wakeups, hubKey } = bench
  const clock = () => new Date()
  const logger = pino({ level: 'warn' }, pino.destination(2))
  await bench.resource('sheets', 'a', { items })
  await store.query(`update resource set supply_mode = 'excel' where code = 'sheets'`)
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-excel-'))
  const path = join(folder, 'rows.xlsx')
  const values = (n: number) => Object.values(rowOf(n)) as (string | null)[]
  const pages = Array.from({ length: rows / 1000 }, (_, page) => Array.from({ length: 1000 }, (_, i) => values(page * 1000 + i)))
  await pipeline(writePages({ name: '数据', headers: items.map(({ id }) => id), pages }), createWriteStream(path))
  pages.length = 0
  note(`workbook: ${(statSync(path).size / 2 ** 20).toFixed(1)} MiB`)
  const uploads = new UploadFolder(join(folder, 'uploads'))
  const producer = new HubProducer({ store, log, exchange: bench.exchange, reader, wakeups, hubKey, clock, logger })
  const kinds = excelJobs({ store, log, reader, producer })
  const runner = new JobRunner({ store, wakeups, uploads, kinds, settings: { days: 7 }, clock, logger })
  const who = { actor: 'bench', person: null, name: 'bench', agency: 'a', roles: [], via: 'session' } as const
  const registry = { store, wakeups, clock, applications: { grantAtOnce: false } }
  const received = { ...(await uploads.receive(createReadStream(path), 1 << 30)), name: 'rows.xlsx' }
  const done = async (made: Omit<NewJob, 'object'>): Promise<{ id: string; seconds: number; peak: number }> => {
    global.gc?.()
    const before = process.memoryUsage().rss
    let peak = before
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20)
    const [began, used] = [performance.now(), process.cpuUsage()]
    const { id } = await addJob(registry, who, { ...made, object: 'sheets' })
    await runner.settle()
    const seconds = (performance.now() - began) / 1000
    clearInterval(timer)
    const { user, system } = process.cpuUsage(used)
    const cpu = (user + system) / 1e6
    const job = await readJob(store.query, id)
    if (job.state !== 'done') throw new Error(JSON.stringify(job))
    note(
      `${job.kind}: ${seconds.toFixed(1)} s (processor ${cpu.toFixed(1)} s), memory +${Math.round((peak - before) / 2 ** 20)} MiB; ${JSON.stringify({ ...job.result, faults: [] })}`,
    )
    return { id, seconds, peak: (peak - before) / 2 ** 20 }
  }
  const upload = { kind: 'excel.check', request: {}, upload: received } as const
  const empty = await done({ ...upload, same: '1' })
  const { file } = await readJob(store.query, empty.id)
  const taken = await done({
    kind: 'excel.import',
    file: file!.id,
    request: { check: empty.id, mode: 'replace', deletes: null },
    same: '2',
  })
  const full = await done({ ...upload, same: '3' })
  await runner.stop()
  rmSync(folder, { recursive: true })
  const round = (n: number) => Math.round(n * 10) / 10
  return {
    excelCheckSeconds: round(full.seconds),
    excelImportSeconds: round(taken.seconds),
    excelPeakMb: Math.round(Math.max(empty.peak, taken.peak, full.peak)),
  }
}
