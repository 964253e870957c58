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
  await query(`insert into audit_entry (${columns}) values ($1, $2, $3, $4, $5, $6, $7, $8)`, rowOf(act))
}

/** Many acts, in this order, at once. */
export async function writeAudits(query: Query, acts: readonly Act[]): Promise<void> {
  const rows = acts.map(rowOf)
  await query(
    `insert into audit_entry (${columns}) select ${columns.replace('details', 'details::jsonb')}
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) with ordinality as e(${columns}, n) order by n`,
    Array.from({ length: 8 }, (_, at) => rows.map((row) => row[at])),
  )
}

const columns = 'actor, agency, via, ip, act, object, outcome, details'

function rowOf({ actor, agency = null, via = knownVia[actor] ?? null, ip = null, act, object, outcome = 'done', details = {} }: Act) {
  const told = JSON.stringify(details, (_name, value: unknown) => storable(value))
  return [storable(actor), agency, via, ip, act, storable(object), outcome, told]
}

/** PostgreSQL keeps neither U+0000 nor lone surrogates, which what a caller sent may hold: they must not keep an act off the record. */
function storable<T>(value: T): T {
  return typeof value === 'string' ? (value.toWellFormed().replaceAll('\0', '\ufffd') as T & string) : value
}
