import { QianzhiError } from '../../../protocol/errors.ts'
import { counted } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { endDeadline } from '../../records/deadlines.ts'
import { notify, reasonGiven } from '../../records/notices.ts'
import { findEntry } from '../catalog/catalog.ts'
import { checkContent } from '../catalog/check.ts'
import { givenContent, type CatalogContent, type DraftContent } from '../catalog/content.ts'
import { lockNames } from '../catalog/name-forms.ts'
import { demandPublished } from '../cases/demands.ts'
import { lockResource, putEntry } from './publishing.ts'
import type { TransitionContext, Workflow } from '../workflow.ts'
import { conflict, notFound, ofAgency, rule } from '../../records/refusals.ts'
import { refused } from '../catalog/fault.ts'

/** A registration 登记 (Art. 10-12): a catalog entry, or a change of one, from the registrar's draft to its publication by the reviewer. */
export interface Registration {
  id: string
  agency: string
  /** Code of the resource, also while it does not exist yet. */
  resource: string
  /** The catalog version that it changes; null where the resource is new. */
  base: number | null
  state: State
  content: DraftContent
  standard: string | null
  demand: string | null
  draftedBy: string
  draftedAt: Date
  submittedBy: string | null
  submittedAt: Date | null
  secrecyReview: SecrecyReview | null
  /** Why it was returned. */
  reason: string | null
  created: Date
}

/** Art. 27: nothing is supplied that was not reviewed for state secrets. */
export interface SecrecyReview {
  reviewed: true
  /** Who reviewed it, as the agency calls them. */
  by: string
  note?: string
}

type State = 'draft' | 'submitted' | 'returned' | 'published' | 'discarded'
type On<I = unknown> = TransitionContext<Registration, I>

const columns = `id, agency, resource, base, state, content, standard, demand, drafted_by as "draftedBy", drafted_at as "draftedAt",
  submitted_by as "submittedBy", submitted_at as "submittedAt", secrecy_review as "secrecyReview", reason, created_at as created`
export const registrationSql = `select ${columns} from registration`

export const registrationFlow: Workflow<State, Registration> = {
  name: 'registration',
  table: 'registration',
  states: {
    draft: { zh: '草稿', en: 'draft' },
    submitted: { zh: '待审核', en: 'waits for review' },
    returned: { zh: '已退回', en: 'returned' },
    published: { zh: '已发布', en: 'published' },
    discarded: { zh: '已作废', en: 'discarded' },
  },
  initial: 'draft',
  events: {
    change: [
      { from: ['draft'], to: 'draft', preconditions: [losesNothing], effects: [keepContent] },
      { from: ['returned'], to: 'returned', preconditions: [losesNothing], effects: [keepContent] },
    ],
    submit: [{ from: ['draft', 'returned'], to: 'submitted', preconditions: [upToDate, faultless], effects: [keepReview, notifyReviewer] }],
    recall: [{ from: ['submitted'], to: 'draft', effects: [dropReview] }],
    return: [
      {
        from: ['submitted'],
        to: 'returned',
        preconditions: [otherPerson],
        effects: [keepReason, notifyRegistrar('已退回', 'was returned')],
      },
    ],
    publish: [
      {
        from: ['submitted'],
        to: 'published',
        preconditions: [otherPerson, upToDate, namesLocked, faultless, namesItems],
        effects: [publish, metDeadline, fulfilDemand, notifyRegistrar('已发布', 'is published')],
      },
    ],
    discard: [{ from: ['draft', 'returned'], to: 'discarded' }],
  },
  decisions: ['return', 'publish'],
  // The content is on record with the version.
  recorded: (input) => Object.fromEntries(Object.entries(input).filter(([name]) => name !== 'content')),
  lockFirst,
  load: loadRegistration,
}

/** Publications of the resource, and its withdrawal, wait from here to the end of the transaction. */
async function lockFirst(query: Query, id: string): Promise<void> {
  const [found] = await query<Pick<Registration, 'resource' | 'standard'>>(
    'select resource, standard from registration where id::text = $1',
    [id],
  )
  if (found) await lockResource(query, found.resource, found.standard)
}

export async function loadRegistration(query: Query, id: string): Promise<Registration> {
  const [registration] = await query<Registration>(`${registrationSql} where id::text = $1`, [id])
  if (!registration) throw notFound('registration', id)
  return registration
}

interface ChangeInput {
  content: DraftContent
  /** The content is all there is from now on; else what it leaves out stays. */
  replace?: boolean
}

/** Items go only where that is said: a list of some is easily sent for a list of those that change. */
function losesNothing({ subject, input: { content, replace = false } }: On<ChangeInput>): void {
  if (replace || content.items === undefined) return
  const left = new Set(content.items.map(({ id }) => id))
  const lost = (subject.content.items ?? []).flatMap(({ id, label }) => (id === undefined || left.has(id) ? [] : [label ?? id]))
  if (lost.length === 0) return
  throw rule(
    `将删除 ${lost.length} 个信息项（${lost.slice(0, 20).join('、')}）；确要删除的，请加 "replace": true，并给出全部内容`,
    `${counted(lost.length, 'item')} would be gone (${lost.slice(0, 20).join(', ')}): if that is meant, give the whole content with "replace": true`,
  )
}

async function keepContent({ query, subject, input, principal, now }: On<ChangeInput>): Promise<void> {
  const content = givenContent(input.replace ? input.content : { ...subject.content, ...input.content })
  await query('update registration set content = $2, drafted_by = $3, drafted_at = $4 where id = $1', [
    subject.id,
    JSON.stringify(content),
    principal.actor,
    now,
  ])
}

function otherPerson({ subject, principal }: On): void {
  if ([subject.submittedBy, subject.draftedBy].includes(principal.actor)) throw new QianzhiError('QZ-SAME-PERSON')
}

async function upToDate({ query, subject: { resource, agency, base } }: On): Promise<void> {
  const entry = await findEntry(query, resource)
  if (entry && entry.agency !== agency) throw conflict('resource', resource, ofAgency(entry))
  if (entry?.state === 'withdrawn') throw conflict('resource', resource, { zh: '已撤销', en: 'withdrawn' })
  const version = entry?.catalogVersion ?? 0
  if (version === (base ?? 0)) return
  throw conflict('resource', resource, {
    zh: `现行第 ${version} 版，登记所据为第 ${base ?? 0} 版`,
    en: `version ${version} is in force, version ${base ?? 0} was changed`,
  })
}

/** Of two that would give one name, or become one source, at the same moment, the second sees the first. */
async function namesLocked({ query }: On): Promise<void> {
  await lockNames(query)
}

async function faultless({ query, subject }: On): Promise<void> {
  const { faults } = await checkContent(query, subject)
  if (faults.length > 0) throw refused(faults)
}

function namesItems({ subject, input }: On<{ sameMeaning?: string[] }>): void {
  const unknown = input.sameMeaning?.find((id) => !subject.content.items?.some((item) => item.id === id))
  if (unknown !== undefined) throw rule(`没有信息项 ${unknown}`, `item ${unknown} does not exist`)
}

async function keepReview({ query, subject, input, principal, now }: On<{ secrecy: SecrecyReview }>): Promise<void> {
  await query('update registration set submitted_by = $2, submitted_at = $3, secrecy_review = $4, reason = null where id = $1', [
    subject.id,
    principal.actor,
    now,
    JSON.stringify(input.secrecy),
  ])
}

async function dropReview({ query, subject }: On): Promise<void> {
  await query('update registration set submitted_by = null, submitted_at = null, secrecy_review = null where id = $1', [subject.id])
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update registration set reason = $2 where id = $1', [subject.id, input.reason])
}

async function publish(context: On<{ sameMeaning?: string[] }>): Promise<void> {
  const { registry, query, subject, principal, affectedAgents, now } = context
  const { sameMeaning = [] } = context.input
  const { id, resource, agency, standard, submittedBy, submittedAt, secrecyReview } = subject
  const submitted = { registration: id, by: submittedBy!, at: submittedAt!, secrecyReview }
  const content = subject.content as CatalogContent
  const before = await findEntry(query, resource)
  const publishing = { registry, code: resource, agency, content, standard, sameMeaning, principal, submitted, now }
  await putEntry(query, affectedAgents, publishing, before)
}

async function fulfilDemand({ registry, query, affectedAgents, principal, subject: { demand, resource } }: On): Promise<void> {
  if (demand !== null) await demandPublished(registry, query, affectedAgents, { principal, demand, resource })
}

/** The catalog has followed what was found or agreed (Art. 14, 16). */
async function metDeadline({ query, subject, now }: On): Promise<void> {
  await endDeadline(query, 'catalog-update', `resource ${subject.resource}`, now)
}

async function notifyReviewer({ query, subject }: On): Promise<void> {
  const { id, agency } = subject
  await notify(query, {
    to: { agency, role: 'reviewer' },
    kind: 'registration',
    object: `registration ${id}`,
    zh: `目录登记 ${id}《${titleOf(subject)}》待审核`,
    en: `Registration ${id} (${titleOf(subject)}) waits for your review`,
  })
}

function notifyRegistrar(zh: string, en: string) {
  return async ({ query, subject, input }: On<{ reason?: string }>): Promise<void> => {
    const { id, agency } = subject
    const why = reasonGiven(input.reason)
    await notify(query, {
      to: { agency, role: 'registrar' },
      kind: 'registration',
      object: `registration ${id}`,
      zh: `目录登记 ${id}《${titleOf(subject)}》${zh}${why.zh}`,
      en: `Registration ${id} (${titleOf(subject)}) ${en}${why.en}`,
    })
  }
}

function titleOf({ content, resource }: Registration): string {
  return content.title ?? resource
}
