import { catalogVersionOf } from '../catalog/version-names.ts'
import { theHub } from '../../access/principal.ts'
import { endDeadline } from '../../records/deadlines.ts'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { Query } from '../../store/store.ts'
import type { GrantMasks } from '../../records/masks.ts'
import { masksOf, requireGrant, withReason, type Grant } from './grants.ts'
import { lapseOpenings } from '../cases/openings.ts'
import { expirePublications, lapsePublications } from '../cases/publications.ts'
import { change, type Registry } from '../../records/registry.ts'
import { applyEvent } from '../workflow.ts'
import { grantFlow } from './grant-workflow.ts'

export interface ListedGrant extends Grant {
  title: string
  provider: string
  created: Date
}

/** A route as its grant shows it. */
export interface GrantedRoute {
  id: string
  agent: string
  /** Of the last receipt; null before the first. */
  moved: Date | null
  written: string
  deleted: string
  quarantine: string
  /** The receiver's signed word that the data is gone. */
  removed: { rows: number; tables: string[]; time: string; receipt: string } | null
}

const listed = `select g.id, g.resource, g.agency, g.items, g.mode, g.state, g.reason, g.valid_to as "validTo", g.at_end as "atEnd",
    g.application, g.held_version as "heldVersion",
    ${catalogVersionOf('g.resource', 'g.held_version')} as "heldCatalogVersion", r.title, r.agency as provider, g.created_at as created
  from access_grant g join resource r on r.code = g.resource`

/** Of agency $1 as receiver or provider, or all. */
export const grantList = {
  select: `${listed} where $1::text is null or g.agency = $1 or r.agency = $1`,
  filters: {
    state: filter.among('state', Object.keys(grantFlow.states)),
    agency: filter.equal('agency'),
    provider: filter.equal('provider'),
    resource: filter.equal('resource'),
    mode: filter.among('mode', ['query', 'api', 'exchange']),
    text: filter.holds('id', 'title', 'resource'),
    from: filter.from('created'),
    to: filter.to('created'),
  },
  sorts: { id: 'text', title: 'text', agency: 'text', provider: 'text', state: 'text', created: 'timestamptz', validTo: 'timestamptz' },
  first: '-created',
  id: ['id', 'text'],
} as const satisfies Listing

/** `agencyScope`: receiver or provider; null: everybody's. */
export async function findGrants({ store }: Registry, agencyScope: string | null, asked: Asked): Promise<Page<ListedGrant>> {
  const page = await listPage<ListedGrant>(store.query, grantList, [agencyScope], asked)
  return { ...page, items: page.items.map(withReason) }
}

export async function readGrant({ store }: Registry, id: string): Promise<ListedGrant & { masks: GrantMasks; routes: GrantedRoute[] }> {
  await requireGrant(store.query, id)
  const [grant] = await store.query<ListedGrant>(`${listed} where g.id = $1`, [id])
  return { ...withReason(grant!), masks: await masksOf(store.query, id), routes: await grantedRoutes(store.query, id) }
}

function grantedRoutes(query: Query, grant: string): Promise<GrantedRoute[]> {
  return query<GrantedRoute>(
    `select id, agent, case when receipt is not null then moved_at end as moved, written, deleted, quarantine, removed
     from route where access_grant = $1 order by id`,
    [grant],
  )
}

/** What the hub knows of each route of a grant. */
export async function explainGrantRoutes({ store }: Registry, id: string, explain: (route: string) => Promise<object>): Promise<object[]> {
  const routes = await grantedRoutes(store.query, id)
  return Promise.all(routes.map((route) => explain(route.id)))
}

/**
 * Ends the grants whose period is over: for the minutely round of supervision. Policies and deliveries heed the period by themselves; this
 * writes it down and tells both sides. Several processes of the hub may do it at once. @returns how many ended.
 */
export async function expireGrants(registry: Registry): Promise<number> {
  for (let ended = 0; ; ended++) {
    const again = await change(registry, async (query, affectedAgents) => {
      const [due] = await query<{ id: string; version: number }>(
        `select id, (select version from resource where code = resource) as version from access_grant where state in ('active', 'suspended', 'held') and valid_to <= $1 order by valid_to, id limit 1
         for no key update skip locked`,
        [registry.clock()],
      )
      if (due)
        await applyEvent(grantFlow, 'expire', due.id, {
          registry,
          query,
          affectedAgents,
          principal: theHub,
          input: { version: due.version },
        })
      return due !== undefined
    })
    if (!again) return ended
  }
}

/** Everything here that happens because of the time, and what deadlines have to know before they are judged. */
export async function keepGrants(registry: Registry): Promise<void> {
  await noteDeliveries(registry)
  await expireGrants(registry)
  await expirePublications(registry)
  await lapsePublications(registry)
  await lapseOpenings(registry)
}

/** A delivery is in time when its route's first receipt has come: for the minutely round of supervision. @returns how many were noted. */
export async function noteDeliveries(registry: Registry): Promise<number> {
  const { store } = registry
  const begun = await store.query<{ id: string; first: Date }>(
    `select route.id, route.first_receipt_at as first from deadline d join route on d.object = 'route ' || route.id
     where d.kind = 'delivery' and d.ended_at is null and route.first_receipt_at is not null`,
  )
  // Each by itself: none is held while another one waits for an act.
  for (const { id, first } of begun) await store.transaction((query) => endDeadline(query, 'delivery', `route ${id}`, first))
  return begun.length
}
