/**
 * Guarantees 2 and 4: yesterday's backup put back at the hub, at the source, at the target, at hub and source together; late requests,
 * copies of programs, and a receiver that was away while its log was trimmed. The streams find themselves again, without anybody's help.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { agentPaths } from '../../protocol/api.ts'
import { openClient } from '../support/client.ts'
import { TestAgent } from '../support/exchange.ts'
import { startPostgres, type TestDatabaseServer } from '../support/postgres.ts'
import { runProgram, until } from '../support/programs.ts'
import { Chaos, isEqual, showDifference } from './chaos.ts'
import { seedOfThisRun } from './random.ts'
import { startRecorder, type Answer, type Recorder } from './recorder.ts'
import { counterPrefix } from './writers.ts'

const seed = seedOfThisRun()
const say = (line: string): void => void process.stdout.write(`${line}\n`)
say(`QIANZHI_SEED=${seed}`)

const folder = mkdtempSync(join(tmpdir(), 'qianzhi-restore-'))
execFileSync('chmod', ['755', folder])
const [source, target] = await Promise.all(['source', 'target'].map(keptPostgres))
const chaos = await Chaos.start({ seed, source: source!, target: target!, rows: 1_000, note: say })
t.teardown(async () => {
  await chaos.stop()
  await Promise.all([source!.stop(), target!.stop()])
  rmSync(folder, { recursive: true, force: true })
})

function keptPostgres(name: string): Promise<TestDatabaseServer> {
  const dataDir = join(folder, name)
  execFileSync('mkdir', [dataDir])
  return startPostgres({ dataDir })
}

type End = 'hub' | 'source' | 'target'

function folderOf(end: End): string {
  return end === 'hub' ? chaos.hubFolder : chaos[end].dataDir
}

/** The hub stops its embedded PostgreSQL with it. */
async function stop(end: End): Promise<void> {
  if (end === 'hub') await chaos.exchange.hub.end()
  else await chaos[end].kill('SIGINT')
}

async function start(end: End): Promise<void> {
  if (end !== 'hub') return chaos[end].restart()
  chaos.exchange.hub.start()
  await chaos.exchange.ready()
}

async function backUp(end: End): Promise<void> {
  await stop(end)
  rmSync(join(folder, `${end}.backup`), { recursive: true, force: true })
  execFileSync('cp', ['-a', folderOf(end), join(folder, `${end}.backup`)])
  await start(end)
}

async function putBack(end: End): Promise<void> {
  rmSync(folderOf(end), { recursive: true })
  execFileSync('cp', ['-a', join(folder, `${end}.backup`), folderOf(end)])
}

async function write(transactions: number): Promise<void> {
  chaos.writers.start()
  await chaos.writers.pass(transactions)
  await chaos.writers.stop()
}

async function equal(t: Test, when: string): Promise<void> {
  const before = performance.now()
  const result = await chaos.settle()
  say(`  ${t.name}: ${when}: ${showDifference(result)} after ${((performance.now() - before) / 1000).toFixed(1)} s`)
  t.ok(isEqual(result), when)
}

/** Backed up under load, changed further until the target shows it, put back; equal by itself, then equal again after more changes. */
async function restore(t: Test, ends: readonly End[], whileDown: () => void = () => undefined): Promise<void> {
  chaos.writers.start()
  await chaos.writers.pass(40)
  for (const end of ends) await backUp(end)
  await chaos.writers.pass(120)
  await chaos.writers.stop()
  await equal(t, 'before')
  for (const end of ends) await stop(end)
  whileDown()
  for (const end of ends) await putBack(end)
  for (const end of ends) await start(end)
  await equal(t, 'by itself')
  await write(60)
  await equal(t, 'after more changes')
}

/** The messages that an agent's log gained while `work` ran. */
async function messages(agent: TestAgent, work: () => Promise<void>): Promise<string[]> {
  const lines = () => readFileSync(agent.program.log, 'utf8').trimEnd().split('\n')
  const before = lines().length
  await work()
  const gained = lines().slice(before)
  return gained.map((line) => (JSON.parse(line) as { msg: string }).msg)
}

function says(t: Test, said: readonly string[], wanted: RegExp): void {
  t.ok(
    said.some((message) => wanted.test(message)),
    `the log says what was done: ${wanted.source}`,
    { said: [...new Set(said)] },
  )
}

/** A source that went back takes each counter back with it, once; nothing else may. */
function wentBackOnce(t: Test): void {
  const codes = chaos.watch.stepsBack.map(({ code }) => code)
  t.equal(new Set(codes).size, codes.length, 'no counter went back twice')
  t.notOk(
    chaos.watch.stepsBack.some(({ to }) => to === undefined),
    'no counter was gone',
  )
  chaos.watch.stepsBack.length = 0
}

t.test('the hub is put back', async (t) => {
  const said = await messages(chaos.provider, () => restore(t, ['hub']))
  says(t, said, /a new epoch begins/)
  t.same(chaos.watch.stepsBack, [], 'no counter went back')
})

t.test('the source is put back', async (t) => {
  const said = await messages(chaos.provider, () => restore(t, ['source']))
  says(t, said, /the hub is ahead: \d+ keys queued again/)
  t.ok(chaos.watch.stepsBack.length > 0, 'the target followed it')
  wentBackOnce(t)
})

t.test('the source is put back to before a snapshot whose end removed rows that no batch names', async (t) => {
  await write(20)
  await equal(t, 'before the backup')
  await backUp('source')
  // As where a snapshot begins while deletes are queued: it stands for them.
  const gone = await deleteSome({ unseen: true })
  await until('the snapshot can be asked for', async () => (await chaos.provider.report())?.sources[0]?.state === 'flowing')
  await chaos.provider.command('resync', 'villages')
  await equal(t, 'the rows are gone')
  const said = await messages(chaos.provider, async () => {
    await stop('source')
    await putBack('source')
    await start('source')
    await equal(t, 'by itself')
  })
  says(t, said, /the hub is ahead: \d+ keys queued again/)
  const target = await openClient(chaos.targetUrl)
  t.teardown(() => target.end())
  const some = `select code from ${chaos.table} where code in (${gone.map((code) => `'${code}'`).join()})`
  t.equal((await target.query(some)).length, gone.length, 'they are there again')
  wentBackOnce(t)
})

t.test('the target is put back', async (t) => {
  const said = await messages(chaos.receiver, () => restore(t, ['target'], () => chaos.watch.forget()))
  says(t, said, /this database went back/)
  t.same(chaos.watch.stepsBack, [], 'no counter went back')
})

// Where the provider sent nothing between the two backups, they agree on the place, and the hub asks for the receiver's sake.
t.test('hub and source are put back together, the hub further', async (t) => {
  const said = await messages(chaos.provider, () => restore(t, ['hub', 'source']))
  says(t, said, /a new epoch begins|the hub asks for a snapshot/)
  wentBackOnce(t)
})

t.test('hub and source are put back to the same place, and nothing is written', async (t) => {
  await write(20)
  await equal(t, 'before the backup')
  for (const end of ['hub', 'source'] as const) await backUp(end)
  await write(60)
  await equal(t, 'before')
  const said = await messages(chaos.provider, async () => {
    await Promise.all([stop('hub'), stop('source')])
    for (const end of ['hub', 'source'] as const) await putBack(end)
    await Promise.all([start('hub'), start('source')])
    await equal(t, 'by itself')
  })
  says(t, said, /a receiver is at \S+ ahead of hub and this database: a new epoch begins/)
  wentBackOnce(t)
  await write(20)
  await equal(t, 'after more changes')
})

/** Reconfigures the provider to reach the hub through a recorder. */
async function recordProvider(): Promise<Recorder> {
  const recorder = await startRecorder(readFileSync(join(chaos.hubFolder, 'tls', 'server.pem'), 'utf8'), chaos.exchange.url)
  await configureProvider({ urls: [recorder.url] })
  return recorder
}

async function configureProvider(hub: object | undefined): Promise<void> {
  const { hub: _, ...config } = parse(readFileSync(chaos.provider.configFile, 'utf8')) as Record<string, unknown>
  writeFileSync(chaos.provider.configFile, stringify(hub ? { ...config, hub } : config))
  await chaos.provider.program.end()
  chaos.provider.program.start()
  await until('the provider runs again', () => chaos.provider.report())
}

function codeIn({ status, body }: Answer): string {
  const { code, receipt } = JSON.parse(body.toString()) as { code?: string; receipt?: string }
  return status === 200 && receipt ? receipt : `${status} ${code}`
}

async function headAtSource(): Promise<unknown> {
  return (await chaos.provider.report())!.sources[0]!.position
}

const batchesOf = ({ recorded }: Recorder) => recorded.filter(({ path, answer }) => path === agentPaths.batches && answer?.status === 200)

t.test('late requests', async (t) => {
  const recorder = await recordProvider()
  t.teardown(() => recorder.close())
  while (batchesOf(recorder).length < 4) {
    await write(5)
    await equal(t, 'through the recorder')
  }

  await t.test('after a restart of the hub they get the first receipt, and change nothing', async (t) => {
    const old = batchesOf(recorder)
    await chaos.exchange.hub.end('SIGKILL')
    await start('hub')
    await write(20)
    await equal(t, 'newer batches came after them')
    const head = await headAtSource()
    for (const request of old) t.equal(codeIn(await recorder.resend(request)), codeIn(request.answer!), 'the first receipt')
    await equal(t, 'after the late requests')
    t.same(await headAtSource(), head, 'the head is where it was')
  })

  await t.test('at a hub that was put back they come before the provider does', async (t) => {
    await backUp('hub')
    const before = batchesOf(recorder).length
    while (batchesOf(recorder).length < before + 3) {
      await write(5)
      await equal(t, 'before')
    }
    const late = batchesOf(recorder).slice(before)
    await chaos.provider.program.end('SIGKILL')
    await stop('hub')
    await putBack('hub')
    await start('hub')
    t.match(codeIn(await recorder.resend(late[0]!)), /^ey/, 'the next batch of the chain is stored once more')
    t.equal(codeIn(await recorder.resend(late.at(-1)!)), '409 QZ-BATCH-HEAD', 'one that leaves a gap is not')
    chaos.provider.program.start()
    await write(20)
    await equal(t, 'the provider began a new epoch')
    t.equal(codeIn(await recorder.resend(late[1]!)), '409 QZ-BATCH-HEAD', 'the old epoch is over')
    await equal(t, 'after the last late request')
  })

  t.same(chaos.watch.stepsBack, [], 'no counter went back')
  await configureProvider(undefined)
})

t.test('a copy of the provider is kept out until the first is gone', async (t) => {
  const path = join(chaos.exchange.folder, 'copy')
  execFileSync('cp', ['-a', chaos.provider.folder, path])
  // On another machine nothing answers at the copied address.
  rmSync(join(path, 'data', 'control.json'))
  const copy = new TestAgent('copy', path, { agency: 'statistics', databases: {} })
  t.teardown(() => copy.program.end())
  copy.program.start()
  chaos.writers.start()
  const fault = await until('the copy is told', async () => (await copy.report())?.sources[0]?.fault?.code)
  t.equal(fault, 'QZ-AGENT-CLONED')
  await chaos.writers.pass(40)
  t.equal((await chaos.provider.report())!.sources[0]!.state, 'flowing', 'the first goes on')
  await chaos.provider.program.end('SIGKILL')
  await chaos.writers.pass(40)
  await chaos.writers.stop()
  await equal(t, 'the copy took over')
  t.equal((await copy.report())!.sources[0]!.state, 'flowing')
  await copy.program.end()
  chaos.provider.program.start()
  await write(20)
  await equal(t, 'the first took over again')
})

t.test('a second hub on the same data folder is refused', async (t) => {
  const file = join(chaos.exchange.folder, 'second-hub.yaml')
  const config = parse(readFileSync(chaos.exchange.hubFile, 'utf8')) as Record<string, unknown>
  writeFileSync(file, stringify({ ...config, listen: { host: '127.0.0.1', port: 0 } }))
  const { code, stderr } = await runProgram(['hub/main.ts', 'start', '--config', file], { failing: true })
  t.not(code, 0)
  t.match(stderr, /^QZ-DATA-LOCKED/m)
  await write(20)
  await equal(t, 'the first goes on')
})

t.test('a receiver is away while the log is trimmed', async (t) => {
  await configureHub({ log: { retention: 1e-7, lapse: 1e-7 } })
  const recorder = await recordProvider()
  t.teardown(() => recorder.close())
  await write(20)
  await equal(t, 'before')
  const late = batchesOf(recorder)[0]!
  await chaos.receiver.program.end()
  const gone = await deleteSome()
  await chaos.provider.command('resync', 'villages')
  await write(40)
  await until('batches are trimmed', async () => {
    const { trimmed } = (await chaos.exchange.office('housekeeping')) as { trimmed: Record<string, number> }
    return (trimmed['villages'] ?? 0) > 0
  })
  t.equal(codeIn(await recorder.resend(late)), '409 QZ-BATCH-HEAD', 'a late request of a trimmed batch is refused')
  const [source, target] = [await openClient(chaos.sourceUrl), await openClient(chaos.targetUrl)]
  t.teardown(() => Promise.all([source.end(), target.end()]))
  const goneOf = (table: string) => `select code from ${table} where code in (${gone.map((code) => `'${code}'`).join()}) order by code`
  t.ok((await target.query(goneOf(chaos.table))).length > 0, 'rows that were deleted meanwhile are still there')
  chaos.receiver.program.start()
  await equal(t, 'it restarted from a snapshot')
  t.same(await target.query(goneOf(chaos.table)), await source.query(goneOf('villages')), 'they are gone, but for what was inserted again')
  await write(20)
  await equal(t, 'after more changes')
  t.same(await chaos.faultsFound(), [])
})

async function configureHub(change: object): Promise<void> {
  const config = parse(readFileSync(chaos.exchange.hubFile, 'utf8')) as Record<string, unknown>
  await stop('hub')
  writeFileSync(chaos.exchange.hubFile, stringify({ ...config, ...change }))
  await start('hub')
}

/** @returns the codes of rows that both ends had and the source has no more. */
async function deleteSome({ unseen = false } = {}): Promise<string[]> {
  const client = await openClient(chaos.sourceUrl)
  try {
    await client.query('begin')
    const some = `select code from villages where code not like '${counterPrefix}%' and name not like '重来%' order by code limit 50`
    const gone = (await client.query(`delete from villages where code in (${some}) returning code`)).map(([code]) => code!)
    if (unseen) {
      const [[queue]] = (await client.query(`select tablename from pg_tables where tablename like 'q_villages%'`)) as [[string]]
      await client.query(`delete from qianzhi.${queue}`)
    }
    await client.query('commit')
    return gone
  } finally {
    await client.end()
  }
}
