/**
 * A source whose files hold rows. A complete file is read into a staging area (its first one to where its rows stay) and, where it is good, moved to `done/` under the next number:
 * that is its acceptance. Then its rows are merged into what is remembered (source-rows.ts), and what changed is queued. What lies in `done/`
 * under a later number than the last one merged is merged first: so a stop at any moment, and a data folder that was put back to an older
 * copy, lose nothing. A refused file goes to `rejected/` with a report.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codedError, QianzhiError } from '../../../protocol/errors.ts'
import type { FileCounts, Row, Rows, SourceTable } from '../../database.ts'
import { StreamStore } from '../../runtime/stream-store.ts'
import { doneMark, InboxWatch, Rest, statFile, wait, type Inbox, type InboxFile } from './inbox.ts'
import { Filling } from './filling.ts'
import { requireFolder, unreachable } from '../store/owner.ts'
import { doneName, doneNumber, fittingName, freeName } from '../store/names.ts'
import { grownFault, lackingFault, linkFault, olderFault } from './file-refusals.ts'
import { flushFolder } from '../store/durable-write.ts'
import { readFileRows } from '../formats/read-file.ts'
import { writeReport } from './report.ts'
import { SettledFiles } from './settled-files.ts'
import { SourceRows, type AcceptedFile } from './source-rows.ts'
import { removeStaging, Staging } from './staging.ts'
import { TakenFiles } from './taken-files.ts'
import { openSourceStore } from '../store/stores.ts'
import type { WatchedFiles, WatchOptions } from '../store/watched.ts'
import type { CellFault, FileRow, ReadFileOptions } from '../formats/file-row.ts'

const [doneFolder, rejectedFolder] = ['done', 'rejected']
/** Faults of a file that its report lists. */
const maxFaults = 10_000
/** Seconds of a writer's pause that are learnt. */
const longestPause = 900
/** Milliseconds: some file systems tell times no finer. */
const sameTime = 2_000

/** A file that was read: what is wrong with it, and where its rows are. */
interface ReadFile {
  staging: Staging | Filling
  faults: { number: number; fault: CellFault }[]
  total: number
  /** Places of items that the file has no column of. */
  absent: ReadonlySet<number>
}

export class RowSource implements WatchedFiles {
  readonly source: SourceTable
  readonly store: StreamStore
  readonly #options: WatchOptions
  readonly #inbox: InboxWatch
  /** Of files in `done/`. */
  readonly #rest = new Rest()
  readonly #rows: SourceRows
  readonly #settled: SettledFiles
  readonly #taken: TakenFiles
  readonly #staging: string
  readonly #done: string
  readonly #rejected: string
  #ready: Promise<void> | undefined
  /** When the last look ended, and what it found that nobody takes. */
  #looked: string | undefined
  #untaken: NonNullable<FileCounts['untaken']> = []

  /** Throws QZ-DATA-LOCKED. */
  constructor(source: SourceTable, options: WatchOptions) {
    const { path } = options.folder
    this.source = source
    this.#options = options
    const { store, staging } = openSourceStore(options.folder, source.resource)
    this.store = store
    this.#staging = staging
    this.#rows = new SourceRows(store, source).make()
    this.#settled = new SettledFiles(store)
    this.#taken = new TakenFiles(store)
    this.#inbox = new InboxWatch(options.folder, source.files!.names)
    this.#done = join(path, doneFolder)
    this.#rejected = join(path, rejectedFolder)
  }

  /** What is remembered has the shape of what is supplied now. */
  #follow(): Promise<void> {
    return (this.#ready ??= this.#rows.follow().catch((error) => {
      this.#ready = undefined
      throw error
    }))
  }

  /** Before the first file nothing is known of the resource: an empty snapshot would empty the receivers' tables. */
  async check(): Promise<void> {
    const { folder } = this.#options
    await requireFolder(folder)
    await this.#follow()
    if (!this.began) throw new QianzhiError('QZ-FOLDER-WAITS', { folder: folder.path, resource: this.source.resource })
  }

  get began(): boolean {
    return this.#rows.merged > 0
  }

  async look(signal: AbortSignal): Promise<number | undefined> {
    const { folder } = this.#options
    await requireFolder(folder)
    await this.#follow()
    try {
      await mkdir(this.#done, { recursive: true })
      await mkdir(this.#rejected, { recursive: true })
      await this.#mergeDone(signal)
      const stable = folder.ready === 'done' ? folder.stable : Math.max(folder.stable, this.#taken.pause)
      const inbox = await this.#inbox.look(stable)
      const again = await this.#lookAgain(inbox, stable)
      const { complete, next, waiting } = inbox
      this.#note({ waiting: complete.length + waiting })
      for (const file of [...again, ...complete]) {
        if (signal.aborted) return undefined
        await this.#take(file, signal)
      }
      this.#looked = new Date().toISOString()
      this.#untaken = (await this.#options.untaken?.()) ?? []
      this.#note({ waiting })
      return next
    } catch (error) {
      throw unreachable(folder.path, error)
    } finally {
      if (!signal.aborted) removeStaging(this.#staging)
    }
  }

  #note(change: { waiting: number }): void {
    this.#options.folder.note?.(this.source.resource, {
      ...change,
      taken: this.#rows.merged,
      refused: this.#settled.refusedCount,
      ...(this.#looked !== undefined && { looked: this.#looked }),
      settled: this.#settled.list(),
      ...(this.#untaken.length > 0 && { untaken: this.#untaken }),
    })
  }

  /** Files that were taken and have been written on since. The last one is taken anew, of others it is told: newer rows may have come. */
  async #lookAgain(inbox: Inbox, stable: number): Promise<InboxFile[]> {
    const again: InboxFile[] = []
    const paths = new Set<string>()
    for (const { number, name, file, print, content, modified } of this.#taken.list()) {
      const now = await statFile(join(this.#done, name), file)
      if (!now || now.link) this.#taken.forget(number)
      if (!now || now.link || now.print === print) continue
      paths.add(now.path)
      const left = this.#rest.left(now, stable)
      if (left > 0) {
        wait(inbox, left)
        continue
      }
      if (now.content !== content) this.#learnPause(file, (now.modified - modified) / 1000)
      if (number === this.#rows.merged) {
        again.push(now)
        continue
      }
      if (now.content !== content) await this.#tellGrown(now)
      this.#taken.keep(number, { name, file: now })
    }
    this.#rest.keepOnly(paths)
    return again
  }

  #learnPause(file: string, seconds: number): void {
    const { resource } = this.source
    this.#options.logger.warn({ resource, file, seconds, code: 'QZ-FILE-CHANGED' }, 'the file was written on after it was taken')
    if (seconds > 0 && seconds <= longestPause) this.#taken.learn('pause', Math.max(this.#taken.pause, 2 * seconds))
  }

  async #tellGrown(file: InboxFile): Promise<void> {
    const fault = grownFault(file.name)
    const name = await freeName(this.#rejected, file.name)
    this.#settled.refused(file.print, name, { code: fault.code })
    await this.#report(name, whole(fault), 'refused')
    this.#settled.moved(file.print)
  }

  /** Files that were accepted and are not merged, or not any more. */
  async #mergeDone(signal: AbortSignal): Promise<void> {
    const { merged } = this.#rows
    const names = (await readdir(this.#done)).filter((name) => doneNumber(name, this.source.resource) > merged)
    names.sort((a, b) => doneNumber(a, this.source.resource) - doneNumber(b, this.source.resource))
    for (const name of names) {
      if (signal.aborted) return
      const path = join(this.#done, name)
      const file = await statFile(path, name.slice(doneName(doneNumber(name, this.source.resource), this.source.resource, '').length))
      // Another file than the one that was checked came under its name.
      const other = this.#taken.accepting?.name === name && file?.content !== this.#taken.accepting.content
      if (file && other) {
        await this.#take(file, signal)
        continue
      }
      await this.#merge(await this.#read(path, signal), name)
      if (file) this.#remember(name, file)
    }
  }

  async #take(file: InboxFile, signal: AbortSignal): Promise<void> {
    if (file.link) return this.#refuse(file, linkFault(file.name))
    const late = this.#lateFault(file)
    if (late) return this.#refuse(file, late)
    try {
      const read = await this.#read(file.path, signal)
      const now = await statFile(file.path, file.name)
      if (now?.print !== file.print) {
        read.staging.discard()
        return this.#changed(file)
      }
      const lacking = this.source.files!.whole ? this.#rows.firstWithValues([...read.absent]) : undefined
      if (lacking) {
        read.staging.discard()
        return this.#refuse(file, lackingFault(file.name, lacking))
      }
      if (read.total > 0 && this.source.files!.faults === 'refuse') {
        read.staging.discard()
        return this.#refuse(file, undefined, read)
      }
      await this.#accept(file, read, signal)
    } catch (error) {
      if (signal.aborted) return
      const coded = codedError(error)
      if (coded.code !== 'QZ-FILE' && coded.code !== 'QZ-EXCEL') throw error
      // A file that was not whole yet may look broken.
      if ((await statFile(file.path, file.name))?.print !== file.print) return this.#changed(file)
      await this.#refuse(file, coded)
    }
  }

  /** Rows of an older file would take the place of newer ones. */
  #lateFault({ name, path, modified }: InboxFile): QianzhiError | undefined {
    const { newest } = this.#taken
    if (this.source.files!.older === 'take' || newest === undefined || path.startsWith(this.#done)) return undefined
    if (modified > newest.modified - sameTime) return undefined
    return olderFault(name, newest.file)
  }

  #changed({ name, path }: InboxFile): void {
    this.#inbox.changed(path)
    this.#rest.forget(path)
    this.#options.logger.info({ resource: this.source.resource, file: name, code: 'QZ-FILE-CHANGED' }, 'the file changed while it was read')
  }

  async #read(path: string, signal: AbortSignal): Promise<ReadFile> {
    return (await this.#fill(path, signal)) ?? this.#stage(path, signal)
  }

  /** Undefined where the file must be staged. */
  async #fill(path: string, signal: AbortSignal): Promise<ReadFile | undefined> {
    const filling = this.#rows.filling()
    if (!filling) return undefined
    try {
      const { read, absent } = this.#rowsOf(path, signal)
      for await (const rows of read) {
        if (filling.add(rows)) continue
        filling.discard()
        return undefined
      }
      filling.finish()
      return { staging: filling, faults: [], total: 0, absent }
    } catch (error) {
      filling.discard()
      throw error
    }
  }

  async #stage(path: string, signal: AbortSignal): Promise<ReadFile> {
    const staging = new Staging(this.#staging, { lastCounts: !this.source.files!.whole })
    const { read: all, absent } = this.#rowsOf(path, signal)
    const read: ReadFile = { staging, faults: [], total: 0, absent }
    try {
      for await (const rows of all) {
        for (const found of staging.add(rows)) if (++read.total <= maxFaults) read.faults.push(found)
      }
      staging.finish()
      return read
    } catch (error) {
      staging.discard()
      throw error
    }
  }

  /** A file's rows, and the items that none of them names. */
  #rowsOf(path: string, signal: AbortSignal): { read: AsyncGenerator<FileRow[]>; absent: ReadonlySet<number> } {
    const { source } = this
    const before = this.#taken.encoding
    const encoding: ReadFileOptions['encoding'] & {} = before === undefined ? {} : { before }
    const absent = new Set<number>()
    let first = true
    const noteSaid = (rows: readonly FileRow[]) => {
      for (const { op, absent: lacks = [] } of rows) {
        if (op === 'd' || (!first && absent.size === 0)) continue
        if (first) for (const place of lacks) absent.add(place)
        else for (const place of absent) if (!lacks.includes(place)) absent.delete(place)
        first = false
      }
    }
    const read = async function* (taken: TakenFiles) {
      for await (const rows of readFileRows({ path, source, signal, encoding })) {
        noteSaid(rows)
        yield rows
      }
      if (encoding.certain !== undefined && encoding.certain !== before) taken.learn('encoding', encoding.certain)
    }
    return { read: read(this.#taken), absent }
  }

  /** The move is the acceptance: from here on the file is merged, whatever happens. */
  async #accept(file: InboxFile, read: ReadFile, signal: AbortSignal): Promise<void> {
    const { name, path } = file
    if (read.total > 0) await this.#report(name, read, 'accepted')
    const number = this.#rows.merged + 1
    const taken = doneName(number, this.source.resource, name)
    const now = join(this.#done, taken)
    this.#taken.learn('accepting', JSON.stringify({ name: taken, content: file.content }))
    await move(path, now)
    await flushFolder(this.#done)
    const moved = await statFile(now, name)
    if (moved && moved.content !== file.content) {
      // Another one had taken its name meanwhile.
      read.staging.discard()
      return this.#take(moved, signal)
    }
    await rm(doneMark(path), { force: true })
    await this.#merge(read, taken)
    this.#remember(taken, moved ?? file)
  }

  /** `name`: in `done/`. */
  #remember(name: string, file: InboxFile): void {
    this.#taken.keep(doneNumber(name, this.source.resource), { name, file })
    this.#taken.learnNewest({ file: file.name, modified: Math.min(file.modified, Date.now()) })
  }

  async #merge({ staging, total, absent }: ReadFile, name: string): Promise<void> {
    const { resource } = this.source
    const number = doneNumber(name, resource)
    const file = name.slice(doneName(number, resource, '').length)
    const accepted = { number, merged: () => this.#settled.taken(file, { rows: staging.rows, bad: staging.bad }) }
    const changed = staging instanceof Filling ? this.#rows.takeFilled(staging, accepted) : await this.#mergeStaged(staging, accepted)
    staging.discard()
    this.#options.queued()
    const missing = [...absent].map((place) => this.source.columns[place]!.item.label)
    const counts = { rows: staging.rows, changed, faults: total, ...(missing.length > 0 && { missing }) }
    this.#options.logger.info({ resource, file: name, ...counts }, 'file taken')
  }

  /** A row whose key cannot be read may be any row: then none is taken for deleted. */
  #mergeStaged(staging: Staging, accepted: AcceptedFile): Promise<number> {
    const whole = this.source.files!.whole && staging.keyless === 0
    return this.#rows.merge(staging.path, { ...accepted, whole }, this.#options.queued)
  }

  /** `fault`: of the file as a whole. Written down before it is done: a stop in between does it again, and it counts once. */
  async #refuse(file: InboxFile, fault: QianzhiError | undefined, read?: ReadFile): Promise<void> {
    const name = await freeName(this.#rejected, file.name)
    const code = fault?.code ?? read!.faults[0]!.fault.code
    this.#settled.refused(file.print, name, { code, ...(read && { rows: read.staging.rows, bad: read.staging.bad }) })
    await this.#report(name, read ?? whole(fault!), 'refused')
    const now = join(this.#rejected, name)
    await move(file.path, now)
    await flushFolder(this.#rejected)
    const moved = await statFile(now, name)
    // Another one had taken its name meanwhile: it has not been read.
    if (moved && (moved.size !== file.size || moved.modified !== file.modified)) await this.#putBack(now, file.name)
    else await rm(doneMark(file.path), { force: true })
    this.#settled.moved(file.print)
    this.#options.logger.warn({ resource: this.source.resource, file: file.name, code, faults: read?.total ?? 1 }, 'file refused')
  }

  async #putBack(path: string, name: string): Promise<void> {
    const { folder } = this.#options
    await move(path, join(folder.path, await freeName(folder.path, name)))
    await flushFolder(folder.path)
  }

  async #report(
    name: string,
    { faults, total, staging }: Pick<ReadFile, 'faults' | 'total'> & Partial<ReadFile>,
    outcome: 'accepted' | 'refused',
  ) {
    const report = join(this.#rejected, fittingName(name, '.report.csv'))
    await writeReport(report, { file: name, faults, total, outcome, rows: staging?.rows ?? 0, bad: staging?.bad ?? 0 })
  }

  async rowsByKeys(keys: readonly Row[]): Promise<Rows> {
    return this.#rows.rowsByKeys(keys)
  }

  async rowsAfter(after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#rows.rowsAfter(after, limit)
  }

  async count(): Promise<number> {
    return this.#rows.count()
  }

  snapshotComplete(): void {
    this.#rows.forgetDeleted()
  }

  close(): void {
    this.store.close()
  }
}

function whole(error: QianzhiError): Pick<ReadFile, 'faults' | 'total'> {
  return { faults: [{ number: 0, fault: { code: error.code, zh: error.text('zh'), en: error.text('en') } }], total: 1 }
}

/** A program that reads files as they come (a virus scanner) may hold this one for a moment. */
async function move(from: string, to: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await rename(from, to)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (tries === 20 || (code !== 'EBUSY' && code !== 'EPERM' && code !== 'EACCES')) throw error
      await new Promise((resolve) => setTimeout(resolve, 50 * (tries + 1)))
    }
  }
}
