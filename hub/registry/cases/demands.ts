import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { Principal } from '../../access/principal.ts'
import { dropDeadline, endDeadline, startDeadline } from '../../records/deadlines.ts'
import { notify, reasonGiven, type Recipient } from '../../records/notices.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Query } from '../../store/store.ts'
import { nameOfAgency, requireAgency } from '../agencies/agencies.ts'
import { dayEnd } from '../grants/application-rules.ts'
import { record } from '../../records/history.ts'
import { applyEvent, type TransitionContext, type Workflow } from '../workflow.ts'

/** A demand for data outside the catalog 目录外需求 (Art. 8, 16). */
export interface Demand {
  id: string
  agency: string
  title: string
  what: string
  why: string
  basis: string
  /** Who the demanding agency thinks has it. */
  supposed: string | null
  /** Whom the office assigned. */
  provider: string | null
  state: State
  agreedWhat: string | null
  agreedUntil: Date | null
  reason: string | null
  /** What was registered for it. */
  resource: string | null
  created: Date
  /** The negotiation, in order. */
  notes: { agency: string; name: string; at: string; text: string }[]
}

type State = 'submitted' | 'negotiating' | 'agreed' | 'refused' | 'fulfilled' | 'withdrawn'
type On<I = unknown> = TransitionContext<Demand, I>

const open = ['submitted', 'negotiating', 'agreed'] as const

export const demandFlow: Workflow<State, Demand> = {
  name: 'demand',
  table: 'demand',
  states: {
    submitted: { zh: '已提交', en: 'submitted' },
    negotiating: { zh: '协商中', en: 'being negotiated' },
    agreed: { zh: '已商定', en: 'agreed' },
    refused: { zh: '未能提供', en: 'refused' },
    fulfilled: { zh: '已满足', en: 'fulfilled' },
    withdrawn: { zh: '已撤回', en: 'withdrawn' },
  },
  initial: 'submitted',
  events: {
    assign: [
      {
        from: ['submitted', 'negotiating', 'refused'],
        to: 'negotiating',
        preconditions: [anotherAgency],
        effects: [keepProvider, notifyProvider, notifyDemander('已转提供单位协商', 'is being negotiated')],
      },
    ],
    note: [
      { from: ['submitted'], to: 'submitted', effects: [keepNote] },
      { from: ['negotiating'], to: 'negotiating', effects: [keepNote] },
      { from: ['agreed'], to: 'agreed', effects: [keepNote] },
    ],
    agree: [
      {
        from: ['negotiating'],
        notBy: ['create'],
        to: 'agreed',
        preconditions: [laterDay],
        effects: [keepAgreement, startCatalog, notifyDemander('已商定', 'is agreed'), notifyOffice, publishedAlready],
      },
    ],
    refuse: [
      { from: ['submitted', 'negotiating'], to: 'refused', effects: [keepReason, notifyDemander('未能提供', 'is refused'), notifyOffice] },
    ],
    fulfil: [
      {
        from: ['agreed'],
        to: 'fulfilled',
        preconditions: [published],
        effects: [keepResource, endCatalog, notifyDemander('已满足，可申请共享', 'is fulfilled: apply for it')],
      },
    ],
    withdraw: [{ from: open, to: 'withdrawn', effects: [dropCatalog, notifyOffice, notifyProvider] }],
  },
  // The history says that something was noted; the note stands with the demand.
  recorded: ({ text: _text, ...input }) => input,
  load: loadDemand,
}

const demandSql = `select d.id, d.agency, d.title, d.what, d.why, d.basis, d.supposed, d.provider, d.state, d.agreed_what as "agreedWhat",
    d.agreed_until as "agreedUntil", d.reason, d.resource, d.created_at as created,
    coalesce((select json_agg(json_build_object('agency', n.agency, 'name', n.name, 'at', n.at, 'text', n.text) order by n.id)
      from demand_note n where n.demand = d.id), '[]') as notes
  from demand d`

export async function loadDemand(query: Query, id: string): Promise<Demand> {
  const [demand] = await query<Demand>(`${demandSql} where d.id::text = $1`, [id])
  if (!demand) throw notFound('demand', id)
  return demand
}

export interface NewDemand {
  title: string
  what: string
  why: string
  basis: string
  supposed?: string
}

/** Demands data that no resource of the catalog has (Art. 8, 16). Throws QZ-NOT-FOUND for a supposed provider that does not exist. */
export async function submitDemand(registry: Registry, principal: Principal, wanted: NewDemand): Promise<Demand> {
  const { title, what, why, basis, supposed = null } = wanted
  return change(registry, async (query) => {
    if (supposed !== null) await requireAgency(query, supposed)
    const [row] = await query<{ id: string }>(
      `insert into demand (agency, title, what, why, basis, supposed, state, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
      [principal.agency, title, what, why, basis, supposed, demandFlow.initial, registry.clock()],
    )
    const { id } = row!
    await record(query, { workflow: 'demand', object: id, event: 'create', from: null, to: 'submitted', principal, input: { ...wanted } })
    const agencyName = await nameOfAgency(query, principal.agency)
    await notify(query, {
      to: { role: 'office' },
      kind: 'demand',
      object: `demand ${id}`,
      zh: `${agencyName}提出目录外需求“${title}”（${id}）`,
      en: `${agencyName} demands data outside the catalog: ${title} (demand ${id})`,
    })
    return loadDemand(query, id)
  })
}

export const demandList = {
  select: `${demandSql} where $1::text is null or d.agency = $1 or d.provider = $1`,
  filters: {
    state: filter.among('state', Object.keys(demandFlow.states)),
    agency: filter.equal('agency'),
    provider: filter.equal('provider'),
    resource: filter.equal('resource'),
    text: filter.holds('id', 'title', 'what', 'why'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'bigint', title: 'text', agency: 'text', provider: 'text', state: 'text', created: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listDemands({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Demand>> {
  return listPage(store.query, demandList, [agencyScope], asked)
}

/** A registration that named the demand was published: it is fulfilled in the same transaction, where it was agreed on. */
export async function demandPublished(
  registry: Registry,
  query: Query,
  affectedAgents: Set<string>,
  { principal, demand, resource }: { principal: Principal; demand: string; resource: string },
): Promise<void> {
  const { state } = await loadDemand(query, demand)
  if (state !== 'agreed') return
  await applyEvent(demandFlow, 'fulfil', demand, { registry, query, affectedAgents, principal, input: { resource } })
}

// What the events of the table check and do.

/** What was registered for it before it was agreed on fulfils it at once. */
async function publishedAlready({ registry, query, affectedAgents, principal, subject: { id } }: On): Promise<void> {
  const [done] = await query<{ resource: string }>(
    `select r.resource from registration r join resource x on x.code = r.resource
     where r.demand::text = $1 and r.state = 'published' and x.state = 'active' order by r.id desc limit 1`,
    [id],
  )
  if (done) await demandPublished(registry, query, affectedAgents, { principal, demand: id, resource: done.resource })
}

async function anotherAgency({ query, subject, input }: On<{ provider: string }>): Promise<void> {
  await requireAgency(query, input.provider)
  if (input.provider === subject.agency) throw rule('提供单位不能是需求单位自己', 'the demanding agency cannot be the provider')
}

async function keepProvider({ query, subject, input }: On<{ provider: string }>): Promise<void> {
  await query('update demand set provider = $2, reason = null where id = $1', [subject.id, input.provider])
}

async function keepNote({ query, subject, principal, input, now }: On<{ text: string }>): Promise<void> {
  await query('insert into demand_note (demand, agency, name, at, text) values ($1, $2, $3, $4, $5)', [
    subject.id,
    principal.agency,
    principal.name,
    now,
    input.text,
  ])
}

function laterDay({ input, now }: On<{ until: string }>): void {
  if (dayEnd(input.until) <= now) throw rule('商定的日期已过', 'the agreed day is over')
}

async function keepAgreement({ query, subject, input }: On<{ what: string; until: string }>): Promise<void> {
  await query('update demand set agreed_what = $2, agreed_until = $3 where id = $1', [subject.id, input.what, dayEnd(input.until)])
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update demand set reason = $2 where id = $1', [subject.id, input.reason])
}

/** What was agreed goes into the catalog in time (Art. 16). */
async function startCatalog({ query, subject, now }: On): Promise<void> {
  const object = `demand ${subject.id}`
  await startDeadline(query, { kind: 'catalog-update', object, agency: subject.provider!, role: 'registrar', from: now })
}

async function endCatalog({ query, subject, now }: On): Promise<void> {
  await endDeadline(query, 'catalog-update', `demand ${subject.id}`, now)
}

async function dropCatalog({ query, subject, now }: On): Promise<void> {
  await dropDeadline(query, 'catalog-update', `demand ${subject.id}`, now)
}

async function published({ query, subject, input }: On<{ resource: string }>): Promise<void> {
  const [found] = await query<{ agency: string; state: string }>('select agency, state from resource where code = $1', [input.resource])
  if (!found) throw notFound('resource', input.resource)
  if (found.agency === subject.provider && found.state === 'active') return
  throw rule(`${input.resource} 不是 ${subject.provider} 已发布的资源`, `${input.resource} is no published resource of ${subject.provider}`)
}

async function keepResource({ query, subject, input }: On<{ resource: string }>): Promise<void> {
  await query('update demand set resource = $2 where id = $1', [subject.id, input.resource])
}

async function notifyProvider({ query, subject: { id, agency, provider, title }, input }: On<{ provider?: string }>): Promise<void> {
  const whom = input.provider ?? provider
  if (whom === null) return
  const to = (['reviewer', 'registrar'] as const).map((role) => ({ agency: whom, role }))
  const [zh, en] = input.provider === undefined ? ['已撤回', 'is withdrawn'] : ['待协商', 'waits for your answer']
  const agencyName = await nameOfAgency(query, agency)
  await sendNotice(query, id, to, `${agencyName}的目录外需求“${title}”（${id}）${zh}`, `Demand ${id} of ${agencyName} (${title}) ${en}`)
}

function notifyDemander(zh: string, en: string) {
  return async ({ query, subject: { id, agency, title }, input }: On<{ reason?: string }>): Promise<void> => {
    const why = reasonGiven(input.reason)
    await sendNotice(
      query,
      id,
      { agency, role: 'user' },
      `目录外需求“${title}”（${id}）${zh}${why.zh}`,
      `Demand ${id} (${title}) ${en}${why.en}`,
    )
  }
}

async function notifyOffice({ query, subject: { id, title } }: On): Promise<void> {
  await sendNotice(query, id, { role: 'office' }, `目录外需求“${title}”（${id}）有新进展`, `Demand ${id} (${title}) has moved on`)
}

async function sendNotice(query: Query, id: string, to: Recipient | Recipient[], zh: string, en: string): Promise<void> {
  await notify(query, { to, kind: 'demand', object: `demand ${id}`, zh, en })
}
