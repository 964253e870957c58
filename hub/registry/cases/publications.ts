import { QianzhiError } from '../../../protocol/errors.ts'
import { theHub, type Principal } from '../../access/principal.ts'
import { notify } from '../../records/notices.ts'
import { change, type Registry } from '../../records/registry.ts'
import { applyEvent, record } from '../workflow.ts'
import { checkGranted, loadPublication, publicationFlow, publicationSql, type PublicationRequest } from '../workflows/publication.ts'

export interface NewPublication {
  grant: string
  items: string[]
  place: string
  purpose: string
  source: string
}

/** Asks the provider for consent to publish items that one receives (Art. 5, 17). Throws QZ-NOT-FOUND, QZ-RULE. */
export async function askToPublish(registry: Registry, principal: Principal, wanted: NewPublication): Promise<PublicationRequest> {
  const { grant, items, place, purpose, source } = wanted
  const { agency } = principal
  if (agency === null) throw new QianzhiError('QZ-FORBIDDEN', { operation: 'publication.create' })
  return change(registry, async (query) => {
    const { resource } = await checkGranted(query, { grant, items, agency }, registry.clock())
    const [row] = await query<{ id: string }>(
      `insert into publication_request (agency, access_grant, resource, items, place, purpose, source, state, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id`,
      [agency, grant, resource, items, place, purpose, source, publicationFlow.initial, registry.clock()],
    )
    const { id } = row!
    await record(query, { workflow: 'publication', object: id, event: 'create', from: null, to: 'asked', principal, input: { ...wanted } })
    const request = await loadPublication(query, id)
    await notify(query, {
      to: { agency: request.provider, role: 'reviewer' },
      kind: 'publication',
      object: `publication ${id}`,
      zh: `${agency} 请求对外公开资源 ${resource} 的数据(请求 ${id}),请答复`,
      en: `${agency} asks to publish data of resource ${resource} (request ${id}): consent or refuse`,
    })
    return request
  })
}

export interface PublicationFilter {
  /** Receiver or provider; null: everybody's. */
  agencyScope: string | null
  state?: string | undefined
  before?: string | undefined
  limit: number
}

/** Newest first. */
export function listPublications(
  { store }: Registry,
  { agencyScope, state, before, limit }: PublicationFilter,
): Promise<PublicationRequest[]> {
  return store.query<PublicationRequest>(
    `${publicationSql} where ($1::text is null or p.agency = $1 or r.agency = $1) and ($2::text is null or p.state = $2)
       and ($3::bigint is null or p.id < $3) order by p.id desc limit $4`,
    [agencyScope, state ?? null, before ?? null, limit],
  )
}

/** Ends the consents whose period is over: for the minutely round of supervision. @returns how many. */
export async function expirePublications(registry: Registry): Promise<number> {
  for (let ended = 0; ; ended++) {
    const again = await change(registry, async (query, affectedAgents) => {
      const [due] = await query<{ id: string }>(
        `select id from publication_request where state = 'consented' and until <= $1 order by until, id limit 1 for no key update skip locked`,
        [registry.clock()],
      )
      if (due) await applyEvent(publicationFlow, 'expire', due.id, { registry, query, affectedAgents, principal: theHub, input: {} })
      return due !== undefined
    })
    if (!again) return ended
  }
}
