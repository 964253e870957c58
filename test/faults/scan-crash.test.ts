/** Guarantee 1 for a source that is only read: whenever the agent is killed, before, during and after its scans, both ends become equal. */
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, flowing, logged, logLength, makeLine, sourceOf, start, startLine, Writer, type Line } from './line.ts'
import { Random, seedOfThisRun } from './random.ts'

const seed = seedOfThisRun()
process.stdout.write(`QIANZHI_SEED=${seed}\n`)
const random = new Random(seed)
const server = await startPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

const compared = { capture: 'compare', compare: { schedule: '* * * * * *' } }

/** These take a line of their own each. */

/** Where in the log each agent's present run begins. */
const runs = new Map<Line, number>()

async function killed(line: Line): Promise<void> {
  const { program } = line.provider
  await until('a scan is complete', () => logged(line.provider, 'compare scan complete', runs.get(line)))
  // From the beginning of the next scan on: while it reads, writes down what it found, while batches are sent and written down.
  await sleep(random.between(0, 1_200))
  await program.end('SIGKILL')
  runs.set(line, logLength(line.provider))
  program.start()
}

await t.test('PostgreSQL: killed again and again while rows are inserted, changed, renamed and deleted', async (t) => {
  const line = await startLine(t, { server, rows: 1_000, source: compared })
  const writer = new Writer(line)
  for (let round = 0; round < 3; round++) await killed(line)
  t.ok((await writer.stop()) > 20)
  await flowing(line)
  await equal(t, line)
})

await t.test('PostgreSQL: killed during the first load; the scan after it sends little again', { skip: longer }, async (t) => {
  const line = await makeLine(t, { server, rows: 4_000, source: compared, provider: { batchBytes: 65_536 } })
  start(line)
  await until('some of it is sent', async () => ((await sourceOf(line))?.rows ?? 0) > 500)
  await line.provider.program.end('SIGKILL')
  const length = logLength(line.provider)
  line.provider.program.start()
  await equal(t, line)
  await until('a scan is complete', () => logged(line.provider, 'compare scan complete', length))
  const log = readFileSync(line.provider.program.log, 'utf8').slice(length)
  const changed = Number(/"rows":4000,"changed":(\d+)/.exec(log)?.[1])
  t.ok(changed < 2_500, `queued again: ${changed}`)
  await equal(t, line)
})

t.test(
  'MariaDB, restored from an old copy of the data folder',
  { skip: mariadb ? longer : 'no MariaDB server can be reached' },
  async (t) => {
    const sourceUrl = await mariadb!.createDatabase()
    t.teardown(() => mariadb!.dropDatabase(sourceUrl))
    const line = await startLine(t, { server, sourceUrl, rows: 1_000, source: compared })
    const writer = new Writer(line)
    const scans = join(line.provider.folder, 'data', 'scans')
    await killed(line)
    await line.provider.program.end('SIGKILL')
    cpSync(scans, `${scans}.old`, { recursive: true })
    line.provider.program.start()
    await killed(line)
    await line.provider.program.end('SIGKILL')
    rmSync(scans, { recursive: true })
    cpSync(`${scans}.old`, scans, { recursive: true })
    line.provider.program.start()
    await killed(line)
    t.ok((await writer.stop()) > 20)
    await flowing(line)
    await equal(t, line, 'both ends are equal after the folder was put back')
  },
)
