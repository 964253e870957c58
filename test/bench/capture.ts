/**
 * What `compare` costs: unchanged rows a second beside reading alone in the same run, a thousandth of the rows changed, and the peak
 * memory of the scanning process, on PostgreSQL and MariaDB. Then every pair of engines through the hub (pairs.ts).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openClient } from '../support/client.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { runProgram } from '../support/programs.ts'
import type { Measured } from './capture-scan.ts'
import { insertIntoMariadb, insertLicences, licenceTable, licenceTableOnMariadb } from './licences.ts'
import type { BenchOptions } from './main.ts'
import { measurePairs } from './pairs.ts'

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  return { ...(await scans(options)), ...(await measurePairs(options)) }
}

async function scans({ rows, note }: BenchOptions): Promise<Record<string, number>> {
  const postgres = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } })
  const figures: Record<string, number> = { rows, load: Number(loadavg()[0]!.toFixed(1)) }
  try {
    Object.assign(figures, await engine('postgres', await postgres.createDatabase(), rows, insertLicences, note))
  } finally {
    await postgres.stop()
  }
  const mariadb = await findMariadb()
  if (!mariadb) {
    note('no MariaDB: not measured')
    return figures
  }
  const url = await mariadb.createDatabase()
  try {
    return Object.assign(figures, await engine('mariadb', url, rows, insertIntoMariadb, note))
  } finally {
    await mariadb.dropDatabase(url)
  }
}

async function engine(
  name: string,
  url: string,
  rows: number,
  insert: (table: string, from: number, to: number) => string,
  note: BenchOptions['note'],
): Promise<Record<string, number>> {
  const client = await openClient(url)
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-scan-'))
  const file = join(folder, 'licences.sqlite')
  try {
    await client.query(`create table licences ${name === 'mariadb' ? licenceTableOnMariadb : licenceTable}`)
    await client.query(insert('licences', 1, rows))
    const read = await piece(url, file, 'read')
    const first = await piece(url, file, 'compare')
    const unchanged = await piece(url, file, 'compare')
    await client.query("update licences set kind = '已变更' where id % 1000 = 7")
    const changed = await piece(url, file, 'compare')
    const again = await piece(url, file, 'read')
    const alone = Math.max(perSecond(read), perSecond(again))
    note(
      `${name}: reading alone ${alone} rows/s, compare ${perSecond(unchanged)} rows/s unchanged, ${perSecond(changed)} with ${changed.changed} changed`,
    )
    return {
      [`${name}ReadRowsPerSecond`]: alone,
      [`${name}FirstRowsPerSecond`]: perSecond(first),
      [`${name}UnchangedRowsPerSecond`]: perSecond(unchanged),
      [`${name}UnchangedToRead`]: Number((perSecond(unchanged) / alone).toFixed(2)),
      [`${name}ChangedRowsPerSecond`]: perSecond(changed),
      [`${name}Changed`]: changed.changed,
      [`${name}PeakMb`]: unchanged.peakMb,
      [`${name}ReadPeakMb`]: read.peakMb,
    }
  } finally {
    await client.end()
    rmSync(folder, { recursive: true })
  }
}

async function piece(url: string, file: string, what: 'read' | 'compare'): Promise<Measured> {
  const { stdout } = await runProgram(['test/bench/capture-scan.ts', url, file, what])
  return JSON.parse(stdout) as Measured
}

function perSecond({ rows, seconds }: Measured): number {
  return Math.round(rows / seconds)
}
