import { QianzhiError } from '../../../protocol/errors.ts'
import type { Principal } from '../../access/principal.ts'
import { relationsOf } from '../../access/relations.ts'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { Query } from '../../store/store.ts'
import { findEntry, requireEntry, type Entry } from '../catalog/catalog.ts'
import { checkContent, type Checked } from '../catalog/check.ts'
import { diffContent, type CatalogDiff } from '../catalog/diff.ts'
import { emptyContent, givenContent, type DraftContent } from '../catalog/content.ts'
import { lockResource } from './publishing.ts'
import { change, checkCode, type Registry } from '../../records/registry.ts'
import { adoptedContent, publishedForm } from '../catalog/standard-form.ts'
import { record } from '../../records/history.ts'
import { loadRegistration, registrationFlow, registrationSql, type Registration } from './registration-workflow.ts'
import { conflict, ofAgency, wrongState } from '../../records/refusals.ts'

export interface NewRegistration {
  /** An own resource to change, or the code that a new one shall have; made from the agency's code where it is not given. */
  resource?: string
  /** The standard to adopt. */
  standard?: string
  /** The demand outside the catalog that it answers. */
  demand?: string
  /** Of a change: absent, the version in force. */
  content?: DraftContent
  /** The table that it is drafted from. */
  origin?: string
  /** Of that table: the column of each item. */
  columns?: Readonly<Record<string, string>>
}

/** Begins a registration for the caller's agency. Throws QZ-CONFLICT where one is open, QZ-NOT-FOUND, QZ-STATE, QZ-REQUEST-INVALID. */
export async function createRegistration(registry: Registry, principal: Principal, wanted: NewRegistration): Promise<Registration> {
  return change(registry, (query) => insertRegistration(query, principal, principal.agency ?? '', wanted, registry.clock()))
}

/** In the caller's transaction. The longest codes leave room for the names of grants and routes. */
export async function insertRegistration(
  query: Query,
  principal: Principal,
  agency: string,
  wanted: NewRegistration,
  now: Date,
): Promise<Registration> {
  const code = wanted.resource === undefined ? await freeCode(query, agency) : checkCode(wanted.resource, 'resource', 44)
  await lockResource(query, code, wanted.standard)
  const entry = await findEntry(query, code)
  await checkFree(query, agency, code, entry)
  if (wanted.demand !== undefined) await checkDemand(query, agency, wanted.demand)
  const standard = wanted.standard ?? entry?.standard ?? null
  const content = await firstContent(query, code, entry, wanted)
  const [row] = await query<{ id: string }>(
    `insert into registration (agency, resource, base, content, standard, demand, drafted_by, drafted_at, created_at, origin, columns)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10) returning id`,
    [
      agency,
      code,
      entry?.catalogVersion ?? null,
      JSON.stringify(content),
      standard,
      wanted.demand ?? null,
      principal.actor,
      now,
      wanted.origin ?? null,
      wanted.columns ? JSON.stringify(wanted.columns) : null,
    ],
  )
  const { id } = row!
  const input = { resource: code, standard }
  await record(query, { workflow: 'registration', object: id, event: 'create', from: null, to: registrationFlow.initial, principal, input })
  return loadRegistration(query, id)
}

/** The agency's open registration that was drafted from this table. Whoever drafts another one from it waits to the end of the transaction. */
export async function openFrom(query: Query, agency: string, origin: string): Promise<Registration | undefined> {
  await query('select pg_advisory_xact_lock(hashtext($1))', [`tables of ${agency}`])
  const [open] = await query<Registration>(
    `${registrationSql} where agency = $1 and origin = $2 and state in ('draft', 'submitted', 'returned')`,
    [agency, origin],
  )
  return open
}

async function checkFree(query: Query, agency: string, code: string, entry: Entry | undefined): Promise<void> {
  if (entry && entry.agency !== agency) throw conflict('resource', code, ofAgency(entry))
  if (entry?.state === 'withdrawn') {
    throw wrongState('resource', code, { zh: '已撤销', en: 'withdrawn' }, 'registration.create')
  }
  const [open] = await query<{ id: string }>(
    `select id from registration where resource = $1 and state in ('draft', 'submitted', 'returned')`,
    [code],
  )
  if (open) throw conflict('registration', open.id, code)
}

async function checkDemand(query: Query, agency: string, demand: string): Promise<void> {
  const { provider = [] } = await relationsOf(query, 'demand', demand)
  if (provider.includes(agency)) return
  throw new QianzhiError('QZ-RULE', {
    reason: { zh: `需求 ${demand} 不是向本单位提出的（第十六条）`, en: `demand ${demand} is not made to your agency (Art. 16)` },
  })
}

async function firstContent(query: Query, code: string, entry: Entry | undefined, wanted: NewRegistration): Promise<DraftContent> {
  const begun = { ...emptyContent, table: tableName(code), ...givenContent({ ...entry?.content, ...wanted.content }) }
  if (wanted.standard === undefined) return begun
  return adoptedContent(await publishedForm(query, wanted.standard), begun)
}

/** A table name made from a code. */
function tableName(code: string): string {
  const name = code.replaceAll(/[^a-z0-9_]/g, '_')
  return (/^[a-z]/.test(name) ? name : `t_${name}`).slice(0, 30)
}

/** `<agency>-<number>`, the first that is neither a resource nor a registration. */
async function freeCode(query: Query, agency: string): Promise<string> {
  await query('select pg_advisory_xact_lock(hashtext($1))', [`codes of ${agency}`])
  const start = agency.slice(0, 36)
  const taken = new Set(
    (
      await query<{ code: string }>(
        `select code from resource where starts_with(code, $1) union select resource from registration where starts_with(resource, $1)`,
        [`${start}-`],
      )
    ).map(({ code }) => code),
  )
  for (let n = taken.size + 1; ; n++) {
    const code = `${start}-${String(n).padStart(4, '0')}`
    if (!taken.has(code)) return code
  }
}

/** A registration without its content: a draft may have hundreds of items. */
export interface ListedRegistration extends Omit<Registration, 'content'> {
  title: string
  items: number
}

export const registrationList = {
  select: `select r.*, coalesce(r.content ->> 'title', '') as title, jsonb_array_length(coalesce(r.content -> 'items', '[]')) as items
    from (${registrationSql}) r where $1::text is null or r.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(registrationFlow.states)),
    agency: filter.equal('agency'),
    resource: filter.equal('resource'),
    standard: filter.equal('standard'),
    text: filter.holds('id', 'title', 'resource'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: {
    id: 'bigint',
    title: 'text',
    resource: 'text',
    agency: 'text',
    state: 'text',
    created: 'timestamptz',
    draftedAt: 'timestamptz',
    submittedAt: 'timestamptz',
  },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export async function listRegistrations(query: Query, agencyScope: string | null, asked: Asked): Promise<Page<ListedRegistration>> {
  const page = await listPage<ListedRegistration & { content?: unknown }>(query, registrationList, [agencyScope], asked)
  return { ...page, items: page.items.map(({ content: _content, ...line }) => line) }
}

/** A registration with what a reviewer looks at: all that is wrong, and what changes against the version in force. */
export interface ReadRegistration extends Registration, Checked {
  changes: CatalogDiff
}

export async function readRegistration({ store: { query } }: Registry, id: string): Promise<ReadRegistration> {
  const registration = await loadRegistration(query, id)
  const { resource, base, content } = registration
  const before = base === null ? {} : (await requireEntry(query, resource)).content
  return { ...registration, ...(await checkContent(query, registration)), changes: diffContent(before, content) }
}

export async function checkRegistration({ store: { query } }: Registry, id: string): Promise<Checked> {
  return checkContent(query, await loadRegistration(query, id))
}
