/** The rows of a folder whose files are themselves supplied: parts of files, read from the files when they are asked for. */
import { codedError, errorForLog, reasonOf } from '../../../protocol/errors.ts'
import { partValues } from '../../../protocol/files.ts'
import type { Row, RowFault, Rows, SourceTable } from '../../database.ts'
import { isFit, readPartKey, type IndexedFile, type IndexReading, type UnfitFile } from './index.ts'
import { FolderTree, isGone, readParts } from './read.ts'
import { inParallel } from './target-folder.ts'
import { requireFolder } from '../store/owner.ts'
import type { WatchOptions } from '../store/watched.ts'

/** Rows that should be read at once at most: each may be of 350 KB. */
export const maxPartsAtOnce = 64

export interface PartPlace {
  name: string
  part: number
}

/** What whoever watches the files does beside. */
export interface FileWatch {
  /** Told the parts of files that could not be read. */
  missed?: (parts: readonly PartPlace[]) => void
  /** The content of a file of one part where it is at hand. */
  recent?: (file: IndexedFile) => Buffer | undefined
}

interface Wanted {
  file: IndexedFile | UnfitFile
  parts: number[]
}

export class FileRows {
  readonly #source: SourceTable
  readonly #index: IndexReading
  readonly #options: Pick<WatchOptions, 'folder' | 'logger'>
  readonly #tree: FolderTree
  readonly #watch: FileWatch

  constructor(source: SourceTable, index: IndexReading, options: Pick<WatchOptions, 'folder' | 'logger'>, watch: FileWatch = {}) {
    this.#source = source
    this.#index = index
    this.#options = options
    this.#tree = new FolderTree(options.folder.path)
    this.#watch = watch
  }

  async byKeys(keys: readonly Row[]): Promise<Rows> {
    const wanted = Map.groupBy(keys.map(readPartKey), ({ name }) => name)
    const files = [...wanted].flatMap(([name, places]) => {
      const file = this.#index.get(name)
      return file ? [{ file, parts: places.map(({ part }) => part) }] : []
    })
    return this.#readAll(files)
  }

  async after(after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    const files = [...this.#partsAfter(after && readPartKey(after), limit)]
    const last = files.at(-1)
    return { ...(await this.#readAll(files)), last: last ? [last.file.name, String(last.parts.at(-1))] : null }
  }

  /** In the order of the files. */
  async #readAll(files: readonly Wanted[]): Promise<Rows> {
    const found: Rows[] = []
    await inParallel([...files.entries()], async ([i, file]) => {
      found[i] = await this.#read(file)
    })
    return { rows: found.flatMap(({ rows }) => rows), faults: found.flatMap(({ faults }) => faults) }
  }

  *#partsAfter(after: PartPlace | null, limit: number): Generator<Wanted> {
    let left = limit
    const begun = after && this.#index.get(after.name)
    for (let file = begun ?? this.#index.after(after?.name ?? '', 1)[0]; file && left > 0; file = this.#index.after(file.name, 1)[0]) {
      const first = file === begun ? after!.part + 1 : 0
      const parts = range(first, Math.min(isFit(file) ? file.parts : 1, first + left))
      if (parts.length > 0) yield { file, parts }
      left -= parts.length
    }
  }

  count(): number {
    return this.#index.count()
  }

  /** A part beyond the end has no row. */
  async #read({ file, parts: wanted }: Wanted): Promise<Rows> {
    if (!isFit(file)) {
      const fault: RowFault = { key: [file.name, '0'], code: 'QZ-ROW-VALUE', item: 'name', reason: file.reason }
      return { rows: [], faults: wanted.includes(0) ? [fault] : [] }
    }
    const parts = wanted.filter((part) => part < file.parts)
    try {
      const contents = parts.length > 0 ? await this.#contents(file, parts) : []
      return { rows: parts.map((part, i) => this.#rowOf(file, part, contents[i]!)), faults: [] }
    } catch (error) {
      // Where it is the folder that is away, nothing is said of the file.
      await requireFolder(this.#options.folder)
      this.#watch.missed?.(parts.map((part) => ({ name: file.name, part })))
      return { rows: [], faults: this.#faults(file.name, parts, error) }
    }
  }

  async #contents(file: IndexedFile, parts: readonly number[]): Promise<readonly Buffer[]> {
    const recent = file.parts === 1 ? this.#watch.recent?.(file) : undefined
    return recent ? [recent] : readParts(this.#tree, file, parts)
  }

  #rowOf(file: IndexedFile, part: number, content: Buffer): Row {
    const values = partValues({ ...file, part }, content)
    return this.#source.columns.map(({ item }) => values[item.id]!)
  }

  #faults(name: string, parts: readonly number[], error: unknown): RowFault[] {
    const changed = codedError(error).code === 'QZ-FILE-CHANGED' || isGone(error)
    const reason = changed
      ? { zh: '发送时文件发生变化，完整后自动重发', en: 'the file changed while it was sent: it is sent again when it is complete' }
      : { zh: `文件无法读取，将自动重试：${reasonOf(error, 'zh')}`, en: `the file cannot be read, and is tried again: ${reasonOf(error)}` }
    this.#options.logger.info({ resource: this.#source.resource, file: name, err: errorForLog(error) }, 'file cannot be sent now')
    return parts.map((part) => ({ key: [name, String(part)], code: 'QZ-ROW-VALUE', item: 'content', reason }))
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
}
