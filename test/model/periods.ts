/** Days in Dongguan, and the periods of Art. 14. Moments are milliseconds, days texts like 2026-11-22. */

const hour = 3_600_000
const dayLength = 24 * hour
const easternZone = 8 * hour

export type Day = string
export type Cycle = 'realtime' | 'daily' | 'weekly' | 'monthly' | 'quarterly'

export const dayAt = (moment: number): Day => new Date(moment + easternZone).toISOString().slice(0, 10)
export const beginning = (day: Day): number => Date.parse(`${day}T00:00:00+08:00`)
export const next = (day: Day, days = 1): Day => dayAt(beginning(day) + days * dayLength)

export interface Period {
  key: string
  first: Day
  last: Day
  cycles: readonly Cycle[]
  /** Hours before the end at which the platform warns. */
  warned: number
}

/** Art. 14: each day, week, month; the first ten days of January, April, July and October. Real-time resources are judged by these, too. */
export function periodsBetween(first: Day, last: Day): Period[] {
  const periods: Period[] = []
  for (let day = next(first, -31); day <= last; day = next(day)) {
    periods.push({ key: day, first: day, last: day, cycles: ['daily'], warned: 6 })
    const weekday = new Date(`${day}T00:00:00Z`).getUTCDay()
    if (weekday === 1) periods.push({ key: weekKey(day), first: day, last: next(day, 6), cycles: ['weekly'], warned: 48 })
    if (!day.endsWith('-01')) continue
    let end = day
    while (next(end).slice(0, 7) === day.slice(0, 7)) end = next(end)
    periods.push({ key: day.slice(0, 7), first: day, last: end, cycles: ['monthly'], warned: 120 })
    const month = Number(day.slice(5, 7))
    if (month % 3 !== 1) continue
    const key = `${day.slice(0, 4)}-Q${(month + 2) / 3}`
    periods.push({ key, first: day, last: next(day, 9), cycles: ['quarterly', 'realtime'], warned: 96 })
  }
  return periods.filter((period) => period.last >= first)
}

/** ISO 8601: the week's year is that of its Thursday, whose first one lies in week 1. */
function weekKey(monday: Day): string {
  const year = next(monday, 3).slice(0, 4)
  let week = 0
  for (let day = next(monday, 3); day.startsWith(year); day = next(day, -7)) week++
  return `${year}-W${String(week).padStart(2, '0')}`
}

export function periodCalled(key: string): Period {
  const year = Number(key.slice(0, 4))
  return periodsBetween(`${year - 1}-12-20`, `${year + 1}-01-10`).find((period) => period.key === key)!
}
