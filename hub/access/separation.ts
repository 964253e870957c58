import { QianzhiError } from '../../protocol/errors.ts'
import type { Query } from '../store/store.ts'
import { administrators, roles as roleTexts, type Role } from '../records/roles.ts'

/** Separation of the administrators' powers (三员分立): nobody has two of these roles, nor one of them beside any other. Throws QZ-RULE. */
export function checkSeparation(roles: readonly Role[]): void {
  const administrator = roles.find((role) => administrators.includes(role))
  if (administrator === undefined || roles.length === 1) return
  const other = roles.find((role) => role !== administrator)!
  const [one, two] = [roleTexts[administrator], roleTexts[other]]
  throw new QianzhiError('QZ-RULE', {
    reason: { zh: `三员分立：“${one.zh}”不能兼任“${two.zh}”`, en: `separation of powers: ${one.en} may not also be ${two.en}` },
  })
}

/**
 * There must stay somebody who can act in each administrator's role. One change at a time, so that two who go at once do not each count
 * on the other. Throws QZ-RULE where this person is the last of one of the roles that are to go.
 */
export async function keepAdministrators(query: Query, person: string, going: readonly Role[]): Promise<void> {
  const goingPowers = going.filter((role) => administrators.includes(role))
  if (goingPowers.length === 0) return
  await query(`select pg_advisory_xact_lock(hashtext('last administrator'))`)
  const active = await query<{ person: string; role: Role }>(
    `select r.person, r.role from person_role r join person p on p.id = r.person
     where r.role = any($1) and p.state = 'active'`,
    [administrators],
  )
  const mine = active.filter((line) => line.person === person && goingPowers.includes(line.role))
  const last = mine.find(({ role }) => !active.some((other) => other.role === role && other.person !== person))
  if (!last) return
  const { zh, en } = roleTexts[last.role]
  throw new QianzhiError('QZ-RULE', {
    reason: { zh: `这是最后一名“${zh}”，请先另设一名`, en: `this is the last ${en}: let there be another one first` },
  })
}

/** Whether anybody can act in this role. */
export async function hasActive(query: Query, role: Role): Promise<boolean> {
  const found = await query(`select from person_role r join person p on p.id = r.person where r.role = $1 and p.state = 'active' limit 1`, [
    role,
  ])
  return found.length > 0
}
