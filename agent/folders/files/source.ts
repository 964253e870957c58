/**
 * A source whose files are themselves supplied (protocol/files.ts). The folder is mirrored: a file that is there is the rows of its parts,
 * one that goes is their deletes; nothing in the folder is moved or written. A look finds what changed, hashes it once it is complete, and
 * queues the keys of its parts; their bytes are read when they are sent. Parts that cannot be read then, because the file is changing, are
 * told as faults and queued again by the look that finds it at rest: one file never holds up the others.
 */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { isFileSchema } from '../../../protocol/files.ts'
import { storeText } from '../../../protocol/localized.ts'
import type { FileCounts, Row, Rows, SourceTable } from '../../database.ts'
import type { StreamStore } from '../../runtime/stream-store.ts'
import { RecentContents } from './contents.ts'
import { EmptiedFolders } from './emptied-folders.ts'
import { FileIndex, IndexCursor, isFit, type IndexedFile, type UnfitFile } from './index.ts'
import { FolderTree, indexFile, isGone, isLocked } from './read.ts'
import { FileRows } from './rows.ts'
import { printOf, Walk, type WalkedFile } from './walk.ts'
import { requireFolder, unreachable } from '../store/owner.ts'
import { openSourceStore } from '../store/stores.ts'
import type { WatchedFiles, WatchOptions } from '../store/watched.ts'

/** Files that are written down together, and the milliseconds after which they are in any case. */
const [filesAtOnce, longestWait] = [256, 500]
/** Files not yet complete that are watched at once; the others' turn comes then. */
const maxWatched = 50_000
/** Names that the log tells, each once. */
const maxTold = 10_000
/** Milliseconds before a file that another program has is tried again. */
const lockedAgain = 1_000
const goneAtOnce = 500
/** Files beyond which looks are kept apart by twice the time that the last one took, at most so many milliseconds. */
const [many, longestGap] = [1_000, 10_000]

interface Seen {
  print: string
  /** Milliseconds of a clock that only goes forward. */
  since: number
}

/** One look while it is under way. */
interface Look {
  met: number
  signal: AbortSignal
  seen: Map<string, Seen>
  taken: (IndexedFile | UnfitFile)[]
  takenSince: number
  /** Files not complete yet, and milliseconds until one of them may be. */
  waiting: number
  next: number
  /** Whether there are parts that could not be read. */
  missed: boolean
}

export class FileSource implements WatchedFiles {
  readonly source: SourceTable
  readonly store: StreamStore
  readonly #options: WatchOptions
  readonly #index: FileIndex
  readonly #tree: FolderTree
  readonly #recent = new RecentContents()
  readonly #rows: FileRows
  readonly #now: () => number
  #seen = new Map<string, Seen>()
  /** Milliseconds before the next look: where files come all the time, looks would follow one another without end. */
  #gap = 0
  /** When the last look ended. */
  #looked: string | undefined
  /** Subfolders whose files stay though they are gone. */
  #held: NonNullable<FileCounts['untaken']> = []
  readonly #told = new Set<string>()

  /** Throws QZ-DATA-LOCKED. */
  constructor(source: SourceTable, options: WatchOptions, now: () => number = () => performance.now()) {
    this.source = source
    this.#options = options
    this.#now = now
    this.store = openSourceStore(options.folder, source.resource).store
    this.#index = new FileIndex(this.store)
    this.#tree = new FolderTree(options.folder.path)
    this.#rows = new FileRows(source, this.#index, options, {
      missed: (parts) => this.#index.miss(parts),
      recent: ({ name, print }) => this.#recent.take(name, print),
    })
  }

  async check(): Promise<void> {
    await requireFolder(this.#options.folder)
    const { schema, columns, table } = this.source
    const reason = !isFileSchema(schema)
      ? { zh: '资源的信息项不是文件资源的信息项', en: 'the items of the resource are not those of a file resource' }
      : columns.length < schema.items.length
        ? { zh: '文件资源须提供全部信息项', en: 'all items of a file resource must be supplied' }
        : undefined
    if (reason) throw new QianzhiError('QZ-SOURCE-TABLE', { table, reason })
  }

  /** A share that is away shows an empty folder: what is not met is only gone where the folder is this agent's own before and after. */
  async look(signal: AbortSignal): Promise<number | undefined> {
    const { folder } = this.#options
    if (this.#gap > 0) await sleep(this.#gap, undefined, { signal }).catch(() => undefined)
    const began = this.#now()
    const look: Look = {
      met: 0,
      signal,
      seen: new Map(),
      taken: [],
      takenSince: this.#now(),
      waiting: 0,
      next: Infinity,
      missed: this.#index.hasMissed(),
    }
    try {
      await requireFolder(folder)
      if (!this.store.hasEntries()) this.#recent.clear()
      const walk = new Walk(folder.path, this.source.files!.names, signal)
      const cursor = new IndexCursor(this.#index)
      this.#index.unmet.clear()
      for await (const walked of walk.files()) {
        look.met++
        for (const name of cursor.before(walked.name)) this.#index.unmet.add(name)
        await this.#meet(look, walked)
      }
      for (const name of cursor.before(undefined)) this.#index.unmet.add(name)
      this.#settle(look)
      await requireFolder(folder)
      await this.#removeUnmet(walk, signal)
    } catch (error) {
      if (signal.aborted) return undefined
      throw unreachable(folder.path, error)
    }
    this.#seen = look.seen
    this.#gap = look.met > many ? Math.min(longestGap, 2 * (this.#now() - began)) : 0
    this.#looked = new Date().toISOString()
    this.#note(look.waiting)
    return look.next === Infinity ? undefined : Math.max(1, Math.ceil(look.next))
  }

  #note(waiting: number): void {
    const { fit, unfit } = this.#index.files()
    const looked = this.#looked !== undefined && { looked: this.#looked }
    const untaken = this.#held.length > 0 && { untaken: this.#held }
    this.#options.folder.note?.(this.source.resource, { waiting, taken: fit, refused: unfit, ...looked, ...untaken })
  }

  async #meet(look: Look, walked: WalkedFile): Promise<void> {
    const { name, stats, unfit, passedOver } = walked
    if (passedOver !== undefined) {
      this.#tell(name, passedOver)
      // It may have been a file before.
      return this.#index.unmet.add(name)
    }
    const before = this.#index.get(name)
    if (unfit !== undefined) {
      if (before && !isFit(before) && storeText(before.reason) === storeText(unfit)) return
      this.#tell(name, unfit.en)
      return this.#take(look, { name, reason: unfit })
    }
    if (!stats) return
    const print = printOf(stats)
    if (before && isFit(before) && before.print === print && !(look.missed && this.#index.hasMissed(name))) return
    if (this.#isComplete(look, walked, print)) await this.#hash(look, name, { print, size: stats.size })
  }

  #isComplete(look: Look, { name, marked }: WalkedFile, print: string): boolean {
    const { ready, stable } = this.#options.folder
    const now = this.#now()
    const before = this.#seen.get(name)
    const since = before?.print === print ? before.since : now
    const left = since + stable * 1000 - now
    const awaited = ready === 'done' && !marked
    if (left <= 0 && !awaited) return true
    if (look.seen.size < maxWatched) look.seen.set(name, { print, since })
    this.#wait(look, awaited ? Infinity : left)
    return false
  }

  #wait(look: Look, milliseconds: number): void {
    look.waiting++
    look.next = Math.min(look.next, milliseconds)
  }

  async #hash(look: Look, name: string, { print, size }: { print: string; size: bigint }): Promise<void> {
    // What is known already need not wait for a large file.
    if (size > 16 << 20) this.#settle(look)
    try {
      const { file, content } = await indexFile(this.#tree, name, print, look.signal)
      if (content) this.#recent.keep(name, print, content)
      this.#take(look, file)
    } catch (error) {
      if (look.signal.aborted) throw error
      if (error instanceof QianzhiError && error.code === 'QZ-FILE-CHANGED') {
        this.#options.logger.info({ resource: this.source.resource, file: name, code: error.code }, error.message)
        return this.#wait(look, this.#options.folder.stable * 1000)
      }
      // Where it is the folder that is away, the look ends with that.
      await requireFolder(this.#options.folder)
      this.#tell(name, reasonOf(error))
      look.seen.set(name, { print, since: -Infinity })
      this.#wait(look, isLocked(error) ? lockedAgain : this.#options.folder.look * 1000)
    }
  }

  #take(look: Look, file: IndexedFile | UnfitFile): void {
    if (look.taken.length === 0) look.takenSince = this.#now()
    look.taken.push(file)
    if (look.taken.length >= filesAtOnce || this.#now() - look.takenSince >= longestWait) this.#settle(look)
  }

  /** What was found becomes the index, and its keys are queued, in one transaction. */
  #settle(look: Look): void {
    const taken = look.taken.splice(0)
    if (taken.length === 0) return
    const queued = this.store.transaction(() => taken.map((file) => this.#index.put(file)).includes(true))
    if (queued) this.#options.queued()
    this.#note(look.waiting)
  }

  /** Once more each by itself: a folder that could not be read says nothing of its files. */
  async #removeUnmet(walk: Walk, signal: AbortSignal): Promise<void> {
    const { folder, queued } = this.#options
    const emptied = new EmptiedFolders(folder.path, this.#index)
    for (let after = ''; ;) {
      signal.throwIfAborted()
      const names = this.#index.unmet.after(after, goneAtOnce)
      if (names.length === 0) break
      after = names.at(-1)!
      const gone: boolean[] = []
      for (const name of names) gone.push(!walk.meets(name) || ((await isNoFile(this.#tree, name)) && !(await emptied.holds(name))))
      await requireFolder(folder)
      this.store.transaction(() => names.forEach((name, i) => gone[i] && this.#index.remove(name)))
      queued()
    }
    this.#held = emptied.held.slice(0, 20)
    for (const { file, reason } of this.#held) this.#tell(file, reason.en)
  }

  #tell(name: string, reason: string): void {
    if (this.#told.has(`${name} ${reason}`)) return
    if (this.#told.size >= maxTold) this.#told.clear()
    this.#told.add(`${name} ${reason}`)
    this.#options.logger.warn({ resource: this.source.resource, file: name, reason }, 'file is not supplied')
  }

  rowsByKeys(keys: readonly Row[]): Promise<Rows> {
    return this.#rows.byKeys(keys)
  }

  rowsAfter(after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#rows.after(after, limit)
  }

  async count(): Promise<number> {
    return this.#rows.count()
  }

  close(): void {
    this.store.close()
  }
}

/** Whether nothing is there, or something else than a file of its own, such as one behind a link: what cannot be told says no. */
async function isNoFile(tree: FolderTree, name: string): Promise<boolean> {
  try {
    const [stats, inside] = await Promise.all([lstat(join(tree.path, name)), tree.holds(name)])
    return !stats.isFile() || !inside
  } catch (error) {
    return isGone(error)
  }
}
