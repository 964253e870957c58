import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { StreamStore } from '../stream-store.ts'
import { removeStaging } from './staging.ts'

/** Where what is remembered of the sources in folders lies in the data folder. */
function sourceFolder(data: string): string {
  return join(data, 'folders')
}

export function sourceFile(data: string, resource: string): string {
  return join(sourceFolder(data), `${encodeURIComponent(resource)}.sqlite`)
}

/** The store of a resource, which others may read meanwhile, and where its files are staged. Throws QZ-DATA-LOCKED. */
export function openSourceStore(data: string, resource: string): { store: StreamStore; staging: string } {
  mkdirSync(sourceFolder(data), { recursive: true, mode: 0o700 })
  const file = sourceFile(data, resource)
  return { store: new StreamStore(file, { shared: true }), staging: `${file}.staged` }
}

/** Resources that anything is remembered of. */
export function rememberedResources(data: string): string[] {
  try {
    return readdirSync(sourceFolder(data)).flatMap((name) => (name.endsWith('.sqlite') ? [decodeURIComponent(name.slice(0, -7))] : []))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Removes all that is remembered of a resource. */
export function removeSourceStore(data: string, resource: string): void {
  const file = sourceFile(data, resource)
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  removeStaging(`${file}.staged`)
}
