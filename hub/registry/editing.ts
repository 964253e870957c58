import type { ObjectKind } from '../access/relations.ts'
import type { Registry } from '../records/registry.ts'
import type { Query } from '../store/store.ts'
import { lockAgency } from './agencies/agencies.ts'
import { lockResource } from './publishing/publishing.ts'
import { requireSeen, revisionOf } from './revision.ts'

/** What an edit of an object locks, in the same order. Cases lock themselves (workflow.ts). */
const locks: Partial<Record<ObjectKind, (query: Query, id: string) => Promise<unknown>>> = {
  agency: lockAgency,
  grant: (query, id) => query('select from access_grant where id = $1 for no key update', [id]),
  evaluation: (query, id) => query('select from evaluation where id::text = $1 for no key update', [id]),
  person: (query, id) => query('select from person where id::text = $1 for no key update', [id]),
  resource: (query, id) => lockResource(query, id),
}

export interface Edited {
  kind: ObjectKind
  id: string
  /** The revision that the caller saw; undefined where they do not say. */
  seen: string | undefined
}

/**
 * The registry for an edit of one object: what it does, it does to the object that was seen, or not at all (QZ-REVISION). `after` is told the
 * revision that it makes.
 */
export function editing(registry: Registry, { kind, id, seen }: Edited, after: (revision: string) => void): Registry {
  const { store } = registry
  const transaction: typeof store.transaction = (work) =>
    store.transaction(async (query) => {
      if (seen !== undefined) {
        await locks[kind]?.(query, id)
        await requireSeen(query, kind, id, seen)
      }
      const result = await work(query)
      after(await revisionOf(query, kind, id))
      return result
    })
  return { ...registry, store: { ...store, transaction } }
}
