import { theHub } from '../../access/principal.ts'
import type { Registry } from '../../records/registry.ts'
import type { Query } from '../../store/store.ts'
import { applyEvent } from '../workflow.ts'
import { coveredBy, needsConsent, whyNotShared } from './application-rules.ts'
import { applicationFlow } from './application-workflow.ts'
import { loadApplication } from './applications.ts'

/**
 * Applications that wait for a decision follow what is said of a resource now: where it is shared under conditions, its provider is asked (Art. 5);
 * where it is not any more, nobody waits for the answer. The caller holds the resource's lock.
 */
export async function followSharing(query: Query, affectedAgents: Set<string>, registry: Registry, code: string): Promise<void> {
  const waiting = await query<{ id: string }>(
    `select a.id from application a join resource r on r.code = a.resource or (r.standard = a.standard and r.agency <> a.agency)
     where r.code = $1 and a.state in ('consulting', 'reviewing') order by a.id`,
    [code],
  )
  for (const { id } of waiting) {
    const application = await loadApplication(query, id)
    const consent = application.consents.find(({ resource }) => resource === code)
    const resource = (await coveredBy(query, application)).find((one) => one.code === code)!
    const apply = (event: 'ask' | 'proceed') =>
      applyEvent(applicationFlow, event, id, { registry, query, affectedAgents, principal: theHub, input: {} })
    if (!needsConsent(resource, application.mode)) {
      if (consent?.state === 'asked') await apply('proceed')
    } else if (!consent && !whyNotShared(resource, application.mode)) await apply('ask')
  }
}
