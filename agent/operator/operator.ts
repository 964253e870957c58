import type { Logger } from 'pino'
import { QianzhiError } from '../../protocol/errors.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Replayed } from '../database.ts'
import type { InboundRoute } from '../inbound/route.ts'
import { Pauses, type Paused } from './pauses.ts'
import type { StateFile } from '../runtime/state.ts'
import type { StatusBoard } from '../status/board.ts'
import { stateNames } from '../status/line-states.ts'
import type { Wake } from '../runtime/wake.ts'

export interface OperatorDeps {
  config: Pick<AgentConfig, 'sources' | 'sinks'>
  state: StateFile
  board: StatusBoard
  /** All routes that run. */
  routes: () => readonly InboundRoute[]
  pollAgain: Wake
  logger: Logger
}

/**
 * What the operator, or the hub for its people, wants of the running lines, by the names of resources and routes. Sources look at each
 * turn what is wanted of them; routes are told.
 */
export class Operator {
  /** Resources of which a new snapshot is wanted. */
  readonly restarts = new Set<string>()
  /** Resources whose quarantined keys are to be sent again. */
  readonly replays = new Set<string>()
  /** Resources whose waiting deletes are confirmed. */
  readonly confirms = new Set<string>()
  /** Begins a scan of a source that is only read, by resource; kept up by its capture. */
  readonly scans = new Map<string, () => void>()
  readonly pauses: Pauses
  readonly #deps: OperatorDeps

  constructor(deps: OperatorDeps) {
    this.#deps = deps
    this.pauses = new Pauses(deps.state, deps.config, () => deps.routes().map(({ sink }) => sink))
  }

  /** Of a resource or a route. Throws QZ-NOT-FOUND. */
  pause(name: string): Paused {
    const paused = this.pauses.pause(name)
    this.#followPauses()
    this.#deps.logger.info({ name }, 'paused')
    return paused
  }

  resume(name: string): Paused {
    const resumed = this.pauses.resume(name)
    this.#followPauses()
    this.#deps.logger.info({ name }, 'resumed')
    return resumed
  }

  #followPauses(): void {
    for (const route of this.#deps.routes()) route.pause(this.pauses.route(route.sink))
    this.#deps.pollAgain.fire()
  }

  /** The deletes that the guard of a resource holds are meant. Throws QZ-NOT-FOUND, QZ-STATE where it holds none. */
  confirm(resource: string): void {
    const report = this.#deps.board.sources.get(resource)
    if (!report) throw new QianzhiError('QZ-NOT-FOUND', { what: resource })
    const held = report.fault?.code.startsWith('QZ-GUARD-')
    if (!held)
      throw new QianzhiError('QZ-STATE', {
        what: resource,
        state: report.fault?.code ?? stateNames[report.state],
        event: { zh: '确认删除', en: 'confirm' },
      })
    this.confirms.add(resource)
    this.#deps.logger.warn({ resource }, 'the waiting deletes are confirmed')
  }

  /** `resync` of a supplied resource takes a new snapshot; of a received one it fills the delivered table anew, beside the old one. */
  resync(name: string): { source: boolean; sink: boolean } {
    const { source, routes } = this.#called(name)
    if (source) this.restarts.add(name)
    for (const route of routes) route.restart()
    return { source, sink: routes.length > 0 }
  }

  /** Quarantined keys of a source are queued again; rows that a sink refused are tried again, and what came of it is told. */
  async replay(name: string): Promise<{ source: boolean; routes: ({ route: string } & Replayed)[] }> {
    const { source, routes } = this.#called(name)
    if (source) this.replays.add(name)
    return { source, routes: await Promise.all(routes.map(async (route) => ({ route: route.id, ...(await route.replay()) }))) }
  }

  /** Throws QZ-NOT-FOUND where neither a source nor a running route is called so. */
  #called(name: string): { source: boolean; routes: InboundRoute[] } {
    const source = this.#deps.config.sources.some(({ resource }) => resource === name)
    const routes = this.#deps.routes().filter((route) => route.id === name || route.sink.resource === name)
    if (!source && routes.length === 0) throw new QianzhiError('QZ-NOT-FOUND', { what: name })
    return { source, routes }
  }

  scan(resource: string): void {
    const request = this.scans.get(resource)
    if (!request)
      throw new QianzhiError('QZ-NOT-FOUND', {
        what: { zh: `${resource}（capture: watermark 或 compare）`, en: `${resource} (capture: watermark, compare)` },
      })
    request()
  }
}
