import { storeText, type LocalizedText } from '../../../protocol/localized.ts'
import type { Principal, Publisher } from '../../access/principal.ts'
import { dropDeadline } from '../../records/deadlines.ts'
import { notify } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { record } from '../../records/history.ts'
import type { ShareMode } from './grants.ts'

/** Why grants of a resource end for ever. */
export interface Ending {
  code: string
  title: string
  reason: LocalizedText
  /** The modes in which it is shared no longer. */
  modes: readonly ShareMode[]
  /** What was delivered goes, whatever was agreed. */
  remove?: boolean
  principal: Publisher
  now: Date
}

/** Grants in force of these modes end for ever; each receiver is told why, and what becomes of its data. */
export async function endGrantsOf(query: Query, { code, title, reason, modes, remove = false, principal, now }: Ending): Promise<void> {
  const grants = await query<{ id: string; agency: string; state: string }>(
    `select id, agency, state from access_grant where resource = $1 and mode = any($2) and state in ('active', 'suspended', 'held')
     order by id for no key update`,
    [code, modes],
  )
  await query(
    `update access_grant set state = 'revoked', reason = $2, at_end = case when $3 then 'remove' else at_end end where id = any($1)`,
    [grants.map(({ id }) => id), storeText(reason), remove],
  )
  const by: Principal = { person: null, roles: [], via: 'hub', ...principal }
  for (const { id, agency, state } of grants) {
    await record(query, {
      workflow: 'grant',
      object: id,
      event: 'revoke',
      from: state,
      to: 'revoked',
      principal: by,
      input: { reason },
      now,
    })
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
      zh: `资源《${title}》的授权终止：${reason.zh}${remove ? '；已交付的数据将被删除' : ''}`,
      en: `The grant of ${title} has ended: ${reason.en}${remove ? '; what was delivered is removed' : ''}`,
    })
  }
}
