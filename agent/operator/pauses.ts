import type { AgentConfig } from '../config/config.ts'
import type { StateFile } from '../runtime/state.ts'
import type { SinkTable } from '../database.ts'
import { QianzhiError } from '../../protocol/errors.ts'

/** What a pause or its end concerned here. */
export interface Paused {
  source: boolean
  sink: boolean
}

/**
 * Sources and routes that somebody has paused, by the names of resources and routes; kept over restarts. A paused source is not read and
 * sends nothing, its triggers go on queueing; a paused route receives and applies nothing.
 */
export class Pauses {
  readonly #state: StateFile
  readonly #config: Pick<AgentConfig, 'sources' | 'sinks'>
  readonly #routes: () => readonly Pick<SinkTable, 'route' | 'resource'>[]

  constructor(
    state: StateFile,
    config: Pick<AgentConfig, 'sources' | 'sinks'>,
    routes: () => readonly Pick<SinkTable, 'route' | 'resource'>[],
  ) {
    this.#state = state
    this.#config = config
    this.#routes = routes
  }

  source(resource: string): boolean {
    return this.#names.includes(resource)
  }

  route({ route, resource }: Pick<SinkTable, 'route' | 'resource'>): boolean {
    return this.#names.includes(route) || this.#names.includes(resource)
  }

  get #names(): readonly string[] {
    return this.#state.data.paused ?? []
  }

  /** Throws QZ-NOT-FOUND where neither a source nor a sink is called so. */
  pause(name: string): Paused {
    const paused = this.#concerned(name)
    this.#write([...new Set([...this.#names, name])])
    return paused
  }

  /** A route goes on also where it was its resource that was paused. */
  resume(name: string): Paused {
    const resumed = this.#concerned(name)
    const same = this.#routes().filter(({ route, resource }) => route === name || resource === name)
    const gone = new Set([name, ...same.flatMap(({ route, resource }) => [route, resource])])
    this.#write(this.#names.filter((one) => !gone.has(one)))
    return resumed
  }

  #concerned(name: string): Paused {
    const { sources, sinks } = this.#config
    const source = sources.some(({ resource }) => resource === name)
    const sink =
      sinks.some(({ resource, route }) => resource === name || route === name) ||
      this.#routes().some(({ route, resource }) => route === name || resource === name)
    if (!source && !sink) throw new QianzhiError('QZ-NOT-FOUND', { what: name })
    return { source, sink }
  }

  #write(names: string[]): void {
    this.#state.data.paused = names
    this.#state.write()
  }
}
