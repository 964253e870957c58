/** Guarantees 1 to 4: whatever is killed, whenever, both ends are equal in the end, and no row ever went back on the way. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { longer } from '../support/longer.ts'
import { binlogSettings, startMariadb } from '../support/mariadb.ts'
import { logSettings, startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { Chaos, faults, isEqual, showDifference, type ChaosOptions, type Fault } from './chaos.ts'
import { seedOfThisRun } from './random.ts'

const seed = seedOfThisRun()
const say = (line: string): void => void process.stdout.write(`${line}\n`)
say(`QIANZHI_SEED=${seed}`)

async function rounds(
  t: Test,
  ends: Pick<ChaosOptions, 'source' | 'target' | 'configured'>,
  plan: (chaos: Chaos) => Fault[],
): Promise<void> {
  const chaos = await Chaos.start({ seed, ...ends, note: say })
  t.teardown(() => chaos.stop())
  const snapshots = () => readFileSync(chaos.provider.program.log, 'utf8').split('snapshot complete').length - 1
  await until('the first snapshot is receipted', () => snapshots() > 0)
  for (const [i, fault] of plan(chaos).entries()) {
    const result = await chaos.round([fault])
    t.ok(isEqual(result), `round ${i + 1}, ${fault} killed: ${showDifference(result)}`)
    if (!isEqual(result)) return
  }
  t.same(await chaos.faultsFound(), [], 'no row went back, nothing is in quarantine, nobody ended by itself')
  t.equal(snapshots(), 1, 'no other snapshot hid what was lost')
  t.ok(chaos.watch.looks > 100, `the counters were looked at ${chaos.watch.looks} times`)
}

await t.test('PostgreSQL to PostgreSQL: every piece is killed at least once', async (t) => {
  const [source, target] = await Promise.all([startPostgres(), startPostgres()])
  t.teardown(() => Promise.all([source.stop(), target.stop()]))
  await rounds(t, { source, target }, ({ random }) => [...faults, ...Array.from({ length: 4 }, () => random.pick(faults))])
})

await t.test('PostgreSQL by its log', async (t) => {
  const [source, target] = await Promise.all([startPostgres({ settings: logSettings }), startPostgres()])
  t.teardown(() => Promise.all([source.stop(), target.stop()]))
  await rounds(t, { source, target, configured: { capture: 'log' } }, () => ['provider', 'source', 'hub', 'provider'])
})

// What a server lost of its log with the machine is not lost with its process: nothing may begin anew.
const mariadb = await startMariadb({ settings: { ...binlogSettings, 'sync-binlog': '1' } })
const missing = !mariadb && 'mariadb-server is not installed'
t.teardown(() => mariadb?.stop())

await t.test('MariaDB by its log', { skip: missing }, async (t) => {
  const target = await startPostgres()
  t.teardown(() => target.stop())
  await rounds(t, { source: mariadb!, target, configured: { capture: 'log' } }, () => ['provider', 'source', 'hub', 'provider'])
})

t.test('MariaDB to PostgreSQL', { skip: missing || longer }, async (t) => {
  const target = await startPostgres()
  t.teardown(() => target.stop())
  await rounds(t, { source: mariadb!, target }, () => ['source', 'provider', 'source'])
})
