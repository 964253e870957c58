import { isDeepStrictEqual } from 'node:util'

/** A member of an object, as it was and as it is. */
export interface Change {
  member: string
  before: string | string[] | null
  after: string | string[] | null
}

/** Which of these members differ. */
export function changesOf<K extends string>(
  before: Readonly<Record<K, Change['before']>>,
  after: Readonly<Record<K, Change['after']>>,
  members: readonly K[],
): Change[] {
  return members
    .filter((member) => !isDeepStrictEqual(before[member], after[member]))
    .map((member) => ({ member, before: before[member], after: after[member] }))
}
