/**
 * A provider moves to another machine (README: enrol anew, revoke the old): a second machine of the agency stops nothing, the new one begins a
 * new epoch on the same database, and deletes that were held stay held, though nothing of the old data folder is there.
 */
import t, { type Test } from 'tap'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, faulted, flowing, sinkOf, sourceOf, startLine, Writer, type Line } from './line.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()
const guard = { share: 0.2, least: 100, settle: 2 }

t.test('triggers', async (test) => {
  const line = await startLine(test, { server, rows: 1_000, source: { guard } })
  await line.source.query(`delete from villages where code like '%1' or code like '%2' or code like '%3'`)
  await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
  const moved = await move(test, line)
  await faulted(() => sourceOf(moved), 'QZ-GUARD-SNAPSHOT')
  test.equal((await line.target.query(`select count(*) from ${line.table}`))[0]![0], '1000', 'what was held is not gone')
  await moved.provider.command('confirm', 'villages')
  await goesOn(test, moved)
})

t.test('compare', async (test) => {
  const schedule = '* * * * * *'
  const line = await startLine(test, { server, rows: 500, source: { capture: 'compare', compare: { schedule }, guard } })
  await goesOn(test, await move(test, line))
})

t.test('MariaDB', { skip: mariadb ? longer : 'MariaDB is not reachable' }, async (test) => {
  const sourceUrl = await mariadb!.createDatabase()
  test.teardown(() => mariadb!.dropDatabase(sourceUrl))
  const line = await startLine(test, { server, sourceUrl, rows: 500, source: { guard } })
  await goesOn(test, await move(test, line))
})

/** Under traffic where nothing is held. @returns the line with its new provider. */
async function move(test: Test, line: Line): Promise<Line> {
  const { exchange, provider, receiver, options } = line
  const held = (await sourceOf(line))?.fault !== undefined
  const next = await exchange.enrol('successor', options.provider)
  next.program.start()
  await until('the new machine says that it may not supply', async () => {
    return (await next.report().catch(() => undefined))?.sources[0]?.fault?.code === 'QZ-SUPPLY-NOT-ALLOWED'
  })
  const writer = held ? undefined : new Writer(line)
  if (!held) await flowing(line)
  test.equal((await sourceOf(line))!.fault?.code, held ? 'QZ-GUARD-DELETES' : undefined, 'a second machine stops nothing')
  await provider.program.end()
  await exchange.office('agent', 'revoke', provider.id)
  const moved = { ...line, provider: next }
  await until('the receiver asks whether the key is right', async () => (await sinkOf(moved))?.fault?.code === 'QZ-PROVIDER-KEY')
  await receiver.command('trust', 'villages')
  await writer?.stop()
  return moved
}

async function goesOn(test: Test, line: Line): Promise<void> {
  await flowing(line)
  await line.source.query(`delete from villages where code like '%45'`)
  await line.source.query(`update villages set name = '迁后改的' where code like '%46'`)
  await equal(test, line, 'the new machine goes on by itself')
  await flowing(line)
}
