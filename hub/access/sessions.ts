import { randomBytes } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'
import { sha256 } from '../../protocol/signature.ts'
import type { Registry } from '../registry/registry.ts'
import type { Query } from '../store/store.ts'
import type { Principal } from './principal.ts'
import type { Role } from './roles.ts'

/** How long a session lives without being used, and at all, in minutes. */
export interface SessionRules {
  idle: number
  longest: number
}

export const sessionRules: SessionRules = { idle: 30, longest: 12 * 60 }

const sessionPrefix = 'qzs_'
const keyPrefix = 'qzk_'

/** A new session; its secret is shown once. */
export async function openSession(query: Query, person: string, address: string | null, now: Date): Promise<string> {
  const secret = newSecret(sessionPrefix)
  await query('insert into session (secret_hash, person, created_at, last_used, address) values ($1, $2, $3, $3, $4)', [
    sha256(secret),
    person,
    now,
    address,
  ])
  return secret
}

export function newSecret(prefix: typeof sessionPrefix | typeof keyPrefix): string {
  return prefix + randomBytes(24).toString('base64url')
}

interface Identity {
  id: string
  person: string | null
  name: string
  agency: string
  roles: Role[]
}

/** Whose session or key a secret is. Throws QZ-SIGN-IN. */
export async function principalOf(registry: Registry, secret: string, rules: SessionRules = sessionRules): Promise<Principal> {
  const now = registry.clock()
  const hash = sha256(secret)
  const found = secret.startsWith(keyPrefix) ? await keyIdentity(registry.store.query, hash, now) : undefined
  if (found) return { actor: `key ${found.id}`, person: null, name: found.name, agency: found.agency, roles: found.roles, via: 'key' }
  const person = secret.startsWith(sessionPrefix) ? await sessionIdentity(registry.store.query, hash, rules, now) : undefined
  if (!person) throw new QianzhiError('QZ-SIGN-IN', { reason: '会话不存在或已超时 / the session does not exist or has timed out' })
  return { actor: `person ${person.id}`, person: person.id, name: person.name, agency: person.agency, roles: person.roles, via: 'session' }
}

/** Use prolongs a session, written down at most once a minute. */
async function sessionIdentity(query: Query, hash: string, { idle, longest }: SessionRules, now: Date): Promise<Identity | undefined> {
  const since = (minutes: number) => new Date(now.getTime() - minutes * 60_000)
  const [found] = await query<Identity & { used: Date }>(
    `select p.id, p.id as person, p.name, p.agency, s.last_used as used,
       array(select role from person_role where person = p.id order by role) as roles
     from session s join person p on p.id = s.person join agency a on a.code = p.agency
     where s.secret_hash = $1 and s.last_used > $2 and s.created_at > $3 and p.state = 'active' and a.state = 'active'`,
    [hash, since(idle), since(longest)],
  )
  if (found && found.used < since(1)) await query('update session set last_used = $2 where secret_hash = $1', [hash, now])
  return found
}

async function keyIdentity(query: Query, hash: string, now: Date): Promise<Identity | undefined> {
  const [found] = await query<Identity & { used: Date | null }>(
    `select k.id, null as person, k.name, k.agency, array[k.role] as roles, k.last_used as used
     from api_key k join agency a on a.code = k.agency
     where k.secret_hash = $1 and k.ended_at is null and (k.expires_at is null or k.expires_at > $2) and a.state = 'active'`,
    [hash, now],
  )
  if (found && (!found.used || found.used.getTime() < now.getTime() - 60_000)) {
    await query('update api_key set last_used = $2 where secret_hash = $1', [hash, now])
  }
  return found
}

export async function closeSession(query: Query, secret: string): Promise<void> {
  await query('delete from session where secret_hash = $1', [sha256(secret)])
}

/** Signs a person out everywhere. @returns how many sessions ended. */
export async function closeSessions(query: Query, person: string): Promise<number> {
  return (await query('delete from session where person = $1 returning 1', [person])).length
}
