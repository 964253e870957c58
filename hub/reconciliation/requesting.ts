import { QianzhiError } from '../../protocol/errors.ts'
import { writeAudit, type Via } from '../records/audit.ts'
import type { Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { reconciliationTopic } from './runner.ts'
import { insertRun, openRun } from './records.ts'
import { runRoute } from './routes.ts'
import type { ReconciliationSettings } from './settings.ts'
import { conflict } from '../records/refusals.ts'

export interface RequestDeps {
  store: Pick<Store, 'query' | 'transaction'>
  wakeups: Wakeups
  clock: () => Date
  settings: ReconciliationSettings
}

export interface Requester {
  actor: string
  agency: string | null
  via: Via
  ip?: string
}

/**
 * Has a route reconciled now. The run that waits or is under way already is the answer where there is one: it begins at once. Throws
 * QZ-ROUTE-ENDED for a route that is not in force or has nothing yet.
 */
export async function requestRun(
  { store, wakeups, clock, settings }: RequestDeps,
  requester: Requester,
  route: string,
  repair: boolean = settings.repair === 'automatic',
): Promise<string> {
  const now = clock()
  const deadline = new Date(now.getTime() + settings.hours * 3_600_000)
  const id = await store.transaction(async (query) => {
    if (!(await runRoute(query, route, now))) {
      throw new QianzhiError('QZ-ROUTE-ENDED', {
        route,
        reason: { zh: '未生效，或尚未交换', en: 'it is not in force, or nothing was delivered yet' },
      })
    }
    const made = await insertRun(query, { route, by: requester.actor, repair, now, deadline })
    const run = made ?? (await openRun(query, route))
    if (run === undefined) throw conflict('route', route)
    if (made === null)
      await query(`update reconciliation set not_before = $2, code = null, details = null where id = $1 and state = 'waiting'`, [run, now])
    await writeAudit(query, { ...requester, act: 'route.reconcile', object: `route ${route}`, details: { reconciliation: run, repair } })
    return run
  })
  wakeups.wake(reconciliationTopic)
  return id
}
