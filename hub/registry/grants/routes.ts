import { QianzhiError } from '../../../protocol/errors.ts'
import { writeAudit } from '../../records/audit.ts'
import { grantStates } from '../../records/words.ts'
import { requireGrant, type Grant, type GrantState } from './grants.ts'
import type { Query } from '../../store/store.ts'
import { change, type Registry } from '../../records/registry.ts'
import { requireActiveAgent } from '../../records/agents.ts'

/** A route 交换路由: a grant bound to a receiving agent. */
export interface Route {
  id: string
  grant: string
  agent: string
}

/** Binds a grant in force to an active agent of the receiving agency. The same again gives the same route. */
export async function addRoute(registry: Registry, actor: string, grantId: string, agentId: string): Promise<Route> {
  return change(registry, async (query, affectedAgents) => {
    await query('select from access_grant where id = $1 for no key update', [grantId])
    const grant = await requireGrant(query, grantId)
    // It is not replaced meanwhile.
    await query('select from agent where id = $1 for share', [agentId])
    const agent = await requireActiveAgent(query, agentId)
    if (agent.agency !== grant.agency)
      throw refused(`代理 ${agentId} 不属于 ${grant.agency}`, `agent ${agentId} is not one of ${grant.agency}`)
    const known = await routesOf(query, grantId)
    const same = known.find((route) => route.agent === agentId)
    if (same) return same
    if (grant.state !== 'active')
      throw refused(`授权 ${grantId} 未生效（${grantStates[grant.state].zh}）`, `grant ${grantId} is ${grantStates[grant.state].en}`)
    if (grant.validTo && grant.validTo <= registry.clock()) throw refused(`授权 ${grantId} 已到期`, `grant ${grantId} has expired`)
    const route = await bindRoute(query, grant, agentId, affectedAgents, registry.clock())
    await writeAudit(query, { actor, act: 'route.add', object: route.id, details: { ...route } })
    return route
  })
}

/** A new route of a grant that the caller has locked, in the caller's transaction. What it wants of the provider its first poll says. */
export async function bindRoute(query: Query, grant: Grant, agent: string, affectedAgents: Set<string>, now: Date): Promise<Route> {
  const route = { id: freeId(grant.id, await routesOf(query, grant.id)), grant: grant.id, agent }
  await query('insert into route (id, access_grant, agent, created_at) values ($1, $2, $3, $4)', [route.id, grant.id, agent, now])
  affectedAgents.add(agent)
  return route
}

export function routesOf(query: Query, grant: string): Promise<Route[]> {
  return query<Route>('select id, access_grant as grant, agent from route where access_grant = $1 order by id', [grant])
}

/** A grant's first route has its name; a second agent's, a number behind it. */
function freeId(grant: string, known: readonly Route[]): string {
  return known.length === 0 ? grant : `${grant}.${known.length + 1}`
}

export interface ListedRoute extends Route {
  resource: string
  agency: string
  state: GrantState | 'agent-revoked'
  /** What the receiver has applied. */
  epoch: string | null
  seq: string | null
  /** The stream's newest batch. */
  headEpoch: string | null
  headSeq: string | null
  moved: Date
  written: string
  deleted: string
  quarantine: string
  /** What becomes of the delivered data when the grant ends. */
  atEnd: 'keep' | 'remove'
  /** The receiver's signed word that the data is gone. */
  removed: { rows: number; tables: string[]; time: string; receipt: string } | null
}

export function listRoutes({ store, clock }: Registry): Promise<ListedRoute[]> {
  return store.query<ListedRoute>(
    `select route.id, g.id as grant, route.agent, g.resource, g.agency, route.epoch, route.seq, s.epoch as "headEpoch", s.seq as "headSeq",
       route.moved_at as moved, route.written, route.deleted, route.quarantine, g.at_end as "atEnd", route.removed,
       case when agent.state = 'revoked' then 'agent-revoked' when g.state <> 'active' then g.state when g.valid_to <= $1 then 'expired'
         else 'active' end as state
     from route join access_grant g on g.id = route.access_grant join agent on agent.id = route.agent
       left join stream s on s.resource = g.resource
     order by route.id`,
    [clock()],
  )
}

function refused(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason: { zh: `交换路由：${zh}`, en: `route: ${en}` } })
}
