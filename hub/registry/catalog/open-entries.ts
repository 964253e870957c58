/** What of the catalog is open to the public now: derived at each question, so that what is stopped is gone with the act that stops it. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { sharedSql } from '../../records/supply.ts'
import type { Query } from '../../store/store.ts'
import { entryOf, entrySql, type Entry } from './catalog.ts'
import type { CatalogItem } from './content.ts'

/** SQL: a resource `r` in its version `v` may be open with the items of its opening `o` (Art. 5, 7.5, 26). */
export const foundedSql = `(${sharedSql} and r.sharing = 'unconditional' and r.keep = 'store' and exists (
  select from jsonb_array_elements(v.schema -> 'items') item where item ->> 'openness' = 'public' and item ->> 'id' = any(o.items)))`

/** The same of an entry, told; undefined where nothing stands against it. */
export function whyNotOpenable({ state, content }: Entry): LocalizedText | undefined {
  if (state !== 'active') return { zh: '资源已停止共享', en: 'the resource is not in force' }
  if (content.secrecy) return { zh: '涉密资源不得开放', en: 'what is secret is never open' }
  if (content.sharing !== 'unconditional')
    return { zh: '只有无条件共享的资源可以开放', en: 'only what is shared unconditionally can be open' }
  if (content.keep !== 'store') return { zh: '只有中心存储的资源可以开放', en: 'only what the hub stores can be open' }
  if (!content.items.some(({ openness }) => openness === 'public'))
    return { zh: '没有对外公开的信息项（第五条）', en: 'it has no public items (Art. 5)' }
  return undefined
}

/** A data set of the public. */
export interface OpenEntry extends Entry {
  opening: string
  /** What is open of it, in the order of the schema. */
  openItems: CatalogItem[]
  released: Date
  /** Hub's time of acceptance of the newest batch in its table; null while that is being made. */
  asOf: Date | null
  /** Sizes of the files of just this state that were made, by kind; null where none was. */
  bytes: Record<string, number> | null
}

type Row = Parameters<typeof entryOf>[0] & Omit<OpenEntry, keyof Entry | 'openItems'> & { opened: string[] }

/** SQL: what is open now, `of` some resources; `found` is to choose of it. Planned by itself: with all that the catalog joins it takes three times as long. */
const openSql = (of = 'true') => `
  with open as materialized (
    select o.resource, o.id as opening, o.items as opened, o.released_at as released, r.title, r.abstract, r.keywords, a.name as agency
    from opening o join resource r on r.code = o.resource join resource_version v on v.resource = r.code and v.version = r.version
      join agency a on a.code = r.agency
    where o.state = 'released' and ${of} and ${foundedSql})`

/** SQL: those that were chosen, with all that the catalog says of them. */
const entriesSql = `
  select e.*, found.opening, found.opened, found.released, t.as_of as "asOf",
    (select jsonb_object_agg(f.kind, f.bytes) from open_file f where f.resource = e.code and f.opening = found.opening
      and f.catalog_version = e."catalogVersion" and f.epoch = t.epoch and f.seq = t.seq) as bytes
  from found join (${entrySql}) e on e.code = found.resource left join resource_table t on t.resource = e.code and t.state = 'live'`

export interface OpenSearch {
  /** Words of title, abstract, keywords or agency. */
  text?: string | undefined
  skip: number
  limit: number
}

/** By agency and title, with the number of all that are found. */
export async function listOpen(query: Query, { text = '', skip, limit }: OpenSearch): Promise<{ entries: OpenEntry[]; total: number }> {
  const words = text.split(/\s+/).filter(Boolean).slice(0, 10)
  const patterns = words.map((word) => `%${word.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`)
  const rows = await query<Row & { total: number }>(
    `${openSql()}, matching as (
       select * from open where not exists (select from unnest($1::text[]) word
         where concat_ws(' ', resource, agency, title, abstract, array_to_string(keywords, ' ')) not ilike word)),
     found as (select * from matching order by agency, title, resource offset $2 limit $3)
     select page.*, whole.total from (select count(*)::int as total from matching) whole
       left join (${entriesSql}) page on true order by page."agencyName", page.content ->> 'title', page.code`,
    [patterns, skip, limit],
  )
  const total = rows[0]!.total
  return { entries: rows.flatMap((row) => (row.code === null ? [] : [openEntryOf(row)])), total }
}

export async function findOpen(query: Query, code: string): Promise<OpenEntry | undefined> {
  const [row] = await query<Row>(`${openSql('o.resource = $1')}, found as (select * from open) ${entriesSql}`, [code])
  return row && openEntryOf(row)
}

function openEntryOf({ opened, opening, released, asOf, bytes, ...row }: Row): OpenEntry {
  const entry = entryOf(row)
  const openItems = entry.content.items.filter(({ id, openness }) => openness === 'public' && opened.includes(id))
  return { ...entry, opening, openItems, released, asOf, bytes }
}

/** Ids of the items that are open by an opening at this moment; none where it is not in force. */
export async function openItemsOf(query: Query, opening: string): Promise<readonly string[]> {
  const [row] = await query<{ items: string[] }>(
    `select array(select item ->> 'id' from jsonb_array_elements(v.schema -> 'items') item
       where item ->> 'openness' = 'public' and item ->> 'id' = any(o.items)) as items
     from opening o join resource r on r.code = o.resource join resource_version v on v.resource = r.code and v.version = r.version
     where o.id = $1 and o.state = 'released' and ${foundedSql}`,
    [opening],
  )
  return row?.items ?? []
}
