/** What stops one table's stream on purpose, or by somebody else's lock, and lets it go on: the other tables' streams go on meanwhile. */
import t, { type Test } from 'tap'
import { villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import { longer } from '../support/longer.ts'
import { openClient } from '../support/client.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { equal, faulted, flowing, makeLine, sinkOf, sourceOf, start, type Line, type LineOptions } from '../faults/line.ts'

const server = await findPostgres()
t.teardown(() => server.stop())

t.test('PostgreSQL', async (test) => {
  const sourceUrl = await server.createDatabase()
  const line = await twoTables(test, { server, sourceUrl, rows: 200 })
  const { provider, receiver } = line

  await test.test('a source is paused, also over a restart, and resumed', async (paused) => {
    const { stdout } = await provider.commandLine('pause', 'villages', '--lang', 'en')
    paused.match(stdout, /villages: the source is paused/)
    await until('it says so', async () => (await sourceOf(line))?.state === 'paused')
    await line.source.query(`update villages set name = '停时改的'`)
    await provider.program.end('SIGKILL')
    provider.program.start()
    await until('it says so again', async () => (await sourceOf(line))?.state === 'paused')
    await otherFlows(line, '停时')
    paused.equal(await delivered(line, `name = '停时改的'`), 0)
    paused.match((await provider.command('status', '--lang', 'en')).stdout, /source villages .* paused/)
    await until('the hub sees it', async () => {
      const [{ status }, explained] = [await line.exchange.office('health'), await line.exchange.office('explain', line.route)]
      return status === 'ok' && /resume villages/.test((explained as unknown as Explained).turn.en)
    })
    paused.match(await line.exchange.office('health'), { problems: [], paused: [{ en: /villages/ }] }, 'and it is no fault')
    paused.match(await line.exchange.office('explain', line.route), { turn: { en: /resume villages/ } })
    await provider.commandLine('resume', 'villages')
    await flowing(line)
    await equal(paused, line)
  })

  await test.test('a route is paused and resumed', async (paused) => {
    await receiver.command('pause', line.route)
    await until('it says so', async () => (await sinkOf(line))?.state === 'paused')
    await line.source.query(`update villages set name = '再改'`)
    await until('the hub has the change', async () => {
      const { hub, receiver: at } = (await line.exchange.office('explain', line.route)) as unknown as Explained
      return hub.head.seq > at.applied.seq && (await sourceOf(line))?.waiting === 0
    })
    await otherFlows(line, '路停')
    paused.equal(await delivered(line, `name = '再改'`), 0)
    await receiver.program.end()
    receiver.program.start()
    await until('it says so again', async () => (await sinkOf(line))?.state === 'paused')
    await receiver.command('resume', 'villages')
    await flowing(line)
    await equal(paused, line)
    await paused.rejects(receiver.command('pause', 'nothing'), /QZ-NOT-FOUND/)
  })

  await test.test('somebody locks the table, or its queue', async (locked) => {
    const [queue] = (await line.source.query(`select table_name from information_schema.tables where table_name like 'q%villages%'`)).flat()
    const other = await openClient(sourceUrl)
    locked.teardown(() => other.end())
    for (const table of ['villages', `qianzhi.${queue}`]) {
      const lock = () => other.query(`begin; lock table ${table} in access exclusive mode`)
      await holdsOnly(line, lock, () => other.query('commit'), table)
      await equal(locked, line, table)
    }
  })
})

const mariadb = await findMariadb()
t.test('MariaDB', { skip: mariadb ? longer : 'MariaDB is not reachable' }, async (test) => {
  const sourceUrl = await mariadb!.createDatabase()
  test.teardown(() => mariadb!.dropDatabase(sourceUrl))
  const line = await twoTables(test, { server, sourceUrl, rows: 200 })
  const other = await openClient(sourceUrl)
  test.teardown(() => other.end())
  await holdsOnly(
    line,
    () => other.query('lock tables villages write'),
    () => other.query('unlock tables'),
    'villages',
  )
  await equal(test, line)
})

interface Explained {
  hub: { head: { seq: number } }
  receiver: { applied: { seq: number } }
  turn: { en: string }
}

/** Changes are queued while the source is paused, so that the agent meets the lock when it goes on. */
async function holdsOnly(line: Line, lock: () => Promise<unknown>, unlock: () => Promise<unknown>, what: string): Promise<void> {
  await line.provider.command('pause', 'villages')
  await until('it is paused', async () => (await sourceOf(line))?.state === 'paused')
  await line.source.query(`update villages set name = '锁 ${what}'`)
  await lock()
  await line.provider.command('resume', 'villages')
  await faulted(() => sourceOf(line), 'QZ-SOURCE-LOCKED')
  await otherFlows(line, `锁 ${what}`)
  await unlock()
  await flowing(line)
}

/** A change of the other table arrives. */
async function otherFlows({ source, target, table }: Line, name: string): Promise<void> {
  await source.query(`update hamlets set name = '${name}'`)
  const other = table.replace('villages', 'hamlets')
  await until('the other table flows', async () => (await target.query(`select 1 from ${other} where name = '${name}' limit 1`)).length > 0)
}

/** A line with a second table beside the villages. */
async function twoTables(test: Test, options: LineOptions): Promise<Line> {
  const line = await makeLine(test, options)
  const { exchange, provider, receiver } = line
  const hamlets = { ...villagesResource(), resource: 'hamlets', title: '自然村名单', table: 'hamlets' }
  await exchange.publish(hamlets)
  const { provider: from, receiver: to } = line.options
  provider.configure({ ...from, sources: [...from.sources!, { resource: 'hamlets', database: 'front', table: 'hamlets' }] })
  receiver.configure({
    ...to,
    sinks: [...to.sinks!, { resource: 'hamlets', database: 'front', table: line.table.replace('villages', 'hamlets') }],
  })
  await provider.command('setup', '--create-table')
  await exchange.grant('hamlets', receiver, [...villageColumns])
  await line.source.query('insert into hamlets select * from villages limit 50')
  start(line)
  await flowing(line)
  await equal(test, line, 'the first load is complete')
  return line
}

async function delivered({ target, table }: Line, where: string): Promise<number> {
  return Number((await target.query(`select count(*) from ${table} where ${where}`))[0]![0])
}
