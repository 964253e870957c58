import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../../protocol/errors.ts'
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
  /** `next` of the page before. */
  after?: string
  limit: number
}

export interface CatalogPage {
  items: FoundResource[]
  /** How many there are in all; `mostCounted` stands for that many or more. */
  total: number
  next?: string
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

/** Enough for a person; counting on takes longer than finding the page. */
export const maxCounted = 200

/**
 * Finds published resources: first the one of this code, then those that hold all words in title, code or agency, then those that hold
 * them with their items and keywords, then with their abstract. Throws QZ-REQUEST-INVALID where `after` is no page's `next`.
 */
export async function searchCatalog(query: Query, search: CatalogSearch): Promise<CatalogPage> {
  const words = wordsOf(search.text ?? '')
  if (words.length === 0 && search.text?.trim()) return { items: [], total: 0 }
  const after = search.after === undefined ? undefined : readPlace(search.after)
  const { found, counted } = words.length === 0 ? { found: await list(query, search, after) } : await find(query, search, words, after)
  const total = Math.min(counted ?? (await count(query, search, words)), maxCounted)
  const page = found.slice(0, search.limit)
  const items = page.map(({ level: _l, rank: _r, length: _n, of: _o, items, ...resource }) => ({
    ...resource,
    matched: matched(items, words),
  }))
  return { items, total, ...(found.length > search.limit ? { next: placeOf(page.at(-1)!) } : {}) }
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
  const known = counted >= maxCounted || (after === undefined && level === levels.length)
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
  const where = `${words.length === 0 ? 'true' : holds(values, words, widest)} ${filters(values, search)}`
  const sql = `select count(*)::int as n from (select from catalog_index where ${where} limit ${maxCounted}) found`
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

function filters(values: Values, { agency, classification, openness, standard }: CatalogSearch): string {
  const equal = Object.entries({ agency, openness, standard }).flatMap(([column, value]) =>
    value === undefined ? [] : [`and ${column} = ${values.add(value)}`],
  )
  if (classification !== undefined) equal.push(`and starts_with(classification, ${values.add(classification)})`)
  return equal.join(' ')
}

/** The values of one statement; `add` gives the placeholder. PostgreSQL has no U+0000 in texts. */
class Values {
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
