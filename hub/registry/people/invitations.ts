import { randomBytes } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import { sha256 } from '../../../protocol/signature.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { record } from '../../records/history.ts'
import type { Query } from '../../store/store.ts'
import type { Access } from '../../access/access.ts'
import { checkLogin } from '../../access/login.ts'
import { checkNewPassword } from '../../access/new-password.ts'
import { checkPassword } from '../../access/password-rules.ts'
import type { Principal } from '../../access/principal.ts'
import { hasActive } from '../../access/separation.ts'
import { closeSessions } from '../../access/sessions.ts'
import type { AccessRules } from '../../access/settings.ts'
import { conflict } from '../../records/refusals.ts'

export interface Invitation {
  /** Behind `#` in the link, so that it stands in no server's log. */
  secret: string
  expires: Date
}

/** The link that a secret is handed over in. */
export function activationLink(hub: string, secret: string): string {
  return `${hub}/activate#${secret}`
}

/** A new link for a person, or with null for the first administrator; those before it no longer work. */
export async function invite(query: Query, rules: AccessRules, person: string | null, now: Date): Promise<Invitation> {
  const secret = randomBytes(24).toString('base64url')
  const expires = new Date(now.getTime() + rules.invitationHours * 3_600_000)
  await query('delete from invitation where used_at is null and person is not distinct from $1', [person])
  await query('insert into invitation (secret_hash, person, expires_at) values ($1, $2, $3)', [sha256(secret), person, expires])
  return { secret, expires }
}

/**
 * The link that makes the first administrator. Throws QZ-FORBIDDEN once there is one. With `once` nothing is made, and null returned,
 * where there are people already, or a link that still works.
 */
export async function inviteFirst(registry: Registry, rules: AccessRules, { once = false } = {}): Promise<Invitation | null> {
  return change(registry, async (query) => {
    await lockFirst(query)
    const [there] = await query<{ people: boolean; link: boolean }>(
      `select exists (select from person) as people,
         exists (select from invitation where person is null and used_at is null and expires_at > $1) as link`,
      [registry.clock()],
    )
    if (once && (there!.people || there!.link)) return null
    await requireNoAdministrator(query)
    const invitation = await invite(query, rules, null, registry.clock())
    const details = { expires: invitation.expires.toISOString() }
    await writeAudit(query, { actor: once ? 'hub' : 'admin', act: 'person.invite-first', object: 'person ?', details })
    return invitation
  })
}

/** Two links cannot both make a first administrator. */
async function lockFirst(query: Query): Promise<void> {
  await query(`select pg_advisory_xact_lock(hashtext('first administrator'))`)
}

async function requireNoAdministrator(query: Query): Promise<void> {
  if (!(await hasActive(query, 'system-admin'))) return
  const operation = { zh: 'first-admin（已有系统管理员）', en: 'first-admin (there is a system administrator)' }
  throw new QianzhiError('QZ-FORBIDDEN', { operation })
}

interface Invited {
  person: string | null
  login: string | null
  name: string | null
  agency: string | null
}

/** Whom a link is for; all null: for the first administrator. Throws QZ-LINK. */
export async function viewInvitation({ store, clock }: Registry, secret: string): Promise<Invited> {
  return invited(store.query, secret, clock())
}

async function invited(query: Query, secret: string, now: Date): Promise<Invited> {
  const [found] = await query<Invited & { state: string | null; expired: boolean; used: boolean }>(
    `select i.person, p.login, p.name, p.agency, p.state, i.expires_at <= $2 as expired, i.used_at is not null as used
     from invitation i left join person p on p.id = i.person where i.secret_hash = $1`,
    [sha256(secret), now],
  )
  if (!found) throw new QianzhiError('QZ-LINK', { reason: { zh: '不存在或已被新链接取代', en: 'unknown, or replaced by a newer one' } })
  if (found.used) throw new QianzhiError('QZ-LINK', { reason: { zh: '已使用', en: 'used already' } })
  if (found.expired) throw new QianzhiError('QZ-LINK', { reason: { zh: '已过期', en: 'expired' } })
  if (found.state === 'disabled') throw new QianzhiError('QZ-LINK', { reason: { zh: '账户已停用', en: 'the account is disabled' } })
  const { person, login, name, agency } = found
  return { person, login, name, agency }
}

export interface Activation {
  secret: string
  password: string
  /** Of the first administrator only; the agency is made where it is not there. */
  first?: { login: string; name: string; agency: { code: string; name: string } } | undefined
}

/**
 * Sets the password of whom the link is for; the first administrator's link makes that person. The link then no longer works, and nobody
 * is signed in by it. Throws QZ-LINK, QZ-RULE, QZ-REQUEST-INVALID, QZ-SIGN-IN-RATE.
 */
export async function activate(registry: Registry, access: Access, activation: Activation, address: string): Promise<{ login: string }> {
  access.throttle.take(address, registry.clock())
  const { secret, password, first } = activation
  const known = await viewInvitation(registry, secret)
  const login = known.login ?? (first ? checkLogin(first.login) : undefined)
  if (login === undefined || (first === undefined) !== (known.person !== null)) throw misfit()
  checkPassword(password, login, access.rules.password)
  if (known.person !== null) await checkNewPassword(registry.store.query, access, known.person, password)
  const hash = await access.passwords.hash(password)
  await change(registry, async (query) => {
    const now = registry.clock()
    await query('select from invitation where secret_hash = $1 for update', [sha256(secret)])
    await invited(query, secret, now)
    await query('update invitation set used_at = $2 where secret_hash = $1', [sha256(secret), now])
    if (known.person === null) await makeFirst(query, { ...first!, login, hash }, now, address)
    else await setPassword(query, known.person, hash, now, { ip: address })
  })
  return { login }
}

function misfit(): QianzhiError {
  const reason = { zh: '首个管理员须给出登录名、姓名和单位，其他人不必', en: 'login, name and agency are for the first administrator only' }
  return new QianzhiError('QZ-REQUEST-INVALID', { reason })
}

type First = NonNullable<Activation['first']> & { hash: string }

async function makeFirst(query: Query, { login, name, agency, hash }: First, now: Date, ip: string): Promise<void> {
  await lockFirst(query)
  await requireNoAdministrator(query)
  checkCode(agency.code, 'agency', 40)
  const added = await query('insert into agency (code, name, created_at) values ($1, $2, $3) on conflict do nothing returning code', [
    agency.code,
    agency.name,
    now,
  ])
  await requireAgency(query, agency.code)
  const [person] = await query<{ id: string }>(
    `insert into person (agency, login, name, state, password, password_set_at) values ($1, $2, $3, 'active', $4, $5)
     on conflict (login) do nothing returning id`,
    [agency.code, login, name, hash, now],
  )
  if (!person) throw conflict('login', login)
  const { id } = person
  const actor = `person ${id}`
  await query(`insert into person_role (person, role, given_by) values ($1, 'system-admin', $2)`, [id, 'first-admin'])
  const principal: Principal = { actor, person: id, name, agency: agency.code, roles: ['system-admin'], via: 'session', ip }
  const input = { agency: agency.code, login, roles: ['system-admin'] }
  await record(query, { workflow: 'person', object: id, event: 'create-first', from: null, to: 'active', principal, input })
  if (added.length > 0)
    await writeAudit(query, { actor, agency: agency.code, ip, act: 'agency.add', object: agency.code, details: { name: agency.name } })
}

/** A person's own act: whoever sets it holds the link or knew the password before. Ends every session but the one it is set in. */
export async function setPassword(
  query: Query,
  person: string,
  hash: string,
  now: Date,
  { ip, session }: { ip?: string | undefined; session?: string | undefined },
): Promise<void> {
  const [{ agency, state }] = (await query<{ agency: string; state: string }>(
    `update person p set password = $2, password_set_at = $3, failures = 0, locked_until = null,
       state = case p.state when 'invited' then 'active' else p.state end,
       earlier_passwords = case when p.password is null then '{}' else (p.password || p.earlier_passwords)[1:24] end
     from person old where p.id = $1 and old.id = p.id returning p.agency, old.state`,
    [person, hash, now],
  )) as [{ agency: string; state: string }]
  await query('delete from invitation where person = $1 and used_at is null', [person])
  await closeSessions(query, person, session)
  const act = state === 'invited' ? 'person.activate' : 'me.password'
  await writeAudit(query, { actor: `person ${person}`, agency, ...(ip !== undefined && { ip }), act, object: `person ${person}` })
}
