import type { Query } from '../../store/store.ts'
import { endOf, startOf, type Day } from '../../records/calendar.ts'
import type { Weights } from '../../records/settings.ts'

/** What an agency did in a period (Art. 24): quantity 数量, timeliness 更新时效, use 使用情况. */
export interface Figures {
  /** Published at the end of the period. */
  resources: number
  items: number
  /** Accepted in the period: rows of changes, and rows that snapshots repeated. */
  changedRows: number
  snapshotRows: number
  /** Update duties whose period ended in this one; those excused are not among them. */
  dutiesDue: number
  dutiesUpdated: number
  dutiesExplained: number
  dutiesExplainedLate: number
  dutiesOverdue: number
  /** Deadlines that were due in the period. */
  correctionsMet: number
  correctionsMissed: number
  repliesMet: number
  repliesMissed: number
  otherMet: number
  otherMissed: number
  /** In force at the end of the period: of its own data to others, and of others' data to it. */
  grantsGiven: number
  grantsTaken: number
  routesGiven: number
  routesTaken: number
  /** Delivered in the period. */
  rowsGiven: number
  rowsTaken: number
  /** Queries by people, requests by programs and deliveries to webhooks; and the rows that these were shown. */
  queriesAnswered: number
  queriesMade: number
  rowsShown: number
  rowsRead: number
}

export interface AgencyFigures {
  agency: string
  name: string
  figures: Figures
}

/** SQL: the history of object `o` of a workflow, as it was before $3, and what came first afterwards. */
const historySql = (workflow: string, object: string) => `
    left join lateral (select to_state as state from history h where workflow = '${workflow}' and object = ${object} and at < $3
      order by id desc limit 1) before on true
    left join lateral (select event, from_state as state from history h where workflow = '${workflow}' and object = ${object} and at >= $3
      order by id limit 1) later on true`

/**
 * All as it stood at the end of the period, $3, and not as it stands on the day on which it is counted. A grant without a history is one of
 * a trial without people.
 */
const counts = `
  with
  held as (
    select r.agency, count(*) as resources, sum(jsonb_array_length(v.content -> 'items')) as items
    from resource r cross join lateral (select content from catalog_version v where v.resource = r.code
      order by published_at < $3 desc, case when published_at < $3 then -number else number end limit 1) v
    where r.published_at < $3 and (r.withdrawn_at is null or r.withdrawn_at >= $3) group by 1),
  supplied as (
    select r.agency, sum(s.changed_rows) as changed, sum(s.snapshot_rows) as snapshot
    from supply_day s join resource r on r.code = s.resource where s.day between $1::date and $2::date group by 1),
  duty as (
    select agency, resource, period, bool_or(mark = 'updated') as updated, bool_or(mark = 'overdue') as overdue,
      bool_or(mark = 'explained' and at < $3) and not bool_or(mark = 'void') as explained
    from duty_mark where ends between $1::date and $2::date group by 1, 2, 3),
  duties as (
    select agency, count(*) filter (where updated or explained or overdue) as due, count(*) filter (where updated) as updated,
      count(*) filter (where explained and not overdue and not updated) as explained,
      count(*) filter (where explained and overdue) as late, count(*) filter (where overdue and not explained) as overdue
    from duty group by 1),
  deadlines as (
    select agency, kind, count(*) filter (where done and outcome <> 'dropped') as met, count(*) filter (where not done) as missed
    from (select agency, kind, outcome,
        coalesce(ended_at < (due + 1)::timestamp at time zone 'Asia/Shanghai', false) as done
      from deadline where due between $1::date and $2::date) due group by 1, 2),
  in_force as (
    select g.id, r.agency as giver, g.agency as taker, g.resource from access_grant g join resource r on r.code = g.resource
      ${historySql('grant', 'g.id')}
      left join lateral (select true as found, details -> 'before' ->> 'validTo' as until from history h
        where workflow = 'grant' and object = g.id and event = 'replace' and at >= $3 order by id limit 1) replaced on true
    where case when before.state is not null then before.state = 'active'
        else g.created_at < $3 and later.event is distinct from 'create' and coalesce(later.state, g.state) = 'active' end
      and coalesce(case when replaced.found is null then g.valid_to else replaced.until::timestamptz end, 'infinity') >= $3),
  delivered as (
    select r.agency as giver, g.agency as taker, sum(d.written + d.deleted) as rows
    from delivery_day d join route t on t.id = d.route join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource
    where d.day between $1::date and $2::date group by 1, 2),
  queried as (
    select giver, taker, sum(queries) as queries, sum(rows) as rows from (
      select r.agency as giver, e.agency as taker, 1 as queries, coalesce((e.details ->> 'rows')::bigint, 0) as rows
      from audit_entry e join resource r on r.code = e.object
      where e.act = 'query' and e.outcome = 'done' and e.at >= $4 and e.at < $3
      union all
      select r.agency, g.agency, u.requests, u.rows
      from api_usage_day u join access_grant g on g.id = u.access_grant join resource r on r.code = g.resource
      where u.day between $1::date and $2::date) used
    where giver <> taker group by 1, 2)
  select a.code as agency, a.name,
    coalesce(h.resources, 0) as resources, coalesce(h.items, 0) as items,
    coalesce(s.changed, 0) as "changedRows", coalesce(s.snapshot, 0) as "snapshotRows",
    coalesce(u.due, 0) as "dutiesDue", coalesce(u.updated, 0) as "dutiesUpdated", coalesce(u.explained, 0) as "dutiesExplained",
    coalesce(u.late, 0) as "dutiesExplainedLate", coalesce(u.overdue, 0) as "dutiesOverdue",
    (select coalesce(sum(met), 0) from deadlines d where d.agency = a.code and kind = 'correction') as "correctionsMet",
    (select coalesce(sum(missed), 0) from deadlines d where d.agency = a.code and kind = 'correction') as "correctionsMissed",
    (select coalesce(sum(met), 0) from deadlines d where d.agency = a.code and kind = 'application-reply') as "repliesMet",
    (select coalesce(sum(missed), 0) from deadlines d where d.agency = a.code and kind = 'application-reply') as "repliesMissed",
    (select coalesce(sum(met), 0) from deadlines d where d.agency = a.code and kind not in ('correction', 'application-reply')) as "otherMet",
    (select coalesce(sum(missed), 0) from deadlines d where d.agency = a.code and kind not in ('correction', 'application-reply')) as "otherMissed",
    (select count(*) from in_force where giver = a.code) as "grantsGiven",
    (select count(*) from in_force where taker = a.code) as "grantsTaken",
    (select count(*) from route t join in_force f on f.id = t.access_grant where giver = a.code and t.created_at < $3) as "routesGiven",
    (select count(*) from route t join in_force f on f.id = t.access_grant where taker = a.code and t.created_at < $3) as "routesTaken",
    (select coalesce(sum(rows), 0) from delivered where giver = a.code) as "rowsGiven",
    (select coalesce(sum(rows), 0) from delivered where taker = a.code) as "rowsTaken",
    (select coalesce(sum(queries), 0) from queried where giver = a.code) as "queriesAnswered",
    (select coalesce(sum(queries), 0) from queried where taker = a.code) as "queriesMade",
    (select coalesce(sum(rows), 0) from queried where giver = a.code) as "rowsShown",
    (select coalesce(sum(rows), 0) from queried where taker = a.code) as "rowsRead"
  from agency a left join held h on h.agency = a.code left join supplied s on s.agency = a.code left join duties u on u.agency = a.code
  where a.created_at < $3 order by a.code`

/** The figures of every agency from the first day to the last, the same on whatever day after it they are counted. */
export async function countFigures(query: Query, from: Day, to: Day): Promise<AgencyFigures[]> {
  const rows = await query<Record<string, string>>(counts, [from, to, endOf(to), startOf(from)])
  return rows.map(({ agency, name, ...figures }) => ({
    agency: agency!,
    name: name!,
    figures: Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, Number(value)])) as unknown as Figures,
  }))
}

/** 0 to 100; null where there is nothing to judge. */
export interface Scores {
  quantity: number | null
  timeliness: number | null
  use: number | null
}

export interface Scored extends AgencyFigures {
  scores: Scores
  /** By the weights, over what can be judged. */
  score: number | null
}

/**
 * Scores, from 0 to 100. Timeliness: the share of duties updated or explained in time, and of deadlines met. Quantity and use: the mean of
 * two shares of the best agency's figure, for rows and queries on a logarithmic scale, so that one large table does not make all others
 * small: published resources and rows supplied; grants in force and rows delivered, or read by query and API.
 */
export function scoreAll(all: readonly AgencyFigures[], weights: Weights): Scored[] {
  const best = (of: (figures: Figures) => number) => Math.max(0, ...all.map(({ figures }) => of(figures)))
  const bests = { resources: best(({ resources }) => resources), rows: best(rowsOf), grants: best(grantsOf), used: best(usedOf) }
  return all.map((line) => {
    const { figures } = line
    const scores: Scores = {
      quantity: mean([share(figures.resources, bests.resources), logShare(rowsOf(figures), bests.rows)]),
      timeliness: timelinessOf(figures),
      use: mean([share(grantsOf(figures), bests.grants), logShare(usedOf(figures), bests.used)]),
    }
    return { ...line, scores, score: weigh(scores, weights) }
  })
}

const rowsOf = ({ changedRows, snapshotRows }: Figures) => changedRows + snapshotRows
const grantsOf = ({ grantsGiven, grantsTaken }: Figures) => grantsGiven + grantsTaken
const usedOf = (f: Figures) => f.rowsGiven + f.rowsTaken + f.rowsShown + f.rowsRead + f.queriesAnswered + f.queriesMade

function timelinessOf(f: Figures): number | null {
  const met = f.correctionsMet + f.repliesMet + f.otherMet
  const all = f.dutiesDue + met + f.correctionsMissed + f.repliesMissed + f.otherMissed
  return all === 0 ? null : round((100 * (f.dutiesUpdated + f.dutiesExplained + met)) / all)
}

const share = (value: number, best: number) => (best === 0 ? null : value / best)
const logShare = (value: number, best: number) => (best === 0 ? null : Math.log1p(value) / Math.log1p(best))

function mean(shares: readonly (number | null)[]): number | null {
  const known = shares.filter((one) => one !== null)
  return known.length === 0 ? null : round((100 * known.reduce((sum, one) => sum + one, 0)) / known.length)
}

function weigh(scores: Scores, weights: Weights): number | null {
  const known = (Object.keys(weights) as (keyof Weights)[]).flatMap((part) =>
    scores[part] === null ? [] : [{ weight: weights[part], value: scores[part] }],
  )
  const total = known.reduce((sum, { weight }) => sum + weight, 0)
  return total === 0 ? null : round(known.reduce((sum, { weight, value }) => sum + weight * value, 0) / total)
}

const round = (value: number) => Math.round(value * 10) / 10
