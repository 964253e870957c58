/** MySQL for a test: the server at QIANZHI_TEST_MYSQL_URL, or one of our own from where `mysql-server.sh` puts it. */
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { databases, query, type Mariadb } from './mariadb.ts'
import { fillPrepared } from './prepared.ts'
import { account, freePort, run, startServer } from './server.ts'
import { keptFolder } from './temporary.ts'

const root = join(keptFolder(), 'qianzhi-mysql')
const mysqld = join(root, 'usr/sbin/mysqld')
/** With the libraries beside it: they are newer than the machine's. */
const [loader, ...libraries] = [
  join(root, 'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'),
  '--library-path',
  join(root, 'usr/lib/x86_64-linux-gnu'),
] as const
const usual = ['--no-defaults', `--basedir=${root}/usr`, `--lc-messages-dir=${root}/usr/share/mysql`, '--secure-file-priv=', '--mysqlx=OFF']

export interface Mysql extends Mariadb {
  stop(): Promise<void>
  restart(): Promise<void>
  kill(signal: NodeJS.Signals): Promise<void>
}

/** The given server, which must be there; else one of our own, undefined where it is not on this machine. */
export async function findMysql(): Promise<Mysql | undefined> {
  const given = process.env['QIANZHI_TEST_MYSQL_URL']
  if (given) return { ...(await serverAt(given)), stop: async () => {}, restart: notOurs, kill: notOurs }
  return startMysql()
}

/** One of our own, undefined where it is not on this machine. `settings` are added to its command line; without one of them it keeps no log. */
export async function startMysql(given: Record<string, string> = {}): Promise<Mysql | undefined> {
  if (!existsSync(mysqld)) return undefined
  const owner = await account('mysql')
  const temporary = await mkdtemp(join(tmpdir(), 'qianzhi-mysql-'))
  const dataDir = join(temporary, 'data')
  await mkdir(dataDir)
  if (owner) for (const folder of [temporary, dataDir]) await chown(folder, owner.uid, owner.gid)
  await fillPrepared(dataDir, 'mysql-server', owner, async (folder) => {
    await run(loader, [...libraries, mysqld, ...usual, '--initialize-insecure', `--datadir=${folder}`], owner)
  })
  const port = await freePort()
  const settings = {
    datadir: dataDir,
    socket: join(temporary, 'socket'),
    'pid-file': join(temporary, 'pid'),
    port,
    'bind-address': '127.0.0.1',
    ...given,
  }
  const address = `mysql://root@127.0.0.1:${port}`
  const server = await startServer({
    program: loader,
    args: [
      ...libraries,
      mysqld,
      ...usual,
      ...('log-bin' in given ? [] : ['--disable-log-bin']),
      '--innodb-flush-log-at-trx-commit=0',
      // What is only for its operators.
      '--performance-schema=OFF',
      '--innodb-doublewrite=OFF',
      '--innodb-buffer-pool-size=64M',
      ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    ],
    account: owner,
    temporary,
    stopSignal: 'SIGTERM',
    connect: async () => void (await query(address, 'select 1 as answer')),
  })
  return { ...(await serverAt(address)), stop: () => server.stop(), restart: () => server.restart(), kill: (signal) => server.kill(signal) }
}

async function serverAt(address: string): Promise<Mariadb> {
  return { version: await query(address, 'select version() as answer'), ...databases(address) }
}

async function notOurs(): Promise<void> {
  throw new Error('the server is not ours')
}
