import type { AgentReport, SinkReport, SourceReport } from '../protocol/api.ts'
import type { QianzhiError } from '../protocol/errors.ts'

/** What the agent tells of itself: to `status`, to its log and, in every poll, to the hub. Lines write their own report in place. */
export class StatusBoard {
  readonly sources = new Map<string, SourceReport>()
  readonly sinks = new Map<string, SinkReport>()
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
    return { version: this.#version, session: this.#session, clockOffset: Math.round(clockOffset), sources, sinks }
  }
}

/** Sets a line's fault (and `held`), keeping since when it has been the same one. */
export function setFault(report: SourceReport | SinkReport, error: QianzhiError, now: Date): void {
  const since = report.fault?.code === error.code ? report.fault.since : now.toISOString()
  report.fault = { code: error.code, zh: error.text('zh'), en: error.text('en'), since }
  report.state = 'held'
}

export function clearFault(report: SourceReport | SinkReport): void {
  delete report.fault
}
