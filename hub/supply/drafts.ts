/** Rows that a person has begun and not yet entered: nothing of them is checked, and nobody else sees them. */
import type { Value } from '../../protocol/value.ts'
import { notFound, rule } from '../records/refusals.ts'
import type { Query, Store } from '../store/store.ts'

export interface Draft {
  id: string
  values: Record<string, Value>
  /** The position of the row that it changes; null for a new one. */
  seen: string | null
  at: Date
}

/** Of one person and resource. */
const most = 200

export interface Owner {
  resource: string
  person: string | null
}

export function listDrafts(query: Query, { resource, person }: Owner): Promise<Draft[]> {
  return query<Draft>('select id, "values", seen, at from supply_draft where resource = $1 and person = $2 order by at desc, id desc', [
    resource,
    person,
  ])
}

/** Throws QZ-RULE where there are too many. */
export async function saveDraft(
  store: Pick<Store, 'query'>,
  { resource, person }: Owner,
  draft: Pick<Draft, 'values' | 'seen' | 'at'> & { id?: string },
): Promise<Draft> {
  const { id, values, seen, at } = draft
  const content = [JSON.stringify(values), seen, at]
  if (id !== undefined) {
    const [changed] = await store.query<Draft>(
      `update supply_draft set "values" = $4, seen = $5, at = $6 where id::text = $1 and resource = $2 and person = $3 returning id, "values", seen, at`,
      [id, resource, person, ...content],
    )
    if (!changed) throw notFound('draft', id)
    return changed
  }
  const [made] = await store.query<Draft>(
    `insert into supply_draft (resource, person, "values", seen, at) select $1, $2, $3, $4, $5
     where (select count(*) from supply_draft where resource = $1 and person = $2) < $6 returning id, "values", seen, at`,
    [resource, person, ...content, most],
  )
  if (!made) throw rule(`每人每个资源至多 ${most} 份草稿`, `a person has at most ${most} drafts of a resource`)
  return made
}

/** Throws QZ-NOT-FOUND. */
export async function discardDraft(query: Query, { resource, person }: Owner, id: string): Promise<void> {
  const gone = await query('delete from supply_draft where id::text = $1 and resource = $2 and person = $3 returning 1', [
    id,
    resource,
    person,
  ])
  if (gone.length === 0) throw notFound('draft', id)
}
