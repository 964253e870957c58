import type { FolderSettings, QuarantinedKey } from '../database.ts'
import { rememberedRoutes, SinkStore } from './store/sink-store.ts'
import { sourceQuarantine } from './store/stores.ts'

/** Keys set aside in a folder's stores, the longest first; also beside a running agent. */
export function listQuarantine(folder: FolderSettings, name: string | undefined, limit: number): QuarantinedKey[] {
  const found = [
    ...sourceQuarantine(folder, name, limit),
    ...rememberedRoutes(folder).flatMap((route) => keysOf(folder, route, name, limit)),
  ]
  return found.toSorted((a, b) => a.since.getTime() - b.since.getTime()).slice(0, limit)
}

function keysOf(folder: FolderSettings, route: string, name: string | undefined, limit: number): QuarantinedKey[] {
  const store = SinkStore.read(folder, route)
  if (!store) return []
  try {
    return name === undefined || name === route || name === store.resource ? store.quarantined(route, limit) : []
  } finally {
    store.close()
  }
}
