/** One city for the soak: a hub, a supplying and a receiving agent, PostgreSQL and MariaDB, each with all tables to supply and to receive. */
import type { Test } from 'tap'
import { Random } from '../faults/random.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type AgentOptions, type TestAgent } from '../support/exchange.ts'
import { binlogSettings, startMariadb } from '../support/mariadb.ts'
import { logSettings, startPostgres, type TestDatabaseServer } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { account } from '../support/server.ts'
import { smallDisk, type SmallDisk } from '../support/small-disk.ts'
import { Application, insert } from './applications.ts'
import { createRumours, Neighbour, rumours, rumoursOf } from './neighbour.ts'
import { createTable, resourceOf, tables, type Engine, type Table } from './tables.ts'

/** How the sources' changes are found: `mixed`: chosen for each, and changed now and then. */
export const captures = ['triggers', 'log', 'mixed'] as const
export type CaptureChoice = (typeof captures)[number]

/** A table of one engine that the other one's database receives. */
export interface Pair {
  resource: string
  table: Table
  from: Engine
  to: Engine
}

const engines = ['postgres', 'mysql'] as const
const other = { postgres: 'mysql', mysql: 'postgres' } as const
const writersOfEach = 2

export interface City {
  exchange: Exchange
  provider: TestAgent
  receiver: TestAgent
  servers: Record<Engine, TestDatabaseServer>
  /** Past the proxies. */
  urls: Record<'source' | 'target', Record<Engine, string>>
  links: Record<string, Proxy>
  pairs: readonly Pair[]
  /** Undefined where the sources stay with the capture that they have. Writes the provider's configuration: in force once it was set up and started. */
  moveSource: ((resource: string) => void) | undefined
  /** By resource. */
  routes: ReadonlyMap<string, string>
  neighbour: Neighbour
  /** What the hub took from somebody, or gave to somebody, that it never may. */
  taken: string[]
  applications: readonly Application[]
  /** Where the receiver's wide rows are, on PostgreSQL; undefined where nothing may be mounted. */
  disk: SmallDisk | undefined
  random: Random
  stop(): Promise<void>
}

export async function buildCity(seed: number, capture: CaptureChoice = 'triggers'): Promise<City> {
  const closers: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const close of closers.toReversed()) await close()
  }
  try {
    const random = new Random(seed)
    const logged = capture !== 'triggers'
    const mysql = await startMariadb(logged ? { settings: { ...binlogSettings, 'sync-binlog': '1' } } : {})
    if (!mysql) throw new Error('this soak needs mariadb-server')
    closers.push(() => mysql.stop())
    const postgres = await startPostgres(logged ? { settings: logSettings } : {})
    closers.push(() => postgres.stop())
    const servers = { postgres, mysql }
    const urls = {
      source: { postgres: await postgres.createDatabase(), mysql: await mysql.createDatabase() },
      target: { postgres: await postgres.createDatabase(), mysql: await mysql.createDatabase() },
    }
    const owner = (await account('postgres'))?.uid
    const disk =
      owner === undefined ? undefined : smallDisk({ teardown: (close: () => void) => closers.push(close) } as unknown as Test, owner)
    for (const engine of engines) await fill(urls, engine, disk)
    const exchange = await Exchange.start({ embedded: true })
    closers.push(() => exchange.stop())
    const links: Record<string, Proxy> = {}
    const link = async (name: string, url: string): Promise<string> => {
      const address = new URL(url)
      const proxy = (links[name] = await startProxy({ host: address.hostname, port: Number(address.port) }))
      closers.push(() => proxy.close())
      address.port = String(proxy.port)
      return address.href.replace(/\/$/, '')
    }
    const databases = async (end: 'source' | 'target') => ({
      postgres: { url: await link(`${end}-postgres`, urls[end].postgres) },
      mysql: { url: await link(`${end}-mysql`, urls[end].mysql) },
    })
    const pairs = engines.flatMap((from) => tables.map((table) => ({ resource: `${table.name}_${from}`, table, from, to: other[from] })))
    const chosen = () => (capture === 'mixed' ? random.pick(['triggers', 'log'] as const) : capture)
    const supplied = {
      agency: 'statistics',
      databases: await databases('source'),
      sources: pairs.map(({ resource, table, from }) => ({
        resource,
        database: from,
        table: table.name,
        guard: false,
        capture: chosen(),
      })),
      hub: { urls: [await link('provider-hub', exchange.url)], poll: 2 },
    } satisfies AgentOptions
    const provider = await exchange.enrol('provider', supplied)
    const moveSource = (resource: string): void => {
      const source = supplied.sources.find((one) => one.resource === resource)!
      source.capture = source.capture === 'log' ? 'triggers' : 'log'
      provider.configure(supplied)
    }
    for (const { table, from } of pairs) await exchange.publish(resourceOf(table, from, 'statistics'))
    await provider.command('setup')
    const receiver = await exchange.enrol('receiver', {
      agency: 'civil-affairs',
      databases: await databases('target'),
      sinks: [
        ...pairs.map(({ resource, table, to }) => ({ resource, database: to, table: table.name })),
        { resource: rumours, database: 'postgres', table: rumours },
      ],
      hub: { urls: [await link('receiver-hub', exchange.url)], poll: 2 },
    } satisfies AgentOptions)
    const routes = new Map<string, string>()
    for (const { resource, table } of pairs) {
      const items = table.columns.map(({ id }) => id)
      routes.set(resource, (await exchange.grant(resource, receiver, items)).route)
    }
    const hostile = await exchange.enrol('neighbour', { agency: 'neighbour', databases: {} })
    await exchange.publish(rumoursOf('neighbour'))
    await exchange.grant(rumours, receiver, ['id', 'amount'])
    const neighbour = new Neighbour(hostile)
    closers.push(() => neighbour.close())
    const applications = engines.flatMap((engine) =>
      Array.from({ length: writersOfEach }, (_, i) => new Application(urls.source[engine], i, random.fork())),
    )
    const moves = { moveSource: capture === 'mixed' ? moveSource : undefined }
    return {
      exchange,
      provider,
      receiver,
      servers,
      urls,
      links,
      pairs,
      ...moves,
      routes,
      neighbour,
      taken: [],
      applications,
      disk,
      random,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Tables at both ends, a counter for each application, and some rows. */
async function fill(urls: City['urls'], engine: Engine, disk: SmallDisk | undefined): Promise<void> {
  const [source, target] = [await openClient(urls.source[engine]), await openClient(urls.target[engine])]
  try {
    if (disk && engine === 'postgres') await target.query(`create tablespace small location '${disk.folder}'`)
    for (const table of tables) {
      await source.query(createTable(table, engine))
      await target.query(createTable(table, engine, disk && engine === 'postgres' && table.name === 'wide' ? ' tablespace small' : ''))
    }
    const wide = tables.find(({ name }) => name === 'wide')!
    for (let i = 0; i < writersOfEach; i++)
      await insert(
        source,
        'wide',
        wide.columns.map((_, at) => [-1 - i, null, 0][at] ?? null),
      )
    if (engine === 'postgres') await target.query(createRumours)
    await firstRows(source)
  } finally {
    await Promise.all([source.end(), target.end()])
  }
}

async function firstRows(source: Client): Promise<void> {
  await source.query('begin')
  for (let i = 0; i < 300; i++) {
    await insert(source, 'persons', [`p${i}`, '人', `139${i}`, '1980-01-01', ''])
    await insert(source, 'orders', [(i % 5) + 1, `o${i}`, `p${i}`, i, '1.00', '2026-01-01 00:00:00'])
    await insert(source, 'licences', [`l${i}`, `h${i}`, `90${i}`, '2030-01-01', true])
    await insert(source, 'tree', [`t${i}`, i < 20 ? null : `t${i % 20}`, i, '节点'])
  }
  await source.query('commit')
}
