import { QianzhiError } from '../../../protocol/errors.ts'
import type { Query } from '../../store/store.ts'
import { addDays, dayOf, type Day } from '../../records/calendar.ts'
import { dataAge, waitingSince, type DataAge } from './evidence.ts'
import { judgedTo, readFacts, type ResourceFacts } from './facts.ts'
import {
  counts,
  cyclesOwing,
  explainableFrom,
  frequencies,
  lastPeriod,
  nextPeriod,
  parsePeriod,
  periodOf,
  type Cycle,
  type Frequency,
  type Period,
} from './periods.ts'
import { reckon, type Excuse } from './reckoning.ts'
import { readRules, type Rules } from '../../records/settings.ts'
import { notFound, rule } from '../../records/refusals.ts'

/** Of an update duty (Art. 14): 待更新 upcoming, 进行中 running, 已更新, 已说明, 逾期; 免责 excused where it could not be fulfilled. */
export type DutyState = 'upcoming' | 'running' | 'updated' | 'explained' | 'overdue' | 'excused'

export interface Duty extends Period {
  resource: string
  title: string
  agency: string
  cycle: Cycle
  state: DutyState
  /** Why it is excused; null where it is not. */
  excuse: Excuse | null
  /** First day of the period on which changed rows were accepted. */
  updatedOn: Day | null
  warnedAt: Date | null
  /** Stays, also when the period is explained later. */
  overdueAt: Date | null
  explainedAt: Date | null
  /** The declaration by which it was explained. */
  declaration: string | null
}

export interface DutyFilter {
  resource?: string
  /** Only of these. */
  resources?: readonly string[]
  agency?: string
  states?: readonly DutyState[]
  /** Days: periods that lie in between, wholly or in part. Left out: of each frequency the present period, the last and the next. */
  from?: Day
  to?: Day
}

/** Update duties as they stand, newest period first. */
export async function listDuties(query: Query, filter: DutyFilter, now: Date): Promise<Duty[]> {
  const known = await readKnown(query, now)
  const { resource = null, resources = null, agency = null, states } = filter
  const duties = await dutiesOf(query, { periods: periodsOf(filter, known), resource, wanted: resources, agency, states }, known)
  return duties.toSorted((a, b) => compare(b.to, a.to) || compare(a.resource, b.resource) || compare(a.period, b.period))
}

/** What holds for all duties at a moment. */
export interface Known {
  rules: Rules
  today: Day
  judged: Day | null
}

export async function readKnown(query: Query, now: Date): Promise<Known> {
  return { rules: await readRules(query), today: dayOf(now), judged: await judgedTo(query) }
}

/** Whether a period's duties are those that are written down. */
export const isJudged = ({ to }: Period, { judged }: Known): boolean => judged !== null && to <= judged

/** Duties of these periods, in no order. */
export async function dutiesOf(
  query: Query,
  { periods, resource, wanted, agency, states }: MarkFilter & { states?: readonly DutyState[] | undefined },
  known: Known,
): Promise<Duty[]> {
  if (periods.length === 0) return []
  const days = { from: least(periods.map(({ from }) => from)), to: greatest(periods.map(({ to }) => to)) }
  const marks = await readMarks(query, { resource, wanted, agency, periods })
  // What is written down alone need not be reckoned for resources of which it is not.
  const isWritten = periods.every((period) => period.to >= known.today || isJudged(period, known))
  const codes = states && isWritten && states.every((state) => written.has(state)) ? resourcesIn(marks, states) : wanted
  const resources = await readFacts(query, { resource, agency, codes, ...days })
  return resources.flatMap((facts) =>
    periods.flatMap((period) => {
      const duty = dutyOf(facts, period, marks.get(`${facts.resource} ${period.period}`), known)
      return duty && (states === undefined || states.includes(duty.state)) ? [duty] : []
    }),
  )
}

/** States that are marks, once the period is judged. */
const written: ReadonlySet<DutyState> = new Set(['explained', 'overdue', 'excused'])

function resourcesIn(marks: ReadonlyMap<string, Marks>, states: readonly DutyState[]): string[] {
  const found = [...marks.values()].filter((one) => states.includes(marked(one, null)!))
  return [...new Set(found.map(({ resource }) => resource))]
}

export const dutyStates = ['upcoming', 'running', 'updated', 'explained', 'overdue', 'excused'] as const satisfies DutyState[]

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
/** Of days, of which there is one. */
export const least = (days: readonly Day[]) => days.reduce((a, b) => (b < a ? b : a))
export const greatest = (days: readonly Day[]) => days.reduce((a, b) => (b > a ? b : a))

/** What was written down of a duty; null where it was not. */
type Marks = Record<'warned' | 'updated' | 'overdue' | 'excused' | 'explained' | 'void', Date | null> & {
  resource: string
  declaration: string | null
  because: Excuse | null
}

interface MarkFilter {
  resource: string | null
  wanted: readonly string[] | null
  agency: string | null
  periods: readonly Period[]
}

async function readMarks(query: Query, { resource, wanted, agency, periods }: MarkFilter): Promise<Map<string, Marks>> {
  const time = (mark: string) => `max(at) filter (where mark = '${mark}') as ${mark}`
  const rows = await query<Marks & { period: string }>(
    `select resource, period, ${['warned', 'updated', 'overdue', 'excused', 'explained', 'void'].map(time).join(', ')},
       max(declaration) as declaration, max(because) as because
     from duty_mark where period = any($1) and ends = any($4::date[]) and ($2::text is null or resource = $2) and ($5::text[] is null or resource = any($5))
       and ($3::text is null or resource in (select code from resource where agency = $3)) group by resource, period`,
    [periods.map(({ period }) => period), resource, agency, [...new Set(periods.map(({ to }) => to))], wanted],
  )
  return new Map(rows.map((row) => [`${row.resource} ${row.period}`, row]))
}

/** Null where none is owed, and none was; of what is judged that is written down. */
function dutyOf(facts: ResourceFacts, period: Period, marks: Marks | undefined, known: Known): Duty | null {
  const { owed, updatedOn, excuse } = reckon(facts, period, cyclesOwing(period.frequency, known.rules.duties))
  const written = marked(marks, owed ? updatedOn : null)
  if (written === null && (!owed || isJudged(period, known))) return null
  const { resource, title, agency, cycle } = facts
  const state = written ?? unmarked(period, updatedOn, excuse, known.today)
  return {
    ...period,
    resource,
    title,
    agency,
    cycle,
    state,
    updatedOn,
    excuse: state === 'excused' ? (marks?.because ?? excuse) : null,
    warnedAt: marks?.warned ?? null,
    overdueAt: marks?.overdue ?? null,
    explainedAt: marks?.explained ?? null,
    declaration: marks?.declaration ?? null,
  }
}

/** An update after an explanation is what counts, also before the period is judged. */
function marked(marks: Marks | undefined, updatedOn: Day | null): DutyState | null {
  if (!marks) return null
  if (marks.updated || (marks.explained && !marks.overdue && updatedOn !== null)) return 'updated'
  if (marks.explained && !marks.void) return 'explained'
  return marks.overdue ? 'overdue' : marks.excused ? 'excused' : null
}

function unmarked({ from, to }: Period, updatedOn: Day | null, excuse: Excuse | null, today: Day): DutyState {
  if (updatedOn !== null) return 'updated'
  if (from > today) return 'upcoming'
  return to >= today ? 'running' : excuse === null ? 'overdue' : 'excused'
}

export function periodsOf({ from, to }: Pick<DutyFilter, 'from' | 'to'>, { today, rules: { duties, calendar } }: Known): Period[] {
  const all = frequencies.flatMap((frequency) =>
    from === undefined && to === undefined ? around(frequency, today) : between(frequency, from ?? to!, to ?? today),
  )
  return all.filter((period) => counts(period, duties, calendar))
}

function around(frequency: Frequency, today: Day): Period[] {
  const present = periodOf(frequency, today)
  return [lastPeriod(present), present, nextPeriod(present)]
}

/** At most two years of them. */
function between(frequency: Frequency, from: Day, to: Day): Period[] {
  const first = [from, addDays(to, -732)].toSorted().at(-1)!
  const periods: Period[] = []
  for (let period = periodOf(frequency, first); period.from <= to; period = nextPeriod(period)) {
    if (period.to >= first) periods.push(period)
  }
  return periods
}

export interface DutyStatus {
  resource: string
  agency: string
  cycle: Cycle
  publishedAt: Date | null
  withdrawnAt: Date | null
  duties: Duty[]
  /** Of a real-time resource, which is judged technically by its data's age; null for others. */
  age: DataAge | null
}

/** What a resource owes now: of each frequency the present period, the last and the next. Throws QZ-NOT-FOUND. */
export async function dutyStatus(query: Query, resource: string, now: Date): Promise<DutyStatus> {
  const [found] = await query<Omit<DutyStatus, 'duties' | 'age'>>(
    `select code as resource, agency, cycle, published_at as "publishedAt", withdrawn_at as "withdrawnAt" from resource where code = $1`,
    [resource],
  )
  if (!found) throw notFound('resource', resource)
  const { duties: settings } = await readRules(query)
  return {
    ...found,
    duties: await listDuties(query, { resource }, now),
    age: found.cycle === 'realtime' ? await dataAge(query, resource, now, settings.realtimeMinutes) : null,
  }
}

export interface Explanation {
  resource: string
  /** `2026-11-22`, `2026-W47`, `2026-11`, `2026-Q4` */
  period: string
  /** Id of the declaration that the agency has signed: without one nothing is explained (Art. 14: 书面说明). */
  declaration: string
  now: Date
}

/**
 * Explains a period in which nothing changed, in the transaction in which the agency signs. Not before its end is near, since it covers
 * only what was before it; afterwards the mark that it was overdue stays. Throws QZ-NOT-FOUND where no such duty is owed; QZ-RULE where it
 * is too early, rows have changed, or it is explained already.
 */
export async function explainPeriod(query: Query, { resource, period: key, declaration, now }: Explanation): Promise<void> {
  const period = parsePeriod(key)
  const { from, to, frequency } = period
  if (declaration === '') throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: '缺少说明', en: 'the declaration is missing' } })
  await query('select from resource where code = $1 for no key update', [resource])
  const duties = await listDuties(query, { resource, from, to }, now)
  const duty = duties.find((one) => one.period === key)
  if (!duty) throw notFound('duty', `${resource} ${key} (${frequency})`)
  if (duty.state === 'explained' && duty.declaration === declaration) return
  const [zh, en] = refusals[duty.state] ?? (duty.declaration !== null ? refusals.explained! : [])
  if (zh) throw rule(`${resource} ${key} ${zh}`, `${resource} ${key} ${en}`)
  await notTooEarly(query, resource, period, now)
  await nothingWaits(query, resource, period, now)
  await query(
    `insert into duty_mark (resource, period, mark, agency, ends, at, declaration) values ($1, $2, 'explained', $3, $4, $5, $6)`,
    [resource, key, duty.agency, to, now, declaration],
  )
}

async function notTooEarly(query: Query, resource: string, period: Period, now: Date): Promise<void> {
  const { duties, calendar } = await readRules(query)
  const first = explainableFrom(period, duties, calendar)
  if (now >= first) return
  const at = new Date(first.getTime() + 8 * 3_600_000).toISOString().slice(0, 16).replace('T', ' ')
  throw rule(
    `${resource} ${period.period} 自 ${at} 起方可说明：说明只及于签署之前`,
    `${resource} ${period.period} can be explained from ${at} on: a declaration covers only what was before it`,
  )
}

async function nothingWaits(query: Query, resource: string, period: Period, now: Date): Promise<void> {
  const waiting = await waitingSince(query, resource, period, now)
  if (waiting === null) return
  throw rule(
    `${resource} 有 ${waiting} 行变更待上传，不能说明没有变化`,
    `${waiting} changed rows of ${resource} wait to be sent: it cannot be said that nothing changed`,
  )
}

const refusals: Partial<Record<DutyState, [string, string]>> = {
  upcoming: ['尚未开始', 'has not begun'],
  updated: ['已更新，无需说明', 'is updated: nothing to explain'],
  explained: ['已说明', 'is explained already'],
  excused: ['已免责，无需说明', 'is excused'],
}
