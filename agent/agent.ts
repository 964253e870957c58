import type { Logger } from 'pino'
import { codedError, QianzhiError } from '../protocol/errors.ts'
import type { AgentReport } from '../protocol/api.ts'
import { writerLimits } from '../protocol/batch.ts'
import { buildParts, type AgentParts, type AgentSettings } from './agent-parts.ts'
import type { AgentConfig, SourceConfig } from './config/config.ts'
import type { LiveConfig } from './config/live-config.ts'
import { openControl, type Control } from './operator/control.ts'
import { Workers, type WantedWorker } from './runtime/workers.ts'
import { maxQuarantined, onlyReads, type Database, type SinkTable, type SourceTable } from './database.ts'
import { runDelivery, runPolling, runReceipts, type InboundDeps } from './inbound.ts'
import { InboundRoute } from './inbound/route.ts'
import { runFindings, type FindingsDeps } from './operator/findings.ts'
import { runCarriers } from './gaps/carriers.ts'
import { feedsGap, runGapOutlet, type GapOutletDeps } from './gaps/outlet.ts'
import { runOutbound } from './outbound.ts'
import { BatchSize } from './outbound/batch-size.ts'
import type { OutboundDeps } from './outbound/context.ts'
import { openDatabase, type DatabaseOwner } from './databases/open.ts'
import { sourceRules } from './config/source-rules.ts'
import { scanning } from './scans/capture.ts'
import { Wake } from './runtime/wake.ts'

export interface Agent {
  report(): AgentReport
  /** Stops in the order of the data: capture, polling, delivery, receipts. */
  stop(): Promise<void>
}

/** Constructs an enrolled agent and starts its lines; they follow the policy from then on. Throws QZ-NOT-ENROLLED, QZ-DATA-LOCKED. */
export async function startAgent(
  live: LiveConfig,
  logger: Logger,
  version: string,
  logTail: (lines: number) => string[] = () => [],
): Promise<Agent> {
  const running = new RunningAgent({ live, logger, version, logTail })
  await running.start()
  return running
}

/** Lines of a database: changes out of it, scans of it, deliveries into it. */
const lineKinds = ['out', 'scan', 'in'] as const

class RunningAgent implements Agent {
  readonly #parts: AgentParts
  readonly #workers = new Workers()
  readonly #stopping = new AbortController()
  #arranging: Promise<void> = Promise.resolve()
  #services: Promise<void>[] = []
  #control: Control | undefined
  #feeding = false

  constructor(settings: Omit<AgentSettings, 'arrange'>) {
    this.#parts = buildParts({ ...settings, arrange: () => this.#arrange() })
  }

  async start(): Promise<void> {
    const { config, live, logger, board, hub, operator, checkpoints, scanCaptures, status, key, identity } = this.#parts
    this.#control = await openControl(config.data, {
      status: () => status.status(),
      checkpoints: () => (checkpoints.flush(), {}),
      reconcile: async ({ name, repair }) => ({
        runs: await hub.reconcile(name ?? '', repair === undefined ? undefined : repair === 'true'),
      }),
      reconciliation: ({ run }) => hub.reconciliation(run ?? ''),
      resync: ({ name }) => this.#resync(name ?? ''),
      replay: ({ name }) => operator.replay(name ?? ''),
      scan: ({ name }) => (operator.scan(name ?? ''), {}),
      quarantine: ({ name }) => [...scanCaptures].flatMap((capture) => capture.quarantine(name, maxQuarantined)),
      corrections: () => this.#parts.allRoutes().map(({ id, corrections }) => ({ route: id, corrections })),
      trust: ({ name }) => this.#trust(name ?? ''),
      pause: ({ name }) => operator.pause(name ?? ''),
      resume: ({ name }) => operator.resume(name ?? ''),
      confirm: ({ name }) => (operator.confirm(name ?? ''), {}),
    })
    for (const name of Object.keys(config.databases)) await this.#openDatabase(name)
    this.#noteCheckpoint()
    this.#arrange()
    const { signal } = this.#stopping
    this.#services = [runPolling(this.#inbound(), signal), runReceipts(this.#inbound(), signal), runFindings(this.#findings(), signal)]
    this.#feedGap()
    this.#services.push(...runCarriers({ config, identity: identity(), key, board, logger }, signal))
    await status.start()
    live.watch(
      (before) => this.#follow(before),
      (error) => logger.error({ code: error.code, err: error }, 'the configuration file is not taken up, the one before stays in force'),
    )
    logger.info({ agent: identity().agent }, 'agent started')
  }

  report(): AgentReport {
    const { board, hub } = this.#parts
    return board.report(hub.clockOffset)
  }

  async stop(): Promise<void> {
    this.#parts.live.stop()
    const { reconciler, requests, databases, hub, status, checkpoints, logger } = this.#parts
    await this.#arranging
    reconciler.stop()
    await this.#workers.stop((name) => !name.startsWith('in '))
    this.#stopping.abort()
    await this.#workers.stop(() => true)
    await Promise.allSettled(this.#services)
    await requests.stop()
    for (const database of databases.values()) await database.close()
    await hub.close()
    await status.stop()
    await this.#control?.close()
    checkpoints.flush()
    logger.info('agent stopped')
  }

  async #openDatabase(name: string): Promise<void> {
    const { board, config, databases, identity, key, logger } = this.#parts
    const owner: DatabaseOwner = {
      agent: identity().agent,
      key,
      logger,
      note: (database, resource, files) => void (board.source(resource, database).files = files),
    }
    databases.set(name, await openDatabase(config, name, owner))
  }

  /** Another configuration is in force. Lines that it does not concern go on. */
  #follow(before: AgentConfig): void {
    const { config, live, logger } = this.#parts
    const { sources, sinks } = config
    logger.info({ sources: sources.length, sinks: sinks.length, waiting: live.waiting }, 'the configuration file was read again')
    this.#arranging = this.#arranging
      .then(() => this.#exchangeDatabases(before))
      .catch((error) => logger.error({ err: codedError(error) }, 'exchanging databases failed'))
    this.#arrange()
    this.#feedGap()
  }

  /** Those whose entry is another one now are closed, with the lines of theirs, and opened again. */
  async #exchangeDatabases(before: AgentConfig): Promise<void> {
    const { board, config, databases } = this.#parts
    const names = new Set([...Object.keys(before.databases), ...Object.keys(config.databases)])
    const changed = [...names].filter((name) => JSON.stringify(before.databases[name]) !== JSON.stringify(config.databases[name]))
    const theirs = new Set(changed.flatMap((name) => lineKinds.map((kind) => `${kind} ${name}`)))
    await this.#workers.stop((name) => theirs.has(name))
    for (const name of changed) {
      await databases.get(name)?.close()
      databases.delete(name)
      if (config.databases[name]) await this.#openDatabase(name)
    }
    const named = new Set(config.sources.map(({ resource }) => resource))
    for (const { resource } of before.sources) if (!named.has(resource)) board.sources.delete(resource)
  }

  /** The service that feeds one-way gaps runs from when there is one on. */
  #feedGap(): void {
    if (this.#feeding || !feedsGap(this.#parts.config)) return
    this.#feeding = true
    this.#services.push(runGapOutlet(this.#gapOutlet(), this.#stopping.signal))
  }

  /**
   * Brings the running lines to what configuration and policy say now; one arrangement after the other. What has changed is stopped
   * before anything is waited for: a route that was revoked applies no more.
   */
  #arrange(): void {
    const { removals, keeper, logger } = this.#parts
    removals.follow(keeper.policy?.ended ?? [])
    this.#arranging = this.#arranging
      .then(() => this.#arrangeNow())
      .catch((error) => logger.error({ err: codedError(error) }, 'arranging failed'))
    this.#workers.abortChanged(this.#wantedWorkers())
  }

  async #arrangeNow(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    for (const wanted of this.#wantedWorkers()) await this.#workers.replace(wanted)
    this.#parts.tables.noteUnmatched()
    this.#parts.pollAgain.fire()
  }

  #wantedWorkers(): WantedWorker[] {
    const { config, logger, databases, tables, operator, scanCaptures, removals } = this.#parts
    return [...databases].flatMap(([name, database]) => {
      const [sources, sinks] = [tables.sources(name), tables.sinks(name)]
      const keys = sinks.map((sink) => tables.received(sink).keys)
      const watched = sources.filter((source) => !onlyReads(source))
      const read = sources.filter(onlyReads)
      const scans = scanning(database, { folder: config.data, logger, requests: operator.scans, open: scanCaptures })
      const out = (signal: AbortSignal) => runOutbound(this.#outbound(database, watched), signal)
      const scan = (signal: AbortSignal) => runOutbound(this.#outbound(scans, read), signal)
      const into = (signal: AbortSignal) => this.#deliver(database, sinks, signal)
      const ended = removals.pending(name)
      // What the configuration says beyond the tables: guards, snapshots' hours, batches.
      const rules = (of: SourceTable[]) => [of, of.map(({ resource }) => this.#sourceConfig(resource)), config.batchBytes]
      return [
        { name: `out ${name}`, signature: JSON.stringify(rules(watched)), run: watched.length > 0 ? out : undefined },
        { name: `scan ${name}`, signature: JSON.stringify(rules(read)), run: read.length > 0 ? scan : undefined },
        { name: `in ${name}`, signature: JSON.stringify([sinks, keys, ended]), run: sinks.length + ended.length > 0 ? into : undefined },
      ]
    })
  }

  #deliver(database: Database, sinks: readonly SinkTable[], signal: AbortSignal): Promise<void> {
    const { hub, logger, keeper, pollAgain, board, tables, operator, identity, routes: all } = this.#parts
    const { name } = database.options
    const arrived = new Wake()
    const deps = { now: () => hub.now(), logger, pinnedKey: keeper.pinned.bind(keeper), hubKey: identity().hubKey, arrived, pollAgain }
    const routes = sinks.map((sink) => {
      const report = board.sink(sink.route, { resource: sink.resource, database: name, table: sink.table })
      const route = new InboundRoute(tables.received(sink), sink, report, deps)
      route.pause(operator.pauses.route(sink))
      return route
    })
    all.set(name, routes)
    return runDelivery(this.#inbound(), database, routes, arrived, signal).finally(() => all.delete(name))
  }

  #outbound(database: OutboundDeps['database'], sources: readonly SourceTable[]): OutboundDeps {
    const { config, identity, hub, key, keeper, requestedSnapshots, board, logger, operator, drainWaiters, checkpoints, pollAgain, state } =
      this.#parts
    const { agent, hubKey } = identity()
    return {
      database,
      sources,
      agent,
      hubKey: hub.receiptKey ?? hubKey,
      key,
      hub,
      requirePolicy: () => keeper.require(),
      requestedSnapshots,
      board,
      tellHub: () => pollAgain.fire(),
      logger,
      batchSize: new BatchSize(config.batchBytes ?? writerLimits.encoded, state, () => hub.now()),
      operator,
      rules: (resource) => sourceRules(this.#sourceConfig(resource), config.timezone),
      folder: config.data,
      drainWaiters,
      checkpoints,
    }
  }

  #sourceConfig(resource: string): SourceConfig {
    return this.#parts.config.sources.find((source) => source.resource === resource)!
  }

  #inbound(): InboundDeps {
    const { config, identity, key, hub, allRoutes, keeper, requests, requestedSnapshots, board, logger, removals } = this.#parts
    const { pollAgain, receiptsDue } = this.#parts
    return {
      agent: identity().agent,
      key,
      hub,
      routes: allRoutes,
      policySerial: () => keeper.serial,
      takeAsks: (statements) => requests.take(statements),
      takePolicy: (jws) => this.#takePolicy(jws),
      requirePolicy: () => keeper.require(),
      requestedSnapshots,
      board,
      logger,
      pollSeconds: () => config.hub?.poll ?? 15,
      pollAgain,
      receiptsDue,
      removals,
    }
  }

  #gapOutlet(): GapOutletDeps {
    const { config, identity, key, state, allRoutes, policyChanged, board, hub, logger } = this.#parts
    return {
      config,
      identity: identity(),
      key,
      policy: () => state.data.policy?.jws,
      routes: allRoutes,
      policyChanged,
      board,
      now: () => hub.now(),
      logger,
    }
  }

  #findings(): FindingsDeps {
    const { config, databases, allRoutes, tables, board } = this.#parts
    const names = () => (config.describe === false ? [] : [...databases.keys()])
    const sources = () => names().flatMap((name) => tables.sources(name).map((source) => ({ database: name, source })))
    return { databases, routes: allRoutes, sources, board }
  }

  #takePolicy(jws: string): void {
    this.#parts.keeper.take(jws)
    this.#parts.policyChanged.fire()
    this.#noteCheckpoint()
  }

  #noteCheckpoint(): void {
    const { keeper, checkpoints } = this.#parts
    if (keeper.policy) checkpoints.note(keeper.policy.audit, keeper.policy.issued)
  }

  #resync(name: string): { source: boolean; sink: boolean } {
    const done = this.#parts.operator.resync(name)
    if (done.source) this.#parts.hub.renew?.(name)
    return done
  }

  #trust(resource: string): { keys: string[] } {
    const keys = this.#parts.keeper.trust(resource)
    if (keys.length === 0) throw new QianzhiError('QZ-NOT-FOUND', { what: resource })
    this.#parts.pollAgain.fire()
    return { keys }
  }
}
