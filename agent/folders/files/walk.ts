/** A walk through a folder whose files themselves are supplied, in the order of the names' UTF-8 bytes; no link is followed. */
import { isUtf8 } from 'node:buffer'
import type { BigIntStats, Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileNameFault } from '../../../protocol/files.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { doneMark, isPassing, markCounts, patternOf } from '../rows/inbox.ts'

export interface WalkedFile {
  /** Path from the folder's top, `/` between its segments; bytes that are no UTF-8 as `\xNN`. */
  name: string
  /** Undefined where it cannot be had. */
  stats?: BigIntStats
  /** Whether its mark lies beside it, and is no older. */
  marked: boolean
  /** Why it cannot be supplied under this name. */
  unfit?: LocalizedText
  /** What it is where it is no file: it is passed over. */
  passedOver?: string
}

/** Files whose state is asked for at once. */
const atOnce = 64
const doneEnding = doneMark('')

export class Walk {
  readonly #root: string
  readonly #pattern: RegExp
  readonly #signal: AbortSignal

  constructor(root: string, names: string, signal: AbortSignal) {
    this.#root = root
    this.#pattern = patternOf(names)
    this.#signal = signal
  }

  /** Throws where the folder itself cannot be read. */
  async *files(): AsyncGenerator<WalkedFile> {
    yield* this.#folder('')
  }

  async *#folder(prefix: string): AsyncGenerator<WalkedFile> {
    this.#signal.throwIfAborted()
    const listed = await this.#list(prefix)
    if (typeof listed === 'string') return yield { name: prefix.slice(0, -1), marked: false, passedOver: listed }
    const { entries, marks } = listed
    for (let at = 0; at < entries.length;) {
      const entry = entries[at]!
      if (entry.kind === 'folder') {
        yield* this.#folder(`${prefix}${entry.name}/`)
        at++
        continue
      }
      const run = entries.slice(at, at + atOnce)
      const end = run.findIndex(({ kind }) => kind === 'folder')
      const files = end < 0 ? run : run.slice(0, end)
      yield* await Promise.all(files.map((file) => this.#file(prefix, file, marks)))
      at += files.length
    }
  }

  /** Sorted as the whole paths are; a text says why the folder cannot be read, one that has gone meanwhile is empty. */
  async #list(prefix: string): Promise<{ entries: Entry[]; marks: ReadonlySet<string> } | string> {
    try {
      const found = await readdir(join(this.#root, prefix), { withFileTypes: true, encoding: 'buffer' })
      const all = found.map(entryOf)
      const marks = new Set(all.flatMap(({ name }) => (name.endsWith(doneEnding) ? [name] : [])))
      const entries = all.filter((entry) => this.#concerns(entry)).toSorted((a, b) => Buffer.compare(a.order, b.order))
      return { entries, marks }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (prefix === '') throw error
      if (code === 'ENOENT' || code === 'ENOTDIR') return { entries: [], marks: new Set() }
      return `folder that cannot be read: ${code}`
    }
  }

  #concerns({ name, kind }: Entry): boolean {
    return !isPassing(name) && (kind === 'folder' || this.#pattern.test(name))
  }

  async #file(prefix: string, { name: own, kind, broken }: Entry, marks: ReadonlySet<string>): Promise<WalkedFile> {
    const name = prefix + own
    const walked: WalkedFile = { name, marked: marks.has(doneMark(own)) }
    if (kind !== 'file') return { ...walked, passedOver: kind }
    const unfit = fileNameFault(broken ? '\uFFFD' : name)
    if (unfit !== undefined) return { ...walked, unfit }
    try {
      const stats = await lstat(join(this.#root, name), { bigint: true })
      if (!stats.isFile()) return { ...walked, passedOver: 'no file any more' }
      const mark = walked.marked && (await lstat(join(this.#root, doneMark(name)), { bigint: true }).catch(() => undefined))
      return { ...walked, stats, marked: mark ? markCounts(mark, stats) : false }
    } catch {
      return walked
    }
  }

  /** Whether a walk would meet a file of this name. */
  meets(name: string): boolean {
    const segments = name.split('/')
    return segments.every((segment) => !isPassing(segment)) && this.#pattern.test(segments.at(-1)!)
  }
}

interface Entry {
  name: string
  /** `symbolic link`, `special file`: passed over. */
  kind: 'file' | 'folder' | 'symbolic link' | 'special file'
  /** The name is not UTF-8. */
  broken: boolean
  order: Buffer
}

/** A folder whose own name is not UTF-8 stands for all that is in it. */
function entryOf(entry: Dirent<Buffer>): Entry {
  const broken = !isUtf8(entry.name)
  const name = broken ? escaped(entry.name) : entry.name.toString()
  const found = kindOf(entry)
  const kind = broken && found === 'folder' ? 'file' : found
  return { name, kind, broken, order: Buffer.from(kind === 'folder' ? `${name}/` : name) }
}

function kindOf(entry: Dirent<Buffer>): Entry['kind'] {
  if (entry.isSymbolicLink()) return 'symbolic link'
  if (entry.isDirectory()) return 'folder'
  return entry.isFile() ? 'file' : 'special file'
}

function escaped(name: Buffer): string {
  return Array.from(name, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : String.raw`\x${byte.toString(16).toUpperCase()}`)).join('')
}

/** Changes when a file is written, replaced, or put back with the time it had. */
export function printOf(stats: BigIntStats): string {
  return `${contentOf(stats)} ${stats.ctimeNs}`
}

/** The same, but for what moving a file changes. */
export function contentOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(' ')
}

/** A time of a file system, which may say anything, as portable text. */
export function timeOf(nanoseconds: bigint): string {
  const microseconds = nanoseconds / 1000n
  const seconds = Number(microseconds / 1_000_000n)
  if (nanoseconds < 0n || seconds >= 253_402_300_800) return '1970-01-01T00:00:00Z'
  const fraction = String(microseconds % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${fraction ? `.${fraction}` : ''}Z`
}
