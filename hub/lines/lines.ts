import type { SinkReport, SourceReport } from '../../protocol/api.ts'
import { comparePositions, type ChainPosition } from '../../protocol/position.ts'
import { readStatement } from '../../protocol/signature.ts'
import type { Log } from '../log.ts'
import { resourceEnding, routeStop, stoppedJoin, stoppedSql, type StopRow } from '../records/route-stops.ts'
import { enteredSql, producerOf, sharedSql } from '../records/supply.ts'
import type { Query } from '../store/store.ts'
import { standingRefusal } from '../supervision/refused-files.ts'
import { findingOf } from './judges.ts'
import type { Line } from './line.ts'

/** What lines are read with. `lapse`: days without a move after which the log does not wait for a route. */
export interface LineDeps {
  query: Query
  log: Pick<Log, 'heads'>
  now: Date
  lapse: number
}

export interface LineFilter {
  kind?: 'source' | 'route' | undefined
  /** Routes of which the agency is provider or receiver, and its sources; null: all. */
  agencyScope?: string | null
  /** The one route, ended or not. */
  route?: string | undefined
  /** Lines that begin or end at this agent. */
  agent?: string | undefined
  resource?: string | undefined
  agency?: string | undefined
  provider?: string | undefined
  receiver?: string | undefined
  /** Within the codes or names of resource and agencies. */
  text?: string | undefined
}

/** A line with what lists show of it. */
export interface ReadLine extends Line {
  title: string
  grant: string | null
  /** When a receipt last moved the route; null before the first. */
  moved: Date | null
  /** Rows written and deleted today (Asia/Shanghai), and about as many in the last minute. */
  today: number
  minute: number
}

interface Row extends Omit<StopRow, 'ended'> {
  route: string | null
  grant: string | null
  resource: string
  title: string
  state: string
  provider: string
  provider_name: string
  producer: string | null
  entered: boolean
  producer_seen: Date | null
  producer_told: boolean | null
  source: SourceReport | null
  last_push: Date | null
  wanted: boolean | null
  head_statement: string | null
  receiver: string | null
  receiver_name: string | null
  agent: string | null
  active: boolean | null
  receiver_seen: Date | null
  receiver_told: boolean | null
  sink: SinkReport | null
  asked_epoch: string | null
  asked_seq: string | null
  epoch: string | null
  seq: string | null
  hash: string | null
  quarantine: string | null
  moved_at: Date | null
  moved: boolean | null
  today: string | null
  minute: string | null
  run: string | null
  run_state: 'equal' | 'different' | 'failed' | null
  equal: Date | null
}

/** SQL: the receipts' rows of the last minute of route `t`: those of the minute that runs, and of the one before as much as is left of it. */
const minuteSql = `round(case t.minute when date_trunc('minute', $1::timestamptz) then t.minute_rows + t.before_rows * (60 - extract(second from $1)) / 60
  when date_trunc('minute', $1::timestamptz) - interval '1 minute' then t.minute_rows * (60 - extract(second from $1)) / 60 else 0 end)::bigint`

/** SQL: what is on record of today, and what receipts have brought since. */
const dayOfNow = `($1::timestamptz at time zone 'Asia/Shanghai')::date`
const todaySql = `coalesce(d.written + d.deleted, 0) + case when (t.moved_at at time zone 'Asia/Shanghai')::date = ${dayOfNow}
  then t.written + t.deleted - coalesce(b.written + b.deleted, 0) else 0 end`

/** SQL: whether a line of resource `r`, its provider `pa` and receiver `ra` is wanted. */
const wanted = (receiver: string, receiverName: string) => `($5::text is null or r.code = $5) and ($7::text is null or r.agency = $7)
  and ($8::text is null or ${receiver} = $8) and ($6::text is null or r.agency = $6 or ${receiver} = $6)
  and ($9::text is null or strpos(lower(concat_ws(' ', r.code, r.title, r.agency, pa.name, ${receiver}, ${receiverName})), lower($9)) > 0)`

/** What has ended for good is no line any more, but when it is asked for by name. A source is what supplied once, or an agent tells of. */
const linesSql = `
  with told as materialized (
    select distinct on (a.id, 2) a.id as agent, e.value ->> 'resource' as resource, e.value - 'unregistered' as report
    from agent a, jsonb_array_elements(a.report -> 'sources') with ordinality e
    where a.state = 'active' and ($3::text is null or a.agency = (select r.agency from route t join access_grant g on g.id = t.access_grant
      join resource r on r.code = g.resource where t.id = $3)) order by 1, 2, e.ordinality),
  base as materialized (
    select t.id as route, g.id as "grant", r.code as resource, r.title, r.agency as provider, pa.name as provider_name, ${producerOf} as producer,
      ${enteredSql} as entered, a.agency as receiver, ra.name as receiver_name, a.id as agent, a.state = 'active' as active, a.last_seen as receiver_seen, a.report is not null as receiver_told,
      t.asked_epoch, t.asked_seq, t.epoch, t.seq, t.hash, t.quarantine, t.moved_at, t.receipt is not null as moved,
      ${todaySql} as today, ${minuteSql} as minute, ${stoppedSql},
      case when g.state <> 'active' then g.state when g.valid_to <= $1 then 'expired' else ${resourceEnding} end as state
    from route t
    join access_grant g on g.id = t.access_grant
    join agent a on a.id = t.agent
    join agency ra on ra.code = a.agency
    join resource r on r.code = g.resource
    join agency pa on pa.code = r.agency
    left join delivery_day d on d.route = t.id and d.day = ${dayOfNow}
    left join delivery_bookmark b on b.route = t.id
    ${stoppedJoin}
    where $10::text is distinct from 'source' and (t.id = $3 or $3 is null and g.state in ('active', 'suspended', 'held')) and ($2::text is null or r.agency = $2 or a.agency = $2)
      and ${wanted('a.agency', 'ra.name')}
    union all
    select null, null, r.code, r.title, r.agency, pa.name, ${producerOf}, ${enteredSql}, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null, null, null, r.stop_reason, null, null,
      case when r.state <> 'active' then ${resourceEnding} when not ${sharedSql} then 'not shared' else 'active' end
    from resource r join agency pa on pa.code = r.agency
    where $10::text is distinct from 'route' and $3 is null and $8 is null and r.state <> 'withdrawn' and ($2::text is null or r.agency = $2)
      and (exists (select from stream where resource = r.code) or exists (select from told where told.resource = r.code))
      and ${wanted('null::text', 'null::text')}),
  applied as materialized (
    select distinct on (a.id, 2) a.id as agent, e.value ->> 'route' as route, e.value - 'refused' as report
    from agent a, jsonb_array_elements(a.report -> 'sinks') with ordinality e where a.id in (select agent from base) order by 1, 2, e.ordinality)
  select base.*, p.last_seen as producer_seen, p.report is not null as producer_told, told.report as source, applied.report as sink, s.last_push, s.snapshot_wanted as wanted,
    case when base.route is null then s.head_statement end as head_statement, last.id as run, last.state as run_state,
    case when $3 is not null then (select max(ended_at) from reconciliation where route = $3 and state = 'equal') end as equal
  from base
  left join agent p on p.id = base.producer
  left join told on told.agent = base.producer and told.resource = base.resource
  left join applied on applied.agent = base.agent and applied.route = base.route
  left join stream s on s.resource = base.resource
  left join lateral (select c.id, c.state from reconciliation c where c.route = base.route and c.state in ('equal', 'different', 'failed')
    order by c.id desc limit 1) last on true
  where $4::text is null or $4 in (base.producer, base.agent)`

const day = 86_400_000

/** Lines as they are now, in no order. One statement, and the heads of their streams. */
export async function readLines({ query, log, now, lapse }: LineDeps, filter: LineFilter): Promise<ReadLine[]> {
  const {
    agencyScope = null,
    route = null,
    agent = null,
    resource = null,
    agency = null,
    provider = null,
    receiver = null,
    text,
    kind = null,
  } = filter
  const rows = await query<Row>(linesSql, [now, agencyScope, route, agent, resource, agency, provider, receiver, text || null, kind])
  const heads = await log.heads([...new Set(rows.map((row) => row.resource))])
  const lapsedBefore = new Date(now.getTime() - lapse * day)
  return rows.map((row) => lineOf(row, heads.get(row.resource) ?? null, now, lapsedBefore))
}

function lineOf(row: Row, head: ChainPosition | null, now: Date, lapsedBefore: Date): ReadLine {
  const receiver = row.route === null ? null : receiverOf(row, head, lapsedBefore)
  const asOf = receiver ? (receiver.report?.reached ?? null) : sourceAsOf(row)
  const known = {
    route: row.route,
    resource: row.resource,
    state: row.state,
    ...(row.state !== 'active' && { stop: routeStop(row.state, row) }),
    source: sourceOf(row),
    hub: { head, lastPush: row.last_push, snapshotWanted: row.wanted ?? false },
    receiver,
    asOf,
    age: asOf === null ? null : Math.max(0, Math.round((now.getTime() - Date.parse(asOf)) / 1000)),
    reconciled: { run: row.run, state: row.run_state, equal: row.equal },
  }
  const { title, grant, moved, moved_at: movedAt, today, minute } = row
  const rows = { today: Number(today ?? 0), minute: Number(minute ?? 0) }
  return { ...known, ...findingOf(known, now), title, grant, moved: moved ? movedAt : null, ...rows }
}

function sourceOf({
  provider,
  provider_name: agencyName,
  producer,
  entered,
  producer_seen: seen,
  producer_told: told,
  source,
}: Row): Line['source'] {
  const refusedFile = standingRefusal(source?.files)
  return {
    agency: provider,
    agencyName,
    agent: producer,
    entered,
    seen,
    told: told ?? false,
    ...(source && { report: pick(source, ['state', 'waiting', 'oldest', 'quarantine', 'snapshot', 'fault']) }),
    ...(refusedFile && { refusedFile }),
  }
}

/** What the provider last said of its head: the hub has what the source was then. */
function sourceAsOf({ head_statement: jws, last_push: lastPush }: Row): string | null {
  const time = jws ? readStatement(jws)?.['time'] : undefined
  return typeof time === 'string' ? time : (lastPush?.toISOString() ?? null)
}

function receiverOf(row: Row, head: ChainPosition | null, lapsedBefore: Date): NonNullable<Line['receiver']> {
  const { sink } = row
  const applied = row.epoch && row.seq && row.hash ? { epoch: Number(row.epoch), seq: Number(row.seq), hash: row.hash } : null
  const behind = head !== null && (!applied || comparePositions(applied, head) < 0)
  return {
    agency: row.receiver!,
    agencyName: row.receiver_name!,
    agent: row.agent!,
    active: row.active!,
    seen: row.receiver_seen,
    told: row.receiver_told ?? false,
    delivered: row.asked_epoch && row.asked_seq ? { epoch: Number(row.asked_epoch), seq: Number(row.asked_seq) } : applied,
    applied,
    quarantine: Math.max(Number(row.quarantine), sink?.quarantine ?? 0),
    lapsed: behind && row.moved_at! < lapsedBefore,
    ...(sink && { report: pick(sink, ['state', 'reached', 'fault']) }),
  }
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const picked: Partial<Pick<T, K>> = {}
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name]
  return picked as Pick<T, K>
}
