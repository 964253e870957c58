import type { Query } from '../store/store.ts'

/** How an actor proved who it is: a person's session, an API key, the admin key, an agent's signature, a program's access token, or the hub itself. */
export type Via = 'session' | 'key' | 'admin-key' | 'agent' | 'client' | 'hub'

/** One line of the audit: who did what to which object, and how it ended (`done`, or the code of a refusal). Never the values of rows. */
export interface Act {
  /** `person 7`, `key 3`, `admin`, `hub`, an agent's id, or where a request came from that nobody is known for. */
  actor: string
  /** The actor's agency, where it has one. */
  agency?: string | null
  /** Left out: the admin key for `admin`, the hub for `hub`, else unknown. */
  via?: Via | null
  /** Address of the request. */
  ip?: string | null
  act: string
  object: string
  outcome?: string
  details?: Record<string, unknown>
}

const knownVia: Record<string, Via> = { admin: 'admin-key', hub: 'hub' }

/**
 * The one way into the audit. Give it the transaction's query: an act is on record exactly if it happened. It is sealed into the chain
 * within about a second after the commit (supervision/audit-sealer.ts).
 */
export async function writeAudit(query: Query, act: Act): Promise<void> {
  const { actor, agency = null, via = knownVia[actor] ?? null, ip = null, object, outcome = 'done', details = {} } = act
  await query(`insert into audit_entry (actor, agency, via, ip, act, object, outcome, details) values ($1, $2, $3, $4, $5, $6, $7, $8)`, [
    storable(actor),
    agency,
    via,
    ip,
    act.act,
    storable(object),
    outcome,
    JSON.stringify(details, (_name, value: unknown) => storable(value)),
  ])
}

/** PostgreSQL keeps neither U+0000 nor lone surrogates, which what a caller sent may hold: they must not keep an act off the record. */
function storable<T>(value: T): T {
  return typeof value === 'string' ? (value.toWellFormed().replaceAll('\0', '\ufffd') as T & string) : value
}
