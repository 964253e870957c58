import type { Schema } from '../../../protocol/schema.ts'
import type { Query } from '../../store/store.ts'
import type { Registry } from '../../records/registry.ts'
import { notFound } from '../../records/refusals.ts'

export interface Resource {
  code: string
  agency: string
  /** Agent that produces the stream; null: the agency's only active agent. */
  producer: string | null
  keep: 'store' | 'relay'
  /** Suspended by the secrecy supervisor; withdrawn for ever by its agency. */
  state: 'active' | 'suspended' | 'withdrawn'
  version: number
  schema: Schema
  /** Closed items whose data the provider stores on the hub all the same (Art. 5). */
  storedClosed: string[]
}

const columns = `r.code, r.agency, r.producer, r.keep, r.state, r.version, v.schema, v.stored_closed_items as "storedClosed"
  from resource r join resource_version v on v.resource = r.code and v.version = r.version`

export async function requireResource(query: Query, code: string): Promise<Resource> {
  const [resource] = await query<Resource>(`select ${columns} where r.code = $1`, [code])
  if (!resource) throw notFound('resource', code)
  return resource
}

export function listResources({ store }: Registry): Promise<Resource[]> {
  return store.query<Resource>(`select ${columns} order by r.code`)
}
