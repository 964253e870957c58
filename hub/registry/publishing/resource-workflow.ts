import { notify } from '../../records/notices.ts'
import { resourcePublished } from '../grants/approve-application.ts'
import { followSharing } from '../grants/awaiting.ts'
import { notePhase } from '../../records/phases.ts'
import type { Query } from '../../store/store.ts'
import { concernResource } from '../machines/concerned.ts'
import { lockResource } from './publishing.ts'
import { endGrants, keepWithdrawal, leaveCatalog, discardRegistrations } from './withdrawal.ts'
import type { TransitionContext, Workflow } from '../workflow.ts'
import { notFound } from '../../records/refusals.ts'

/** What a published resource's own workflow needs to know of it. */
export interface PublishedResource {
  code: string
  agency: string
  title: string
  state: State
  reason: string | null
}

type State = 'active' | 'suspended' | 'withdrawn'
type On<I = unknown> = TransitionContext<PublishedResource, I>

/**
 * A published resource: the secrecy supervisor may stop it at once (Art. 26), which publishing a new version does not change; its agency
 * may withdraw it for ever.
 */
export const resourceFlow: Workflow<State, PublishedResource> = {
  name: 'resource',
  table: 'resource',
  states: {
    active: { zh: '有效', en: 'active' },
    suspended: { zh: '保密叫停', en: 'stopped for secrecy' },
    withdrawn: { zh: '已撤销', en: 'withdrawn' },
  },
  initial: 'active',
  events: {
    stop: [
      {
        from: ['active'],
        to: 'suspended',
        effects: [inForce, keepReason, concernAll, notifyAll('已被保密部门叫停', 'was stopped for secrecy')],
      },
    ],
    withdraw: [
      {
        from: ['active', 'suspended'],
        to: 'withdrawn',
        effects: [
          inForce,
          keepWithdrawal,
          endGrants,
          follow,
          discardRegistrations,
          leaveCatalog,
          concernAll,
          notifyAll('已撤销', 'was withdrawn by its agency'),
        ],
      },
    ],
    release: [
      {
        from: ['suspended'],
        to: 'active',
        effects: [inForce, dropReason, follow, grantWaiting, concernAll, notifyAll('已恢复', 'was released')],
      },
    ],
  },
  lockFirst: lockResource,
  load: loadPublished,
}

async function loadPublished(query: Query, code: string): Promise<PublishedResource> {
  const [resource] = await query<PublishedResource>(
    `select r.code, r.agency, v.schema->>'title' as title, r.state, r.stop_reason as reason
     from resource r join resource_version v on v.resource = r.code and v.version = r.version where r.code = $1`,
    [code],
  )
  if (!resource) throw notFound('resource', code)
  return resource
}

/** From now on duties are judged by the new state. */
async function inForce({ query, subject, now }: On): Promise<void> {
  await notePhase(query, subject.code, now)
}

async function keepReason({ query, subject, input }: On<{ reason: string }>): Promise<void> {
  await query('update resource set stop_reason = $2 where code = $1', [subject.code, input.reason])
}

async function dropReason({ query, subject }: On): Promise<void> {
  await query('update resource set stop_reason = null where code = $1', [subject.code])
}

async function follow({ registry, query, affectedAgents, subject }: On): Promise<void> {
  await followSharing(query, affectedAgents, registry, subject.code)
}

/** What was approved for the adopters of a standard while this one was stopped covers it from now on. */
async function grantWaiting({ query, affectedAgents, subject, now }: On): Promise<void> {
  await resourcePublished(query, affectedAgents, subject, now)
}

/** Supply and every route end or begin with the next policies. */
async function concernAll({ query, subject, affectedAgents }: On): Promise<void> {
  await concernResource(query, subject.code, affectedAgents)
}

function notifyAll(zh: string, en: string): (context: On) => Promise<void> {
  return async ({ query, subject: { code, agency, title } }) => {
    const texts = { zh: `资源《${title}》${zh}`, en: `${title} ${en}` }
    const notice = { kind: 'resource', object: `resource ${code}`, ...texts } as const
    await notify(query, { to: { agency, role: 'reviewer' }, ...notice })
    await notify(query, { to: { role: 'office' }, ...notice })
    const receivers = await query<{ agency: string }>(`select distinct agency from access_grant where resource = $1 and state = 'active'`, [
      code,
    ])
    for (const receiver of receivers) await notify(query, { to: { agency: receiver.agency, role: 'user' }, ...notice })
  }
}
