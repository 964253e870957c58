/** MariaDB for a test: the machine's server (a fresh database each), or a private one which can be killed and restarted. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import type { TestDatabaseServer } from './postgres.ts'
import { fillPrepared, versionOf } from './prepared.ts'
import { account, freePort, run, startServer } from './server.ts'

const mariadbd = '/usr/sbin/mariadbd'
const install = '/usr/bin/mariadb-install-db'

export interface Mariadb {
  readonly version: string
  url(database: string): string
  /** Makes a fresh database and returns its URL. */
  createDatabase(name?: string): Promise<string>
  /** Takes a name, or a URL which createDatabase returned. */
  dropDatabase(nameOrUrl: string): Promise<void>
}

/** The server at QIANZHI_TEST_MARIADB_URL (MySQL too), which must be there; else root on 127.0.0.1:3306, undefined where none answers. */
export async function findMariadb(): Promise<Mariadb | undefined> {
  const wanted = process.env['QIANZHI_TEST_MARIADB_URL']
  const server = wanted ?? 'mysql://root@127.0.0.1:3306'
  const version = await query(server, 'select version() as answer').catch((error: unknown) => {
    if (wanted) throw error
    return undefined
  })
  if (version === undefined) return undefined
  return { version, ...databases(server) }
}

/** For who reads its log. */
export const binlogSettings = { 'log-bin': 'binlog', 'binlog-format': 'ROW', 'server-id': '7' }

/** undefined when Debian's mariadb-server is not installed. `settings` are added to the server's command line. */
export async function startMariadb(options: { settings?: Record<string, string> } = {}): Promise<TestDatabaseServer | undefined> {
  if (!existsSync(mariadbd) || !existsSync(install)) return undefined
  const mysqlAccount = await account('mysql')
  const temporary = await mkdtemp(join(tmpdir(), 'qianzhi-mariadb-'))
  if (mysqlAccount) await chown(temporary, mysqlAccount.uid, mysqlAccount.gid)
  const dataDir = join(temporary, 'data')
  const choices = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
  await mkdir(dataDir)
  if (mysqlAccount) await chown(dataDir, mysqlAccount.uid, mysqlAccount.gid)
  await fillPrepared(dataDir, await versionOf(mariadbd), mysqlAccount, async (folder) => {
    await run(install, ['--no-defaults', `--datadir=${folder}`, ...choices], mysqlAccount)
  })
  const port = await freePort()
  const settings = {
    datadir: dataDir,
    socket: join(temporary, 'socket'),
    'pid-file': join(temporary, 'pid'),
    port: String(port),
    'bind-address': '127.0.0.1',
    'character-set-server': 'utf8mb4',
    'innodb-flush-log-at-trx-commit': '1',
    ...options.settings,
  }
  const address = `mysql://root@127.0.0.1:${port}`
  const server = await startServer({
    program: mariadbd,
    args: ['--no-defaults', ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)],
    account: mysqlAccount,
    temporary,
    stopSignal: 'SIGTERM',
    connect: async () => void (await query(address, 'select 1 as answer')),
  })
  const { url, createDatabase } = databases(address)
  return { ...server, url: (database = 'mysql') => url(database), port, dataDir, createDatabase }
}

export function databases(server: string): Omit<Mariadb, 'version'> {
  const url = (database: string): string => {
    const address = new URL(server)
    address.pathname = `/${database}`
    return address.href
  }
  return {
    url,
    createDatabase: async (name = `qianzhi_test_${randomBytes(6).toString('hex')}`) => {
      await query(server, `create database \`${name}\` character set utf8mb4`)
      return url(name)
    },
    dropDatabase: async (nameOrUrl) => {
      const name = nameOrUrl.includes('://') ? new URL(nameOrUrl).pathname.slice(1) : nameOrUrl
      await query(server, `drop database if exists \`${name}\``)
    },
  }
}

export async function query(uri: string, sql: string): Promise<string> {
  const connection = await createConnection({ uri, connectTimeout: 5_000 })
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql)
    return String(rows[0]?.['answer'])
  } finally {
    await connection.end()
  }
}
