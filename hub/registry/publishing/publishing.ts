import type { Schema } from '../../../protocol/schema.ts'
import type { Publisher } from '../../access/principal.ts'
import type { Query } from '../../store/store.ts'
import { concernResource } from '../machines/concerned.ts'
import { nameForm } from '../../records/name-form.ts'
import { writeAudit } from '../../records/audit.ts'
import { notePhase } from '../../records/phases.ts'
import { conflict } from '../../records/refusals.ts'
import type { Registry } from '../../records/registry.ts'
import { listEntries, requireEntry, type Entry, type PublishedContent } from '../catalog/catalog.ts'
import { nextSequence, requireClassification } from '../catalog/classification.ts'
import { incompatibilities, travelsDifferently } from '../catalog/compatibility.ts'
import { lockStandard, resourcePublished } from '../grants/approve-application.ts'
import { endGrantsOf } from '../grants/ending.ts'
import { shareModes } from '../grants/grants.ts'
import { followSharing } from '../grants/awaiting.ts'
import { holdGrants } from '../grants/holds.ts'
import { noteItems } from '../catalog/one-source.ts'
import { indexResource } from '../catalog/search.ts'

export interface Publishing {
  registry: Registry
  code: string
  agency: string
  content: PublishedContent
  standard: string | null
  principal: Publisher
  /** Items whose new labels or roles say the same as before in other words; every one where an operator publishes. */
  sameMeaning: readonly string[] | 'all'
  /** What a registration adds to the record. */
  submitted?: { registration: string; by: string; at: Date; secrecyReview: unknown }
  now: Date
}

/**
 * Puts a catalog entry into force: the resource, a new schema version where what travels changes, the catalog version on record, and
 * what hangs on it (search, one source, grants that an incompatible version holds, policies). Checks nothing; `before` is the entry in
 * force, read under the lock of `lockResource`.
 */
export async function putEntry(
  query: Query,
  affectedAgents: Set<string>,
  publishing: Publishing,
  before: Entry | undefined,
): Promise<Entry> {
  const { code, agency, content } = publishing
  const version = nextVersion(publishing, before)
  const schema: Schema = { resource: code, version, title: content.title, agency, table: content.table, items: content.items }
  const number = (before?.catalogVersion ?? 0) + 1
  await writeResource(query, publishing, version, number, before)
  await query(
    `insert into resource_version (resource, version, schema, stored_closed_items, published_at) values ($1, $2, $3, $4, $5)
     on conflict (resource, version) do update set schema = excluded.schema, stored_closed_items = excluded.stored_closed_items`,
    [code, version, JSON.stringify(schema), content.storedClosed, publishing.now],
  )
  await writeVersion(query, publishing, version, number)
  await notePhase(query, code, publishing.now)
  const after = await requireEntry(query, code)
  await noteItems(query, { code, agency, items: content.items, subject: content.subject, sharing: content.sharing })
  await indexEntry(query, after)
  if (before) {
    await endUnshared(query, publishing, after)
    await holdGrants(query, affectedAgents, publishing, after, incompatibilities(before.schema, schema, publishing.sameMeaning))
  }
  await followSharing(query, affectedAgents, publishing.registry, code)
  await resourcePublished(query, affectedAgents, after, publishing.now)
  await auditPublishing(query, publishing, after)
  await concernResource(query, code, affectedAgents)
  return after
}

/** What is not shared any more, or not in this mode, flows to nobody from now on (Art. 5, 17, 27); what is secret leaves those who have it. */
async function endUnshared(query: Query, { principal, now }: Publishing, { code, version, content }: Entry): Promise<void> {
  const { title, sharing, secrecy } = content
  const none = sharing === 'none' || secrecy
  const modes = shareModes.filter((mode) => none || !content.shareModes.includes(mode))
  const reason = none
    ? { zh: `自第 ${version} 版起不予共享（第五条）`, en: `from version ${version} on it is not shared (Art. 5)` }
    : { zh: `自第 ${version} 版起不再以此方式共享（第十六条）`, en: `from version ${version} on it is not shared in this way (Art. 16)` }
  if (modes.length > 0) await endGrantsOf(query, { code, title, reason, modes, remove: secrecy, principal, now })
}

/**
 * Whatever changes a resource waits for each other, also for a new one's first publication, and for approvals. All lock in one order:
 * standard, resource, registration or application, grants of the resource, grant.
 */
export async function lockResource(query: Query, code: string, standard: string | null = null): Promise<void> {
  const [known] = await query<{ standard: string | null }>('select standard from resource where code = $1', [code])
  const standards = new Set([standard, known?.standard ?? null].filter((one) => one !== null))
  for (const one of [...standards].toSorted()) await lockStandard(query, one)
  await query('select pg_advisory_xact_lock(hashtext($1))', [`resource ${code}`])
  await query('select from resource where code = $1 for no key update', [code])
}

function nextVersion({ code, agency, content }: Publishing, before: Entry | undefined): number {
  if (!before) return 1
  const after = { resource: code, title: content.title, agency, table: content.table, items: content.items }
  return before.version + (travelsDifferently(before.schema, before.storedClosed, after, content.storedClosed) ? 1 : 0)
}

/** The title's compared form. Throws QZ-CONFLICT where another resource of the agency has it. */
async function freeForm(
  query: Query,
  { code, agency, content: { title } }: Pick<Publishing, 'code' | 'agency' | 'content'>,
): Promise<string> {
  const form = nameForm(title)
  const [taken] = await query<{ code: string }>(
    `select code from resource where agency = $1 and title_form = $2 and code <> $3 and state <> 'withdrawn'`,
    [agency, form, code],
  )
  if (taken) throw conflict('resource', taken.code, { zh: `名称同为“${title}”`, en: `it has the title ${title}, too` })
  return form
}

async function writeResource(
  query: Query,
  { code, agency, content, standard, now }: Publishing,
  version: number,
  number: number,
  before: Entry | undefined,
): Promise<void> {
  await query(`insert into resource (code, agency, version, published_at) values ($1, $2, $3, $4) on conflict (code) do nothing`, [
    code,
    agency,
    version,
    now,
  ])
  await query(
    `update resource r set version = $2, catalog_version = $3, standard = $4, title = c.title, title_form = $6, abstract = c.abstract, format = c.format,
       sharing = c.sharing, sharing_conditions = c."sharingConditions", share_modes = c."shareModes",
       open_with_conditions = c."openWithConditions", cycle = c.cycle, supply_mode = c."supplyMode", subject = c.subject,
       licence = c.licence, secrecy = c.secrecy, region = c.region, keywords = c.keywords, related = c.related, keep = c.keep,
       producer = c.producer
     from jsonb_to_record($5) as c(title text, abstract text, format text, sharing text, "sharingConditions" text, "shareModes" text[],
       "openWithConditions" text, cycle text, "supplyMode" text, subject text, licence boolean, secrecy boolean, region text,
       keywords text[], related text[], keep text, producer text)
     where r.code = $1`,
    [code, version, number, standard, JSON.stringify(content), await freeForm(query, { code, agency, content })],
  )
  const { classification } = content
  if (classification === undefined || classification === before?.content.classification) return
  const sequence = await nextSequence(query, classification)
  await query('update resource set classification = $2, sequence = $3 where code = $1', [code, classification, sequence])
}

async function writeVersion(
  query: Query,
  { code, content, principal, submitted, now }: Publishing,
  version: number,
  number: number,
): Promise<void> {
  await query(
    `insert into catalog_version (resource, number, version, content, registration, submitted_by, submitted_at, secrecy_review,
       published_by, published_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      code,
      number,
      version,
      JSON.stringify(content),
      submitted?.registration ?? null,
      submitted?.by ?? null,
      submitted?.at ?? null,
      submitted ? JSON.stringify(submitted.secrecyReview) : null,
      principal.actor,
      now,
    ],
  )
}

/** Its resources are found by an agency's new name. */
export async function indexAgency(query: Query, agency: string): Promise<void> {
  for (const entry of await listEntries(query, agency)) await indexEntry(query, entry)
}

/** Puts a resource into the search index as it is now. */
async function indexEntry(query: Query, entry: Entry): Promise<void> {
  const { code, agency, agencyName, content, schema, standard } = entry
  const { classification = null, title, abstract, keywords } = content
  const classificationName = classification === null ? null : (await requireClassification(query, classification)).zh
  const known = { resource: code, catalogCode: entry.catalogCode, title, abstract, keywords, agency, agencyName }
  await indexResource(query, { ...known, classification, classificationName, items: schema.items, openness: entry.openness, standard })
}

async function auditPublishing(query: Query, { code, principal, submitted, content }: Publishing, after: Entry): Promise<void> {
  const details = { catalogVersion: after.catalogVersion, version: after.version, registration: submitted?.registration ?? null, content }
  const { actor, agency, via, ip } = principal
  await writeAudit(query, {
    actor,
    agency,
    act: 'resource.publish',
    object: code,
    details,
    ...(via && { via }),
    ...(ip !== undefined && { ip }),
  })
}
