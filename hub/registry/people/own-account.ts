import { QianzhiError } from '../../../protocol/errors.ts'
import type { Access } from '../../access/access.ts'
import { setPassword } from './invitations.ts'
import { checkNewPassword } from '../../access/new-password.ts'
import { checkPassword, longestPassword } from '../../access/password-rules.ts'
import { actedBy, type Due, type Principal } from '../../access/principal.ts'
import { closeSession, closeSessions } from '../../access/sessions.ts'
import { accountSql, prove, type Account } from '../../access/sign-in.ts'
import { newTotpSecret, stepOf, totpUri } from '../../access/totp.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, type Registry } from '../../records/registry.ts'
import { wrongState } from '../../records/refusals.ts'

export interface Me {
  /** Null for a machine, as is what follows from it. */
  person: string | null
  login: string | null
  name: string
  agency: string | null
  agencyName: string | null
  roles: readonly string[]
  email: string | null
  phone: string | null
  lastSignIn: Date | null
  passwordExpires: Date | null
  hasFactor: boolean
  /** The roles ask for the second factor. */
  needsFactor: boolean
  due: Due | null
}

interface MyRow {
  login: string
  email: string | null
  phone: string | null
  lastSignIn: Date | null
  passwordSet: Date | null
  hasFactor: boolean
}

export async function readMe({ store }: Registry, { rules }: Access, { person, name, agency, roles, due }: Principal): Promise<Me> {
  const [place] = await store.query<{ name: string }>('select name from agency where code = $1', [agency])
  const [row] = await store.query<MyRow>(
    `select login, email, phone, last_sign_in as "lastSignIn", password_set_at as "passwordSet", factor is not null as "hasFactor"
     from person where id = $1`,
    [person],
  )
  const { passwordSet, ...mine } = row ?? {
    login: null,
    email: null,
    phone: null,
    lastSignIn: null,
    passwordSet: null,
    hasFactor: false,
  }
  const passwordExpires = passwordSet && new Date(passwordSet.getTime() + rules.password.days * 86_400_000)
  const needsFactor = person !== null && roles.some((role) => rules.factor.includes(role))
  return { person, name, agency, agencyName: place?.name ?? null, roles, ...mine, passwordExpires, needsFactor, due: due ?? null }
}

/** The person of a session: a machine has neither password nor second factor. Throws QZ-FORBIDDEN. */
async function myAccount({ store }: Registry, { person }: Principal, operation: string): Promise<Account> {
  const [account] = await store.query<Account>(`${accountSql} where p.id = $1`, [person])
  if (!account) throw new QianzhiError('QZ-FORBIDDEN', { operation })
  return account
}

export interface NewPassword {
  password: string
  next: string
  code?: string | undefined
}

/**
 * Sets another password. The present one is asked for, and the code where there is a second factor; wrong ones count as failed sign-ins.
 * All other sessions end. Throws QZ-SIGN-IN, QZ-SECOND-FACTOR, QZ-RULE.
 */
export async function changePassword(registry: Registry, access: Access, principal: Principal, input: NewPassword): Promise<void> {
  const account = await myAccount(registry, principal, 'me.password')
  const { ip = '', session } = principal
  access.throttle.take(ip, registry.clock())
  checkPassword(input.next, account.login, access.rules.password)
  const right = await access.passwords.verify(input.password.slice(0, longestPassword + 1), account.password)
  if (right) await checkNewPassword(registry.store.query, access, account.id, input.next)
  const hash = await access.passwords.hash(input.next)
  const refusal = await change(registry, async (query) => {
    const now = registry.clock()
    const refusal = await prove(query, access, account, right, input.code, { address: ip, now, ...(session && { session }) })
    if (!refusal) await setPassword(query, account.id, hash, now, { ip, session })
    return refusal
  })
  if (refusal) throw refusal
}

export interface PendingFactor {
  /** Base32, to be typed in where no QR code can be read. */
  secret: string
  /** For a QR code. */
  uri: string
}

/**
 * A new secret, which counts once a code of it has been shown. Where there is a factor already, its code is asked for, and wrong ones
 * count as failed sign-ins. Throws QZ-SIGN-IN, QZ-SECOND-FACTOR.
 */
export async function beginFactor(
  registry: Registry,
  access: Access,
  principal: Principal,
  code: string | undefined,
): Promise<PendingFactor> {
  const account = await myAccount(registry, principal, 'me.factor-begin')
  const { ip = '', session } = principal
  const secret = newTotpSecret()
  const refusal = await change(registry, async (query) => {
    const attempt = { address: ip, now: registry.clock(), ...(session && { session }) }
    // The session proves the password.
    const refusal = await prove(query, access, account, true, code, attempt)
    if (refusal) return refusal
    const pending = access.sealed.seal(secret, `person ${account.id}`)
    await query('update person set factor_pending = $2 where id = $1', [account.id, pending])
    await writeAudit(query, { ...actedBy(principal), act: 'me.factor-begin', object: `person ${account.id}` })
    return undefined
  })
  if (refusal) throw refusal
  return { secret, uri: totpUri(secret, account.login) }
}

/** The factor that was begun counts from now on; other sessions, which were opened without it, end. Throws QZ-SECOND-FACTOR, QZ-STATE. */
export async function confirmFactor(registry: Registry, { sealed }: Access, principal: Principal, code: string): Promise<void> {
  const account = await myAccount(registry, principal, 'me.factor-confirm')
  await change(registry, async (query) => {
    const [row] = await query<{ pending: string | null }>('select factor_pending as pending from person where id = $1 for no key update', [
      account.id,
    ])
    const what = `person ${account.id}`
    if (!row?.pending) throw wrongState('person', account.id, { zh: '未开始', en: 'not begun' }, 'me.factor-confirm')
    const step = stepOf(sealed.open(row.pending, what), code, registry.clock(), 0)
    if (step === undefined) throw new QianzhiError('QZ-SECOND-FACTOR')
    await query('update person set factor = factor_pending, factor_pending = null, factor_step = $2 where id = $1', [account.id, step])
    await closeSessions(query, account.id, principal.session)
    await writeAudit(query, { ...actedBy(principal), act: 'me.factor-confirm', object: what })
  })
}

/** Signs out: this session, or everywhere. */
export async function signOut(registry: Registry, principal: Principal, everywhere: boolean): Promise<void> {
  const { person, session } = principal
  const act = everywhere ? 'session.close-all' : 'session.close'
  if (person === null || session === undefined) throw new QianzhiError('QZ-FORBIDDEN', { operation: act })
  await change(registry, async (query) => {
    if (everywhere) await closeSessions(query, person)
    else await closeSession(query, session)
    await writeAudit(query, { ...actedBy(principal), act, object: `person ${person}` })
  })
}
