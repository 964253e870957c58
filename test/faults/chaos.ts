/**
 * Rounds of faults, for the crash test and the soak: writers at work, programs and databases killed at a random moment and started again
 * as a service manager would, and both ends compared row by row when the writers rest.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readVillages } from '../../config-examples/demo/villages.ts'
import { connectVillages, deliveredTable, loadVillages, settle } from '../flow/real-run.ts'
import { openClient, type Difference } from '../support/client.ts'
import { Exchange, type ExchangeOptions, type TestAgent } from '../support/exchange.ts'
import type { TestDatabaseServer } from '../support/postgres.ts'
import { until, type Program } from '../support/programs.ts'
import { Random } from './random.ts'
import { Watch } from './watch.ts'
import { Writers } from './writers.ts'

/** Whose process is killed; `store` is the hub's embedded PostgreSQL, which nobody but the hub starts again. */
export const faults = ['provider', 'hub', 'receiver', 'source', 'target', 'store'] as const
export type Fault = (typeof faults)[number]

export interface ChaosOptions {
  seed: number
  source: TestDatabaseServer
  target: TestDatabaseServer
  rows?: number
  exchange?: ExchangeOptions
  /** Additions to the source's configuration. */
  configured?: object
  note?: (line: string) => void
}

/** Seconds for both ends to become equal once nothing breaks any more: the longest back-off, and some work. */
const patience = 90
const writerCount = 4

export class Chaos {
  readonly exchange: Exchange
  readonly provider: TestAgent
  readonly receiver: TestAgent
  readonly route: string
  readonly writers: Writers
  readonly watch: Watch
  readonly random: Random
  readonly source: TestDatabaseServer
  readonly target: TestDatabaseServer
  readonly sourceUrl: string
  readonly targetUrl: string
  readonly table: string
  readonly #note: (line: string) => void

  private constructor(
    options: ChaosOptions,
    parts: Pick<Chaos, 'exchange' | 'provider' | 'receiver' | 'route' | 'sourceUrl' | 'targetUrl'>,
  ) {
    const codes = villages(options).map((row) => row[0]!)
    this.exchange = parts.exchange
    this.provider = parts.provider
    this.receiver = parts.receiver
    this.route = parts.route
    this.source = options.source
    this.target = options.target
    this.sourceUrl = parts.sourceUrl
    this.targetUrl = parts.targetUrl
    this.table = deliveredTable(parts.targetUrl)
    this.random = new Random(options.seed)
    this.writers = new Writers(parts.sourceUrl, writerCount, codes, this.random)
    this.watch = new Watch(parts.targetUrl, this.table)
    this.#note = options.note ?? (() => undefined)
  }

  /** Both ends hold the same first load when it returns. */
  static async start(options: ChaosOptions): Promise<Chaos> {
    const exchange = await Exchange.start({ embedded: true, ...options.exchange })
    try {
      const [sourceUrl, targetUrl] = [await options.source.createDatabase(), await options.target.createDatabase()]
      const connected = await connectVillages(exchange, sourceUrl, targetUrl, options.configured)
      const chaos = new Chaos(options, { exchange, sourceUrl, targetUrl, ...connected })
      await chaos.#firstLoad(villages(options))
      return chaos
    } catch (error) {
      await exchange.stop()
      throw error
    }
  }

  async #firstLoad(rows: string[][]): Promise<void> {
    const client = await openClient(this.sourceUrl)
    await loadVillages(client, rows)
    await client.end()
    await this.writers.insertCounters()
    for (const { program } of [this.provider, this.receiver]) program.start()
    await until('the delivered table is there', () => this.watch.looks > 0)
    this.#note(`first load: ${showDifference(await this.settle())}`)
  }

  /** Writers at work; at a random moment all of `struck` are killed at once, and later started again; then both ends are compared. */
  async round(struck: readonly Fault[], meanwhile?: () => Promise<void>): Promise<Difference> {
    const { random, writers } = this
    const before = performance.now()
    writers.start()
    await writers.pass(random.between(5, 100))
    await this.strike(struck)
    await meanwhile?.()
    await writers.pass(random.between(20, 80))
    await writers.stop()
    const written = performance.now()
    const result = await this.settle()
    const seconds = [(written - before) / 1000, (performance.now() - written) / 1000].map((s) => s.toFixed(1))
    this.#note(`${struck.join(' + ').padEnd(20)} ${seconds[0]} s, equal ${seconds[1]} s later: ${showDifference(result)}`)
    return result
  }

  /** Killed together, started again one after the other, in an order and after a while of the generator's choice. */
  async strike(struck: readonly Fault[]): Promise<void> {
    await Promise.all(struck.map((fault) => this.kill(fault)))
    if (!struck.includes('source') && this.random.chance(0.7)) await this.writers.pass(this.random.between(1, 100))
    for (const fault of struck) await this.revive(fault)
    if (struck.includes('hub') || struck.includes('store')) await this.exchange.ready()
  }

  async kill(fault: Fault): Promise<void> {
    if (fault === 'source' || fault === 'target') await this[fault].kill('SIGKILL')
    else if (fault === 'store') process.kill(this.storePid(), 'SIGKILL')
    else await this.program(fault).end('SIGKILL')
  }

  async revive(fault: Fault): Promise<void> {
    if (fault === 'source' || fault === 'target') await this[fault].restart()
    else if (fault !== 'store') this.program(fault).start()
  }

  program(fault: 'provider' | 'hub' | 'receiver'): Program {
    return fault === 'hub' ? this.exchange.hub : this[fault].program
  }

  get hubFolder(): string {
    return join(this.exchange.folder, 'hub')
  }

  storePid(): number {
    return Number(readFileSync(join(this.hubFolder, 'store', 'cluster', 'postmaster.pid'), 'utf8').split('\n')[0])
  }

  /** Waits until both ends are equal; what differs where they do not become so. */
  async settle(): Promise<Difference> {
    const [source, target] = [await openClient(this.sourceUrl), await openClient(this.targetUrl)]
    try {
      return await settle(source, target, this.table, patience)
    } finally {
      await Promise.all([source.end(), target.end()])
    }
  }

  /** What must hold after any number of rounds besides equality: nobody ended by itself, nothing lies in quarantine, no counter fell. */
  async faultsFound(): Promise<string[]> {
    const found = this.watch.stepsBack.map(({ code, from, to }) => `counter ${code} went back from ${from} to ${to ?? 'nothing'}`)
    found.push(...this.watch.phantoms.map((phantom) => `never committed: ${phantom}`))
    for (const name of ['provider', 'hub', 'receiver'] as const) if (!this.program(name).running) found.push(`${name} has ended`)
    const reports = [await this.provider.report(), await this.receiver.report()]
    const quarantined = reports.flatMap((report) => [...report!.sources, ...report!.sinks]).filter(({ quarantine }) => quarantine > 0)
    found.push(...quarantined.map((entry) => `in quarantine: ${JSON.stringify(entry)}`))
    return found
  }

  async stop(): Promise<void> {
    await this.writers.stop()
    await this.watch.stop()
    await this.exchange.stop()
  }
}

function villages({ rows = 2_000 }: ChaosOptions): string[][] {
  return readVillages().slice(0, rows)
}

export function isEqual({ missing, surplus }: Difference): boolean {
  return missing.length + surplus.length === 0
}

export function showDifference(difference: Difference): string {
  const { rows, missing, surplus } = difference
  if (isEqual(difference)) return `${rows} rows equal`
  const list = (name: string, texts: readonly string[]) => [`${texts.length} ${name}:`, ...texts.slice(0, 20).map((text) => `  ${text}`)]
  return [`${rows} rows at the source`, ...list('missing at the target', missing), ...list('surplus there', surplus)].join('\n')
}
