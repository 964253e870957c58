/** A database server of one test run: a child process with its own folder and port, which never outlives the test's process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFile, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const deadlineMs = 60_000

export interface Account {
  readonly uid: number
  readonly gid: number
}

export interface ServerProcess {
  pid(): number
  /** Signals the server and waits until it and the processes it had started are gone. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts the server again (after stopping it when it still runs) on the same folder and port. */
  restart(): Promise<void>
  /** Ends the server at once and removes its folder, if it is a temporary one. */
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly program: string
  readonly args: readonly string[]
  readonly account: Account | undefined
  /** Removed on stop and when the test's process ends. */
  readonly temporary: string | undefined
  /** The signal which shuts the server down in order. */
  readonly stopSignal: NodeJS.Signals
  /** Connects; rejects while the server is not ready. */
  readonly connect: () => Promise<void>
}

export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  let current = await launch(options)
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    await end(current.child, signal)
    current.release()
  }
  return {
    pid: () => current.child.pid!,
    kill,
    restart: async () => {
      await kill(options.stopSignal)
      current = await launch(options)
    },
    stop: async () => {
      await kill('SIGKILL')
      if (options.temporary) await rm(options.temporary, { recursive: true, force: true })
    },
  }
}

async function launch({ program, args, account, temporary, connect }: ServerOptions) {
  const child = spawn(program, args, {
    ...account,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    // MySQL and MariaDB remove, as they start, what others of them keep in the same folder of temporary tables.
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...(temporary !== undefined && { TMPDIR: temporary }) },
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-8_000)))
  await once(child, 'spawn')
  const release = endWithThisProcess(child.pid!, temporary)
  const deadline = Date.now() + deadlineMs
  for (;;) {
    if (gone(child)) throw new Error(`${program} ended while starting:\n${log}`)
    try {
      await connect()
      break
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`${program} is not ready:\n${log}`, { cause })
      await sleep(20)
    }
  }
  child.unref()
  ;(child.stderr as unknown as { unref(): void }).unref()
  return { child, release }
}

/** A watcher outside this process kills the server's group when this process ends in whatever way, SIGKILL too: its pipe closes then. */
function endWithThisProcess(pid: number, temporary: string | undefined): () => void {
  const script = 'read -r word; [ "$word" = released ] && exit; kill -KILL "-$1"; [ -n "$2" ] && rm -rf "$2" && sleep 1 && rm -rf "$2"'
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', String(pid), temporary ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  ;(watcher.stdin as unknown as { unref(): void }).unref()
  watcher.stdin.on('error', () => {})
  return () => void watcher.stdin.end('released\n')
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const children = await childrenOf(child.pid!)
  if (!gone(child)) {
    child.ref()
    const exit = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
    await exit
    clearTimeout(timer)
  }
  // PostgreSQL's processes can take seconds to notice that their postmaster was killed
  for (const pid of children) {
    while (await running(pid)) {
      sendSigkill(pid)
      await sleep(5)
    }
  }
}

function gone(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function sendSigkill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** A process which has ended and is not yet collected by its parent (a zombie) does not run. */
async function running(pid: number): Promise<boolean> {
  const { state } = await processStatus(pid)
  return state !== undefined && state !== 'Z' && state !== 'X'
}

async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((entry) => /^\d+$/.test(entry)).map(Number)
  const statuses = await Promise.all(pids.map(processStatus))
  return pids.filter((_, index) => statuses[index]!.parent === parent)
}

async function processStatus(pid: number): Promise<{ state?: string | undefined; parent?: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return {}
  // pid (name) state parent …: the name may hold spaces and brackets
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state, parent: Number(parent) }
}

/** Below the ports that systems give to connections: one of those could take it before it is listened on. */
const ports = { from: 15_000, to: 32_000 }
/** A part of them, that no file beside this one takes ports from: the runner gives it. */
const ownPorts = 'QIANZHI_TEST_PORTS'
const given = new Set<number>()

/** What the `index`th of so many files at a time is told, of its own ports. */
export function portsOf(index: number, files: number): { [ownPorts]: string } {
  const share = Math.floor((ports.to - ports.from) / files)
  return { [ownPorts]: `${ports.from + index * share} ${ports.from + (index + 1) * share}` }
}

/** Never the same twice: who listened on it may be killed, and come back. */
export async function freePort(): Promise<number> {
  const [from = ports.from, to = ports.to] = process.env[ownPorts]?.split(' ').map(Number) ?? []
  for (;;) {
    const port = randomInt(from, to)
    if (given.has(port)) continue
    given.add(port)
    const server = createServer().listen(port, '127.0.0.1')
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

/** The account to run a database server under: undefined unless this process is root, which the servers refuse. */
export async function account(name: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  let line = await passwdLine(name)
  if (!line) {
    await run('useradd', ['--system', '--no-create-home', '--shell', '/bin/false', name], undefined)
    line = await passwdLine(name)
  }
  const [, , uid, gid] = line!.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

async function passwdLine(name: string): Promise<string | undefined> {
  return (await readFile('/etc/passwd', 'utf8')).split('\n').find((line) => line.startsWith(`${name}:`))
}

export async function run(program: string, args: readonly string[], account: Account | undefined): Promise<void> {
  const child = spawn(program, args, { ...account, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} failed (${code}):\n${output}`)
}
