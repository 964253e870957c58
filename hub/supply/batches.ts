/** What people, files and the hub itself brought of a resource. */
import { filter, listPage, type Asked, type Listing, type Page } from '../records/listing.ts'
import type { Query } from '../store/store.ts'

export interface BroughtLine {
  /** By which the list is paged. */
  id: string
  act: string
  at: Date
  /** As the audit says it: `person 7`, `hub`. */
  by: string
  /** Of an import. */
  job: string | null
  file: string | null
  sha256: string | null
  batches: number
  rows: number
  created: number
  changed: number
  deleted: number
  /** Of its first and its last batch. */
  first: string
  last: string
}

const place = (alias: string) => `${alias}.epoch || '/' || ${alias}.seq`

const broughtSql = `
  select e.id, e.act, e.at, e.by ->> 'actor' as by, e.job, e.file, e.file_sha256 as sha256, s.batches, s.rows, o.created, o.changed, o.deleted,
    ${place('e')} as first, ${place('l')} as last
  from supply_entry e
    cross join lateral (
      select count(*)::int as batches, sum(b.rows)::int as rows, max(b.id) as last, array_agg(b.id) as ids
      from supply_entry b where b.stored and (b.id = e.id or b.job = e.job)) s
    join supply_entry l on l.id = s.last
    cross join lateral (
      select count(*) filter (where r.op = 'create')::int as created, count(*) filter (where r.op = 'change')::int as changed,
        count(*) filter (where r.op = 'delete')::int as deleted
      from supply_entry_row r where r.entry = any(s.ids)) o
  where e.resource = $1 and e.stored
    and not exists (select from supply_entry p where p.job = e.job and p.stored and p.id < e.id)`

/** Of resource $1; the batches of one import are one line. */
export const broughtList = {
  select: broughtSql,
  filters: { text: filter.holds('id', 'file'), from: filter.from('at'), to: filter.to('at') },
  sorts: { id: 'bigint', rows: 'bigint', at: 'timestamptz' },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export function listBrought(query: Query, resource: string, asked: Asked): Promise<Page<BroughtLine>> {
  return listPage(query, broughtList, [resource], asked)
}
