/**
 * A vendor's programs that delete a whole table and insert it again, over minutes: the receivers' tables are not emptied, and only what
 * differs travels. What is gone for good waits for a person. Nothing of it may lose a change, whenever programs or databases are stopped.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readVillages, villageColumns } from '../../config-examples/demo/villages.ts'
import { loadVillages } from '../flow/real-run.ts'
import { findMariadb } from '../support/mariadb.ts'
import { openClient } from '../support/client.ts'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, faulted, flowing, sourceOf, startLine, Writer, type Line } from './line.ts'
import { Random, seedOfThisRun } from './random.ts'

const rows = 3_000
const guard = { share: 0.2, least: 100, settle: 2 }
const mariadb = await findMariadb()
const server = await startPostgres()
t.teardown(() => server.stop())

t.test('PostgreSQL', async (test) => {
  const own = await startPostgres()
  test.teardown(() => own.stop())
  const sourceUrl = await own.createDatabase()
  const line = await startLine(test, { server, sourceUrl, rows, source: { reload: true, guard }, provider: { batchBytes: 65_536 } })
  const { source, provider } = line

  await test.test('a reload in many transactions', (nightly) => reloadsQuietly(nightly, line))

  await test.test('a table that is deleted row after row is held back at the share', async (dripping) => {
    const watch = watchRows(line)
    await source.query('create table tonight as select * from villages')
    for (let code = 0; code < 100; code++) await source.query(`delete from villages where code like '%${String(code).padStart(2, '0')}'`)
    await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
    await source.query('insert into villages select * from tonight')
    await source.query('drop table tonight')
    await flowing(line)
    await equal(dripping, line)
    const { least } = await watch.stop()
    dripping.ok(least >= rows * (1 - guard.share) - 1, `${least} rows were left of ${rows}`)
  })

  await test.test('a mass of deletes waits over restarts, and goes when somebody confirms it', async (waits) => {
    await waits.rejects(provider.command('confirm', 'villages'), /QZ-STATE/, 'nothing waits yet')
    const before = await delivered(line, `code like '%1'`)
    await source.query(`delete from villages where code like '%1' or code like '%2' or code like '%3' or code like '%4'`)
    await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
    await source.query(`update villages set name = '照常' where code like '%5'`)
    await until('other changes flow', async () => (await delivered(line, `name = '照常'`)) > 0)
    waits.equal(await delivered(line, `code like '%1'`), before, 'deletes do not')
    await own.restart()
    Object.assign(line, { source: await openClient(sourceUrl) })
    test.teardown(() => line.source.end())
    await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
    await provider.program.end('SIGKILL')
    provider.program.start()
    await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
    await until('the office sees whose turn it is', async () => {
      const { turn } = (await line.exchange.office('explain', line.route)) as { turn: { who: string; zh: string } }
      return turn.who === 'provider' && turn.zh.includes('confirm villages')
    })
    const writer = new Writer(line)
    await provider.commandLine('confirm', 'villages')
    await until('the confirmed deletes are gone', async () => (await delivered(line, `code like '%1' and code not like '8%'`)) === 0)
    await line.source.query(`delete from villages where code like '%6' or code like '%7'`)
    await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
    await writer.stop()
    waits.ok((await delivered(line, `code like '%6'`)) > 0, 'what is deleted after the confirmation waits for another one')
    await provider.command('confirm', 'villages')
    await equal(waits, line)
    await flowing(line)
  })

  await test.test('the queue passes its mark while the table is empty: the snapshot does not empty the receivers', async (truncated) => {
    const watch = watchRows(line)
    const [[before]] = (await line.source.query('select count(*) from villages')) as [[string]]
    await line.source.query('create table tonight as select * from villages')
    await line.source.query('truncate villages')
    await faulted(() => sourceOf(line), 'QZ-GUARD-SNAPSHOT')
    await line.source.query('insert into villages select * from tonight')
    await line.source.query('drop table tonight')
    await equal(truncated, line)
    await flowing(line)
    truncated.equal((await watch.stop()).least, Number(before))
    await line.source.query('truncate villages')
    await faulted(() => sourceOf(line), 'QZ-GUARD-SNAPSHOT')
    await provider.command('confirm', 'villages')
    await equal(truncated, line)
    truncated.equal(await delivered(line, 'true'), 0)
  })

  await test.test('values that come and go, while the agent is killed and its memory is lost', async (killed) => {
    await loadVillages(line.source, readVillages().slice(0, 60))
    await comesAndGoes(killed, line)
  })
})

t.test('MariaDB', { skip: mariadb ? false : 'MariaDB is not reachable' }, async (test) => {
  const sourceUrl = await mariadb!.createDatabase()
  test.teardown(() => mariadb!.dropDatabase(sourceUrl))
  const line = await startLine(test, { server, sourceUrl, rows, source: { reload: true, guard } })
  await test.test('a reload in many transactions', (nightly) => reloadsQuietly(nightly, line))
})

/** Rows turn to and fro between few values, so that a change that is taken for one that was sent already would be missed. */
async function comesAndGoes(test: Test, line: Line): Promise<void> {
  const seed = seedOfThisRun()
  test.comment(`QIANZHI_SEED=${seed}`)
  const random = new Random(seed)
  const { source, provider } = line
  const codes = readVillages().map(([code]) => code!)
  const write = async (times: number) => {
    for (let i = 0; i < times; i++) {
      const code = random.pick(codes.slice(0, 12))
      const value = random.pick(['A', 'B', 'C'])
      if (random.chance(1 / 3)) await source.query(`delete from villages where code = '${code}'`)
      else
        await source.query(
          `insert into villages values ('${code}', '${value}', '街', '区', '市', '省') on conflict (code) do update set name = excluded.name`,
        )
    }
  }
  for (const loss of ['none', 'memory', 'none', 'folder'] as const) {
    await write(150)
    await provider.program.end('SIGKILL')
    await write(30)
    if (loss === 'memory') rmSync(join(provider.folder, 'data', 'sent', 'villages.sqlite'))
    if (loss === 'folder') rmSync(join(provider.folder, 'data', 'sent'), { recursive: true })
    provider.program.start()
    await write(150)
    await equal(test, line, `killed, lost: ${loss}`)
  }
}

/** The table is deleted, seen empty by the agent, inserted again in steps; one row changes, one is new, one does not come back. */
async function reloadsQuietly(test: Test, line: Line): Promise<void> {
  const { source } = line
  const before = await sentRows(line)
  const watch = watchRows(line)
  const columns = villageColumns.join(', ')
  await source.query('create table tonight as select * from villages')
  const [gone, changed] = (await source.query(`select code from tonight where code not like '%9' order by code limit 2`)).flat()
  await source.query('delete from villages')
  await faulted(() => sourceOf(line), 'QZ-GUARD-DELETES')
  await source.query(`delete from tonight where code = '${gone}'`)
  await source.query(`update tonight set name = '夜里改的' where code = '${changed}'`)
  await source.query(`insert into tonight values ('999999999999', '夜里来的', '街', '区', '市', '省')`)
  for (let digit = 0; digit < 10; digit++) {
    // The last step lets the deletes go, which are read again: a key that travels at that moment would be sent twice.
    if (digit === 9) await until('the changed row is sent', async () => (await sentRows(line)) - before === 1)
    await source.query(`insert into villages (${columns}) select ${columns} from tonight where code like '%${digit}'`)
  }
  await source.query('drop table tonight')
  await flowing(line)
  await equal(test, line)
  await until('its receipts are written down', async () => (await sentRows(line)) - before >= 3)
  test.equal((await sentRows(line)) - before, 3, 'what differs was sent, nothing else')
  test.ok((await sourceOf(line))!.unchanged! >= rows - 2)
  test.ok((await watch.stop()).least >= rows - 1, 'a reader of the receiver never missed a row')
}

async function sentRows(line: Line): Promise<number> {
  return (await sourceOf(line))!.rows
}

/** A reader that counts the delivered rows again and again. */
function watchRows({ target, table }: Line): { stop(): Promise<{ least: number }> } {
  const seen = { least: Infinity, stopped: false }
  const watching = (async () => {
    while (!seen.stopped) seen.least = Math.min(seen.least, Number((await target.query(`select count(*) from ${table}`))[0]![0]))
  })()
  return {
    async stop() {
      seen.stopped = true
      await watching
      return seen
    },
  }
}

async function delivered({ target, table }: Line, where: string): Promise<number> {
  return Number((await target.query(`select count(*) from ${table} where ${where}`))[0]![0])
}
