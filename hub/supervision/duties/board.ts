import { dayOf, type Day } from '../../records/calendar.ts'
import type { Query } from '../../store/store.ts'
import { frequencies, lastPeriod, periodOf, type Frequency, type Period } from './periods.ts'

/** How many duties stand in which state. */
export interface DutyCounts {
  updated: number
  explained: number
  overdue: number
  excused: number
}

/** What became of the duties of agencies, by period. */
export interface DutyBoard {
  periods: Period[]
  /** The worst first; `cells`: of the periods in which there were any. */
  items: ({ agency: string; cells: ({ period: string } & DutyCounts)[] } & DutyCounts)[]
}

/** So many periods of one frequency; of each where none is chosen. */
const [ofOne, ofEach] = [12, 3]
const states = ['updated', 'explained', 'overdue', 'excused'] as const

/** Of the newest periods that are over, from what the judge has counted. */
export async function readBoard(
  query: Query,
  { agency, frequency, now }: { agency: string | null; frequency: Frequency | undefined; now: Date },
): Promise<DutyBoard> {
  const chosen = frequency ? [frequency] : frequencies
  const periods = chosen.flatMap((one) => newestOver(one, dayOf(now), frequency ? ofOne : ofEach))
  const rows = await query<{ agency: string; period: string } & DutyCounts>(
    `select agency, period, ${states.join(', ')} from duty_tally
     where ends = any($1::date[]) and period = any($2) and ($3::text is null or agency = $3)`,
    [periods.map(({ to }) => to), periods.map(({ period }) => period), agency],
  )
  const items = [...Map.groupBy(rows, (row) => row.agency)].map(([code, cells]) => ({
    agency: code,
    ...(Object.fromEntries(states.map((state) => [state, cells.reduce((sum, cell) => sum + cell[state], 0)])) as unknown as DutyCounts),
    cells: cells.map(({ agency: _agency, ...cell }) => cell),
  }))
  return { periods, items: items.toSorted((a, b) => b.overdue - a.overdue || (a.agency < b.agency ? -1 : 1)) }
}

function newestOver(frequency: Frequency, today: Day, count: number): Period[] {
  const periods: Period[] = []
  for (let period = periodOf(frequency, today); periods.length < count; period = lastPeriod(period)) {
    if (period.to < today) periods.push(period)
  }
  return periods
}
