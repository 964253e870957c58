import type { Masks } from '../../../protocol/masks.ts'
import { filter, listPage, type Asked, type Listing, type Page } from '../../records/listing.ts'
import type { Query } from '../../store/store.ts'
import type { Wanted } from './application-rules.ts'
import type { Registry } from '../../records/registry.ts'
import { notFound } from '../../records/refusals.ts'

/** An application 共享申请 (Art. 7, 16). */
export interface Application extends Wanted {
  id: string
  title: string
  atEnd: 'keep' | 'remove'
  state: ApplicationState
  /** As decided: never more than was asked for. */
  approvedItems: string[] | null
  approvedUntil: Date | null
  /** What the office shows masked, by item: as decided. */
  masks: Masks
  reason: string | null
  /** Whether the time for the reply was extended. */
  extended: boolean
  created: Date
  submitted: Date | null
  decided: Date | null
  /** What providers of conditional resources say. */
  consents: {
    resource: string
    agency: string
    state: 'asked' | 'consented' | 'objected'
    /** What this provider shows masked, by item. */
    masks: Masks
    reason: string | null
    by: string | null
    at: string
  }[]
  grants: { id: string; resource: string; state: string }[]
}

export type ApplicationState = 'draft' | 'returned' | 'consulting' | 'reviewing' | 'approved' | 'rejected' | 'withdrawn'

const applicationSql = `select a.id, a.agency, a.resource, a.standard, coalesce(r.title, s.form ->> 'title', a.standard) as title,
    a.mode, a.items, a.purpose, a.basis, a.agent, a.until, a.at_end as "atEnd", a.state, a.approved_items as "approvedItems",
    a.approved_until as "approvedUntil", a.masks, a.reason, a.extended, a.created_at as created, a.submitted_at as submitted, a.decided_at as decided,
    coalesce((select json_agg(json_build_object('resource', c.resource, 'agency', p.agency, 'state', c.state, 'masks', c.masks, 'reason', c.reason, 'by', c.by,
      'at', c.at) order by c.resource) from application_consent c join resource p on p.code = c.resource where c.application = a.id), '[]') as consents,
    coalesce((select json_agg(json_build_object('id', g.id, 'resource', g.resource, 'state', g.state) order by g.id)
      from access_grant g where g.application = a.id), '[]') as grants
  from application a left join resource r on r.code = a.resource left join standard s on s.code = a.standard`

export async function loadApplication(query: Query, id: string): Promise<Application> {
  const [application] = await query<Application>(`${applicationSql} where a.id::text = $1`, [id])
  if (!application) throw notFound('application', id)
  return application
}

export const applicationStates = [
  'draft',
  'returned',
  'consulting',
  'reviewing',
  'approved',
  'rejected',
  'withdrawn',
] as const satisfies ApplicationState[]

/** SQL: agency $1 asks, or provides what is asked for. */
const within = `($1::text is null or a.agency = $1 or r.agency = $1
  or exists (select from resource o where o.standard = a.standard and o.agency = $1))`

/** Of agency $1, or all; what was never submitted is its own agency's ($2) alone. */
export const applicationList = {
  select: `${applicationSql} where ${within} and (a.submitted_at is not null or a.agency = $2)`,
  filters: {
    state: filter.among('state', applicationStates),
    agency: filter.equal('agency'),
    provider: filter.where(
      (place) => `exists (select from resource r where (r.code = l.resource or r.standard = l.standard) and r.agency = ${place})`,
    ),
    resource: filter.equal('resource'),
    mode: filter.among('mode', ['query', 'api', 'exchange']),
    text: filter.holds('id', 'title', 'resource', 'purpose', 'basis'),
    from: filter.from('submitted'),
    to: filter.to('submitted'),
  },
  sorts: {
    id: 'bigint',
    title: 'text',
    agency: 'text',
    state: 'text',
    created: 'timestamptz',
    submitted: 'timestamptz',
    decided: 'timestamptz',
  },
  first: '-id',
  id: ['id', 'bigint'],
} as const satisfies Listing

export interface Whose {
  /** Applicant or provider; null: everybody's. */
  agencyScope: string | null
  /** The caller's agency: what was never submitted is its own alone. */
  agency: string | null
}

export function listApplications(query: Query, { agencyScope, agency }: Whose, asked: Asked): Promise<Page<Application>> {
  return listPage(query, applicationList, [agencyScope, agency], asked)
}

/** Throws QZ-NOT-FOUND, also for what another agency never submitted. */
export async function readApplication({ store }: Registry, id: string, agency: string | null): Promise<Application> {
  const application = await loadApplication(store.query, id)
  if (application.submitted !== null || application.agency === agency) return application
  throw notFound('application', id)
}
