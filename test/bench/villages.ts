/** The real run over all 620,573 villages (`QIANZHI_VILLAGES`, or the copy beside the repository), MariaDB to PostgreSQL and back. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readVillages } from '../../config-examples/demo/villages.ts'
import { realRun } from '../flow/real-run.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import type { BenchOptions } from './main.ts'

export async function run({ note }: BenchOptions): Promise<Record<string, number>> {
  const file = process.env['QIANZHI_VILLAGES'] ?? fileURLToPath(new URL('../../../shared/data/villages.csv.gz', import.meta.url))
  const rows = existsSync(file) ? readVillages(file) : readVillages()
  const mariadb = await findMariadb()
  if (!mariadb) throw new Error('this benchmark needs MariaDB (QIANZHI_TEST_MARIADB_URL)')
  const postgres = await startPostgres()
  const figures: Record<string, number> = { rows: rows.length }
  try {
    for (const direction of ['mariadbToPostgres', 'postgresToMariadb'] as const) {
      const urls = [await mariadb.createDatabase(), await postgres.createDatabase(direction.toLowerCase())] as const
      const [sourceUrl, targetUrl] = direction === 'mariadbToPostgres' ? urls : [urls[1], urls[0]]
      const result = await realRun({
        sourceUrl,
        targetUrl,
        rows,
        writers: 6,
        transactions: 300,
        note: (line) => note(`${direction}: ${line}`),
      })
      figures[`${direction}FirstLoadRowsPerSecond`] = Math.round(rows.length / result.firstLoadSeconds)
      figures[`${direction}SettleSeconds`] = Number(result.settleSeconds.toFixed(1))
      figures[`${direction}Differences`] = result.missing.length + result.surplus.length
      await mariadb.dropDatabase(urls[0])
    }
  } finally {
    await postgres.stop()
  }
  return figures
}
