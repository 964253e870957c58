import { isDeepStrictEqual } from 'node:util'
import { QianzhiError } from '../../../protocol/errors.ts'
import { itemById, type Schema } from '../../../protocol/schema.ts'
import { readText, storeText, type LocalizedText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { requireAgency } from '../agencies/agencies.ts'
import type { GrantMasks } from '../../records/masks.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { catalogVersionOf } from '../catalog/version-names.ts'
import { requireResource } from '../catalog/resources.ts'
import { conflict, notFound } from '../../records/refusals.ts'

/** A grant 授权: what an approved application permits. */
export interface Grant {
  id: string
  resource: string
  agency: string
  /** Item ids; the key goes with every grant. */
  items: string[]
  mode: ShareMode
  state: GrantState
  /** A person's own words, or the hub's in both languages. */
  reason: string | LocalizedText | null
  validTo: Date | null
  /** What becomes of the delivered data when the grant ends. */
  atEnd: 'keep' | 'remove'
  /** Whose approval made it; null where the admin key did. */
  application: string | null
  /** Version of what is delivered that the receiver must accept before data flows again, and the catalog version with which it came. */
  heldVersion: number | null
  heldCatalogVersion: number | null
}

/** `held`: waits until the receiver accepts an incompatible version of the resource. The last three are for ever. */
export type GrantState = 'active' | 'suspended' | 'held' | 'revoked' | 'expired' | 'given-up'

export const shareModes = ['query', 'api', 'exchange'] as const
export type ShareMode = (typeof shareModes)[number]

export interface NewGrant {
  id?: string | undefined
  resource: string
  agency: string
  items: readonly string[]
  validTo?: Date | undefined
  /** `keep` where it is not given. */
  atEnd?: Grant['atEnd'] | undefined
}

const columns = `id, resource, agency, items, mode, state, reason, valid_to as "validTo", at_end as "atEnd", application,
  held_version as "heldVersion", ${catalogVersionOf('access_grant.resource', 'held_version')} as "heldCatalogVersion" from access_grant`

/** What a grant shows masked. Throws QZ-NOT-FOUND. */
export async function masksOf(query: Query, grant: string): Promise<GrantMasks> {
  const [row] = await query<{ masks: GrantMasks }>('select masks from access_grant where id = $1', [grant])
  if (!row) throw notFound('grant', grant)
  return row.masks
}

/** Grants items, which must exist and be open (QZ-REQUEST-INVALID). The same again changes nothing; a taken id is QZ-CONFLICT. */
export async function addGrant(registry: Registry, actor: string, wanted: NewGrant): Promise<Grant> {
  return change(registry, async (query) => {
    await requireAgency(query, wanted.agency)
    await shareResource(query, wanted.resource)
    const { schema, state } = await requireResource(query, wanted.resource)
    if (state === 'withdrawn') throw invalid('资源已撤销', 'the resource is withdrawn')
    const items = checkItems(schema, wanted.items)
    const validTo = wanted.validTo ?? null
    if (validTo && validTo <= registry.clock()) throw invalid('到期时间已过', 'its end is in the past')
    await lockGrants(query, wanted.resource)
    const content = { resource: wanted.resource, agency: wanted.agency, items, validTo, atEnd: wanted.atEnd ?? 'keep' }
    const known = await findSame(query, wanted.id, content)
    if (known) return known
    const id = await insertGrant(query, { ...content, id: wanted.id, mode: 'exchange', application: null })
    await writeAudit(query, { actor, act: 'grant.add', object: id, details: content })
    return requireGrant(query, id)
  })
}

type Inserted = Pick<Grant, 'resource' | 'agency' | 'items' | 'mode' | 'validTo' | 'atEnd' | 'application'> & {
  id?: string | undefined
  masks?: GrantMasks
}

/** A new grant in force, in the caller's transaction, which holds the lock of `lockGrants`. @returns its id. */
export async function insertGrant(query: Query, wanted: Inserted): Promise<string> {
  const { resource, agency, items, mode, validTo, atEnd, application, masks = { provider: {}, office: {} } } = wanted
  const id = wanted.id ?? (await freeId(query, `${resource}.${agency}`))
  checkCode(id, 'grant', 60)
  await query(
    `insert into access_grant (id, resource, agency, items, mode, valid_to, at_end, application, masks, basis)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce((select decision from application where id = $8), nextval('decision')))`,
    [id, resource, agency, items, mode, validTo, atEnd, application, JSON.stringify(masks)],
  )
  return id
}

/** A resource stays as it is until the end of the transaction; others may look at it likewise. */
export async function shareResource(query: Query, code: string): Promise<void> {
  await query('select from resource where code = $1 for share', [code])
}

/** Grants of one resource are made one at a time, until the end of the transaction. */
export async function lockGrants(query: Query, resource: string): Promise<void> {
  await query('select pg_advisory_xact_lock(hashtext($1))', [`grants of ${resource}`])
}

export function checkItems(schema: Schema, ids: readonly string[]): string[] {
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
    const inForce = `where resource = $1 and agency = $2 and state = 'active'`
    return (await selectGrants(query, inForce, [content.resource, content.agency])).find(same)
  }
  const [known] = await selectGrants(query, 'where id = $1', [id])
  if (known && !same(known)) throw conflict('grant', id)
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

/** `active` resumes. What has ended stays so (QZ-CONFLICT); the same state again changes nothing. Receivers are told the reason. */
export async function setGrantState(
  registry: Registry,
  actor: string,
  id: string,
  state: 'active' | 'suspended' | 'revoked',
  reason: string,
): Promise<Grant> {
  return change(registry, async (query, affectedAgents) => {
    await query('select from access_grant where id = $1 for no key update', [id])
    const grant = await requireGrant(query, id)
    if (grant.state === state) return grant
    checkInForce(grant)
    if (state === 'active' && grant.state === 'held') throw conflict('grant', id, { zh: '待接收方接受新版本', en: 'held' })
    await query('update access_grant set state = $2 where id = $1', [id, state])
    await explainGrant(query, id, state === 'active' ? null : reason, affectedAgents)
    const act = { active: 'grant.resume', suspended: 'grant.suspend', revoked: 'grant.revoke' }[state]
    await writeAudit(query, { actor, act, object: id, details: { reason } })
    return requireGrant(query, id)
  })
}

/** Why it is in the state in which it now is: its receivers are told by their next poll, and get their new policy. */
export async function explainGrant(
  query: Query,
  id: string,
  reason: string | LocalizedText | null,
  affectedAgents: Set<string>,
): Promise<void> {
  await query('update access_grant set reason = $2 where id = $1', [id, reason === null ? null : storeText(reason)])
  await concernReceivers(query, id, affectedAgents)
}

/** Throws QZ-CONFLICT where it has ended for ever. */
function checkInForce({ id, state }: Grant): void {
  if (endStates.includes(state)) throw conflict('grant', id, { zh: '已终止', en: `ended: ${state}` })
}

const endStates: readonly GrantState[] = ['revoked', 'expired', 'given-up']

/** Other items from now on, as for `addGrant`: the receiver's next policy names them. What has ended stays as it is (QZ-CONFLICT). */
export async function setGrantItems(registry: Registry, actor: string, id: string, wanted: readonly string[]): Promise<Grant> {
  return change(registry, async (query, affectedAgents) => {
    await query('select from access_grant where id = $1 for no key update', [id])
    const grant = await requireGrant(query, id)
    checkInForce(grant)
    const items = checkItems((await requireResource(query, grant.resource)).schema, wanted)
    if (isDeepStrictEqual(items, grant.items)) return grant
    await query('update access_grant set items = $2 where id = $1', [id, items])
    await writeAudit(query, { actor, act: 'grant.items', object: id, details: { before: grant.items, items } })
    await concernReceivers(query, id, affectedAgents)
    return requireGrant(query, id)
  })
}

export async function concernReceivers(query: Query, id: string, affectedAgents: Set<string>): Promise<void> {
  for (const { agent } of await query<{ agent: string }>('select agent from route where access_grant = $1', [id])) affectedAgents.add(agent)
}

export async function requireGrant(query: Query, id: string): Promise<Grant> {
  const [grant] = await selectGrants(query, 'where id = $1', [id])
  if (!grant) throw notFound('grant', id)
  return grant
}

export function listGrants({ store }: Registry): Promise<Grant[]> {
  return selectGrants(store.query, 'order by id')
}

async function selectGrants(query: Query, rest: string, values: unknown[] = []): Promise<Grant[]> {
  return (await query<Grant>(`select ${columns} ${rest}`, values)).map(withReason)
}

/** A grant as it is read from its row, where the reason is a text. */
export function withReason<G extends Pick<Grant, 'reason'>>(row: G): G {
  return typeof row.reason === 'string' ? { ...row, reason: readText(row.reason) } : row
}

function invalid(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `授权：${zh}`, en: `grant: ${en}` } })
}
