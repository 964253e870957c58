import { joinTexts } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { rule } from '../../records/refusals.ts'

/** Of each kind of thing that may be in force for an agency: how many there are. */
const inForceSql = `select
  (select count(*) from agency where parent = $1 and state = 'active')::int as below,
  (select count(*) from person where agency = $1 and state <> 'disabled')::int as people,
  (select count(*) from agent where agency = $1 and state = 'active')::int as agents,
  (select count(*) from resource where agency = $1 and state <> 'withdrawn')::int as resources,
  (select count(*) from access_grant where agency = $1 and state in ('active', 'suspended', 'held'))::int as grants,
  (select count(*) from application where agency = $1 and state in ('draft', 'returned', 'consulting', 'reviewing'))::int as applications,
  (select count(*) from machine_application where agency = $1 and state in ('applied', 'approved'))::int as machines,
  (select count(*) from registration where agency = $1 and state in ('draft', 'submitted', 'returned'))::int as registrations,
  (select count(*) from demand where (agency = $1 or provider = $1) and state in ('submitted', 'negotiating', 'agreed'))::int as demands,
  (select count(*) from declaration where agency = $1 and state in ('drafted', 'reported', 'delegated', 'escalated', 'noticed'))::int as declarations,
  (select count(*) from rectification_order where agency = $1 and state in ('issued', 'answered', 'transferred'))::int as orders`

const countNames = {
  below: { zh: '下级单位', en: 'agencies below' },
  people: { zh: '人员', en: 'people' },
  agents: { zh: '前置机代理', en: 'agents' },
  resources: { zh: '资源', en: 'resources' },
  grants: { zh: '授权', en: 'grants' },
  applications: { zh: '未办结的申请', en: 'open applications' },
  machines: { zh: '未办结的前置机申请', en: 'open applications for machines' },
  registrations: { zh: '未办结的目录登记', en: 'open registrations' },
  demands: { zh: '未办结的目录外需求', en: 'open demands' },
  declarations: { zh: '未办结的声明', en: 'open declarations' },
  orders: { zh: '未办结的责令改正', en: 'open orders' },
} as const

/** An agency is closed only when nothing is in force for it (QZ-RULE, which names what is). */
export async function checkClosable(query: Query, code: string): Promise<void> {
  // What is being made for it comes first, or sees that it is closed.
  await query('select from agency where code = $1 for update', [code])
  const [counts] = await query<Record<keyof typeof countNames, number>>(inForceSql, [code])
  const left = Object.entries(countNames).filter(([name]) => counts![name as keyof typeof countNames] > 0)
  if (left.length === 0) return
  const named = left.map(([name, text]) => joinTexts([text, counts![name as keyof typeof countNames]], ' '))
  const { zh, en } = joinTexts(named, { zh: '、', en: ', ' })
  throw rule(`该单位仍有未了结事项：${zh}`, `something is still in force for the agency: ${en}`)
}

/** What opens doors in its name no longer does. */
export async function endOfAgency(query: Query, code: string, now: Date): Promise<void> {
  await query('update api_key set ended_at = $2 where agency = $1 and ended_at is null', [code, now])
  await query('update enrolment_token set expires_at = $2 where agency = $1 and used_by is null and expires_at > $2', [code, now])
  await query('update agency set responsible = null, deputy = null where code = $1', [code])
}
