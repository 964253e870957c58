import fc from 'fast-check'
import t from 'tap'
import { addDays, makeCalendar } from '../../../../hub/records/calendar.ts'
import {
  cyclesOwing,
  explainableFrom,
  frequencies,
  lastPeriod,
  nextPeriod,
  parsePeriod,
  periodOf,
  periodsEndingOn,
} from '../../../../hub/supervision/duties/periods.ts'
import { supervisionSettings } from '../../../../hub/records/settings.ts'
import { refusal } from '../../office.ts'

const at = (text: string) => new Date(`${text}+08:00`)
const calendar = makeCalendar()
const { duties } = supervisionSettings()

void t.test('periods have the boundaries of the regulation', async (t) => {
  t.match(periodOf('quarterly', '2026-11-22'), { period: '2026-Q4', from: '2026-10-01', to: '2026-10-10' })
  t.match(periodOf('quarterly', '2026-01-01'), { period: '2026-Q1', from: '2026-01-01', to: '2026-01-10' })
  t.match(periodOf('quarterly', '2026-06-30'), { period: '2026-Q2', to: '2026-04-10' })
  t.match(periodOf('monthly', '2024-02-29'), { period: '2024-02', from: '2024-02-01', to: '2024-02-29' })
  t.match(periodOf('monthly', '2026-12-01'), { period: '2026-12', to: '2026-12-31' })
  t.match(periodOf('weekly', '2026-11-22'), { period: '2026-W47', from: '2026-11-16', to: '2026-11-22' })
  t.match(periodOf('weekly', '2027-01-01'), { period: '2026-W53', from: '2026-12-28', to: '2027-01-03' })
  t.match(periodOf('weekly', '2024-12-31'), { period: '2025-W01', from: '2024-12-30', to: '2025-01-05' })
  t.match(periodOf('daily', '2026-11-22'), { period: '2026-11-22', from: '2026-11-22', to: '2026-11-22' })
})

void t.test('every period has one key, and periods follow each other', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 9000 }).map((days) => addDays('2015-01-01', days)),
      fc.constantFrom(...frequencies),
      (day, frequency) => {
        const period = periodOf(frequency, day)
        t.same(parsePeriod(period.period), period)
        t.ok(period.from <= day)
        t.same(lastPeriod(nextPeriod(period)), period)
        t.ok(nextPeriod(period).from > period.to)
        if (frequency !== 'quarterly') t.equal(nextPeriod(period).from, addDays(period.to, 1))
      },
    ),
  )
  for (const key of ['', '2026', '2026-Q5', '2026-W54', '2027-W53', '2026-13', '2026-02-30', '2026-11-22x', 'x-2026-Q1']) {
    t.equal(await refusal(Promise.resolve().then(() => parsePeriod(key))), 'QZ-REQUEST-INVALID', key)
  }
})

void t.test('on the tenth the quarter ends, on a Sunday the week, and so on', async (t) => {
  const ending = (day: string, more = {}) => periodsEndingOn(day, { ...duties, ...more }, calendar).map(({ period }) => period)
  t.same(ending('2027-01-10'), ['2027-01-10', '2027-W01', '2027-Q1'])
  t.same(ending('2027-01-11'), ['2027-01-11'])
  t.same(ending('2026-11-30'), ['2026-11-30', '2026-11'])
  t.same(ending('2026-11-22', { dailyOn: 'working-days' }), ['2026-W47'])
  t.same(ending('2026-10-10', { dailyOn: 'working-days' }), ['2026-10-10', '2026-Q4'], 'a make-up Saturday')
  t.same(ending('2027-02-08', { dailyOn: 'working-days' }), [], 'a Monday of which nobody knows yet whether it is worked')
})

void t.test('each cycle owes its own periods; a real-time one the quarter, or each day by a setting', async (t) => {
  t.same(cyclesOwing('quarterly', duties), ['quarterly', 'realtime'])
  t.same(cyclesOwing('daily', duties), ['daily'])
  t.same(cyclesOwing('daily', { ...duties, realtime: 'daily' }), ['daily', 'realtime'])
  t.same(cyclesOwing('quarterly', { ...duties, realtime: 'daily' }), ['quarterly'])
  t.same(cyclesOwing('weekly', { ...duties, realtime: 'daily' }), ['weekly'])
})

void t.test('that nothing changed can be said with the warning, or at noon of the last working day', async (t) => {
  const from = (key: string) => explainableFrom(parsePeriod(key), duties, calendar)
  t.same(from('2026-11'), at('2026-11-26T00:00'), 'the warning comes 120 hours before')
  t.same(from('2026-W47'), at('2026-11-20T12:00'), 'on Friday')
  t.same(from('2026-11-20'), at('2026-11-20T12:00'))
  t.same(from('2026-11-22'), at('2026-11-22T12:00'), 'on a Sunday: nothing before is in it')
  t.same(from('2026-Q4'), at('2026-10-07T00:00'))
  t.same(from('2026-W40'), at('2026-09-30T12:00'), 'before a holiday')
})
