import { storeText } from '../../../protocol/localized.ts'
import { dropDeadline } from '../../records/deadlines.ts'
import { notify } from '../../records/notices.ts'
import { forgetItems } from '../catalog/one-source.ts'
import { dropFromIndex } from '../catalog/search.ts'
import { record, type TransitionContext } from '../workflow.ts'

/** What follows when an agency withdraws a resource: the steps of `resource.withdraw`. */
type On<I = unknown> = TransitionContext<{ code: string; title: string }, I>

export async function keepWithdrawal({ query, subject, input, now }: On<{ reason: string }>): Promise<void> {
  await query('update resource set withdrawn_at = $2, withdrawn_because = $3 where code = $1', [subject.code, now, input.reason])
}

/** Every grant ends for ever, and its receiver is told why. */
export async function endGrants({ query, subject, input, principal, now }: On<{ reason: string }>): Promise<void> {
  const { code, title } = subject
  const reason = { zh: `提供单位已撤销该资源:${input.reason}`, en: `the provider has withdrawn the resource: ${input.reason}` }
  const grants = await query<{ id: string; agency: string; state: string }>(
    `select id, agency, state from access_grant where resource = $1 and state in ('active', 'suspended', 'held') order by id for no key update`,
    [code],
  )
  await query(`update access_grant set state = 'revoked', reason = $2 where id = any($1)`, [grants.map(({ id }) => id), storeText(reason)])
  for (const { id, agency, state } of grants) {
    await record(query, { workflow: 'grant', object: id, event: 'revoke', from: state, to: 'revoked', principal, input: { reason } })
    for (const route of await query<{ id: string }>('select id from route where access_grant = $1', [id])) {
      await dropDeadline(query, 'delivery', `route ${route.id}`, now)
    }
    await notify(query, {
      to: [
        { agency, role: 'user' },
        { agency, role: 'agency-it' },
      ],
      kind: 'grant',
      object: `grant ${id}`,
      zh: `资源《${title}》(${code})已由提供单位撤销,授权 ${id} 终止:${input.reason}`,
      en: `Resource ${code} was withdrawn by its provider, grant ${id} has ended: ${input.reason}`,
    })
  }
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
