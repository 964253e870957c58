import { dropDeadline } from '../../records/deadlines.ts'
import { forgetItems } from '../catalog/one-source.ts'
import { dropFromIndex } from '../catalog/search.ts'
import { endGrantsOf } from '../grants/ending.ts'
import { shareModes } from '../grants/grants.ts'
import { record } from '../../records/history.ts'
import { type TransitionContext } from '../workflow.ts'

/** What follows when an agency withdraws a resource: the steps of `resource.withdraw`. */
type On<I = unknown> = TransitionContext<{ code: string; title: string }, I>

export async function keepWithdrawal({ query, subject, input, now }: On<{ reason: string }>): Promise<void> {
  await query('update resource set withdrawn_at = $2, withdrawn_because = $3 where code = $1', [subject.code, now, input.reason])
}

/** Every grant ends for ever, and its receiver is told why. */
export async function endGrants({ query, subject, input, principal, now }: On<{ reason: string }>): Promise<void> {
  const reason = { zh: `提供单位已撤销该资源：${input.reason}`, en: `the provider has withdrawn the resource: ${input.reason}` }
  await endGrantsOf(query, { ...subject, reason, modes: shareModes, principal, now })
}

/** A change of what is gone has nowhere to go. */
export async function discardRegistrations({ query, subject, principal }: On): Promise<void> {
  const open = await query<{ id: string; state: string }>(
    `select id, state from registration where resource = $1 and state in ('draft', 'submitted', 'returned') for no key update`,
    [subject.code],
  )
  for (const { id, state } of open) {
    await query(`update registration set state = 'discarded' where id = $1`, [id])
    const input = { reason: 'resource.withdraw' }
    await record(query, { workflow: 'registration', object: id, event: 'discard', from: state, to: 'discarded', principal, input })
  }
}

/** It is found no more, and no longer the source of anything. */
export async function leaveCatalog({ query, subject, now }: On): Promise<void> {
  await dropFromIndex(query, subject.code)
  await forgetItems(query, subject.code)
  await dropDeadline(query, 'catalog-update', `resource ${subject.code}`, now)
}
