import type { Schema } from '../../protocol/schema.ts'

/** SQL: whether people enter the rows of a resource `r` (Art. 15): then the hub itself makes its stream, and no agent does. */
export const enteredSql = `(r.supply_mode <> 'front-end')`

/** The name under which the hub makes streams. */
export const hubProducer = 'hub'

/**
 * SQL for the id of the agent that produces a resource `r` now: the named one while it is active; where none is named, the one that made the
 * stream so far, or the agency's only active one. Null where there is none or it is not clear, or people enter its rows.
 */
export const producerOf = `case when not ${enteredSql} then coalesce(
  (select id from agent where id = r.producer and state = 'active'),
  case when r.producer is null then coalesce(
    (select made.id from stream join agent made on made.id = stream.producer
      where stream.resource = r.code and made.agency = r.agency and made.state = 'active'),
    (select min(id) from agent where agency = r.agency and state = 'active' having count(*) = 1)) end) end`

/** SQL: whether a resource `r` may be shared at all now (Art. 5, 26, 27): only then its data goes to the hub, and on. */
export const sharedSql = `(r.state = 'active' and r.sharing <> 'none' and not r.secrecy)`

/** SQL: whether a grant `g` of a resource `r` lets data flow, but for its period (Art. 16). */
export const flowsSql = `(g.state = 'active' and g.mode = any(r.share_modes) and ${sharedSql})`

/** SQL: on day `s` of a resource's supply rows changed: more than a re-synchronisation brought again; the first load of all counts. */
export const changedSql = `(s.changed_rows > s.same_rows
  or s.snapshot_rows > 0 and not exists (select from supply_day e where e.resource = s.resource and e.day < s.day and e.batches > 0))`

/** Ids of the items whose data goes to the hub: all, less the closed ones that the provider does not store there (Art. 5). */
export function suppliedItems(schema: Pick<Schema, 'items'>, storedClosed: readonly string[]): string[] {
  return schema.items.filter((item) => item.openness !== 'closed' || storedClosed.includes(item.id)).map((item) => item.id)
}
