import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FolderSettings } from '../../database.ts'

/** A file that lies in the inbox. */
export interface InboxFile {
  /** As it was put in. */
  name: string
  path: string
  /** Bytes. */
  size: number
  /** Changes when the file grows, is written again, is replaced, or is put back with the time it had. */
  print: string
  /** The same, but for what moving a file changes. */
  content: string
  link: boolean
  /** Milliseconds since 1970, as the file system has it. */
  modified: number
}

export interface Inbox {
  /** Complete, and links, in the order in which they are to be taken: by their time, then by name, numbers in it by their value. */
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
 * When a file counts as complete. It is at rest: what changes between two looks is judged, on a clock that only goes forward, since the clock of
 * the machine that wrote it, or of the share, may say anything. With `ready: done` it has a mark too, which is no older than the file.
 */
export class Rest {
  #seen = new Map<string, Seen>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Milliseconds until it may be at rest, if nothing changes any more. */
  left({ path, print }: Pick<InboxFile, 'path' | 'print'>, seconds: number): number {
    const before = this.#seen.get(path)
    const since = before?.print === print ? before.since : this.#now()
    this.#seen.set(path, { print, since })
    return since + seconds * 1000 - this.#now()
  }

  /** Its wait begins anew. */
  forget(path: string): void {
    this.#seen.delete(path)
  }

  keepOnly(paths: ReadonlySet<string>): void {
    for (const path of this.#seen.keys()) if (!paths.has(path)) this.#seen.delete(path)
  }
}

type Place = Pick<FolderSettings, 'path' | 'ready'>

/** The files of one source in its folder, subfolders left out. */
export class InboxWatch {
  readonly #folder: Place
  readonly #matches: RegExp
  readonly #rest: Rest

  constructor(folder: Place, names: string, now?: () => number) {
    this.#folder = folder
    this.#matches = patternOf(names)
    this.#rest = new Rest(now)
  }

  /** `stable`: seconds without a change. */
  async look(stable: number): Promise<Inbox> {
    const entries = await readdir(this.#folder.path, { withFileTypes: true })
    const all = new Set(entries.map(({ name }) => name))
    const inbox: Inbox = { complete: [], waiting: 0 }
    const paths = new Set<string>()
    const found: { file: InboxFile; left: number }[] = []
    for (const entry of entries) {
      if (entry.isDirectory() || !isTakenAs(this.#matches, entry.name)) continue
      const file = await statFile(join(this.#folder.path, entry.name), entry.name)
      if (!file) continue
      paths.add(file.path)
      const left = this.#rest.left(file, stable)
      const marked = this.#folder.ready === 'stable' || (all.has(doneMark(file.name)) && (await isMarked(file)))
      if (marked || file.link) found.push({ file, left: file.link ? 0 : left })
      else wait(inbox, Infinity)
    }
    this.#rest.keepOnly(paths)
    found.sort(({ file: a }, { file: b }) => a.modified - b.modified || compareNames(a.name, b.name))
    // No later one goes before one that will be at rest soon.
    const end = found.findIndex(({ left }) => left > 0)
    inbox.complete = found.slice(0, end < 0 ? undefined : end).map(({ file }) => file)
    for (const { left } of end < 0 ? [] : found.slice(end)) wait(inbox, Math.max(0, left))
    return inbox
  }

  /** It changed while it was read. */
  changed(path: string): void {
    this.#rest.forget(path)
  }
}

export function wait(inbox: Pick<Inbox, 'waiting' | 'next'>, milliseconds: number): void {
  inbox.waiting++
  if (milliseconds < Infinity) inbox.next = Math.max(1, Math.min(inbox.next ?? Infinity, Math.ceil(milliseconds)))
}

const natural = new Intl.Collator('en', { numeric: true })

function compareNames(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : 1)
}

/** Whether files of this name are the business of a source with this pattern. */
export function isTakenAs(matches: RegExp, name: string): boolean {
  return !passing.test(name) && !manifest.test(name) && matches.test(name)
}

async function isMarked({ path }: InboxFile): Promise<boolean> {
  const [file, mark] = await Promise.all([path, doneMark(path)].map((of) => lstat(of, { bigint: true }).catch(() => undefined)))
  return file !== undefined && mark !== undefined && markCounts(mark, file)
}

interface Times {
  mtimeNs: bigint
  ctimeNs: bigint
}

/**
 * A mark that is older than its file is one of an earlier file. Either time may be that of another clock, and either changes without the
 * content: the mark is older only where both say so.
 */
export function markCounts(mark: Times, file: Times): boolean {
  return mark.mtimeNs >= file.mtimeNs || mark.ctimeNs >= file.ctimeNs
}

/** Whether a name says that another program is still at work, or has put its mark. */
export function isPassing(name: string): boolean {
  return passing.test(name)
}

/** Whether a name is that of what lies beside a file that a sink wrote. */
export function isManifest(name: string): boolean {
  return manifest.test(name)
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
    const content = [stat.dev, stat.ino, stat.size, stat.mtimeNs].join(' ')
    const print = `${content} ${stat.ctimeNs}`
    return { name, path, size: Number(stat.size), print, content, link, modified: Number(stat.mtimeNs) / 1e6 }
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
