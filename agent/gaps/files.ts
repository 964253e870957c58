/**
 * Names and files in the folders of a one-way gap. Batches are `ROUTE/EPOCH-SEQ.qzb`, padded so that names sort as places do; old gaps put
 * names into capital letters, so letters are compared without regard to case. Nothing is read through a link.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readerLimits } from '../../protocol/batch.ts'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { comparePositions, type Position } from '../../protocol/position.ts'

export const gapFile = 'gap.json'
export const headFile = 'head.json'
export const innerFile = 'inner.json'
export const receiptsFolder = 'receipts'
export const requestsFolder = 'requests'
export const rejectedFolder = 'rejected'
export const doneFolder = 'done'

/** Bytes of the largest statement that is read: a policy of thousands of resources stays far below. */
const maxStatement = 64 << 20

export interface GapFile {
  path: string
  name: string
  size: number
  /** Milliseconds. */
  modified: number
}

export interface BatchFile extends GapFile {
  place: Position
}

const batchName = /^(\d{1,10})-(\d{1,10})\.qzb$/i

export function batchFileName({ epoch, seq }: Position): string {
  return `${String(epoch).padStart(10, '0')}-${String(seq).padStart(10, '0')}.qzb`
}

/** The place that a file's name tells; undefined where it is no batch's. */
export function placeOfName(name: string): Position | undefined {
  const [, epoch, seq] = batchName.exec(name) ?? []
  const place = { epoch: Number(epoch), seq: Number(seq) }
  return epoch !== undefined && place.epoch >= 1 && place.seq >= 1 ? place : undefined
}

const windows = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i
const taken = [receiptsFolder, requestsFolder, rejectedFolder, doneFolder]

/** Whether a route or resource of this name can have a folder everywhere. */
export function mayBeFolder(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) && !name.endsWith('.') && !windows.test(name) && !taken.includes(name)
}

/** A route's or resource's part of a gap folder. Throws QZ-CONFIG where there can be none. */
export function folderOf(root: string, name: string): string {
  if (!mayBeFolder(name))
    throw new QianzhiError('QZ-CONFIG', { key: name, reason: { zh: '不能作目录名', en: 'cannot be the name of a folder' } })
  return join(root, name)
}

/** Folders in a folder, by their names in small letters; links are none. Empty where it is not there. */
export async function listFolders(root: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const entry of await entriesOf(root)) {
    if (!entry.isDirectory()) continue
    const name = entry.name.toLowerCase()
    found.set(name, [...(found.get(name) ?? []), join(root, entry.name)])
  }
  return found
}

/** Files in folders that are called the same but for case, sorted by name. */
export async function listFiles(folders: readonly string[]): Promise<GapFile[]> {
  const files: GapFile[] = []
  for (const folder of folders) {
    for (const entry of await entriesOf(folder)) {
      if (!entry.isFile() || entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      const stat = await lstat(path).catch(() => undefined)
      if (stat?.isFile()) files.push({ path, name: entry.name, size: stat.size, modified: stat.mtimeMs })
    }
  }
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Those of them that are called like batches, by place; of two for one place the newer one last. */
export function batchesIn(files: readonly GapFile[]): BatchFile[] {
  const batches = files.flatMap((file) => {
    const place = placeOfName(file.name)
    return place ? [{ ...file, place }] : []
  })
  return batches.toSorted((a, b) => comparePositions(a.place, b.place) || a.modified - b.modified)
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

export function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

/** The first `most` bytes of a file, or all of it; never through a link. */
export async function readBytes(path: string, most = readerLimits.encoded + 1): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
  try {
    const bytes = Buffer.allocUnsafe(Math.min(most, (await file.stat()).size))
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.subarray(0, length)
  } finally {
    await file.close()
  }
}

/** The statement in a file: undefined where there is no such file, or it is none (half written, or foreign). */
export async function readStatementFile(path: string): Promise<string | undefined> {
  try {
    const value: unknown = JSON.parse((await readBytes(path, maxStatement)).toString())
    const jws = (value as { statement?: unknown } | null)?.statement
    return typeof jws === 'string' ? jws : undefined
  } catch (error) {
    if (error instanceof SyntaxError || isGone(error) || (error as NodeJS.ErrnoException).code === 'ELOOP') return undefined
    throw error
  }
}

/** A statement as a file: what counts, and the same for people. */
export function statementText(statement: string, readable: object): string {
  return `${JSON.stringify({ statement, readable }, undefined, 2)}\n`
}

/** Whole or not at all, and on disk when it resolves: temporary file, flush, rename, flush folder. Makes the folder. */
export async function putFile(path: string, content: Uint8Array | string): Promise<void> {
  const folder = dirname(path)
  // Two may write the same file at once: what is lost is written again beside the line.
  const temporary = join(folder, `.${basename(path)}.${randomBytes(4).toString('hex')}.qz-tmp`)
  await mkdir(folder, { recursive: true })
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await flushFolder(folder)
}

async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Removes what a crash left of `putFile`. */
export async function clearTemporaries(folder: string): Promise<void> {
  for (const entry of await entriesOf(folder)) {
    if (entry.isFile() && /^\..*\.qz-tmp$/.test(entry.name)) await rm(join(folder, entry.name), { force: true })
  }
}

/** Moves a file into a folder beside it; on another volume, or where it is gone, that is told. */
export async function moveInto(path: string, folder: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  try {
    await rename(path, join(folder, name))
  } catch (error) {
    if (!isGone(error)) throw new Error(`${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/** Statements in `ROOT/KIND/NAME/*`, whatever their letters' case; what is half written is read another time. */
export async function statementsBelow(root: string, kind: string): Promise<{ file: string; jws: string }[]> {
  const found: { file: string; jws: string }[] = []
  for (const top of (await listFolders(root)).get(kind) ?? []) {
    for (const folders of (await listFolders(top)).values()) {
      for (const { path } of await listFiles(folders)) {
        const jws = await readStatementFile(path)
        if (jws !== undefined) found.push({ file: path, jws })
      }
    }
  }
  return found
}
