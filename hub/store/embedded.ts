import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import {
  clusterUrl,
  ensureCluster,
  findPostmaster,
  isAlive,
  completeSecret,
  servingRole,
  servingUrl,
  spawnPostmaster,
  startLog,
  stopPostmaster,
  unusable,
  user,
  type Postmaster,
  type Secret,
} from './cluster.ts'
import { ensureServingRole } from './roles.ts'

/** The hub's own PostgreSQL, held by this process alone. */
export interface EmbeddedStore {
  /** With the role that serves: it cannot change the audit. */
  url: string
  /** With the role that owns the tables: for migrations. */
  ownerUrl: string
  /** Settles when the folder was lost to another hub: this one must stop. */
  lost: Promise<QianzhiError>
  /** Gives the folder back and stops the server. Call it when nothing else uses the store any more. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  logger?: Logger
  /** How long a lock that another session holds is waited for: a killed hub's sessions end within seconds. */
  lockPatience?: number
}

const startPatience = 120_000
const stopPatience = 120_000
const lockNumber = 7_140_002

/**
 * Starts PostgreSQL in `<data>/store`, or finds the one that a killed hub left running, and takes the data folder's lock: a session
 * advisory lock in the store, which ends with the process that holds it. Throws QZ-DATA-LOCKED while another hub is alive.
 */
export async function startEmbedded(data: string, options: EmbeddedOptions = {}): Promise<EmbeddedStore> {
  await mkdir(data, { recursive: true, mode: 0o700 })
  const keeper = new Keeper(data, options)
  await keeper.start()
  return { url: keeper.url, ownerUrl: keeper.ownerUrl, lost: keeper.lost, stop: () => keeper.stop() }
}

class Keeper {
  readonly lost: Promise<QianzhiError>
  readonly #data: string
  readonly #folder: string
  readonly #logger: Logger | undefined
  readonly #lockPatience: number
  #reportLost: (error: QianzhiError) => void = () => {}
  #secret: Secret = { password: '', port: 0 }
  #postmaster: Postmaster = { pid: 0, port: 0 }
  #lock: pg.Client | undefined
  #stopping = false
  #recovering: Promise<void> | undefined

  constructor(data: string, options: EmbeddedOptions) {
    this.#data = data
    this.#folder = join(data, 'store')
    this.#logger = options.logger
    this.#lockPatience = options.lockPatience ?? 8000
    this.lost = new Promise((resolve) => (this.#reportLost = resolve))
  }

  get url(): string {
    return servingUrl(this.#secret, this.#postmaster.port)
  }

  get ownerUrl(): string {
    return clusterUrl(this.#secret, this.#postmaster.port)
  }

  /** The other hub may stop the server while we wait for its lock: then everything begins again. */
  async start(): Promise<void> {
    this.#secret = await ensureCluster(this.#folder)
    const deadline = Date.now() + this.#lockPatience
    for (;;) {
      this.#postmaster = await this.#running()
      this.#lock = await this.#takeLock(deadline)
      if (this.#lock) break
    }
    await completeSecret(this.#folder, this.#secret, this.#postmaster.port)
    await ensureServingRole(this.#lock, servingRole, this.#secret.serving!)
  }

  /** A server that answers: the one that runs, or a new one. */
  async #running(): Promise<Postmaster> {
    const deadline = Date.now() + startPatience
    let started: Postmaster | undefined
    for (;;) {
      const found = await findPostmaster(this.#folder)
      if (!found && started && !isAlive(started.pid)) throw unusable(await startLog(this.#folder))
      if (!found && !started) started = await spawnPostmaster(this.#folder, this.#secret)
      const failure = await this.#greet(found ?? started!)
      if (failure === undefined && found) return found
      if (Date.now() > deadline) throw unusable(`${reasonOf(failure)}; ${await startLog(this.#folder)}`, failure)
      // The one that we started lost to another's, or the one that we found was stopping.
      if (started && !isAlive(started.pid) && found) started = undefined
      await sleep(50)
    }
  }

  /** Makes the database if it is not there; undefined when all is well. */
  async #greet({ port }: Postmaster): Promise<unknown> {
    const client = connection(clusterUrl(this.#secret, port, 'postgres'))
    try {
      await client.connect()
      const { rows } = await client.query<{ found: boolean }>('select exists (select from pg_database where datname = $1) as found', [user])
      if (rows[0]?.found === false) await client.query(`create database ${user}`)
      return undefined
    } catch (error) {
      return error
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Undefined where the connection broke; QZ-DATA-LOCKED where the lock stays with another until the deadline. */
  async #takeLock(deadline: number): Promise<pg.Client | undefined> {
    const client = connection(this.ownerUrl)
    try {
      await client.connect()
      for (;;) {
        const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [lockNumber])
        if (rows[0]?.locked) break
        if (Date.now() > deadline) throw new QianzhiError('QZ-DATA-LOCKED', { folder: this.#data })
        await sleep(200)
      }
    } catch (error) {
      await client.end().catch(() => {})
      if (error instanceof QianzhiError) throw error
      this.#logger?.warn({ err: error }, 'store connection lost while waiting for its lock')
      return undefined
    }
    client.on('end', () => this.#recover())
    return client
  }

  /** The server went down, or restarted, under us: it is started again and the lock taken again, before another hub takes it. */
  #recover(): void {
    if (this.#stopping || this.#recovering) return
    this.#logger?.error('store connection that holds the lock was lost')
    this.#recovering = this.#restart().finally(() => (this.#recovering = undefined))
  }

  async #restart(): Promise<void> {
    const { port } = this.#postmaster
    while (!this.#stopping) {
      try {
        await this.start()
        // Everybody else's connections go to the old port.
        if (this.#postmaster.port !== port) this.#reportLost(unusable({ zh: `端口 ${port} 已被占用`, en: `port ${port} is taken` }))
        return
      } catch (error) {
        if (error instanceof QianzhiError && error.code === 'QZ-DATA-LOCKED') return this.#reportLost(error)
        this.#logger?.error({ err: error }, 'store not started')
        await sleep(1000)
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#recovering
    // The lock is held until the server is down: nobody else can write in between.
    await stopPostmaster(this.#folder, this.#postmaster, stopPatience)
    await this.#lock?.end().catch(() => {})
  }
}

function connection(url: string): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'qianzhi-hub lock',
    connectionTimeoutMillis: 5000,
    keepAlive: true,
  })
  client.on('error', () => {})
  return client
}
