/** What a finder sees of the catalog: the lines that were found with what one chooses by, and how many there are of each kind. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { foundSql, mineSql, searchCatalog, Values, type CatalogPage, type CatalogSearch, type FoundResource } from './search.ts'
import { wordsOf } from './search-words.ts'

export const facetNames = ['agency', 'classification', 'openness', 'sharing', 'cycle', 'mine'] as const
export type FacetName = (typeof facetNames)[number]

export interface FacetValue {
  value: string
  /** Of an agency or a class; null where the value is a word of the catalog. */
  name: string | LocalizedText | null
  count: number
}

/** Of a line: what is not searched, but chosen by. */
export interface Glance {
  state: string
  abstract: string
  sharing: string
  shareModes: string[]
  cycle: string
  classificationName: LocalizedText | null
  /** How many items are open to whom. */
  opennessCounts: Record<'internal' | 'public' | 'closed', number>
  published: Date
  /** When rows last came; null where none have. */
  updated: Date | null
  mine: 'own' | 'grant' | 'application' | 'none'
}

export type CatalogLine = FoundResource & Partial<Glance>

export interface Findings extends Omit<CatalogPage, 'items'> {
  items: CatalogLine[]
  facets?: Partial<Record<FacetName, FacetValue[]>>
}

/** Throws QZ-REQUEST-INVALID where `after` is no page's `next`. */
export async function findInCatalog(query: Query, search: CatalogSearch, facets: readonly FacetName[]): Promise<Findings> {
  const page = await searchCatalog(query, search)
  const seen = await glances(query, page.items, search.of ?? null)
  const items = page.items.map((item) => ({ ...item, ...seen.get(item.resource) }))
  if (facets.length === 0) return { ...page, items }
  const counted = await Promise.all(facets.map(async (name) => [name, await countBy(query, search, name)] as const))
  return { ...page, items, facets: Object.fromEntries(counted) }
}

async function glances(query: Query, found: readonly FoundResource[], agency: string | null): Promise<Map<string, Glance>> {
  const mine = mineSql('r.code', '$2')
  const open = (openness: string) =>
    `(select count(*)::int from jsonb_array_elements(v.schema -> 'items') i where i ->> 'openness' = '${openness}')`
  const rows = await query<Glance & { code: string }>(
    `select r.code, r.state, left(r.abstract, 300) as abstract, r.sharing, r.share_modes as "shareModes", r.cycle,
       case when k.code is not null then jsonb_build_object('zh', k.zh, 'en', k.en) end as "classificationName",
       jsonb_build_object('internal', ${open('internal')}, 'public', ${open('public')}, 'closed', ${open('closed')}) as "opennessCounts",
       r.published_at as published, s.last_push as updated,
       case when r.agency = $2 then 'own' when ${mine.grant} then 'grant' when ${mine.application} then 'application' else 'none' end as mine
     from resource r join resource_version v on v.resource = r.code and v.version = r.version
       left join classification k on k.code = r.classification left join stream s on s.resource = r.code
     where r.code = any($1)`,
    [found.map(({ resource }) => resource), agency],
  )
  return new Map(rows.map(({ code, ...glance }) => [code, glance]))
}

/** SQL of a value by which is counted, and of its name. A class is counted one step below the one that was asked for. */
function groupOf(name: FacetName, search: CatalogSearch, values: Values): { value: string; named: string } {
  if (name === 'agency') return { value: 'catalog_index.agency', named: '(select to_jsonb(name) from agency where code = value)' }
  if (name === 'openness') return { value: 'catalog_index.openness', named: 'null::jsonb' }
  if (name === 'classification') {
    const digits = [3, 6, 12].find((longer) => longer > (search.classification?.length ?? 0)) ?? 12
    const value = `left(catalog_index.classification, ${digits})`
    return { value, named: `(select jsonb_build_object('zh', zh, 'en', en) from classification where code = value)` }
  }
  if (name !== 'mine') return { value: `e.${name}`, named: 'null::jsonb' }
  const mine = mineSql('catalog_index.resource', values.add(search.of ?? null))
  return { value: `case when ${mine.grant} then 'grant' when ${mine.application} then 'application' else 'none' end`, named: 'null::jsonb' }
}

/** Every value there is, the most frequent first: by all other filters, so that one may choose another value. */
async function countBy(query: Query, search: CatalogSearch, name: FacetName): Promise<FacetValue[]> {
  const values = new Values()
  const others = { ...search, ...(name !== 'classification' && { [name]: undefined }) }
  const { value, named } = groupOf(name, search, values)
  const found = foundSql(values, others, wordsOf(search.text ?? ''), 'left join resource e on e.code = catalog_index.resource')
  return query<FacetValue>(
    `select value, ${named} as name, count from (select ${value} as value, count(*)::int as count ${found} group by 1) counted
     where value is not null and value <> '' order by count desc, value`,
    values.all,
  )
}

export interface Suggestion {
  kind: 'resource' | 'item' | 'agency'
  /** What is searched for where it is chosen. */
  text: string
  /** Code of the resource or agency. */
  id: string | null
}

/** While somebody types: agencies of this name, resources by title, and labels of items that hold it; at most ten of each. */
export async function suggest(query: Query, text: string): Promise<Suggestion[]> {
  const [agencies, { items }] = await Promise.all([
    query<{ code: string; name: string }>(
      `select code, name from agency where state = 'active' and position(lower($1) in lower(name)) > 0 order by char_length(name), code limit 10`,
      [text.replaceAll('\0', '')],
    ),
    searchCatalog(query, { text, limit: 10 }),
  ])
  const labels = new Set(items.flatMap(({ matched }) => matched))
  return [
    ...agencies.map(({ code, name }): Suggestion => ({ kind: 'agency', text: name, id: code })),
    ...items.map(({ resource, title }): Suggestion => ({ kind: 'resource', text: title, id: resource })),
    ...[...labels].slice(0, 10).map((label): Suggestion => ({ kind: 'item', text: label, id: null })),
  ]
}
