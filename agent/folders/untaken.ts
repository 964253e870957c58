/** What lies in a folder of files of rows and no source takes, each with its reason: else nobody would hear of it. */
import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { FolderSettings, SourceTable } from '../database.ts'
import { doneMark, isManifest, isPassing, markCounts, patternOf } from './rows/inbox.ts'

export interface Untaken {
  file: string
  reason: LocalizedText
}

/** Files that are named. */
const maxUntaken = 20
/** The agent's own. */
const own = new Set(['done', 'rejected'])

export async function untakenFiles(
  { path, ready }: Pick<FolderSettings, 'path' | 'ready'>,
  sources: readonly Pick<SourceTable, 'files'>[],
): Promise<Untaken[]> {
  const found: Untaken[] = []
  const patterns = sources.map(({ files }) => patternOf(files!.names))
  const mirrored = sources.some(({ files }) => files!.contents === 'any')
  const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' })
  const names = new Set(entries.filter(({ name }) => isUtf8(name)).map(({ name }) => name.toString()))
  for (const entry of entries) {
    if (found.length >= maxUntaken) break
    const name = entry.name.toString()
    const reason = isUtf8(entry.name) ? await reasonOf({ path, ready, entry, name, names, patterns, mirrored }) : notUtf8
    if (reason) found.push({ file: escaped(entry.name), reason })
  }
  return found
}

interface Found {
  path: string
  ready: FolderSettings['ready']
  entry: Dirent<Buffer>
  name: string
  names: ReadonlySet<string>
  patterns: readonly RegExp[]
  mirrored: boolean
}

async function reasonOf({ path, ready, entry, name, names, patterns, mirrored }: Found): Promise<LocalizedText | undefined> {
  if (name.startsWith('.') || own.has(name)) return undefined
  if (entry.isDirectory()) return !mirrored && (await holdsFiles(join(path, name))) ? subfolder : undefined
  const taken = patterns.some((pattern) => pattern.test(name))
  if (name.toLowerCase().endsWith(doneMark('')))
    return ready === 'stable' || names.has(name.slice(0, -doneMark('').length)) ? undefined : orphan
  if (isPassing(name) || isManifest(name)) return undefined
  if (!taken) return noPattern
  return ready === 'done' && (await isOlderMarked(join(path, name))) ? olderMark : undefined
}

async function holdsFiles(folder: string): Promise<boolean> {
  return (await readdir(folder).catch(() => [])).some((name) => !name.startsWith('.'))
}

async function isOlderMarked(path: string): Promise<boolean> {
  const [file, mark] = await Promise.all([path, doneMark(path)].map((of) => lstat(of, { bigint: true }).catch(() => undefined)))
  return file !== undefined && mark !== undefined && !markCounts(mark, file)
}

/** Bytes that are no UTF-8 as `\xNN`. */
function escaped(name: Buffer): string {
  const text = isUtf8(name)
    ? name.toString()
    : Array.from(name, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : String.raw`\x${byte.toString(16).toUpperCase()}`)).join('')
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd').slice(0, 255)
}

const notUtf8 = { zh: '文件名不是 UTF-8（可能是 GBK）：请改名', en: 'its name is not UTF-8 (GBK, perhaps): rename it' }
const subfolder = { zh: '子目录中的文件不会被接收', en: 'files in subfolders are not taken' }
const noPattern = { zh: '文件名不符合任何来源的 files', en: 'its name fits the files of no source' }
const orphan = { zh: '标记没有对应的文件', en: 'a mark without its file' }
const olderMark = {
  zh: '标记早于文件：写完后请重新放入标记',
  en: 'its mark is older than the file: put it in again when the file is complete',
}
