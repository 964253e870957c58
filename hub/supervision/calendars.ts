import { QianzhiError } from '../../protocol/errors.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import { writeAudit } from '../records/audit.ts'
import { makeCalendar } from '../records/calendar.ts'
import { calendarsWanted } from '../records/calendars-wanted.ts'
import { officialYears } from '../records/calendars/official.ts'
import type { CalendarYear } from '../records/calendars/year.ts'
import { notify } from '../records/notices.ts'
import { change, type Registry } from '../records/registry.ts'
import { calendarKey, putYears, readRules, type Rules } from '../records/settings.ts'
import type { Query } from '../store/store.ts'
import { recountDeadlines } from './deadlines-watch.ts'

/** A year of the official calendar, and where the hub has it from: built in, `supervision.calendars`, or put by the office. */
export interface KnownYear extends CalendarYear {
  from: 'built-in' | 'configuration' | 'office'
}

/** Every year that is known, in order; and those that are wanted. */
export async function listCalendars(query: Query, now: Date): Promise<{ items: KnownYear[]; wanted: number[] }> {
  const rules = await readRules(query)
  const put = await putYears(query)
  const from = (year: CalendarYear): KnownYear['from'] =>
    put.includes(year) ? 'office' : officialYears.includes(year) ? 'built-in' : 'configuration'
  const known = new Map([...officialYears, ...rules.years, ...put].map((year) => [year.year, { ...year, from: from(year) }]))
  return { items: [...known.values()].toSorted((a, b) => a.year - b.year), wanted: await calendarsWanted(query, rules, now) }
}

/** The office writes a year as the State Council has published it: it takes the place of what was known of it, and what waits is counted. */
export async function putCalendar(
  registry: Registry,
  principal: Principal,
  year: CalendarYear,
): Promise<{ items: KnownYear[]; wanted: number[] }> {
  checkYear(year)
  return change(registry, async (query) => {
    const [before] = (await listCalendars(query, registry.clock())).items.filter((known) => known.year === year.year)
    await query('insert into setting (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value', [
      calendarKey(year.year),
      JSON.stringify(year),
    ])
    const details = { before: before ?? null, ...year }
    await writeAudit(query, { ...actedBy(principal), act: 'calendar.put', object: `calendar ${year.year}`, details })
    await recountDeadlines(query, await readRules(query), registry.clock(), { all: true })
    return listCalendars(query, registry.clock())
  })
}

/** Throws QZ-REQUEST-INVALID. */
function checkYear(year: CalendarYear): void {
  try {
    makeCalendar([year])
  } catch (error) {
    if (!(error instanceof QianzhiError)) throw error
    throw new QianzhiError('QZ-REQUEST-INVALID', { reason: error.details['reason'] ?? '' }, { cause: error })
  }
}

/** Tells the office, once for each year, that its calendar is wanted. */
export async function askForCalendars(query: Query, rules: Rules, now: Date): Promise<void> {
  for (const year of await calendarsWanted(query, rules, now)) {
    const object = `calendar ${year}`
    const told = await query(`select from notice where kind = 'calendar-missing' and object = $1 limit 1`, [object])
    if (told.length > 0) continue
    await notify(query, {
      to: { role: 'office' },
      kind: 'calendar-missing',
      object,
      zh: `请填报 ${year} 年工作日日历（国务院办公厅节假日安排）：没有它，及于该年的期限无法推算`,
      en: `The calendar of ${year} is wanted (the State Council's notice on holidays): without it no deadline that reaches into it can be counted`,
    })
  }
}
