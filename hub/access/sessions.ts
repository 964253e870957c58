import { randomBytes } from 'node:crypto'
import { Type } from 'typebox'
import { QianzhiError } from '../../protocol/errors.ts'
import { sha256 } from '../../protocol/signature.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { writeAudit } from '../records/audit.ts'
import { filter, listPage, type Asked, type Listing, type Page } from '../records/listing.ts'
import { networksOf, requireWithin } from '../records/networks.ts'
import { notFound } from '../records/refusals.ts'
import { actedBy, type Due, type Principal } from './principal.ts'
import type { Role } from '../records/roles.ts'
import { defaultAccess, type AccessRules } from './settings.ts'

const sessionPrefix = 'qzs_'
const keyPrefix = 'qzk_'

/** A new session; its secret is shown once. */
export async function openSession(
  query: Query,
  person: string,
  { address, browser = null, now }: { address: string | null; browser?: string | null; now: Date },
): Promise<string> {
  const secret = newSecret(sessionPrefix)
  await query('insert into session (secret_hash, person, created_at, last_used, address, browser) values ($1, $2, $3, $3, $4, $5)', [
    sha256(secret),
    person,
    now,
    address,
    browser?.slice(0, 300) ?? null,
  ])
  return secret
}

export function newSecret(prefix: typeof sessionPrefix | typeof keyPrefix): string {
  return prefix + randomBytes(24).toString('base64url')
}

interface Identity {
  id: string
  name: string
  agency: string
  roles: Role[]
}

/**
 * Whose session or key a secret is; `quiet`: what a page asks by itself is no use of the session, and does not prolong it; `address`: where it
 * is used. Throws QZ-SIGN-IN, QZ-API-ADDRESS.
 */
export async function principalOf(
  registry: Registry,
  secret: string,
  rules: AccessRules = defaultAccess,
  { quiet = false, address = '' }: { quiet?: boolean; address?: string } = {},
): Promise<Principal> {
  const now = registry.clock()
  const hash = sha256(secret)
  const key = secret.startsWith(keyPrefix) ? await keyIdentity(registry.store.query, hash, address, now) : undefined
  if (key) return { actor: `key ${key.id}`, person: null, name: key.name, agency: key.agency, roles: key.roles, via: 'key' }
  const found = secret.startsWith(sessionPrefix) ? await sessionIdentity(registry.store.query, hash, rules, now, quiet) : undefined
  if (!found)
    throw new QianzhiError('QZ-SIGN-IN', { reason: { zh: '会话不存在或已超时', en: 'the session does not exist or has timed out' } })
  const { id, name, agency, roles } = found
  const due = dueOf(found, rules, now)
  return { actor: `person ${id}`, person: id, name, agency, roles, via: 'session', session: hash, ...(due && { due }) }
}

interface Standing {
  roles: readonly Role[]
  passwordSet: Date | null
  hasFactor: boolean
}

/** What somebody must do after signing in before anything else. */
export function dueOf({ roles, passwordSet, hasFactor }: Standing, { password, factor }: AccessRules, now: Date): Due | undefined {
  if (passwordSet && now.getTime() - passwordSet.getTime() > password.days * 86_400_000) return 'password'
  return !hasFactor && roles.some((role) => factor.includes(role)) ? 'factor' : undefined
}

interface SessionIdentity extends Identity {
  passwordSet: Date | null
  hasFactor: boolean
  used: Date
}

/** Use prolongs a session, written down at most once a minute. */
async function sessionIdentity(
  query: Query,
  hash: string,
  { session: { idle, longest } }: AccessRules,
  now: Date,
  quiet: boolean,
): Promise<SessionIdentity | undefined> {
  const [found] = await query<SessionIdentity>(
    `select p.id, p.name, p.agency, s.last_used as used, p.password_set_at as "passwordSet", p.factor is not null as "hasFactor",
       array(select role from person_role where person = p.id order by role) as roles
     from session s join person p on p.id = s.person join agency a on a.code = p.agency
     where s.secret_hash = $1 and s.last_used > $2 and s.created_at > $3 and p.state = 'active' and a.state = 'active'`,
    [hash, before(now, idle), before(now, longest)],
  )
  if (found && !quiet && found.used < before(now, 1)) await query('update session set last_used = $2 where secret_hash = $1', [hash, now])
  return found
}

async function keyIdentity(query: Query, hash: string, address: string, now: Date): Promise<Identity | undefined> {
  const [found] = await query<Identity & { used: Date | null; addresses: string[] | null }>(
    `select k.id, k.name, k.agency, array[k.role] as roles, k.last_used as used, k.addresses
     from api_key k join agency a on a.code = k.agency
     where k.secret_hash = $1 and k.ended_at is null and k.expires_at > $2 and a.state = 'active'`,
    [hash, now],
  )
  if (found?.addresses) requireWithin(networksOf(found.addresses), address)
  if (found && (!found.used || found.used.getTime() < now.getTime() - 60_000)) {
    await query('update api_key set last_used = $2 where secret_hash = $1', [hash, now])
  }
  return found
}

/** @param session hash of its secret, as in a principal. */
export async function closeSession(query: Query, session: string): Promise<void> {
  await query('delete from session where secret_hash = $1', [session])
}

/** Signs a person out everywhere, one session excepted where it is named by the hash of its secret. @returns how many sessions ended. */
export async function closeSessions(query: Query, person: string, except = ''): Promise<number> {
  return (await query('delete from session where person = $1 and secret_hash <> $2 returning 1', [person, except])).length
}

/** A session as people see it. */
export interface ListedSession {
  id: string
  person: string
  personName: string
  agency: string
  created: Date
  lastUsed: Date
  address: string | null
  browser: string | null
  /** Whether it is the one that is asking. */
  current: boolean
}

/** Of person $1 or, where it is null and $2 says so, everybody's; that have not timed out ($3, $4). $5: the hash of the one that asks. */
export const sessionList = {
  select: `select s.id, p.id as person, p.name as "personName", p.agency, s.created_at as created, s.last_used as "lastUsed", s.address, s.browser,
      s.secret_hash = $5 as current
    from session s join person p on p.id = s.person
    where ($2 or p.id = $1::bigint) and s.last_used > $3 and s.created_at > $4`,
  filters: {
    person: filter.equal('person', Type.String({ pattern: '^[0-9]{1,18}$' })),
    agency: filter.equal('agency'),
    text: filter.holds('personName', 'address', 'browser'),
  },
  sorts: { lastUsed: 'timestamptz', created: 'timestamptz', personName: 'text', address: 'text' },
  first: '-lastUsed',
  id: ['id', 'bigint'],
} as const satisfies Listing

/** One's own, or with `all` everybody's. */
export function listSessions(
  registry: Registry,
  { person, session }: Principal,
  { all, rules }: { all: boolean; rules: AccessRules },
  asked: Asked,
): Promise<Page<ListedSession>> {
  const now = registry.clock()
  const { idle, longest } = rules.session
  return listPage(registry.store.query, sessionList, [person, all, before(now, idle), before(now, longest), session ?? ''], asked)
}

/** Signs out one browser. On record. */
export async function endSession(registry: Registry, principal: Principal, id: string): Promise<void> {
  await registry.store.transaction(async (query) => {
    const [ended] = await query<{ person: string }>('delete from session where id::text = $1 returning person', [id])
    if (!ended) throw notFound('session', id)
    await writeAudit(query, { ...actedBy(principal), act: 'session.end', object: `person ${ended.person}`, details: { session: id } })
  })
}

/** Those that have timed out. */
export async function forgetOldSessions(query: Query, { session: { idle, longest } }: AccessRules, now: Date): Promise<void> {
  await query('delete from session where last_used <= $1 or created_at <= $2', [before(now, idle), before(now, longest)])
}

function before(now: Date, minutes: number): Date {
  return new Date(now.getTime() - minutes * 60_000)
}
