/**
 * Capture from folders: looks through the folder put the keys of changed rows into each source's queue in the agent's data folder; from
 * there on the line is the same as behind triggers. A look begins when the system tells of a change, when a file may have become complete,
 * and regularly, since shares lose events.
 */
import { createHash } from 'node:crypto'
import { watch, type FSWatcher } from 'chokidar'
import { codedError, errorForLog, type QianzhiError } from '../../protocol/errors.ts'
import type { ChainPosition } from '../../protocol/position.ts'
import { Backoff } from '../runtime/backoff.ts'
import type { Capture, FolderSettings, Found, Row, Rows, SourceTable, StreamState, StreamStep, Take } from '../database.ts'
import type { Memory } from '../runtime/stream-store.ts'
import { keyIndexes, keysOf, missingKeys } from '../row-keys.ts'
import { Wake } from '../runtime/wake.ts'
import type { WatchedFiles, WatchOptions } from './store/watched.ts'
import { untakenFiles } from './untaken.ts'

interface Watched {
  files: WatchedFiles
  /** The stream cannot begin before the first file has come. */
  awaited: boolean
  /** Why the last look failed; told once. */
  failure: QianzhiError | undefined
  readonly backoff: Backoff
  /** When it is looked at next: milliseconds of `performance.now()`. */
  next: number
}

const idleMs = 250

export class FolderCapture implements Capture {
  readonly #folder: FolderSettings
  readonly #watched = new Map<SourceTable, Watched>()
  readonly #queued = new Wake()
  readonly #lookDue = new Wake()
  readonly #closing = new AbortController()
  readonly #watcher: FSWatcher
  readonly #looks: Promise<void>
  readonly #firstLook = Promise.withResolvers<void>()

  /** `open` makes what watches one source. Throws QZ-DATA-LOCKED. */
  constructor(folder: FolderSettings, sources: readonly SourceTable[], open: (source: SourceTable, options: WatchOptions) => WatchedFiles) {
    this.#folder = folder
    const options: WatchOptions = { folder, queued: () => this.#queued.fire(), logger: folder.logger }
    try {
      for (const [at, source] of sources.entries()) {
        const first = at === 0 ? { ...options, untaken: () => untakenFiles(folder, sources) } : options
        this.#watched.set(source, { files: open(source, first), awaited: false, failure: undefined, backoff: new Backoff(), next: 0 })
      }
    } catch (error) {
      this.#release()
      throw error
    }
    this.#watcher = this.#watch()
    this.#looks = this.#runLooks()
  }

  /** Only wakes the looks, which find by themselves what there is. */
  #watch(): FSWatcher {
    const deep = [...this.#watched.keys()].some(({ files }) => files!.contents === 'any')
    const watcher = watch(this.#folder.path, { ignoreInitial: true, followSymlinks: false, ...(!deep && { depth: 0 }) })
    watcher.on('all', () => this.#wakeLooks())
    watcher.on('error', (error) =>
      this.#folder.logger.debug({ folder: this.#folder.path, err: errorForLog(error) }, 'folder is not watched'),
    )
    return watcher
  }

  #wakeLooks(): void {
    for (const watched of this.#watched.values()) if (!watched.failure) watched.next = 0
    this.#lookDue.fire()
  }

  #of(source: SourceTable): WatchedFiles {
    return this.#watched.get(source)!.files
  }

  async state(source: SourceTable): Promise<StreamState> {
    const { generation: _, ...state } = this.#of(source).store.state()
    return state
  }

  /** What lies in the folder already is looked at first. */
  async checkTable(source: SourceTable): Promise<void> {
    await this.#firstLook.promise
    const watched = this.#watched.get(source)!
    watched.awaited = watched.files.began === false
    await watched.files.check()
  }

  arrived(source: SourceTable): boolean {
    const { awaited, files } = this.#watched.get(source)!
    return awaited && files.began === true
  }

  async triggerFingerprint({ files }: SourceTable): Promise<string> {
    return createHash('sha256').update(JSON.stringify(files?.contents)).digest('hex')
  }

  async waiting(): Promise<Set<string>> {
    const found = [...this.#watched.keys()].filter((source) => this.#of(source).store.hasEntries())
    return new Set(found.map(({ resource }) => resource))
  }

  async take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    return this.#of(source).store.take(maxKeys, inFlight)
  }

  /** What is remembered of a folder is read from the agent's own store, where a key has one text: a second look would be the same. */
  async rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    const read = await this.#of(source).rowsByKeys(keys)
    return { ...read, missing: missingKeys(keys, keysOf(read, keyIndexes(source))) }
  }

  async rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#of(source).rowsAfter(after, limit)
  }

  async count(source: SourceTable): Promise<number> {
    return this.#of(source).count()
  }

  async record(source: SourceTable, step: StreamStep): Promise<void> {
    const files = this.#of(source)
    // Folders remember rows, not what was sent.
    const memory: Memory = {
      snapshotBegan() {},
      snapshotReached: (after) => (after === null ? files.snapshotComplete?.() : undefined),
      sent() {},
    }
    files.store.record(step, memory)
  }

  async requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    this.#of(source).store.requeue(keys, position)
  }

  async mark(source: SourceTable, change: { snapshot?: 'needed'; coverage?: string; entries?: readonly string[] }): Promise<void> {
    this.#of(source).store.mark(change)
  }

  async collapse(source: SourceTable): Promise<boolean> {
    this.#of(source).store.collapse()
    return true
  }

  /** Throws what ended the last look: then the stream is held, says so, and begins again. */
  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    const { failure } = this.#watched.get(source)!
    if (failure) throw failure
    return this.#of(source).store.backlog(bound)
  }

  async idle(_busy: boolean, signal: AbortSignal): Promise<void> {
    await this.#queued.wait(idleMs, signal)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#firstLook.resolve()
    await this.#watcher.close()
    await this.#looks
    this.#release()
  }

  #release(): void {
    for (const { files } of this.#watched.values()) files.close()
  }

  async #runLooks(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      for (const watched of this.#watched.values()) if (watched.next <= performance.now() && !signal.aborted) await this.#look(watched)
      this.#firstLook.resolve()
      const next = Math.min(...[...this.#watched.values()].map((watched) => watched.next))
      await this.#lookDue.wait(Math.max(0, next - performance.now()), signal)
    }
  }

  async #look(watched: Watched): Promise<void> {
    const { files, backoff } = watched
    const started = performance.now()
    watched.next = Infinity
    try {
      const wait = (await files.look(this.#closing.signal)) ?? Infinity
      backoff.reset()
      watched.failure = undefined
      watched.next = Math.min(watched.next, started + Math.min(wait, this.#folder.look * 1000))
    } catch (error) {
      if (this.#closing.signal.aborted) return
      const coded = codedError(error)
      if (watched.failure?.code !== coded.code)
        this.#folder.logger.warn({ resource: files.source.resource, code: coded.code, err: errorForLog(coded) }, coded.message)
      watched.failure = coded
      watched.next = started + backoff.next()
    }
  }
}
