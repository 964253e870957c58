/** Sources that are only read, through the whole line: a view, a SELECT with a join, a table without a key, a watermark; read-only account. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type ResourceFile, type TestAgent } from '../support/exchange.ts'
import { longer } from '../support/longer.ts'
import { findMariadb } from '../support/mariadb.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres } from '../support/postgres.ts'
import { until } from '../support/programs.ts'

const server = await findPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

const everySecond = '* * * * * *'
const compare = { schedule: everySecond }

function resource(name: string): ResourceFile {
  const text = (id: string, length: number) => ({ id, name: id, label: id, type: 'text' as const, length, openness: 'internal' as const })
  return {
    resource: name,
    title: name,
    agency: 'land',
    table: name,
    items: [{ ...text('id', 20), key: true, required: true }, text('name', 50)],
  }
}

const sources = [
  // Not before the year is over: it is scanned when asked.
  { resource: 'viewed', table: 'seen', capture: 'compare', compare: { schedule: '0 0 1 1 *' } },
  {
    resource: 'selected',
    table: 'houses with their towns',
    query: "select h.id, concat(t.name, h.name) as name from houses h join towns t on t.code = h.town where h.name <> 'hidden' -- 说明",
    capture: 'compare',
    compare,
  },
  { resource: 'keyless', table: 'plain', capture: 'compare', compare },
  {
    resource: 'marked',
    table: 'events',
    capture: 'watermark',
    watermark: { column: 'changed', overlap: 3600, schedule: everySecond },
  },
].map((source) => ({ ...source, database: 'front' }))

const tables = [
  'create table towns (code varchar(10) not null primary key, name varchar(20))',
  'create table houses (id varchar(20) not null primary key, name varchar(50), town varchar(10))',
  'create table plain (id varchar(20), name varchar(50))',
  'create table events (id varchar(20) not null primary key, name varchar(50), changed timestamp(6) null)',
  "create view seen as select id, name from houses where town = 'n'",
  "insert into towns values ('n', '北'), ('s', '南')",
  "insert into houses values ('1', 'a', 'n'), ('2', 'b', 's'), ('3', 'c', 'n'), ('4', 'hidden', 'n')",
  "insert into plain values ('1', 'x'), ('2', 'y'), ('2', 'z'), ('3', null)",
  "insert into events values ('1', 'x', '2026-01-01 08:00:00.5'), ('2', 'y', '2026-01-01 08:00:01'), ('3', 'unmarked', null)",
]

for (const engine of ['PostgreSQL', 'MariaDB']) {
  const skip = engine === 'MariaDB' && (mariadb ? longer : 'no MariaDB server can be reached')
  t.test(`from ${engine}, with an account that may only read`, { skip }, async (t) => {
    const url = engine === 'MariaDB' ? await mariadb!.createDatabase() : await server.createDatabase()
    if (engine === 'MariaDB') t.teardown(() => mariadb!.dropDatabase(url))
    const [targetUrl, storeUrl] = [await server.createDatabase(), await hubStore(server)]
    const [application, target] = [await openClient(url), await openClient(targetUrl)]
    t.teardown(() => Promise.all([application.end(), target.end()]))
    for (const statement of tables) await application.query(statement)
    const exchange = await Exchange.start({ hub: { store: storeUrl } })
    t.teardown(() => exchange.stop())
    const provider = await exchange.enrol('provider', {
      agency: 'land',
      databases: { front: { url: await readOnly(application, url, engine) } },
      sources,
      hub: { poll: 2 },
    })
    for (const { resource: name } of sources) await exchange.publish(resource(name))
    const { stdout } = await provider.command('setup', '--lang', 'en')
    t.match(stdout, /viewed: seen is only read \(compare\); nothing is made in the database/)
    t.match(stdout, /watermark sees neither deletes/)
    t.match(stdout, /1 row without changed/)
    const sinks = sources.map(({ resource: name }) => ({ resource: name, database: 'front' }))
    const receiver = await exchange.enrol('receiver', { agency: 'tax', databases: { front: { url: targetUrl } }, sinks, hub: { poll: 2 } })
    for (const { resource: name } of sources) await exchange.grant(name, receiver, ['id', 'name'])
    for (const agent of [provider, receiver]) agent.program.start()
    await follow(t, { application, target, provider })
    await doctor(t, provider)
    await stopAndForget(t, provider)
    provider.configure({
      agency: 'land',
      databases: { front: { url } },
      sources: [{ resource: 'keyless', database: 'front', table: 'plain' }],
    })
    await t.rejects(provider.command('setup', 'keyless', '--lang', 'en'), /capture: compare for this source/, 'triggers need a key')
  })
}

interface Ends {
  application: Client
  target: Client
  provider: TestAgent
}

async function readOnly(application: Client, url: string, engine: string): Promise<string> {
  const name = `reader${Date.now() % 1e8}`
  const account = engine === 'MariaDB' ? `${name}@'%'` : name
  await application.query(
    engine === 'MariaDB' ? `create user ${account} identified by 'secret'` : `create role ${name} login password 'secret'`,
  )
  for (const table of ['towns', 'houses', 'plain', 'events', 'seen']) await application.query(`grant select on ${table} to ${account}`)
  const address = new URL(url)
  address.username = name
  address.password = 'secret'
  return address.href
}

async function follow(t: Test, { application, target, provider }: Ends): Promise<void> {
  const holds = async (name: string, rows: string[]) => {
    let found: string[] = []
    await until(`${name} holds ${rows.join(' ')}`, async () => {
      found = (await target.query(`select id, name from delivered.${name} order by id`)).map((row) => row.join('='))
      return found.join(' ') === rows.join(' ')
    }).catch((error: unknown) => t.fail(`${name}: ${found.join(' ')}`, { error }))
    t.same(found, rows, name)
  }
  await holds('viewed', ['1=a', '3=c', '4=hidden'])
  await holds('selected', ['1=北a', '2=南b', '3=北c'])
  await holds('keyless', ['1=x', '3='])
  await holds('marked', ['1=x', '2=y', '3=unmarked'])
  t.equal((await provider.report())?.sources.find(({ resource: name }) => name === 'keyless')?.quarantine, 1, 'the key of two rows')

  for (const statement of [
    "update houses set name = 'A' where id = '1'",
    "delete from houses where id = '3'",
    "insert into houses values ('5', 'e', 's')",
    "update towns set name = '南方' where code = 's'",
    "delete from plain where name = 'z'",
    "update plain set name = 'w' where id = '3'",
    "insert into events values ('4', 'new', '2026-01-01 08:00:02')",
    "update events set name = 'Y', changed = '2026-01-01 08:00:03' where id = '2'",
    "delete from events where id = '1'",
  ])
    await application.query(statement)
  await provider.commandLine('scan', 'viewed')
  await holds('viewed', ['1=A', '4=hidden'])
  await holds('selected', ['1=北A', '2=南方b', '5=南方e'])
  await holds('keyless', ['1=x', '2=y', '3=w'])
  await holds('marked', ['1=x', '2=Y', '3=unmarked', '4=new'])
  await application.query("insert into events values ('0', 'late', '2026-01-01 07:30:00')")
  await holds('marked', ['0=late', '1=x', '2=Y', '3=unmarked', '4=new'])
}

async function doctor(t: Test, provider: TestAgent): Promise<void> {
  const { stdout } = await provider.command('doctor', '--json').catch((error: Error) => ({ stdout: /\[.*\]/s.exec(error.message)![0] }))
  const checks = JSON.parse(stdout) as { name: string; ok: boolean; en: string }[]
  const failed = checks.filter(({ ok }) => !ok).map(({ en }) => en)
  t.same(failed, ['1 row without changed: changes of such are not seen'])
}

async function stopAndForget(t: Test, provider: TestAgent): Promise<void> {
  const store = join(provider.folder, 'data', 'scans', 'viewed.sqlite')
  t.ok(existsSync(store))
  await t.rejects(provider.command('teardown', 'viewed'), /QZ-DATA-LOCKED/)
  await provider.program.end()
  await provider.command('teardown', 'viewed')
  t.notOk(existsSync(store))
}
