import { addDays, dayOf, workingDaysBetween, type Day } from '../records/calendar.ts'
import { objectTitle } from '../records/object-titles.ts'
import { readRules } from '../records/settings.ts'
import type { Query } from '../store/store.ts'
import { firstDayOfQuarter, quarterOf } from '../supervision/duties/periods.ts'
import { flowsOf, type Flows } from './flows.ts'
import { silentAfter } from './judges.ts'
import { readLines, type LineDeps } from './lines.ts'
import { readStatistics } from './statistics.ts'

/** What a wall screen shows, all of one moment; no row values. */
export interface Wall extends Flows {
  now: Date
  /** Agencies whose machines are connected, and that have one. */
  agencies: { connected: number; all: number }
  resources: number
  /** How old delivered data is where it flows, in seconds; null where that is known of none. */
  age: { median: number | null; p99: number | null }
  /** Duties of this quarter whose period is over. */
  duties: Tally & { worst: ({ agency: string } & Tally)[] }
  applications: {
    waiting: number
    overdue: number
    /** Working days from submission to decision, of those decided in the last thirty days. */
    meanDays: number | null
    days: Record<string, unknown>[]
  }
  /** Of the corrections reported this quarter. */
  corrections: { ended: number; all: number }
  /** What was decided last, the newest first. */
  acts: { at: Date; act: string; title: string | null; agency: string | null }[]
}

interface Tally {
  updated: number
  explained: number
  overdue: number
  excused: number
}

const worst = 10

/** Of the whole city. */
export async function readWall(deps: LineDeps): Promise<Wall> {
  const { query, now } = deps
  const today = dayOf(now)
  const quarter = firstDayOfQuarter(today.slice(0, 4), quarterOf(today))
  const lines = await readLines(deps, { kind: 'route' })
  const [counts] = await query<Pick<Wall, 'agencies' | 'resources'>>(
    `select (select count(*)::int from resource where state = 'active') as resources,
       (select json_build_object('connected', count(distinct agency) filter (where last_seen >= $1), 'all', count(distinct agency))
        from agent where state = 'active') as agencies`,
    [new Date(now.getTime() - silentAfter)],
  )
  return {
    now,
    ...counts!,
    age: agesOf(lines.flatMap(({ condition, age }) => (condition === 'flowing' && age !== null ? [age] : []))),
    ...flowsOf(lines),
    duties: await dutiesBetween(query, quarter, today),
    applications: await applicationsTo(query, today),
    corrections: await correctionsSince(query, quarter),
    acts: await lastActs(query),
  }
}

function agesOf(ages: readonly number[]): Wall['age'] {
  const sorted = ages.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null
  return { median: at(0.5), p99: at(0.99) }
}

async function dutiesBetween(query: Query, quarter: Day, today: Day): Promise<Wall['duties']> {
  const agencies = await query<{ agency: string } & Tally>(
    `select agency, sum(updated)::int as updated, sum(explained)::int as explained, sum(overdue)::int as overdue, sum(excused)::int as excused
     from duty_tally where ends >= $1::date and ends < $2::date group by agency order by sum(overdue) desc, agency`,
    [quarter, today],
  )
  const sum = (of: keyof Tally) => agencies.reduce((total, one) => total + one[of], 0)
  return {
    updated: sum('updated'),
    explained: sum('explained'),
    overdue: sum('overdue'),
    excused: sum('excused'),
    worst: agencies.filter(({ overdue }) => overdue > 0).slice(0, worst),
  }
}

async function applicationsTo(query: Query, today: Day): Promise<Wall['applications']> {
  const from = addDays(today, -29)
  const [open] = await query<{ waiting: number; overdue: number }>(
    `select (select count(*)::int from application where state in ('consulting', 'reviewing')) as waiting,
       (select count(*)::int from deadline where kind = 'application-reply' and ended_at is null and due < $1::date) as overdue`,
    [today],
  )
  const decided = await query<{ submitted: Date; decided: Date }>(
    `select submitted_at as submitted, decided_at as decided from application
     where submitted_at is not null and decided_at >= $1::timestamp at time zone 'Asia/Shanghai'`,
    [from],
  )
  const { calendar } = await readRules(query)
  const days = decided.map((one) => workingDaysBetween(calendar, dayOf(one.submitted), dayOf(one.decided)))
  return {
    ...open!,
    meanDays: days.length === 0 ? null : Math.round((days.reduce((sum, one) => sum + one, 0) / days.length) * 10) / 10,
    days: await readStatistics(query, 'applications', { by: 'day', from, to: today, agencyScope: null }),
  }
}

async function correctionsSince(query: Query, quarter: Day): Promise<Wall['corrections']> {
  const [found] = await query<Wall['corrections']>(
    `select count(*)::int as all, count(*) filter (where state not in ('reported', 'passed', 'answered'))::int as ended
     from correction where created_at >= $1::timestamp at time zone 'Asia/Shanghai' and state <> 'withdrawn'`,
    [quarter],
  )
  return found!
}

/** What the city may hear of: decisions, not what somebody asks for or is told to do. */
const told = ['registration.publish', 'application.approve', 'opening.release', 'correction.close', 'standard.publish', 'machine.approve']
/** So far back the history is looked through. */
const depth = 5000

function lastActs(query: Query): Promise<Wall['acts']> {
  return query(
    `select h.at, h.workflow || '.' || h.event as act, ${objectTitle(`h.workflow || ' ' || h.object`)} as title, coalesce(
       (select agency from application where h.workflow = 'application' and id::text = h.object),
       (select agency from registration where h.workflow = 'registration' and id::text = h.object),
       (select agency from machine_application where h.workflow = 'machine' and id::text = h.object)) as agency
     from history h where h.workflow || '.' || h.event = any($1) and h.id > (select max(id) from history) - ${depth} order by h.id desc limit 12`,
    [told],
  )
}
