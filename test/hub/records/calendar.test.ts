import fc from 'fast-check'
import t from 'tap'
import {
  addDays,
  addWorkingDays,
  dayOf,
  daysBetween,
  endOf,
  isDay,
  isWorkingDay,
  makeCalendar,
  startOf,
  weekday,
  workingDaysBetween,
  yearsWithoutData,
} from '../../../hub/records/calendar.ts'
import { officialYears } from '../../../hub/records/calendars/official.ts'
import { refusal } from '../office.ts'

const calendar = makeCalendar()

void t.test('days are those of Asia/Shanghai, whatever zone the machine is in', async (t) => {
  const zone = process.env['TZ']
  for (const other of ['Asia/Shanghai', 'America/Los_Angeles', 'Pacific/Kiritimati', 'UTC']) {
    process.env['TZ'] = other
    t.equal(dayOf(new Date('2026-10-10T15:59:59.999Z')), '2026-10-10', other)
    t.equal(dayOf(new Date('2026-10-10T16:00:00Z')), '2026-10-11', other)
    t.same(startOf('2026-10-11'), new Date('2026-10-10T16:00:00Z'))
    t.same(endOf('2026-12-31'), new Date('2026-12-31T16:00:00Z'))
    t.equal(addDays('2026-02-28', 1), '2026-03-01')
    t.equal(weekday('2026-11-22'), 7)
  }
  if (zone === undefined) delete process.env['TZ']
  else process.env['TZ'] = zone
  t.same(['2024-02-29', '2026-02-29', '2026-13-01', '26-1-1', '2026-00-10'].map(isDay), [true, false, false, false, false])
})

void t.test('holidays are free, make-up days are worked, as the State Council published them', async (t) => {
  for (const day of ['2024-02-12', '2024-05-03', '2025-01-28', '2025-10-08', '2026-02-23', '2026-10-07', '2026-11-21', '2026-11-22']) {
    t.notOk(isWorkingDay(calendar, day), day)
  }
  for (const day of ['2024-02-04', '2024-02-09', '2024-10-12', '2025-01-26', '2025-10-11', '2026-01-04', '2026-02-28', '2026-11-23']) {
    t.ok(isWorkingDay(calendar, day), day)
  }
  const worked = (year: number) =>
    Array.from({ length: daysBetween(`${year}-01-01`, `${year + 1}-01-01`) }, (_, i) => addDays(`${year}-01-01`, i)).filter((day) =>
      isWorkingDay(calendar, day),
    ).length
  // 366 days less 104 of weekends less 11 official holidays; since 2025 there are 13 of them.
  t.same([2024, 2025, 2026].map(worked), [251, 248, 248])
  for (const { workdays, year } of officialYears) {
    t.ok(
      workdays.every((day) => weekday(day) > 5),
      `${year}: only weekends are made up for`,
    )
  }
})

void t.test('deadlines count working days, beginning with the day after', async (t) => {
  t.equal(addWorkingDays(calendar, '2026-11-20', 1), '2026-11-23', 'over a weekend')
  t.equal(addWorkingDays(calendar, '2026-11-22', 10), '2026-12-04', 'begun on a Sunday')
  t.equal(addWorkingDays(calendar, '2026-09-28', 10), '2026-10-16', 'over the National Day and its make-up day')
  t.equal(addWorkingDays(calendar, '2026-09-18', 1), '2026-09-20', 'a make-up Sunday')
  t.equal(addWorkingDays(calendar, '2026-11-22', 0), '2026-11-22')
  t.equal(workingDaysBetween(calendar, '2026-11-20', '2026-11-20'), 0)
  t.equal(workingDaysBetween(calendar, '2026-12-08', '2026-12-04'), -2)
})

const anyDay = fc.integer({ min: 0, max: 1500 }).map((days) => addDays('2023-06-01', days))
const dayWithCalendar = fc.integer({ min: 0, max: 950 }).map((days) => addDays('2023-12-31', days))

void t.test('what is counted on is counted back', async () => {
  fc.assert(
    fc.property(dayWithCalendar, fc.integer({ min: 1, max: 60 }), (from, days) => {
      const due = addWorkingDays(calendar, from, days)!
      return isWorkingDay(calendar, due) && workingDaysBetween(calendar, from, due) === days
    }),
  )
  fc.assert(fc.property(anyDay, (day) => dayOf(startOf(day)) === day && dayOf(new Date(endOf(day).getTime() - 1)) === day))
})

void t.test('a year without data has weekends only, and is told; nothing is counted through it', async (t) => {
  t.equal(addWorkingDays(calendar, '2026-12-18', 9), '2026-12-31')
  t.equal(addWorkingDays(calendar, '2026-12-18', 10), null, 'not the first of January')
  t.equal(addWorkingDays(calendar, '2023-12-20', 1), null)
  t.ok(isWorkingDay(calendar, '2028-10-02'))
  t.notOk(isWorkingDay(calendar, '2028-10-01'), 'a Sunday')
  t.same(yearsWithoutData(calendar, '2026-11-22', '2028-01-05'), [2027, 2028])
  t.same(yearsWithoutData(calendar, '2026-11-22'), [])
})

void t.test('further years come from configuration, and replace what is built in', async (t) => {
  const made = { year: 2028, source: 'test', holidays: ['2028-10-01/2028-10-08'], workdays: ['2028-10-14'] }
  const more = makeCalendar([made, { year: 2026, source: 'corrected', holidays: ['2026-01-01'], workdays: [] }])
  t.equal(addWorkingDays(more, '2028-09-29', 1), '2028-10-09')
  t.ok(isWorkingDay(more, '2028-10-14') && isWorkingDay(more, '2026-10-01'))
  t.same(yearsWithoutData(more, '2028-01-01'), [])
  const wrong = async (holidays: string[]) => refusal(Promise.resolve().then(() => makeCalendar([{ ...made, holidays }])))
  t.equal(await wrong(['2028-02-30']), 'QZ-CONFIG')
  t.equal(await wrong(['2027-12-31/2028-01-02']), 'QZ-CONFIG')
})
