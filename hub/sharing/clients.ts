/** Credentials of programs that call the API: OAuth 2.0 clients, each for one grant. */
import { createHash, randomBytes } from 'node:crypto'
import { importJWK, type JWK } from 'jose'
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { actedBy, type Principal } from '../access/principal.ts'
import { writeAudit } from '../records/audit.ts'
import { networksOf } from '../records/networks.ts'
import { notFound, rule } from '../records/refusals.ts'
import { change, type Registry } from '../records/registry.ts'
import { requireGrant } from '../registry/grants/grants.ts'
import type { Query } from '../store/store.ts'

export interface Client {
  id: string
  grant: string
  name: string
  addresses: string[] | null
  createdBy: string
  created: Date
  ended: Date | null
  keys: { kind: 'secret' | 'key'; created: Date; ends: Date | null }[]
}

export interface NewClient {
  name: string
  /** Public key of its assertions; left out, it gets a secret. */
  jwk?: Record<string, unknown> | undefined
  /** Addresses or networks (`10.1.2.0/24`) that it may call from. */
  addresses?: string[] | undefined
}

/** What is told once, and never again. */
export interface Issued {
  client: Client
  secret: string | null
}

/** Clients of one grant that work at once. */
const most = 10

/** Makes a credential of a grant in mode API. Throws QZ-RULE, QZ-REQUEST-INVALID. */
export async function createClient(registry: Registry, principal: Principal, grantId: string, wanted: NewClient): Promise<Issued> {
  const jwk = wanted.jwk && (await checkedKey(wanted.jwk))
  for (const network of wanted.addresses ?? []) networksOf([network])
  return change(registry, async (query) => {
    await query('select from access_grant where id = $1 for no key update', [grantId])
    const grant = await requireGrant(query, grantId)
    if (grant.mode !== 'api') throw rule('只有数据接口方式的授权才有接口凭证', 'only grants in mode API have credentials')
    if (!['active', 'suspended', 'held'].includes(grant.state)) throw rule('授权已终止', 'the grant has ended')
    const live = await query(`select from api_client c where access_grant = $1 and ended_at is null and ${callsSql}`, [grantId])
    if (live.length >= most) throw rule(`一项授权至多 ${most} 个有效凭证`, `a grant has at most ${most} credentials at once`)
    const id = clientId('qzc')
    await query('insert into api_client (id, access_grant, name, addresses, created_by, created_at) values ($1, $2, $3, $4, $5, $6)', [
      id,
      grantId,
      wanted.name,
      wanted.addresses ?? null,
      principal.actor,
      registry.clock(),
    ])
    const secret = await addKey(query, id, jwk, registry.clock())
    await writeAudit(query, {
      ...actedBy(principal),
      act: 'credential.create',
      object: id,
      details: { grant: grantId, ...wanted, jwk: undefined },
    })
    return { client: await requireClient(query, id), secret }
  })
}

/** Another secret or key; those before work for `hours` more, so that there is no gap. Throws QZ-NOT-FOUND, QZ-RULE. */
export async function rotateClient(
  registry: Registry,
  principal: Principal,
  { grant, id, hours, jwk: given }: { grant: string; id: string; hours: number; jwk?: Record<string, unknown> | undefined },
): Promise<Issued> {
  const jwk = given && (await checkedKey(given))
  return change(registry, async (query) => {
    const client = await lockClient(query, grant, id)
    if (client.ended) throw rule('凭证已终止', 'the credential has ended')
    const now = registry.clock()
    const ends = new Date(now.getTime() + hours * 3_600_000)
    await query('update api_client_key set ends_at = least(ends_at, $2) where client = $1', [id, ends])
    const secret = await addKey(query, id, jwk, now)
    await writeAudit(query, { ...actedBy(principal), act: 'credential.rotate', object: id, details: { grant, hours } })
    return { client: await requireClient(query, id), secret }
  })
}

/** It works no more, at once. Throws QZ-NOT-FOUND. The same again changes nothing. */
export async function endClient(registry: Registry, principal: Principal, grant: string, id: string): Promise<Client> {
  return change(registry, async (query) => {
    const client = await lockClient(query, grant, id)
    if (client.ended) return client
    await query('update api_client set ended_at = $2 where id = $1', [id, registry.clock()])
    await writeAudit(query, { ...actedBy(principal), act: 'credential.end', object: id, details: { grant } })
    return requireClient(query, id)
  })
}

/** Names it alone. `kind`: of a credential, or a webhook. */
export function clientId(kind: 'qzc' | 'qzw'): string {
  return `${kind}-${randomBytes(9)
    .toString('base64url')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '0')}`
}

async function addKey(query: Query, client: string, jwk: JWK | undefined, now: Date): Promise<string | null> {
  const secret = jwk ? null : `qzs_${randomBytes(32).toString('base64url')}`
  await query('insert into api_client_key (client, secret_hash, jwk, created_at) values ($1, $2, $3, $4)', [
    client,
    secret === null ? null : secretHash(secret),
    jwk ? JSON.stringify(jwk) : null,
    now,
  ])
  return secret
}

export function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

async function lockClient(query: Query, grant: string, id: string): Promise<Client> {
  await query('select from api_client where id = $1 for no key update', [id])
  const client = await requireClient(query, id)
  if (client.grant !== grant) throw notFound('credential', id)
  return client
}

const clientSql = `
  select c.id, c.access_grant as grant, c.name, c.addresses, c.created_by as "createdBy", c.created_at as created, c.ended_at as ended,
    (select json_agg(json_build_object('kind', case when k.jwk is null then 'secret' else 'key' end, 'created', k.created_at, 'ends', k.ends_at)
      order by k.id) from api_client_key k where k.client = c.id) as keys
  from api_client c`

/** SQL: whether client `c` calls the hub; the others are webhooks, which the hub calls. */
const callsSql = '(not exists (select from webhook h where h.client = c.id))'

async function requireClient(query: Query, id: string): Promise<Client> {
  const [client] = await query<Client>(`${clientSql} where c.id = $1 and ${callsSql}`, [id])
  if (!client) throw notFound('credential', id)
  return client
}

export function listClients(query: Query, grant: string): Promise<Client[]> {
  return query<Client>(`${clientSql} where c.access_grant = $1 and ${callsSql} order by c.created_at, c.id`, [grant])
}

/** Signatures that assertions may have (RFC 7518, RFC 8037): no shared secrets, no `none`. */
export const assertionAlgorithms = ['EdDSA', 'ES256', 'RS256', 'PS256']

/** A public key that assertions can be verified with. Throws QZ-REQUEST-INVALID. */
async function checkedKey(jwk: Record<string, unknown>): Promise<JWK> {
  const { kty, crv, x, y, n, e, kid } = jwk as JWK & Record<string, string>
  if ('d' in jwk || 'k' in jwk) throw invalid({ zh: '公钥中含有私钥部分', en: 'the key holds its private part' })
  const known = { OKP: crv === 'Ed25519', EC: crv === 'P-256', RSA: typeof n === 'string' && Buffer.from(n, 'base64url').length >= 256 }
  if (!known[kty as 'EC']) {
    throw invalid({
      zh: '公钥须为 Ed25519、P-256，或至少 2048 位的 RSA（JWK）',
      en: 'the key must be Ed25519, P-256 or RSA of at least 2048 bits (JWK)',
    })
  }
  const clean = Object.fromEntries(Object.entries({ kty, crv, x, y, n, e, kid }).filter(([, value]) => value !== undefined)) as JWK
  await importJWK(clean, kty === 'RSA' ? 'RS256' : kty === 'EC' ? 'ES256' : 'EdDSA').catch((cause: unknown) => {
    throw invalid({ zh: '公钥无法读取', en: 'the key cannot be read' }, cause)
  })
  return clean
}

function invalid(reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason }, { cause })
}
