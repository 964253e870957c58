/** The morning line, with a clock of the test's own; and what it sums up. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { Throughput } from '../../../agent/status/throughput.ts'
import { DailyReport, type DailyReportDeps } from '../../../agent/status/daily-report.ts'
import { LastReconciliations } from '../../../agent/status/last-reconciliations.ts'
import { openState } from '../../../agent/runtime/state.ts'
import { lastFault, setFault, clearFault, StatusBoard } from '../../../agent/status/board.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { statusOf } from './fixture.ts'

type Test = Pick<typeof t, 'teardown'>
const at = (time: string) => new Date(`${time}:00+08:00`)

function begun(test: Test, more: Partial<DailyReportDeps> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-morning-'))
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const clock = { now: at('2026-11-24T08:00') }
  const logged: string[] = []
  const told: string[] = []
  const make = () => {
    const board = new StatusBoard('1', 's')
    const morning = new DailyReport({
      at: '08:30',
      timezone: 'Asia/Shanghai',
      state: openState(folder),
      board,
      now: () => clock.now,
      status: () => statusOf({ time: clock.now.toISOString() }),
      reconciled: () => [
        { time: '2026-11-23T17:05:00.000Z', equal: false },
        { time: '2026-11-23T18:05:00.000Z', equal: true },
      ],
      logger: pino({}, { write: (line: string) => void logged.push(line) }),
      tell: () => void told.push('told'),
      ...more,
    })
    return { board, morning, report: () => board.report(0).morning }
  }
  return { clock, logged, told, make }
}

t.test('written once a day, from its time on, and told at once', async (t) => {
  const { clock, logged, told, make } = begun(t)
  const { morning, report } = make()
  t.same(report(), { at: '08:30', timezone: 'Asia/Shanghai' }, 'the hub knows when to expect it')
  morning.look(true)
  clock.now = at('2026-11-24T08:29')
  morning.look(true)
  t.equal(logged.length, 0)
  clock.now = at('2026-11-24T08:30')
  morning.look(false)
  t.equal(logged.length, 0, 'lines find their places first')
  morning.look(true)
  morning.look(true)
  t.equal(logged.length, 1)
  t.same(told, ['told'])
  t.match(logged[0], /早报 2026-11-24：来源 0\/2 .* \/ morning line: 0 of 2 sources/)
  t.same(report()!.line, {
    day: '2026-11-24',
    time: '2026-11-24T00:30:00.000Z',
    sources: { level: 0, all: 2 },
    routes: { level: 1, all: 1 },
    waiting: 1234,
    oldest: '2026-11-24T00:36:40.000Z',
    quarantine: 3,
    held: 1,
    paused: 0,
    reconciled: { time: '2026-11-23T18:05:00.000Z', equal: 1, all: 2 },
  })
  clock.now = at('2026-11-25T08:31')
  morning.look(true)
  t.equal(report()!.line!.day, '2026-11-25')
})

t.test('over restarts and turned clocks', async (t) => {
  const { clock, logged, make } = begun(t)
  clock.now = at('2026-11-24T17:00')
  make().morning.look(true)
  t.equal(logged.length, 1, 'made up for where the program did not run then')
  const again = make()
  t.equal(again.report()!.line!.day, '2026-11-24', 'kept until the hub has it')
  again.morning.look(true)
  t.equal(logged.length, 1, 'not twice')
  clock.now = at('2026-11-24T08:35')
  again.morning.look(true)
  t.equal(logged.length, 1, 'a clock that was put back')
  clock.now = at('2026-11-28T09:00')
  again.morning.look(true)
  t.equal(logged.length, 2)
})

t.test('switched off', async (t) => {
  const { clock, logged, make } = begun(t, { at: false })
  const { morning, report } = make()
  clock.now = at('2026-11-24T12:00')
  morning.look(true)
  t.equal(logged.length, 0)
  t.equal(report(), undefined)
})

t.test('the last reconciliations, over restarts', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-reconciled-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  let now = at('2026-11-24T02:00')
  const make = () => new LastReconciliations(openState(folder), () => now)
  const last = make()
  t.equal(last.source('villages'), undefined)
  last.note('source', { route: 'r1', resource: 'villages', outcome: 'different' })
  now = at('2026-11-24T03:00')
  last.note('source', { route: 'r2', resource: 'villages', outcome: 'equal' })
  last.note('target', { route: 'r3', resource: 'people', outcome: 'equal' })
  last.note('target', { route: 'r33', resource: 'people', outcome: 'different' })
  for (const seen of [last, make()]) {
    t.same(
      seen.source('villages'),
      { time: at('2026-11-24T02:00').toISOString(), equal: false },
      'a difference is not hidden by another route',
    )
    t.same(seen.sink('r3'), { time: now.toISOString(), equal: true })
    t.equal(seen.all().length, 4)
  }
  last.note('source', { route: 'r1', resource: 'villages', outcome: 'equal' })
  t.same(last.source('villages'), { time: now.toISOString(), equal: true })
  now = at('2026-12-30T03:00')
  t.equal(last.source('villages'), undefined, 'too old to be told')
})

t.test('rates over the last minute', async (t) => {
  const rates = new Throughput()
  const line = { rows: 0 }
  t.equal(rates.rate(line, 0), undefined)
  rates.sample([line], 0)
  line.rows = 1000
  t.equal(rates.rate(line, 1000), undefined, 'not from a moment')
  t.equal(rates.rate(line, 10_000), 100)
  for (let at = 5_000; at <= 60_000; at += 5_000) rates.sample([line], at)
  t.equal(rates.rate(line, 60_000), 17)
  for (let at = 65_000; at <= 180_000; at += 5_000) rates.sample([line], at)
  t.equal(rates.rate(line, 180_000), 0, 'what was before the last minute counts no more')
  line.rows = 60
  t.equal(rates.rate(line, 185_000), 0, 'a count that begins again is no rate')
})

t.test('the last fault stays known when it is over', async (t) => {
  const report = new StatusBoard('1', 's').source('villages', 'front')
  t.equal(lastFault(report), undefined)
  setFault(report, new QianzhiError('QZ-DB-UNREACHABLE', { database: 'front', reason: 'x' }), at('2026-11-24T08:00'))
  clearFault(report)
  t.match(lastFault(report), { code: 'QZ-DB-UNREACHABLE', since: '2026-11-24T00:00:00.000Z' })
  t.equal(JSON.stringify(report).includes('QZ-DB'), false, 'the hub is not told of it')
})
