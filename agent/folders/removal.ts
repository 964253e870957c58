/** The end of a route whose data goes: the files that were written for it, and what is remembered of it. */
import { lstat, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { QianzhiError } from '../../protocol/errors.ts'
import type { FolderSettings, Removal } from '../database.ts'
import { removePartFiles } from './files/part-files.ts'
import { requireFolder, unreachable } from './store/owner.ts'
import { rememberedRoutes, removeSinkStore, SinkStore } from './store/sink-store.ts'
import { fileNumber } from './rows/file-names.ts'
import { flushFolder, isBusy, removeTemporaries } from './store/durable-write.ts'

/** Names of files that a receipt tells. */
const maxNames = 20

/**
 * Removes what the route left in this folder: the files that are still there, whatever they hold, and its store but for the word of what was
 * removed. Null where nothing was delivered here. Throws QZ-FOLDER-UNREACHABLE where a file cannot be removed: it is tried again.
 */
export async function removeRoute(route: string, folder: FolderSettings): Promise<Removal | null> {
  if (!rememberedRoutes(folder).includes(route)) return null
  await requireFolder(folder)
  const store = SinkStore.open(folder, route)
  const others: SinkStore[] = []
  try {
    if (store.removal) return store.removal
    for (const other of rememberedRoutes(folder)) {
      const opened = other === route ? undefined : SinkStore.read(folder, other)
      if (opened) others.push(opened)
    }
    return await removeFiles(route, folder, store, others)
  } finally {
    for (const opened of [store, ...others]) opened.close()
  }
}

/** `others`: stores of other routes. A file that one of them has written is that one's: a later route of the resource goes on in it. */
async function removeFiles(route: string, { path }: FolderSettings, store: SinkStore, others: readonly SinkStore[]): Promise<Removal> {
  const files = store.all('select file from written order by file').map(({ file }) => String(file))
  const removed: string[] = []
  for (const file of files) {
    const kept = others.some((other) => other.get('select 1 from written where file = ?', file))
    if (!kept && (await removeFile(path, file))) removed.push(file)
  }
  await removePartFiles(path, route)
  await removeTemporaries(path, (name) => fileNumber(name, store.resource ?? '') !== undefined)
  await flushRemoved(path, removed)
  // From one row on that is counted as one: a folder is no table of whose rows each is one in it.
  const removal = {
    rows: store.rows ?? removed.length,
    tables: removed.filter((file) => !file.endsWith('.manifest.json')).slice(0, maxNames),
    done: true,
  }
  store.forgetAll(removal)
  return removal
}

/** What is removed is so on the disk, before it is forgotten. */
async function flushRemoved(path: string, files: readonly string[]): Promise<void> {
  for (const folder of new Set([path, ...files.map((file) => dirname(join(path, file)))]))
    await flushFolder(folder).catch((error) => (isGone(error) ? undefined : Promise.reject(error)))
}

/** Forgets removals of all other routes. */
export function settleRemovals(wanted: readonly string[], folder: FolderSettings): void {
  for (const route of rememberedRoutes(folder)) {
    if (wanted.includes(route)) continue
    const store = SinkStore.open(folder, route)
    const { removal } = store
    store.close()
    if (removal) removeSinkStore(folder, route)
  }
}

/** False where it is not there any more. Only names within the folder, and never through a symbolic link. */
async function removeFile(folder: string, file: string): Promise<boolean> {
  const parts = file.split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..' || /[\\\0]/.test(part))) return false
  try {
    for (let i = 1; i < parts.length; i++) {
      const found = await lstat(join(folder, ...parts.slice(0, i)))
      if (!found.isDirectory()) return false
    }
    const path = join(folder, ...parts)
    if ((await lstat(path)).isDirectory()) return false
    await rm(path)
    await removeEmptied(folder, parts)
    return true
  } catch (error) {
    if (isGone(error)) return false
    if (!isBusy(error)) throw unreachable(folder, error)
    const reason = { zh: `文件 ${file} 正被其他程序打开`, en: `file ${file} is open in another program` }
    throw new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder, reason }, { cause: error })
  }
}

async function removeEmptied(folder: string, parts: readonly string[]): Promise<void> {
  for (let path = dirname(join(folder, ...parts)), left = parts.length - 1; left > 0; left--, path = dirname(path)) {
    try {
      await rmdir(path)
    } catch {
      // It holds something else.
      return
    }
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}
