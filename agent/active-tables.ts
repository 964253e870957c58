import { codedError, QianzhiError } from '../protocol/errors.ts'
import { stopText, type Policy, type Receive, type StoppedRoute } from '../protocol/policy.ts'
import { sinkName, type AgentConfig, type SinkConfig } from './config/config.ts'
import { engineOf } from './databases/index.ts'
import type { SinkTable, SourceTable } from './database.ts'
import { setFault, type StatusBoard } from './status/board.ts'
import { sinkMissing, sinksInForce, unplaced } from './config/granted.ts'
import { receivesFor, sinkTable, sourceTable, supplyFor, tableConflict } from './config/tables.ts'

export interface ActiveTablesDeps {
  config: Pick<AgentConfig, 'auto' | 'databases' | 'hub' | 'sources' | 'sinks' | 'timezone'>
  board: StatusBoard
  policy: () => Policy | undefined
  now: () => Date
}

/** What is configured in a database as the policy in force lets it run; what it does not let run says so on the status board. */
export class ActiveTables {
  readonly #deps: ActiveTablesDeps

  constructor(deps: ActiveTablesDeps) {
    this.#deps = deps
  }

  sources(database: string): SourceTable[] {
    return this.#deps.config.sources
      .filter((source) => source.database === database)
      .flatMap((source) => {
        try {
          const engine = engineOf(database, this.#deps.config.databases[database]!.url)
          return [sourceTable(source, supplyFor(this.#deps.policy(), source.resource), engine, this.#deps.config.timezone)]
        } catch (error) {
          setFault(this.#deps.board.source(source.resource, database), codedError(error), this.#deps.now())
          return []
        }
      })
  }

  sinks(database: string): SinkTable[] {
    const all = sinksInForce(this.#deps.config, this.#deps.policy())
    return all
      .filter((sink) => sink.database === database)
      .flatMap((sink) => {
        const receives = receivesFor(this.#deps.policy(), sink, all)
        return receives.flatMap((receive) => this.#sinkTable(database, sink, receive))
      })
      .filter((sink, i, all) => this.#mayFill(database, sink, all.slice(0, i)))
  }

  /** A sink whose columns cannot be what the configuration says holds its own route only. */
  #sinkTable(database: string, sink: SinkConfig, receive: Receive): SinkTable[] {
    try {
      return [sinkTable(sink, receive, this.#deps.config)]
    } catch (error) {
      const report = this.#deps.board.sink(receive.route, { resource: receive.schema.resource, database, table: sink.table ?? '' })
      setFault(report, codedError(error), this.#deps.now())
      return []
    }
  }

  /** Of two routes that cannot share a table the first one has it. */
  #mayFill(database: string, sink: SinkTable, others: readonly SinkTable[]): boolean {
    const conflict = tableConflict(sink, others)
    if (!conflict) return true
    const report = this.#deps.board.sink(sink.route, { resource: sink.resource, database, table: sink.table })
    setFault(report, conflict, this.#deps.now())
    return false
  }

  /**
   * Every configured sink for which the policy has no route says so, under its own name where the route is not known; and every route for
   * which there is no sink. For when their lines have stopped: what was being applied while the hub told the end has then written its report.
   */
  noteUnmatched(): void {
    const { board, config, policy, now } = this.#deps
    const missing = unplaced(config, policy())
    const all = sinksInForce(config, policy())
    const matched = new Set([...missing.map(({ route }) => route), ...all.flatMap((sink) => this.#matched(sink, all))])
    // What was not configured has ended with its route.
    for (const name of board.sinks.keys()) if (!matched.has(name)) board.sinks.delete(name)
    for (const receive of missing) {
      const report = board.sink(receive.route, { resource: receive.schema.resource, database: '', table: '' })
      setFault(report, sinkMissing(config, receive), now())
    }
  }

  /** Names of the reports of a sink. */
  #matched(sink: SinkConfig, all: readonly SinkConfig[]): string[] {
    const receives = receivesFor(this.#deps.policy(), sink, all)
    return receives.length > 0 ? receives.map(({ route }) => route) : this.#noteEnded(sink)
  }

  #noteEnded(sink: SinkConfig): string[] {
    const { board, config, now } = this.#deps
    const name = sinkName(sink)
    const known = [...board.sinks.values()].filter(({ route, resource }) => (sink.route ? route === name : resource === sink.resource))
    const place = { resource: sink.resource ?? name, database: sink.database, table: sink.table ?? '' }
    const reports = known.length > 0 ? known : [board.sink(name, place)]
    for (const report of reports) {
      const why = this.#whyStopped(report)
      // Of an older hub only its answer tells the reason.
      if (!why && report.fault?.code === 'QZ-ROUTE-ENDED') continue
      const reason = why ? stopText(why, config.timezone) : { zh: '不在策略中', en: 'not in the policy' }
      const details = { route: report.route, reason, ...(why?.next && { next: why.next }) }
      setFault(report, new QianzhiError('QZ-ROUTE-ENDED', details), now())
    }
    return reports.map(({ route }) => route)
  }

  #whyStopped({ route, resource }: { route: string; resource: string }): StoppedRoute | undefined {
    const stopped = this.#deps.policy()?.stopped ?? []
    return stopped.find((one) => one.route === route) ?? stopped.find((one) => one.resource === resource)
  }

  received(sink: SinkTable): Receive {
    return this.#deps.policy()!.receive.find(({ route }) => route === sink.route)!
  }
}
