import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startEmbedded } from '../../../hub/store/embedded.ts'
import { openClient } from '../../support/client.ts'
import { until } from '../../support/programs.ts'

const holder = fileURLToPath(new URL('holder.ts', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'qianzhi-embedded-'))
const started: ChildProcess[] = []

t.teardown(async () => {
  for (const child of started) child.kill('SIGKILL')
  for (const name of ['data', 'copy'])
    await startEmbedded(join(folder, name)).then(
      (store) => store.stop(),
      () => {},
    )
  await rm(folder, { recursive: true, force: true })
})

/** Starts a holder and gives its first line. */
async function hold(data: string, lockPatience = 10_000): Promise<{ line: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [holder, data, String(lockPatience)], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return { line: chunk.toString().trim(), child }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

async function run(url: string, sql: string): Promise<(string | null)[][]> {
  const client = await openClient(url)
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

const urlOf = (line: string) => line.replace(/^held /, '')

t.test('the folder is closed to others, the settings are durable', async (t) => {
  const data = join(folder, 'data')
  const { line, child } = await hold(data)
  t.match(line, /^held postgres:/)
  for (const path of [data, join(data, 'store'), join(data, 'store', 'secret.json')]) t.equal((await stat(path)).mode & 0o077, 0, path)
  const settings = await run(
    urlOf(line),
    `select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')`,
  )
  t.same(settings, [['on', 'on', 'on']])
  await t.rejects(openClient(urlOf(line).replace(/:[^:@]+@/, ':wrong@')), /password/, 'the password is asked for')
  await run(urlOf(line), 'create table kept as select 1 as one')
  await end(child, 'SIGTERM')
  await t.rejects(openClient(urlOf(line)), 'the server stops with its holder')
})

t.test('a killed holder leaves the server running; the next one takes it up', async (t) => {
  const data = join(folder, 'data')
  const first = await hold(data)
  await end(first.child, 'SIGKILL')
  t.same(await run(urlOf(first.line), 'select one from kept'), [['1']], 'orphaned, but it runs')
  const second = await hold(data)
  t.equal(second.line, first.line, 'the same server at the same port')
  await end(second.child, 'SIGTERM')
})

t.test('two holders of one folder: the second waits, then gives up; or takes over a killed one', async (t) => {
  const data = join(folder, 'data')
  const first = await hold(data)
  const second = await hold(data, 500)
  t.equal(second.line, 'locked')
  t.same(await run(urlOf(first.line), 'select one from kept'), [['1']], 'the first is not disturbed')
  const third = hold(data)
  await end(first.child, 'SIGKILL')
  t.match((await third).line, /^held/)
  const fourth = hold(data)
  await end((await third).child, 'SIGTERM')
  t.match((await fourth).line, /^held/, 'one that waits starts the server again when the holder stops it')
  t.same(await run(urlOf((await fourth).line), 'select one from kept'), [['1']])
  await end((await fourth).child, 'SIGTERM')
})

t.test('two that start at once on an empty folder: one holds it', async (t) => {
  const data = join(folder, 'at-once')
  const both = await Promise.all([hold(data, 300), hold(data, 300)])
  t.equal(both.filter(({ line }) => line === 'locked').length, 1)
  for (const { line, child } of both) if (line !== 'locked') await end(child, 'SIGTERM')
})

t.test('the serving role may log in and no more; a folder from before it had one gets it', async (t) => {
  const data = join(folder, 'data')
  const secretFile = join(data, 'store', 'secret.json')
  const { serving, ...before } = JSON.parse(await readFile(secretFile, 'utf8')) as Record<string, unknown>
  t.match(serving, /^[\w-]{32}$/)
  await writeFile(secretFile, JSON.stringify(before))
  const store = await startEmbedded(data)
  t.teardown(() => store.stop())
  t.not(new URL(store.url).password, serving, 'a new password')
  t.same(
    await run(
      store.url,
      'select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls from pg_roles where rolname = current_user',
    ),
    [['f']],
  )
  await t.rejects(run(store.url, 'create table mine (x int)'), /permission denied/)
  await t.rejects(run(store.url, 'select one from kept'), /permission denied/, 'nothing but what it is given')
})

t.test('a copy of a running folder is another store', async (t) => {
  const first = await hold(join(folder, 'data'))
  await end(first.child, 'SIGKILL')
  await cp(join(folder, 'data'), join(folder, 'copy'), { recursive: true, preserveTimestamps: true })
  if (process.getuid?.() === 0) await own(join(folder, 'copy', 'store', 'cluster'), join(folder, 'data', 'store', 'cluster'))
  const copy = await hold(join(folder, 'copy'))
  t.match(copy.line, /^held/)
  t.not(copy.line, first.line)
  const original = await hold(join(folder, 'data'))
  t.equal(original.line, first.line)
  await Promise.all([end(copy.child, 'SIGTERM'), end(original.child, 'SIGTERM')])
})

async function own(path: string, like: string): Promise<void> {
  const { uid, gid } = await stat(like)
  await once(spawn('chown', ['-R', `${uid}:${gid}`, path]), 'exit')
}

t.test('a server that dies under its holder is started again', async () => {
  const store = await startEmbedded(join(folder, 'data'))
  const pid = Number((await readFile(join(folder, 'data', 'store', 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[0])
  process.kill(pid, 'SIGQUIT')
  await until('the store is back', async () => (await run(store.ownerUrl, 'select one from kept')).length > 0)
  const locks = `select count(*)::int from pg_locks where locktype = 'advisory'`
  await until('and locked', async () => (await run(store.ownerUrl, locks))[0]?.[0] === '1')
  await until('and the serving role logs in', async () => (await run(store.url, 'select current_user'))[0]?.[0] === 'qianzhi_hub')
  await store.stop()
})
