import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../../protocol/errors.ts'
import { listPage, maxCounted, totalOf, type Listing, type Total } from '../../records/listing.ts'
import type { Query } from '../../store/store.ts'
import { normaliseText, tokensOf, wordsOf, type Word } from './search-words.ts'

/** What is searched of a published resource. */
export interface IndexedResource {
  resource: string
  /** The official code of the catalog. */
  catalogCode?: string | null
  title: string
  abstract?: string | null
  keywords?: readonly string[]
  agency: string
  agencyName: string
  /** A code whose beginnings are the classes above it. */
  classification?: string | null
  classificationName?: string | null
  items: readonly { id: string; name: string; label: string }[]
  /** The state computed from its items (Art. 5). */
  openness: string
  standard?: string | null
}

/** Puts a resource into the index, or what has changed of it: on publication, and on a new name of its agency. */
export async function indexResource(query: Query, resource: IndexedResource): Promise<void> {
  const { title, agency, agencyName, classification, items, openness, standard, catalogCode } = resource
  const head = textOf([resource.resource, catalogCode, title, agency, agencyName])
  const middle = textOf([...items.flatMap(({ id, name, label }) => [label, name, id]), ...(resource.keywords ?? [])])
  const rest = textOf([resource.abstract, classification, resource.classificationName])
  const headTokens = tokensOf(head)
  const itemTokens = headTokens.union(tokensOf(middle))
  const tokens = itemTokens.union(tokensOf(rest))
  const shown = JSON.stringify(items.map(({ id, name, label }) => [label, name, id]))
  await query(
    `insert into catalog_index (resource, catalog_code, title, agency, agency_name, classification, openness, standard, items,
       title_text, head_text, item_text, rest_text, head_tokens, item_tokens, tokens)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
     on conflict (resource) do update set catalog_code = excluded.catalog_code, title = excluded.title, agency = excluded.agency,
       agency_name = excluded.agency_name, classification = excluded.classification, openness = excluded.openness,
       standard = excluded.standard, items = excluded.items, head_text = excluded.head_text, item_text = excluded.item_text,
       rest_text = excluded.rest_text, head_tokens = excluded.head_tokens, item_tokens = excluded.item_tokens, tokens = excluded.tokens`,
    [
      resource.resource,
      catalogCode ?? null,
      title,
      agency,
      agencyName,
      classification ?? '',
      openness,
      standard ?? null,
      shown,
      normaliseText(title),
      Buffer.from(head),
      Buffer.from(middle),
      Buffer.from(rest),
      [...headTokens],
      [...itemTokens],
      [...tokens],
    ],
  )
}

/** On withdrawal. */
export async function dropFromIndex(query: Query, resource: string): Promise<void> {
  await query('delete from catalog_index where resource = $1', [resource])
}

/** Lines keep phrases from reaching over two fields. */
function textOf(fields: readonly (string | null | undefined)[]): string {
  return [...new Set(fields.map((field) => normaliseText(field ?? '')))].filter((field) => field !== '').join('\n')
}

export interface CatalogSearch {
  /** Words in any order, each of which must be found: phrases in Chinese, beginnings of other words, codes. Without: all, by title. */
  text?: string
  agency?: string
  /** This class and those below it. */
  classification?: string
  openness?: string
  standard?: string
  sharing?: string
  /** A way in which it is shared: query, api, exchange. */
  mode?: string
  cycle?: string
  /** What agency `of` has of it: a grant, an application that is open, or neither. */
  mine?: 'grant' | 'application' | 'none'
  of?: string | null
  /** Instead of the usual order. */
  sort?: CatalogOrder
  /** `next` of the page before. */
  after?: string
  limit: number
}

export const catalogOrders = ['title', '-title', 'updated', '-updated', 'published', '-published'] as const
export type CatalogOrder = (typeof catalogOrders)[number]

export interface CatalogPage {
  items: FoundResource[]
  total: Total
  /** Null on the last page. */
  next: string | null
}

export interface FoundResource {
  resource: string
  catalogCode: string | null
  title: string
  agency: string
  agencyName: string
  classification: string
  openness: string
  standard: string | null
  /** Labels of items that hold one of the words, at most twenty. */
  matched: string[]
}

/**
 * Finds published resources: first the one of this code, then those that hold all words in title, code or agency, then those that hold
 * them with their items and keywords, then with their abstract. Throws QZ-REQUEST-INVALID where `after` is no page's `next`.
 */
export async function searchCatalog(query: Query, search: CatalogSearch): Promise<CatalogPage> {
  const words = wordsOf(search.text ?? '')
  if (words.length === 0 && search.text?.trim()) return { items: [], next: null, total: totalOf(0) }
  if (search.sort !== undefined) return sorted(query, search, words)
  const after = search.after === undefined ? undefined : readPlace(search.after)
  const { found, counted } = words.length === 0 ? { found: await list(query, search, after) } : await find(query, search, words, after)
  const total = totalOf(counted ?? (await count(query, search, words)))
  const page = found.slice(0, search.limit)
  const items = page.map(({ level: _l, rank: _r, length: _n, of: _o, items, ...resource }) => ({
    ...resource,
    matched: matched(items, words),
  }))
  return { items, total, next: found.length > search.limit ? placeOf(page.at(-1)!) : null }
}

/** Whatever holds the words, in another order than by how well it does. */
async function sorted(query: Query, search: CatalogSearch, words: readonly Word[]): Promise<CatalogPage> {
  const values = new Values()
  const listing: Listing = {
    select: `select ${columns}, updated, published from (select catalog_index.*, r.published_at as published, s.last_push as updated
      ${foundSql(values, search, words, `left join resource r on r.code = catalog_index.resource left join stream s on s.resource = catalog_index.resource`)}) found`,
    filters: {},
    sorts: { title: 'text', updated: 'timestamptz', published: 'timestamptz' },
    first: 'title',
    id: ['resource', 'text'],
  }
  const { sort, after, limit } = search
  const page = await listPage<FoundResource & { items: Found['items'] }>(query, listing, values.all, { sort, after, limit: String(limit) })
  return { ...page, items: page.items.map(({ items, ...resource }) => ({ ...resource, matched: matched(items, words) })) }
}

/** SQL: `from …` what is found at all, however well. */
export function foundSql(values: Values, search: CatalogSearch, words: readonly Word[], joined = ''): string {
  return `from catalog_index ${joined} where ${words.length === 0 ? 'true' : holds(values, words, widest)} ${filters(values, search)}`
}

interface Found extends Omit<FoundResource, 'matched'> {
  items: [label: string, name: string, id: string][]
  level: number
  rank: number
  length: number
  /** How many there are at its level. */
  of?: number
}

const columns = `resource, catalog_code as "catalogCode", title, agency, agency_name as "agencyName", classification, openness, standard, items`

/** Each with the texts that hold what its tokens were made of: first where a phrase most often stands that was not found before. */
const levels = [
  { tokens: 'head_tokens', texts: ['head_text'] },
  { tokens: 'item_tokens', texts: ['item_text', 'head_text'] },
  { tokens: 'tokens', texts: ['rest_text', 'item_text', 'head_text'] },
] as const
const widest = levels.length - 1

/**
 * One more than asked for, so that it shows whether there is a next page. `counted` is how many there are in all where that has shown
 * itself: all levels were looked through from their beginning, or those that were hold as many as are counted.
 */
async function find(query: Query, search: CatalogSearch, words: readonly Word[], after: Place | undefined) {
  const found: Found[] = []
  let counted = 0
  let level = after?.level ?? 0
  for (; level < levels.length && found.length <= search.limit; level++) {
    const from = level === after?.level ? after : undefined
    const values = new Values()
    const sql = pageOf(values, levelOf(values, search, words, level), from, search.limit + 1 - found.length)
    const rows = await query<Omit<Found, 'level'> & { of: number }>(sql, values.all)
    counted += rows[0]?.of ?? 0
    found.push(...rows.map((row) => ({ ...row, level })))
  }
  const known = counted > maxCounted || (after === undefined && level === levels.length)
  return { found, ...(known && { counted }) }
}

/** SQL: one page of what `narrow` finds. The rows themselves are fetched only for the page; sorting thousands would spill them to disk. */
function pageOf(values: Values, narrow: string, from: Place | undefined, limit: number): string {
  const place = from && [from.rank, from.length, from.resource].map((part) => values.add(part)).join(', ')
  return `select ${columns}, rank, length, of from (
      select *, count(*) over ()::int as of from (${narrow}) narrow ${place ? `where (rank, length, resource) > (${place})` : ''}
      order by rank, length, resource limit ${values.add(limit)}) page
    join catalog_index using (resource) order by rank, length, resource`
}

/** SQL: the resources of a level, without those of the level before. */
function levelOf(values: Values, search: CatalogSearch, words: readonly Word[], level: number): string {
  const found = `from catalog_index where ${holds(values, words, level)} ${filters(values, search)}`
  if (level > 0)
    return `select resource, 0 as rank, 0 as length ${found}
      and resource not in (select resource from catalog_index where ${holds(values, words, level - 1)})`
  const typed = values.add(normaliseText(search.text ?? ''))
  const inTitle = words.map(({ text }) => `strpos(title_text, ${values.add(text)}) > 0`).join(' and ')
  return `select resource, char_length(title) as length,
    case when resource = ${typed} or lower(catalog_code) = ${typed} then 0 when title_text = ${typed} then 1 when ${inTitle} then 2 else 3 end as rank
    ${found}`
}

async function list(query: Query, search: CatalogSearch, after: Place | undefined): Promise<Found[]> {
  const values = new Values()
  const where = filters(values, search)
  const from = after ? `and (title, resource) > (${values.add(after.title)}, ${values.add(after.resource)})` : ''
  const sql = `select ${columns}, 0 as level, 0 as rank, 0 as length from catalog_index where true ${where} ${from} order by title, resource`
  return query<Found>(`${sql} limit ${values.add(search.limit + 1)}`, values.all)
}

async function count(query: Query, search: CatalogSearch, words: readonly Word[]): Promise<number> {
  const values = new Values()
  const sql = `select count(*)::int as n from (select ${foundSql(values, search, words)} limit ${maxCounted + 1}) found`
  return (await query<{ n: number }>(sql, values.all))[0]!.n
}

/** SQL: all words are there at this level. Tokens find the candidates; what they do not say exactly is looked up in the text. */
function holds(values: Values, words: readonly Word[], level: number): string {
  const { tokens, texts } = levels[level]!
  const all = [...new Set(words.flatMap((word) => word.tokens))]
  const phrases = words
    .filter(({ exact }) => !exact)
    .map((word) => {
      const phrase = values.add(Buffer.from(word.text))
      return `and (${texts.map((text) => `position(${phrase}::bytea in ${text}) > 0`).join(' or ')})`
    })
  return `${tokens} @> ${values.add(all)}::text[] ${phrases.join(' ')}`
}

function filters(values: Values, search: CatalogSearch): string {
  const { agency, classification, openness, standard, sharing, cycle, mode, mine, of } = search
  const conditions = Object.entries({ agency, openness, standard }).flatMap(([column, value]) =>
    value === undefined ? [] : [`catalog_index.${column} = ${values.add(value)}`],
  )
  if (classification !== undefined) conditions.push(`starts_with(catalog_index.classification, ${values.add(classification)})`)
  const ofEntry = Object.entries({ sharing, cycle }).flatMap(([column, value]) =>
    value === undefined ? [] : [`e.${column} = ${values.add(value)}`],
  )
  if (mode !== undefined) ofEntry.push(`${values.add(mode)} = any(e.share_modes)`)
  if (ofEntry.length > 0)
    conditions.push(`exists (select from resource e where e.code = catalog_index.resource and ${ofEntry.join(' and ')})`)
  if (mine !== undefined) conditions.push(mineSql('catalog_index.resource', values.add(of ?? null))[mine])
  return conditions.map((condition) => `and ${condition}`).join(' ')
}

/** SQL: what the agency at this place has of a resource. */
export function mineSql(resource: string, agency: string): Record<'grant' | 'application' | 'none', string> {
  const grant = `exists (select from access_grant g where g.resource = ${resource} and g.agency = ${agency}::text and g.state in ('active', 'suspended', 'held'))`
  const application = `exists (select from application a where a.agency = ${agency}::text and a.state in ('draft', 'returned', 'consulting', 'reviewing')
    and (a.resource = ${resource} or a.standard = (select standard from resource where code = ${resource})))`
  return { grant, application: `(${application} and not ${grant})`, none: `(not ${grant} and not ${application})` }
}

/** The values of one statement; `add` gives the placeholder. PostgreSQL has no U+0000 in texts. */
export class Values {
  readonly all: unknown[] = []

  add(value: unknown): string {
    return `$${this.all.push(typeof value === 'string' ? value.replaceAll('\0', '') : value)}`
  }
}

function matched(items: Found['items'], words: readonly Word[]): string[] {
  const holdsOne = (text: string): boolean => words.some((word) => normaliseText(text).includes(word.text))
  return items
    .filter((texts) => texts.some(holdsOne))
    .map(([label]) => label)
    .slice(0, 20)
}

const Place = Type.Object({
  level: Type.Integer({ minimum: 0, maximum: widest }),
  rank: Type.Integer({ minimum: 0, maximum: 3 }),
  length: Type.Integer({ minimum: 0, maximum: 10_000 }),
  title: Type.String({ maxLength: 500 }),
  resource: Type.String({ maxLength: 100 }),
})
type Place = Static<typeof Place>
const place = Compile(Place)

/** Where a page ended. It names nothing that the page did not show. */
function placeOf({ level, rank, length, title, resource }: Place): string {
  return Buffer.from(JSON.stringify({ level, rank, length, title, resource })).toString('base64url')
}

function readPlace(after: string): Place {
  try {
    const found: unknown = JSON.parse(Buffer.from(after, 'base64url').toString())
    if (place.Check(found)) return found
  } catch {
    // Refused below.
  }
  throw new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: 'after 不是上一页给出的值', en: 'after is not what the page before gave' } })
}
