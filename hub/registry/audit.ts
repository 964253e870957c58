import type { Query } from '../store/store.ts'

/** One line of the audit: who did what to which object, and how it ended (`done`, or the code of a refusal). */
export interface Act {
  /** `admin`, an agent's id, or where a request came from that nobody is known for. */
  actor: string
  act: string
  object: string
  outcome?: string
  details?: Record<string, unknown>
}

/** Give it the transaction's query: an act is on record exactly if it happened. */
export async function writeAudit(query: Query, { actor, act, object, outcome = 'done', details = {} }: Act): Promise<void> {
  await query('insert into audit_entry (actor, act, object, outcome, details) values ($1, $2, $3, $4, $5)', [
    actor,
    act,
    object,
    outcome,
    JSON.stringify(details),
  ])
}
