import { codedError, QianzhiError } from '../protocol/errors.ts'
import type { Policy, Receive } from '../protocol/policy.ts'
import { engineOf, sinkName, type AgentConfig, type SinkConfig } from './config/config.ts'
import type { SinkTable, SourceTable } from './database.ts'
import { setFault, type StatusBoard } from './status/board.ts'
import { receivesFor, sinkTable, sourceTable, supplyFor, tableConflict } from './config/tables.ts'

export interface ConfiguredTablesContext {
  config: Pick<AgentConfig, 'databases' | 'sources' | 'sinks' | 'timezone'>
  board: StatusBoard
  policy: () => Policy | undefined
  now: () => Date
}

/** What is configured in a database as the policy in force lets it run; what it does not let run says so on the status board. */
export class ConfiguredTables {
  readonly #context: ConfiguredTablesContext

  constructor(context: ConfiguredTablesContext) {
    this.#context = context
  }

  sources(database: string): SourceTable[] {
    return this.#context.config.sources
      .filter((source) => source.database === database)
      .flatMap((source) => {
        try {
          const engine = engineOf(database, this.#context.config.databases[database]!.url)
          return [sourceTable(source, supplyFor(this.#context.policy(), source.resource), engine, this.#context.config.timezone)]
        } catch (error) {
          setFault(this.#context.board.source(source.resource, database), codedError(error), this.#context.now())
          return []
        }
      })
  }

  sinks(database: string): SinkTable[] {
    return this.#context.config.sinks
      .filter((sink) => sink.database === database)
      .flatMap((sink) => {
        const receives = receivesFor(this.#context.policy(), sink, this.#context.config.sinks)
        return receives.flatMap((receive) => this.#sinkTable(database, sink, receive))
      })
      .filter((sink, i, all) => this.#mayFill(database, sink, all.slice(0, i)))
  }

  /** A sink whose columns cannot be what the configuration says holds its own route only. */
  #sinkTable(database: string, sink: SinkConfig, receive: Receive): SinkTable[] {
    try {
      return [sinkTable(sink, receive, this.#context.config)]
    } catch (error) {
      const report = this.#context.board.sink(receive.route, { resource: receive.schema.resource, database, table: sink.table ?? '' })
      setFault(report, codedError(error), this.#context.now())
      return []
    }
  }

  /** Of two routes that cannot share a table the first one has it. */
  #mayFill(database: string, sink: SinkTable, others: readonly SinkTable[]): boolean {
    const conflict = tableConflict(sink, others)
    if (!conflict) return true
    const report = this.#context.board.sink(sink.route, { resource: sink.resource, database, table: sink.table })
    setFault(report, conflict, this.#context.now())
    return false
  }

  /**
   * Every sink for which the policy has no route says so, under its own name where the route is not known. For when its line has stopped:
   * what was being applied while the hub told the end has then written its report.
   */
  noteEnded(): void {
    for (const sink of this.#context.config.sinks) {
      const receives = receivesFor(this.#context.policy(), sink, this.#context.config.sinks)
      if (receives.length === 0) this.#noteEnded(sink)
      else if (!sink.route) this.#context.board.sinks.delete(sinkName(sink))
    }
  }

  #noteEnded(sink: SinkConfig): void {
    const { board, now } = this.#context
    const name = sinkName(sink)
    const known = [...board.sinks.values()].filter(({ route, resource }) => (sink.route ? route === name : resource === sink.resource))
    const place = { resource: sink.resource ?? name, database: sink.database, table: sink.table ?? '' }
    for (const report of known.length > 0 ? known : [board.sink(name, place)]) {
      if (report.fault?.code === 'QZ-ROUTE-ENDED') continue
      setFault(report, new QianzhiError('QZ-ROUTE-ENDED', { route: report.route, reason: 'not in the policy' }), now())
    }
  }

  received(sink: SinkTable): Receive {
    return this.#context.policy()!.receive.find(({ route }) => route === sink.route)!
  }
}
