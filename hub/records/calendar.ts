import { QianzhiError } from '../../protocol/errors.ts'
import { officialYears } from './calendars/official.ts'
import type { CalendarYear } from './calendars/year.ts'

/** A calendar day in Asia/Shanghai, `2026-11-22`, whatever the machine's zone. */
export type Day = string

/** Which days are worked. Of a year without data only the weekends are known. */
export interface Calendar {
  years: ReadonlySet<number>
  holidays: ReadonlySet<Day>
  workdays: ReadonlySet<Day>
}

const dayMs = 86_400_000
/** China has had one zone and no summer time since 1991. */
const offsetMs = 8 * 3_600_000

/** The calendar of the official years; a given year replaces the built-in one. Throws QZ-CONFIG where a day is none or of another year. */
export function makeCalendar(more: readonly CalendarYear[] = []): Calendar {
  const years = new Map([...officialYears, ...more].map((year) => [year.year, year]))
  const all = [...years.values()]
  for (const year of all) checkYear(year)
  return {
    years: new Set(years.keys()),
    holidays: new Set(all.flatMap(({ holidays }) => holidays.flatMap(daysOf))),
    workdays: new Set(all.flatMap(({ workdays }) => workdays)),
  }
}

function daysOf(range: string): Day[] {
  const [first, last = first] = range.split('/') as [Day, Day?]
  const days: Day[] = []
  for (let day = first; day <= last; day = addDays(day, 1)) days.push(day)
  return days
}

function checkYear({ year, holidays, workdays }: CalendarYear): void {
  for (const day of [...holidays.flatMap((range) => range.split('/')), ...workdays]) {
    if (isDay(day) && day.startsWith(`${year}-`)) continue
    throw new QianzhiError('QZ-CONFIG', {
      key: `calendar ${year}`,
      reason: { zh: `${day} 不是该年的日期`, en: `${day} is no day of that year` },
    })
  }
}

/** A day from 2000 to 2199: what lies far away is a slip of the pen, or a way of saying never, and counting up to it takes for ever. */
export function isDay(text: string): boolean {
  if (!/^2[01]\d{2}-\d{2}-\d{2}$/.test(text)) return false
  const at = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text)
}

/** Throws QZ-REQUEST-INVALID where there is no such day. */
export function requireDay(day: string): Day {
  if (!isDay(day)) throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `没有 ${day} 这一天`, en: `there is no day ${day}` } })
  return day
}

/** The day that an instant falls on in Asia/Shanghai. */
export function dayOf(instant: Date): Day {
  return new Date(instant.getTime() + offsetMs).toISOString().slice(0, 10)
}

/** The instant at which a day begins in Asia/Shanghai. */
export function startOf(day: Day): Date {
  return new Date(Date.parse(`${day}T00:00:00Z`) - offsetMs)
}

/** The instant at which a day is over: the next one's beginning. */
export function endOf(day: Day): Date {
  return startOf(addDays(day, 1))
}

export function addDays(day: Day, days: number): Day {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * dayMs).toISOString().slice(0, 10)
}

/** Days from the first day to the second; negative where the second is before the first. */
export function daysBetween(from: Day, to: Day): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / dayMs)
}

/** 1 is Monday, 7 Sunday. */
export function weekday(day: Day): number {
  return new Date(`${day}T00:00:00Z`).getUTCDay() || 7
}

export function isWorkingDay({ holidays, workdays }: Calendar, day: Day): boolean {
  if (workdays.has(day)) return true
  return weekday(day) < 6 && !holidays.has(day)
}

/**
 * The n-th working day after the given one, which itself does not count (民法典 art. 201: the day of the beginning is left out). Null where a
 * year on the way has no official calendar: which of its days are worked nobody knows yet. Days that `skipped` names do not count.
 */
export function addWorkingDays(calendar: Calendar, from: Day, days: number, skipped: (day: Day) => boolean = () => false): Day | null {
  let day = from
  for (let left = days; left > 0;) {
    day = addDays(day, 1)
    if (!calendar.years.has(Number(day.slice(0, 4)))) return null
    if (isWorkingDay(calendar, day) && !skipped(day)) left--
  }
  return day
}

/** Working days after the first day, up to and including the second; negative where the second is before the first. */
export function workingDaysBetween(calendar: Calendar, from: Day, to: Day): number {
  if (to < from) return -workingDaysBetween(calendar, to, from)
  const within = (days: ReadonlySet<Day>) => [...days].filter((day) => from < day && day <= to)
  const free = within(calendar.holidays).filter((day) => weekday(day) < 6 && !calendar.workdays.has(day))
  const worked = within(calendar.workdays).filter((day) => weekday(day) > 5)
  return weekdaysTo(to) - weekdaysTo(from) - free.length + worked.length
}

/** Mondays to Fridays from Monday, the 3rd of January 2000, up to and including the day. */
function weekdaysTo(day: Day): number {
  const days = daysBetween('2000-01-02', day)
  return Math.floor(days / 7) * 5 + Math.min(days - Math.floor(days / 7) * 7, 5)
}

/** Years from the first day's to the second's of which the calendar knows nothing but weekends. */
export function yearsWithoutData({ years }: Calendar, from: Day, to: Day = from): number[] {
  const [first, last] = [Number(from.slice(0, 4)), Number(to.slice(0, 4))]
  return Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((year) => !years.has(year))
}
