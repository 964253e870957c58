import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'

/** The log engine of this hub, in which batches are stored at the hub's own time. An engine is loaded only where it is used. */
export async function openLog(store: Store, clock: () => Date): Promise<Log> {
  const { openPostgresLog } = await import('./postgres.ts')
  return openPostgresLog(store, { clock })
}
