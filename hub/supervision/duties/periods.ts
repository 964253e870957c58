import { QianzhiError } from '../../../protocol/errors.ts'
import { addDays, endOf, isDay, isWorkingDay, startOf, weekday, type Calendar, type Day } from '../../records/calendar.ts'
import type { DutySettings } from '../../records/settings.ts'

/** Update cycle 更新频率 of a resource (Art. 14). */
export const cycles = ['realtime', 'daily', 'weekly', 'monthly', 'quarterly'] as const
export type Cycle = (typeof cycles)[number]

/** How often an update is due. Quarterly: within the first ten days of the quarter. */
export type Frequency = 'daily' | 'weekly' | 'monthly' | 'quarterly'
export const frequencies: readonly Frequency[] = ['daily', 'weekly', 'monthly', 'quarterly']

/** One period of an update duty: an update must be accepted from its first day to the end of its last one. */
export interface Period {
  frequency: Frequency
  /** `2026-11-22`, `2026-W47` (ISO 8601), `2026-11`, `2026-Q4` */
  period: string
  from: Day
  to: Day
}

const hour = 3_600_000

/** Art. 14: 每季度第一个月的前10日内. The 11th is late. */
const quarterDays = 10

export function periodOf(frequency: Frequency, day: Day): Period {
  return makers[frequency](day)
}

const makers: Record<Frequency, (day: Day) => Period> = {
  daily: (day) => ({ frequency: 'daily', period: day, from: day, to: day }),
  weekly(day) {
    const from = addDays(day, 1 - weekday(day))
    // The year of an ISO week is that of its Thursday.
    const thursday = addDays(from, 3)
    const week = Math.floor((Date.parse(thursday) - Date.parse(`${thursday.slice(0, 4)}-01-01`)) / (7 * 86_400_000)) + 1
    return { frequency: 'weekly', period: `${thursday.slice(0, 4)}-W${String(week).padStart(2, '0')}`, from, to: addDays(from, 6) }
  },
  monthly(day) {
    const from = `${day.slice(0, 7)}-01`
    return { frequency: 'monthly', period: day.slice(0, 7), from, to: addDays(`${addDays(from, 31).slice(0, 7)}-01`, -1) }
  },
  quarterly(day) {
    const quarter = quarterOf(day)
    const from = firstDayOfQuarter(day.slice(0, 4), quarter)
    return { frequency: 'quarterly', period: `${day.slice(0, 4)}-Q${quarter}`, from, to: addDays(from, quarterDays - 1) }
  },
}

export function quarterOf(day: Day): number {
  return Math.ceil(Number(day.slice(5, 7)) / 3)
}

export function firstDayOfQuarter(year: string, quarter: number): Day {
  return `${year}-${String(quarter * 3 - 2).padStart(2, '0')}-01`
}

/** The period after a given one. */
export function nextPeriod({ frequency, from, to }: Period): Period {
  return periodOf(frequency, frequency === 'quarterly' ? addDays(from, 93) : addDays(to, 1))
}

/** The period before a given one. */
export function lastPeriod({ frequency, from }: Period): Period {
  return periodOf(frequency, addDays(from, -1))
}

/** The period with this key. Throws QZ-REQUEST-INVALID. */
export function parsePeriod(key: string): Period {
  const [, year = '', rest = ''] = /^(2[01]\d{2})-(.{2,5})$/.exec(key) ?? []
  const found = frequencies.map((frequency) => periodOf(frequency, dayWithin(year, rest))).find(({ period }) => period === key)
  if (found && isDay(found.from)) return found
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: {
      zh: `期间 ${key.slice(0, 40)} 应形如 2026-11-22、2026-W47、2026-11 或 2026-Q4`,
      en: `period ${key.slice(0, 40)} is not like 2026-11-22, 2026-W47, 2026-11 or 2026-Q4`,
    },
  })
}

function dayWithin(year: string, rest: string): Day {
  const fallback = '1970-01-01'
  if (/^Q[1-4]$/.test(rest)) return firstDayOfQuarter(year, Number(rest[1]))
  // The fourth of January always lies in week 1.
  if (/^W\d\d$/.test(rest)) return addDays(`${year}-01-04`, (Number(rest.slice(1)) - 1) * 7)
  const day = rest.length === 2 ? `${year}-${rest}-01` : `${year}-${rest}`
  return isDay(day) ? day : fallback
}

/**
 * The cycles that owe an update this often. Art. 14 names the quarter for those in special circumstances, who keep no more frequent cycle:
 * who updates every month, on whatever day, owes the months and not the first ten days of a quarter besides.
 */
export function cyclesOwing(frequency: Frequency, { realtime }: DutySettings): Cycle[] {
  return frequency === realtime ? [frequency, 'realtime'] : [frequency]
}

/** Whether a period is one at all by the settings: days that are not worked may be left out, and those of which nobody knows it yet. */
export function counts({ frequency, to }: Period, { dailyOn }: DutySettings, calendar: Calendar): boolean {
  if (frequency !== 'daily' || dailyOn === 'every-day') return true
  return calendar.years.has(Number(to.slice(0, 4))) && isWorkingDay(calendar, to)
}

/**
 * The moment from which an agency can say of a period that nothing has changed in it: with the warning, and on the last working day's
 * noon at the latest. What is said before knows nothing of what comes after.
 */
export function explainableFrom({ frequency, from, to }: Period, { warnHours }: DutySettings, calendar: Calendar): Date {
  let day = to
  while (day > from && !isWorkingDay(calendar, day)) day = addDays(day, -1)
  const noon = startOf(isWorkingDay(calendar, day) ? day : to).getTime() + 12 * hour
  const warned = endOf(to).getTime() - warnHours[frequency] * hour
  return new Date(Math.max(startOf(from).getTime(), Math.min(noon, warned)))
}

/** The periods whose last day this is. */
export function periodsEndingOn(day: Day, settings: DutySettings, calendar: Calendar): Period[] {
  return frequencies
    .map((frequency) => periodOf(frequency, day))
    .filter((period) => period.to === day && counts(period, settings, calendar))
}
