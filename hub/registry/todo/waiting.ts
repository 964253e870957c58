import type { LocalizedText } from '../../../protocol/localized.ts'
import { changedSql } from '../../records/supply.ts'
import { ended, none, own, provider, type Cases } from './turns.ts'

/** What is no workflow and yet waits for somebody. `role`: whose turn it is; in `agencies`, or wherever it is. */
export interface Waiting extends Omit<Cases, 'states'> {
  state: string
  name: LocalizedText
  where: string
  role: 'agency-it' | 'registrar' | 'office'
  agencies?: string
  /** Operations by which it goes on; none where it is done elsewhere. */
  next: readonly string[]
  reason: LocalizedText
}

/** SQL: `$1` are the years whose calendar is wanted, as texts; `$3` is the caller's agency and `$5` whether only their turn is asked for; `$7` is today. */
export const waiting: Readonly<Record<string, readonly Waiting[]>> = {
  duty: [
    {
      ...duty(),
      from: 'resource r join duty_mark c on c.resource = r.code',
      state: 'due',
      name: none('待更新', 'to be updated'),
      where: `c.mark = 'warned' and c.ends >= $7::date and ${owed()} and not exists (select from supply_day s
        where s.resource = c.resource and s.day between ${firstDay()} and c.ends and ${changedSql})`,
      warned: 'true',
    },
    {
      ...duty(),
      // The last one of each resource that neither an update nor an explanation has followed.
      from: `resource r cross join lateral (select * from duty_mark m where m.resource = r.code and m.mark = 'overdue' and not ${explained('m')}
        order by m.ends desc limit 1) c`,
      state: 'overdue',
      name: none('逾期未更新', 'overdue'),
      where: `${owed()} and not exists (select from supply_day s where s.resource = c.resource and s.day > c.ends and ${changedSql})`,
    },
  ],
  route: [
    {
      ...delivery(),
      state: 'undelivered',
      name: none('待交付', 'to be delivered'),
      where: `${undelivered()} and a.last_seen is not null`,
      // Where the receiver has no place for it, or cannot write there, it is not the provider's turn.
      agencies: `array[case when exists (select from jsonb_array_elements(a.report -> 'sinks') s
        where s ->> 'route' = t.id and s -> 'fault' is not null) then a.agency else c.agency end]`,
    },
    {
      ...delivery(),
      state: 'receiver-not-started',
      name: none('接收方前置机从未启动', "the receiver's machine has never started"),
      where: `${undelivered()} and a.last_seen is null`,
      agencies: 'array[a.agency]',
    },
  ],
  agent: [
    {
      from: 'agent c',
      title: 'c.name',
      agency: 'c.agency',
      parties: own,
      created: 'c.enrolled_at',
      state: 'not-started',
      name: none('已登记，从未启动', 'enrolled, never started'),
      where: `c.state = 'active' and c.last_seen is null`,
      role: 'agency-it',
      agencies: own,
      next: [],
      reason: none('由本单位决定何时启动前置机', 'its agency decides when to start the machine'),
    },
    {
      from: 'agent c',
      title: 'c.name',
      agency: 'c.agency',
      parties: own,
      created: 'coalesce(c.revoked_at, c.enrolled_at)',
      state: 'revoked',
      name: none('前置机代理已被撤销，须重新申请并登记', 'revoked: a new machine is to be applied for and enrolled'),
      where: `c.state = 'revoked' and c.replaced_by is null and ${missed()}
        and not exists (select from machine_application m where m.agency = c.agency and m.state in ('applied', 'approved') and (m.replaces = c.id or m.replaces is null))`,
      role: 'agency-it',
      agencies: own,
      next: ['machine.apply'],
      reason: none('由本单位决定何时重新申请前置机替换它', 'its agency decides when to apply for a machine that replaces it'),
    },
  ],
  'catalog-update': [
    {
      from: `deadline c join resource r on c.object = 'resource ' || r.code`,
      id: 'r.code',
      title: 'r.title',
      agency: 'r.agency',
      parties: provider,
      created: 'c.started_at',
      state: 'due',
      name: none('目录待更新', 'the catalog is to be updated'),
      where: `c.kind = 'catalog-update' and c.ended_at is null`,
      role: 'registrar',
      agencies: provider,
      next: ['registration.create'],
      deadline: 'catalog-update',
      object: 'resource',
      reason: ended,
    },
  ],
  evaluation: (
    [
      ['draft', none('待固定', 'to be fixed'), 'evaluation.freeze'],
      ['frozen', none('待公布', 'to be published'), 'evaluation.publish'],
    ] as const
  ).map(([state, name, event]): Waiting => ({
    from: 'evaluation c',
    title: 'c.period',
    agency: 'null',
    parties: `'{}'::text[]`,
    created: 'c.drawn_at',
    state,
    name,
    where: `c.state = '${state}'`,
    role: 'office',
    next: [event],
    reason: none('由市电子政务办决定', 'the office decides when'),
  })),
  webhook: [
    {
      from: `webhook h join api_client c on c.id = h.client join access_grant g on g.id = c.access_grant join resource r on r.code = g.resource`,
      id: `g.id || ' ' || c.id`,
      title: 'r.title',
      agency: 'g.agency',
      parties: 'array[g.agency]',
      created: 'h.failed_since',
      state: 'held',
      name: none('推送已停住', 'stands still'),
      where: `h.state = 'held' and c.ended_at is null and g.state = 'active'`,
      role: 'agency-it',
      agencies: 'array[g.agency]',
      next: ['webhook.replay'],
      reason: none('接收方恢复后由本单位恢复推送', 'its agency has it go on when the receiver works again'),
    },
  ],
  calendar: [
    {
      from: 'unnest($1::text[]) c(year)',
      id: 'c.year',
      title: 'c.year',
      agency: 'null',
      parties: `'{}'::text[]`,
      created: `coalesce((select min(started_at) from deadline where ended_at is null and (waits = 'calendar' or due >= make_date(c.year::int, 1, 1))), $7::date)`,
      state: 'missing',
      name: none('缺工作日日历', 'has no calendar of working days'),
      where: 'true',
      role: 'office',
      next: ['calendar.put'],
      reason: none(
        '国务院办公厅公布后填报，或写入 supervision.calendars',
        'comes with the notice of the State Council: put it in, or into supervision.calendars',
      ),
    },
  ],
}

function delivery() {
  return {
    from: `deadline c join route t on c.object = 'route ' || t.id join agent a on a.id = t.agent join access_grant g on g.id = t.access_grant
      join resource r on r.code = g.resource`,
    id: 't.id',
    title: 'r.title',
    agency: 'a.agency',
    parties: 'array[a.agency, c.agency]',
    created: 'c.started_at',
    deadline: 'delivery',
    role: 'agency-it',
    next: [],
    reason: ended,
  } as const
}

function undelivered(): string {
  return `c.kind = 'delivery' and c.ended_at is null`
}

/** Who supplies the data updates it, or explains in writing that nothing changed (Art. 14). */
function duty() {
  return {
    id: `r.code || ' ' || c.period`,
    title: 'r.title',
    agency: 'r.agency',
    parties: provider,
    created: 'c.at',
    due: 'c.ends',
    role: 'registrar',
    agencies: provider,
    next: ['declaration.create'],
    reason: ended,
  } as const
}

/** Of a resource in force whose agency has not said that it cannot supply; of one agency's resources where only its turn is asked for. */
function owed(): string {
  return `r.state = 'active' and (not $5 or r.agency = $3) and not ${explained('c')}
    and not exists (select from duty_mark m where m.resource = c.resource and m.period = c.period and m.mark in ('updated', 'excused'))
    and not exists (select from declaration d where d.agency = r.agency and (d.resource is null or d.resource = r.code)
      and d.kind in ('force-majeure', 'cannot-supply') and d.signed_at is not null and coalesce(d.until >= $7::date, not exists (
        select from supply_day s where s.resource = r.code and s.day > (d.signed_at at time zone 'Asia/Shanghai')::date and ${changedSql})))`
}

function explained(mark: string): string {
  const has = (what: string) =>
    `exists (select from duty_mark e where e.resource = ${mark}.resource and e.period = ${mark}.period and e.mark = '${what}')`
  return `(${has('explained')} and not ${has('void')})`
}

/** Of a period by its key and last day. */
function firstDay(): string {
  return `case when c.period ~ 'W' then c.ends - 6 when length(c.period) = 10 then c.ends else date_trunc('month', c.ends)::date end`
}

/** Something stands still for want of a revoked agent `c`: what it received, or what it is to supply. */
function missed(): string {
  return `(exists (select from route t join access_grant g on g.id = t.access_grant where t.agent = c.id and g.state in ('active', 'suspended', 'held'))
    or exists (select from resource r where r.agency = c.agency and r.state <> 'withdrawn' and (r.producer = c.id
      or r.producer is null and not exists (select from agent a where a.agency = c.agency and a.state = 'active')
        and not exists (select from agent o where o.agency = c.agency and (o.enrolled_at, o.id) > (c.enrolled_at, c.id)))))`
}
