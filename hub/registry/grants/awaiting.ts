import type { Query } from '../../store/store.ts'
import type { Entry } from '../catalog/catalog.ts'
import type { Registry } from '../../records/registry.ts'
import { theHub } from '../../access/principal.ts'
import { applyEvent } from '../workflow.ts'
import { applicationFlow } from './application-workflow.ts'

/**
 * Applications that wait for a decision follow what the newest version says: where the resource is shared under conditions now, its provider is
 * asked (Art. 5); where it is not any more, nobody waits for the answer.
 */
export async function followSharing(
  query: Query,
  affectedAgents: Set<string>,
  registry: Registry,
  { code, standard, agency, content: { sharing } }: Entry,
): Promise<void> {
  const concerned =
    sharing === 'conditional'
      ? 'not exists (select from application_consent where application = a.id and resource = $1)'
      : `exists (select from application_consent where application = a.id and resource = $1 and state = 'asked')`
  const waiting = await query<{ id: string }>(
    `select id from application a where state in ('consulting', 'reviewing') and agency <> $3 and (resource = $1 or standard = $2)
     and ${concerned} order by id`,
    [code, standard, agency],
  )
  const event = sharing === 'conditional' ? 'ask' : 'proceed'
  for (const { id } of waiting)
    await applyEvent(applicationFlow, event, id, { registry, query, affectedAgents, principal: theHub, input: {} })
}
