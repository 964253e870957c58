/** Rows that are looked up by their keys over the whole line: what is there is never taken for gone, at the source or at a receiver. */
import t, { type Test } from 'tap'
import type { Item } from '../../protocol/schema.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type AgentOptions, type ResourceFile, type TestAgent } from '../support/exchange.ts'
import { findMariadb } from '../support/mariadb.ts'
import { startPostgres } from '../support/postgres.ts'
import type { ReconciliationProgress } from '../../protocol/reconciliation.ts'
import { runProgram, until } from '../support/programs.ts'

const server = await startPostgres()
t.teardown(() => server.stop())
const mariadb = await findMariadb()

const item = (id: string, more: Partial<Item>): Item => ({ id, name: id, label: id, type: 'text', openness: 'internal', ...more })

function resource(name: string, items: Item[]): ResourceFile {
  return { resource: name, title: name, agency: 'civil', table: name, items }
}

interface Receiver {
  agent: TestAgent
  client: Client
  table: string
}

/** An exchange whose provider watches one table that is there, and whose receivers have got all of it. */
class Line {
  readonly source: Client
  readonly receivers: Receiver[] = []
  readonly #exchange: Exchange
  readonly #file: ResourceFile
  readonly #select: string
  provider!: TestAgent

  private constructor(exchange: Exchange, source: Client, file: ResourceFile) {
    this.#exchange = exchange
    this.source = source
    this.#file = file
    this.#select = file.items.map(({ name }) => name).join(', ')
  }

  static async start(test: Test, file: ResourceFile, sourceUrl: string, statements: string[], sinks: { url: string; make?: string }[]) {
    const source = await openClient(sourceUrl)
    test.teardown(() => source.end())
    for (const statement of statements) await source.query(statement)
    const exchange = await Exchange.start({ hub: { reconciliation: { every: 0 } } })
    test.teardown(() => exchange.stop())
    const line = new Line(exchange, source, file)
    await line.#provide(sourceUrl)
    for (const sink of sinks) await line.#receive(test, sink)
    await line.equal(test, 'the first load')
    return line
  }

  #enrol(name: string, agency: string, url: string, own: Partial<AgentOptions>): Promise<TestAgent> {
    return this.#exchange.enrol(name, { agency, databases: { front: { url } }, hub: { poll: 2 }, ...own })
  }

  async #provide(url: string): Promise<void> {
    const { resource: name } = this.#file
    this.provider = await this.#enrol('provider', 'civil', url, { sources: [{ resource: name, database: 'front', table: name }] })
    await this.#exchange.publish(this.#file)
    await this.provider.command('setup')
    this.provider.program.start()
  }

  async #receive(test: Test, { url, make }: { url: string; make?: string }): Promise<void> {
    const client = await openClient(url)
    test.teardown(() => client.end())
    if (make) await client.query(make)
    const { resource: name, items } = this.#file
    const table = make ? 'own' : url.startsWith('postgres') ? `delivered.${name}` : name
    const number = this.receivers.length + 1
    const sinks = [{ resource: name, database: 'front', table }]
    const agent = await this.#enrol(`receiver${number}`, `agency${number}`, url, { sinks })
    await this.#exchange.grant(
      name,
      agent,
      items.flatMap(({ id, key }) => (key ? [] : [id])),
    )
    agent.program.start()
    this.receivers.push({ agent, client, table })
  }

  rows(client: Client, table: string): Promise<string[]> {
    return client.query(`select ${this.#select} from ${table}`).then(
      (rows) => rows.map((row) => JSON.stringify(row)).toSorted(),
      () => [],
    )
  }

  async equal(test: Test, what: string): Promise<void> {
    const wanted = await this.rows(this.source, this.#file.resource)
    for (const { client, table } of this.receivers) {
      let found: string[] = []
      await until(what, async () => (found = await this.rows(client, table)).join() === wanted.join(), 30).catch(() => undefined)
      test.same(found, wanted, `${what}: ${table}`)
    }
  }
}

t.test(
  'GBK keys of two columns: an update deletes no row at any receiver, and a delete is one in a GBK table of its own',
  { skip: mariadb ? false : 'no MariaDB server can be reached' },
  async (test) => {
    const [sourceUrl, ownUrl] = [await mariadb!.createDatabase(), await mariadb!.createDatabase()]
    test.teardown(() => Promise.all([mariadb!.dropDatabase(sourceUrl), mariadb!.dropDatabase(ownUrl)]))
    const file = resource('g_place', [
      item('area', { length: 20, key: true, required: true }),
      item('n', { type: 'integer', key: true, required: true }),
      item('v', { length: 20 }),
    ])
    const gbk = `area varchar(20) character set gbk not null, n int not null, v varchar(20) character set gbk, primary key (area, n)`
    const added = 'qz_source varchar(64), qz_position bigint, qz_received_at datetime(6)'
    const line = await Line.start(
      test,
      file,
      sourceUrl,
      [
        `create table g_place (${gbk})`,
        `insert into g_place values ('东莞', 1, '甲'), ('东莞', 2, '甲'), ('莞城', 1, '甲'), ('莞城', 2, '甲'), ('ascii', 1, '甲'), ('ascii', 2, '甲')`,
      ],
      [{ url: await server.createDatabase() }, { url: ownUrl, make: `create table own (${gbk}, ${added})` }],
    )
    await line.source.query(`update g_place set v = '变' where n = 2`)
    await line.equal(test, 'after the update')
    test.equal((await line.rows(line.source, 'g_place')).length, 6)
    await line.source.query(`insert into g_place select concat('城', seq), seq, '新' from seq_1_to_3000`)
    await line.source.query(`update g_place set v = '再' where n % 2 = 0`)
    await line.equal(test, 'after thousands')
    await line.source.query(`delete from g_place where n = 2 or n > 2500`)
    await line.equal(test, 'after the deletes')
  },
)

t.test('a label of the key is renamed between two updates: nothing is lost, and the renamed rows come', async (test) => {
  const file = resource('lamps', [
    item('a', { length: 20, key: true, required: true }),
    item('at', { type: 'timestamptz', key: true, required: true }),
    item('v', { type: 'integer' }),
  ])
  const line = await Line.start(
    test,
    file,
    await server.createDatabase(),
    [
      `create type lamp as enum ('down', 'up', 'off')`,
      'create table lamps (a lamp, at timestamptz, v integer, primary key (a, at))',
      `insert into lamps select a::lamp, '2026-11-22 08:00+08'::timestamptz + n * interval '1 second', n
       from unnest(array['down', 'up', 'off']) a, generate_series(1, 10) n`,
    ],
    [{ url: await server.createDatabase() }],
  )
  await line.source.query(`begin; update lamps set v = -v where a = 'down'; alter type lamp rename value 'down' to 'low';
    update lamps set v = -v where a = 'up'; commit`)
  await line.equal(test, 'after the renaming')
})

t.test('an odd local row at one receiver: reconciliation mends that receiver, and takes no row from the others', async (test) => {
  const file = resource('meters', [
    item('u', { length: 36, key: true, required: true }),
    item('at', { type: 'timestamptz', key: true, required: true }),
    item('v', { type: 'integer' }),
  ])
  const line = await Line.start(
    test,
    file,
    await server.createDatabase(),
    [
      'create table meters (u uuid, at timestamptz, v integer, primary key (u, at))',
      `insert into meters select md5(n::text)::uuid, '2026-11-22 08:00+08'::timestamptz + n * interval '1 second', n from generate_series(1, 20) n`,
    ],
    [{ url: await server.createDatabase() }, { url: await server.createDatabase() }],
  )
  const [one, other] = line.receivers as [Receiver, Receiver]
  for (const { client } of [one, other]) {
    await client.query(`insert into delivered.meters (u, at, v, qz_source, qz_position)
      select 'not-a-uuid', at, v, qz_source, qz_position from delivered.meters limit 1`)
  }
  await one.client.query(`update delivered.meters set v = v + 1000 where v in (select v from delivered.meters order by v limit 5)`)
  const words = ['agent/main.ts', 'reconcile', 'meters', '--json', '--config', one.agent.configFile]
  const { stdout } = await runProgram(words, { failing: true })
  const [run] = JSON.parse(stdout) as [ReconciliationProgress]
  test.match(run, { state: 'equal', statement: { source: { rows: 20 }, target: { rows: 20 }, remaining: 0, moving: 0, quarantined: 0 } })
  test.equal(run.statement!.source.digest, run.statement!.target.digest)
  const wanted = await line.rows(line.source, 'meters')
  test.same(await line.rows(one.client, one.table), wanted, 'mended')
  const left = (await line.rows(other.client, other.table)).filter((row) => !wanted.includes(row))
  test.equal((await line.rows(other.client, other.table)).length, 21, 'the other receiver has all rows')
  test.match(left.join(), /not-a-uuid/, 'and its own local row: nobody told it of one')
})
