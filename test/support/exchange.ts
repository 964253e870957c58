/** A whole exchange for tests, benchmarks and the demonstration: real programs, real configuration files, real databases. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { stringify } from 'yaml'
import type { AgentReport } from '../../protocol/api.ts'
import type { Schema } from '../../protocol/schema.ts'
import { startEmbedded } from '../../hub/store/embedded.ts'
import { openStore } from '../../hub/store/store.ts'
import { hubStore, migrationsHash } from './hub-store.ts'
import { findPostgres, postgresVersion, type TestDatabases } from './postgres.ts'
import { fillPrepared } from './prepared.ts'
import { runHere } from './commands.ts'
import { Program, runProgram, until } from './programs.ts'
import { freePort } from './server.ts'

export type ResourceFile = Omit<Schema, 'version'>

export interface ExchangeOptions {
  /** Folder for everything; a temporary one that is removed at the end where it is not given. */
  folder?: string
  /** Additions to hub.yaml. */
  hub?: object
  /** The hub's own PostgreSQL, as where nothing else is configured. In a folder that is given it is the default; else a database of the run's server is. */
  embedded?: boolean
  /** What agents connect to instead of the hub's own port (a proxy). */
  hubUrl?: (port: number) => string
}

export interface AgentOptions {
  agency: string
  databases: Record<string, { url: string; pace?: number }>
  folders?: Record<string, object>
  carry?: object[]
  sources?: object[]
  sinks?: object[]
  hub?: object
  batchBytes?: number
  /** `log`, `page`, `morning`. */
  settings?: object
}

const insecure = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1 })

export class Exchange {
  readonly folder: string
  readonly port: number
  readonly hub: Program
  readonly agents = new Map<string, TestAgent>()
  readonly #options: ExchangeOptions
  #databases: TestDatabases | undefined

  private constructor(folder: string, port: number, options: ExchangeOptions) {
    this.folder = folder
    this.port = port
    this.#options = options
    this.hub = new Program(['hub/main.ts', 'start', '--config', this.hubFile], join(folder, 'hub.log'))
  }

  static async start(options: ExchangeOptions = {}): Promise<Exchange> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'qianzhi-exchange-'))
    mkdirSync(folder, { recursive: true })
    const exchange = new Exchange(folder, await freePort(), options)
    const config = {
      ...(await exchange.#store()),
      data: './hub',
      listen: { host: '127.0.0.1', port: exchange.port },
      urls: [exchange.url],
      logLevel: 'info',
      ...options.hub,
    }
    writeFileSync(exchange.hubFile, stringify(config))
    exchange.hub.start()
    await exchange.ready()
    return exchange
  }

  /** What hub.yaml says of the store. */
  async #store(): Promise<{ store?: string }> {
    const { folder, hub, embedded } = this.#options
    if (folder !== undefined || (hub && 'store' in hub)) return {}
    if (embedded) {
      await prepareStore(join(this.folder, 'hub'))
      return {}
    }
    this.#databases = await findPostgres()
    return { store: await hubStore(this.#databases) }
  }

  get hubFile(): string {
    return join(this.folder, 'qianzhi-hub.yaml')
  }

  get url(): string {
    return this.#options.hubUrl?.(this.port) ?? `https://127.0.0.1:${this.port}`
  }

  async ready(): Promise<void> {
    await until('the hub answers', async () => {
      if (!this.hub.running) return true
      const answer = await request(`https://127.0.0.1:${this.port}/health`, { dispatcher: insecure })
      await answer.body.dump()
      return true
    })
    if (!this.hub.running) throw new Error(`the hub has ended: ${readFileSync(this.hub.log, 'utf8').slice(-2000)}`)
  }

  /** A `qianzhi-hub` command in this process; its JSON answer. */
  async office(...words: string[]): Promise<Record<string, unknown>> {
    const { stdout } = await runHere(['hub/main.ts', ...words, '--config', this.hubFile, '--json'])
    return JSON.parse(stdout) as Record<string, unknown>
  }

  async publish(resource: ResourceFile, ...words: string[]): Promise<void> {
    const file = join(this.folder, `${resource.resource}.yaml`)
    writeFileSync(file, stringify(resource))
    await this.office('resource', 'publish', file, ...words)
  }

  /** Registers the agency if it is new, writes the agent's configuration, enrols it. It is not started. */
  async enrol(name: string, options: AgentOptions): Promise<TestAgent> {
    await this.office('agency', 'add', options.agency, options.agency).catch(() => undefined)
    const agent = new TestAgent(name, join(this.folder, name), options)
    agent.configure(options)
    const { token } = await this.office('token', options.agency)
    await agent.command('enroll', String(token), '--name', name)
    agent.id = (
      JSON.parse(readFileSync(join(agent.folder, 'data', 'state.json'), 'utf8')) as { identity: { agent: string } }
    ).identity.agent
    this.agents.set(name, agent)
    return agent
  }

  /** Grants items to an agency and routes them to its agent. @returns ids of grant and route. */
  async grant(resource: string, receiver: TestAgent, items: string[]): Promise<{ grant: string; route: string }> {
    const granted = await this.office('grant', 'add', '--resource', resource, '--agency', receiver.agency, '--items', items.join(','))
    const routed = await this.office('route', 'add', String(granted['id']), receiver.id)
    return { grant: String(granted['id']), route: String(routed['id']) }
  }

  async stop(): Promise<void> {
    for (const agent of this.agents.values()) await agent.program.end()
    await this.hub.end()
    await this.#databases?.stop()
    if (!this.#options.folder) rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The hub's own PostgreSQL as its first start makes it. */
async function prepareStore(data: string): Promise<void> {
  if (existsSync(join(data, 'store'))) return
  mkdirSync(data, { recursive: true, mode: 0o700 })
  await fillPrepared(data, `hub-${await postgresVersion()}-${migrationsHash()}`, undefined, async (made) => {
    const store = await startEmbedded(made)
    await (await openStore(store.url, { owner: store.ownerUrl })).close()
    await store.stop()
    const file = join(made, 'store', 'secret.json')
    const secret = JSON.parse(readFileSync(file, 'utf8')) as object
    // Each copy is to find a port of its own.
    writeFileSync(file, JSON.stringify({ ...secret, port: 0 }))
  })
}

export class TestAgent {
  readonly name: string
  readonly folder: string
  readonly agency: string
  readonly program: Program
  id = ''

  constructor(name: string, folder: string, { agency }: AgentOptions) {
    mkdirSync(folder, { recursive: true })
    this.name = name
    this.folder = folder
    this.agency = agency
    this.program = new Program(['agent/main.ts', 'start', '--config', this.configFile], join(folder, 'agent.log'))
  }

  get configFile(): string {
    return join(this.folder, 'qianzhi-agent.yaml')
  }

  configure({ databases, folders, carry, sources = [], sinks = [], hub, batchBytes, settings }: AgentOptions): void {
    const config = {
      data: './data',
      log: { level: 'debug' },
      // Several agents of a machine cannot have the one port of its page.
      page: false,
      databases,
      ...(folders ? { folders } : {}),
      ...(carry ? { carry } : {}),
      sources,
      sinks,
      ...(hub ? { hub } : {}),
      ...(batchBytes ? { batchBytes } : {}),
      ...settings,
    }
    writeFileSync(this.configFile, stringify(config))
  }

  /** A `qianzhi-agent` command in this process. */
  command(...words: string[]): Promise<{ code: number; stdout: string }> {
    return runHere(['agent/main.ts', ...words, '--config', this.configFile])
  }

  /** Sets the resource up at a running agent, as soon as it has the policy that allows it. */
  setUp(resource: string): Promise<unknown> {
    return until(`${this.name} may supply ${resource}`, () => this.command('setup', resource))
  }

  /** The same as a program of its own, as an operator runs it: for tests of the command. */
  commandLine(...words: string[]): Promise<{ code: number; stdout: string }> {
    return runProgram(['agent/main.ts', ...words, '--config', this.configFile])
  }

  /** What the running agent says of itself, or undefined where it does not answer. */
  async report(): Promise<AgentReport | undefined> {
    const { port, secret } = JSON.parse(readFileSync(join(this.folder, 'data', 'control.json'), 'utf8')) as { port: number; secret: string }
    const answer = await request(`http://127.0.0.1:${port}/status`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}` },
      body: '{}',
    })
    return (await answer.body.json()) as AgentReport
  }
}
