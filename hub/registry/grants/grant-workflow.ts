import { titleOf } from '../../records/object-titles.ts'
import { nameOfAgency } from '../agencies/agencies.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { itemById } from '../../../protocol/schema.ts'
import { dropDeadline } from '../../records/deadlines.ts'
import { applyAnew } from '../../records/route-stops.ts'
import { grantStates } from '../../records/words.ts'
import { notify, reasonGiven } from '../../records/notices.ts'
import { checkItems, explainGrant, requireGrant, type Grant, type GrantState } from './grants.ts'
import { nameVersion } from '../catalog/version-names.ts'
import { requireResource } from '../catalog/resources.ts'
import { reinstatement } from './reinstate.ts'
import { routesOf } from './routes.ts'
import type { TransitionContext, Workflow } from '../workflow.ts'
import { rule } from '../../records/refusals.ts'

type On<I = unknown> = TransitionContext<Grant, I>

const inForce = ['active', 'suspended', 'held'] as const

/**
 * A grant 授权 (Art. 16, 21). What it permits ends at once with its state: agents concerned are woken and get their new policy, receivers
 * are told the reason. Held is what an incompatible version touches, until its receiver accepts it: its routes stop, the others flow on. A
 * suspended grant keeps its state, and is held when it resumes (`held_version`).
 */
export const grantFlow: Workflow<GrantState, Grant> = {
  name: 'grant',
  table: 'access_grant',
  states: grantStates,
  initial: 'active',
  events: {
    suspend: [{ from: ['active'], to: 'suspended', effects: [because, notifyBoth('已暂停', 'suspended')] }],
    resume: [
      { from: ['suspended'], to: 'held', guard: changedMeanwhile, effects: [becauseOfVersion, notifyBoth('待确认新版本', 'held')] },
      { from: ['suspended'], to: 'active', preconditions: [notOver], effects: [goesOn, notifyBoth('已恢复', 'resumed')] },
    ],
    revoke: [{ from: inForce, to: 'revoked', effects: [because, dropDeliveries, notifyBoth('已撤销', 'revoked', applyAnew)] }],
    'give-up': [
      { from: inForce, to: 'given-up', effects: [because, dropDeliveries, notifyBoth('已由接收方放弃', 'given up by the receiver')] },
    ],
    hold: [
      { from: ['suspended'], to: 'suspended', effects: [noteVersion, notifyHeld] },
      { from: ['active', 'held'], to: 'held', effects: [noteVersion, becauseHeld, notifyHeld] },
    ],
    accept: [
      { from: ['held'], to: 'active', preconditions: [onlyGranted], effects: [takeItems, goesOn, notifyBoth('已接受新版本', 'accepted')] },
    ],
    expire: [
      {
        from: inForce,
        to: 'expired',
        preconditions: [over],
        effects: [becauseOver, dropDeliveries, notifyBoth('已到期', 'expired', applyAnew)],
      },
    ],
    reinstate: reinstatement(notifyBoth),
  },
  decisions: ['accept'],
  load: requireGrant,
}

async function because({ query, subject, input, affectedAgents }: On<{ reason: string }>): Promise<void> {
  await explainGrant(query, subject.id, input.reason, affectedAgents)
}

async function becauseOver({ query, subject, affectedAgents }: On): Promise<void> {
  await explainGrant(query, subject.id, { zh: '授权期限已满', en: 'its period is over' }, affectedAgents)
}

async function becauseOfVersion({ query, subject, affectedAgents }: On): Promise<void> {
  const { zh, en } = await nameVersion(query, subject.resource, subject.heldVersion)
  const reason = {
    zh: `${zh}不兼容，待接收方确认`,
    en: `${en} is not compatible: the receiver must accept it`,
  }
  await explainGrant(query, subject.id, reason, affectedAgents)
}

interface Held {
  version: number
  reason: LocalizedText
}

async function noteVersion({ query, subject, input }: On<Held>): Promise<void> {
  await query('update access_grant set held_version = $2 where id = $1', [subject.id, input.version])
}

async function becauseHeld({ query, subject, input, affectedAgents }: On<Held>): Promise<void> {
  await explainGrant(query, subject.id, input.reason, affectedAgents)
}

async function notifyHeld({ query, subject: { id, agency, resource }, input: { reason } }: On<Held>): Promise<void> {
  const { schema } = await requireResource(query, resource)
  await notify(query, {
    to: [{ agency, role: 'user' }, { agency, role: 'agency-it' }, { role: 'office' }],
    kind: 'grant-held',
    object: `grant ${id}`,
    zh: `资源“${schema.title}”${reason.zh}`,
    en: `${schema.title}: ${reason.en}`,
  })
}

async function goesOn({ query, subject, affectedAgents }: On): Promise<void> {
  await explainGrant(query, subject.id, null, affectedAgents)
}

function changedMeanwhile({ subject }: On): boolean {
  return subject.heldVersion !== null
}

function isOver({ subject, now }: On): boolean {
  return subject.validTo !== null && subject.validTo <= now
}

function notOver(context: On): void {
  if (isOver(context)) throw rule('授权期限已满，请重新申请', 'its period is over: a new application is needed')
}

function over(context: On): void {
  if (!isOver(context)) throw rule('授权期限未满', 'its period is not over')
}

/** What was not approved takes a new application (Art. 7), also where a version puts an item in another's place. */
async function onlyGranted({ query, subject, input }: On<{ items: string[] }>): Promise<void> {
  const { schema } = await requireResource(query, subject.resource)
  const more = input.items.find((id) => !subject.items.includes(id) && !itemById(schema, id)?.key)
  if (more !== undefined)
    throw rule(`信息项 ${more} 未经批准，需另行申请（第七条）`, `item ${more} was not approved: it needs an application (Art. 7)`)
}

/** From now on the version in force is the accepted one. Throws QZ-REQUEST-INVALID where it has no such open item. */
async function takeItems({ query, subject, input }: On<{ items: string[] }>): Promise<void> {
  const items = checkItems((await requireResource(query, subject.resource)).schema, input.items)
  await query('update access_grant set items = $2, held_version = null where id = $1', [subject.id, items])
}

async function dropDeliveries({ query, subject, now }: On): Promise<void> {
  for (const { id } of await routesOf(query, subject.id)) await dropDeadline(query, 'delivery', `route ${id}`, now)
}

/** Both sides; `next` says what is to be done. */
function notifyBoth(zh: string, en: string, next?: LocalizedText) {
  return async ({ query, subject, input }: On<{ reason?: string }>): Promise<void> => {
    const { id, agency, resource } = subject
    const { agency: provider } = await requireResource(query, resource)
    const why = reasonGiven(input.reason)
    const [agencyName, title] = [await nameOfAgency(query, agency), await titleOf(query, `resource ${resource}`)]
    await notify(query, {
      to: [
        { agency, role: 'user' },
        { agency, role: 'agency-it' },
        { agency: provider, role: 'reviewer' },
      ],
      kind: 'grant',
      object: `grant ${id}`,
      zh: `资源《${title}》对${agencyName}的授权${zh}${why.zh}${next ? `。${next.zh}` : ''}`,
      en: `The grant of ${title} to ${agencyName} is ${en}${why.en}${next ? `. ${next.en}` : ''}`,
    })
  }
}
