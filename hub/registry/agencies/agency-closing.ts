import { QianzhiError } from '../../../protocol/errors.ts'
import type { Query } from '../../store/store.ts'

/** Of each kind of thing that may be in force for an agency: how many there are. */
const inForceSql = `select
  (select count(*) from agency where parent = $1 and state = 'active')::int as "下级单位 / agencies below",
  (select count(*) from person where agency = $1 and state <> 'disabled')::int as "人员 / people",
  (select count(*) from agent where agency = $1 and state = 'active')::int as "前置机代理 / agents",
  (select count(*) from resource where agency = $1 and state <> 'withdrawn')::int as "资源 / resources",
  (select count(*) from access_grant where agency = $1 and state in ('active', 'suspended', 'held'))::int as "授权 / grants"`

/** An agency is closed only when nothing is in force for it (QZ-RULE, which names what is). */
export async function checkClosable(query: Query, code: string): Promise<void> {
  // What is being made for it comes first, or sees that it is closed.
  await query('select from agency where code = $1 for update', [code])
  const [counts] = await query<Record<string, number>>(inForceSql, [code])
  const left = Object.entries(counts!).filter(([, count]) => count > 0)
  if (left.length === 0) return
  const names = left.map(([name, count]) => `${name} ${count}`).join('; ')
  throw new QianzhiError('QZ-RULE', { reason: `该单位仍有未了结事项 / something is still in force for the agency: ${names}` })
}

/** What opens doors in its name no longer does. */
export async function endOfAgency(query: Query, code: string, now: Date): Promise<void> {
  await query('update api_key set ended_at = $2 where agency = $1 and ended_at is null', [code, now])
  await query('update enrolment_token set expires_at = $2 where agency = $1 and used_by is null and expires_at > $2', [code, now])
  await query('update agency set responsible = null, deputy = null where code = $1', [code])
}
