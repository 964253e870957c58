import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { sha256 } from '../../../protocol/signature.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import { machineRoles, type Role } from '../../records/roles.ts'
import { newSecret } from '../../access/sessions.ts'
import { notify } from '../../records/notices.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, type Registry } from '../../records/registry.ts'
import { networksOf } from '../../records/networks.ts'
import { notFound, rule } from '../../records/refusals.ts'
import type { Query } from '../../store/store.ts'

/** A machine's key to the registry's API. */
export interface Key {
  id: string
  agency: string
  name: string
  role: Role
  state: 'active' | 'expired' | 'ended'
  expires: Date
  ended: Date | null
  createdBy: string
  created: Date
  lastUsed: Date | null
  /** Addresses or networks that it may be used from; null: from anywhere. */
  addresses: string[] | null
}

const keySql = `select id, agency, name, role,
    case when ended_at is not null then 'ended' when expires_at <= $1 then 'expired' else 'active' end as state,
    expires_at as expires, ended_at as ended, created_by as "createdBy", created_at as created, last_used as "lastUsed", addresses
  from api_key`

export const keyList = {
  select: `select * from (${keySql}) k where $2::text is null or k.agency = $2`,
  filters: {
    state: filter.among('state', ['active', 'expired', 'ended']),
    agency: filter.equal('agency'),
    role: filter.among('role', machineRoles),
    text: filter.holds('id', 'name'),
  },
  sorts: {
    id: 'bigint',
    name: 'text',
    agency: 'text',
    role: 'text',
    created: 'timestamptz',
    expires: 'timestamptz',
    lastUsed: 'timestamptz',
  },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listKeys({ store, clock }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<Key>> {
  return listPage(store.query, keyList, [clock(), agencyScope], asked)
}

const longestDays = 365

export interface NewKey {
  agency: string
  name: string
  role: Role
  /** How long it is good for, at most a year. */
  days?: number
  addresses?: string[]
}

/**
 * The secret is shown this once. Throws QZ-RULE for a role that machines may not have, and for a wall screen of an agency that watches over no
 * others; QZ-REQUEST-INVALID for addresses that are none.
 */
export async function createKey(
  registry: Registry,
  principal: Principal,
  { agency, name, role, days = longestDays, addresses }: NewKey,
): Promise<Key & { secret: string }> {
  if (!machineRoles.includes(role) || !(days > 0 && days <= longestDays)) {
    const zh = `密钥只能有角色 ${machineRoles.join('、')}，有效期不超过 ${longestDays} 天`
    const en = `a key has one of the roles ${machineRoles.join(', ')} and is good for ${longestDays} days at most`
    throw new QianzhiError('QZ-RULE', { reason: { zh, en } })
  }
  if (addresses) networksOf(addresses)
  const secret = newSecret('qzk_')
  const now = registry.clock()
  const expires = new Date(now.getTime() + days * 86_400_000)
  return change(registry, async (query) => {
    await requireAgency(query, agency)
    if (role === 'display') await requireWatching(query, agency)
    const [{ id }] = (await query<{ id: string }>(
      `insert into api_key (secret_hash, agency, name, role, expires_at, created_by, created_at, addresses)
       values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
      [sha256(secret), agency, name, role, expires, principal.actor, now, addresses ?? null],
    )) as [{ id: string }]
    const details = { agency, name, role, expires: expires.toISOString(), ...(addresses && { addresses }) }
    await writeAudit(query, { ...actedBy(principal), act: 'key.create', object: `key ${id}`, details })
    await notify(query, {
      to: { agency, role: 'agency-it' },
      kind: 'key-created',
      object: `key ${id}`,
      zh: `为本单位签发了接口密钥“${name}”`,
      en: `An API key "${name}" was issued for your agency`,
    })
    const [key] = await query<Key>(`${keySql} where id = $2`, [now, id])
    return { ...key!, secret }
  })
}

/** The whole city's figures are for offices that see them anyway. */
async function requireWatching(query: Query, agency: string): Promise<void> {
  const [found] = await query(
    `select from person p join person_role r on r.person = p.id
     where p.agency = $1 and p.state <> 'disabled' and r.role in ('office', 'supervisor') limit 1`,
    [agency],
  )
  if (!found) throw rule('大屏密钥只签发给市电子政务办或监察机关', 'keys of wall screens are for the office and for supervisors')
}

/** At once and for ever. The same again changes nothing. */
export async function endKey(registry: Registry, principal: Principal, id: string): Promise<Key> {
  return change(registry, async (query) => {
    const now = registry.clock()
    const ended = await query('update api_key set ended_at = $2 where id::text = $1 and ended_at is null returning 1', [id, now])
    if (ended.length > 0) await writeAudit(query, { ...actedBy(principal), act: 'key.end', object: `key ${id}` })
    const [key] = await query<Key>(`${keySql} where id::text = $2`, [now, id])
    if (!key) throw notFound('key', id)
    return key
  })
}
