import { QianzhiError } from '../../protocol/errors.ts'
import type { Principal } from './principal.ts'
import { personal, rights, type OperationName, type Reach } from './rights.ts'
import type { Role } from '../records/roles.ts'

/** Which agencies and which person an object belongs to, and as what. */
export interface Relations {
  /** Agencies whose own it is. */
  own?: readonly string[]
  /** Agencies that provide the data it is about. */
  provider?: readonly string[]
  /** Agencies that receive, or ask to receive, that data. */
  receiver?: readonly string[]
  /** Persons whose own it is. */
  self?: readonly string[]
}

/** Every reach that somebody has for an operation through any of their roles; empty: not allowed at all. */
export function reachOf(principal: Principal, operation: OperationName): Set<Reach> {
  const line: Partial<Record<Role | 'everybody' | 'hub', Reach | readonly Reach[]>> = rights[operation]
  if (principal.via === 'key' && personal.has(operation)) return new Set()
  return new Set(partsOf(principal).flatMap((role) => line[role] ?? []))
}

/** A wall screen is not one of everybody. */
function partsOf({ via, roles }: Principal): readonly (Role | 'everybody' | 'hub')[] {
  if (via === 'hub') return ['hub']
  return roles.includes('display') ? ['display'] : ['everybody', ...roles]
}

/** All that somebody may do at all, with how far. */
export function everyReach(principal: Principal): Partial<Record<OperationName, Reach[]>> {
  const names = Object.keys(rights) as OperationName[]
  return Object.fromEntries(names.map((name) => [name, [...reachOf(principal, name)]] as const).filter(([, reach]) => reach.length > 0))
}

/** The one place where it is decided who may do what: role × operation × ownership, and nothing that is not in the table. */
export function allows(principal: Principal, operation: OperationName, relations: Relations = {}): boolean {
  return [...reachOf(principal, operation)].some((reach) => reaches(principal, reach, relations))
}

/** Throws QZ-FORBIDDEN. */
export function authorise(principal: Principal, operation: OperationName, relations: Relations = {}): void {
  if (!allows(principal, operation, relations)) throw new QianzhiError('QZ-FORBIDDEN', { operation })
}

function reaches({ agency, person }: Principal, reach: Reach, relations: Relations): boolean {
  if (reach === 'any') return true
  if (reach === 'self') return person !== null && (relations.self ?? []).includes(person)
  return agency !== null && (relations[reach] ?? []).includes(agency)
}
