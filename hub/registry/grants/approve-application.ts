import type { GrantMasks } from '../../records/masks.ts'
import { nameOfAgency } from '../agencies/agencies.ts'
import { isDeepStrictEqual } from 'node:util'
import { theHub, type Principal } from '../../access/principal.ts'
import { startDeadline } from '../../records/deadlines.ts'
import { notify } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { loadApplication, type Application } from './applications.ts'
import { coveredBy, openItems, whyNotShared, type Covered } from './application-rules.ts'
import { concernReceivers, insertGrant, lockGrants, requireGrant, shareResource, type Grant } from './grants.ts'
import { bindRoute, routesOf } from './routes.ts'
import { record } from '../../records/history.ts'

export interface Granting {
  query: Query
  affectedAgents: Set<string>
  principal: Principal
  now: Date
}

/**
 * Makes the grants and routes of an approved application for all that it covers and that may be shared now, once each: data flows with
 * the commit. Of conditional resources only where the provider consents; who has not been asked yet is asked. @returns the grants.
 */
export async function grantCovered(granting: Granting, { id }: Pick<Application, 'id'>): Promise<Grant[]> {
  const { query } = granting
  // Its machine may be replaced by another.
  await query('select from application where id = $1 for no key update', [id])
  const application = await loadApplication(query, id)
  const made: Grant[] = []
  for (const { code } of await coveredBy(query, application)) {
    await shareResource(query, code)
    await lockGrants(query, code)
    const [resource] = await coveredBy(query, { ...application, resource: code, standard: null })
    if (await mayGrant(granting, application, resource!)) made.push(await grantOne(granting, application, resource!))
  }
  return made
}

/** A publication in a standard and a decision on an application for it wait for each other: whichever comes second sees the first. */
export async function lockStandard(query: Query, standard: string): Promise<void> {
  await query('select pg_advisory_xact_lock(hashtext($1))', [`grants by standard ${standard}`])
}

async function mayGrant(granting: Granting, application: Application, resource: Covered): Promise<boolean> {
  const { query, now } = granting
  const { agency, mode, approvedItems, approvedUntil } = application
  if (approvedUntil && approvedUntil <= now) return false
  if ((await query(`select from agency where code = $1 and state = 'active' for key share`, [agency])).length === 0) return false
  if (whyNotShared(resource, mode) || openItems(resource.schema, approvedItems ?? []).length === 0) return false
  if (await decidedSince(query, application, resource.code)) return false
  if (resource.sharing === 'unconditional') return true
  const consent = application.consents.find((one) => one.resource === resource.code)
  if (!consent) await askConsent(granting, application, resource)
  return consent?.state === 'consented'
}

/**
 * Whether what this approval permits has been granted, or decided otherwise since: by a newer approval that took its place, or by the end of
 * what its agency had. An approval gives access once; what was taken away takes another one.
 */
async function decidedSince(query: Query, { id, agency, mode, agent }: Application, resource: string): Promise<boolean> {
  const decided = await query(
    `select from application a join access_grant g on g.resource = $2 and g.agency = $3 and g.mode = $4
     where a.id = $1 and (g.application = a.id
       or g.ended > a.decision and (g.state <> 'expired' or ${sameMachine})
       or g.basis > a.decision and g.state in ('active', 'suspended', 'held') and ${sameMachine}) limit 1`,
    [id, resource, agency, mode, agent],
  )
  return decided.length > 0
}

/** Grants of an agency to two of its machines stand beside each other. */
const sameMachine = `($5::text is null or exists (select from route where access_grant = g.id and agent = $5))`

/** The provider of a conditional resource is asked (Art. 5). */
export async function askConsent(
  { query, now }: Pick<Granting, 'query' | 'now'>,
  { id, agency }: Application,
  { code, title, agency: provider }: Covered,
): Promise<void> {
  const added = await query(
    `insert into application_consent (application, resource, state, at) values ($1, $2, 'asked', $3) on conflict do nothing returning 1`,
    [id, code, now],
  )
  if (added.length === 0) return
  await startDeadline(query, { kind: 'application-reply', object: `consent ${id} ${code}`, agency: provider, role: 'reviewer', from: now })
  const agencyName = await nameOfAgency(query, agency)
  await notify(query, {
    to: { agency: provider, role: 'reviewer' },
    kind: 'application-consent',
    object: `application ${id}`,
    zh: `${agencyName}申请使用有条件共享的资源《${title}》（申请 ${id}），请答复是否同意`,
    en: `${agencyName} asks for the conditional resource ${title} (application ${id}): consent or object`,
  })
}

async function grantOne(granting: Granting, application: Application, resource: Covered): Promise<Grant> {
  const { query, affectedAgents } = granting
  const known = await grantInForce(query, application, resource.code)
  const grant = known ? await replaceGrant(granting, known, application, resource) : await newGrant(granting, application, resource)
  await concernReceivers(query, grant.id, affectedAgents)
  if (application.mode === 'exchange') await deliver(granting, grant, application, resource)
  const agencyName = await nameOfAgency(query, application.agency)
  await notify(query, {
    to: { agency: resource.agency, role: 'reviewer' },
    kind: 'grant',
    object: `grant ${grant.id}`,
    zh: `资源《${resource.title}》已授权${agencyName}使用`,
    en: `${resource.title} is granted to ${agencyName}`,
  })
  return grant
}

/** Two routes of one resource into one machine would fill one table: the newest approval takes the place of the one before. */
async function grantInForce(query: Query, { agency, mode, agent }: Application, resource: string): Promise<Grant | undefined> {
  const [known] = await query<{ id: string }>(
    `select id from access_grant g where resource = $1 and agency = $2 and mode = $3 and state in ('active', 'suspended', 'held')
       and ($4::text is null or exists (select from route where access_grant = g.id and agent = $4))
     order by id limit 1 for no key update`,
    [resource, agency, mode, agent],
  )
  return known && requireGrant(query, known.id)
}

interface Content {
  application: string
  items: string[]
  validTo: Date | null
  atEnd: Grant['atEnd']
}

function contentOf({ id, approvedItems, approvedUntil, atEnd }: Application, { schema }: Covered): Content {
  return { application: id, items: openItems(schema, approvedItems ?? []), validTo: approvedUntil, atEnd }
}

/** The provider's as it consented, the office's as it approved. */
function masksDecided({ consents, masks }: Application, { code }: Covered): GrantMasks {
  return { provider: consents.find(({ resource }) => resource === code)?.masks ?? {}, office: masks }
}

async function newGrant({ query, principal, now }: Granting, application: Application, resource: Covered): Promise<Grant> {
  const { agency, mode } = application
  const content = contentOf(application, resource)
  const masks = masksDecided(application, resource)
  const id = await insertGrant(query, { ...content, resource: resource.code, agency, mode, masks })
  const isMasked = Object.values(masks).some((side) => Object.keys(side).length > 0)
  const input = { ...content, resource: resource.code, agency, mode, ...(isMasked && { masks }) }
  await record(query, { workflow: 'grant', object: id, event: 'create', from: null, to: 'active', principal, input, now })
  return requireGrant(query, id)
}

/**
 * It goes on under the same name with what was approved now; a suspension stays, the version in force is accepted with it. What was masked and
 * is not spoken of stays masked.
 */
async function replaceGrant(
  { query, principal, now }: Granting,
  known: Grant,
  application: Application,
  resource: Covered,
): Promise<Grant> {
  const { items, validTo, atEnd, application: id } = contentOf(application, resource)
  const to = known.state === 'held' ? 'active' : known.state
  const masks = masksDecided(application, resource)
  await query(
    `update access_grant set items = $2,
       masks = jsonb_build_object('provider', (masks -> 'provider') || $7::jsonb, 'office', (masks -> 'office') || $8::jsonb), valid_to = $3, at_end = $4, application = $5, state = $6, held_version = null,
       basis = (select decision from application where id = $5),
       reason = case when $6 = 'active' then null else reason end where id = $1`,
    [known.id, items, validTo, atEnd, id, to, JSON.stringify(masks.provider), JSON.stringify(masks.office)],
  )
  const before = { items: known.items, validTo: known.validTo, application: known.application }
  const input = isDeepStrictEqual(items, known.items)
    ? { application: id, validTo, atEnd, before }
    : { application: id, items, validTo, atEnd, before }
  await record(query, { workflow: 'grant', object: known.id, event: 'replace', from: known.state, to, principal, input, now })
  return requireGrant(query, known.id)
}

async function deliver(
  { query, affectedAgents, principal, now }: Granting,
  grant: Grant,
  { agent }: Application,
  { agency }: Covered,
): Promise<void> {
  if (agent === null || (await routesOf(query, grant.id)).some((route) => route.agent === agent)) return
  const route = await bindRoute(query, grant, agent, affectedAgents, now)
  const input = { grant: grant.id, agent }
  await record(query, { workflow: 'route', object: route.id, event: 'create', from: null, to: 'active', principal, input, now })
  const object = `route ${route.id}`
  await startDeadline(query, { kind: 'delivery', object, agency, role: 'agency-it', from: now, waits: 'receiver' })
}

/**
 * A resource was published, newly or again, in the caller's transaction: approved applications for its standard cover it from now on
 * (Art. 16), at once where it is unconditional, else when its provider consents.
 */
export async function resourcePublished(query: Query, affectedAgents: Set<string>, resource: { code: string }, now: Date): Promise<void> {
  const [found] = await query<{ standard: string | null }>('select standard from resource where code = $1', [resource.code])
  if (found?.standard == null) return
  await lockStandard(query, found.standard)
  const approved = await query<{ id: string }>(
    `select id from application a where standard = $1 and state = 'approved' and (approved_until is null or approved_until > $2)
       and agency <> (select agency from resource where code = $3) order by id`,
    [found.standard, now, resource.code],
  )
  for (const application of approved) await grantCovered({ query, affectedAgents, principal: theHub, now }, application)
}
