/** Files written whole or not at all: a temporary name in the same folder, flushed, then renamed. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, lstat, open, readdir, rename, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const [before, after] = ['.', '.qz-tmp']

export function temporaryName(name: string): string {
  return `${before}${name}${after}`
}

export interface Written {
  size: number
  sha256: string
}

/** Bytes gathered before they go to the disk. */
const pieceBytes = 1 << 20

/** Writes and flushes `.NAME.qz-tmp`; nothing is left of it where that fails. */
export async function writeTemporary(folder: string, name: string, content: AsyncIterable<Buffer>, signal?: AbortSignal): Promise<Written> {
  const path = join(folder, temporaryName(name))
  await rm(path, { force: true })
  const file = await open(path, 'wx', 0o640)
  const hash = createHash('sha256')
  let size = 0
  try {
    let gathered: Buffer[] = []
    let bytes = 0
    const flush = async () => {
      const piece = gathered.length === 1 ? gathered[0]! : Buffer.concat(gathered)
      hash.update(piece)
      await file.writeFile(piece)
      size += piece.length
      ;[gathered, bytes] = [[], 0]
    }
    for await (const piece of content) {
      signal?.throwIfAborted()
      gathered.push(piece)
      bytes += piece.length
      if (bytes >= pieceBytes) await flush()
    }
    if (bytes > 0) await flush()
    await file.sync()
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(path, { force: true }).catch(() => undefined)
    throw error
  }
  await file.close()
  return { size, sha256: hash.digest('hex') }
}

/** How often, and after how many milliseconds each, a file that another program has open is tried again. */
const tries = 15
const pause = 200

type Move = (from: string, to: string) => Promise<void>

/** The temporary file takes the name. Throws the last EBUSY, EPERM or EACCES where another program has the older file open all the time. */
export async function putInPlace(folder: string, name: string, signal?: AbortSignal, move: Move = rename): Promise<void> {
  for (let tried = 1; ; tried++) {
    try {
      await move(join(folder, temporaryName(name)), join(folder, name))
      break
    } catch (error) {
      if (!isBusy(error) || tried === tries) throw error
      await sleep(pause, undefined, { signal })
    }
  }
  await flushFolder(folder)
}

/** Errors by which file systems say that they have no second names for a file. */
const noLinks = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']

/** A rename that replaces nothing: throws EEXIST where something else has the name. Where the file system cannot do so, it is looked before. */
export async function renameNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (noLinks.includes(code)) {
      if (await lstat(to).catch(() => undefined)) throw Object.assign(new Error(`EEXIST: ${to}`, { cause: error }), { code: 'EEXIST' })
      return rename(from, to)
    }
    // A stop left it with both names.
    if (code !== 'EEXIST' || !(await isSame(from, to))) throw error
  }
  await unlink(from)
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => lstat(path, { bigint: true })))
  return a!.ino === b!.ino && a!.dev === b!.dev
}

/** Whether the file may be open in another program: so Windows says it. */
export function isBusy(error: unknown): boolean {
  return ['EBUSY', 'EPERM', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Names are on the disk. Windows has no way to ask for it, and some shares refuse. */
export async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle.close()
  }
}

/** SHA-256 of a file; undefined where there is none, or it is no file. */
export async function fileHash(path: string): Promise<Written | undefined> {
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isFile()) return undefined
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of createReadStream(path)) {
    hash.update(piece as Buffer)
    size += (piece as Buffer).length
  }
  return { size, sha256: hash.digest('hex') }
}

/** Removes temporary files of these names' kind, but for one. */
export async function removeTemporaries(folder: string, mine: (name: string) => boolean, except?: string): Promise<void> {
  for (const found of await readdir(folder)) {
    if (!found.startsWith(before) || !found.endsWith(after)) continue
    const name = found.slice(before.length, -after.length)
    if (mine(name) && name !== except) await rm(join(folder, found), { force: true })
  }
}
