/** What happened to an object, line by line: in its history, and in the audit. */
import type { Query } from '../store/store.ts'
import { writeAudit, type Act } from './audit.ts'

/** Who did it, as whoever is signed in is known. */
interface Doer extends Pick<Act, 'actor' | 'via' | 'ip'> {
  name: string
  agency: string | null
}

interface Recorded {
  workflow: string
  object: string
  event: string
  from: string | null
  to: string
  principal: Doer
  input: Record<string, unknown>
  /** By the hub's clock; absent: by the store's. */
  now?: Date
}

/** A line of an object's history, and of the audit. Also for the making of an object (`from` null). */
export async function record(query: Query, { workflow, object, event, from, to, principal, input, now }: Recorded): Promise<void> {
  const { actor, name, agency, via, ip } = principal
  await query(
    `insert into history (workflow, object, event, from_state, to_state, actor, actor_name, agency, details, at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, clock_timestamp()))`,
    [workflow, object, event, from, to, actor, name, agency, JSON.stringify(input), now],
  )
  await writeAudit(query, {
    actor,
    agency,
    ...(via !== undefined && { via }),
    ...(ip !== undefined && { ip }),
    act: `${workflow}.${event}`,
    object: `${workflow} ${object}`,
    details: { from, to, ...input },
  })
}

export interface HistoryLine {
  event: string
  from: string | null
  to: string
  actor: string
  actorName: string
  agency: string | null
  at: Date
  details: Record<string, unknown>
}

export function historyOf(query: Query, workflow: string, object: string): Promise<HistoryLine[]> {
  return query<HistoryLine>(
    `select event, from_state as "from", to_state as "to", actor, actor_name as "actorName", agency, at, details
     from history where workflow = $1 and object = $2 order by id`,
    [workflow, object],
  )
}
