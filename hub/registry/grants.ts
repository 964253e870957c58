import { isDeepStrictEqual } from 'node:util'
import { QianzhiError } from '../../protocol/errors.ts'
import { itemById, type Schema } from '../../protocol/schema.ts'
import type { Query } from '../store/store.ts'
import { requireAgency } from './agencies.ts'
import { writeAudit } from './audit.ts'
import { change, checkCode, type Registry } from './registry.ts'
import { requireResource } from './resources.ts'

/** A grant 授权: what an approved application permits. */
export interface Grant {
  id: string
  resource: string
  agency: string
  /** Item ids; the key goes with every grant. */
  items: string[]
  mode: string
  state: 'active' | 'suspended' | 'revoked'
  reason: string | null
  validTo: Date | null
  /** What becomes of the delivered data when the grant ends. */
  atEnd: 'keep' | 'remove'
}

export interface NewGrant {
  id?: string | undefined
  resource: string
  agency: string
  items: readonly string[]
  validTo?: Date | undefined
  /** `keep` where it is not given. */
  atEnd?: Grant['atEnd'] | undefined
}

const columns = `id, resource, agency, items, mode, state, reason, valid_to as "validTo", at_end as "atEnd" from access_grant`

/** Grants items, which must exist and be open (QZ-REQUEST-INVALID). The same again changes nothing; a taken id is QZ-CONFLICT. */
export async function addGrant(registry: Registry, actor: string, wanted: NewGrant): Promise<Grant> {
  return change(registry, async (query) => {
    await requireAgency(query, wanted.agency)
    const { schema } = await requireResource(query, wanted.resource)
    const items = checkItems(schema, wanted.items)
    const validTo = wanted.validTo ?? null
    if (validTo && validTo <= registry.clock()) throw invalid('到期时间已过', 'its end is in the past')
    await query('select pg_advisory_xact_lock(hashtext($1))', [`grants of ${wanted.resource}`])
    const content = { resource: wanted.resource, agency: wanted.agency, items, validTo, atEnd: wanted.atEnd ?? 'keep' }
    const known = await findSame(query, wanted.id, content)
    if (known) return known
    const id = wanted.id === undefined ? await freeId(query, `${wanted.resource}.${wanted.agency}`) : wanted.id
    checkCode(id, 'grant', 60)
    await query('insert into access_grant (id, resource, agency, items, valid_to, at_end) values ($1, $2, $3, $4, $5, $6)', [
      id,
      wanted.resource,
      wanted.agency,
      items,
      validTo,
      content.atEnd,
    ])
    await writeAudit(query, { actor, act: 'grant.add', object: id, details: content })
    return requireGrant(query, id)
  })
}

function checkItems(schema: Schema, ids: readonly string[]): string[] {
  if (ids.length === 0) throw invalid('没有写信息项', 'it names no item')
  for (const id of ids) {
    const item = itemById(schema, id)
    if (!item) throw invalid(`没有信息项 ${id}`, `item ${id} does not exist`)
    if (item.openness === 'closed') throw invalid(`信息项 ${id} 不公开`, `item ${id} is closed`)
  }
  return schema.items.map((item) => item.id).filter((id) => ids.includes(id))
}

type Content = Pick<Grant, 'resource' | 'agency' | 'items' | 'validTo' | 'atEnd'>

/** A grant of this id (QZ-CONFLICT where it differs), or without an id one in force with this content. */
async function findSame(query: Query, id: string | undefined, content: Content): Promise<Grant | undefined> {
  const same = ({ resource, agency, items, validTo, atEnd }: Grant) =>
    isDeepStrictEqual({ resource, agency, items, validTo, atEnd }, content)
  if (id === undefined) {
    const all = await query<Grant>(`select ${columns} where resource = $1 and agency = $2 and state = 'active'`, [
      content.resource,
      content.agency,
    ])
    return all.find(same)
  }
  const [known] = await query<Grant>(`select ${columns} where id = $1`, [id])
  if (known && !same(known)) throw new QianzhiError('QZ-CONFLICT', { what: `grant ${id}` })
  return known
}

/** The agency's part is cut where the whole would get too long. */
async function freeId(query: Query, wanted: string): Promise<string> {
  const start = wanted.slice(0, 56)
  const taken = await query<{ id: string }>('select id from access_grant where starts_with(id, $1)', [start])
  for (let n = 1; ; n++) {
    const id = n === 1 ? start : `${start}-${n}`
    if (!taken.some((grant) => grant.id === id)) return id
  }
}

/** `active` resumes. A revoked grant stays revoked (QZ-CONFLICT); the same state again changes nothing. Receivers are told the reason. */
export async function setGrantState(registry: Registry, actor: string, id: string, state: Grant['state'], reason: string): Promise<Grant> {
  return change(registry, async (query, concerned) => {
    await query('select from access_grant where id = $1 for update', [id])
    const grant = await requireGrant(query, id)
    if (grant.state === state) return grant
    if (grant.state === 'revoked') throw new QianzhiError('QZ-CONFLICT', { what: `grant ${id} (revoked)` })
    await query('update access_grant set state = $2, reason = $3 where id = $1', [id, state, state === 'active' ? null : reason])
    const act = { active: 'grant.resume', suspended: 'grant.suspend', revoked: 'grant.revoke' }[state]
    await writeAudit(query, { actor, act, object: id, details: { reason } })
    await concernReceivers(query, id, concerned)
    return requireGrant(query, id)
  })
}

/** Other items from now on, as for `addGrant`: the receiver's next policy names them. A revoked grant stays as it is (QZ-CONFLICT). */
export async function setGrantItems(registry: Registry, actor: string, id: string, wanted: readonly string[]): Promise<Grant> {
  return change(registry, async (query, concerned) => {
    await query('select from access_grant where id = $1 for update', [id])
    const grant = await requireGrant(query, id)
    if (grant.state === 'revoked') throw new QianzhiError('QZ-CONFLICT', { what: `grant ${id} (revoked)` })
    const items = checkItems((await requireResource(query, grant.resource)).schema, wanted)
    if (isDeepStrictEqual(items, grant.items)) return grant
    await query('update access_grant set items = $2 where id = $1', [id, items])
    await writeAudit(query, { actor, act: 'grant.items', object: id, details: { before: grant.items, items } })
    await concernReceivers(query, id, concerned)
    return requireGrant(query, id)
  })
}

async function concernReceivers(query: Query, id: string, concerned: Set<string>): Promise<void> {
  for (const { agent } of await query<{ agent: string }>('select agent from route where access_grant = $1', [id])) concerned.add(agent)
}

export async function requireGrant(query: Query, id: string): Promise<Grant> {
  const [grant] = await query<Grant>(`select ${columns} where id = $1`, [id])
  if (!grant) throw new QianzhiError('QZ-NOT-FOUND', { what: `grant ${id}` })
  return grant
}

export function listGrants({ store }: Registry): Promise<Grant[]> {
  return store.query<Grant>(`select ${columns} order by id`)
}

function invalid(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason: `授权:${zh} / grant: ${en}` })
}
