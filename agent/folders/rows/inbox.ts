import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FolderSettings } from '../../database.ts'

/** A file that lies in the inbox. */
export interface InboxFile {
  name: string
  path: string
  /** Bytes. */
  size: number
  /** Changes when the file grows, is written again or is replaced. */
  print: string
  link: boolean
  /** Milliseconds since 1970, as the file system has it. */
  modified: number
}

export interface Inbox {
  /** Complete, and links, in the order in which they are to be taken: by their time, then by name. */
  complete: InboxFile[]
  /** Not complete yet. */
  waiting: number
  /** Milliseconds until one of them may be. */
  next?: number
}

interface Seen {
  print: string
  /** Milliseconds of the clock. */
  since: number
}

/** Files of other programs on their way: never taken. */
const passing = /^[.~]|\.(?:tmp|temp|part|partial|filepart|crdownload|swp|done)$/i

/** What lies beside a file that a sink wrote (protocol/file-manifest.ts). */
const manifest = /\.manifest\.json$/i

/**
 * The files of one source in its folder, subfolders left out. Whether a file is complete is judged by what changes between two looks on a
 * clock that only goes forward: the clock of the machine that wrote it, or of the share, may say anything.
 */
export class InboxWatch {
  readonly #folder: Pick<FolderSettings, 'path' | 'ready' | 'stable'>
  readonly #matches: RegExp
  readonly #now: () => number
  #seen = new Map<string, Seen>()

  constructor(folder: Pick<FolderSettings, 'path' | 'ready' | 'stable'>, names: string, now: () => number = () => performance.now()) {
    this.#folder = folder
    this.#matches = patternOf(names)
    this.#now = now
  }

  async look(): Promise<Inbox> {
    const entries = await readdir(this.#folder.path, { withFileTypes: true })
    const all = new Set(entries.map(({ name }) => name))
    const inbox: Inbox = { complete: [], waiting: 0 }
    const seen = new Map<string, Seen>()
    for (const entry of entries) {
      if (entry.isDirectory() || passing.test(entry.name) || manifest.test(entry.name) || !this.#matches.test(entry.name)) continue
      const file = await statFile(join(this.#folder.path, entry.name), entry.name)
      if (!file) continue
      const before = this.#seen.get(file.name)
      const since = before?.print === file.print ? before.since : this.#now()
      seen.set(file.name, { print: file.print, since })
      if (file.link || this.#isReady(file, since, all)) inbox.complete.push(file)
      else this.#wait(inbox, since)
    }
    this.#seen = seen
    inbox.complete.sort((a, b) => a.modified - b.modified || (a.name < b.name ? -1 : 1))
    return inbox
  }

  #isReady({ name }: InboxFile, since: number, all: ReadonlySet<string>): boolean {
    return this.#folder.ready === 'done' ? all.has(doneMark(name)) : this.#now() - since >= this.#folder.stable * 1000
  }

  #wait(inbox: Inbox, since: number): void {
    inbox.waiting++
    if (this.#folder.ready === 'stable') {
      const left = since + this.#folder.stable * 1000 - this.#now()
      inbox.next = Math.max(1, Math.min(inbox.next ?? Infinity, Math.ceil(left)))
    }
  }

  /** It changed while it was read: its wait begins anew. */
  changed(name: string): void {
    this.#seen.delete(name)
  }
}

/** Whether a name says that another program is still at work, or has put its mark. */
export function isPassing(name: string): boolean {
  return passing.test(name)
}

export function doneMark(name: string): string {
  return `${name}.done`
}

/** Undefined where it is gone, or no file. */
export async function statFile(path: string, name: string): Promise<InboxFile | undefined> {
  try {
    const stat = await lstat(path, { bigint: true })
    const link = stat.isSymbolicLink()
    if (!stat.isFile() && !link) return undefined
    const print = [stat.dev, stat.ino, stat.size, stat.mtimeNs].join(' ')
    return { name, path, size: Number(stat.size), print, link, modified: Number(stat.mtimeMs) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** `*` and `?` as in a shell, case left out of account. */
export function patternOf(names: string): RegExp {
  const escaped = names.replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'isu')
}
