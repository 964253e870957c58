import type { AgentReport, SinkReport, SourceReport } from '../../protocol/api.ts'
import type { QianzhiError } from '../../protocol/errors.ts'
import { isLocalized } from '../../protocol/localized.ts'

/** What the agent tells of itself: to `status`, to its log and, in every poll, to the hub. Lines write their own report in place. */
export class StatusBoard {
  readonly sources = new Map<string, SourceReport>()
  readonly sinks = new Map<string, SinkReport>()
  /** When the agent writes its morning line, and the newest one; undefined where it writes none. */
  morning: AgentReport['morning']
  readonly #version: string
  readonly #session: string

  constructor(version: string, session: string) {
    this.#version = version
    this.#session = session
  }

  source(resource: string, database: string): SourceReport {
    const known = this.sources.get(resource)
    if (known) return Object.assign(known, { database })
    const report: SourceReport = { resource, database, state: 'starting', waiting: 0, position: null, rows: 0, quarantine: 0 }
    this.sources.set(resource, report)
    return report
  }

  sink(route: string, place: Pick<SinkReport, 'resource' | 'database' | 'table'>): SinkReport {
    const known = this.sinks.get(route)
    if (known) return Object.assign(known, place)
    const report: SinkReport = { route, ...place, state: 'starting', position: null, rows: 0, quarantine: 0 }
    this.sinks.set(route, report)
    return report
  }

  report(clockOffset: number): AgentReport {
    const [sources, sinks] = [[...this.sources.values()], [...this.sinks.values()]]
    const morning = this.morning && { morning: this.morning }
    return { version: this.#version, session: this.#session, clockOffset: Math.round(clockOffset), sources, sinks, ...morning }
  }
}

type Fault = NonNullable<SourceReport['fault']>

/** What held a line last, also when it is over: kept beside its report, since the hub is not told. */
const lastFaults = new WeakMap<SourceReport | SinkReport, Fault>()

export function lastFault(report: SourceReport | SinkReport): Fault | undefined {
  return lastFaults.get(report)
}

/** Sets a line's fault (and `held`), keeping since when it has been the same one. */
export function setFault(report: SourceReport | SinkReport, error: QianzhiError, now: Date): void {
  const since = report.fault?.code === error.code ? report.fault.since : now.toISOString()
  report.fault = faultOf(error, since)
  report.state = 'held'
  lastFaults.set(report, report.fault)
}

/** An error as it is reported. */
export function faultOf(error: QianzhiError, since: string): Fault {
  const { next } = error.details
  return { code: error.code, zh: error.text('zh'), en: error.text('en'), since, ...(isLocalized(next) && { next }) }
}

export function clearFault(report: SourceReport | SinkReport): void {
  delete report.fault
}
