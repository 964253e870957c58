/** Writes a route's files: when rows have changed and further changes were gathered for a while, one file after the other, until it is closed. */
import { readFileSync, readdirSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileManifestText, manifestName, readFileManifest, type FileManifest } from '../../../protocol/file-manifest.ts'
import { errorForLog, QianzhiError } from '../../../protocol/errors.ts'
import { Backoff } from '../../runtime/backoff.ts'
import type { FolderSettings, SinkTable } from '../../database.ts'
import type { Making, OutputState } from './output-state.ts'
import { requireFolder, unreachable } from '../store/owner.ts'
import { fileName, fileNumber } from './file-names.ts'
import { type InboxFile, statFile } from './inbox.ts'
import { encodingOf, formatOf, kindOf } from '../formats/write-file.ts'
import { columnsOf, pagesOf } from './pages.ts'
import { SinkStore } from '../store/sink-store.ts'
import { fileHash, isBusy, putInPlace, removeTemporaries, renameNew, temporaryName, writeTemporary } from '../store/durable-write.ts'

export class RowOutput {
  readonly #sink: SinkTable
  readonly #folder: FolderSettings
  readonly #store: SinkStore
  readonly #state: OutputState
  readonly #backoff = new Backoff()
  #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #looks: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  /** Whether what is in the store can be written: not while its rows have another shape than the sink. */
  #open = false
  /** What is due is not gathered for. */
  #urgent = false
  #failure: QianzhiError | undefined

  constructor(sink: SinkTable, folder: FolderSettings, store: SinkStore, state: OutputState) {
    this.#sink = sink
    this.#folder = folder
    this.#store = store
    this.#state = state
  }

  /** Throws QZ-FOLDER-UNREACHABLE. `fits`: the rows in the store have the sink's shape. */
  async open(fits: boolean): Promise<void> {
    const { path } = this.#folder
    this.#open = fits
    this.#failure = undefined
    try {
      const { manifest } = this.#state.read().making ?? {}
      await removeTemporaries(path, (name) => fileNumber(name, this.#sink.resource) !== undefined, manifest?.file)
      const there = readdirSync(path)
      this.#forgetTaken(new Set(there))
      this.#state.follow(formOf(this.#sink), lastNumber(path, there, this.#sink))
    } catch (error) {
      throw unreachable(path, error)
    }
    this.wake()
    this.#watchShown()
  }

  /** Files that readers have taken away are not remembered for ever. */
  #forgetTaken(there: ReadonlySet<string>): void {
    const gone = this.#store.all('select file from written').flatMap(({ file }) => (there.has(String(file)) ? [] : [String(file)]))
    for (const file of gone) this.#store.run('delete from written where file = ?', file)
  }

  /** There may be something to write: `now`, or when changes were gathered for long enough. */
  wake(now = false): void {
    this.#urgent ||= now
    // One that failed is tried again after a while, and not for every batch.
    if (this.#closing.signal.aborted || this.#running || this.#failure) return
    const { changed, making } = this.#state.read()
    if (!making?.manifest && (!this.#open || !this.#state.complete || (changed === null && !making))) return
    const gather = this.#sink.files!.gather * 1000
    // A clock that was put back must not keep it waiting.
    const left = making || this.#urgent ? 0 : Math.min(gather, Math.max(0, (changed ?? 0) + gather - Date.now()))
    this.#schedule(left)
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#urgent = false
      this.#running = this.#run().finally(() => {
        this.#running = undefined
        if (!this.#failure) this.wake()
      })
    }, milliseconds)
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    try {
      await requireFolder(this.#folder)
      const unfinished = this.#state.read().making
      if (unfinished?.manifest) await this.#finish(unfinished)
      if (!this.#open || signal.aborted) return
      const making = this.#state.begin()
      if (making) await (making.manifest ? this.#finish(making) : this.#finish(await this.#make(making), true))
      this.#failure = undefined
      this.#backoff.reset()
    } catch (error) {
      if (!signal.aborted) this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    const coded = unreachable(this.#folder.path, error)
    if (this.#failure?.message !== coded.message)
      this.#folder.logger.warn({ route: this.#sink.route, code: coded.code, err: errorForLog(coded) }, coded.message)
    this.#failure = coded
    this.#schedule(this.#backoff.next())
  }

  /** Throws why files could not be written the last time. */
  check(): void {
    if (this.#failure) throw this.#failure
  }

  /** A file that is the whole table was deleted or edited: it is told, and written anew. Increments are taken away by who reads them. */
  async #lookAtShown(): Promise<void> {
    const { path } = this.#folder
    const shown = this.#sink.files!.write === 'whole' ? this.#state.shown : undefined
    if (!shown || this.#running || this.#failure || this.#state.read().making) return
    const { file, content } = shown
    await requireFolder(this.#folder)
    const [lying, manifest] = await Promise.all([file, manifestName(file)].map((name) => statFile(join(path, name), name)))
    if (lying && manifest && lying.content === content) return
    const same = lying && manifest && (await fileHash(lying.path))?.sha256 === this.#state.read().sha256
    if (this.#closing.signal.aborted || this.#running) return
    if (same) return this.#state.showsAs(file, contentAtRest(lying))
    const { route, resource } = this.#sink
    this.#folder.logger.warn(
      { route, resource, file, gone: !lying || !manifest },
      'a file that was written is gone or was changed: it is written anew',
    )
    this.#state.again()
    this.wake(true)
  }

  #watchShown(): void {
    clearInterval(this.#looks)
    const look = () =>
      this.#lookAtShown().catch((error) => this.#folder.logger.debug({ err: errorForLog(error) }, 'written files cannot be looked at'))
    this.#looks = setInterval(() => void look(), this.#folder.look * 1000).unref()
    void look()
  }

  /** Writes the file under its temporary name and notes what it is. */
  async #make(making: Making): Promise<Making> {
    const { path } = this.#folder
    const name = fileName(this.#sink, making)
    // Before anything is awaited: what is applied from here on belongs to the next file.
    const view = SinkStore.read(this.#folder, this.#sink.route)!
    try {
      const fresh = await this.#requireOurs(name)
      const counted = { rows: 0 }
      const columns = columnsOf(this.#sink, making.kind)
      const pages = pagesOf(view, this.#sink, making, counted)
      const { files, schema } = this.#sink
      const content = formatOf(files!).write({ columns, pages, files: files!, title: schema.title })
      const written = await writeTemporary(path, name, content, this.#closing.signal)
      const quarantine = view.countAside(view.generation('live'))
      const manifest = this.#manifest(making, { file: name, ...counted, ...written, quarantine })
      this.#state.made({ ...making, fresh }, manifest, [name, manifestName(name)])
      return { ...making, fresh, manifest }
    } finally {
      view.close()
    }
  }

  #manifest(making: Making, file: Pick<FileManifest, 'file' | 'rows' | 'size' | 'sha256' | 'quarantine'>): FileManifest {
    const { route, schema, files, columns, source } = this.#sink
    const headers = columnsOf(this.#sink, making.kind).slice(making.kind === 'changes' ? 1 : 0)
    const encoding = encodingOf(files!)
    return {
      v: 1,
      agent: this.#folder.agent,
      route,
      resource: schema.resource,
      title: schema.title,
      source,
      schema: schema.version,
      items: columns.map(({ item: { id, name, label, type }, derived }, i) => ({
        id,
        name,
        label,
        type,
        header: headers[i]!.header,
        ...(derived && { derived }),
      })),
      kind: making.kind,
      number: making.number,
      format: kindOf(files!),
      ...(encoding && { encoding }),
      ...(kindOf(files!) === 'csv' && { separator: files!.format.separator ?? ',' }),
      formulas: files!.formulas,
      ...file,
      previous: this.#state.read().sha256,
      from: making.from,
      to: making.to,
      batches: making.batches,
      time: making.time,
      provider: [...making.provider],
    }
  }

  /** Puts what was made in its place, and its manifest behind it. `fresh`: it was made just now, and need not be looked at. */
  async #finish(making: Making, fresh = false): Promise<void> {
    const { signal } = this.#closing
    const { path } = this.#folder
    const manifest = making.manifest!
    const { file, sha256 } = manifest
    const temporary = join(path, temporaryName(file))
    // Looked at before anybody can edit it: a move keeps what `content` is made of.
    const lying = await statFile(temporary, file)
    const made = fresh || (await fileHash(temporary))?.sha256 === sha256
    if (!made && (await fileHash(join(path, file)))?.sha256 !== sha256) return this.#state.lost(making)
    if (made) await this.#place(file, making.fresh)
    const signature = this.#folder.sign('qz-file', manifest)
    await writeTemporary(path, manifestName(file), once(Buffer.from(fileManifestText(manifest, signature))), signal)
    await this.#place(manifestName(file))
    this.#state.finished(making, this.#store.generation('live'), [file, manifestName(file)])
    this.#state.showsAs(file, made && lying ? contentAtRest(lying) : unknownContent)
    const { route, resource } = this.#sink
    this.#folder.logger.info({ route, resource, file, rows: manifest.rows, bytes: manifest.size }, 'file written')
  }

  async #place(name: string, fresh = false): Promise<void> {
    try {
      await putInPlace(this.#folder.path, name, this.#closing.signal, fresh ? renameNew : undefined)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
        this.#state.notWritten(name)
        throw this.#notOurs(name)
      }
      if (!isBusy(error)) throw error
      const reason = {
        zh: `文件 ${name} 正被其他程序打开，关闭后自动更新`,
        en: `file ${name} is open in another program: it is replaced when that closes it`,
      }
      throw new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder: this.#folder.path, reason }, { cause: error })
    }
  }

  /** What somebody else put into the folder is not written over. @returns whether nothing lies there. */
  async #requireOurs(name: string): Promise<boolean> {
    const { path } = this.#folder
    if (!(await lstat(join(path, name)).catch(() => undefined))) return true
    if (this.#store.get('select 1 from written where file = ?', name)) return false
    if (manifestOf(path, name)?.resource === this.#sink.schema.resource) return false
    throw this.#notOurs(name)
  }

  #notOurs(name: string): QianzhiError {
    const reason = {
      zh: `已有同名文件 ${name}，不是本系统写入的：请移走`,
      en: `there is a file ${name} that Qianzhi did not write: move it away`,
    }
    return new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder: this.#folder.path, reason })
  }

  /** Stops what is being written: it goes on, or begins again, after `open`. */
  async pause(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#timer)
    clearInterval(this.#looks)
    await this.#running
    this.#closing = new AbortController()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#timer)
    clearInterval(this.#looks)
    await this.#running
  }
}

/** What the next look takes for no file's content: it reads the bytes. */
const unknownContent = ''

/** Milliseconds in which a file can change without another time: file systems stamp by the kernel's tick, up to 10 ms, FAT by two seconds. */
const stampTick = 2_000

/** By what the file is known again without reading it; unknown while a further change could bear the same time. */
function contentAtRest({ content, modified }: InboxFile): string {
  return Math.abs(Date.now() - modified) < stampTick ? unknownContent : content
}

/** All that makes a file another one, though its rows are the same. */
function formOf(sink: SinkTable): string {
  const { write, formulas, format } = sink.files!
  return JSON.stringify([write, formulas, format, columnsOf(sink, 'whole')])
}

async function* once(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece
}

/** The highest number that a file of this resource has in the folder: what was remembered of it may be lost. */
function lastNumber(path: string, there: readonly string[], sink: SinkTable): number {
  const numbers = there.map((name) => {
    const number = fileNumber(name, sink.resource)
    if (number !== 0 || !name.endsWith(manifestEnding)) return number ?? 0
    return manifestOf(path, name.slice(0, -manifestEnding.length))?.number ?? 0
  })
  return numbers.reduce((most, number) => Math.max(most, number), 0)
}

const manifestEnding = manifestName('')

function manifestOf(path: string, name: string): FileManifest | undefined {
  try {
    return readFileManifest(readFileSync(join(path, manifestName(name)), 'utf8'))?.manifest
  } catch {
    return undefined
  }
}
