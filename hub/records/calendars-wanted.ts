import type { Query } from '../store/store.ts'
import { addDays, dayOf } from './calendar.ts'
import type { Rules } from './settings.ts'

/**
 * Years whose official calendar is not there and is needed: this one; those that open deadlines wait for or end in; and those in which what
 * begins now would end, so that a year is asked for before it is missed.
 */
export async function calendarsWanted(query: Query, { calendar, deadlines }: Rules, now: Date): Promise<number[]> {
  const today = dayOf(now)
  const open = await query<{ from: number; to: number; waits: boolean }>(
    `select distinct extract(year from started_at at time zone 'Asia/Shanghai')::int as "from", waits is not null as waits,
       coalesce(extract(year from due), extract(year from started_at at time zone 'Asia/Shanghai') + 1)::int as "to"
     from deadline where ended_at is null and (waits = 'calendar' or due >= $1::date)`,
    [today],
  )
  const longest = Math.max(...Object.values(deadlines).map(({ days, extension }) => (days ?? 0) + (extension ?? 0)))
  // Working days with their weekends, and the longest holiday.
  const ahead = addDays(today, Math.ceil((longest * 7) / 5) + 8)
  const missing = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((year) => !calendar.years.has(year))
  const years = [
    ...missing(Number(today.slice(0, 4)), Number(ahead.slice(0, 4))),
    // What waits wants the first year that is missing after its beginning.
    ...open.flatMap(({ from, to, waits }) => (waits ? missing(from, from + 10).slice(0, 1) : missing(to, to))),
  ]
  return [...new Set(years)].toSorted((a, b) => a - b)
}
