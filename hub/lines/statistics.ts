import type { Day } from '../records/calendar.ts'
import type { Query } from '../store/store.ts'

export const groupings = ['day', 'agency'] as const

export interface Asked {
  by: (typeof groupings)[number]
  /** First and last day (Asia/Shanghai). */
  from: Day
  to: Day
  /** Of this agency alone; null: of all. */
  agencyScope: string | null
}

/** SQL: what is counted. Each has the columns `day`, `agency`, and the figures that are summed or counted. */
const sources = {
  supply: {
    figures: `sum(s.batches)::float as batches, sum(s.changed_rows)::float as changed, sum(s.same_rows)::float as same,
      sum(s.snapshot_rows)::float as loaded, count(distinct s.resource)::int as resources`,
    day: 's.day',
    agency: 'r.agency',
    from: 'supply_day s join resource r on r.code = s.resource',
    where: 's.day between $1::date and $2::date',
  },
  delivery: {
    figures: 'sum(d.written)::float as written, sum(d.deleted)::float as deleted, count(distinct d.route)::int as routes',
    day: 'd.day',
    agency: 'g.agency',
    from: 'delivery_day d join route t on t.id = d.route join access_grant g on g.id = t.access_grant',
    where: 'd.day between $1::date and $2::date',
  },
  applications: {
    figures: `count(*) filter (where h.event = 'submit' and h.from_state <> 'returned')::int as submitted, count(*) filter (where h.event = 'approve')::int as approved,
      count(*) filter (where h.event = 'reject')::int as rejected, count(*) filter (where h.event = 'withdraw')::int as withdrawn`,
    day: `(h.at at time zone 'Asia/Shanghai')::date`,
    agency: 'a.agency',
    from: 'history h join application a on a.id::text = h.object',
    where: `h.workflow = 'application' and h.event in ('submit', 'approve', 'reject', 'withdraw') and h.to_state is distinct from h.from_state
      and h.at >= $1::timestamp at time zone 'Asia/Shanghai' and h.at < ($2::date + 1)::timestamp at time zone 'Asia/Shanghai'`,
  },
  duties: {
    figures: ['updated', 'explained', 'overdue', 'excused'].map((state) => `sum(t.${state})::int as ${state}`).join(', '),
    day: 't.ends',
    agency: 't.agency',
    from: 'duty_tally t',
    where: 't.ends between $1::date and $2::date',
  },
} as const

export type Statistic = keyof typeof sources

/** Figures by day or by agency, from what is on record; what has none is left out. */
export function readStatistics(query: Query, what: Statistic, { by, from, to, agencyScope }: Asked): Promise<Record<string, unknown>[]> {
  const source = sources[what]
  const group = by === 'day' ? `to_char(${source.day}, 'YYYY-MM-DD')` : source.agency
  return query(
    `select ${group} as ${by}, ${source.figures} from ${source.from}
     where ${source.where} and ($3::text is null or ${source.agency} = $3) group by 1 order by 1`,
    [from, to, agencyScope],
  )
}
