import { checkIdentifier, type IdentifierFault } from './identifiers.ts'
import type { ItemCheck } from './schema.ts'
import type { Value } from './value.ts'

/**
 * What a value's check finds, wherever it is made: at the provider's agent, in forms and in uploads. Null and empty texts are not checked.
 * `condition`: the value of the item that the check depends on, in the same row; undefined where the row lacks it: then it is not made.
 */
export function itemCheckFault({ kind, when }: ItemCheck, value: Value, condition: Value | undefined): IdentifierFault | undefined {
  if (value === null || value === '') return undefined
  if (when && (condition === undefined || !when.equals.includes(condition ?? ''))) return undefined
  return checkIdentifier(kind, value)
}
