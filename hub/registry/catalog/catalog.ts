import { QianzhiError } from '../../../protocol/errors.ts'
import type { Query } from '../../store/store.ts'
import { opennessState, type CatalogContent, type OpennessState } from './content.ts'
import { diffContent, type CatalogDiff } from './diff.ts'
import { catalogCode } from './classification.ts'
import type { Resource } from './resources.ts'
import { notFound } from '../../records/refusals.ts'

/** What is published of a resource. One that was published without a registration may not be classified yet. */
export type PublishedContent = Omit<CatalogContent, 'classification'> & { classification?: string }

/** A resource with all that the catalog says of it. */
export interface Entry extends Resource {
  agencyName: string
  /** The official code; null where it is not classified. */
  catalogCode: string | null
  content: PublishedContent
  /** State of openness (Art. 5). */
  openness: OpennessState
  standard: string | null
  /** Number of the newest catalog version. */
  catalogVersion: number
  publishedAt: Date
  withdrawnAt: Date | null
  withdrawnBecause: string | null
}

type Row = Omit<Entry, 'catalogCode' | 'openness'> & { classification: string | null; sequence: number | null }

/** Items hold no nulls, so that stripping them takes away only what is not there. */
export const entrySql = `
  select r.code, r.agency, a.name as "agencyName", r.producer, r.keep, r.state, r.version, v.schema, v.stored_closed_items as "storedClosed",
    r.classification, r.sequence, r.standard, r.catalog_version as "catalogVersion", r.published_at as "publishedAt",
    r.withdrawn_at as "withdrawnAt", r.withdrawn_because as "withdrawnBecause",
    jsonb_strip_nulls(jsonb_build_object('title', r.title, 'classification', r.classification, 'abstract', r.abstract, 'format', r.format,
      'sharing', r.sharing, 'sharingConditions', r.sharing_conditions, 'shareModes', r.share_modes,
      'openWithConditions', r.open_with_conditions, 'cycle', r.cycle, 'supplyMode', r.supply_mode, 'subject', r.subject,
      'licence', r.licence, 'secrecy', r.secrecy, 'region', r.region, 'keywords', r.keywords, 'related', r.related, 'keep', r.keep,
      'producer', r.producer, 'table', v.schema -> 'table', 'items', v.schema -> 'items', 'storedClosed', v.stored_closed_items,
      'openLicence', c.content -> 'openLicence', 'contact', c.content -> 'contact', 'temporal', c.content -> 'temporal',
      'exceptions', coalesce(c.content -> 'exceptions', '[]'))) as content
  from resource r join agency a on a.code = r.agency join resource_version v on v.resource = r.code and v.version = r.version
    left join catalog_version c on c.resource = r.code and c.number = r.catalog_version`

export async function findEntry(query: Query, code: string): Promise<Entry | undefined> {
  const [row] = await query<Row>(`${entrySql} where r.code = $1`, [code])
  return row && entryOf(row)
}

/** Throws QZ-NOT-FOUND. */
export async function requireEntry(query: Query, code: string): Promise<Entry> {
  const entry = await findEntry(query, code)
  if (!entry) throw notFound('resource', code)
  return entry
}

/** Resources in force, of one agency or of all, by agency and title. */
export async function listEntries(query: Query, agency: string | null): Promise<Entry[]> {
  const rows = await query<Row>(
    `${entrySql} where r.state <> 'withdrawn' and ($1::text is null or r.agency = $1) order by r.agency, r.title, r.code`,
    [agency],
  )
  return rows.map(entryOf)
}

export function entryOf({ classification, sequence, ...row }: Row): Entry {
  return { ...row, catalogCode: catalogCode(classification, sequence), openness: opennessState(row.schema) }
}

export interface CatalogVersion {
  number: number
  /** Version of the schema that was in force with it. */
  version: number
  content: PublishedContent
  registration: string | null
  submittedBy: string | null
  submittedAt: Date | null
  secrecyReview: Record<string, unknown> | null
  publishedBy: string
  publishedAt: Date
}

const versionSql = `
  select number, version, content, registration, submitted_by as "submittedBy", submitted_at as "submittedAt",
    secrecy_review as "secrecyReview", published_by as "publishedBy", published_at as "publishedAt"
  from catalog_version where resource = $1`

/** All published versions of a resource, newest first. */
export function listVersions(query: Query, resource: string): Promise<CatalogVersion[]> {
  return query<CatalogVersion>(`${versionSql} order by number desc`, [resource])
}

/** Throws QZ-NOT-FOUND. */
export async function requireVersion(query: Query, resource: string, number: number): Promise<CatalogVersion> {
  const [version] = await query<CatalogVersion>(`${versionSql} and number = $2`, [resource, number])
  if (!version)
    throw new QianzhiError('QZ-NOT-FOUND', {
      what: { zh: `资源 ${resource} 的第 ${number} 版`, en: `version ${number} of resource ${resource}` },
    })
  return version
}

export async function diffVersions(query: Query, resource: string, from: number, to: number): Promise<CatalogDiff> {
  const [before, after] = [await requireVersion(query, resource, from), await requireVersion(query, resource, to)]
  return diffContent(before.content, after.content)
}
