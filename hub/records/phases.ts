import type { Query } from '../store/store.ts'

/** What was in force of a resource from a moment on, until the next phase. */
export interface Phase {
  since: Date
  cycle: string
  state: string
  supplyMode: string
  /** Whether data of it comes to the hub at all (Art. 5, 27). */
  supplied: boolean
}

/** Writes down what is in force of a resource from now on, after whatever changed it, in the same transaction. */
export async function notePhase(query: Query, resource: string, now: Date): Promise<void> {
  await query(
    `insert into resource_phase (resource, since, cycle, state, supply_mode, supplied)
     select r.code, $2, r.cycle, r.state, r.supply_mode, r.sharing <> 'none' and not r.secrecy and exists (
       select from resource_version v where v.resource = r.code and v.version = r.version
         and (cardinality(v.stored_closed_items) > 0 or v.schema -> 'items' @? '$[*] ? (@.openness != "closed")'))
     from resource r where r.code = $1`,
    [resource, now],
  )
}

/** The phases of resources, in order. The first one reaches back to the publication. */
export async function phasesOf(query: Query, resources: readonly string[]): Promise<Map<string, Phase[]>> {
  const rows = await query<Phase & { resource: string }>(
    `select resource, since, cycle, state, supply_mode as "supplyMode", supplied from resource_phase where resource = any($1)
     order by resource, number`,
    [resources],
  )
  return Map.groupBy(rows, ({ resource }) => resource)
}
