import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { Registry } from '../../records/registry.ts'
import { listDuties, type Duty, type DutyState } from '../../supervision/duties/duties.ts'
import { updateCycles } from './content.ts'

/** A resource as whoever looks after it sees it. */
export interface ListedResource {
  code: string
  title: string
  agency: string
  version: number
  state: string
  /** How many items are open to whom. */
  openness: Record<'internal' | 'public' | 'closed', number>
  cycle: string
  keep: string
  published: Date
  /** When rows last came; null where none have. */
  updated: Date | null
  /** Of the periods that run or have ended last, the worst one's state; null where nothing is owed. */
  duty: DutyState | null
  /** Why its source is held; null where it is not. */
  held: string | null
  /** Grants that are in force. */
  receivers: number
  /** The registration in which a change of it is being prepared. */
  draft: string | null
}

const open = (openness: string) =>
  `(select count(*)::int from jsonb_array_elements(v.schema -> 'items') i where i ->> 'openness' = '${openness}')`

/** Of agency $1, or all. */
export const resourceList = {
  select: `select r.code, r.title, r.agency, r.catalog_version as version, r.state, r.cycle, r.keep, r.published_at as published,
      s.last_push as updated,
      jsonb_build_object('internal', ${open('internal')}, 'public', ${open('public')}, 'closed', ${open('closed')}) as openness,
      (select f.code from agent_fault f where f.line = 'source ' || r.code and f.agent = coalesce(r.producer, s.producer) and f.gone_at is null
        order by f.since limit 1) as held,
      (select count(*)::int from access_grant g where g.resource = r.code and g.state in ('active', 'held')) as receivers,
      (select g.id::text from registration g where g.resource = r.code and g.state in ('draft', 'submitted', 'returned')) as draft
    from resource r join resource_version v on v.resource = r.code and v.version = r.version left join stream s on s.resource = r.code
    where $1::text is null or r.agency = $1`,
  filters: {
    state: filter.among('state', ['active', 'suspended', 'withdrawn']),
    agency: filter.equal('agency'),
    cycle: filter.among('cycle', updateCycles),
    text: filter.holds('code', 'title'),
  },
  sorts: {
    code: 'text',
    title: 'text',
    agency: 'text',
    state: 'text',
    published: 'timestamptz',
    updated: 'timestamptz',
    receivers: 'bigint',
  },
  first: 'title',
  id: ['code', 'text'],
} as const satisfies Listing

export async function listResources(registry: Registry, agencyScope: string | null, asked: Asked): Promise<Page<ListedResource>> {
  const { query } = registry.store
  const page = await listPage<Omit<ListedResource, 'duty'>>(query, resourceList, [agencyScope], asked)
  const duties = await listDuties(query, { resources: page.items.map(({ code }) => code) }, registry.clock())
  const owed = Map.groupBy(duties, ({ resource }) => resource)
  return { ...page, items: page.items.map((line) => ({ ...line, duty: worst(owed.get(line.code) ?? []) })) }
}

const byUrgency: readonly DutyState[] = ['overdue', 'running', 'explained', 'excused', 'updated']

function worst(duties: readonly Duty[]): DutyState | null {
  return byUrgency.find((state) => duties.some((duty) => duty.state === state)) ?? null
}
