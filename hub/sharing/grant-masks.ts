import type { Masks } from '../../protocol/masks.ts'
import type { Schema } from '../../protocol/schema.ts'
import type { Principal } from '../access/principal.ts'
import { checkMasks, type GrantMasks } from '../records/masks.ts'
import { notFound } from '../records/refusals.ts'
import { change, type Registry } from '../records/registry.ts'
import { masksOf } from '../registry/grants/grants.ts'
import { record } from '../records/history.ts'

/**
 * The masks that one side wants from now on: the provider's agency, or the office. They act with the next look-up of the grant; where it is
 * for exchange its receivers fill their tables anew. Throws QZ-RULE where files as they are would be exchanged, and QZ-REQUEST-INVALID.
 */
export async function setMasks(registry: Registry, principal: Principal, grant: string, masks: Masks): Promise<GrantMasks> {
  return change(registry, async (query, affectedAgents) => {
    const [row] = await query<{ mode: string; state: string; items: string[]; provider: string; schema: Schema }>(
      `select g.mode, g.state, g.items, r.agency as provider, v.schema from access_grant g join resource r on r.code = g.resource
         join resource_version v on v.resource = r.code and v.version = r.version where g.id = $1 for no key update of g`,
      [grant],
    )
    if (!row) throw notFound('grant', grant)
    checkMasks(row.schema, row.items, row.mode, masks)
    const side = principal.agency === row.provider ? 'provider' : 'office'
    await query('update access_grant set masks = jsonb_set(masks, $2, $3) where id = $1', [grant, [side], JSON.stringify(masks)])
    const routes = await query<{ agent: string }>('select agent from route where access_grant = $1', [grant])
    for (const { agent } of routes) affectedAgents.add(agent)
    await record(query, {
      workflow: 'grant',
      object: grant,
      event: 'mask',
      from: row.state,
      to: row.state,
      principal,
      input: { side, masks },
    })
    return masksOf(query, grant)
  })
}
