import { QianzhiError } from '../../../protocol/errors.ts'
import type { Query } from '../../store/store.ts'
import { addDays, dayOf, type Day } from '../../records/calendar.ts'
import { dataAge, type DataAge } from './evidence.ts'
import {
  counts,
  cyclesOwing,
  frequencies,
  lastPeriod,
  nextPeriod,
  parsePeriod,
  periodOf,
  type Cycle,
  type Frequency,
  type Period,
} from './periods.ts'
import { readRules, type Rules } from '../../records/settings.ts'
import { notFound } from '../../records/refusals.ts'

/** Of an update duty (Art. 14): 待更新 upcoming, 进行中 running, 已更新, 已说明, 逾期; excused while the resource is stopped by an office. */
export type DutyState = 'upcoming' | 'running' | 'updated' | 'explained' | 'overdue' | 'excused'

export interface Duty extends Period {
  resource: string
  title: string
  agency: string
  cycle: Cycle
  state: DutyState
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
  agency?: string
  state?: DutyState
  /** Days: periods that lie in between, wholly or in part. Left out: of each frequency the present period, the last and the next. */
  from?: Day
  to?: Day
  limit?: number
}

/**
 * SQL: resource `r` is owed an update in a period that ends with this day: a whole day of the period lies behind the publication, it was
 * not withdrawn before the end, and something of it goes to the hub at all (what may not leave the agency is registered only, Art. 5).
 */
export const owedSql = (ends: string) =>
  `(r.published_at < (${ends})::timestamp at time zone 'Asia/Shanghai'
    and (r.withdrawn_at is null or r.withdrawn_at >= (${ends} + 1)::timestamp at time zone 'Asia/Shanghai')
    and not r.secrecy and exists (select from resource_version o where o.resource = r.code and o.version = r.version
      and (cardinality(o.stored_closed_items) > 0 or o.schema -> 'items' @? '$[*] ? (@.openness != "closed")')))`

/**
 * SQL: the first day of a period on which rows of resource `r` changed. Only batches that changed rows count, not a re-synchronisation;
 * the first load of all does.
 */
export const updatedOnSql = (first: string, last: string) =>
  `(select min(s.day) from supply_day s where s.resource = r.code and s.day between ${first} and ${last} and (s.changed_rows > 0
    or s.snapshot_rows > 0 and not exists (select from supply_day e where e.resource = s.resource and e.day < s.day)))`

const dutiesSql = `
  select * from (
    select r.code as resource, v.schema ->> 'title' as title, r.agency, r.cycle, p.frequency, p.period, p.first::text as "from", p.last::text as "to",
      u.day::text as "updatedOn", m.warned as "warnedAt", m.overdue as "overdueAt", m.explained as "explainedAt", m.declaration,
      case when m.updated is not null then 'updated' when m.explained is not null then 'explained' when m.overdue is not null then 'overdue'
        when m.excused is not null then 'excused' when u.day is not null then 'updated' when p.first > $2::date then 'upcoming'
        when p.last >= $2::date then 'running' when r.state = 'suspended' then 'excused' else 'overdue' end as state
    from resource r join resource_version v on v.resource = r.code and v.version = r.version
      cross join jsonb_to_recordset($1::jsonb) as p(frequency text, period text, first date, last date, cycles jsonb)
      cross join lateral (select count(*) as marks, max(at) filter (where mark = 'warned') as warned,
          max(at) filter (where mark = 'updated') as updated, max(at) filter (where mark = 'overdue') as overdue,
          max(at) filter (where mark = 'excused') as excused, max(at) filter (where mark = 'explained') as explained, max(declaration) as declaration
        from duty_mark where duty_mark.resource = r.code and duty_mark.period = p.period) m
      cross join lateral (select ${updatedOnSql('p.first', 'p.last')} as day) u
    where ($3::text is null or r.code = $3) and ($4::text is null or r.agency = $4)
      and (m.marks > 0 or p.cycles ? r.cycle and ${owedSql('p.last')})
  ) duty where $5::text is null or state = $5 order by "to" desc, resource, period limit $6`

/** Update duties as they stand, newest period first; at most 5000. */
export async function listDuties(query: Query, filter: DutyFilter, now: Date): Promise<Duty[]> {
  const rules = await readRules(query)
  const today = dayOf(now)
  const { resource = null, agency = null, state = null, limit = 500 } = filter
  const periods = periodsOf(filter, today, rules).map(({ frequency, period, from, to }) => ({
    frequency,
    period,
    first: from,
    last: to,
    cycles: cyclesOwing(frequency, rules.duties),
  }))
  return query<Duty>(dutiesSql, [JSON.stringify(periods), today, resource, agency, state, Math.min(Math.max(limit, 1), 5000)])
}

function periodsOf({ from, to }: DutyFilter, today: Day, { duties, calendar }: Rules): Period[] {
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
 * Explains a period in which nothing changed, in the transaction in which the agency signs. Also afterwards: the mark that it was overdue
 * stays. Throws QZ-NOT-FOUND where no such duty is owed; QZ-RULE where it has not begun, is updated, or is explained otherwise.
 */
export async function explainPeriod(query: Query, { resource, period, declaration, now }: Explanation): Promise<void> {
  const { from, to, frequency } = parsePeriod(period)
  if (declaration === '') throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: '缺少说明', en: 'the declaration is missing' } })
  await query('select from resource where code = $1 for no key update', [resource])
  const duties = await listDuties(query, { resource, from, to, limit: 5000 }, now)
  const duty = duties.find((one) => one.period === period)
  if (!duty) throw notFound('duty', `${resource} ${period} (${frequency})`)
  if (duty.state === 'explained' && duty.declaration === declaration) return
  const [zh, en] = refusals[duty.state] ?? []
  if (zh) throw new QianzhiError('QZ-RULE', { reason: { zh: `${resource} ${period} ${zh}`, en: `${resource} ${period} ${en}` } })
  await query(
    `insert into duty_mark (resource, period, mark, agency, ends, at, declaration) values ($1, $2, 'explained', $3, $4, $5, $6)`,
    [resource, period, duty.agency, to, now, declaration],
  )
}

const refusals: Partial<Record<DutyState, [string, string]>> = {
  upcoming: ['尚未开始', 'has not begun'],
  updated: ['已更新,无需说明', 'is updated: nothing to explain'],
  explained: ['已说明', 'is explained already'],
  excused: ['暂停期间无需说明', 'is excused'],
}
