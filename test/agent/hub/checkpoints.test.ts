import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Checkpoints } from '../../../agent/hub/checkpoints.ts'
import { runHere } from '../../support/commands.ts'

const top = mkdtempSync(join(tmpdir(), 'qianzhi-checkpoints-'))
t.teardown(() => rmSync(top, { recursive: true }))
const fresh = () => mkdtempSync(join(top, 'agent-'))
const hash = (n: number) => n.toString(16).padStart(64, '0')
const point = (seq: number) => ({ seq, hash: hash(seq) })
const unexpected = (error: unknown) => {
  throw error
}

t.test('the farthest checkpoint of each day of Asia/Shanghai is kept', async (t) => {
  const kept = new Checkpoints(fresh(), unexpected)
  kept.note(point(5), '2026-11-22T15:59:59Z')
  kept.note(point(9), '2026-11-22T16:00:00Z')
  kept.note(point(12), '2026-11-23T01:00:00Z')
  kept.note(point(11), '2026-11-23T02:00:00Z')
  kept.note({ seq: 12, hash: hash(99) }, '2026-11-23T03:00:00Z')
  kept.note(point(7), '2026-11-22T10:00:00Z')
  kept.note(undefined, '2026-11-24T00:00:00Z')
  kept.note(point(20), 'no time')
  t.same(kept.list(), [
    { ...point(7), time: '2026-11-22T10:00:00Z' },
    { ...point(12), time: '2026-11-23T01:00:00Z' },
  ])
  kept.note(point(3), '2026-11-20T00:00:00Z')
  t.same(
    kept.list().map(({ seq }) => seq),
    [3, 7, 12],
    'a day that comes late finds its place',
  )
})

t.test('it is bounded, and written at most once a minute', async (t) => {
  const folder = fresh()
  let now = 0
  const kept = new Checkpoints(folder, unexpected, () => now)
  const written = () => (JSON.parse(readFileSync(join(folder, 'audit.json'), 'utf8')) as { seq: number }[]).map(({ seq }) => seq)
  kept.note(point(1), '2026-11-22T00:00:00Z')
  t.same(written(), [1])
  t.equal(statSync(join(folder, 'audit.json')).mode & 0o777, 0o600)
  now = 59_999
  kept.note(point(2), '2026-11-22T00:00:01Z')
  t.same(written(), [1])
  now = 60_000
  kept.note(point(3), '2026-11-22T00:00:02Z')
  t.same(written(), [3])
  kept.note(point(4), '2026-11-22T00:00:03Z')
  kept.flush()
  t.same(written(), [4])
  t.same(Checkpoints.read(folder), kept.list())
  for (let day = 1; day <= 1000; day++) kept.note(point(day + 4), new Date(Date.UTC(2027, 0, day)).toISOString())
  t.equal(kept.list().length, 800)
  t.equal(kept.list().at(-1)!.seq, 1004)
})

t.test('a folder that cannot be written to holds nothing up', async (t) => {
  const failures: unknown[] = []
  writeFileSync(join(top, 'file'), '')
  const stuck = new Checkpoints(join(top, 'file'), (error) => failures.push(error))
  stuck.note(point(1), '2026-11-22T00:00:00Z')
  t.equal(failures.length, 1)
  t.throws(() => stuck.flush(), 'but is said where somebody waits for it')
})

t.test('the command prints them, with and without a running agent', async (t) => {
  const folder = fresh()
  const file = join(folder, 'qianzhi-agent.yaml')
  writeFileSync(file, `data: ${folder}\n`)
  const audit = (...words: string[]) => runHere(['agent/main.ts', 'audit', '--config', file, ...words], { failing: true })
  t.match((await audit()).stderr, 'QZ-NOT-ENROLLED')
  const identity = { agent: 'a', agency: 'b', urls: ['https://h'], hubKey: 'k' }
  writeFileSync(join(folder, 'state.json'), JSON.stringify({ identity, pins: {} }))
  t.match((await audit()).stdout, '检查点')
  new Checkpoints(folder, unexpected).note(point(7), '2026-11-22T10:00:00Z')
  t.match((await audit('--lang', 'en')).stdout, `2026-11-22 18:00:00  7  ${hash(7)}`)
  const { stdout } = await audit('--json')
  t.same(JSON.parse(stdout), { agent: 'a', hubKey: 'k', checkpoints: [{ ...point(7), time: '2026-11-22T10:00:00Z' }] })
  t.equal(stdout.trim().split('\n').length, 1, 'one line, so that several agents make JSON lines')
})
