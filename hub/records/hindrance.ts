import { endOf, startOf, type Day } from './calendar.ts'
import { changedSql } from './supply.ts'
import type { Query } from '../store/store.ts'

/** A time in which nobody could do what a deadline is for; without an end while it lasts. */
export interface Span {
  from: Date
  to: Date | null
}

/**
 * Times that count against nobody, by deadline: force majeure of who must act (Art. 20), of the whole agency or of the resource that it is
 * about; and of a delivery the times in which the resource was stopped (Art. 26), reported as one that cannot be supplied (Art. 7.4), or the
 * grant was not in force (suspended, or held for its receiver to accept a version); of the office's reply those in which providers were asked,
 * and the days on which the application lay with its applicant to be completed.
 */
export async function hindrancesOf(query: Query, deadlines: readonly string[]): Promise<Map<string, Span[]>> {
  const rows = await query<Span & { id: string }>(`${aboutSql} ${spansSql}`, [deadlines])
  return Map.groupBy(rows, ({ id }) => id)
}

/** SQL: deadlines with the resource and grant that each is about. */
const aboutSql = `
  with about as (
    select d.id, d.kind, d.object, d.agency, g.id as access_grant, coalesce(g.resource, c.resource, o.resource,
      case when d.object like 'resource %' then substr(d.object, 10) end) as resource
    from deadline d
      left join route t on d.kind = 'delivery' and d.object = 'route ' || t.id
      left join access_grant g on g.id = t.access_grant
      left join correction c on d.kind = 'correction' and d.object = 'correction ' || c.id
      left join rectification_order o on d.kind = 'rectification' and d.object = 'order ' || o.id
    where d.id = any($1::bigint[]))`

const spansSql = `
  select a.id, n.signed_at as "from", coalesce((n.until + 1)::timestamp at time zone 'Asia/Shanghai',
      (select min(s.day)::timestamp at time zone 'Asia/Shanghai' from supply_day s join resource r on r.code = s.resource
       where (s.resource = n.resource or n.resource is null and r.agency = n.agency)
         and s.day > (n.signed_at at time zone 'Asia/Shanghai')::date and ${changedSql})) as "to"
    from about a join declaration n on n.agency = a.agency and (n.resource is null or n.resource = a.resource) and n.signed_at is not null
      and (n.kind = 'force-majeure' or n.kind = 'cannot-supply' and a.kind = 'delivery')
  union all
  select a.id, p.since, (select min(since) from resource_phase later where later.resource = p.resource and later.number > p.number)
    from about a join resource_phase p on p.resource = a.resource where a.kind = 'delivery' and p.state <> 'active'
  union all
  select a.id, h.at, (select min(at) from history later where later.workflow = 'grant' and later.object = h.object and later.id > h.id)
    from about a join history h on h.workflow = 'grant' and h.object = a.access_grant
    where a.kind = 'delivery' and h.to_state in ('suspended', 'held')
  union all
  select a.id, h.at, (select min(at) from history later where later.workflow = 'application' and later.object = h.object and later.id > h.id)
    from about a join history h on h.workflow = 'application' and a.object = 'application ' || h.object
    where a.kind = 'application-reply' and h.to_state = 'consulting'
  union all
  select a.id, date_trunc('day', h.at, 'Asia/Shanghai'),
      (select date_trunc('day', min(at), 'Asia/Shanghai') + interval '1 day' from history later
       where later.workflow = 'application' and later.object = h.object and later.id > h.id and later.to_state <> 'returned')
    from about a join history h on h.workflow = 'application' and a.object = 'application ' || h.object
    where a.kind = 'application-reply' and h.event = 'return'`

/** Half a day: what is hindered for less leaves time enough. */
const most = 12 * 3_600_000

/** Whether nobody could act on a day, or on most of it; of days to come what is known of them. */
export function isHindered(spans: readonly Span[], day: Day, now: Date): boolean {
  const [start, end] = [startOf(day).getTime(), endOf(day).getTime()]
  const within = spans
    .map(({ from, to }) => [Math.max(from.getTime(), start), Math.min((to ?? now).getTime(), end)] as const)
    .toSorted(([a], [b]) => a - b)
  let [sum, reached] = [0, start]
  for (const [from, to] of within) {
    sum += Math.max(0, to - Math.max(from, reached))
    reached = Math.max(reached, to)
  }
  return sum >= most
}
