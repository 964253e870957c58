/** Starts Qianzhi's own programs as a user would: separate processes with a configuration file. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { keptFolder } from './temporary.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Compiled code is kept between runs: a command starts in two thirds of the time. */
export const compileCache = { NODE_COMPILE_CACHE: join(keptFolder(), 'qianzhi-compile-cache') }

export interface Finished {
  code: number
  stdout: string
  stderr: string
}

/** Runs a command to its end. Throws where it does not exit with 0, unless `failing`. */
export async function runProgram(args: string[], options: { failing?: boolean; env?: NodeJS.ProcessEnv } = {}): Promise<Finished> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...compileCache, ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => (output[stream] += text))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0 && !options.failing) throw new Error(`${args.join(' ')} exited with ${code}: ${output.stderr}${output.stdout}`)
  return { code, ...output }
}

/** Options of Node that a program's first line names: those with which it is installed. */
export function nodeOptionsOf(script: string): string[] {
  const options = /^#!\/usr\/bin\/env -S node (.+)$/m.exec(readFileSync(join(root, script), 'utf8'))?.[1]
  return options?.split(' ') ?? []
}

const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** A program that runs until it is stopped or killed; its output goes to `log`. */
export class Program {
  readonly args: readonly string[]
  readonly log: string
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | undefined

  constructor(args: readonly string[], log: string, env: NodeJS.ProcessEnv = {}) {
    this.args = args
    this.log = log
    this.#env = env
  }

  start(): void {
    const child = spawn(process.execPath, [...nodeOptionsOf(this.args[0]!), ...this.args], {
      cwd: root,
      env: { ...compileCache, ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const file = createWriteStream(this.log, { flags: 'a' })
    child.stdout.pipe(file)
    child.stderr.pipe(file)
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
  }

  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Sends a signal and waits until the process is gone. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return
    const closed = once(this.#child!, 'exit')
    this.#child!.kill(signal)
    await closed
  }

  /** Resident memory in MiB, or undefined where it does not run. */
  get memoryMb(): number | undefined {
    const pages = this.pid && /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
    return pages ? Number(pages) / 1024 : undefined
  }

  /** Highest resident memory so far in MiB. */
  get peakMemoryMb(): number | undefined {
    const pages = this.pid && /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
    return pages ? Number(pages) / 1024 : undefined
  }

  /** Processor seconds used so far (user and system). */
  get cpuSeconds(): number | undefined {
    if (!this.pid) return undefined
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }
}

/** Times that a slow machine may take longer than `seconds` says. */
const patience = 2

/** Looks again and again until `look` gives something; throws what it last said after `seconds`, with patience. A condition, not a pause. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, seconds = 60): Promise<T> {
  const deadline = Date.now() + patience * seconds * 1000
  let failure: unknown
  for (let wait = 5; ; wait = Math.min(200, wait * 1.5)) {
    const began = performance.now()
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
      failure = undefined
    } catch (error) {
      failure = error
    }
    if (Date.now() > deadline) throw new Error(`${patience * seconds} s passed without: ${what}`, { cause: failure })
    // A look that takes long leaves the processors to what is waited for.
    await sleep(Math.max(wait, 2 * (performance.now() - began)))
  }
}
