import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { reachedBy } from './changed.ts'
import { busy, lanes, waiting } from './lanes.ts'
import { runProgram } from './programs.ts'

const tap = `import t from 'tap'\n`

t.test('assertions are counted, and whatever is no clean end is a failure', async (t) => {
  const folder = t.testdir({
    'good.test.ts': `${tap}t.test('x', async (t) => { t.ok(true); t.ok(true) })`,
    'skipped.test.ts': `${tap}t.test('x', { skip: 'no server' }, async () => {})`,
    'bad.test.ts': `${tap}t.test('x', async (t) => { t.ok(true); t.equal(1, 2, 'one is two') })`,
    'thrown.test.ts': `throw new Error('at once')`,
    'killed.test.ts': `${tap}t.test('x', async (t) => { t.ok(true); process.kill(process.pid, 'SIGKILL') })`,
    'late.test.ts': `${tap}t.test('x', async () => { await new Promise((resolve) => setTimeout(resolve, 60_000)) })`,
    'empty.test.ts': '',
  })
  const run = async (...names: string[]) => {
    const files = names.map((name) => join(folder, `${name}.test.ts`))
    const { code, stdout } = await runProgram(['test/support/run.ts', `--timeout=${names.includes('late') ? 3 : 900}`, ...files], {
      failing: true,
    })
    return { code, stdout, last: stdout.trimEnd().split('\n').at(-1) }
  }
  t.match(await run('good', 'skipped'), { code: 0, stdout: /SKIPPED .*no server[^]*The longest:/, last: '2 passed, 0 failed, 1 skipped' })
  t.match(await run('bad'), { code: 1, stdout: /FAILED .*bad.test.ts > x > one is two/, last: '1 passed, 1 failed, 0 skipped' })
  for (const name of ['thrown', 'killed', 'late', 'empty']) t.match(await run(name), { code: 1, last: /, 1 failed, 0 skipped$/ }, name)

  // In one process; those that come after the one that ends it run again.
  const together = await run('good', 'thrown', 'bad', 'empty', 'late', 'killed', 'skipped')
  const seen = Array.from(together.stdout.matchAll(/^((?:not )?ok) .*\/(\w+)\.test\.ts/gm), ([, ok, name]) => `${name} ${ok}`)
  const ends = ['good ok', 'thrown not ok', 'bad not ok', 'empty not ok', 'late not ok', 'killed not ok', 'skipped ok']
  t.same(seen, ends)
  t.equal(together.last, '4 passed, 5 failed, 1 skipped', 'each is counted once')
  t.match(together.stdout, /FAILED .*thrown.test.ts > at once/)
})

t.test('lanes hold each file once, and name files that are there', async (t) => {
  const named = [...waiting, ...busy]
  t.same(
    named.filter((file) => !existsSync(file)),
    [],
  )
  t.equal(new Set(named).size, named.length)
  const files = [...named, 'test/import-rules.test.ts']
  const within = lanes(files).flatMap((lane) => lane.turns.flat())
  t.same(within.toSorted(), files.toSorted())
})

t.test('changed files reach who imports them, who starts them, and who writes their name', async (t) => {
  const reached = (...changed: string[]) => reachedBy(changed, ['test/hub/tls.test.ts', 'test/flow/pause.test.ts', 'test/docs.test.ts'])
  t.ok(reached('hub/tls.ts').includes('test/hub/tls.test.ts'), 'by import')
  t.ok(reached('agent/agent.ts').includes('test/flow/pause.test.ts'), 'by way of the program that it starts')
  t.notOk(reached('agent/agent.ts').includes('test/hub/tls.test.ts'))
  t.ok(reached('docs/permissions.md').includes('test/docs.test.ts'), 'by name')
  t.equal(reached('package.json').length, 3)
})
