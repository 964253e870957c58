/** An incompatible version: items vanish, appear (required) and the key changes, at both ends, while the application writes on. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { openClient, tableRows, type Client } from '../support/client.ts'
import { Exchange, type TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { licenceItems, licences, openness, publishVersion } from './standard.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

interface Flow {
  exchange: Exchange
  provider: TestAgent
  receiver: TestAgent
  store: Client
  source: Client
  target: Client
}

const database = async (test: Test, engine: string): Promise<string> => {
  if (engine === 'PostgreSQL') return server.createDatabase()
  const url = await mariadb!.createDatabase()
  test.teardown(() => mariadb!.dropDatabase(url))
  return url
}

/** Two resources of one provider; both flow. */
async function begin(test: Test, engine: string): Promise<Flow> {
  const urls = { store: await hubStore(server), source: await database(test, engine), target: await database(test, engine) }
  const exchange = await Exchange.start({ hub: { store: urls.store } })
  test.teardown(() => exchange.stop())
  const clients = await Promise.all(Object.values(urls).map(openClient))
  test.teardown(() => Promise.all(clients.map((client) => client.end())))
  const [store, source, target] = clients as [Client, Client, Client]
  const other = licences('agri', { resource: 'others', table: 'others', title: '其他许可' })
  const sources = [
    { resource: 'agri.licences', database: 'front', table: 'licences' },
    { resource: 'others', database: 'front', table: 'others' },
  ]
  const provider = await exchange.enrol('provider', {
    agency: 'agri',
    databases: { front: { url: urls.source } },
    sources,
    hub: { poll: 2 },
  })
  const sinks = ['agri.licences', 'others'].map((resource) => ({ resource, database: 'front' }))
  const receiver = await exchange.enrol('receiver', {
    agency: 'culture',
    databases: { front: { url: urls.target } },
    sinks,
    hub: { poll: 2 },
  })
  for (const resource of [licences('agri'), other]) await exchange.publish(resource)
  await provider.command('setup', '--create-table')
  for (const resource of ['agri.licences', 'others']) await exchange.grant(resource, receiver, ['number', 'holder', 'until'])
  provider.program.start()
  receiver.program.start()
  return { exchange, provider, receiver, store, source, target }
}

/** Other table, a new required item, one gone, and another key. */
const next = licences('agri', {
  items: [
    { id: 'serial', name: 'serial', label: '序号', type: 'integer', key: true, required: true, openness },
    { ...licenceItems[0]!, key: false },
    licenceItems[1]!,
    { id: 'category', name: 'category', label: '类别', type: 'text', length: 20, required: true, openness },
  ],
})

for (const engine of ['PostgreSQL', 'MariaDB']) {
  const skip = engine === 'MariaDB' && !mariadb ? 'no MariaDB server can be reached' : false
  t.test(`both ends on ${engine}`, { skip }, async (test) => {
    const flow = await begin(test, engine)
    const { store, source, target, provider, receiver } = flow
    const place = (table: string) => (engine === 'PostgreSQL' ? `delivered.${table}` : table)
    const values = Array.from({ length: 800 }, (_, i) => `('n${i}', 'h${i}', '2030-01-01')`).join(',')
    for (const table of ['licences', 'others']) await source.query(`insert into ${table} values ${values}`)
    const equal = (what: string, table: string, columns: string[], at = place(table), from = table) =>
      until(what, async () => {
        const [there, here] = [await tableRows(target, at, columns), await tableRows(source, from, columns)]
        return there.join() === here.join()
      })
    const old = ['number', 'holder', 'until']
    await equal('the first version is delivered', 'licences', old)
    await equal('and the other resource', 'others', old)

    await publishVersion(store, 2, next, ['number', 'holder', 'category'])
    const held = await until('the provider is held', async () => {
      const report = (await provider.report())?.sources.find(({ resource }) => resource === 'agri.licences')
      return report?.state === 'held' && report.fault
    })
    test.match(
      held,
      { code: 'QZ-SOURCE-TABLE', en: /no column serial, category, which version 2.*needs.*columns: \{/, zh: /缺少列 serial/ },
      'it says which column is missing',
    )
    await source.query(`update others set holder = 'while held'`)
    await equal('the other resource flows meanwhile', 'others', old)
    await source.query(`update licences set holder = 'changed while held' where number < 'n2'`)
    test.same(
      await tableRows(target, place('licences'), ['count(*)', 'count(distinct until)']),
      ['["800","1"]'],
      'readers keep the old version',
    )

    await source.query(
      `alter table licences add column serial ${engine === 'PostgreSQL' ? 'bigserial' : 'bigint not null auto_increment unique'}`,
    )
    await source.query(`alter table licences add column category varchar(20) not null default '甲'`)
    const key =
      engine === 'PostgreSQL' ? 'drop constraint licences_pkey, add primary key (serial)' : 'drop primary key, add primary key (serial)'
    await source.query(`alter table licences ${key}`)
    const asks = await until('the new key asks for set-up', async () => {
      const report = (await provider.report())?.sources.find(({ resource }) => resource === 'agri.licences')
      return report?.fault?.code === 'QZ-SOURCE-NOT-SET-UP' && report.fault
    })
    test.match(asks, { en: /serial.*run qianzhi-agent setup/, zh: /setup/ })
    await provider.setUp('agri.licences')

    const now = ['serial', 'number', 'holder', 'category']
    await equal('the new version is delivered', 'licences', now)
    await until('the column of the vanished item is gone', async () => {
      const columns = await target.query(`select * from ${place('licences')} limit 1`)
      return columns[0]!.length === 4 + 3
    })
    await source.query(`insert into licences (number, holder, category) values ('n1', 'the same number again', '乙')`)
    await source.query(`delete from licences where number = 'n5'`)
    await source.query(`update licences set serial = 100000 where number = 'n6'`)
    await equal('changes follow under the new key', 'licences', now)
    await until('both flow', async () =>
      (await receiver.report())?.sinks.every(({ state, fault, quarantine }) => state === 'flowing' && !fault && quarantine === 0),
    )

    await publishVersion(store, 3, { ...next, table: 'permits' }, ['number', 'holder', 'category'])
    await equal('a table of another name is filled', 'licences', now, place('permits'))
    await source.query(`update licences set holder = 'after the change'`)
    await equal('and goes on', 'licences', now, place('permits'))
    test.same(
      await target.query(`select count(*) from ${place('licences')} where holder = 'after the change'`),
      [['0']],
      'the old one is left',
    )
    test.match(readFileSync(receiver.program.log, 'utf8'), /the table has another name now/, 'as the log says')
    test.notMatch(readFileSync(receiver.program.log, 'utf8'), /QZ-BATCH-ITEM|QZ-SINK-TABLE/, 'nothing of another version was ever offered')
  })
}
