import { Type } from 'typebox'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import { objectTitle } from '../../records/object-titles.ts'
import type { Store } from '../../store/store.ts'
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
): Promise<Page<ListedEntry & { objectTitle: string | null }>> {
  type Row = Omit<ListedEntry, 'seq'> & { seq: string | null; atText: string; objectTitle: string | null }
  const page = await listPage<Row>(query, auditList, [], asked)
  const items = page.items.map(({ atText, ...row }) => ({ ...row, at: atText, seq: row.seq === null ? null : Number(row.seq) }))
  return { ...page, items }
}

/** Sealed entries after a place in the chain, oldest first: a reader that keeps the last seq misses none, whatever committed late. */
export async function listSealed(store: Pick<Store, 'query'>, after: number, limit: number): Promise<ListedEntry[]> {
  const rows = await store.query<Omit<ListedEntry, 'seq'> & { seq: string }>(
    `select e.id, s.seq, ${entryColumns} from audit_seal s join audit_entry e on e.id = s.entry where s.seq > $1 order by s.seq limit $2`,
    [after, limit],
  )
  return rows.map((row) => ({ ...row, seq: Number(row.seq) }))
}
