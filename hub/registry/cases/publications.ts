import { titleOf } from '../../records/object-titles.ts'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { nameOfAgency } from '../agencies/agencies.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { theHub, type Principal } from '../../access/principal.ts'
import { notify, reasonGiven, type Recipient } from '../../records/notices.ts'
import { notFound, rule } from '../../records/refusals.ts'
import { change, type Registry } from '../../records/registry.ts'
import { sharedSql } from '../../records/supply.ts'
import type { Query } from '../../store/store.ts'
import { dayEnd } from '../grants/application-rules.ts'
import { requireGrant } from '../grants/grants.ts'
import { record } from '../../records/history.ts'
import { applyEvent, type TransitionContext, type Workflow } from '../workflow.ts'

/** A request to publish another agency's data 公开授权 (Art. 5, 17). */
export interface PublicationRequest {
  id: string
  agency: string
  grant: string
  resource: string
  provider: string
  items: string[]
  /** Where it is to be published. */
  place: string
  purpose: string
  /** How the source is named. */
  source: string
  state: State
  conditions: string | null
  until: Date | null
  reason: string | null
  created: Date
}

type State = 'asked' | 'consented' | 'refused' | 'withdrawn' | 'ended'
type On<I = unknown> = TransitionContext<PublicationRequest, I>

export const publicationFlow: Workflow<State, PublicationRequest> = {
  name: 'publication',
  table: 'publication_request',
  states: {
    asked: { zh: '待提供单位答复', en: 'with the provider' },
    consented: { zh: '已同意公开', en: 'consented' },
    refused: { zh: '不同意公开', en: 'refused' },
    withdrawn: { zh: '已撤回', en: 'withdrawn' },
    ended: { zh: '已终止', en: 'ended' },
  },
  initial: 'asked',
  events: {
    consent: [
      {
        from: ['asked'],
        notBy: ['create'],
        to: 'consented',
        preconditions: [stillGranted, laterDay],
        effects: [keepConsent, notifyReceiver('已获同意', 'is consented to')],
      },
    ],
    refuse: [{ from: ['asked'], notBy: ['create'], to: 'refused', effects: [keepReason, notifyReceiver('未获同意', 'is refused')] }],
    withdraw: [{ from: ['asked', 'consented'], to: 'withdrawn', effects: [notifyProvider('已撤回', 'is withdrawn')] }],
    end: [
      { from: ['consented'], to: 'ended', effects: [keepReason, notifyReceiver('的同意已终止，须停止公开', 'is ended: stop publishing')] },
    ],
    lapse: [
      {
        from: ['consented'],
        to: 'ended',
        preconditions: [unfounded],
        effects: [
          notifyReceiver(
            '的同意已失效（授权、资源或信息项不再有效），须停止公开',
            'has lost its ground (grant, resource or items): stop publishing',
          ),
          notifyProvider('已失效', 'has lost its ground'),
        ],
      },
    ],
    expire: [
      {
        from: ['consented'],
        to: 'ended',
        preconditions: [isOver],
        effects: [notifyReceiver('的同意已到期，须停止公开', 'is over: stop publishing'), notifyProvider('已到期', 'is over')],
      },
    ],
  },
  load: loadPublication,
}

const publicationSql = `select p.id, p.agency, p.access_grant as grant, p.resource, r.agency as provider, p.items, p.place, p.purpose,
    p.source, p.state, p.conditions, p.until, p.reason, p.created_at as created
  from publication_request p join resource r on r.code = p.resource`

export async function loadPublication(query: Query, id: string): Promise<PublicationRequest> {
  const [request] = await query<PublicationRequest>(`${publicationSql} where p.id::text = $1`, [id])
  if (!request) throw notFound('publication', id)
  return request
}

export interface NewPublication {
  grant: string
  items: string[]
  place: string
  purpose: string
  source: string
}

/** Asks the provider for consent to publish items that one receives (Art. 5, 17). Throws QZ-NOT-FOUND, QZ-RULE. */
export async function askToPublish(registry: Registry, principal: Principal, wanted: NewPublication): Promise<PublicationRequest> {
  const { grant, items, place, purpose, source } = wanted
  const { agency } = principal
  if (agency === null) throw new QianzhiError('QZ-FORBIDDEN', { operation: 'publication.create' })
  return change(registry, async (query) => {
    const { resource } = await checkGranted(query, { grant, items, agency }, registry.clock())
    const [row] = await query<{ id: string }>(
      `insert into publication_request (agency, access_grant, resource, items, place, purpose, source, state, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id`,
      [agency, grant, resource, items, place, purpose, source, publicationFlow.initial, registry.clock()],
    )
    const { id } = row!
    await record(query, { workflow: 'publication', object: id, event: 'create', from: null, to: 'asked', principal, input: { ...wanted } })
    const request = await loadPublication(query, id)
    const [agencyName, title] = [await nameOfAgency(query, agency), await titleOf(query, `resource ${resource}`)]
    await notify(query, {
      to: { agency: request.provider, role: 'reviewer' },
      kind: 'publication',
      object: `publication ${id}`,
      zh: `${agencyName}请求对外公开资源《${title}》的数据（请求 ${id}），请答复`,
      en: `${agencyName} asks to publish data of ${title} (request ${id}): consent or refuse`,
    })
    return request
  })
}

export const publicationList = {
  select: `${publicationSql} where $1::text is null or p.agency = $1 or r.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(publicationFlow.states)),
    agency: filter.equal('agency'),
    provider: filter.equal('provider'),
    resource: filter.equal('resource'),
    text: filter.holds('id', 'resource', 'place', 'purpose'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'bigint', agency: 'text', provider: 'text', resource: 'text', state: 'text', created: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listPublications({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<PublicationRequest>> {
  return listPage(store.query, publicationList, [agencyScope], asked)
}

/**
 * SQL: a consent `p` whose grant has ended, whose resource was stopped, withdrawn or is not shared any more, or one of whose items is not
 * granted any more or was closed (Art. 5, 17, 26).
 */
const unfoundedSql = `(p.state = 'consented' and exists (
  select from access_grant g join resource r on r.code = g.resource join resource_version v on v.resource = r.code and v.version = r.version
  where g.id = p.access_grant and (g.state in ('revoked', 'expired', 'given-up') or not ${sharedSql} or not p.items <@ g.items
    or exists (select from jsonb_array_elements(v.schema -> 'items') item where item ->> 'id' = any(p.items) and item ->> 'openness' = 'closed')
    or exists (select from unnest(p.items) wanted where not v.schema -> 'items' @> jsonb_build_array(jsonb_build_object('id', wanted))))))`

/** Ends the consents that have lost their ground: for the minutely round of supervision. @returns how many. */
export async function lapsePublications(registry: Registry): Promise<number> {
  for (let ended = 0; ; ended++) {
    const again = await change(registry, async (query, affectedAgents) => {
      const [due] = await query<{ id: string }>(
        `select p.id from publication_request p where ${unfoundedSql} order by p.id limit 1 for no key update of p skip locked`,
      )
      if (due) await applyEvent(publicationFlow, 'lapse', due.id, { registry, query, affectedAgents, principal: theHub, input: {} })
      return due !== undefined
    })
    if (!again) return ended
  }
}

/** Ends the consents whose period is over: for the minutely round of supervision. @returns how many. */
export async function expirePublications(registry: Registry): Promise<number> {
  for (let ended = 0; ; ended++) {
    const again = await change(registry, async (query, affectedAgents) => {
      const [due] = await query<{ id: string }>(
        `select id from publication_request where state = 'consented' and until <= $1 order by until, id limit 1 for no key update skip locked`,
        [registry.clock()],
      )
      if (due) await applyEvent(publicationFlow, 'expire', due.id, { registry, query, affectedAgents, principal: theHub, input: {} })
      return due !== undefined
    })
    if (!again) return ended
  }
}

// What the events of the table check and do.

/** Only what one is granted can be published (Art. 17). Throws QZ-RULE. */
async function checkGranted(
  query: Query,
  { grant: id, agency, items }: Pick<PublicationRequest, 'grant' | 'agency' | 'items'>,
  now: Date,
): Promise<{ resource: string }> {
  const grant = await requireGrant(query, id)
  // Whether others have one is not told.
  if (grant.agency !== agency) throw notFound('grant', id)
  if (grant.state !== 'active' || (grant.validTo && grant.validTo <= now)) throw rule(`授权 ${id} 未生效`, `grant ${id} is not in force`)
  const more = items.find((item) => !grant.items.includes(item))
  if (more !== undefined) throw rule(`信息项 ${more} 不在授权之内（第十七条）`, `item ${more} is not granted (Art. 17)`)
  return { resource: grant.resource }
}

async function stillGranted({ query, subject, now }: On): Promise<void> {
  await checkGranted(query, subject, now)
}

function laterDay({ input, now }: On<{ until?: string }>): void {
  if (input.until !== undefined && dayEnd(input.until) <= now) throw rule('期限已过', 'the period is over')
}

function isOver({ subject, now }: On): void {
  if (subject.until === null || subject.until > now) throw rule('期限未满', 'the period is not over')
}

async function unfounded({ query, subject }: On): Promise<void> {
  const found = await query(`select from publication_request p where p.id = $1 and ${unfoundedSql}`, [subject.id])
  if (found.length === 0) throw rule('所依据的仍然有效', 'what it stands on is in force')
}

async function keepConsent({ query, subject, input }: On<{ conditions?: string; until?: string }>): Promise<void> {
  const until = input.until === undefined ? null : dayEnd(input.until)
  await query('update publication_request set conditions = $2, until = $3 where id = $1', [subject.id, input.conditions ?? null, until])
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update publication_request set reason = $2 where id = $1', [subject.id, input.reason])
}

function notifyReceiver(zh: string, en: string) {
  return async ({ query, subject, input }: On<{ reason?: string }>): Promise<void> => {
    const why = reasonGiven(input.reason)
    await sendNotice(query, subject, { agency: subject.agency, role: 'user' }, `${zh}${why.zh}`, `${en}${why.en}`)
  }
}

function notifyProvider(zh: string, en: string) {
  return ({ query, subject }: On): Promise<void> => sendNotice(query, subject, { agency: subject.provider, role: 'reviewer' }, zh, en)
}

async function sendNotice(
  query: Query,
  { id, agency, resource }: PublicationRequest,
  to: Recipient,
  zh: string,
  en: string,
): Promise<void> {
  const [agencyName, title] = [await nameOfAgency(query, agency), await titleOf(query, `resource ${resource}`)]
  await notify(query, {
    to,
    kind: 'publication',
    object: `publication ${id}`,
    zh: `${agencyName}公开资源《${title}》数据的请求 ${id} ${zh}`,
    en: `Request ${id} of ${agencyName} to publish data of ${title} ${en}`,
  })
}
