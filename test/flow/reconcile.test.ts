/** Reconciliation over the whole line: what capture could not see is found, reported at both sides and mended; the rest is equal. */
import t from 'tap'
import { sourceNames } from '../../agent/databases/postgres-setup.ts'
import { openReconciliation, type ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { equal, startLine, Writer, type Line, type LineOptions } from '../faults/line.ts'
import type { TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import { runProgram } from '../support/programs.ts'

const server = await startPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()
t.setTimeout(300_000)

/** The command of an agent's operator; its last word on each run. */
async function reconcile(agent: TestAgent, ...words: string[]): Promise<ReconciliationProgress[]> {
  const command = ['agent/main.ts', 'reconcile', ...words, '--json', '--config', agent.configFile]
  const { stdout, stderr, code } = await runProgram(command, { failing: true })
  if (stdout === '') throw new Error(stderr)
  const runs = JSON.parse(stdout) as ReconciliationProgress[]
  if ((code === 0) !== runs.every(({ state }) => state === 'equal')) throw new Error(`exit code ${code}: ${stdout}`)
  return runs
}

async function one(agent: TestAgent, ...words: string[]): Promise<ReconciliationProgress> {
  return (await reconcile(agent, 'villages', ...words))[0]!
}

function states({ keys }: ReconciliationProgress): string[] {
  return keys.map(({ key, difference, state }) => `${key.join()} ${difference} ${state}`).toSorted()
}

const manual: LineOptions = { server, hub: { reconciliation: { every: 0 } } }

/** Writes at a PostgreSQL source of which nothing is left in the queue: as if its triggers had not seen it. */
async function unseen({ source }: Line, statements: string[]): Promise<void> {
  for (const statement of ['begin', ...statements, `delete from ${sourceNames('villages').queue}`, 'commit']) await source.query(statement)
}

t.test('PostgreSQL: what triggers could not see, and edits by hand, are found by key at both sides, and mended', async (test) => {
  const line = await startLine(test, manual)
  const { source, target, provider, receiver, table } = line
  const first = await one(provider)
  test.match(first, { state: 'equal', keys: [], statement: { source: { rows: 500 }, target: { rows: 500 }, differing: 0, settled: 0 } })
  test.equal(first.statement!.source.digest, first.statement!.target.digest)

  const codes = (await source.query('select code from villages order by code limit 5')).map(([code]) => code!)
  await unseen(line, [
    `update villages set name = '没有触发' where code = '${codes[0]}'`,
    `delete from villages where code = '${codes[1]}'`,
    `insert into villages values ('900000000001', '批量装入', '街', '区', '市', '省')`,
  ])
  await target.query(`update ${table} set name = '手工改动' where code = '${codes[2]}'`)
  await target.query(`delete from ${table} where code = '${codes[3]}'`)
  await target.query(
    `insert into ${table} select '900000000002', name, street, area, city, province, qz_source, qz_position, qz_received_at from ${table} where code = '${codes[4]}'`,
  )
  const expected = (state: string) =>
    [
      `${codes[0]} changed ${state}`,
      `${codes[1]} extra ${state}`,
      `${codes[2]} changed ${state}`,
      `${codes[3]} missing ${state}`,
      `900000000001 missing ${state}`,
      `900000000002 extra ${state}`,
    ].toSorted()

  const found = await one(receiver, '--no-repair')
  test.same(states(found), expected('remaining'))
  test.match(found, { state: 'different', statement: { differing: 6, remaining: 6, settled: 0, repaired: 0, outcome: 'different' } })
  const notices = await line.store.query("select agency, role from notice where kind = 'reconciliation-different'")
  test.same(notices.map((notice) => notice.join()).toSorted(), [
    ',office',
    'civil-affairs,agency-it',
    'civil-affairs,registrar',
    'statistics,agency-it',
    'statistics,registrar',
  ])
  test.match(JSON.stringify(await line.exchange.office('explain', line.route)), /"state":"different"/)

  const mended = await one(provider, '--repair')
  test.same(states(mended), expected('repaired'))
  test.match(mended, { state: 'equal', statement: { repaired: 6, remaining: 0 } })
  await equal(test, line)
  test.match(await one(provider), { state: 'equal', statement: { differing: 0 } })

  const stored = await line.store.query(
    `select source_signature, target_signature, s.public_key, a.public_key from reconciliation c join agent s on s.id = source_agent join agent a on a.id = target_agent where c.id = ${mended.run}`,
  )
  const [signedBySource, signedByTarget, sourceKey, targetKey] = stored[0]! as string[]
  test.same(openReconciliation(signedBySource!, sourceKey!), mended.statement)
  test.same(openReconciliation(signedByTarget!, targetKey!), mended.statement)
  test.equal(openReconciliation(signedBySource!, targetKey!), undefined)
})

t.test('a live table under writers ends equal, with no false difference', async (test) => {
  const line = await startLine(test, manual)
  const writer = new Writer(line)
  for (let turn = 0; turn < 2; turn++) {
    const run = await one(line.provider)
    test.match(run, { state: 'equal', statement: { remaining: 0, repaired: 0 } }, JSON.stringify(run))
  }
  test.ok((await writer.stop()) > 10)
  await equal(test, line)
})
void mariadb
