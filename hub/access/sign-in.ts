import { counted } from '../../protocol/localized.ts'
import { QianzhiError, type ErrorCode } from '../../protocol/errors.ts'
import { writeAudit } from '../records/audit.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { notify } from '../records/notices.ts'
import type { Access } from './access.ts'
import { longestPassword } from './password-rules.ts'
import type { Due } from './principal.ts'
import type { Role } from '../records/roles.ts'
import { dueOf, forgetOldSessions, openSession } from './sessions.ts'
import type { AccessRules } from './settings.ts'
import { stepOf } from './totp.ts'

/** What somebody proves with who they are. */
export interface Credentials {
  login: string
  password: string
  /** Of the second factor. */
  code?: string | undefined
}

export interface SignedIn {
  /** The session's secret. */
  token: string
  person: string
  name: string
  agency: string
  roles: Role[]
  due: Due | null
}

export interface Account {
  id: string
  login: string
  name: string
  agency: string
  state: string
  password: string | null
  passwordSet: Date | null
  factor: string | null
  factorStep: string
  failures: number
  lockedUntil: Date | null
  roles: Role[]
}

export const accountSql = `select p.id, p.login, p.name, p.agency, case when a.state = 'active' then p.state else 'closed' end as state,
    p.password, p.password_set_at as "passwordSet", p.factor, p.factor_step as "factorStep", p.failures, p.locked_until as "lockedUntil",
    array(select role from person_role where person = p.id order by role) as roles
  from person p join agency a on a.code = p.agency`

/**
 * Opens a session. Throws QZ-SIGN-IN, the same and after the same time whether the login name is unknown, the password wrong or the
 * account locked; QZ-SECOND-FACTOR where only the code is missing; QZ-SIGN-IN-RATE, QZ-HUB-BUSY. Every outcome is on record.
 */
export async function signIn(
  registry: Registry,
  access: Access,
  credentials: Credentials,
  address: string,
  browser: string | null = null,
): Promise<SignedIn> {
  access.throttle.take(address, registry.clock())
  const [known] = await registry.store.query<Account>(`${accountSql} where p.login = $1`, [credentials.login.toLowerCase()])
  const { password } = credentials
  const right = await access.passwords.verify(password.slice(0, longestPassword + 1), known?.password ?? null)
  const rehashed = right && access.passwords.isOutdated(known!.password!) ? await access.passwords.hash(password) : null
  // What follows is committed also where it ends in a refusal.
  const outcome = await registry.store.transaction(async (query) => {
    const refusal = await prove(query, access, known ?? nobody, right, credentials.code, { address, now: registry.clock() })
    return refusal ?? open(query, access.rules, known!, rehashed, { address, browser, now: registry.clock() })
  })
  if (outcome instanceof QianzhiError) throw outcome
  return outcome
}

/** Whoever is not known here: the same is done, so that the time tells nothing. */
const nobody: Account = {
  id: '0',
  login: '',
  name: '',
  agency: '',
  state: 'unknown',
  password: null,
  passwordSet: null,
  factor: null,
  factorStep: '0',
  failures: 0,
  lockedUntil: null,
  roles: [],
}

const refused = { act: 'session.open', outcome: 'QZ-SIGN-IN' satisfies ErrorCode } as const

/** One error for all that may be wrong. */
function wrongCredentials(): QianzhiError {
  const zh = '登录名、口令或验证码有误；多次失败后账户会锁定一段时间'
  const en = 'login name, password or code is wrong; after several failures an account is locked for a while'
  return new QianzhiError('QZ-SIGN-IN', { reason: { zh, en } })
}

interface Attempt {
  address: string
  /** As it calls itself. */
  browser?: string | null
  now: Date
  /** Hash of the session in which it is tried. */
  session?: string
}

/**
 * Judges a proof whose password has been compared, and counts failures: under the row's lock, so that attempts made at once count one by
 * one and none slips through between the fifth failure and the lock-out. @returns why it is refused.
 */
export async function prove(
  query: Query,
  { rules, sealed }: Access,
  compared: Account,
  right: boolean,
  code: string | undefined,
  attempt: Attempt,
): Promise<QianzhiError | undefined> {
  const { address, now } = attempt
  await query('select from person where id = $1 for no key update', [compared.id])
  const [account = nobody] = await query<Account>(`${accountSql} where p.id = $1`, [compared.id])
  const usable = account.state === 'active' && !(account.lockedUntil && account.lockedUntil > now)
  const proved = usable && right && account.password === compared.password
  if (proved && account.factor !== null && code === undefined) return new QianzhiError('QZ-SECOND-FACTOR')
  const secret = proved && account.factor !== null ? sealed.open(account.factor, `person ${account.id}`) : null
  const step = secret === null ? 0 : stepOf(secret, code!, now, Number(account.factorStep))
  if (proved && step !== undefined) {
    await query('update person set failures = 0, locked_until = null, factor_step = greatest(factor_step, $2) where id = $1', [
      compared.id,
      step,
    ])
    return undefined
  }
  await countFailure(query, rules, usable ? account : nobody, now)
  const actor = attempt.session === undefined ? `address ${address}` : `person ${compared.id}`
  // What was typed as a login name may be a password: it is not written down.
  const object = account === nobody ? 'person ?' : `person ${compared.id}`
  await writeAudit(query, { actor, agency: account.agency || null, ip: address, ...refused, object })
  return wrongCredentials()
}

async function countFailure(query: Query, { lock }: AccessRules, { id, agency, failures }: Account, now: Date): Promise<void> {
  const count = failures + 1
  const minutes = count < lock.failures ? 0 : Math.min(lock.minutes * 2 ** (count - lock.failures), lock.longest)
  const until = minutes > 0 ? new Date(now.getTime() + minutes * 60_000) : null
  await query('update person set failures = $2, locked_until = $3 where id = $1', [id, count, until])
  if (!until) return
  await writeAudit(query, { actor: 'hub', agency, act: 'person.lock', object: `person ${id}`, details: { failures: count, minutes } })
  await notify(query, {
    to: [{ person: id }, { role: 'security-admin' }],
    kind: 'person-locked',
    object: `person ${id}`,
    zh: `连续 ${count} 次登录失败，账户锁定 ${minutes} 分钟`,
    en: `After ${counted(count, 'failed sign-in')} in a row the account is locked for ${counted(minutes, 'minute')}`,
  })
}

async function open(
  query: Query,
  rules: AccessRules,
  { id, name, agency, roles, passwordSet, factor }: Account,
  rehashed: string | null,
  { address, browser = null, now }: Attempt,
): Promise<SignedIn> {
  await forgetOldSessions(query, rules, now)
  const token = await openSession(query, id, { address, browser, now })
  await query('update person set last_sign_in = $2, password = coalesce($3, password) where id = $1', [id, now, rehashed])
  await writeAudit(query, { actor: `person ${id}`, agency, via: 'session', ip: address, act: 'session.open', object: `person ${id}` })
  return { token, person: id, name, agency, roles, due: dueOf({ roles, passwordSet, hasFactor: factor !== null }, rules, now) ?? null }
}
