import { Type } from 'typebox'
import { endOf, requireDay, startOf } from '../../records/calendar.ts'
import { afterLine, filter, listPage, placeAsked, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { objectTitle } from '../../records/object-titles.ts'
import type { Query, Store } from '../../store/store.ts'
import { entryColumns, type ChainedEntry } from './entry.ts'

export interface ListedEntry extends Omit<ChainedEntry, 'seq' | 'prev'> {
  id: string
  /** Place in the chain; null for the second or so until it is sealed. */
  seq: number | null
}

/** Acts about an object whose entries name it without its kind. */
const bareActs: Readonly<Record<string, string>> = {
  agency: `l.act like 'agency.%' or l.act = 'token.issue'`,
  agent: `l.act like 'agent.%'`,
  grant: `l.act like 'grant.%'`,
  resource: `l.act like 'resource.%' or l.act = 'supply'`,
  route: `l.act like 'route.%' or l.act = 'delivery'`,
}

/** SQL: the entry `l` is about the object at this place, named with its kind; or, in what was written so long ago, by its bare name. */
function isAbout(place: string): string {
  const bare = Object.entries(bareActs).map(([kind, acts]) => `split_part(${place}, ' ', 1) = '${kind}' and (${acts})`)
  return `(l.object = ${place} or (l.object = split_part(${place}, ' ', 2) and (${bare.join(' or ')})))`
}

/** Acts as a page shows them, newest first; no row values are in them. `at` as text keeps its microseconds. */
export const auditList = {
  select: `select e.id, s.seq, ${entryColumns.replace('as at,', 'as "atText", e.at,')}, ${objectTitle('e.object')} as "objectTitle"
    from audit_entry e left join audit_seal s on s.entry = e.id`,
  filters: {
    text: filter.where(
      (place) => `(l.actor in (select 'person ' || id from person where position(lower(${place}) in lower(name || ' ' || login)) > 0)
        or position(lower(${place}) in lower(concat_ws(E'\\n', l.actor, l.act, l.object, l.ip, l.details::text))) > 0)`,
    ),
    object: filter.where(isAbout),
    actor: filter.equal('actor'),
    agency: filter.equal('agency'),
    act: filter.where((place) => `l.act = any(string_to_array(${place}, ','))`, Type.String({ minLength: 1, maxLength: 1000 })),
    outcome: filter.where((place) => `case ${place} when 'refused' then l.outcome <> 'done' else l.outcome = ${place} end`),
    ip: filter.equal('ip'),
    from: filter.from('at'),
    to: filter.to('at'),
  },
  sorts: { at: 'timestamptz' },
  whole: ['at'],
  first: '-at',
  id: ['id', 'bigint'],
} as const satisfies Listing

export async function listAudit(
  { query }: Pick<Store, 'query'>,
  asked: Asked,
  within = usualWithin,
): Promise<Page<ListedEntry & { objectTitle: string | null }>> {
  type Row = Omit<ListedEntry, 'seq'> & { seq: string | null; atText: string; objectTitle: string | null }
  const window = await windowOf(query, asked, within)
  const { select } = auditList
  const page = await listPage<Row>(
    query,
    window ? { ...auditList, select: `${select} where ${window.fits}` } : auditList,
    window?.values ?? [],
    asked,
  )
  const items = page.items.map(({ atText, ...row }) => ({ ...row, at: atText, seq: row.seq === null ? null : Number(row.seq) }))
  if (!window) return { ...page, items }
  return { items, next: page.next ?? window.next, total: { ...page.total, more: true } }
}

/** So many entries one page looks through for a text; `next` goes on behind them, and their total is what was found in them. */
const usualWithin = 50_000
/** With one of these an index leads to few enough. */
const narrow = ['object', 'actor', 'agency', 'act', 'ip']

interface Window {
  /** SQL: whether entry `e` is in it, by `values`. */
  fits: string
  values: unknown[]
  next: string
}

/** Of the entries that are looked through for a text, those of this page; undefined where they are all that are left. */
async function windowOf(query: Query, asked: Asked, within: number): Promise<Window | undefined> {
  if (asked['text'] === undefined || narrow.some((name) => asked[name] !== undefined)) return undefined
  const place = placeAsked(auditList, asked)
  const down = asked['sort'] !== 'at'
  const begin = [place?.rank ?? null, place?.id ?? null]
  const behind = `($1::float8 is null or (e.at, e.id) ${down ? '<' : '>'} (to_timestamp($1), $2::bigint))`
  const direction = down ? 'desc' : 'asc'
  const { from, to } = asked
  const [last] = await query<{ rank: string; id: string }>(
    `select extract(epoch from e.at)::text as rank, e.id from audit_entry e where ${behind}
       and ($3::timestamptz is null or e.at >= $3) and ($4::timestamptz is null or e.at < $4)
     order by e.at ${direction}, e.id ${direction} offset $5 limit 1`,
    [...begin, from ? startOf(requireDay(from)) : null, to ? endOf(requireDay(to)) : null, within - 1],
  )
  if (!last) return undefined
  const fits = `${behind} and (e.at, e.id) ${down ? '>=' : '<='} (to_timestamp($3::float8), $4::bigint)`
  return { fits, values: [...begin, last.rank, last.id], next: afterLine(auditList, asked, last.rank, last.id) }
}

/** Sealed entries after a place in the chain, oldest first: a reader that keeps the last seq misses none, whatever committed late. */
export async function listSealed(store: Pick<Store, 'query'>, after: number, limit: number): Promise<ListedEntry[]> {
  const rows = await store.query<Omit<ListedEntry, 'seq'> & { seq: string }>(
    `select e.id, s.seq, ${entryColumns} from audit_seal s join audit_entry e on e.id = s.entry where s.seq > $1 order by s.seq limit $2`,
    [after, limit],
  )
  return rows.map((row) => ({ ...row, seq: Number(row.seq) }))
}
