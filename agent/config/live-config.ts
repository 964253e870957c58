import { statSync } from 'node:fs'
import { codedError, type QianzhiError } from '../../protocol/errors.ts'
import { readAgentConfig, type AgentConfig } from './config.ts'

/** What a running agent does not take up: it is told, and holds from the next start on. */
const atStart = ['data', 'language', 'log', 'page', 'morning', 'timezone', 'carry'] as const
/** Of `hub`, all but the length of polls. */
const hubAtStart = ['urls', 'ca', 'proxy', 'gap'] as const

/** Milliseconds between looks at the file and those it refers to. What is being written is read when it has rested for one. */
const lookEvery = 1_000

/**
 * The configuration in force: who holds `config` and reads a key of it reads what the file said when it was last well. Each version's
 * parts are frozen; only which version it is changes.
 */
export class LiveConfig {
  readonly config: AgentConfig
  /** When it was read. */
  since = new Date()
  /** Why the file as it is now is not in force. */
  fault: { error: QianzhiError; since: Date } | undefined
  /** Keys that were changed and wait for the next start. */
  waiting: string[] = []
  readonly #file: string
  readonly #started: AgentConfig
  /** Each file's stamp when it was last read, and at the last look. */
  #read: Stamps
  #seen: Stamps
  #timer: NodeJS.Timeout | undefined

  /** Throws QZ-CONFIG. */
  constructor(file: string) {
    this.#file = file
    const read = readStamped(file, [])
    if ('error' in read) throw read.error
    this.#started = read.config
    this.config = { ...read.config }
    this.#read = this.#seen = read.stamps
  }

  /** `changed` is told the configuration before, when another one is in force; `failed`, that the file cannot be. */
  watch(changed: (before: AgentConfig) => void, failed: (error: QianzhiError) => void): void {
    this.#timer = setInterval(() => this.#look(changed, failed), lookEvery).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(changed: (before: AgentConfig) => void, failed: (error: QianzhiError) => void): void {
    const stamps = stampsOf(this.#read.keys())
    const rests = same(stamps, this.#seen)
    this.#seen = stamps
    if (!rests || same(stamps, this.#read)) return
    const read = readStamped(this.#file, this.#read.keys())
    this.#read = this.#seen = read.stamps
    if ('error' in read) {
      this.fault = { error: read.error, since: new Date() }
      return failed(read.error)
    }
    this.fault = undefined
    const before = { ...this.config }
    this.#take(read.config)
    changed(before)
  }

  #take(next: AgentConfig): void {
    const hub = hubAtStart.filter((name) => differ(next.hub?.[name], this.#started.hub?.[name])).map((name) => `hub.${name}`)
    this.waiting = [...atStart.filter((name) => differ(next[name], this.#started[name])), ...hub]
    this.since = new Date()
    for (const name of Object.keys(this.config)) Reflect.deleteProperty(this.config, name)
    Object.assign(this.config, next, keptFrom(this.#started, next))
  }
}

/** Time, size and number by file; '' for one that is not there. */
type Stamps = ReadonlyMap<string, string>

/** The files are looked at before they are read: what changes meanwhile is read again. */
function readStamped(file: string, known: Iterable<string>): { stamps: Stamps } & ({ config: AgentConfig } | { error: QianzhiError }) {
  const before = stampsOf([file, ...known])
  const files: string[] = []
  const stamps = () => new Map([...stampsOf(files), ...before])
  try {
    return { config: readAgentConfig(file, files), stamps: stamps() }
  } catch (error) {
    return { error: codedError(error), stamps: stamps() }
  }
}

function stampsOf(files: Iterable<string>): Stamps {
  return new Map(
    [...files].map((file) => {
      const found = statSync(file, { throwIfNoEntry: false })
      return [file, found ? `${found.mtimeMs} ${found.size} ${found.ino}` : '']
    }),
  )
}

function same(a: Stamps, b: Stamps): boolean {
  return a.size === b.size && [...a].every(([file, stamp]) => b.get(file) === stamp)
}

function keptFrom(started: AgentConfig, next: AgentConfig): Partial<AgentConfig> {
  const kept = Object.fromEntries(atStart.map((name) => [name, started[name]]))
  const { poll } = next.hub ?? {}
  const { poll: _poll, ...hub } = started.hub ?? {}
  return { ...kept, hub: Object.freeze({ ...hub, ...(poll !== undefined && { poll }) }) }
}

function differ(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b)
}
