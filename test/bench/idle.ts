/** An idle agent that watches fifty tables: processor share over half a minute, and memory; PostgreSQL, and MariaDB where it is reachable. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { Program, until } from '../support/programs.ts'
import { licencesResource } from './licences.ts'
import type { BenchOptions } from './main.ts'

const tables = 50
const seconds = 30

export async function run({ note }: BenchOptions): Promise<Record<string, number>> {
  execFileSync(process.execPath, ['.ci/build.mjs'], { stdio: 'ignore' })
  const postgres = await startPostgres()
  const mariadb = await findMariadb()
  try {
    const figures = { tables, ...(await measure('postgres', postgres.url(), note)) }
    if (!mariadb) return figures
    const url = await mariadb.createDatabase()
    const more = await measure('mariadb', url, note)
    await mariadb.dropDatabase(url)
    return { ...figures, ...more }
  } finally {
    await postgres.stop()
  }
}

async function measure(engine: string, url: string, note: BenchOptions['note']): Promise<Record<string, number>> {
  const exchange = await Exchange.start()
  const client = await openClient(url)
  try {
    const names = Array.from({ length: tables }, (_, i) => `licences${i}`)
    const sources = names.map((name) => ({ resource: name, database: 'front', table: name }))
    const agent = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url } }, sources })
    for (const name of names) await exchange.publish({ ...licencesResource(name), table: name })
    await agent.command('setup', '--create-table')
    // As it is installed: built, without TypeScript to strip.
    const program = new Program(['dist/agent/main.js', 'start', '--config', agent.configFile], join(agent.folder, 'agent.log'))
    program.start()
    await until(
      'all streams flow',
      async () => (await agent.report())?.sources.filter(({ state }) => state === 'flowing').length === tables,
      120,
    )
    await sleep(10_000)
    const before = program.cpuSeconds!
    await sleep(seconds * 1000)
    const cpu = Number((((program.cpuSeconds! - before) / seconds) * 100).toFixed(2))
    const memory = Math.round(program.memoryMb!)
    await program.end()
    note(`idle, ${tables} tables in ${engine}: ${cpu} % of one processor, ${memory} MiB`)
    return { [`${engine}IdleCpuPercent`]: cpu, [`${engine}IdleRssMb`]: memory }
  } finally {
    await exchange.stop()
    await client.end()
  }
}
