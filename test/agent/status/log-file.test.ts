/** The log as a file that rolls: through the class with a clock of the test's own, and through what pino makes of it. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { smallDisk } from '../../support/small-disk.ts'
import { LogFile, type LogFileOptions } from '../../../agent/status/log-file.ts'

type Test = Pick<typeof t, 'teardown'>

function opened(test: Test, more: Partial<LogFileOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-log-'))
  chmodSync(folder, 0o755)
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const clock = { now: new Date('2026-11-24T10:00:00+08:00') }
  const file = join(folder, 'log', 'agent.log')
  const options = { file, size: 1000, days: 14, files: 1000, timezone: 'Asia/Shanghai', now: () => clock.now, ...more }
  const open = () => {
    const log = new LogFile(options)
    test.teardown(() => void (open.last === log && log.close()))
    open.last = log
    return log
  }
  open.last = undefined as LogFile | undefined
  const names = () => readdirSync(join(folder, 'log')).toSorted()
  const text = (name = 'agent.log') => readFileSync(join(folder, 'log', name), 'utf8')
  /** All lines, the oldest file's first. */
  const all = () =>
    [
      ...names()
        .filter((name) => name !== 'agent.log')
        .toSorted(byNumber),
      'agent.log',
    ].flatMap((name) => text(name).split('\n').slice(0, -1))
  return { folder: join(folder, 'log'), file, clock, open, names, text, all }
}

const numberOf = (name: string) => Number(/\.(\d+)\.log$/.exec(name)?.[1] ?? 0)
const byNumber = (a: string, b: string) => a.slice(0, 17).localeCompare(b.slice(0, 17)) || numberOf(a) - numberOf(b)
const line = (n: number) => `${JSON.stringify({ n, text: '行'.repeat(20) })}\n`

t.test('rolls by size; every line is there, whole and in order', async (t) => {
  const { open, names, all, folder } = opened(t)
  const log = open()
  for (let n = 0; n < 200; n++) log.write(line(n))
  t.same(
    all().map((text) => (JSON.parse(text) as { n: number }).n),
    Array.from({ length: 200 }, (_, n) => n),
  )
  t.equal(names()[0], 'agent.2026-11-24.1.log')
  for (const name of names()) t.ok(statSync(join(folder, name)).size <= 1000, name)
  // Going on after an end of any kind.
  const more = open()
  for (let n = 200; n < 260; n++) more.write(line(n))
  t.equal(all().length, 260)
})

t.test('keeps so many files, and the newest ones', async (t) => {
  const { open, names, all } = opened(t, { files: 3 })
  const log = open()
  for (let n = 0; n < 300; n++) log.write(line(n))
  t.equal(names().length, 4)
  const left = all().map((text) => (JSON.parse(text) as { n: number }).n)
  t.equal(left.at(-1), 299)
  t.equal(left.length, 299 - left[0]! + 1, 'without a hole')
})

t.test('rolls at midnight of the configured zone, and keeps so many days', async (t) => {
  const { open, names, text, clock, folder } = opened(t, { days: 3 })
  const log = open()
  clock.now = new Date('2026-11-24T23:59:59+08:00')
  log.write('a\n')
  clock.now = new Date('2026-11-25T00:00:00+08:00')
  log.write('b\n')
  t.same(names(), ['agent.2026-11-24.1.log', 'agent.log'])
  t.equal(text('agent.2026-11-24.1.log'), 'a\n')
  // Files of others, and such as only look alike, stay.
  for (const name of ['agent.2020-01-01.log', 'agent.2020-01-01.x.log', 'agents.2020-01-01.1.log', 'other.txt'])
    writeFileSync(join(folder, name), '')
  clock.now = new Date('2026-11-28T12:00:00+08:00')
  log.write('c\n')
  t.same(names(), [
    'agent.2020-01-01.log',
    'agent.2020-01-01.x.log',
    'agent.2026-11-25.1.log',
    'agent.log',
    'agents.2020-01-01.1.log',
    'other.txt',
  ])
})

t.test('a file of an earlier day is rolled at the first line after a start', async (t) => {
  const { open, names, text, file, clock } = opened(t)
  open().write('old\n')
  utimesSync(file, clock.now, clock.now)
  clock.now = new Date('2026-11-27T08:00:00+08:00')
  const log = open()
  t.same(names(), ['agent.log'], 'not before there is one')
  log.write('new\n')
  t.same(names(), ['agent.2026-11-24.1.log', 'agent.log'])
  t.equal(text(), 'new\n')
})

t.test('the clock moved back and on again', async (t) => {
  const { open, clock, all } = opened(t, { days: 36_500 })
  const log = open()
  const times = ['2026-11-24T10:00', '2031-01-01T00:00', '2026-11-24T10:01', '2026-11-23T00:00', '2026-11-24T10:02']
  for (const [i, time] of times.entries()) {
    clock.now = new Date(`${time}:00+08:00`)
    for (let n = 0; n < 30; n++) log.write(line(i * 30 + n))
  }
  t.equal(new Set(all()).size, 150, 'no name is used twice, no line lost')
})

t.test('a file that somebody moved or removed', async (t) => {
  const { open, file, text, folder } = opened(t)
  const log = open()
  log.write(line(1))
  renameSync(file, join(folder, 'moved'))
  for (let n = 2; n < 40; n++) log.write(line(n))
  t.ok(existsSync(file), 'a new one is begun when it rolls')
  t.match(text(), /"n":39/)
})

t.test('a file that cannot be renamed goes on being written, and is rolled later', async (t) => {
  const { open, folder, names, all, clock } = opened(t)
  const log = open()
  log.write(line(0))
  const allow = forbidRenaming(folder)
  t.teardown(allow)
  for (let n = 1; n < 60; n++) log.write(line(n))
  t.same(names(), ['agent.log'])
  allow()
  log.write(line(60))
  t.same(names(), ['agent.log'], 'not tried at each line')
  t.equal(all().length, 61, 'nothing is lost')
  clock.now = new Date(clock.now.getTime() + 61_000)
  log.write(line(61))
  t.same(names(), ['agent.2026-11-24.1.log', 'agent.log'])
  t.equal(all().length, 62)
})

/** As when another program holds the file. Root may do everything, so it is somebody else meanwhile. */
function forbidRenaming(folder: string): () => void {
  const isRoot = process.geteuid!() === 0
  chmodSync(folder, 0o555)
  if (isRoot) process.seteuid!(65_534)
  return () => {
    if (isRoot) process.seteuid!(0)
    chmodSync(folder, 0o755)
  }
}

t.test('a full disk stops nothing, and is told', async (t) => {
  const disk = smallDisk(t, process.getuid!())
  if (!disk) return t.pass('a full disk', { skip: 'no file system may be mounted here' })
  const log = new LogFile({
    file: join(disk.folder, 'agent.log'),
    size: 1e9,
    days: 14,
    files: 20,
    timezone: 'Asia/Shanghai',
    now: () => new Date(),
  })
  log.write(line(0))
  disk.fill()
  for (let n = 1; n < 200; n++) log.write(line(n))
  disk.free()
  log.write(line(200))
  log.close()
  const lines = readFileSync(join(disk.folder, 'agent.log'), 'utf8').trimEnd().split('\n').filter(Boolean)
  const whole = lines.flatMap((text) => (text.endsWith('}') ? [JSON.parse(text) as { n?: number; lost?: number }] : []))
  t.equal(whole.at(-1)!.n, 200)
  const lost = whole.find((entry) => entry.lost !== undefined)!.lost!
  t.equal(whole.filter(({ n }) => n !== undefined).length + lost, 201, 'each line is there or counted')
  t.ok(lost > 0)
})

t.test('through pino', async (t) => {
  const { open, all } = opened(t, { size: 5000 })
  const logger = pino({ level: 'debug' }, open())
  for (let n = 0; n < 2000; n++) logger.info({ n }, 'a line')
  t.equal(all().length, 2000)
  t.match(JSON.parse(all().at(-1)!), { n: 1999, msg: 'a line' })
})
