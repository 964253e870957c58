import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { codedError, QianzhiError } from '../protocol/errors.ts'
import type { Position } from '../protocol/position.ts'
import type { AgentReport } from '../protocol/api.ts'
import { writerLimits } from '../protocol/batch.ts'
import { Checkpoints } from './hub/checkpoints.ts'
import { HubRequests } from './operator/hub-requests.ts'
import type { AgentConfig } from './config/config.ts'
import { ActiveTables } from './active-tables.ts'
import { openControl, type Control } from './operator/control.ts'
import { Workers, type WantedWorker } from './runtime/workers.ts'
import { StatusService } from './status/status-service.ts'
import { databaseChecks, passed, policyCheck } from './operator/doctor.ts'
import { maxQuarantined, onlyReads, type Check, type Database, type SinkTable, type SourceTable } from './database.ts'
import { openHub } from './gaps/open-hub.ts'
import type { Hub } from './hub.ts'
import { runDelivery, runPolling, runReceipts, type InboundDeps } from './inbound.ts'
import { InboundRoute } from './inbound/route.ts'
import { runFindings, type FindingsDeps } from './operator/findings.ts'
import { runCarriers } from './gaps/carriers.ts'
import { feedsGap, runGapOutlet, type GapOutletDeps } from './gaps/outlet.ts'
import { runOutbound } from './outbound.ts'
import { DrainWaitersByResource } from './outbound/drain-waiters.ts'
import { openDatabase, type DatabaseOwner } from './databases/open.ts'
import { PolicyStore } from './hub/policy-store.ts'
import { Operator } from './operator/operator.ts'
import { LastReconciliations } from './status/last-reconciliations.ts'
import { Reconciler } from './reconciliation/reconciler.ts'
import { Removals } from './inbound/removals.ts'
import { sourceRules } from './config/source-rules.ts'
import { scanning, type ScanCapture } from './scans/capture.ts'
import { openKey, openState, requireIdentity } from './runtime/state.ts'
import { StatusBoard } from './status/board.ts'
import { Wake } from './runtime/wake.ts'

export interface Agent {
  report(): AgentReport
  /** Stops in the order of the data: capture, polling, delivery, receipts. */
  stop(): Promise<void>
}

/** Constructs an enrolled agent and starts its lines; they follow the policy from then on. Throws QZ-NOT-ENROLLED, QZ-DATA-LOCKED. */
export async function startAgent(
  config: AgentConfig,
  logger: Logger,
  version: string,
  logTail: (lines: number) => string[] = () => [],
): Promise<Agent> {
  const running = new RunningAgent(config, logger, version, logTail)
  await running.start()
  return running
}

class RunningAgent implements Agent {
  readonly #config: AgentConfig
  readonly #logger: Logger
  readonly #board: StatusBoard
  readonly #state
  readonly #hub: Hub
  readonly #key
  readonly #keeper: PolicyStore
  readonly #answers: HubRequests
  readonly #tables: ActiveTables
  readonly #drainWaiters = new DrainWaitersByResource()
  readonly #reconciling: Reconciler
  readonly #databases = new Map<string, Database>()
  readonly #workers = new Workers()
  readonly #local: StatusService
  readonly #routes = new Map<string, InboundRoute[]>()
  readonly #requestedSnapshots = new Map<string, Position | null>()
  readonly #pollAgain = new Wake()
  readonly #receiptsDue = new Wake()
  readonly #policyChanged = new Wake()
  readonly #removals: Removals
  readonly #stopping = new AbortController()
  readonly #operator: Operator
  readonly #scanCaptures = new Set<ScanCapture>()
  readonly #checkpoints: Checkpoints
  #arranging: Promise<void> = Promise.resolve()
  #services: Promise<void>[] = []
  #control: Control | undefined

  constructor(config: AgentConfig, logger: Logger, version: string, logTail: (lines: number) => string[]) {
    this.#config = config
    this.#logger = logger
    this.#board = new StatusBoard(version, randomUUID())
    this.#state = openState(config.data)
    this.#operator = new Operator({
      config,
      state: this.#state,
      board: this.#board,
      routes: () => this.#allRoutes(),
      pollAgain: this.#pollAgain,
      logger,
    })
    this.#checkpoints = new Checkpoints(config.data, (error) => logger.warn({ err: codedError(error) }, 'audit checkpoints not written'))
    const identity = requireIdentity(this.#state)
    this.#key = openKey(config.data)
    this.#hub = openHub({ config, identity, key: this.#key, policy: () => this.#keeper.policy, logger })
    this.#removals = new Removals({
      databases: Object.keys(config.databases),
      now: () => this.#hub.now(),
      logger,
      receiptsDue: this.#receiptsDue,
    })
    this.#keeper = new PolicyStore(
      this.#state,
      () => this.#hub.now(),
      () => this.#arrange(),
    )
    this.#tables = new ActiveTables({ config, board: this.#board, policy: () => this.#keeper.policy, now: () => this.#hub.now() })
    const reconciled = new LastReconciliations(this.#state, () => this.#hub.now())
    this.#reconciling = new Reconciler({
      config,
      databases: this.#databases,
      policy: () => this.#keeper.policy,
      board: this.#board,
      drainWaiters: this.#drainWaiters,
      key: this.#key,
      now: () => this.#hub.now(),
      logger,
      removeRows: (id, choose) => {
        const route = this.#allRoutes().find((one) => one.id === id)
        if (!route) throw new QianzhiError('QZ-ROUTE-ENDED', { route: id, reason: '未在接收 / it is not being received' })
        return route.removeRows(choose)
      },
      signed: (side, statement) => reconciled.note(side, statement),
    })
    this.#local = new StatusService({
      config,
      state: this.#state,
      board: this.#board,
      hub: this.#hub,
      keeper: this.#keeper,
      reconciled,
      routes: () => this.#allRoutes(),
      scans: () => [...this.#scanCaptures].flatMap((capture) => capture.times()),
      pollAgain: this.#pollAgain,
      logger,
    })
    this.#answers = new HubRequests({
      agent: identity.agent,
      hubKey: identity.hubKey,
      now: () => this.#hub.now(),
      send: (answer, signal) => this.#hub.answer(answer, signal),
      config,
      databases: this.#databases,
      policy: () => this.#keeper.policy,
      doctor: () => this.#doctor(),
      logTail,
      operate: {
        pause: (name) => this.#operator.pause(name),
        resume: (name) => this.#operator.resume(name),
        confirm: (name) => this.#operator.confirm(name),
      },
      reconciling: this.#reconciling,
      logger,
    })
  }

  async start(): Promise<void> {
    const operator = this.#operator
    this.#control = await openControl(this.#config.data, {
      status: () => this.#local.status(),
      checkpoints: () => (this.#checkpoints.flush(), {}),
      reconcile: async ({ name, repair }) => ({
        runs: await this.#hub.reconcile(name ?? '', repair === undefined ? undefined : repair === 'true'),
      }),
      reconciliation: ({ run }) => this.#hub.reconciliation(run ?? ''),
      resync: ({ name }) => this.#resync(name ?? ''),
      replay: ({ name }) => operator.replay(name ?? ''),
      scan: ({ name }) => (operator.scan(name ?? ''), {}),
      quarantine: ({ name }) => [...this.#scanCaptures].flatMap((capture) => capture.quarantine(name, maxQuarantined)),
      trust: ({ name }) => this.#trust(name ?? ''),
      pause: ({ name }) => operator.pause(name ?? ''),
      resume: ({ name }) => operator.resume(name ?? ''),
      confirm: ({ name }) => (operator.confirm(name ?? ''), {}),
    })
    const owner: DatabaseOwner = {
      agent: requireIdentity(this.#state).agent,
      key: this.#key,
      logger: this.#logger,
      note: (database, resource, files) => void (this.#board.source(resource, database).files = files),
    }
    for (const name of Object.keys(this.#config.databases)) this.#databases.set(name, await openDatabase(this.#config, name, owner))
    this.#noteCheckpoint()
    this.#arrange()
    const { signal } = this.#stopping
    this.#services = [runPolling(this.#inbound(), signal), runReceipts(this.#inbound(), signal), runFindings(this.#findings(), signal)]
    if (feedsGap(this.#config)) this.#services.push(runGapOutlet(this.#gapOutlet(), signal))
    const parts = { config: this.#config, identity: requireIdentity(this.#state), key: this.#key, board: this.#board, logger: this.#logger }
    this.#services.push(...runCarriers(parts, signal))
    await this.#local.start()
    this.#logger.info({ agent: requireIdentity(this.#state).agent }, 'agent started')
  }

  async #doctor(): Promise<Check[]> {
    const { agent, agency } = requireIdentity(this.#state)
    const seconds = Math.round(this.#hub.clockOffset / 1000)
    const { policy } = this.#keeper
    const checks: Check[] = [
      passed('enrolment', `代理 ${agent},机关单位 ${agency}`, `agent ${agent} of ${agency}`),
      passed('hub', `连接与证书正常,时钟差 ${seconds} 秒`, `connection and certificate are good, clock offset ${seconds} s`),
      policyCheck(policy),
    ]
    for (const database of this.#databases.values()) checks.push(...(await databaseChecks(this.#config, database, policy)))
    return checks
  }

  report(): AgentReport {
    return this.#board.report(this.#hub.clockOffset)
  }

  #allRoutes(): InboundRoute[] {
    return [...this.#routes.values()].flat()
  }

  async stop(): Promise<void> {
    await this.#arranging
    this.#reconciling.stop()
    await this.#workers.stop((name) => !name.startsWith('in '))
    this.#stopping.abort()
    await this.#workers.stop(() => true)
    await Promise.allSettled(this.#services)
    await this.#answers.stop()
    for (const database of this.#databases.values()) await database.close()
    await this.#hub.close()
    await this.#local.stop()
    await this.#control?.close()
    this.#checkpoints.flush()
    this.#logger.info('agent stopped')
  }

  /**
   * Brings the running lines to what configuration and policy say now; one arrangement after the other. What has changed is stopped
   * before anything is waited for: a route that was revoked applies no more.
   */
  #arrange(): void {
    this.#removals.follow(this.#keeper.policy?.ended ?? [])
    this.#arranging = this.#arranging
      .then(() => this.#arrangeNow())
      .catch((error) => this.#logger.error({ err: codedError(error) }, 'arranging failed'))
    this.#workers.abortChanged(this.#wantedWorkers())
  }

  async #arrangeNow(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    for (const wanted of this.#wantedWorkers()) await this.#workers.replace(wanted)
    this.#tables.noteEnded()
    this.#pollAgain.fire()
  }

  #wantedWorkers(): WantedWorker[] {
    return [...this.#databases].flatMap(([name, database]) => {
      const [sources, sinks] = [this.#tables.sources(name), this.#tables.sinks(name)]
      const keys = sinks.map((sink) => this.#tables.received(sink).keys)
      const watched = sources.filter((source) => !onlyReads(source))
      const read = sources.filter(onlyReads)
      const scans = scanning(database, {
        folder: this.#config.data,
        logger: this.#logger,
        requests: this.#operator.scans,
        open: this.#scanCaptures,
      })
      const out = (signal: AbortSignal) => runOutbound(this.#outbound(database, watched), signal)
      const scan = (signal: AbortSignal) => runOutbound(this.#outbound(scans, read), signal)
      const into = (signal: AbortSignal) => this.#deliver(database, sinks, signal)
      const ended = this.#removals.pending(name)
      return [
        { name: `out ${name}`, signature: JSON.stringify(watched), run: watched.length > 0 ? out : undefined },
        { name: `scan ${name}`, signature: JSON.stringify(read), run: read.length > 0 ? scan : undefined },
        { name: `in ${name}`, signature: JSON.stringify([sinks, keys, ended]), run: sinks.length + ended.length > 0 ? into : undefined },
      ]
    })
  }

  #deliver(database: Database, sinks: readonly SinkTable[], signal: AbortSignal): Promise<void> {
    const arrived = new Wake()
    const context = {
      now: () => this.#hub.now(),
      logger: this.#logger,
      pinnedKey: this.#keeper.pinned.bind(this.#keeper),
      arrived,
      pollAgain: this.#pollAgain,
    }
    const routes = sinks.map((sink) => {
      const report = this.#board.sink(sink.route, { resource: sink.resource, database: database.options.name, table: sink.table })
      const route = new InboundRoute(this.#tables.received(sink), sink, report, context)
      route.pause(this.#operator.pauses.route(sink))
      return route
    })
    this.#routes.set(database.options.name, routes)
    return runDelivery(this.#inbound(), database, routes, arrived, signal).finally(() => this.#routes.delete(database.options.name))
  }

  #outbound(database: Pick<Database, 'openCapture' | 'options' | 'quarantine'>, sources: readonly SourceTable[]) {
    const { agent, hubKey } = requireIdentity(this.#state)
    return {
      database,
      sources,
      agent,
      hubKey: this.#hub.receiptKey ?? hubKey,
      key: this.#key,
      hub: this.#hub,
      requirePolicy: () => this.#keeper.require(),
      requestedSnapshots: this.#requestedSnapshots,
      board: this.#board,
      logger: this.#logger,
      batchBytes: this.#config.batchBytes ?? writerLimits.encoded,
      operator: this.#operator,
      rules: (resource: string) =>
        sourceRules(
          this.#config.sources.find((source) => source.resource === resource)!,
          this.#config.timezone,
        ),
      folder: this.#config.data,
      drainWaiters: this.#drainWaiters,
      checkpoints: this.#checkpoints,
    }
  }

  #inbound(): InboundDeps {
    return {
      agent: requireIdentity(this.#state).agent,
      key: this.#key,
      hub: this.#hub,
      routes: () => this.#allRoutes(),
      policySerial: () => this.#keeper.serial,
      takeAsks: (statements) => this.#answers.take(statements),
      takePolicy: (jws) => this.#takePolicy(jws),
      requirePolicy: () => this.#keeper.require(),
      requestedSnapshots: this.#requestedSnapshots,
      board: this.#board,
      logger: this.#logger,
      pollSeconds: this.#config.hub?.poll ?? 15,
      pollAgain: this.#pollAgain,
      receiptsDue: this.#receiptsDue,
      removals: this.#removals,
    }
  }

  #gapOutlet(): GapOutletDeps {
    return {
      config: this.#config,
      identity: requireIdentity(this.#state),
      key: this.#key,
      policy: () => this.#state.data.policy?.jws,
      routes: () => this.#allRoutes(),
      policyChanged: this.#policyChanged,
      board: this.#board,
      now: () => this.#hub.now(),
      logger: this.#logger,
    }
  }

  #findings(): FindingsDeps {
    const names = this.#config.describe === false ? [] : [...this.#databases.keys()]
    return {
      databases: this.#databases,
      routes: () => this.#allRoutes(),
      sources: () => names.flatMap((name) => this.#tables.sources(name).map((source) => ({ database: name, source }))),
      board: this.#board,
    }
  }

  #takePolicy(jws: string): void {
    this.#keeper.take(jws)
    this.#policyChanged.fire()
    this.#noteCheckpoint()
  }

  #noteCheckpoint(): void {
    const policy = this.#keeper.policy
    if (policy) this.#checkpoints.note(policy.audit, policy.issued)
  }

  #resync(name: string): { source: boolean; sink: boolean } {
    const done = this.#operator.resync(name)
    if (done.source) this.#hub.renew?.(name)
    return done
  }

  #trust(resource: string): { keys: string[] } {
    const keys = this.#keeper.trust(resource)
    if (keys.length === 0) throw new QianzhiError('QZ-NOT-FOUND', { what: resource })
    this.#pollAgain.fire()
    return { keys }
  }
}
