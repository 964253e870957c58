/**
 * A source whose files hold rows. A complete file is read into a staging area (its first one to where its rows stay) and, where it is good, moved to `done/` under the next number:
 * that is its acceptance. Then its rows are merged into what is remembered (source-rows.ts), and what changed is queued. What lies in `done/`
 * under a later number than the last one merged is merged first: so a stop at any moment, and a data folder that was put back to an older
 * copy, lose nothing. A refused file goes to `rejected/` with a report.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codedError, QianzhiError } from '../../../protocol/errors.ts'
import type { Row, Rows, SourceTable } from '../../database.ts'
import { StreamStore } from '../../runtime/stream-store.ts'
import { doneMark, InboxWatch, statFile, type InboxFile } from './inbox.ts'
import { Filling } from './filling.ts'
import { requireFolder, unreachable } from '../store/owner.ts'
import { doneName, doneNumber, fittingName, freeName } from '../store/names.ts'
import { wholeFile } from '../formats/file-fault.ts'
import { readFileRows } from '../formats/read-file.ts'
import { writeReport } from './report.ts'
import { SettledFiles } from './settled-files.ts'
import { SourceRows, type AcceptedFile } from './source-rows.ts'
import { removeStaging, Staging } from './staging.ts'
import { openSourceStore } from '../store/stores.ts'
import type { WatchedFiles, WatchOptions } from '../store/watched.ts'
import type { CellFault } from '../formats/file-row.ts'

const [doneFolder, rejectedFolder] = ['done', 'rejected']
/** Faults of a file that its report lists. */
const maxFaults = 10_000

/** A file that was read: what is wrong with it, and where its rows are. */
interface ReadFile {
  staging: Staging | Filling
  faults: { number: number; fault: CellFault }[]
  total: number
}

export class RowSource implements WatchedFiles {
  readonly source: SourceTable
  readonly store: StreamStore
  readonly #options: WatchOptions
  readonly #inbox: InboxWatch
  readonly #rows: SourceRows
  readonly #settled: SettledFiles
  readonly #staging: string
  readonly #done: string
  readonly #rejected: string
  #ready: Promise<void> | undefined
  /** When the last look ended. */
  #looked: string | undefined

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
      const { complete, next, waiting } = await this.#inbox.look()
      this.#note({ waiting: complete.length + waiting })
      for (const file of complete) {
        if (signal.aborted) return undefined
        await this.#take(file, signal)
      }
      this.#looked = new Date().toISOString()
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
    })
  }

  /** Files that were accepted and are not merged, or not any more. */
  async #mergeDone(signal: AbortSignal): Promise<void> {
    const { merged } = this.#rows
    const names = (await readdir(this.#done)).filter((name) => doneNumber(name, this.source.resource) > merged)
    names.sort((a, b) => doneNumber(a, this.source.resource) - doneNumber(b, this.source.resource))
    for (const name of names) {
      if (signal.aborted) return
      const read = await this.#read(join(this.#done, name), signal)
      await this.#merge(read, name)
    }
  }

  async #take(file: InboxFile, signal: AbortSignal): Promise<void> {
    if (file.link) return this.#refuse(file, linkFault(file.name))
    try {
      const read = await this.#read(file.path, signal)
      const now = await statFile(file.path, file.name)
      if (now?.print !== file.print) {
        read.staging.discard()
        return this.#changed(file.name)
      }
      if (read.total > 0 && this.source.files!.faults === 'refuse') {
        read.staging.discard()
        return this.#refuse(file, undefined, read)
      }
      await this.#accept(file, read)
    } catch (error) {
      if (signal.aborted) return
      const coded = codedError(error)
      if (coded.code !== 'QZ-FILE' && coded.code !== 'QZ-EXCEL') throw error
      // A file that was not whole yet may look broken.
      if ((await statFile(file.path, file.name))?.print !== file.print) return this.#changed(file.name)
      await this.#refuse(file, coded)
    }
  }

  #changed(name: string): void {
    this.#inbox.changed(name)
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
      for await (const rows of readFileRows({ path, source: this.source, signal })) {
        if (filling.add(rows)) continue
        filling.discard()
        return undefined
      }
      filling.finish()
      return { staging: filling, faults: [], total: 0 }
    } catch (error) {
      filling.discard()
      throw error
    }
  }

  async #stage(path: string, signal: AbortSignal): Promise<ReadFile> {
    const staging = new Staging(this.#staging)
    const read: ReadFile = { staging, faults: [], total: 0 }
    try {
      for await (const rows of readFileRows({ path, source: this.source, signal })) {
        for (const found of staging.add(rows)) if (++read.total <= maxFaults) read.faults.push(found)
      }
      staging.finish()
      return read
    } catch (error) {
      staging.discard()
      throw error
    }
  }

  /** The move is the acceptance: from here on the file is merged, whatever happens. */
  async #accept({ name, path }: InboxFile, read: ReadFile): Promise<void> {
    if (read.total > 0) await this.#report(name, read, 'accepted')
    const taken = doneName(this.#rows.merged + 1, this.source.resource, name)
    await move(path, join(this.#done, taken))
    await flushFolder(this.#done)
    await rm(doneMark(path), { force: true })
    await this.#merge(read, taken)
  }

  async #merge({ staging, total }: ReadFile, name: string): Promise<void> {
    const { resource } = this.source
    const number = doneNumber(name, resource)
    const file = name.slice(doneName(number, resource, '').length)
    const accepted = { number, merged: () => this.#settled.taken(file, { rows: staging.rows, bad: staging.bad }) }
    const changed = staging instanceof Filling ? this.#rows.takeFilled(staging, accepted) : await this.#mergeStaged(staging, accepted)
    staging.discard()
    this.#options.queued()
    this.#options.logger.info({ resource, file: name, rows: staging.rows, changed, faults: total }, 'file taken')
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
    await move(file.path, join(this.#rejected, name))
    await flushFolder(this.#rejected)
    await rm(doneMark(file.path), { force: true })
    this.#settled.moved(file.print)
    this.#options.logger.warn({ resource: this.source.resource, file: file.name, code, faults: read?.total ?? 1 }, 'file refused')
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

function linkFault(file: string): QianzhiError {
  const reason = { zh: '是符号链接:请投放文件本身', en: 'it is a symbolic link: put in the file itself' }
  return new QianzhiError('QZ-FILE', { file, where: wholeFile, reason })
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

async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
