/** Several agencies supply one data standard into one table of a receiver: loading at once, restarting, joining later, ending. */
import t, { type Test } from 'tap'
import type { Item } from '../../protocol/schema.ts'
import { longer } from '../support/longer.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { adopt, licenceItems, licences, publishVersion } from './standard.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()
const items = licenceItems.map(({ id }) => id)

interface Provider {
  agency: string
  agent: TestAgent
  source: Client
  grant: string
}

async function provide(test: Test, exchange: Exchange, receiver: TestAgent, agency: string, rows: number): Promise<Provider> {
  const url = await server.createDatabase()
  const source = await openClient(url)
  test.teardown(() => source.end())
  const { resource } = licences(agency)
  const sources = [{ resource, database: 'front', table: 'licences' }]
  const agent = await exchange.enrol(`front-${agency}`, { agency, databases: { front: { url } }, sources, hub: { poll: 2 } })
  await exchange.publish(licences(agency))
  await agent.command('setup', '--create-table')
  await source.query(`insert into licences select 'n' || i, '${agency}' || i, '2030-01-01' from generate_series(1, ${rows}) i`)
  const { grant } = await exchange.grant(resource, receiver, items)
  return { agency, agent, source, grant }
}

for (const engine of ['PostgreSQL', 'MariaDB']) {
  const skip = engine === 'MariaDB' && (mariadb ? longer : 'no MariaDB server can be reached')
  t.test(`one table on ${engine}`, { skip }, async (test) => {
    const [storeUrl, targetUrl] = [
      await hubStore(server),
      engine === 'MariaDB' ? await mariadb!.createDatabase() : await server.createDatabase(),
    ]
    if (engine === 'MariaDB') test.teardown(() => mariadb!.dropDatabase(targetUrl))
    const exchange = await Exchange.start({ hub: { store: storeUrl } })
    test.teardown(() => exchange.stop())
    const [store, target] = [await openClient(storeUrl), await openClient(targetUrl)]
    test.teardown(() => Promise.all([store.end(), target.end()]))
    const sinks = [{ standard: 'permits', database: 'front', columns: { until: 'valid_until' } }]
    const receiver = await exchange.enrol('receiver', {
      agency: 'supervision',
      databases: { front: { url: targetUrl } },
      sinks,
      hub: { poll: 2 },
    })
    const [a, b] = [await provide(test, exchange, receiver, 'agri', 3_000), await provide(test, exchange, receiver, 'building', 2_000)]
    await adopt(store, 'permits', ['agri.licences', 'building.licences'])

    const table = engine === 'MariaDB' ? 'licences' : 'delivered.licences'
    const held = async () =>
      (await target.query(`select qz_source, count(*) from ${table} group by qz_source order by qz_source`))
        .map((row) => row.join(' '))
        .join(', ')
    const holds = (expected: string) => until(`the table holds ${expected}`, async () => (await held()) === expected)

    let culture: Provider | undefined
    for (const agent of [receiver, a.agent, b.agent]) agent.program.start()
    await holds('agri 3000, building 2000')
    const same = await target.query(`select qz_source, holder, valid_until from ${table} where number = 'n7' order by qz_source`)
    test.match(
      same,
      [
        ['agri', 'agri7', /^2030-01-01/],
        ['building', 'building7', /^2030-01-01/],
      ],
      'the same number twice, each with its source',
    )

    await test.test('one is filled anew, and damaged rows are mended, while the other flows', async (t) => {
      await target.query(`update ${table} set holder = 'damaged' where qz_source = 'agri'`)
      await target.query(`delete from ${table} where qz_source = 'agri' and number = 'n1'`)
      const resync = receiver.command('resync', 'agri.licences')
      await b.source.query(`update licences set holder = 'later' where number <= 'n2'`)
      await b.source.query(`delete from licences where number = 'n7'`)
      await resync
      await holds('agri 3000, building 1999')
      await until(
        'nothing is damaged',
        async () => (await target.query(`select count(*) from ${table} where holder = 'damaged'`))[0]![0] === '0',
      )
      const expected = (await b.source.query(`select count(*) from licences where holder = 'later'`))[0]![0]
      await until('the other has its changes', async () => {
        return (await target.query(`select count(*) from ${table} where holder = 'later' and qz_source = 'building'`))[0]![0] === expected
      })
      t.pass()
    })

    await test.test('each is reconciled with its own rows of the table', { skip: longer }, async (t) => {
      const { stdout } = await receiver.command('reconcile', 'agri.licences', '--no-repair', '--json')
      t.match(JSON.parse(stdout), [{ state: 'equal', statement: { source: { rows: 3_000 }, target: { rows: 3_000 } } }])
      await target.query(`update ${table} set holder = 'edited' where qz_source = 'building' and number = 'n3'`)
      const { stdout: other } = await b.agent.command('reconcile', 'building.licences', '--repair', '--json')
      t.match(JSON.parse(other), [{ state: 'equal', statement: { target: { rows: 1_999 }, repaired: 1 } }])
    })

    await test.test('a later adopter needs no other configuration', async (t) => {
      const c = await provide(test, exchange, receiver, 'culture', 500)
      culture = c
      await adopt(store, 'permits', ['culture.licences'])
      c.agent.program.start()
      await holds('agri 3000, building 1999, culture 500')
      const report = await until('all three flow', async () => {
        const sinks = (await receiver.report())?.sinks ?? []
        return sinks.length === 3 && sinks.every(({ state }) => state === 'flowing') && sinks
      })
      t.same(new Set(report.map((sink) => sink.table)).size, 1)
    })

    await test.test("the end of one takes its rows and nobody else's", async () => {
      await store.query(`update access_grant set at_end = 'remove' where id = $1`, [a.grant])
      await exchange.office('grant', 'revoke', a.grant, '--reason', '终止')
      await holds('building 1999, culture 500')
      await b.source.query(`insert into licences values ('n7', 'again', null)`)
      await holds('building 2000, culture 500')
    })

    await test.test('a key that cannot change under the rows of others waits until they are gone', async (t) => {
      const { source, agent } = culture!
      await source.query('alter table licences alter holder set not null, add unique (holder)')
      const [number, holder, until_] = licenceItems as [Item, Item, Item]
      const form = licences('culture', { items: [{ ...number, key: false }, { ...holder, key: true }, until_] })
      await publishVersion(store, 2, form, items)
      await until('its triggers were made for the old key', async () => {
        return (await agent.report())?.sources[0]?.fault?.code === 'QZ-SOURCE-NOT-SET-UP'
      })
      await agent.setUp('culture.licences')
      const fault = await until('its route is held', async () => {
        const report = (await receiver.report())?.sinks.find(({ resource }) => resource === 'culture.licences')
        return report?.state === 'held' && report.fault?.code === 'QZ-SINK-TABLE' && report.fault
      })
      t.match(fault, { en: /needs another table name/, zh: /数据标准须换表名/ })
      await b.source.query(`insert into licences values ('n8000', 'meanwhile', null)`)
      await holds('building 2001, culture 500')
      await source.query(`insert into licences values ('n501', 'culture501', null)`)
      await store.query(`update access_grant set at_end = 'remove' where id = $1`, [b.grant])
      await exchange.office('grant', 'revoke', b.grant, '--reason', '终止')
      await holds('culture 501')
      await source.query(`delete from licences where holder = 'culture1'`)
      await holds('culture 500')
    })
  })
}
