import { QianzhiError } from '../../../protocol/errors.ts'
import type { Principal } from '../../access/principal.ts'
import { administrators, type Role } from '../../records/roles.ts'
import { checkSeparation } from '../../access/separation.ts'
import { closeSessions } from '../../access/sessions.ts'
import type { Query } from '../../store/store.ts'
import { notify } from '../../records/notices.ts'
import { disable, readPerson, type Person } from './people.ts'
import { change, type Registry } from '../../records/registry.ts'
import { record } from '../../records/history.ts'

export interface Handover {
  from: string
  to: string
  /** The first can no longer sign in. */
  disable?: boolean
  reason: string
}

/** Roles of agencies, which the agency itself may pass on among its people. */
const passable: readonly Role[] = ['registrar', 'reviewer', 'user', 'agency-it']

/**
 * When staff change: roles, and being responsible person or deputy, pass from one to another person of the agency in one act. What waits
 * for a role is waited for by whoever has it. The administrators' roles are given by the security administrator alone; `within` an agency
 * only an agency's own roles pass. Throws QZ-RULE.
 */
export async function handOver(
  registry: Registry,
  principal: Principal,
  agency: string,
  input: Handover,
  within: boolean,
): Promise<Person> {
  return change(registry, async (query) => {
    // In one order whichever way, so that two handovers do not wait for each other.
    await query('select from person where id::text = any($1) order by id for no key update', [[input.from, input.to]])
    const [from, to] = [await readPerson(query, input.from), await readPerson(query, input.to)]
    checkHandover(principal, agency, from, to, within)
    const roles = [...new Set([...to.roles, ...from.roles])]
    checkSeparation(roles)
    await pass(query, principal, from, to)
    for (const { id } of [from, to]) await closeSessions(query, id)
    const states = { from: from.state, to: from.state }
    const details = { to: to.id, roles: from.roles, reason: input.reason }
    await record(query, { workflow: 'person', object: from.id, event: 'handover', ...states, principal, input: details })
    if (input.disable) await disable(query, principal, await readPerson(query, from.id), input.reason)
    await notify(query, {
      to: [{ person: to.id }, { agency, role: 'reviewer' }],
      kind: 'person-handover',
      object: `person ${to.id}`,
      zh: `${from.name} 的工作已移交给 ${to.name}`,
      en: `The work of ${from.name} has passed to ${to.name}`,
    })
    return readPerson(query, to.id)
  })
}

function checkHandover({ person }: Principal, agency: string, from: Person, to: Person, within: boolean): void {
  const refuse = (zh: string, en: string) => {
    throw new QianzhiError('QZ-RULE', { reason: { zh, en } })
  }
  if (from.id === to.id || from.agency !== agency || to.agency !== agency)
    refuse('移交须在同一单位的两人之间', 'work passes between two people of one agency')
  if (to.state === 'disabled') refuse('接手人已停用', 'the one who takes over is disabled')
  if (to.id === person) refuse('不能把角色移交给自己', 'nobody gives roles to oneself')
  if (from.roles.some((role) => administrators.includes(role)))
    refuse('管理员角色只能由安全管理员分配', "administrators' roles are given by the security administrator alone")
  if (within && from.roles.some((role) => !passable.includes(role)))
    refuse('该人员有本单位以外的角色，须由安全管理员移交', 'a role of the city is passed on by the security administrator')
}

async function pass(query: Query, { actor }: Principal, from: Person, to: Person): Promise<void> {
  await query(
    `insert into person_role (person, role, given_by) select $2, role, $3 from person_role where person = $1 on conflict do nothing`,
    [from.id, to.id, actor],
  )
  await query('delete from person_role where person = $1', [from.id])
  // Who is both after it is responsible, and the deputy is to be named anew.
  await query(
    `update agency set
       responsible = case when responsible = $1 then $2 else responsible end,
       deputy = case when deputy = $1 and responsible is distinct from $2 then $2
         when deputy = $1 or deputy = $2 and responsible = $1 then null else deputy end
     where responsible = $1 or deputy = $1`,
    [from.id, to.id],
  )
}
