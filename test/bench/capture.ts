/**
 * What `compare` costs: unchanged rows a second beside reading alone in the same run, a thousandth of the rows changed, and the peak
 * memory of the scanning process, on PostgreSQL and MariaDB.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openClient } from '../support/client.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { runProgram } from '../support/programs.ts'
import type { Measured } from './capture-scan.ts'
import { insertLicences, licenceTable } from './licences.ts'
import type { BenchOptions } from './main.ts'

export async function run({ rows, note }: BenchOptions): Promise<Record<string, number>> {
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
    await client.query(`create table licences ${name === 'mariadb' ? licenceTable.replace('timestamp(6)', 'datetime(6)') : licenceTable}`)
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

function insertIntoMariadb(table: string, from: number, to: number): string {
  return `insert into ${table} select seq, concat('东莞市第', seq, '号商贸有限公司'), concat('91441900', lpad(seq, 10, '0')), '食品经营许可证',
    concat('张三', seq % 1000), concat('广东省东莞市南城街道鸿福路', seq % 500, '号'), date '2020-01-01' + interval (seq % 2000) day,
    date '2030-01-01' + interval (seq % 2000) day, (seq % 100000) / 100.0, timestamp '2026-01-01 08:30:00.123456' + interval seq second
    from seq_${from}_to_${to}`
}
