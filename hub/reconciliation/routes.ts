import { deliverableItems, type Schema } from '../../protocol/schema.ts'
import { masksOnRoute, type GrantMasks } from '../records/masks.ts'
import type { Query } from '../store/store.ts'
import { enteredSql, flowsSql, hubProducer, producerOf } from '../records/supply.ts'
import { keptSql } from '../tables/records.ts'

/** A route as it can be reconciled now. */
export interface RunRoute {
  route: string
  resource: string
  title: string
  provider: string
  receiver: string
  schema: number
  /** What the route delivers as it is, in schema order. */
  items: string[]
  /** What it delivers masked: it cannot be compared. */
  masked: string[]
  /** `hub` where people enter the rows. */
  sourceAgent: string
  targetAgent: string
}

interface Row extends Omit<RunRoute, 'schema' | 'items' | 'masked'> {
  schema: Schema
  masks: GrantMasks
  granted: string[]
}

/** SQL: routes `t` in force at $1, whose receiver has applied something and whose resource somebody produces. */
const inForce = `
  from route t
  join access_grant g on g.id = t.access_grant and g.mode = 'exchange' and (g.valid_to is null or g.valid_to > $1)
  join agent a on a.id = t.agent and a.state = 'active' and a.agency = g.agency
  join resource r on r.code = g.resource and ${flowsSql}
  join resource_version v on v.resource = r.code and v.version = r.version
  left join agent p on p.id = ${producerOf} and p.state = 'active'
  where t.epoch is not null and (p.id is not null or ${enteredSql} and ${keptSql})`

/** Undefined where the route cannot be reconciled: it, its grant, its resource or one of its agents is not in force, or nothing was delivered yet. */
export async function runRoute(query: Query, route: string, now: Date): Promise<RunRoute | undefined> {
  const [row] = await query<Row>(
    `select t.id as route, r.code as resource, r.title, r.agency as provider, g.agency as receiver, v.schema, g.items as granted, g.masks,
       coalesce(p.id, '${hubProducer}') as "sourceAgent", t.agent as "targetAgent" ${inForce} and t.id = $2`,
    [now, route],
  )
  if (!row) return undefined
  const { granted, schema, masks, ...rest } = row
  const masked = Object.keys(masksOnRoute(schema, granted, masks).masks ?? {})
  const items = deliverableItems(schema, granted).flatMap(({ id }) => (masked.includes(id) ? [] : [id]))
  return { ...rest, schema: schema.version, items, masked }
}

/** Ids of all routes that can be reconciled. */
export async function runnableRoutes(query: Query, now: Date): Promise<string[]> {
  return (await query<{ id: string }>(`select t.id ${inForce} order by t.id`, [now])).map(({ id }) => id)
}

/** Routes by which an agent supplies or receives what is called so: a route, or all of a resource. */
export async function routesOfAgent(query: Query, agent: string, name: string, now: Date): Promise<string[]> {
  const text = `select t.id ${inForce} and (t.id = $2 or r.code = $2) and (t.agent = $3 or p.id = $3) order by t.id`
  return (await query<{ id: string }>(text, [now, name, agent])).map(({ id }) => id)
}
