import { statfs } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { SinkReport, SourceReport } from '../../protocol/api.ts'
import { codedError, type QianzhiError } from '../../protocol/errors.ts'
import { policyExpired } from '../../protocol/policy.ts'
import { told, type AgentStatus, type SinkStatus, type SourceStatus, type ToldFault } from './agent-status.ts'
import type { AgentConfig } from '../config/config.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { HubClient } from '../hub/client.ts'
import { Throughput } from './throughput.ts'
import { DailyReport } from './daily-report.ts'
import { openPage, type PageServer } from './page/server.ts'
import type { PolicyStore } from '../hub/policy-store.ts'
import type { LastReconciliations } from './last-reconciliations.ts'
import { requireIdentity, type StateFile } from '../runtime/state.ts'
import { faultOf, lastFault, type StatusBoard } from './board.ts'
import type { Wake } from '../runtime/wake.ts'

/** When a source was last scanned to its end, and will be next. */
export interface ScanTimes {
  resource: string
  last: Date | undefined
  next: Date | undefined
}

/** What is shown of a route beside its report. */
export interface ReceivedRoute {
  readonly id: string
  /** It has applied all that its provider says there is. */
  readonly isLevel: boolean
  /** A receipt of it is still to be sent. */
  readonly owesReceipt: boolean
}

export interface StatusServiceDeps {
  live: Pick<LiveConfig, 'fault' | 'since' | 'waiting'>
  config: Pick<AgentConfig, 'data' | 'language' | 'morning' | 'page' | 'timezone'>
  state: StateFile
  board: StatusBoard
  hub: Pick<HubClient, 'answered' | 'clockOffset' | 'fault' | 'now' | 'url'>
  keeper: Pick<PolicyStore, 'policy'>
  reconciled: LastReconciliations
  routes: () => readonly ReceivedRoute[]
  scans: () => ScanTimes[]
  /** Fired where the hub should be told at once. */
  pollAgain: Wake
  logger: Logger
}

const sampleEvery = 5_000
const minShare = 0.05
const minBytes = 1 << 30

/** What this machine's operator is told of the running agent: by `status`, by the page on 127.0.0.1, by the morning line. */
export class StatusService {
  readonly #deps: StatusServiceDeps
  readonly #started = performance.now()
  readonly #rates = new Throughput()
  readonly #morning: DailyReport
  #disk: AgentStatus['disk']
  #page: PageServer | undefined
  #pageFault: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(deps: StatusServiceDeps) {
    const { config, state, board, hub, logger } = deps
    this.#deps = deps
    this.#morning = new DailyReport({
      at: config.morning ?? '08:30',
      timezone: config.timezone,
      state,
      board,
      now: () => hub.now(),
      status: () => this.status(),
      reconciled: () => deps.reconciled.all(),
      logger,
      tell: () => deps.pollAgain.fire(),
    })
  }

  /** A page that cannot be served is said, and stops nothing. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#sample(), sampleEvery).unref()
    await this.#sample()
    this.#morning.start()
    const { config, logger } = this.#deps
    if (config.page === false) return
    const port = config.page?.port ?? 8470
    try {
      this.#page = await openPage(port, { status: () => this.status(), language: config.language ?? 'zh' })
      logger.info({ page: this.#page.url }, 'status page')
    } catch (error) {
      const { message } = codedError(error)
      this.#pageFault = `127.0.0.1:${port}: ${message}`
      logger.warn({ port, err: codedError(error) }, 'the status page is not served: set page.port to a free port, or page to false')
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#morning.stop()
    await this.#page?.close()
  }

  /** Never fails. */
  async #sample(): Promise<void> {
    const { board, config } = this.#deps
    this.#rates.sample([...board.sources.values(), ...board.sinks.values()], performance.now())
    try {
      const { bavail, blocks, bsize } = await statfs(config.data)
      const [free, size] = [bavail * bsize, blocks * bsize]
      this.#disk = { free, size, low: free < minBytes || free / size < minShare }
    } catch {
      this.#disk = undefined
    }
  }

  status(): AgentStatus {
    const { board, config, hub, keeper, state, routes } = this.#deps
    const { agent, agency } = requireIdentity(state)
    const { sources, sinks, ...report } = board.report(hub.clockOffset)
    const { policy } = keeper
    const now = hub.now()
    const running = new Map(routes().map((route) => [route.id, route]))
    const shown = new Set(sinks.map(({ route }) => route))
    const stopped = (policy?.stopped ?? []).filter(({ route }) => !shown.has(route)).slice(0, 20)
    const scans = new Map(this.#deps.scans().map((times) => [times.resource, times]))
    return {
      ...report,
      agent,
      agency,
      time: now.toISOString(),
      started: new Date(now.getTime() - (performance.now() - this.#started)).toISOString(),
      timezone: config.timezone,
      hub: this.#hub(),
      policy: policy ? { serial: policy.serial, expires: policy.expires, valid: !policyExpired(policy, now) } : null,
      ...(stopped.length > 0 && { stopped }),
      receiptsDue: [...running.values()].filter(({ owesReceipt }) => owesReceipt).length,
      ...(this.#disk && { disk: this.#disk }),
      page: { ...(this.#page && { url: this.#page.url }), ...(this.#pageFault && { fault: this.#pageFault }) },
      configuration: this.#configuration(),
      ...(board.morning?.line && { lastMorning: board.morning.line }),
      sources: sources.map((source) => this.#source(source, scans.get(source.resource))),
      sinks: sinks.map((sink) => this.#sink(sink, running.get(sink.route))),
    }
  }

  #configuration(): NonNullable<AgentStatus['configuration']> {
    const { fault, since, waiting } = this.#deps.live
    return {
      since: since.toISOString(),
      ...(fault && { fault: toldError(fault.error, fault.since) }),
      ...(waiting.length > 0 && { waiting }),
    }
  }

  #hub(): AgentStatus['hub'] {
    const { answered, fault, url } = this.#deps.hub
    return {
      url,
      ...(answered && { answered: answered.toISOString() }),
      ...(fault && { fault: toldError(fault.error, fault.since) }),
    }
  }

  #source(source: SourceReport, scan: ScanTimes | undefined): SourceStatus {
    const [last, next] = [scan?.last?.toISOString(), scan?.next?.toISOString()]
    return {
      ...this.#line(source),
      ...(scan && { scan: { ...(last && { last }), ...(next && { next }) } }),
      ...reconciledOf(this.#deps.reconciled.source(source.resource)),
    }
  }

  #sink(sink: SinkReport, route: ReceivedRoute | undefined): SinkStatus {
    return { ...this.#line(sink), level: route?.isLevel ?? false, ...reconciledOf(this.#deps.reconciled.sink(sink.route)) }
  }

  #line<T extends SourceReport | SinkReport>(line: T): T & Pick<SourceStatus, 'lastFault' | 'rate' | 'title'> {
    const { supply = [], receive = [] } = this.#deps.keeper.policy ?? {}
    const title = [...supply, ...receive].find(({ schema }) => schema.resource === line.resource)?.schema.title
    const rate = this.#rates.rate(line, performance.now())
    const fault = line.fault ?? lastFault(line)
    return {
      ...line,
      ...(title !== undefined && { title }),
      ...(rate !== undefined && { rate }),
      ...(fault && { lastFault: { ...told(fault), over: line.fault === undefined } }),
    }
  }
}

function toldError(error: QianzhiError, since: Date): ToldFault {
  return told(faultOf(error, since.toISOString()))
}

function reconciledOf(reconciled: SourceStatus['reconciled']): Pick<SourceStatus, 'reconciled'> {
  return reconciled ? { reconciled } : {}
}
