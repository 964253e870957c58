import type { Principal } from '../../access/principal.ts'
import { notify } from '../../records/notices.ts'
import type { Query } from '../../store/store.ts'
import { requireAgency } from '../agencies/agencies.ts'
import { change, type Registry } from '../../records/registry.ts'
import { applyEvent, record } from '../workflow.ts'
import { demandFlow, demandSql, loadDemand, type Demand } from '../workflows/demand.ts'

export interface NewDemand {
  title: string
  what: string
  why: string
  basis: string
  supposed?: string
}

/** Demands data that no resource of the catalog has (Art. 8, 16). Throws QZ-NOT-FOUND for a supposed provider that does not exist. */
export async function submitDemand(registry: Registry, principal: Principal, wanted: NewDemand): Promise<Demand> {
  const { title, what, why, basis, supposed = null } = wanted
  return change(registry, async (query) => {
    if (supposed !== null) await requireAgency(query, supposed)
    const [row] = await query<{ id: string }>(
      `insert into demand (agency, title, what, why, basis, supposed, state, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
      [principal.agency, title, what, why, basis, supposed, demandFlow.initial, registry.clock()],
    )
    const { id } = row!
    await record(query, { workflow: 'demand', object: id, event: 'create', from: null, to: 'submitted', principal, input: { ...wanted } })
    await notify(query, {
      to: { role: 'office' },
      kind: 'demand',
      object: `demand ${id}`,
      zh: `${principal.agency} 提出目录外需求“${title}”(${id})`,
      en: `${principal.agency} demands data outside the catalog: ${title} (demand ${id})`,
    })
    return loadDemand(query, id)
  })
}

export interface DemandFilter {
  /** Demanding agency or assigned provider; null: everybody's. */
  agencyScope: string | null
  state?: string | undefined
  before?: string | undefined
  limit: number
}

/** Newest first. */
export function listDemands({ store }: Registry, { agencyScope, state, before, limit }: DemandFilter): Promise<Demand[]> {
  return store.query<Demand>(
    `${demandSql} where ($1::text is null or d.agency = $1 or d.provider = $1) and ($2::text is null or d.state = $2)
       and ($3::bigint is null or d.id < $3) order by d.id desc limit $4`,
    [agencyScope, state ?? null, before ?? null, limit],
  )
}

/** A registration that named the demand was published: it is fulfilled in the same transaction, where it was agreed on. */
export async function demandPublished(
  registry: Registry,
  query: Query,
  affectedAgents: Set<string>,
  { principal, demand, resource }: { principal: Principal; demand: string; resource: string },
): Promise<void> {
  const { state } = await loadDemand(query, demand)
  if (state !== 'agreed') return
  await applyEvent(demandFlow, 'fulfil', demand, { registry, query, affectedAgents, principal, input: { resource } })
}
