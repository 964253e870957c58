/** A pooler in front of a database: one that hands out sessions by transaction is named by every door; one by session is used. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectTo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openPostgres } from '../../../../agent/databases/postgres/engine.ts'
import { licence, sinkOf, sourceOf } from '../conformance/fixture.ts'
import { openClient } from '../../../support/client.ts'
import { findPostgres } from '../../../support/postgres.ts'
import { until } from '../../../support/programs.ts'
import { freePort } from '../../../support/server.ts'

const pgbouncer = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path))
const server = await findPostgres()
t.teardown(() => server.stop())

/** @returns the database's URL by way of the pooler. */
async function pooled(test: Test, url: string, mode: 'transaction' | 'session' | 'statement'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-pgbouncer-'))
  await chmod(folder, 0o755)
  const { hostname, port, username } = new URL(url)
  const [own, file] = [await freePort(), join(folder, 'pgbouncer.ini')]
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: own,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: join(folder, 'users'),
    pool_mode: mode,
    default_pool_size: 20,
  }
  await writeFile(join(folder, 'users'), `"${username}" ""\n`)
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  await writeFile(
    file,
    ['[databases]', `* = host=${hostname.startsWith('%2F') ? '127.0.0.1' : hostname} port=${port}`, '[pgbouncer]', ...lines, ''].join('\n'),
  )
  const child = spawn(pgbouncer!, [...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []), file], { stdio: 'ignore' })
  test.teardown(async () => {
    child.kill()
    await rm(folder, { recursive: true })
  })
  await until(
    'the pooler listens',
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connectTo(own, '127.0.0.1', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false))
      }),
  )
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String(own)
  return through.href
}

t.test('pgbouncer', { skip: pgbouncer ? false : 'pgbouncer is not installed' }, async (t) => {
  const url = await server.createDatabase()
  const client = await openClient(url)
  t.teardown(() => client.end())
  await client.query('create table licence (id varchar(20) primary key, name varchar(100), amount numeric(12, 2))')
  const [source, sink] = [sourceOf(licence), sinkOf(licence)]
  for (const mode of ['transaction', 'statement'] as const) {
    const database = await openPostgres({ name: 'front', url: await pooled(t, url, mode), pace: 50 })
    const named = { code: 'QZ-DB-POOLED', message: /pool_mode=session/ }
    await t.rejects(database.openCapture([source]), named, `${mode}: a source`)
    await t.rejects(database.openDelivery([sink]), named, `${mode}: a sink`)
    await t.rejects(database.openReading(), named, `${mode}: a reading`)
    await t.rejects(database.setupScript(source), named, `${mode}: setup`)
    const said = (await database.doctor([source], [sink])).filter(({ ok }) => !ok)
    t.match(said.map(({ en }) => en).join(), /pool_mode=session/, `${mode}: doctor`)
    await database.close()
  }
  const database = await openPostgres({ name: 'front', url: await pooled(t, url, 'session'), pace: 50 })
  t.teardown(() => database.close())
  await database.run(await database.setupScript(source))
  const capture = await database.openCapture([source])
  await client.query(`insert into licence values ('a', 'x', 1)`)
  t.same((await capture.take(source, 10, new Set())).keys, [['a']])
  await capture.close()
})
