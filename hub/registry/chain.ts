/** The whole way of a case: what happened to it and to what came of it, oldest first. No row values, and no details but reasons. */
import { allows } from '../access/authorise.ts'
import type { Principal } from '../access/principal.ts'
import { relationsOf, type ObjectKind } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import { objectTitle } from '../records/object-titles.ts'
import type { Query } from '../store/store.ts'

export interface ChainLine {
  kind: string
  id: string
  title: string | null
  event: string
  from: string | null
  to: string
  actorName: string
  agency: string | null
  at: Date
  reason: string | null
}

/** SQL: what comes of an object `$1 $2`, as kind and id. */
const ofGrants = (grants: string) => `
  select 'grant' as kind, g.id from access_grant g where g.id in (${grants})
  union select 'route', t.id from route t where t.access_grant in (${grants})
  union select 'reconciliation', c.id::text from reconciliation c join route t on t.id = c.route where t.access_grant in (${grants})
  union select 'publication', p.id::text from publication_request p where p.access_grant in (${grants})
  union select 'correction', c.id::text from correction c join access_grant g on g.resource = c.resource and g.agency = c.agency
    and c.created_at >= g.created_at where g.id in (${grants})`

const belonging: Readonly<Record<string, string>> = {
  application: ofGrants(`select id from access_grant where application::text = $2`),
  grant: `${ofGrants('select $2')} union select 'application', application::text from access_grant where id = $2 and application is not null`,
  demand: `select 'registration', id::text from registration where demand::text = $2
    union select 'resource', resource from demand where id::text = $2 and resource is not null`,
  registration: `select 'demand', demand::text from registration where id::text = $2 and demand is not null`,
  resource: `select 'registration', id::text from registration where resource = $2
    union select 'opening', id::text from opening where resource = $2
    union select 'order', id::text from rectification_order where resource = $2
    union select 'declaration', id::text from declaration where resource = $2`,
  machine: `select 'agent', agent from machine_application where id::text = $2 and agent is not null`,
}

/** By which right an object that has no page of its own is seen. */
const readBy: Readonly<Record<string, OperationName>> = { route: 'grant.read', agent: 'machine.read' }

/** What happened to an object and to what belongs to it, as far as this principal may read that. `without`: of whose lines no reasons are told. */
export async function chainOf(
  query: Query,
  principal: Principal,
  kind: string,
  id: string,
  without: ReadonlySet<string> = new Set(),
): Promise<ChainLine[]> {
  const sql = belonging[kind]
  const found = sql
    ? await query<{ kind: string; id: string }>(`select kind, id from (${sql}) b(kind, id) where $1::text is not null`, [kind, id])
    : []
  const seen = [{ kind, id }]
  for (const one of found) {
    const right = readBy[one.kind] ?? (`${one.kind}.read` as OperationName)
    if (allows(principal, right, await relationsOf(query, one.kind as ObjectKind, one.id))) seen.push(one)
  }
  const lines = await query<ChainLine>(linesSql, [seen.map((one) => one.kind), seen.map((one) => one.id)])
  return lines.map((line) => (line.kind === 'correction' || without.has(line.kind) ? { ...line, reason: null } : line))
}

const linesSql = `
  with seen as (select distinct * from unnest($1::text[], $2::text[]) s(kind, id)),
    lines as (
      select s.kind, s.id, h.event, h.from_state as "from", h.to_state as "to", h.actor_name as "actorName", h.agency, h.at, h.id as n,
        h.details ->> 'reason' as reason
      from seen s join history h on h.workflow = s.kind and h.object = s.id
      union all
      select 'route', t.id, 'first-receipt', null, 'delivered', t.agent, g.agency, t.first_receipt_at, 0, null
      from seen s join route t on t.id = s.id join access_grant g on g.id = t.access_grant where s.kind = 'route' and t.first_receipt_at is not null
      union all
      select 'reconciliation', c.id::text, 'end', 'running', c.state, c.requested_by, null, c.ended_at, 0, null
      from seen s join reconciliation c on c.id::text = s.id where s.kind = 'reconciliation' and c.ended_at is not null)
  select kind, id, ${objectTitle(`(lines.kind || ' ' || lines.id)`)} as title, event, "from", "to", "actorName", agency, at, reason from lines order by at, n`
