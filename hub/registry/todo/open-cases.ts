import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { rights, type OperationName, type Reach } from '../../access/rights.ts'
import { dayOf, daysBetween, type Day } from '../../records/calendar.ts'
import { calendarsWanted } from '../../records/calendars-wanted.ts'
import { daysLeft, type Deadline } from '../../records/deadlines.ts'
import { maxCounted, totalOf, type Page } from '../../records/listing.ts'
import type { Role } from '../../records/roles.ts'
import { readRules, type Rules } from '../../records/settings.ts'
import type { Query } from '../../store/store.ts'
import type { Transition, Workflow } from '../workflow.ts'
import { workflows } from '../workflows.ts'
import { turns, type Cases, type Turn } from './turns.ts'
import { waiting, type Waiting } from './waiting.ts'

/** A case in which something is still to be done. */
export interface OpenCase {
  kind: string
  id: string
  state: string
  stateName: LocalizedText
  title: string
  /** Whose it is; null for the city's own. */
  agency: string | null
  agencyName: string | null
  /** Who may take it on: a role in an agency, or wherever it is (null). */
  turn: { role: Role; agency: string | null; agencyName: string | null }[]
  /** What of that the caller may do. */
  actions: string[]
  /** Since when it is in this state, and for how many days. */
  since: Date
  days: number
  deadline: { kind: string; due: Day; daysLeft: number; missed: boolean } | null
  urgency: Urgency
  /** Why there is none, or what it must be read with. */
  reason: LocalizedText | null
}

/** Of what is to be done: the deadline is over, is near (who must act was warned of it), runs, or there is none. */
export const urgencies = ['missed', 'warned', 'running', 'none'] as const
export type Urgency = (typeof urgencies)[number]

/** One way in which a case goes on: by whom, and who of them may not because of what they did before. */
interface Step {
  kind: string
  state: string
  role: Role
  /** An operation; null where it is done elsewhere. */
  event: string | null
  /** Wherever the role is, or only in the agencies of the case. */
  anywhere: boolean
  barring: readonly string[]
}

type AnyFlow = Workflow<string, { state: string }>
const cases: Readonly<Record<string, Cases>> = turns
const flows = workflows as unknown as readonly AnyFlow[]

/** Of every open state, from the tables of the workflows and of the rights. */
export const steps: readonly Step[] = [
  ...flows.flatMap((flow) => openStates(flow.name).flatMap(([state, { next }]) => next.flatMap((event) => stepsOf(flow, state, event)))),
  ...Object.entries(waiting).flatMap(([kind, lines]) =>
    lines.flatMap(({ state, role, agencies, next }) =>
      (next.length > 0 ? next : [null]).map((event) => ({ kind, state, role, event, anywhere: agencies === undefined, barring: [] })),
    ),
  ),
]

function openStates(kind: string): [string, Turn][] {
  return Object.entries(cases[kind]?.states ?? {}).filter((entry): entry is [string, Turn] => typeof entry[1] === 'object')
}

function stepsOf(flow: AnyFlow, state: string, event: string): Step[] {
  const fitting = ((flow.events[event] ?? []) as readonly Transition<string, { state: string }>[]).filter(({ from }) =>
    from.includes(state),
  )
  const name = `${flow.name}.${event}`
  const line = rights[name as OperationName] as Partial<Record<Role, Reach | readonly Reach[]>>
  return Object.entries(line).flatMap(([one, reach]): Step[] => {
    const role = one as Role
    const open = fitting.filter(({ by }) => !by || by.includes(role))
    if (one === 'hub' || open.length === 0) return []
    const [first = [], ...others] = open.map(({ notBy = [] }) => notBy)
    const barring = first.filter((done) => others.every((other) => other.includes(done)))
    return [{ kind: flow.name, state, role, event: name, anywhere: reach === 'any', barring }]
  })
}

/** SQL: open cases of one kind and state. */
function selectSql(kind: string, state: string, of: Omit<Cases, 'states'>, how: Turn | Waiting, condition: string): string {
  const text = (value: string) => `'${value}'::text`
  const deadline = of.deadline ? text(of.deadline) : 'null::text'
  return `select ${text(kind)} as kind, (${of.id ?? 'c.id'})::text as id, ${text(state)} as state, (${of.title})::text as title,
      (${of.agency})::text as agency, (${of.parties})::text[] as parties, (${of.created})::timestamptz as created,
      (${how.agencies ?? 'null'})::text[] as agencies, (${('only' in how && how.only) || 'null'})::text[] as only,
      (${('barred' in how && how.barred) || `'{}'`})::text[] as barred, ${deadline} as deadline,
      (${of.due ?? 'null'})::date as own_due, (${of.warned ?? 'null'})::boolean as own_warned,
      coalesce(${('runs' in how && how.runs) || 'null'}, ${text(`${of.object ?? kind} `)} || (${of.id ?? 'c.id'})) as object
    from ${of.from} where ${condition}`
}

const selects: readonly { kind: string; state: string; sql: string; reason: LocalizedText; name: LocalizedText }[] = [
  ...flows.flatMap(({ name: kind, states }) =>
    openStates(kind).map(([state, turn]) => {
      const condition = `c.state = '${state}'${turn.where ? ` and ${turn.where}` : ''}`
      return { kind, state, sql: selectSql(kind, state, cases[kind]!, turn, condition), reason: turn.reason, name: states[state]! }
    }),
  ),
  ...Object.entries(waiting).flatMap(([kind, lines]) =>
    lines.map((line) => ({
      kind,
      state: line.state,
      sql: selectSql(kind, line.state, line, line, line.where),
      reason: line.reason,
      name: line.name,
    })),
  ),
]
const described = new Map(selects.map((select) => [`${select.kind} ${select.state}`, select]))

export const caseKinds = [...new Set(selects.map(({ kind }) => kind))]

/** Who asks: what they may do, and as whom. */
export interface Asking {
  roles: readonly Role[]
  agency: string | null
  actor: string
}

export interface CaseFilter {
  kind?: string | undefined
  /** Cases that this agency has a part in, or whose turn it is. */
  agency?: string | undefined
  /** The one case of this id. */
  id?: string | undefined
  after?: string | undefined
  limit: number
}

interface Row {
  kind: string
  id: string
  state: string
  title: string
  agency: string | null
  agencyName: string | null
  agencies: { code: string; name: string }[] | null
  only: string[] | null
  actions: (string | null)[] | null
  since: Date
  due: Day | null
  deadline: string | null
  /** What the day of the deadline is waited for. */
  waits: Deadline['waits']
  urgency: Urgency
}

export type CasePage = Page<OpenCase>

/** What a person may take on now, the most pressing first. */
export function listTodo(query: Query, asking: Asking, filter: CaseFilter, now: Date): Promise<CasePage> {
  const own = steps.filter(({ role }) => asking.roles.includes(role))
  return listCases(query, { asking, own, mine: true, filter, now })
}

/** Every open case, of all or of those an agency has a part in, with whose turn it is. Drafts are seen by those who may submit them. */
export function listOpenCases(query: Query, asking: Asking, filter: CaseFilter, now: Date): Promise<CasePage> {
  const own = steps.filter(({ role }) => asking.roles.includes(role))
  return listCases(query, { asking, own, mine: false, filter, now })
}

interface Listing {
  asking: Asking
  own: readonly Step[]
  mine: boolean
  filter: CaseFilter
  now: Date
}

/** States that nobody but whoever may take the case on is told of. */
const secret = new Set(['application draft', 'standard draft'])

interface Open {
  rules: Rules
  /** SQL: `with … dated as (…)`, by the parameters `$1` to `$8`. */
  sql: string
  parameters: unknown[]
}

/** Undefined where nothing can be open that is asked for. */
async function openCases(query: Query, { asking, own, mine, filter, now }: Listing): Promise<Open | undefined> {
  const rules = await readRules(query)
  const possible = new Set(own.map(({ kind, state }) => `${kind} ${state}`))
  const wanted = selects.filter(
    ({ kind, state }) =>
      (filter.kind === undefined || filter.kind === kind) &&
      (possible.has(`${kind} ${state}`) || (!mine && !secret.has(`${kind} ${state}`))),
  )
  if (wanted.length === 0) return undefined
  const sql = `with step as (select * from jsonb_to_recordset($2) as s(kind text, state text, role text, event text, anywhere boolean, barring text[])),
       open as (${wanted.map(({ sql }) => sql).join('\nunion all ')}),
       seen as (
         select o.*, e.actions from open o left join lateral (
           select array_agg(distinct s.event order by s.event) as actions from step s
           where s.kind = o.kind and s.state = o.state and (s.anywhere or $3 = any(o.agencies)) and (o.only is null or s.role = any(o.only))
             and not (cardinality(s.barring) > 0 and exists (
               select from history h where h.workflow = o.kind and h.object = o.id and h.actor = $4 and h.event = any(s.barring)))
         ) e on not coalesce($4 = any(o.barred), false)
         where (e.actions is not null or not $5) and ($6::text is null or $6 = any(o.parties) or $6 = any(o.agencies))
           and ($8::text is null or o.id = $8)),
       timed as (
         select o.*, coalesce(d.due, o.own_due) as due, d.waits, d.missed_at is not null as missed,
           coalesce(d.warned_at is not null, false) or coalesce(o.own_warned, false) as warned,
           date_trunc('milliseconds', coalesce((select h.at from history h where h.workflow = o.kind and h.object = o.id and h.from_state is distinct from h.to_state
             order by h.id desc limit 1), o.created)) as since
         from seen o left join deadline d on d.kind = o.deadline and d.object = o.object and d.ended_at is null),
       dated as (
         select t.*, case when t.missed or t.due < $7::date then 'missed' when t.due is null then 'none' when t.warned then 'warned' else 'running' end as urgency
         from timed t where $1::text[] is not null)`
  return {
    rules,
    sql,
    parameters: [
      (await calendarsWanted(query, rules, now)).map(String),
      JSON.stringify(own),
      asking.agency,
      asking.actor,
      mine,
      filter.agency ?? null,
      dayOf(now),
      filter.id ?? null,
    ],
  }
}

export interface CaseCount {
  kind: string
  urgency: Urgency
  count: number
}

/** How much there is of what `listTodo` lists, by kind and urgency. */
export async function countTodo(query: Query, asking: Asking, now: Date): Promise<CaseCount[]> {
  const own = steps.filter(({ role }) => asking.roles.includes(role))
  const open = await openCases(query, { asking, own, mine: true, filter: { limit: 0 }, now })
  if (!open) return []
  return query<CaseCount>(
    `${open.sql} select kind, urgency, count(*)::int as count from dated group by kind, urgency order by kind, urgency`,
    open.parameters,
  )
}

async function listCases(query: Query, listing: Listing): Promise<CasePage> {
  const { filter, now } = listing
  const place = placeOf(filter.after)
  const open = await openCases(query, listing)
  if (!open) return { items: [], next: null, total: totalOf(0) }
  const counted = `(select count(*)::int from (select from dated limit ${maxCounted + 1}) counted)`
  const rows = await query<Row & { counted: number }>(
    `${open.sql}
     select ${counted} as counted, o.kind, o.id, o.state, o.title, o.agency, o.only, o.actions, o.since, o.due::text, o.waits, o.deadline, o.urgency,
       (select name from agency where code = o.agency) as "agencyName",
       (select json_agg(json_build_object('code', a.code, 'name', a.name) order by a.code) from agency a where a.code = any(o.agencies)) as agencies
     from dated o
     where ($9::text is null or (coalesce(o.due, 'infinity'), o.since, o.kind, o.id) > ($9::date, $10::timestamptz, $11, $12))
     order by coalesce(o.due, 'infinity'), o.since, o.kind, o.id limit $13`,
    [...open.parameters, ...(place ?? [null, null, null, null]), filter.limit + 1],
  )
  const items = rows.slice(0, filter.limit)
  const last = items.at(-1)
  const next = rows.length > items.length && last ? tokenOf(last) : null
  // Behind the last line there is none to say how many there are.
  const behind = async () => (await query<{ n: number }>(`${open.sql} select ${counted} as n`, open.parameters))[0]!.n
  const total = totalOf(rows[0]?.counted ?? (place ? await behind() : 0))
  return { items: items.map((row) => caseOf(row, open.rules, now)), next, total }
}

function caseOf(row: Row, rules: Rules, now: Date): OpenCase {
  const { kind, id, state, title, agency, agencyName, since, due } = row
  const { name, reason } = described.get(`${kind} ${state}`)!
  const today = dayOf(now)
  // A duty's period is of calendar days (Art. 14).
  const left = (day: Day) => (row.deadline === null ? Math.max(0, daysBetween(today, day)) : daysLeft(rules, today, day))
  const missed = row.urgency === 'missed'
  const deadline = due === null ? null : { kind: row.deadline ?? kind, due, daysLeft: left(due), missed }
  return {
    kind,
    id,
    state,
    title,
    agency,
    agencyName,
    since,
    stateName: name,
    turn: turnOf(row),
    actions: (row.actions ?? []).filter((action) => action !== null),
    days: daysBetween(dayOf(since), today),
    deadline,
    urgency: row.urgency,
    reason:
      row.waits !== null ? waitsFor[row.waits] : due === null ? reason : row.deadline === null ? null : provisional(rules, today, due),
  }
}

function turnOf({ kind, state, agencies, only }: Row): OpenCase['turn'] {
  const found = steps.filter((step) => step.kind === kind && step.state === state && (only === null || only.includes(step.role)))
  const turn = new Map<string, OpenCase['turn'][number]>()
  for (const { role, anywhere } of found) {
    for (const one of anywhere ? [null] : (agencies ?? []))
      turn.set(`${role} ${one?.code}`, { role, agency: one?.code ?? null, agencyName: one?.name ?? null })
  }
  return [...turn.values()]
}

const waitsFor: Record<NonNullable<Deadline['waits']>, LocalizedText> = {
  calendar: {
    zh: '所及年份的工作日日历尚未公布，期限待定',
    en: 'the calendar of the year it reaches into is not there yet: its day is not known',
  },
  receiver: {
    zh: '期限自接收方前置机首次请求该路由起算',
    en: "its time begins when the receiver's machine asks for the route for the first time",
  },
  applicant: { zh: '已退回补正，期间不计期限', en: 'it lies with its applicant: no time counts meanwhile' },
}

/** A day of a deadline that was given, in a year whose holidays are not known yet. */
function provisional({ calendar }: Rules, today: Day, due: Day): LocalizedText | null {
  const unknown = Number(due.slice(0, 4))
  if (calendar.years.has(unknown) || due < today) return null
  return {
    zh: `${unknown} 年工作日日历尚未公布，剩余天数暂按周末推算`,
    en: `the calendar of ${unknown} is not there yet: the days left are reckoned by weekends alone`,
  }
}

const Place = Compile(
  Type.Tuple([
    Type.String({ pattern: '^(?:infinity|2\\d{3}-\\d\\d-\\d\\d)$' }),
    Type.String({ pattern: '^2\\d{3}-\\d\\d-\\d\\dT[\\d:.]{8,12}Z$' }),
    Type.String(),
    Type.String(),
  ]),
)

/** The place of the last line of a page, as text. */
function tokenOf({ due, since, kind, id }: Row): string {
  return Buffer.from(JSON.stringify([due ?? 'infinity', since.toISOString(), kind, id])).toString('base64url')
}

function placeOf(after: string | undefined): string[] | undefined {
  if (after === undefined) return undefined
  try {
    const place: unknown = JSON.parse(Buffer.from(after, 'base64url').toString())
    if (Place.Check(place)) return place
  } catch {
    // It is none of ours, like any other that is not.
  }
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: 'after 不是上一页给出的 next', en: 'after is not the next of a page' } })
}
