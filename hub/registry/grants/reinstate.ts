import type { Schema } from '../../../protocol/schema.ts'
import { resumeDeadline } from '../../records/deadlines.ts'
import { rule } from '../../records/refusals.ts'
import type { Query } from '../../store/store.ts'
import type { Transition, TransitionContext } from '../workflow.ts'
import { incompatibilities, touches } from '../catalog/compatibility.ts'
import { nameVersion } from '../catalog/version-names.ts'
import { requireResource } from '../catalog/resources.ts'
import { explainGrant, lockGrants, shareResource, type Grant, type GrantState } from './grants.ts'
import { routesOf } from './routes.ts'

type On<I = unknown> = TransitionContext<Grant, I>

/**
 * An expiry that a wrong clock brought about is undone: the grant is again what it was, its routes go on. Only while its period still
 * runs; what was approved in its place stays; and a version that came meanwhile is the receiver's to accept, since nobody asked it.
 * @param told what both sides are told.
 */
export function reinstatement(
  told: (zh: string, en: string) => (on: On<{ reason?: string }>) => Promise<void>,
): Transition<GrantState, Grant, never>[] {
  const preconditions = [stillRuns, notReplaced, agencyActs]
  const effects = [markVersion, because, resumeDeliveries, told('已恢复（到期有误）', 'reinstated: it had not expired')]
  const from = ['expired'] as const
  return [
    { from, to: 'suspended', guard: wasSuspended, preconditions, effects },
    { from, to: 'held', guard: changedMeanwhile, preconditions, effects },
    { from, to: 'active', preconditions, effects },
  ]
}

/** How it expired; a grant that was imported so has no such line. */
async function expiryOf(query: Query, id: string): Promise<{ from: string | null; version: number | null }> {
  const [line] = await query<{ from: string; version: number | null }>(
    `select from_state as "from", (details ->> 'version')::int as version from history
     where workflow = 'grant' and object = $1 and event = 'expire' order by id desc limit 1`,
    [id],
  )
  return line ?? { from: null, version: null }
}

async function wasSuspended({ query, subject }: On): Promise<boolean> {
  return (await expiryOf(query, subject.id)).from === 'suspended'
}

async function changedMeanwhile(on: On): Promise<boolean> {
  const { from } = await expiryOf(on.query, on.subject.id)
  return from === 'held' || (await newVersion(on)) !== null
}

/** A version that the receiver would have been asked about; null where there is none. */
async function newVersion({ query, subject }: On): Promise<number | null> {
  // It is not published anew meanwhile.
  await shareResource(query, subject.resource)
  const { version, schema } = await requireResource(query, subject.resource)
  const known = (await expiryOf(query, subject.id)).version
  if (known === version) return null
  const [before] = await query<{ schema: Schema }>('select schema from resource_version where resource = $1 and version = $2', [
    subject.resource,
    known,
  ])
  return before && !touches(incompatibilities(before.schema, schema, []), subject.items) ? null : version
}

function stillRuns({ subject, now }: On): void {
  if (subject.validTo !== null && subject.validTo <= now)
    throw rule('授权期限已满，请重新申请', 'its period is over: a new application is needed')
}

async function notReplaced({ query, subject }: On): Promise<void> {
  await lockGrants(query, subject.resource)
  const [other] = await query<{ id: string }>(
    `select id from access_grant g where id <> $1 and resource = $2 and agency = $3 and mode = $4 and state in ('active', 'suspended', 'held')
       and (mode <> 'exchange' or exists (select from route a join route b on b.agent = a.agent where a.access_grant = $1 and b.access_grant = g.id))
     order by id limit 1`,
    [subject.id, subject.resource, subject.agency, subject.mode],
  )
  if (other) throw rule(`已有授权 ${other.id} 代替`, `grant ${other.id} has taken its place`)
}

async function agencyActs({ query, subject }: On): Promise<void> {
  const active = await query(`select from agency where code = $1 and state = 'active' for key share`, [subject.agency])
  if (active.length === 0) throw rule(`单位 ${subject.agency} 已停用`, `agency ${subject.agency} is closed`)
}

async function markVersion(on: On): Promise<void> {
  const version = await newVersion(on)
  if (version !== null) await on.query('update access_grant set held_version = $2 where id = $1', [on.subject.id, version])
}

/** Receivers are told why nothing comes; where it flows again there is nothing to tell. */
async function because({ query, subject, input, affectedAgents }: On<{ reason: string }>): Promise<void> {
  const [now] = await query<{ state: GrantState; version: number | null }>(
    'select state, held_version as version from access_grant where id = $1',
    [subject.id],
  )
  const { state, version } = now!
  const { zh, en } = await nameVersion(query, subject.resource, version)
  const waits = { zh: `${zh}待接收方确认`, en: `the receiver must accept ${en}` }
  await explainGrant(query, subject.id, state === 'active' ? null : state === 'held' ? waits : input.reason, affectedAgents)
}

async function resumeDeliveries({ query, subject, now }: On): Promise<void> {
  for (const { id } of await routesOf(query, subject.id)) await resumeDeadline(query, 'delivery', `route ${id}`, now)
}
