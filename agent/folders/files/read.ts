/** Reading a supplied file: the one that was meant, nothing outside the folder, and no mixture of what it was and what it becomes. */
import { createHash, hash } from 'node:crypto'
import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, readlink, realpath, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { QianzhiError } from '../../../protocol/errors.ts'
import { partBytes, partLength, partsOf } from '../../../protocol/files.ts'
import type { IndexedFile } from './index.ts'
import { printOf, timeOf } from './walk.ts'

const hashBytes = 1 << 20

/**
 * Hashes a file as it is now; `content` is that of a file of one part. Throws QZ-FILE-CHANGED where it is another one afterwards.
 */
export async function indexFile(
  tree: FolderTree,
  name: string,
  print: string,
  signal: AbortSignal,
): Promise<{ file: IndexedFile; content?: Buffer }> {
  return withFile(tree, name, print, async (handle, stats) => {
    const size = Number(stats.size)
    const parts = partsOf(size)
    const described = { name, print, size, parts, modified: timeOf(stats.mtimeNs) }
    if (parts > 1) return { file: { ...described, sha256: await hashOf(handle, size, signal) } }
    const content = await readExactly(handle, 0, size, name)
    return { file: { ...described, sha256: hash('sha256', content) }, content }
  })
}

/** The bytes of these parts, in their order. Throws QZ-FILE-CHANGED where the file is not what the index says, before or after. */
export async function readParts(tree: FolderTree, { name, print, size }: IndexedFile, parts: readonly number[]): Promise<Buffer[]> {
  return withFile(tree, name, print, async (handle) => {
    const read: Buffer[] = []
    for (const part of parts) read.push(await readExactly(handle, part * partBytes, partLength(size, part), name))
    return read
  })
}

async function readExactly(handle: FileHandle, at: number, length: number, name: string): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, at + filled)
    if (bytesRead === 0) throw new QianzhiError('QZ-FILE-CHANGED', { file: name })
    filled += bytesRead
  }
  return bytes
}

/** SHA-256 (hex) over so many bytes from the beginning; fewer where the file ends before. */
export async function hashOf(handle: FileHandle, size: number, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(hashBytes, size)))
  for (let at = 0; at < size;) {
    signal?.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at)
    if (bytesRead === 0) break
    digest.update(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
  return digest.digest('hex')
}

async function withFile<T>(
  tree: FolderTree,
  name: string,
  print: string,
  work: (handle: FileHandle, stats: BigIntStats) => Promise<T>,
): Promise<T> {
  const path = join(tree.path, name)
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error) => {
    throw isGone(error) ? new QianzhiError('QZ-FILE-CHANGED', { file: name }, { cause: error }) : error
  })
  try {
    const before = await sameFile(handle, name, print)
    await requireInside(tree, name, handle, before)
    const result = await work(handle, before)
    await sameFile(handle, name, print)
    return result
  } finally {
    await handle.close()
  }
}

async function sameFile(handle: FileHandle, name: string, print: string): Promise<BigIntStats> {
  const stats = await handle.stat({ bigint: true })
  if (!stats.isFile() || printOf(stats) !== print) throw new QianzhiError('QZ-FILE-CHANGED', { file: name })
  return stats
}

/** A folder on the way may have been put back by a link meanwhile: what was opened must lie under its own name. */
async function requireInside(tree: FolderTree, name: string, handle: FileHandle, opened: BigIntStats): Promise<void> {
  if (await tree.opened(name, handle)) return
  const [inside, there] = await Promise.all([tree.holds(name), lstat(join(tree.path, name), { bigint: true })])
  if (!inside || there.ino !== opened.ino || there.dev !== opened.dev) throw new QianzhiError('QZ-FILE-CHANGED', { file: name })
}

/** A folder with all that lies below it, links left out. */
export class FolderTree {
  readonly path: string
  /** Where it really lies: looked up again where something seems to lie elsewhere. */
  #real: string | undefined

  constructor(path: string) {
    this.path = path
  }

  /** Whether an open file certainly lies at this place: on Linux the system tells, elsewhere nobody does. */
  async opened(name: string, { fd }: FileHandle): Promise<boolean> {
    if (process.platform !== 'linux') return false
    this.#real ??= await realpath(this.path)
    return (await readlink(`/proc/self/fd/${fd}`).catch(() => '')) === join(this.#real, name)
  }

  /** Whether a path leads to its own place below the folder, without a link. Throws where nothing is there. */
  async holds(name: string): Promise<boolean> {
    const real = await realpath(join(this.path, name))
    if (this.#real !== undefined && real === join(this.#real, name)) return true
    this.#real = await realpath(this.path)
    return real === join(this.#real, name)
  }
}

/** Not there, or a link now. */
export function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Another program has it (a virus scanner, an editor), or its rights are not given. */
export function isLocked(error: unknown): boolean {
  return ['EBUSY', 'EPERM', 'EACCES', 'ETXTBSY'].includes((error as NodeJS.ErrnoException).code ?? '')
}
