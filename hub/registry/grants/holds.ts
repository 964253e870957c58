import type { Query } from '../../store/store.ts'
import type { Entry } from '../catalog/catalog.ts'
import { versionName } from '../catalog/version-names.ts'
import { touches, type Incompatibility } from '../catalog/compatibility.ts'
import type { Publisher } from '../../access/principal.ts'
import type { Registry } from '../../records/registry.ts'
import { applyEvent } from '../workflow.ts'
import { grantFlow } from './grant-workflow.ts'

/** Holds the grants that an incompatible version touches until their receivers accept it. */
export async function holdGrants(
  query: Query,
  affectedAgents: Set<string>,
  { registry, principal, now }: { registry: Registry; principal: Publisher; now: Date },
  { code, version, catalogVersion }: Entry,
  found: readonly Incompatibility[],
): Promise<void> {
  if (found.length === 0) return
  const grants = await query<{ id: string; agency: string; items: string[] }>(
    `select id, agency, items from access_grant
     where resource = $1 and state in ('active', 'suspended', 'held') and (valid_to is null or valid_to > $2) order by id for no key update`,
    [code, now],
  )
  const by = { ...principal, person: null, roles: [], via: 'hub' as const }
  for (const { id, agency, items } of grants.filter((grant) => touches(found, grant.items))) {
    const why = found.filter((one) => touches([one], items))
    const named = versionName(catalogVersion, version)
    const reason = {
      zh: `${named.zh}与此前不兼容（${why.map(({ zh }) => zh).join('；')}），等待接收单位 ${agency} 接受或放弃`,
      en: `${named.en} is not compatible (${why.map(({ en }) => en).join('; ')}): waits until the receiver ${agency} accepts it or gives up`,
    }
    await applyEvent(grantFlow, 'hold', id, { registry, query, affectedAgents, principal: by, input: { version, reason } })
  }
}
