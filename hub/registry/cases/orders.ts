import type { Principal } from '../../access/principal.ts'
import { dayOf, type Day } from '../../records/calendar.ts'
import { startDeadline } from '../../records/deadlines.ts'
import { notify } from '../../records/notices.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { change, type Registry } from '../../records/registry.ts'
import { requireResource } from '../catalog/resources.ts'
import { record } from '../workflow.ts'
import { loadOrder, orderCauses, orderSql, type Order, type OrderCause } from '../workflows/order.ts'
import { rule } from '../../records/refusals.ts'

export interface NewOrder {
  agency: string
  resource?: string
  cause: OrderCause
  text: string
  /** The last day on which it is in time. */
  due: Day
}

/** Orders an agency to put something right (Art. 27). Throws QZ-RULE where it is due at once, or the resource is another agency's. */
export async function issueOrder(registry: Registry, principal: Principal, wanted: NewOrder): Promise<Order> {
  const { agency, resource, cause, text, due } = wanted
  const issuer = (['supervisor', 'secrecy', 'office'] as const).find((role) => principal.roles.includes(role))
  const now = registry.clock()
  if (due <= dayOf(now)) throw rule('整改期限已过', 'the day by which it is due is over')
  return change(registry, async (query) => {
    await requireAgency(query, agency)
    if (resource !== undefined && (await requireResource(query, resource)).agency !== agency) {
      throw rule(`资源 ${resource} 不属于 ${agency}`, `resource ${resource} is not one of ${agency}`)
    }
    const [row] = await query<{ id: string }>(
      `insert into rectification_order (agency, resource, cause, text, due, issuer, issued_by, state, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, 'issued', $8) returning id`,
      [agency, resource, cause, text, due, issuer, principal.actor, now],
    )
    const object = `order ${row!.id}`
    const input = { agency, cause, ...(resource && { resource }), due }
    await record(query, { workflow: 'order', object: row!.id, event: 'issue', from: null, to: 'issued', principal, input })
    await startDeadline(query, { kind: 'rectification', object, agency, role: 'reviewer', from: now, due })
    const texts = { zh: `责令改正:${orderCauses[cause].zh}`, en: `Rectification order: ${orderCauses[cause].en}` }
    await notify(query, { to: { agency, role: 'reviewer' }, kind: 'order', object, ...texts })
    return loadOrder(query, row!.id)
  })
}

export function listOrders({ store }: Registry, agencyScope: string | null, before: string | null, limit: number): Promise<Order[]> {
  return store.query<Order>(
    `${orderSql} where ($1::text is null or agency = $1) and ($2::bigint is null or id < $2) order by id desc limit $3`,
    [agencyScope, before, limit],
  )
}
