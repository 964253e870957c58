import { QianzhiError } from '../../protocol/errors.ts'
import type { Role } from './roles.ts'
import type { Query } from '../store/store.ts'
import { addWorkingDays, dayOf, endOf, isDay, workingDaysBetween, type Day } from './calendar.ts'
import { readRules, type DeadlineKind, type Rules } from './settings.ts'
import { notFound } from './refusals.ts'

export interface NewDeadline {
  kind: DeadlineKind
  /** `<kind of object> <id>` as in the audit: `application 7`. */
  object: string
  /** Who must act. */
  agency: string
  role: Role
  /** When it begins: the next working day is the first that counts. */
  from: Date
  /** Last day on which it is met, only where the kind has no length of its own (rectification). */
  due?: Day
}

export interface Deadline {
  id: string
  kind: DeadlineKind
  object: string
  agency: string
  role: Role
  startedAt: Date
  /** Last day on which it is met. */
  due: Day
  /** Working days by which it was extended. */
  extended: number
  state: 'running' | 'warned' | 'missed' | 'met' | 'dropped'
  /** Working days that are left, 0 on the last one, negative behind it; null when it has ended. */
  daysLeft: number | null
  warnedAt: Date | null
  missedAt: Date | null
  endedAt: Date | null
}

/** Begins a deadline in the act's transaction. One that runs already for this kind and object stays as it is. */
export async function startDeadline(query: Query, { kind, object, agency, role, from, due }: NewDeadline): Promise<void> {
  const rules = await readRules(query)
  const { days } = rules.deadlines[kind]
  if ((days === null) !== (due !== undefined && isDay(due)))
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: `${kind} 的期限 ${due} 无效`, en: `due ${due} does not fit ${kind}` },
    })
  await query(
    `insert into deadline (kind, object, agency, role, started_at, days, due) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (kind, object) where ended_at is null do nothing`,
    [kind, object, agency, role, from, days, due ?? addWorkingDays(rules.calendar, dayOf(from), days!)],
  )
}

/** Extends once, by what the settings allow for the kind, while it is not over. Throws QZ-NOT-FOUND, QZ-RULE. */
export async function extendDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<Day> {
  const rules = await readRules(query)
  const { extension } = rules.deadlines[kind]
  const [open] = await query<{ id: string; started: Date; days: number | null; extended: number; due: Day }>(
    `select id, started_at as started, days, extended, due::text from deadline where kind = $1 and object = $2 and ended_at is null for no key update`,
    [kind, object],
  )
  if (!open) throw notFound('deadline', `${kind} ${object}`)
  if (extension === null || open.days === null || open.extended > 0 || now >= endOf(open.due)) {
    throw new QianzhiError('QZ-RULE', {
      reason: { zh: '期限只能在届满前延长一次', en: 'a deadline can be extended once, before it is over' },
    })
  }
  const due = addWorkingDays(rules.calendar, dayOf(open.started), open.days + extension)
  await query('update deadline set extended = $2, due = $3 where id = $1', [open.id, extension, due])
  return due
}

/** What was to be done is done; met until the end of the due day. Where none runs, nothing happens. */
export async function endDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  await query(
    `update deadline set ended_at = $3, outcome = case when due < $4::date then 'missed' else 'met' end,
       missed_at = case when due < $4::date then coalesce(missed_at, $3) else missed_at end
     where kind = $1 and object = $2 and ended_at is null`,
    [kind, object, now, dayOf(now)],
  )
}

/** What was to be done has become needless (an application withdrawn): neither met nor missed, unless it was missed before. */
export async function dropDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  await query(
    `update deadline set ended_at = $3, outcome = case when missed_at is null then 'dropped' else 'missed' end
     where kind = $1 and object = $2 and ended_at is null`,
    [kind, object, now],
  )
}

/** It was not needless after all. */
export async function resumeDeadline(query: Query, kind: DeadlineKind, object: string): Promise<void> {
  await query(`update deadline set ended_at = null, outcome = null where kind = $1 and object = $2 and outcome = 'dropped'`, [kind, object])
}

export interface DeadlineFilter {
  agency?: string
  kind?: DeadlineKind
  object?: string
  state?: Deadline['state']
  limit?: number
}

type Row = Omit<Deadline, 'state' | 'daysLeft'> & { outcome: 'met' | 'missed' | 'dropped' | null; warnedFor: Day | null }

const columns = `id, kind, object, agency, role, started_at as "startedAt", due::text, extended, outcome, warned_for::text as "warnedFor",
  warned_at as "warnedAt", missed_at as "missedAt", ended_at as "endedAt"`

/** The state of a row on day $1. */
const stateSql = `case when outcome is not null then outcome when missed_at is not null or due < $1::date then 'missed'
  when warned_for = due then 'warned' else 'running' end`

/** Those that run first, by the day they are due; then the ended ones, newest first. At most 1000. */
export async function listDeadlines(query: Query, filter: DeadlineFilter, now: Date): Promise<Deadline[]> {
  const { agency = null, kind = null, object = null, state = null, limit = 200 } = filter
  const today = dayOf(now)
  const rules = await readRules(query)
  const rows = await query<Row & { state: Deadline['state'] }>(
    `select * from (select ${columns}, ${stateSql} as state from deadline
       where ($2::text is null or agency = $2) and ($3::text is null or kind = $3) and ($4::text is null or object = $4)) found
     where $5::text is null or state = $5
     order by "endedAt" desc nulls first, due, id limit $6`,
    [today, agency, kind, object, state, Math.min(Math.max(limit, 1), 1000)],
  )
  return rows.map(({ outcome: _outcome, warnedFor: _warnedFor, ...row }) => ({
    ...row,
    daysLeft: row.endedAt ? null : daysLeft(rules, today, row.due),
  }))
}

export function daysLeft({ calendar }: Rules, today: Day, due: Day): number {
  return workingDaysBetween(calendar, today, due)
}
