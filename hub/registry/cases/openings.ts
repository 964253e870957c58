import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { theHub, type Principal } from '../../access/principal.ts'
import { notify, reasonGiven, type Recipient } from '../../records/notices.ts'
import { conflict, notFound, rule } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import type { Query } from '../../store/store.ts'
import { findEntry } from '../catalog/catalog.ts'
import { foundedSql, whyNotOpenable } from '../catalog/open-entries.ts'
import { record } from '../../records/history.ts'
import { applyEvent, type TransitionContext, type Workflow } from '../workflow.ts'

/** Public items of a resource on their way to the public 开放发布 (Art. 5, 7.5): its provider proposes, the office releases. */
export interface Opening {
  id: string
  resource: string
  title: string
  provider: string
  providerName: string
  /** Those of them that are public at a moment are open. */
  items: string[]
  note: string | null
  state: State
  reason: string | null
  created: Date
  released: Date | null
}

type State = 'proposed' | 'released' | 'returned' | 'withdrawn' | 'ended'
type On<I = unknown> = TransitionContext<Opening, I>

export const openingFlow: Workflow<State, Opening> = {
  name: 'opening',
  table: 'opening',
  states: {
    proposed: { zh: '待市电子政务办发布', en: 'with the office' },
    released: { zh: '已开放', en: 'open to the public' },
    returned: { zh: '已退回', en: 'returned' },
    withdrawn: { zh: '已撤回', en: 'withdrawn' },
    ended: { zh: '已终止', en: 'ended' },
  },
  initial: 'proposed',
  events: {
    release: [
      {
        from: ['proposed'],
        notBy: ['propose'],
        to: 'released',
        preconditions: [openable],
        effects: [markReleased, supersedeEarlier, tell({ zh: '已向社会开放', en: 'is open to the public' })],
      },
    ],
    return: [{ from: ['proposed'], to: 'returned', effects: [keepReason, tell({ zh: '已退回', en: 'is returned' })] }],
    withdraw: [{ from: ['proposed', 'released'], to: 'withdrawn', effects: [keepReason, tell({ zh: '已撤回', en: 'is withdrawn' })] }],
    supersede: [{ from: ['released'], to: 'ended' }],
    lapse: [
      {
        from: ['released'],
        to: 'ended',
        preconditions: [unfounded],
        effects: [
          tell({
            zh: '已终止（资源、共享类型或公开的信息项已有变化）',
            en: 'has ended: resource, sharing or public items are not what they were',
          }),
        ],
      },
    ],
  },
  decisions: ['release'],
  load: loadOpening,
}

const openingSql = `select o.id, o.resource, r.title, r.agency as provider, a.name as "providerName", o.items, o.note, o.state, o.reason,
    o.created_at as created, o.released_at as released
  from opening o join resource r on r.code = o.resource join agency a on a.code = r.agency`

export async function loadOpening(query: Query, id: string): Promise<Opening> {
  const [opening] = await query<Opening>(`${openingSql} where o.id::text = $1`, [id])
  if (!opening) throw notFound('opening', id)
  return opening
}

export interface NewOpening {
  resource: string
  /** All public ones where it is left out. */
  items?: string[]
  note?: string
}

/**
 * Proposes public items of a resource of one's own. One that is open already stays so until the office has released this. Throws QZ-NOT-FOUND,
 * QZ-RULE, QZ-CONFLICT where another proposal waits.
 */
export async function proposeOpening(registry: Registry, principal: Principal, wanted: NewOpening): Promise<Opening> {
  const { resource, note = null } = wanted
  return change(registry, async (query) => {
    const entry = await findEntry(query, resource)
    if (!entry || entry.agency !== principal.agency) throw notFound('resource', resource.slice(0, 64))
    const open = entry.schema.items.filter(({ openness }) => openness === 'public').map(({ id }) => id)
    const items = wanted.items ?? open
    const refused = whyNotOpenable(entry) ?? notPublic(items, open)
    if (refused) throw new QianzhiError('QZ-RULE', { reason: refused })
    const [row] = await query<{ id: string }>(
      `insert into opening (resource, items, note, state, created_at) values ($1, $2, $3, $4, $5)
       on conflict (resource) where state = 'proposed' do nothing returning id`,
      [resource, items, note, openingFlow.initial, registry.clock()],
    )
    if (!row) throw conflict('opening', resource, { zh: '已有提议待发布', en: 'a proposal waits already' })
    const { id } = row
    await record(query, { workflow: 'opening', object: id, event: 'propose', from: null, to: 'proposed', principal, input: { ...wanted } })
    const opening = await loadOpening(query, id)
    await sendNotice(query, opening, { role: 'office' }, { zh: '待发布', en: 'waits for its release' })
    return opening
  })
}

export const openingList = {
  select: `${openingSql} where $1::text is null or r.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(openingFlow.states)),
    provider: filter.equal('provider'),
    resource: filter.equal('resource'),
    text: filter.holds('id', 'title', 'resource'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'bigint', title: 'text', provider: 'text', released: 'timestamptz', state: 'text', created: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listOpenings({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Opening>> {
  return listPage(store.query, openingList, [agencyScope], asked)
}

const unfoundedSql = `(o.state = 'released' and not exists (
  select from resource r join resource_version v on v.resource = r.code and v.version = r.version where r.code = o.resource and ${foundedSql}))`

/** Ends what has lost its ground, which nobody is served since that moment: for the minutely round of supervision. @returns how many. */
export async function lapseOpenings(registry: Registry): Promise<number> {
  for (let ended = 0; ; ended++) {
    const again = await change(registry, async (query, affectedAgents) => {
      const [due] = await query<{ id: string }>(
        `select o.id from opening o where ${unfoundedSql} order by o.id limit 1 for no key update of o skip locked`,
      )
      if (due) await applyEvent(openingFlow, 'lapse', due.id, { registry, query, affectedAgents, principal: theHub, input: {} })
      return due !== undefined
    })
    if (!again) return ended
  }
}

// What the events of the table check and do.

function notPublic(items: readonly string[], open: readonly string[]): LocalizedText | undefined {
  const more = items.find((item) => !open.includes(item))
  return more === undefined
    ? undefined
    : { zh: `信息项 ${more} 未列为对外公开（第五条）`, en: `item ${more} is not open to the public (Art. 5)` }
}

async function openable({ query, subject }: On): Promise<void> {
  const entry = await findEntry(query, subject.resource)
  const open = entry!.schema.items.filter(({ openness }) => openness === 'public').map(({ id }) => id)
  const refused = whyNotOpenable(entry!) ?? notPublic(subject.items, open)
  if (refused) throw new QianzhiError('QZ-RULE', { reason: refused })
}

async function unfounded({ query, subject }: On): Promise<void> {
  const found = await query(`select from opening o where o.id = $1 and ${unfoundedSql}`, [subject.id])
  if (found.length === 0) throw rule('所依据的仍然有效', 'what it stands on is in force')
}

async function markReleased({ query, subject, now }: On): Promise<void> {
  await query('update opening set released_at = $2 where id = $1', [subject.id, now])
}

/** The public goes on with the newest. */
async function supersedeEarlier({ registry, query, affectedAgents, subject }: On): Promise<void> {
  const earlier = await query<{ id: string }>(`select id from opening where resource = $1 and state = 'released' and id <> $2`, [
    subject.resource,
    subject.id,
  ])
  for (const { id } of earlier)
    await applyEvent(openingFlow, 'supersede', id, { registry, query, affectedAgents, principal: theHub, input: {} })
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update opening set reason = $2 where id = $1', [subject.id, input.reason])
}

function tell({ zh, en }: LocalizedText) {
  return async ({ query, subject, input }: On<{ reason?: string }>): Promise<void> => {
    const why = reasonGiven(input.reason)
    const to = [{ agency: subject.provider, role: 'reviewer' }, { role: 'office' }] as const
    await sendNotice(query, subject, to, { zh: `${zh}${why.zh}`, en: `${en}${why.en}` })
  }
}

async function sendNotice(
  query: Query,
  { id, title, providerName }: Opening,
  to: Recipient | readonly Recipient[],
  { zh, en }: LocalizedText,
): Promise<void> {
  await notify(query, {
    to,
    kind: 'opening',
    object: `opening ${id}`,
    zh: `${providerName}资源《${title}》的开放发布 ${id} ${zh}`,
    en: `Opening ${id} of ${title} of ${providerName} ${en}`,
  })
}
