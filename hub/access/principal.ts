import type { Role } from '../records/roles.ts'

/** Who asks: a person who is signed in, a machine with a key, or the hub itself when time has come for something. */
export interface Principal {
  /** As the audit names it: `person 7`, `key 3`, `hub`. */
  actor: string
  /** Id of the person; null for machines and the hub. */
  person: string | null
  name: string
  /** Code of the agency; null for the hub. */
  agency: string | null
  roles: readonly Role[]
  via: 'session' | 'key' | 'hub' | 'admin-key'
  /** Hash of the session's secret, where there is one. */
  session?: string
  /** Address of the request. */
  ip?: string
  /** What must be done before anything else: a new password, or the second factor set up. */
  due?: Due
}

export type Due = 'password' | 'factor'

/** Deadlines, expiry and whatever else happens because of the time. */
export const theHub: Principal = { actor: 'hub', person: null, name: 'hub', agency: null, roles: [], via: 'hub' }

/** Whoever holds the admin key, on trial without people: what the office does. */
export const theAdmin: Principal = { actor: 'admin', person: null, name: 'admin', agency: null, roles: ['office'], via: 'admin-key' }

/** What the audit says of who acted: of a name alone (the admin key, an agent, a program) no more than that. */
export function actedBy(who: Principal): Pick<Principal, 'actor' | 'agency' | 'via'> & { ip?: string }
export function actedBy(who: Principal | string): Pick<Principal, 'actor'> & Partial<Pick<Principal, 'agency' | 'via'>> & { ip?: string }
export function actedBy(who: Principal | string) {
  if (typeof who === 'string') return { actor: who }
  const { actor, agency, via, ip } = who
  return { actor, agency, via, ...(ip !== undefined && { ip }) }
}

/** Who publishes: a person, a machine, or the admin key, of which less is known. */
export type Publisher = Pick<Principal, 'actor' | 'name' | 'agency'> & Partial<Pick<Principal, 'via' | 'ip'>>
