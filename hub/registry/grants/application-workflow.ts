import type { Masks } from '../../../protocol/masks.ts'
import { checkMasks } from '../../records/masks.ts'
import { notApproved } from './approval-news.ts'
import { dropDeadline, endDeadline, extendDeadline, goOnWithDeadline, pauseDeadline, startDeadline } from '../../records/deadlines.ts'
import { notify, reasonGiven, type Recipient } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { loadApplication, type Application, type ApplicationState } from './applications.ts'
import {
  checkWanted,
  coveredBy,
  dayEnd,
  meantMachine,
  needsConsent,
  requireItems,
  requireMachine,
  whyNotShared,
  type Covered,
  type Wanted,
} from './application-rules.ts'
import { askConsent, grantCovered, lockStandard } from './approve-application.ts'
import { shareResource } from './grants.ts'
import { agencyWith } from '../agencies/offices.ts'
import type { Transition, TransitionContext, Workflow } from '../workflow.ts'
import { rule } from '../../records/refusals.ts'

type On<I = unknown> = TransitionContext<Application, I>

/** What an applicant writes; `until` is the last day. */
export interface ApplicationContent {
  mode: Wanted['mode']
  items: string[]
  purpose: string
  basis: string
  agent?: string
  until?: string
  atEnd?: Application['atEnd']
}

const open = ['consulting', 'reviewing'] as const
const asking = ['create', 'submit']
const answering = [...asking, 'consent', 'object']
const written = ['draft', 'returned'] as const
const submitting = { from: written, preconditions: [complete] } satisfies Partial<Transition<ApplicationState, Application>>
const submitted = [noteSubmitted, startReply, goOn, askProviders, notifyOffice('已提交', 'submitted')]

export const applicationFlow: Workflow<ApplicationState, Application> = {
  name: 'application',
  table: 'application',
  states: {
    draft: { zh: '草稿', en: 'draft' },
    returned: { zh: '待补正', en: 'returned for completion' },
    consulting: { zh: '待提供单位答复', en: 'with the providers' },
    reviewing: { zh: '待审核', en: 'with the office' },
    approved: { zh: '已批准', en: 'approved' },
    rejected: { zh: '已驳回', en: 'rejected' },
    withdrawn: { zh: '已撤回', en: 'withdrawn' },
  },
  initial: 'draft',
  events: {
    change: [
      { from: ['draft'], to: 'draft', effects: [keepContent] },
      { from: ['returned'], to: 'returned', effects: [keepContent] },
    ],
    submit: [
      {
        ...submitting,
        to: 'approved',
        guard: grantedAtOnce,
        effects: [noteSubmitted, decide, grant, endReply, notifyApproved],
      },
      { ...submitting, to: 'consulting', guard: isConditional, effects: submitted },
      { ...submitting, to: 'reviewing', effects: submitted },
    ],
    consent: [
      {
        from: ['consulting'],
        notBy: asking,
        to: 'reviewing',
        guard: lastAnswer,
        preconditions: [asked],
        effects: [answer('consented'), notifyOffice('待审核', 'waits for the office')],
      },
      { from: ['consulting'], notBy: asking, to: 'consulting', preconditions: [asked], effects: [answer('consented')] },
      { from: ['reviewing'], notBy: asking, to: 'reviewing', preconditions: [asked], effects: [answer('consented')] },
      { from: ['approved'], notBy: asking, to: 'approved', preconditions: [asked, notGranted], effects: [answer('consented'), grant] },
    ],
    object: [
      {
        from: ['consulting'],
        notBy: asking,
        to: 'reviewing',
        guard: lastAnswer,
        preconditions: [asked],
        effects: [answer('objected'), notifyOffice('待审核', 'waits for the office')],
      },
      { from: ['consulting'], notBy: asking, to: 'consulting', preconditions: [asked], effects: [answer('objected')] },
      { from: ['reviewing'], notBy: asking, to: 'reviewing', preconditions: [asked], effects: [answer('objected')] },
      { from: ['approved'], notBy: asking, to: 'approved', preconditions: [asked, notGranted], effects: [answer('objected')] },
    ],
    approve: [
      {
        from: ['reviewing'],
        notBy: answering,
        to: 'approved',
        preconditions: [complete, notMore, consented],
        effects: [decide, grant, endReply, notifyApproved],
      },
      // Of a standard one provider does not hold up the others: what it consents to later is granted then.
      {
        from: ['consulting'],
        notBy: answering,
        to: 'approved',
        guard: ({ subject }) => subject.standard !== null,
        preconditions: [complete, notMore, consented],
        effects: [decide, grant, endReply, notifyApproved],
      },
    ],
    reject: [{ from: open, notBy: answering, to: 'rejected', effects: [refuse, endReply, notifyApplicant('已驳回', 'rejected')] }],
    // What providers have said was said of what it asked for then: they are asked again.
    return: [
      {
        from: open,
        notBy: answering,
        to: 'returned',
        effects: [keepReason, pauseReply, forgetConsents, notifyApplicant('退回补正', 'returned for completion')],
      },
    ],
    extend: [
      { from: ['consulting'], to: 'consulting', effects: [extend, notifyApplicant('办理期限已延长', 'given more time')] },
      { from: ['reviewing'], to: 'reviewing', effects: [extend, notifyApplicant('办理期限已延长', 'given more time')] },
    ],
    // What is shared under other conditions by now than when it was asked for.
    ask: [{ from: open, to: 'consulting', effects: [askProviders] }],
    proceed: [
      { from: ['consulting'], to: 'reviewing', guard: nobodyAsked, effects: [dropAsks, notifyOffice('待审核', 'waits for the office')] },
      { from: ['consulting'], to: 'consulting', effects: [dropAsks] },
      { from: ['reviewing'], to: 'reviewing', effects: [dropAsks] },
    ],
    withdraw: [
      { from: ['draft'], to: 'withdrawn' },
      { from: [...open, 'returned'], to: 'withdrawn', effects: [dropReply, notifyOffice('已撤回', 'withdrawn')] },
    ],
  },
  decisions: ['consent', 'object', 'approve', 'reject', 'return'],
  lockFirst,
  load: loadApplication,
}

/** A publication, a stop or a withdrawal of what is asked for waits, or is seen. */
async function lockFirst(query: Query, id: string): Promise<void> {
  const [found] = await query<Pick<Application, 'resource' | 'standard'>>(
    'select resource, standard from application where id::text = $1',
    [id],
  )
  if (found?.standard != null) await lockStandard(query, found.standard)
  else if (found) await shareResource(query, found.resource!)
}

async function keepContent({ query, subject, input }: On<ApplicationContent>): Promise<void> {
  const { mode, items, purpose, basis, until, atEnd = 'keep' } = input
  await requireMachine(query, input.agent)
  await requireItems(query, { ...subject, items })
  await query(`update application set mode = $2, items = $3, purpose = $4, basis = $5, agent = $6, until = $7, at_end = $8 where id = $1`, [
    subject.id,
    mode,
    items,
    purpose,
    basis,
    await meantMachine(query, subject.agency, mode, input.agent),
    until === undefined ? null : dayEnd(until),
    atEnd,
  ])
}

async function complete({ query, subject, now }: On): Promise<void> {
  await checkWanted(query, subject, now)
}

/** Those that can be had at all; conditional ones ask their providers. */
async function shared({ query, subject }: On): Promise<Covered[]> {
  return (await coveredBy(query, subject)).filter((resource) => !whyNotShared(resource, subject.mode))
}

async function conditional(context: On): Promise<Covered[]> {
  return (await shared(context)).filter(({ sharing }) => sharing === 'conditional')
}

async function isConditional(context: On): Promise<boolean> {
  return (await conditional(context)).length > 0
}

/** Only exchange needs the whole way (Art. 16), and what is conditional. */
async function grantedAtOnce(context: On): Promise<boolean> {
  const { registry, subject } = context
  if (registry.applications?.grantAtOnce !== true || subject.mode === 'exchange' || (await isConditional(context))) return false
  return !(await wasRevoked(context))
}

/** Access that was taken away is given again by the office alone (Art. 21). */
async function wasRevoked(context: On): Promise<boolean> {
  const { query, subject } = context
  const codes = (await coveredBy(query, subject)).map(({ code }) => code)
  const last = await query<{ state: string }>(
    `select distinct on (resource) state from access_grant where resource = any($1) and agency = $2 and mode = $3
     order by resource, coalesce(ended, basis) desc`,
    [codes, subject.agency, subject.mode],
  )
  return last.some(({ state }) => state === 'revoked')
}

async function noteSubmitted({ query, subject, now }: On): Promise<void> {
  await query('update application set submitted_at = $2, reason = null where id = $1', [subject.id, now])
}

/** The office is to reply; while nobody is the office, nobody can. */
async function startReply({ query, subject, now }: On): Promise<void> {
  const agency = await agencyWith(query, 'office')
  if (agency === undefined) return
  await startDeadline(query, { kind: 'application-reply', object: `application ${subject.id}`, agency, role: 'office', from: now })
}

async function pauseReply({ query, subject, now }: On): Promise<void> {
  await pauseDeadline(query, 'application-reply', `application ${subject.id}`, now)
}

async function goOn({ query, subject, now }: On): Promise<void> {
  await goOnWithDeadline(query, 'application-reply', `application ${subject.id}`, now)
}

async function forgetConsents({ query, subject, now }: On): Promise<void> {
  await dropConsents(query, subject, now)
  await query('delete from application_consent where application = $1', [subject.id])
}

async function endReply({ query, subject, now }: On): Promise<void> {
  await endDeadline(query, 'application-reply', `application ${subject.id}`, now)
  await dropConsents(query, subject, now)
}

async function dropReply({ query, subject, now }: On): Promise<void> {
  await dropDeadline(query, 'application-reply', `application ${subject.id}`, now)
  await dropConsents(query, subject, now)
}

/** What providers have not answered they need not answer any more. */
async function dropConsents(query: Query, { id, consents }: Application, now: Date, except: readonly string[] = []): Promise<void> {
  for (const { resource } of consents) {
    if (!except.includes(resource)) await dropDeadline(query, 'application-reply', `consent ${id} ${resource}`, now)
  }
}

async function askProviders(context: On): Promise<void> {
  for (const resource of await conditional(context)) await askConsent(context, context.subject, resource)
}

/** Whom nobody needs to ask any more is asked no longer. */
async function dropAsks(context: On): Promise<void> {
  const codes = await stillNeeded(context)
  await dropConsents(context.query, context.subject, context.now, codes)
  await context.query(`delete from application_consent where application = $1 and state = 'asked' and not resource = any($2)`, [
    context.subject.id,
    codes,
  ])
}

async function stillNeeded({ query, subject }: On): Promise<string[]> {
  return (await coveredBy(query, subject)).filter((resource) => needsConsent(resource, subject.mode)).map(({ code }) => code)
}

async function nobodyAsked(context: On): Promise<boolean> {
  const codes = await stillNeeded(context)
  return context.subject.consents.every(({ resource, state }) => state !== 'asked' || !codes.includes(resource))
}

/** What this provider may still answer for. */
async function asksOf(context: On): Promise<Covered[]> {
  return (await conditional(context)).filter(({ agency }) => agency === context.principal.agency)
}

async function asked(context: On): Promise<void> {
  if ((await asksOf(context)).length > 0) return
  throw rule('本单位没有涉及此申请的有条件共享资源', 'the application asks for no conditional resource of your agency')
}

async function notGranted(context: On): Promise<void> {
  const codes = (await asksOf(context)).map(({ code }) => code)
  if (codes.some((code) => context.subject.grants.every(({ resource }) => resource !== code))) return
  throw rule('已经授权；不能继续提供的按第七条报告', 'it is granted already; what cannot be supplied any more is reported (Art. 7)')
}

function lastAnswer({ subject, principal }: On): boolean {
  return subject.consents.every(({ state, agency }) => state !== 'asked' || agency === principal.agency)
}

function answer(state: 'consented' | 'objected') {
  return async (context: On<{ reason?: string; masks?: Masks }>): Promise<void> => {
    const { query, subject, principal, input, now } = context
    const granted = new Set(subject.grants.map(({ resource }) => resource))
    for (const { code, schema } of await asksOf(context)) {
      if (granted.has(code)) continue
      checkMasks(schema, subject.items, subject.mode, input.masks ?? {})
      await query(
        `insert into application_consent (application, resource, state, reason, by, at, masks) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (application, resource)
         do update set state = excluded.state, reason = excluded.reason, by = excluded.by, at = excluded.at, masks = excluded.masks`,
        [subject.id, code, state, input.reason ?? null, principal.name, now, JSON.stringify(input.masks ?? {})],
      )
      await endDeadline(query, 'application-reply', `consent ${subject.id} ${code}`, now)
    }
  }
}

/** In part is possible, more is not. */
function notMore({ subject, input, now }: On<{ items?: string[]; until?: string }>): void {
  const more = input.items?.find((id) => !subject.items.includes(id))
  if (more !== undefined) throw rule(`信息项 ${more} 未申请`, `item ${more} was not asked for`)
  if (input.items?.length === 0) throw rule('没有写信息项', 'it names no item')
  const until = input.until === undefined ? null : dayEnd(input.until)
  if (until && until <= now) throw rule('使用期限已过', 'the period is over')
  if (until && subject.until && until > subject.until) throw rule('期限长于申请', 'the period is longer than was asked for')
}

/** Without the provider's consent nothing conditional is granted (Art. 5). */
async function consented(context: On): Promise<void> {
  const all = await shared(context)
  const { consents, standard } = context.subject
  const stateOf = (code: string) => consents.find(({ resource }) => resource === code)?.state
  const refused = all.filter(({ code, sharing }) => sharing === 'conditional' && stateOf(code) !== 'consented')
  const waiting = refused.filter(({ code }) => stateOf(code) !== 'objected')
  if (refused.length < all.length || all.length === 0 || (standard !== null && waiting.length > 0)) return
  throw rule('提供单位没有同意（第五条）', 'the provider has not consented (Art. 5)')
}

async function decide(context: On<{ items?: string[]; until?: string; reason?: string; masks?: Masks }>): Promise<void> {
  const { query, subject, input, now } = context
  const items = subject.items.filter((id) => input.items?.includes(id) ?? true)
  const masks = input.masks ?? {}
  for (const { schema } of await shared(context)) checkMasks(schema, items, subject.mode, masks)
  const until = input.until === undefined ? subject.until : dayEnd(input.until)
  await query(
    'update application set approved_items = $2, approved_until = $3, reason = $4, decided_at = $5, decision = nextval($6), masks = $7 where id = $1',
    [subject.id, items, until, input.reason ?? null, now, 'decision', JSON.stringify(masks)],
  )
}

async function grant(context: On): Promise<void> {
  await grantCovered(context, context.subject)
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update application set reason = $2 where id = $1', [subject.id, input.reason])
}

async function refuse({ query, subject, input, now }: On<{ reason: string }>): Promise<void> {
  await query('update application set reason = $2, decided_at = $3 where id = $1', [subject.id, input.reason, now])
}

/** Throws QZ-RULE the second time. */
async function extend({ query, subject, now }: On): Promise<void> {
  await extendDeadline(query, 'application-reply', `application ${subject.id}`, now)
  await query('update application set extended = true where id = $1', [subject.id])
}

function notifyApplicant(zh: string, en: string) {
  return async ({ query, subject, input }: On<{ reason?: string }>): Promise<void> => {
    const why = reasonGiven(input.reason)
    await sendNotice(query, subject, { agency: subject.agency, role: 'user' }, `${zh}${why.zh}`, `${en}${why.en}`)
  }
}

/** With what was not approved: nobody compares lists of items. */
async function notifyApproved({ query, subject, input }: On<{ reason?: string }>): Promise<void> {
  const why = reasonGiven(input.reason)
  const { zh, en } = await notApproved(query, subject)
  await sendNotice(query, subject, { agency: subject.agency, role: 'user' }, `已批准${zh}${why.zh}`, `approved${en}${why.en}`)
}

function notifyOffice(zh: string, en: string) {
  return async ({ query, subject }: On): Promise<void> => sendNotice(query, subject, { role: 'office' }, zh, en)
}

async function sendNotice(query: Query, { id, title }: Application, to: Recipient, zh: string, en: string): Promise<void> {
  const texts = { zh: `共享申请 ${id}（${title}）${zh}`, en: `Application ${id} (${title}): ${en}` }
  await notify(query, { to, kind: 'application', object: `application ${id}`, ...texts })
}
