/**
 * One line for fault tests: hub, provider and receiver as processes, their databases on one PostgreSQL server (or given), a TCP proxy in each of
 * the four links, and an application that writes at the source. Rows are real villages.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { readVillages, villageColumns, villagesResource } from '../../config-examples/demo/villages.ts'
import type { SinkReport, SourceReport } from '../../protocol/api.ts'
import { deliveredTable, loadVillages, settle } from '../flow/real-run.ts'
import { openClient, type Client } from '../support/client.ts'
import { Exchange, type AgentOptions, type ResourceFile, type TestAgent } from '../support/exchange.ts'
import { hubStore } from '../support/hub-store.ts'
import { findPostgres, type TestDatabases } from '../support/postgres.ts'
import { until } from '../support/programs.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'

export interface LineOptions {
  /** Of source and target; the run's where it is not given. The hub's store is always there. */
  server?: Pick<TestDatabases, 'createDatabase'>
  rows?: number
  resource?: ResourceFile
  items?: readonly string[]
  /** Additions to hub.yaml and to the agents' configuration. */
  hub?: object
  provider?: Partial<AgentOptions>
  receiver?: Partial<AgentOptions>
  /** Additions to the one source or sink. */
  source?: object
  sink?: object
  sourceUrl?: string
  targetUrl?: string
}

export interface Line {
  readonly exchange: Exchange
  readonly provider: TestAgent
  readonly receiver: TestAgent
  readonly options: { provider: AgentOptions; receiver: AgentOptions }
  readonly grant: string
  readonly route: string
  /** The application's connection, a reader's, and one to the hub's store: none goes through a proxy. */
  readonly source: Client
  readonly target: Client
  readonly store: Client
  readonly table: string
  /** Past the proxies. */
  readonly targetUrl: string
  readonly links: Record<'providerHub' | 'receiverHub' | 'source' | 'target', Proxy>
}

/** Enrolled, set up, granted and loaded with rows, not started. Stopped at the end of the test. */
export async function makeLine(t: Test, options: LineOptions = {}): Promise<Line> {
  const shared = await findPostgres()
  t.teardown(() => shared.stop())
  const server = options.server ?? shared
  const storeUrl = await hubStore(shared)
  const sourceUrl = options.sourceUrl ?? (await server.createDatabase())
  const targetUrl = options.targetUrl ?? (await server.createDatabase())
  const exchange = await Exchange.start({ hub: { store: storeUrl, ...options.hub } })
  t.teardown(() => exchange.stop())
  const hub = { host: '127.0.0.1', port: exchange.port }
  const links = {
    providerHub: await startProxy(hub),
    receiverHub: await startProxy(hub),
    source: await startProxy(addressOf(sourceUrl)),
    target: await startProxy(addressOf(targetUrl)),
  }
  for (const link of Object.values(links)) t.teardown(() => link.close())
  const table = deliveredTable(targetUrl)
  const agents = {
    provider: {
      agency: 'statistics',
      databases: { front: { url: through(sourceUrl, links.source) } },
      sources: [{ resource: 'villages', database: 'front', table: 'villages', ...options.source }],
      hub: { urls: [`https://127.0.0.1:${links.providerHub.port}`], poll: 2 },
      ...options.provider,
    },
    receiver: {
      agency: 'civil-affairs',
      databases: { front: { url: through(targetUrl, links.target) } },
      sinks: [{ resource: 'villages', database: 'front', table, ...options.sink }],
      hub: { urls: [`https://127.0.0.1:${links.receiverHub.port}`], poll: 2 },
      ...options.receiver,
    },
  }
  const provider = await exchange.enrol('provider', agents.provider)
  await exchange.publish(options.resource ?? villagesResource())
  await provider.command('setup', '--create-table')
  const receiver = await exchange.enrol('receiver', agents.receiver)
  const granted = await exchange.grant('villages', receiver, [...(options.items ?? villageColumns)])
  const [source, target, store] = [await openClient(sourceUrl), await openClient(targetUrl), await openClient(storeUrl)]
  for (const client of [source, target, store]) t.teardown(() => client.end().catch(() => undefined))
  if (options.rows !== 0) await loadVillages(source, readVillages().slice(0, options.rows ?? 500))
  return { exchange, provider, receiver, options: agents, ...granted, source, target, store, table, targetUrl, links }
}

/** A server whose socket is named has the port of that name, too. */
function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname.startsWith('%2F') ? '127.0.0.1' : hostname, port: Number(port) }
}

function through(url: string, proxy: Proxy): string {
  const address = new URL(url)
  address.hostname = '127.0.0.1'
  address.port = String(proxy.port)
  return address.href
}

/** A line whose first load is complete. */
export async function startLine(t: Test, options: LineOptions = {}): Promise<Line> {
  const line = await makeLine(t, options)
  start(line)
  await flowing(line)
  await equal(t, line, 'the first load is complete')
  return line
}

export function start({ provider, receiver }: Line): void {
  provider.program.start()
  receiver.program.start()
}

/** A running agent's word on the one table it supplies; undefined while it does not answer. */
export async function sourceOf({ provider }: Pick<Line, 'provider'>): Promise<SourceReport | undefined> {
  return (await provider.report().catch(() => undefined))?.sources[0]
}

/** The same for the one table that is delivered. */
export async function sinkOf({ receiver }: Pick<Line, 'receiver'>): Promise<SinkReport | undefined> {
  return (await receiver.report().catch(() => undefined))?.sinks[0]
}

/** Both ends say that all is well. */
export async function flowing(line: Line, seconds = 60): Promise<void> {
  let [source, sink] = [await sourceOf(line), await sinkOf(line)]
  try {
    await until(
      'both ends flow',
      async () => {
        ;[source, sink] = [await sourceOf(line), await sinkOf(line)]
        return [source, sink].every((report) => report?.state === 'flowing' && !report.fault)
      },
      seconds,
    )
  } catch (cause) {
    throw new Error(`not flowing: ${JSON.stringify({ source, sink })}`, { cause })
  }
}

/** Asserts that the delivered table becomes equal to the source, row for row. */
export async function equal(t: Test, { source, target, table }: Line, what = 'both ends are equal', seconds = 60): Promise<void> {
  const { missing, surplus } = await settle(source, target, table, seconds)
  t.strictSame({ missing: missing.slice(0, 5), surplus: surplus.slice(0, 5) }, { missing: [], surplus: [] }, what)
}

/** Waits until a source or sink is held for this reason. */
export async function faulted(look: () => Promise<SourceReport | SinkReport | undefined>, code: string, seconds = 60): Promise<void> {
  let last: unknown
  await until(
    `a report says ${code}`,
    async () => {
      const report = await look()
      last = report
      return report?.fault?.code === code && report.state === 'held'
    },
    seconds,
  ).catch((cause: unknown) => {
    throw new Error(`no ${code}, but ${JSON.stringify(last)}`, { cause })
  })
}

/** True where the agent's log names the code after its first `from` characters. */
export function logged(agent: TestAgent, text: string, from = 0): boolean {
  return readFileSync(agent.program.log, 'utf8').slice(from).includes(text)
}

export function logLength(agent: TestAgent): number {
  return readFileSync(agent.program.log, 'utf8').length
}

/** An application that goes on inserting, changing, renaming and deleting villages until it is stopped. */
export class Writer {
  changes = 0
  #stopped = false
  readonly #client: Client
  readonly #done: Promise<void>

  constructor({ source }: Pick<Line, 'source'>) {
    this.#client = source
    this.#done = this.#run()
  }

  async #run(): Promise<void> {
    const code = (n: number) => `8${String(n).padStart(11, '0')}`
    const free = (one: string) => `not exists (select 1 from villages where code = '${one}')`
    for (let n = 0; !this.#stopped; n++) {
      const turn = n >> 2
      const [fresh, next, old] = [code(turn % 97), code(100 + (turn % 89)), code(100 + ((turn + 40) % 89))]
      const statements = [
        `insert into villages select '${fresh}', '新增${n}', '街', '区', '市', '省' where ${free(fresh)}`,
        `update villages set name = '改名${n}' where code like '%${String(n % 100).padStart(2, '0')}'`,
        `update villages set code = '${next}' where code = '${fresh}' and ${free(next)}`,
        `delete from villages where code = '${old}'`,
      ]
      await this.#client.query(statements[n % statements.length]!)
      this.changes++
      await sleep(10)
    }
  }

  async stop(): Promise<number> {
    this.#stopped = true
    await this.#done
    return this.changes
  }
}
