import type { Principal } from '../../access/principal.ts'
import { requireEntry, type Entry } from './catalog.ts'
import { lockResource, putEntry } from '../publishing/publishing.ts'
import type { Query } from '../../store/store.ts'
import { change, type Registry } from '../../records/registry.ts'
import { wrongState } from '../../records/refusals.ts'

/** A change that is under way goes on, from the version that only this has changed. */
async function followDrafts(query: Query, before: Entry, { code, catalogVersion, content }: Entry): Promise<void> {
  await query(
    `update registration set base = $3, content = jsonb_set(content, '{keep}', to_jsonb($4::text))
     where resource = $1 and base = $2 and state in ('draft', 'submitted', 'returned')`,
    [code, before.catalogVersion, catalogVersion, content.keep],
  )
}

/** Whether the hub stores a resource's data or only relays it: its provider decides (Art. 5). Throws QZ-NOT-FOUND, QZ-STATE. */
export async function keepResource(registry: Registry, principal: Principal, code: string, keep: 'store' | 'relay'): Promise<Entry> {
  return change(registry, async (query, affectedAgents) => {
    await lockResource(query, code)
    const before = await requireEntry(query, code)
    if (before.state === 'withdrawn') throw wrongState('resource', code, { zh: '已撤销', en: 'withdrawn' }, 'resource.keep')
    if (before.keep === keep) return before
    const { agency, standard } = before
    const content = { ...before.content, keep }
    const after = await putEntry(
      query,
      affectedAgents,
      { registry, code, agency, content, standard, sameMeaning: 'all', principal, now: registry.clock() },
      before,
    )
    await followDrafts(query, before, after)
    return after
  })
}
