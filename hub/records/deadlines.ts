import { Type } from 'typebox'
import { filter, listPage, type Asked, type Listing, type Page } from './listing.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Role } from './roles.ts'
import type { Query } from '../store/store.ts'
import {
  addDays,
  addWorkingDays,
  dayOf,
  endOf,
  isDay,
  requireDay,
  isWorkingDay,
  workingDaysBetween,
  type Calendar,
  type Day,
} from './calendar.ts'
import { hindrancesOf, isHindered, type Span } from './hindrance.ts'
import { deadlineKinds, readRules, type DeadlineKind, type Rules } from './settings.ts'
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
  /** Another length than the kind's. */
  days?: number
  /** Of a delivery whose receiver has not asked for it yet: the time begins with that. */
  waits?: 'receiver'
}

export interface Deadline {
  id: string
  kind: DeadlineKind
  object: string
  agency: string
  role: Role
  startedAt: Date
  /** Last day on which it is met; null while nobody knows it. */
  due: Day | null
  /** What the day is waited for: a year's official calendar, a receiver whose machine has not asked yet, an applicant who completes what was returned. */
  waits: 'calendar' | 'receiver' | 'applicant' | null
  /** Working days by which it was extended. */
  extended: number
  state: 'waiting' | 'running' | 'warned' | 'missed' | 'met' | 'dropped'
  /** Working days that are left, 0 on the last one, negative behind it; null when it has ended, or waits. */
  daysLeft: number | null
  warnedAt: Date | null
  missedAt: Date | null
  endedAt: Date | null
}

export const deadlineStates = ['waiting', 'running', 'warned', 'missed', 'met', 'dropped'] as const satisfies Deadline['state'][]

/** Begins a deadline in the act's transaction. One that runs already for this kind and object stays as it is. */
export async function startDeadline(query: Query, { kind, object, agency, role, from, due, days: own, waits }: NewDeadline): Promise<void> {
  const rules = await readRules(query)
  const days = own ?? rules.deadlines[kind].days
  if ((days === null) !== (due !== undefined && isDay(due)))
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: `期限 ${due} 不是日期`, en: `due ${due} is no day` },
    })
  const counted = waits ? null : (due ?? addWorkingDays(rules.calendar, dayOf(from), days!))
  await query(
    `insert into deadline (kind, object, agency, role, started_at, days, given, due, waits)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (kind, object) where ended_at is null do nothing`,
    [kind, object, agency, role, from, days, due ?? null, counted, waits ?? (counted === null ? 'calendar' : null)],
  )
}

/** What a deadline's due day is counted from. */
export interface Counted {
  id: string
  started: Date
  /** With what it was extended by; null where the day was given. */
  days: number | null
  given: Day | null
  held: number
  notBefore: Day | null
}

export const countedColumns = `id, started_at as started, days + extended as days, given::text, held, not_before::text as "notBefore"`

/** The last day on which it is met, as it is known now: days on which nobody could act are left out. Null where a year's calendar is wanting. */
export function dueDay(
  calendar: Calendar,
  { started, days, given, held, notBefore }: Counted,
  spans: readonly Span[],
  now: Date,
): Day | null {
  const hindered = (day: Day) => isHindered(spans, day, now)
  const first = dayOf(started)
  let due: Day | null
  if (days !== null) due = addWorkingDays(calendar, first, days + held, hindered)
  else {
    let lost = held
    if (spans.length > 0) {
      for (let day = addDays(first, 1); day <= given!; day = addDays(day, 1)) if (isWorkingDay(calendar, day) && hindered(day)) lost++
    }
    due = addWorkingDays(calendar, given!, lost, hindered)
  }
  return due !== null && notBefore !== null && due < notBefore ? notBefore : due
}

/** Extends once, by what the settings allow for the kind, while it is not over. Throws QZ-NOT-FOUND, QZ-RULE. */
export async function extendDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<Day | null> {
  const rules = await readRules(query)
  const { extension } = rules.deadlines[kind]
  const [open] = await query<Counted & { extended: number; due: Day | null }>(
    `select ${countedColumns}, extended, due::text from deadline where kind = $1 and object = $2 and ended_at is null for no key update`,
    [kind, object],
  )
  if (!open) throw notFound('deadline', `${kind} ${object}`)
  if (extension === null || open.days === null || open.extended > 0 || (open.due !== null && now >= endOf(open.due))) {
    throw new QianzhiError('QZ-RULE', {
      reason: { zh: '期限只能在届满前延长一次', en: 'a deadline can be extended once, before it is over' },
    })
  }
  const spans = (await hindrancesOf(query, [open.id])).get(open.id) ?? []
  const due = dueDay(rules.calendar, { ...open, days: open.days + extension }, spans, now)
  await query(
    `update deadline set extended = $2, due = $3::date, waits = case when $3::date is null then coalesce(waits, 'calendar') end where id = $1`,
    [open.id, extension, due],
  )
  return due
}

/**
 * What is to be decided on lies with whoever asked for it: no day is due, and the days of it do not count (hindrance.ts). What was late before
 * stays late.
 */
export async function pauseDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  const { calendar } = await readRules(query)
  for (const open of await lockOpen(query, kind, object)) {
    // Nobody is late before the day was known.
    const due = open.waits === null ? await dueOf(query, calendar, open, now) : null
    if (open.missed !== null || (due !== null && due < dayOf(now))) continue
    await query(`update deadline set due = null, waits = 'applicant' where id = $1`, [open.id])
  }
}

/** It is back: a day that nobody knew when it was returned is not over at once. */
export async function goOnWithDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  const { calendar } = await readRules(query)
  for (const open of await lockOpen(query, kind, object)) {
    if (open.waits !== 'applicant') continue
    const tomorrow = addWorkingDays(calendar, dayOf(now), 1)
    const counted = await dueOf(query, calendar, open, now)
    const isOver = counted !== null && tomorrow !== null && counted < tomorrow
    await query(
      `update deadline set due = $2::date, waits = case when $2::date is null then 'calendar' end, not_before = coalesce($3, not_before) where id = $1`,
      [open.id, isOver ? tomorrow : counted, isOver ? tomorrow : null],
    )
  }
}

function lockOpen(query: Query, kind: DeadlineKind, object: string) {
  return query<Counted & { waits: Deadline['waits']; missed: Date | null }>(
    `select ${countedColumns}, waits, missed_at as missed from deadline where kind = $1 and object = $2 and ended_at is null for no key update`,
    [kind, object],
  )
}

async function dueOf(query: Query, calendar: Calendar, open: Counted, now: Date): Promise<Day | null> {
  const spans = (await hindrancesOf(query, [open.id])).get(open.id) ?? []
  return dueDay(calendar, open, spans, now)
}

/** What was to be done is done; met until the end of the due day, and where that is not known yet. Where none runs, nothing happens. */
export async function endDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  await close(query, kind, object, 'met', now)
}

/** What was to be done has become needless (an application withdrawn): neither met nor missed, unless it was missed before. */
export async function dropDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  await close(query, kind, object, 'dropped', now)
}

async function close(query: Query, kind: DeadlineKind, object: string, outcome: 'met' | 'dropped', now: Date): Promise<void> {
  const [open] = await lockOpen(query, kind, object)
  if (!open) return
  const { calendar } = await readRules(query)
  const due = open.waits === null ? await dueOf(query, calendar, open, now) : null
  await query(
    `update deadline set ended_at = $2, due = $3::date, outcome = case when $3::date < $4::date then 'missed' else $5 end,
       missed_at = case when $3::date < $4::date then coalesce(missed_at, $2) end where id = $1`,
    [open.id, now, due, dayOf(now), outcome],
  )
}

/** What was done in time is asked for again: another deadline begins, with the working days that were left of the last one, at least one. */
export async function renewDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  const [last] = await query<{ agency: string; role: Role; due: Day | null; ended: Date | null }>(
    `select agency, role, due::text, ended_at as ended from deadline where kind = $1 and object = $2 order by id desc limit 1`,
    [kind, object],
  )
  if (!last?.ended) return
  const { calendar } = await readRules(query)
  const left = last.due === null ? 1 : workingDaysBetween(calendar, dayOf(last.ended), last.due)
  await startDeadline(query, { kind, object, agency: last.agency, role: last.role, from: now, days: Math.max(1, left) })
}

/** It was not needless after all: what it would have had left it has again. One that ends later than now was missed by a clock that was wrong. */
export async function resumeDeadline(query: Query, kind: DeadlineKind, object: string, now: Date): Promise<void> {
  const dropped = await query<Counted & { ended: Date }>(
    `select ${countedColumns}, ended_at as ended from deadline where kind = $1 and object = $2 and (outcome = 'dropped' or ended_at > $3)
     for no key update`,
    [kind, object, now],
  )
  const { calendar } = await readRules(query)
  for (const { ended, ...one } of dropped) {
    const held = one.held + workingDaysBetween(calendar, dayOf(ended), dayOf(now))
    const spans = (await hindrancesOf(query, [one.id])).get(one.id) ?? []
    const due = dueDay(calendar, { ...one, held }, spans, now)
    await query(
      `update deadline set ended_at = null, outcome = null, missed_at = null, held = $2, due = $3::date, waits = case when $3::date is null then 'calendar' end where id = $1`,
      [one.id, held, due],
    )
  }
}

type Row = Omit<Deadline, 'state' | 'daysLeft'> & { outcome: 'met' | 'missed' | 'dropped' | null; warnedFor: Day | null; pressing: string }

const columns = `id, kind, object, agency, role, started_at as "startedAt", due::text, waits, extended, outcome, warned_for::text as "warnedFor",
  warned_at as "warnedAt", missed_at as "missedAt", ended_at as "endedAt"`

/** The state of a row on day $1. */
const stateSql = `case when outcome is not null then outcome when missed_at is not null or due < $1::date then 'missed'
  when waits is not null then 'waiting' when warned_for = due then 'warned' else 'running' end`

/** Of agency $2, or all, as they stand on day $1. `pressing`: those that run first, by the day they are due; then the ended ones, newest first. */
export const deadlineList = {
  select: `select ${columns}, ${stateSql} as state, case when ended_at is null then coalesce(due - date '2000-01-01', 1000000)
      else 4000000000000 - (extract(epoch from ended_at) * 1000)::bigint end as pressing
    from deadline where $2::text is null or agency = $2`,
  filters: {
    state: filter.among('state', deadlineStates),
    agency: filter.equal('agency'),
    kind: filter.among('kind', deadlineKinds),
    object: filter.equal('object'),
    text: filter.holds('object'),
    from: filter.where((place) => `l.due::date >= ${place}::date`, Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' }), requireDay),
    to: filter.where((place) => `l.due::date <= ${place}::date`, Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' }), requireDay),
  },
  sorts: {
    pressing: 'bigint',
    id: 'bigint',
    due: 'date',
    startedAt: 'timestamptz',
    endedAt: 'timestamptz',
    kind: 'text',
    agency: 'text',
    object: 'text',
  },
  first: 'pressing',
  id: ['id', 'bigint'],
} as const satisfies Listing

export async function listDeadlines(query: Query, agencyScope: string | null, asked: Asked, now: Date): Promise<Page<Deadline>> {
  const today = dayOf(now)
  const rules = await readRules(query)
  const page = await listPage<Row & { state: Deadline['state'] }>(query, deadlineList, [today, agencyScope], asked)
  return {
    ...page,
    items: page.items.map(({ outcome: _outcome, warnedFor: _warnedFor, pressing: _pressing, ...row }) => ({
      ...row,
      daysLeft: row.endedAt || row.due === null ? null : daysLeft(rules, today, row.due),
    })),
  }
}

export function daysLeft({ calendar }: Rules, today: Day, due: Day): number {
  return workingDaysBetween(calendar, today, due)
}
