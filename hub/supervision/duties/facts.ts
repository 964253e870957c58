import type { Day } from '../../records/calendar.ts'
import { phasesOf } from '../../records/phases.ts'
import { changedSql } from '../../records/supply.ts'
import type { Query } from '../../store/store.ts'
import type { Cycle } from './periods.ts'
import { endOfInability, type DutyFacts, type Inability } from './reckoning.ts'

/** Setting with the last day that was judged. */
export const bookmark = 'duties_judged_to'

/** The last day that was judged: what has no mark of it was not owed. Null where none was. */
export async function judgedTo(query: Query): Promise<Day | null> {
  const [kept] = await query<{ value: Day }>('select value from setting where key = $1', [bookmark])
  return kept?.value ?? null
}

/** A resource with all that its duties are reckoned from. */
export interface ResourceFacts extends DutyFacts {
  resource: string
  title: string
  agency: string
  agencyName: string
  /** In force now. */
  cycle: Cycle
}

interface FactFilter {
  /** Null: all. */
  resource: string | null
  agency: string | null
  /** Only these; left out or null: all. */
  codes?: readonly string[] | null
  /** The days of which updates are wanted. */
  from: Day
  to: Day
}

/** Facts of the resources that were published by the end of these days, by agency and code. */
export async function readFacts(query: Query, { resource, agency, codes: wanted = null, from, to }: FactFilter): Promise<ResourceFacts[]> {
  const resources = await query<Omit<ResourceFacts, 'phases' | 'inabilities' | 'updates'>>(
    `select r.code as resource, r.title, r.agency, a.name as "agencyName", r.cycle, r.published_at as published
     from resource r join agency a on a.code = r.agency
     where ($1::text is null or r.code = $1) and ($2::text is null or r.agency = $2)
       and ($4::text[] is null or r.code = any($4))
       and r.published_at < ($3::date + 1)::timestamp at time zone 'Asia/Shanghai' order by r.agency, r.code`,
    [resource, agency, to, wanted],
  )
  const codes = resources.map(({ resource: code }) => code)
  const phases = await phasesOf(query, codes)
  const inabilities = await readInabilities(query, codes)
  const updates = await readUpdates(query, codes, from, to)
  return resources.map((one) => ({
    ...one,
    phases: phases.get(one.resource) ?? [],
    inabilities: inabilities.get(one.resource) ?? [],
    updates: updates.get(one.resource) ?? [],
  }))
}

/** One text for each resource: a year of a city's resources is half a million days. */
async function readUpdates(query: Query, codes: readonly string[], from: Day, to: Day): Promise<Map<string, Day[]>> {
  const rows = await query<{ resource: string; days: string }>(
    `select resource, string_agg(day::text, ' ' order by day) as days from supply_day s
     where resource = any($1) and day between $2::date and $3::date and ${changedSql} group by resource`,
    [codes, from, to],
  )
  return new Map(rows.map(({ resource, days }) => [resource, days.split(' ')]))
}

/** Signed declarations of a resource or its whole agency (Art. 7.4, 20); what was returned or withdrawn was never signed. */
async function readInabilities(query: Query, codes: readonly string[]): Promise<Map<string, Inability[]>> {
  const rows = await query<{ resource: string; kind: Inability['kind']; from: Date; until: Day | null; next: Day | null }>(
    `select r.code as resource, d.kind, d.signed_at as "from", d.until::text, (select min(s.day)::text from supply_day s
         where s.resource = r.code and s.day > (d.signed_at at time zone 'Asia/Shanghai')::date and ${changedSql}) as next
     from declaration d join resource r on r.code = d.resource or d.resource is null and r.agency = d.agency
     where r.code = any($1) and d.kind in ('force-majeure', 'cannot-supply') and d.signed_at is not null order by d.signed_at, d.id`,
    [codes],
  )
  const told = rows.map(({ resource, kind, from, until, next }) => ({ resource, kind, from, until: endOfInability(until, next) }))
  const all = [...told, ...(await readWaiting(query, codes))]
  return Map.groupBy(all, ({ resource }) => resource)
}

/** Applications for a machine that lay with the office (Art. 15), of agencies that had none, or whose dead one it is to replace. */
function readWaiting(query: Query, codes: readonly string[]): Promise<(Inability & { resource: string })[]> {
  return query(
    `select r.code as resource, 'no-machine' as kind, h.at as "from",
       (select min(later.at) from history later where later.workflow = 'machine' and later.object = h.object and later.id > h.id) as until
     from machine_application m join history h on h.workflow = 'machine' and h.object = m.id::text and h.event = 'create'
       join resource r on r.agency = m.agency
     where r.code = any($1) and (m.replaces is not null
       or not exists (select from agent a where a.agency = m.agency and a.enrolled_at <= m.created_at)) order by h.id`,
    [codes],
  )
}
