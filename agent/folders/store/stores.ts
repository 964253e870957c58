import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { FolderSettings, QuarantinedKey } from '../../database.ts'
import { StreamStore } from '../../runtime/stream-store.ts'
import { removeStaging } from '../rows/staging.ts'

/** Where what is remembered of the sources in folders lies in the data folder. */
function sourceFolder(data: string): string {
  return join(data, 'folders')
}

export function sourceFile(data: string, resource: string): string {
  return join(sourceFolder(data), `${encodeURIComponent(resource)}.sqlite`)
}

type Place = Pick<FolderSettings, 'data' | 'path'>

/** The store of a resource, which others may read meanwhile, and where its files are staged. Throws QZ-DATA-LOCKED. */
export function openSourceStore({ data, path }: Place, resource: string): { store: StreamStore; staging: string } {
  mkdirSync(sourceFolder(data), { recursive: true, mode: 0o700 })
  const file = sourceFile(data, resource)
  const store = new StreamStore(file, { shared: true })
  // A file's rows are many pages: fewer of them are written twice.
  store.make('pragma wal_autocheckpoint = 8000')
  store.make('create table if not exists place (one integer primary key check (one = 1), path text not null)')
  store.run('insert or replace into place (one, path) values (1, ?)', path)
  return { store, staging: `${file}.staged` }
}

/** The same to read from, also beside a running agent; undefined where there is none, or where it is of another folder. */
export function readSourceStore({ data, path }: Place, resource: string): StreamStore | undefined {
  const file = sourceFile(data, resource)
  if (!existsSync(file)) return undefined
  const store = new StreamStore(file, { readOnly: true })
  if (store.get('select path from place')?.['path'] === path) return store
  store.close()
  return undefined
}

/** Keys set aside in the sources of a folder: see `Database.quarantine`. */
export function sourceQuarantine(place: Place, name: string | undefined, limit: number): QuarantinedKey[] {
  const resources = rememberedResources(place.data).filter((resource) => name === undefined || resource === name)
  return resources.flatMap((resource) => {
    const store = readSourceStore(place, resource)
    if (!store) return []
    try {
      return store.quarantined(resource, limit)
    } finally {
      store.close()
    }
  })
}

/** Resources that anything is remembered of. */
function rememberedResources(data: string): string[] {
  if (!existsSync(sourceFolder(data))) return []
  return readdirSync(sourceFolder(data)).flatMap((name) => (name.endsWith('.sqlite') ? [decodeURIComponent(name.slice(0, -7))] : []))
}

/** Removes all that is remembered of a resource. */
export function removeSourceStore(data: string, resource: string): void {
  const file = sourceFile(data, resource)
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  removeStaging(`${file}.staged`)
}
