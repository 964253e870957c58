/**
 * What the programs take while nothing happens: an agent that watches fifty tables (processor share over half a minute, memory, time from its
 * start to its first poll; PostgreSQL, and MariaDB where it is reachable), a hub with fifty agents, and what each package holds that is loaded.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openClient } from '../support/client.ts'
import { Exchange } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres, startPostgres } from '../support/postgres.ts'
import { Program, until } from '../support/programs.ts'
import { licencesResource } from './licences.ts'
import type { BenchOptions } from './main.ts'
import { measureWaking } from './waking.ts'

const tables = 50
const seconds = 30
/** Those that the agent loads at one time or another. */
const packages = ['typebox', 'typebox/compile', 'undici', 'yaml', 'pino', 'fastify', 'pg', 'mysql2', 'node-cron', 'chokidar']

export async function run({ note }: BenchOptions): Promise<Record<string, number>> {
  execFileSync(process.execPath, ['.ci/build.mjs'], { stdio: 'ignore' })
  const postgres = await startPostgres()
  const mariadb = await findMariadb()
  try {
    const agent = await measure('PostgreSQL', postgres.url(), note)
    const figures: Record<string, number> = {
      tables,
      idleAgentMb: agent.memory,
      idleAgentCpuPercent: agent.cpu,
      agentStartMs: agent.start,
    }
    if (mariadb) {
      const url = await mariadb.createDatabase()
      const beside = await measure('MariaDB', url, note)
      await mariadb.dropDatabase(url)
      Object.assign(figures, {
        mariadbIdleAgentMb: beside.memory,
        mariadbIdleAgentCpuPercent: beside.cpu,
        mariadbAgentStartMs: beside.start,
      })
    }
    const waking = await measureWaking({ note }, [0, 50])
    return { ...figures, idleHubMb: waking['hubMbBeside50']!, ...loadedPackages(note) }
  } finally {
    await postgres.stop()
  }
}

interface Idle {
  /** Percent of one processor. */
  cpu: number
  /** MiB resident. */
  memory: number
  /** Milliseconds. */
  start: number
}

async function measure(engine: string, url: string, note: BenchOptions['note']): Promise<Idle> {
  const stores = await findPostgres()
  const storeUrl = await hubStore(stores)
  const exchange = await Exchange.start({ hub: { store: storeUrl } })
  const [client, store] = [await openClient(url), await openClient(storeUrl)]
  try {
    const names = Array.from({ length: tables }, (_, i) => `licences${i}`)
    const sources = names.map((name) => ({ resource: name, database: 'front', table: name }))
    const agent = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url } }, sources })
    for (const name of names) await exchange.publish({ ...licencesResource(name), table: name })
    await agent.command('setup', '--create-table')
    // As it is installed: built, without TypeScript to strip; started once before, so that what is compiled is kept.
    const program = new Program(['dist/agent/main.js', 'start', '--config', agent.configFile], join(agent.folder, 'agent.log'))
    const flowing = async () => (await agent.report())?.sources.filter(({ state }) => state === 'flowing').length === tables
    program.start()
    await until('all streams flow', flowing, 120)
    await program.end()
    const polled = async (since: string) => (await store.query(`select 1 from agent where last_seen > '${since}'`)).length > 0
    const since = (await store.query('select clock_timestamp()::text'))[0]![0]!
    const started = performance.now()
    program.start()
    while (!(await polled(since))) await sleep(2)
    const start = Math.round(performance.now() - started)
    await until('all streams flow again', flowing, 120)
    await sleep(20_000)
    const before = program.cpuSeconds!
    await sleep(seconds * 1000)
    const cpu = Number((((program.cpuSeconds! - before) / seconds) * 100).toFixed(2))
    const memory = Math.round(program.memoryMb!)
    await program.end()
    note(`idle, ${tables} tables in ${engine}: ${cpu} % of one processor, ${memory} MiB; ${start} ms from start to first poll`)
    return { cpu, memory, start }
  } finally {
    await Promise.all([client.end(), store.end()])
    await exchange.stop()
    await stores.stop()
  }
}

/** What a fresh program holds more once it has loaded a package. */
function loadedPackages(note: BenchOptions['note']): Record<string, number> {
  const grown = (name: string) => {
    const script = `const before = process.memoryUsage.rss(); await import(${JSON.stringify(name)}); console.log(process.memoryUsage.rss() - before)`
    return Math.round(Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })) / 2 ** 20)
  }
  const figures = Object.fromEntries(packages.map((name) => [`packageMb ${name}`, grown(name)]))
  note(
    Object.entries(figures)
      .map(([name, mb]) => `${name.split(' ')[1]} ${mb}`)
      .join(', '),
  )
  return figures
}
