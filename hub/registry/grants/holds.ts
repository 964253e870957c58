import { storeText } from '../../../protocol/localized.ts'
import type { Query } from '../../store/store.ts'
import { notify } from '../../records/notices.ts'
import type { Entry } from '../catalog/catalog.ts'
import { touches, type Incompatibility } from '../catalog/compatibility.ts'
import { record } from '../workflow.ts'
import type { Publisher } from '../../access/principal.ts'

interface Touched {
  id: string
  agency: string
  state: 'active' | 'suspended' | 'held'
  items: string[]
}

/**
 * Holds the grants that an incompatible version touches until their receivers accept it: their routes stop, the others flow on. A
 * suspended grant keeps its state, and is held when it resumes (`held_version`).
 */
export async function holdGrants(
  query: Query,
  { principal, now }: { principal: Publisher; now: Date },
  { code, version, content }: Entry,
  found: readonly Incompatibility[],
): Promise<void> {
  if (found.length === 0) return
  const grants = await query<Touched>(
    `select id, agency, state, items from access_grant
     where resource = $1 and state in ('active', 'suspended', 'held') and (valid_to is null or valid_to > $2) order by id for no key update`,
    [code, now],
  )
  for (const grant of grants.filter(({ items }) => touches(found, items))) {
    const why = found.filter((one) => touches([one], grant.items))
    const reason = {
      zh: `版本 ${version} 与此前不兼容(${why.map(({ zh }) => zh).join(';')}),等待接收单位 ${grant.agency} 接受或放弃`,
      en: `version ${version} is not compatible (${why.map(({ en }) => en).join('; ')}): waits until the receiver ${grant.agency} accepts it or gives up`,
    }
    const to = grant.state === 'suspended' ? 'suspended' : 'held'
    await query(
      `update access_grant set state = $2, held_version = $3, reason = case when state = 'suspended' then reason else $4 end where id = $1`,
      [grant.id, to, version, storeText(reason)],
    )
    const by = { ...principal, person: null, roles: [], via: 'hub' as const }
    await record(query, { workflow: 'grant', object: grant.id, event: 'hold', from: grant.state, to, principal: by, input: { version } })
    await notify(query, {
      to: [{ agency: grant.agency, role: 'user' }, { role: 'office' }],
      kind: 'grant-held',
      object: `grant ${grant.id}`,
      zh: `资源“${content.title}”${reason.zh}`,
      en: `${content.title}: ${reason.en}`,
    })
  }
}
