import type { Query } from '../../store/store.ts'
import { writeAudit } from '../../records/audit.ts'

export interface Replacement {
  from: string
  to: string
  actor: string
  now: Date
  affectedAgents: Set<string>
}

/**
 * What a dead machine's agent produced and received passes to the one that takes its place, and the old one is revoked, in the caller's
 * transaction. Positions stay: an agent with the old one's database goes on from there, one with an empty database says so in its first
 * poll and begins with a snapshot. A new producer is a new epoch.
 */
export async function replaceAgent(query: Query, { from, to, actor, now, affectedAgents }: Replacement): Promise<void> {
  const resources = await query<{ code: string }>('update resource set producer = $2 where producer = $1 returning code', [from, to])
  // Whoever grants by one of them waits, and then finds the new machine.
  await query('select from application where agent = $1 order by id for no key update', [from])
  await query('update application set agent = $2 where agent = $1', [from, to])
  await query(`update agent set state = 'revoked', revoked_at = $2, replaced_by = $3 where id = $1`, [from, now, to])
  const routes = await query<{ id: string }>(
    `update route set agent = $2 where agent = $1
       and not exists (select from route o join access_grant og on og.id = o.access_grant join access_grant g on g.id = route.access_grant
         where o.agent = $2 and (og.id = g.id or og.resource = g.resource and og.state in ('active', 'suspended', 'held'))) returning id`,
    [from, to],
  )
  affectedAgents.add(from).add(to)
  await writeAudit(query, {
    actor,
    act: 'agent.replace',
    object: from,
    details: { by: to, resources: resources.map(({ code }) => code), routes: routes.map(({ id }) => id) },
  })
}
