/** The receiver at a grant's end: delivered data goes where the grant says so, and the receiver signs that it is gone. */
import t, { type Test } from 'tap'
import { villageColumns } from '../../config-examples/demo/villages.ts'
import type { ListedRoute } from '../../hub/registry/grants/routes.ts'
import { removalReceipt } from '../../protocol/receipt.ts'
import { faulted, flowing, logged, logLength, sinkOf, startLine, type Line, type LineOptions } from '../faults/line.ts'
import { longer } from '../support/longer.ts'
import { openClient } from '../support/client.ts'
import { findMariadb } from '../support/mariadb.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

const count = async ({ target, table }: Line) => Number((await target.query(`select count(*) from ${table}`))[0]![0])
const emptied = (line: Line) => until('the table is empty', async () => (await count(line)) === 0)
const removesAtEnd = (line: Line) => line.store.query(`update access_grant set at_end = 'remove'`)

async function routeOf({ exchange, route }: Line): Promise<ListedRoute> {
  const items = (await exchange.office('route', 'list')) as unknown as ListedRoute[]
  return items.find(({ id }) => id === route)!
}

const receipted = (line: Line) => until('the hub has the receipt', async () => (await routeOf(line)).removed ?? undefined)

/** A line whose grant removes at its end; of MariaDB's the database is dropped in the end. */
async function lineOn(t: Test, engine: string, options: LineOptions = {}): Promise<Line> {
  if (engine === 'PostgreSQL') return startLine(t, { server, ...options })
  const targetUrl = await mariadb!.createDatabase()
  t.teardown(() => mariadb!.dropDatabase(targetUrl))
  return startLine(t, { server, ...options, targetUrl })
}

for (const engine of ['PostgreSQL', 'MariaDB']) {
  const skip = engine === 'MariaDB' && (mariadb ? longer : 'no MariaDB server can be reached')
  t.test(`revoked: the data goes from ${engine}, however often the agent is killed`, { skip }, async (test) => {
    const line = await lineOn(test, engine, { rows: 12_000 })
    await line.target.query(`create view readers as select code from ${line.table}`)
    const { exchange, receiver } = line
    await removesAtEnd(line)
    await exchange.office('grant', 'suspend', line.grant, '--reason', '核查')
    await faulted(() => sinkOf(line), 'QZ-ROUTE-ENDED')
    test.equal(await count(line), 12_000, 'a suspended grant takes nothing away')
    await exchange.office('grant', 'resume', line.grant)
    await flowing(line)

    // The last row is held by a reader of the receiver: the removal begins and cannot end.
    await line.target.query('begin')
    const [[last]] = (await line.target.query(`select max(code) from ${line.table}`)) as [[string]]
    await line.target.query(`select code from ${line.table} where code = '${last}' for update`)
    await exchange.office('grant', 'revoke', line.grant, '--reason', '授权终止')
    const other = await openClient(line.options.receiver.databases['front']!.url)
    test.teardown(() => other.end())
    const left = async () => Number((await other.query(`select count(*) from ${line.table}`))[0]![0])
    await until('some of it is gone', async () => (await left()) < 12_000)
    await receiver.program.end('SIGKILL')
    test.ok((await left()) > 0)
    test.equal((await routeOf(line)).removed, null, 'what is half done is not receipted')
    await line.target.query('rollback')
    receiver.program.start()
    const removed = await receipted(line)
    test.equal(await count(line), 0)
    test.match(removed, { rows: 12_000, tables: [`front/${line.table}`] }, 'the whole count')
    test.same(await line.target.query('select count(*) from readers'), [['0']], "readers' queries do not break")
    const [[key]] = (await line.store.query(`select public_key from agent where id = $1`, [receiver.id])) as [[string]]
    test.match(removalReceipt.open(removed.receipt, key), { route: line.route, removed: 12_000 }, 'signed by the receiver')
    const audit = await line.store.query(`select count(*) from audit_entry where act = 'route.removed' and object = $1`, [line.route])
    test.same(audit, [['1']])
    await until('the policy no longer names it', () => logged(receiver, 'QZ-ROUTE-ENDED'))
  })
}

t.test('expired: the data goes; of another route of the resource it stays; an expiry that is undone brings it back', async (test) => {
  const line = await startLine(test, { server, hub: { supervision: { everySeconds: 1 } } })
  const second = await line.exchange.grant('villages', line.receiver, [villageColumns[0], villageColumns[1]])
  await line.store.query(`update access_grant set at_end = 'remove' where id = $1`, [line.grant])
  await line.exchange.office('grant', 'revoke', line.grant, '--reason', '换发')
  const removed = await receipted(line)
  test.match(removed, { rows: 0 }, 'the later grant has taken the table over')
  await until('what it does not name is gone', async () => {
    const columns = await line.target.query(`select count(*) from ${line.table} where street is not null`)
    return columns[0]![0] === '0'
  })
  test.equal(await count(line), 500)
  line.links.target.drop()
  await line.store.query(`update access_grant set at_end = 'remove', valid_to = now() where id = $1`, [second.grant])
  await until('the agent was told', () =>
    logged(line.receiver, `"route":"${second.route}","resource":"villages","msg":"the grant has ended`),
  )
  line.links.target.resume()
  await emptied(line)
  const stateOf = async () => (await line.store.query('select state from access_grant where id = $1', [second.grant]))[0]![0]
  await until('it is written down', async () => (await stateOf()) === 'expired')
  await line.store.query(`update access_grant set valid_to = now() + interval '1 day' where id = $1`, [second.grant])
  await line.exchange.office('grant', 'reinstate', second.grant, '--reason', '时钟有误')
  await until('the rows are back', async () => (await count(line)) === 500)
})

t.test('kept: nothing is removed', async (test) => {
  const line = await startLine(test, { server })
  await line.exchange.office('grant', 'revoke', line.grant, '--reason', '事由')
  await faulted(() => sinkOf(line), 'QZ-ROUTE-ENDED')
  await line.receiver.program.end()
  line.receiver.program.start()
  await faulted(() => sinkOf(line), 'QZ-ROUTE-ENDED')
  test.equal(await count(line), 500)
  test.match(await routeOf(line), { atEnd: 'keep', removed: null })
})

t.test('an expired policy removes nothing', async (test) => {
  // Eight seconds; it is renewed when half of them are over.
  const line = await startLine(test, { server, hub: { policy: { days: 8 / 86_400 } } })
  const { receiver, links } = line
  await removesAtEnd(line)
  links.target.drop()
  await line.exchange.office('grant', 'revoke', line.grant, '--reason', '事由')
  await until('the agent was told', () => logged(receiver, 'the grant has ended'))
  await receiver.program.end('SIGKILL')
  links.receiverHub.drop()
  await until('what it was told has expired', async () => {
    const rows = await line.store.query(`select expires_at < now() from policy where agent = $1`, [receiver.id])
    return rows[0]![0] === 't'
  })
  links.target.resume()
  const from = logLength(receiver)
  receiver.program.start()
  await until('it says so', () => logged(receiver, '"code":"QZ-POLICY-EXPIRED"', from))
  test.equal(await count(line), 500)
  links.receiverHub.resume()
  await emptied(line)
  test.match(await receipted(line), { rows: 500 })
})
