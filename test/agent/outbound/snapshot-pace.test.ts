import t from 'tap'
import { HubClient } from '../../../agent/hub/client.ts'
import { SnapshotPace } from '../../../agent/outbound/snapshot-pace.ts'
import { sourceRules } from '../../../agent/config/source-rules.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'

const at = (time: string) => new Date(`2026-11-24T${time}:00+08:00`)
const paceOf = (snapshot: object, now: () => Date, ticks?: () => number) =>
  new SnapshotPace(sourceRules({ snapshot }, 'Asia/Shanghai').snapshot, { now, ...(ticks && { ticks }) })

t.test('windows are hours of the configured time zone, also across midnight', async (t) => {
  const inside = (window: string, time: string) => paceOf({ window }, () => at(time)).inWindow
  for (const time of ['20:00', '23:59', '00:00', '05:59']) t.ok(inside('20:00-06:00', time), time)
  for (const time of ['06:00', '12:00', '19:59']) t.notOk(inside('20:00-06:00', time), time)
  for (const time of ['12:00', '13:29']) t.ok(inside('12:00-13:30', time), time)
  for (const time of ['11:59', '13:30', '00:00']) t.notOk(inside('12:00-13:30', time), time)
  t.ok(inside('00:00-00:00', '12:00'), 'the whole day')
  t.ok(paceOf({}, () => at('12:00')).inWindow)
})

t.test('a machine whose clock is a day and five hours off keeps to the right hours', async (t) => {
  const hubTime = at('21:00')
  const wrong = new Date(hubTime.getTime() - 29 * 3_600_000)
  const hub = new HubClient({ urls: ['https://127.0.0.1:1'], key: generateSigningKey(), clock: () => wrong })
  t.teardown(() => hub.close())
  const pace = paceOf({ window: '20:00-06:00' }, () => hub.now())
  t.notOk(pace.inWindow, 'it is 16:00 as far as the machine knows')
  hub.learnTime(hubTime.toISOString(), performance.now())
  t.ok(pace.inWindow)
})

t.test('rows per second', async (t) => {
  let [ticks, rows] = [0, 0]
  const pace = paceOf(
    { pace: 500 },
    () => at('12:00'),
    () => ticks,
  )
  pace.restart()
  pace.measure(10_000)
  for (; ticks < 10_000; ticks += 10) {
    if (!pace.mayRead) continue
    const read = pace.limit(1_000)
    pace.took(read)
    rows += read
  }
  t.equal(rows, 5_000)
  t.match(pace.progress(), { rows: 5_000, total: 10_000, rate: 500, left: 10 })
})

t.test('progress over a restart, and where the beginning is not known', async (t) => {
  let ticks = 0
  const pace = paceOf(
    { window: '20:00-06:00' },
    () => at('21:00'),
    () => ticks,
  )
  pace.resume(4_000)
  pace.measure(10_000)
  pace.took(1_000)
  t.same(pace.progress(), { rows: 5_000, total: 10_000 }, 'no rate from one part')
  ticks += 1_000
  pace.took(1_000)
  t.same(pace.progress(), { rows: 6_000, total: 10_000, rate: 1_000, left: 4 })
  t.equal(pace.rows, 6_000)
  pace.resume(undefined)
  pace.took(10)
  t.equal(pace.rows, 10_000, 'what there was when it was gone on with')
  t.same(paceOf({ window: '20:00-06:00' }, () => at('12:00')).progress(), { rows: 0, total: 0, waits: 'window' })
})
