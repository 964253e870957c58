import { Type } from 'typebox'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { invite, type Invitation } from './invitations.ts'
import { checkLogin } from '../../access/login.ts'
import { actedBy, theAdmin, type Principal } from '../../access/principal.ts'
import { roleNames, type Role } from '../../records/roles.ts'
import { checkSeparation, hasActive, keepAdministrators } from '../../access/separation.ts'
import { closeSessions } from '../../access/sessions.ts'
import type { AccessRules } from '../../access/settings.ts'
import type { Query } from '../../store/store.ts'
import { notify, type NoticeKind } from '../../records/notices.ts'
import { nameOfAgency, requireAgency } from '../agencies/agencies.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, type Registry } from '../../records/registry.ts'
import { record } from '../../records/history.ts'
import { conflict, notFound, rule, wrongState } from '../../records/refusals.ts'

export type PersonState = 'invited' | 'active' | 'disabled'

export const personStates: Record<PersonState, LocalizedText> = {
  invited: { zh: '待激活', en: 'invited' },
  active: { zh: '正常', en: 'active' },
  disabled: { zh: '已停用', en: 'disabled' },
}

export interface Person {
  id: string
  agency: string
  login: string
  name: string
  email: string | null
  phone: string | null
  state: PersonState
  roles: Role[]
  hasFactor: boolean
  lockedUntil: Date | null
  lastSignIn: Date | null
  created: Date
}

export interface NewPerson {
  agency: string
  login: string
  name: string
  email?: string | null
  phone?: string | null
}

const personSql = `select p.id, p.agency, p.login, p.name, p.email, p.phone, p.state,
    array(select role from person_role where person = p.id order by role) as roles, p.factor is not null as "hasFactor",
    p.locked_until as "lockedUntil", p.last_sign_in as "lastSignIn", p.created_at as created
  from person p`

/** Of agency $1, or all. */
export const personList = {
  select: `${personSql} where $1::text is null or p.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(personStates)),
    agency: filter.equal('agency'),
    role: filter.where((place) => `${place} = any(l.roles)`, Type.Enum(roleNames)),
    text: filter.holds('id', 'name', 'login'),
  },
  sorts: {
    id: 'bigint',
    name: 'text',
    login: 'text',
    agency: 'text',
    state: 'text',
    lastSignIn: 'timestamptz',
    lockedUntil: 'timestamptz',
  },
  first: 'id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listPeople({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Person>> {
  return listPage(store.query, personList, [agencyScope], asked)
}

export async function readPerson(query: Query, id: string): Promise<Person> {
  const [person] = await query<Person>(`${personSql} where p.id::text = $1`, [id])
  if (!person) throw notFound('person', id)
  return person
}

/** One after the other on one person. */
async function lockPerson(query: Query, id: string): Promise<Person> {
  await query('select from person where id::text = $1 for no key update', [id])
  return readPerson(query, id)
}

export interface Invited {
  person: Person
  invitation: Invitation
}

/** Somebody who cannot sign in until the link has been used. Throws QZ-CONFLICT where the login name is taken. */
export async function createPerson(registry: Registry, rules: AccessRules, principal: Principal, input: NewPerson): Promise<Invited> {
  return change(registry, (query) => addPerson(query, rules, principal, input, [], registry.clock()))
}

/** Within a transaction, with roles that have been judged. */
export async function addPerson(
  query: Query,
  rules: AccessRules,
  principal: Principal,
  { agency, login, name, email = null, phone = null }: NewPerson,
  roles: readonly Role[],
  now: Date,
): Promise<Invited> {
  await requireAgency(query, agency)
  const lower = checkLogin(login)
  const [added] = await query<{ id: string }>(
    'insert into person (agency, login, name, email, phone) values ($1, $2, $3, $4, $5) on conflict (login) do nothing returning id',
    [agency, lower, name, email, phone],
  )
  if (!added) throw conflict('login', lower)
  await giveRoles(query, added.id, roles, principal)
  const event = roles.length > 0 ? 'found' : 'create'
  const input = { agency, login: lower, ...(roles.length > 0 && { roles }) }
  await record(query, { workflow: 'person', object: added.id, event, from: null, to: 'invited', principal, input })
  return { person: await readPerson(query, added.id), invitation: await invite(query, rules, added.id, now) }
}

async function giveRoles(query: Query, person: string, roles: readonly Role[], { actor }: Principal): Promise<void> {
  await query('insert into person_role (person, role, given_by) select $1, unnest($2::text[]), $3 on conflict do nothing', [
    person,
    roles,
    actor,
  ])
}

/** The separate administrators, whom the system administrator may name until there is a security administrator who gives roles. */
export const foundable: readonly Role[] = ['security-admin', 'audit-admin']

/** Makes the one who is missing of the separate administrators (QZ-RULE where none is). */
export async function foundAdministrator(
  registry: Registry,
  rules: AccessRules,
  principal: Principal,
  { role, ...input }: NewPerson & { role: Role },
): Promise<Invited> {
  return change(registry, async (query) => {
    await query(`select pg_advisory_xact_lock(hashtext('found administrator'))`)
    const held = await query(
      `select from person_role r join person p on p.id = r.person where r.role = $1 and p.state <> 'disabled' limit 1`,
      [role],
    )
    if (!foundable.includes(role) || held.length > 0 || (await hasActive(query, 'security-admin'))) {
      const zh = '只能设置尚缺的安全管理员或审计管理员；已有安全管理员后，由其分配角色'
      const en = 'only a missing security or audit administrator; once there is a security administrator, that one gives roles'
      throw new QianzhiError('QZ-RULE', { reason: { zh, en } })
    }
    return addPerson(query, rules, principal, input, [role], registry.clock())
  })
}

export interface PersonChange {
  name?: string
  email?: string | null
  phone?: string | null
}

/** Name and how to reach somebody. What of it was changed is on record, not to what. */
export async function changePerson(registry: Registry, principal: Principal, id: string, input: PersonChange): Promise<Person> {
  return change(registry, (query) => updatePerson(query, principal, id, input))
}

/** Within a transaction. The same again changes nothing. */
export async function updatePerson(query: Query, principal: Principal, id: string, input: PersonChange): Promise<Person> {
  const person = await lockPerson(query, id)
  const { name, email, phone } = { ...person, ...input }
  const changed = (Object.keys(input) as (keyof PersonChange)[]).filter((key) => input[key] !== person[key])
  if (changed.length === 0) return person
  await query('update person set name = $2, email = $3, phone = $4 where id = $1', [id, name, email, phone])
  await onRecord(query, person, principal, 'change', { changed })
  return readPerson(query, id)
}

/** A new link by which the person sets a (new) password; a second factor that is set up stays. */
export async function invitePerson(registry: Registry, rules: AccessRules, principal: Principal, id: string): Promise<Invited> {
  return change(registry, async (query) => inviteAgain(query, rules, principal, await lockPerson(query, id), registry.clock()))
}

/** Within a transaction that has locked the person. */
export async function inviteAgain(query: Query, rules: AccessRules, principal: Principal, person: Person, now: Date): Promise<Invited> {
  const { id } = person
  if (person.state === 'disabled') throw notInState(person, 'invite')
  const invitation = await invite(query, rules, id, now)
  await onRecord(query, person, principal, 'invite', { expires: invitation.expires.toISOString() })
  await notifyPerson(
    query,
    id,
    'person-invited',
    '系统管理员为您生成了重设口令的链接',
    'The system administrator made a link that sets your password anew',
  )
  return { person, invitation }
}

/**
 * For whoever holds the admin key, on the hub's own machine: a system administrator who lost password and factor, and whom no other can let in
 * again, gets a new link. On record, and the other administrators are told at once. Throws QZ-NOT-FOUND, QZ-RULE.
 */
export async function readmitAdministrator(registry: Registry, rules: AccessRules, login: string): Promise<Invited> {
  return change(registry, async (query) => {
    const [found] = await query<{ id: string; admin: boolean }>(
      `select id, exists (select from person_role where person = p.id and role = 'system-admin') as admin from person p where login = $1`,
      [login],
    )
    if (!found) throw notFound('person', login)
    const person = await lockPerson(query, found.id)
    if (!found.admin || person.state === 'disabled')
      throw rule('只用于在用的系统管理员', 'only for a system administrator who is not disabled')
    await query('update person set factor = null, factor_pending = null, factor_step = 0 where id = $1', [person.id])
    await closeSessions(query, person.id)
    const invitation = await invite(query, rules, person.id, registry.clock())
    await onRecord(query, person, theAdmin, 'readmit', { expires: invitation.expires.toISOString() })
    await notify(query, {
      to: [{ role: 'security-admin' }, { role: 'audit-admin' }, { role: 'system-admin' }],
      kind: 'person-readmitted',
      object: `person ${person.id}`,
      zh: `系统管理员 ${person.name}（${login}）在中心服务器上被重设口令和动态验证码：请核实`,
      en: `On the hub's machine a link was made for the system administrator ${person.name} (${login}), and the second factor taken off: see to it that this is right`,
    })
    return { person, invitation }
  })
}

/** Signs the person out for good; responsible person and deputy are then missing where it was one. Throws QZ-RULE for the last administrator. */
export async function disablePerson(registry: Registry, principal: Principal, id: string, reason: string): Promise<Person> {
  return change(registry, async (query) => {
    const person = await lockPerson(query, id)
    await disable(query, principal, person, reason)
    return readPerson(query, id)
  })
}

/** Within a transaction that has locked the person. */
export async function disable(query: Query, principal: Principal, person: Person, reason: string): Promise<void> {
  if (person.state === 'disabled') throw notInState(person, 'disable')
  await keepAdministrators(query, person.id, person.roles)
  await query(`update person set state = 'disabled' where id = $1`, [person.id])
  await query('delete from invitation where person = $1 and used_at is null', [person.id])
  await closeSessions(query, person.id)
  await record(query, {
    workflow: 'person',
    object: person.id,
    event: 'disable',
    from: person.state,
    to: 'disabled',
    principal,
    input: { reason },
  })
  await leaveOffice(query, principal, person)
}

async function leaveOffice(query: Query, principal: Principal, { id, agency }: Person): Promise<void> {
  const left = await query(
    `update agency set responsible = nullif(responsible, $1::bigint), deputy = nullif(deputy, $1::bigint)
     where responsible = $1 or deputy = $1 returning code`,
    [id],
  )
  if (left.length === 0) return
  await writeAudit(query, { ...actedBy(principal), act: 'agency.responsible', object: agency, details: { left: id } })
  const agencyName = await nameOfAgency(query, agency)
  const about = { kind: 'agency-responsible', object: `agency ${agency}` } as const
  await notify(query, {
    to: { role: 'office' },
    ...about,
    zh: `${agencyName}的负责人或联系人已停用，请督促另行指定（第二十三条）`,
    en: `The responsible person or deputy of ${agencyName} has been disabled: another must be named (Art. 23)`,
  })
}

export async function enablePerson(registry: Registry, principal: Principal, id: string): Promise<Person> {
  return change(registry, async (query) => {
    const person = await lockPerson(query, id)
    if (person.state !== 'disabled') throw notInState(person, 'enable')
    await query(`update person set state = case when password is null then 'invited' else 'active' end where id = $1`, [id])
    const enabled = await readPerson(query, id)
    const states = { from: 'disabled', to: enabled.state }
    await record(query, { workflow: 'person', object: id, event: 'enable', ...states, principal, input: {} })
    return enabled
  })
}

/** Exactly these roles from now on; sessions end. Throws QZ-RULE for one's own, for roles that exclude each other, for the last administrator. */
export async function setRoles(registry: Registry, principal: Principal, id: string, roles: readonly Role[]): Promise<Person> {
  return change(registry, (query) => putRoles(query, principal, id, roles))
}

/** Within a transaction. */
export async function putRoles(query: Query, principal: Principal, id: string, roles: readonly Role[]): Promise<Person> {
  const person = await lockPerson(query, id)
  if (person.state === 'disabled') throw notInState(person, 'roles')
  notOneself(principal, id, '不能给自己分配角色', 'nobody gives roles to oneself')
  checkSeparation([...new Set(roles)])
  const gone = person.roles.filter((role) => !roles.includes(role))
  await keepAdministrators(query, id, gone)
  await query('delete from person_role where person = $1 and role = any($2)', [id, gone])
  await giveRoles(query, id, roles, principal)
  const changed = await readPerson(query, id)
  if (changed.roles.join() === person.roles.join()) return person
  await closeSessions(query, id)
  await onRecord(query, person, principal, 'roles', { before: person.roles, roles: changed.roles })
  await notifyPerson(query, id, 'person-roles', '您的角色已变更，请重新登录', 'Your roles have changed: sign in again')
  return changed
}

/** Ends a lock-out. */
export async function unlockPerson(registry: Registry, principal: Principal, id: string): Promise<Person> {
  return change(registry, async (query) => {
    const person = await lockPerson(query, id)
    await query('update person set failures = 0, locked_until = null where id = $1', [id])
    await onRecord(query, person, principal, 'unlock')
    return readPerson(query, id)
  })
}

/** For somebody who lost the device: the second factor must be set up again, where a role needs it. */
export async function resetFactor(registry: Registry, principal: Principal, id: string): Promise<Person> {
  return change(registry, async (query) => {
    const person = await lockPerson(query, id)
    notOneself(principal, id, '不能重置自己的动态验证码', 'nobody resets the second factor of oneself')
    await query('update person set factor = null, factor_pending = null, factor_step = 0 where id = $1', [id])
    await closeSessions(query, id)
    await onRecord(query, person, principal, 'reset-factor')
    await notifyPerson(query, id, 'person-factor', '您的动态验证码已被重置', 'Your second factor has been reset')
    return readPerson(query, id)
  })
}

/** Everywhere. */
export async function signOutPerson(registry: Registry, principal: Principal, id: string): Promise<{ ended: number }> {
  return change(registry, async (query) => {
    const person = await lockPerson(query, id)
    const ended = await closeSessions(query, id)
    await onRecord(query, person, principal, 'sign-out', { ended })
    return { ended }
  })
}

function notOneself({ person }: Principal, id: string, zh: string, en: string): void {
  if (person === id) throw new QianzhiError('QZ-RULE', { reason: { zh, en } })
}

function notInState({ id, state }: Person, event: string): QianzhiError {
  return wrongState('person', id, personStates[state], `person.${event}`)
}

async function onRecord(
  query: Query,
  { id, state }: Person,
  principal: Principal,
  event: string,
  input: Record<string, unknown> = {},
): Promise<void> {
  await record(query, { workflow: 'person', object: id, event, from: state, to: state, principal, input })
}

async function notifyPerson(query: Query, person: string, kind: NoticeKind, zh: string, en: string): Promise<void> {
  await notify(query, { to: { person }, kind, object: `person ${person}`, zh, en })
}
