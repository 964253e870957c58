import { randomBytes } from 'node:crypto'
import type { EnrolRequest } from '../../../protocol/api.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { sha256 } from '../../../protocol/signature.ts'
import type { Query } from '../../store/store.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { keysTopic } from './agent-keys.ts'
import { changeMachines } from './concerned.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import { writeAudit } from '../../records/audit.ts'
import { machineEnrolled } from './machines.ts'
import { change, type Registry } from '../../records/registry.ts'
import { conflict } from '../../records/refusals.ts'
import { readRevocation, type Agent } from '../../records/agents.ts'

export interface IssuedToken {
  secret: string
  expires: Date
}

/** A secret that enrols one agent of an agency; only its hash is kept. */
export async function issueToken(registry: Registry, actor: Principal | string, agency: string, hours: number): Promise<IssuedToken> {
  const expires = new Date(registry.clock().getTime() + hours * 3_600_000)
  const { secret } = await change(registry, (query) => addToken(query, actor, agency, expires))
  return { secret, expires }
}

/** Within a transaction. @returns also the agency's name. */
export async function addToken(
  query: Query,
  actor: Principal | string,
  agency: string,
  expires: Date,
): Promise<{ name: string; secret: string }> {
  const secret = randomBytes(24).toString('base64url')
  const { name } = await requireAgency(query, agency)
  await query('insert into enrolment_token (secret_hash, agency, expires_at) values ($1, $2, $3)', [sha256(secret), agency, expires])
  await writeAudit(query, { ...actedBy(actor), act: 'token.issue', object: agency, details: { expires: expires.toISOString() } })
  return { name, secret }
}

interface Token {
  agency: string
  expires_at: Date
  used_by: string | null
  /** The application for a front-end machine to which it was given. */
  machine: string | null
}

/**
 * Enrols the key with a token (QZ-TOKEN). A token enrols one key; the same key again gets the same answer, also after the token has
 * expired, so that an agent which lost the answer can ask again. A key stays with its agency (QZ-CONFLICT) and stays revoked
 * (QZ-AGENT-REVOKED).
 */
export async function enrol(registry: Registry, request: EnrolRequest): Promise<Agent> {
  const enrolled = await change(registry, async (query, affectedAgents) => {
    // The agency is not closed meanwhile, which would end the token.
    await query('select from agency where code = (select agency from enrolment_token where secret_hash = $1) for key share', [
      sha256(request.secret),
    ])
    const [token] = await query<Token>(
      'select agency, expires_at, used_by, machine from enrolment_token where secret_hash = $1 for update',
      [sha256(request.secret)],
    )
    if (!token) throw new QianzhiError('QZ-TOKEN', { reason: { zh: '不存在', en: 'unknown' } })
    const known = await agentWithKey(query, request.publicKey)
    if (known?.state === 'revoked') throw await readRevocation(query, known.id)
    if (token.used_by !== null && token.used_by === known?.id) return known
    if (token.used_by !== null)
      throw new QianzhiError('QZ-TOKEN', { reason: { zh: '已被另一密钥使用', en: 'used already by another key' } })
    if (token.expires_at <= registry.clock()) throw new QianzhiError('QZ-TOKEN', { reason: await whyExpired(query, token) })
    if (known && known.agency !== token.agency) throw conflict('agent', known.id, { zh: '密钥已在用', en: 'its key is in use' })
    return changeMachines(query, token.agency, affectedAgents, async () => {
      const agent = known ?? (await addAgent(query, token.agency, request))
      await query('update enrolment_token set used_by = $2 where secret_hash = $1', [sha256(request.secret), agent.id])
      await writeAudit(query, {
        actor: agent.id,
        agency: agent.agency,
        via: 'agent',
        act: 'agent.enrol',
        object: agent.id,
        details: { agency: agent.agency, publicKey: request.publicKey },
      })
      if (token.machine !== null) await machineEnrolled(registry, query, affectedAgents, { machine: token.machine, agent: agent.id })
      return agent
    })
  })
  registry.wakeups.wake(keysTopic)
  return enrolled
}

/** One that was issued later for the same machine has ended it. */
async function whyExpired(query: Query, { machine, expires_at: expires }: Token): Promise<LocalizedText> {
  const later = await query('select from enrolment_token where machine = $1 and expires_at > $2 limit 1', [machine, expires])
  if (later.length > 0) return { zh: '已被后来签发的令牌取代，请使用新令牌', en: 'replaced by one that was issued later: use that one' }
  return { zh: '已过期，请向市电子政务办重新索取', en: 'expired: ask for a new one' }
}

async function agentWithKey(query: Query, publicKey: string): Promise<Agent | undefined> {
  const [agent] = await query<Agent>('select id, agency, name, state from agent where public_key = $1', [publicKey])
  return agent
}

/** The id comes from the key, so that it is the same again should the hub's store be restored to a time before the enrolment. */
async function addAgent(query: Query, agency: string, { publicKey, name }: EnrolRequest): Promise<Agent> {
  const id = `${agency}-${sha256(publicKey).slice(0, 8)}`
  await query('insert into agent (id, agency, name, public_key) values ($1, $2, $3, $4)', [id, agency, name, publicKey])
  return { id, agency, name, state: 'active' }
}
