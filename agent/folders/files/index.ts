/** What is remembered of the files of a folder whose files themselves are supplied: what was last seen of each, whole and at rest. */
import type { FilePart } from '../../../protocol/files.ts'
import { type LocalizedText, readText, storeText } from '../../../protocol/localized.ts'
import type { Row } from '../../database.ts'
import { writeKey, type StreamStore } from '../../runtime/stream-store.ts'

/** A file as it is supplied. */
export interface IndexedFile extends Omit<FilePart, 'part'> {
  /** Changes when the file is written or replaced. */
  print: string
}

/** A file that cannot be supplied under its name. */
export interface UnfitFile {
  name: string
  reason: string | LocalizedText
}

const tables = `
  create table if not exists file (
    name text primary key, print text, size integer, modified text, sha256 text, parts integer not null, reason text) without rowid;
  create table if not exists missed (name text not null, part integer not null, primary key (name, part)) without rowid;
  create temp table if not exists unmet (name text primary key) without rowid`

/** What a store of any kind answers. */
export type Queried = Pick<StreamStore, 'get' | 'all'>

/** Names are in the order of their UTF-8 bytes. */
export class IndexReading {
  readonly #store: Queried

  constructor(store: Queried) {
    this.#store = store
  }

  get(name: string): IndexedFile | UnfitFile | undefined {
    const row = this.#store.get('select * from file where name = ?', name)
    return row && fileOf(row)
  }

  after(name: string, limit: number): (IndexedFile | UnfitFile)[] {
    return this.#store.all('select * from file where name > ? order by name limit ?', name, limit).map(fileOf)
  }

  /** Rows that there are: parts of files. */
  count(): number {
    return Number(this.#store.get('select coalesce(sum(parts), 0) as rows from file where reason is null')!['rows'])
  }
}

export class FileIndex extends IndexReading {
  readonly #store: StreamStore

  constructor(store: StreamStore) {
    store.make(tables)
    super(store)
    this.#store = store
  }

  files(): { fit: number; unfit: number } {
    const row = this.#store.get('select count(*) as files, count(reason) as unfit from file')!
    return { fit: Number(row['files']) - Number(row['unfit']), unfit: Number(row['unfit']) }
  }

  /** Files in a folder, its subfolders included. */
  countBelow(folder: string): number {
    return Number(this.#store.get('select count(*) as files from file where name > ? and name < ?', `${folder}/`, `${folder}0`)!['files'])
  }

  /** Whether parts of any file, or of this one, could not be read when they were to be sent. */
  hasMissed(name?: string): boolean {
    if (name === undefined) return this.#store.get('select 1 from missed limit 1') !== undefined
    return this.#store.get('select 1 from missed where name = ? limit 1', name) !== undefined
  }

  /** These parts could not be read: the next look at their file queues them again. */
  miss(keys: readonly { name: string; part: number }[]): void {
    this.#store.transaction(() => {
      for (const { name, part } of keys) this.#store.run('insert or ignore into missed (name, part) values (?, ?)', name, part)
    })
  }

  /** Within a transaction: the file is this now, and what changed of it is queued. @returns whether anything was. */
  put(found: IndexedFile | UnfitFile): boolean {
    const before = this.get(found.name)
    const same = before && isFit(before) && isFit(found) && before.sha256 === found.sha256
    // A file that was only touched is the same; its time stays the one that was sent.
    const file = same ? { ...found, modified: before.modified } : found
    const queued = same ? this.#queueMissed(file.name) : this.#queueChanged(before, file)
    this.#write(file)
    this.#store.run('delete from missed where name = ?', file.name)
    return queued
  }

  #write(file: IndexedFile | UnfitFile): void {
    const sql = 'insert or replace into file (name, print, size, modified, sha256, parts, reason) values (?, ?, ?, ?, ?, ?, ?)'
    if (!isFit(file)) return void this.#store.run(sql, file.name, null, null, null, null, 1, storeText(file.reason))
    const { name, print, size, modified, sha256, parts } = file
    this.#store.run(sql, name, print, size, modified, sha256, parts, null)
  }

  /** All parts of the new version, and those of the old one beyond its end: they are gone. */
  #queueChanged(before: IndexedFile | UnfitFile | undefined, file: IndexedFile | UnfitFile): boolean {
    if (before && !isFit(before) && !isFit(file) && storeText(before.reason) === storeText(file.reason)) return false
    return this.#queue(file.name, Math.max(partsOfFile(before), partsOfFile(file)))
  }

  #queueMissed(name: string): boolean {
    const missed = this.#store.all('select part from missed where name = ? order by part', name)
    for (const { part } of missed) this.#store.enqueue(keyOf(name, Number(part)), null)
    return missed.length > 0
  }

  #queue(name: string, parts: number): boolean {
    for (let part = 0; part < parts; part++) this.#store.enqueue(keyOf(name, part), null)
    return parts > 0
  }

  /** Within a transaction: the file is gone; its parts' keys are queued. */
  remove(name: string): void {
    const before = this.get(name)
    if (!before) return
    this.#queue(name, partsOfFile(before))
    this.#store.run('delete from file where name = ?', name)
    this.#store.run('delete from missed where name = ?', name)
  }

  /** Names that a walk did not meet, kept aside until it has ended: there may be as many as there are files. */
  readonly unmet = {
    clear: (): void => void this.#store.run('delete from unmet'),
    add: (name: string): void => void this.#store.run('insert or ignore into unmet (name) values (?)', name),
    after: (name: string, limit: number): string[] =>
      this.#store.all('select name from unmet where name > ? order by name limit ?', name, limit).map((row) => String(row['name'])),
  }
}

/** An unfit file has the key of its first part, for its fault. */
function partsOfFile(file: IndexedFile | UnfitFile | undefined): number {
  return file ? (isFit(file) ? file.parts : 1) : 0
}

export function isFit(file: IndexedFile | UnfitFile): file is IndexedFile {
  return !('reason' in file)
}

function fileOf(row: Record<string, unknown>): IndexedFile | UnfitFile {
  const [name, reason] = [String(row['name']), row['reason'] as string | null]
  if (reason !== null) return { name, reason: readText(reason) }
  return {
    name,
    print: String(row['print']),
    size: Number(row['size']),
    modified: String(row['modified']),
    sha256: String(row['sha256']),
    parts: Number(row['parts']),
  }
}

/** A part's key as queues hold it. */
function keyOf(name: string, part: number): string {
  return writeKey([name, String(part)])
}

export function readPartKey(key: Row): { name: string; part: number } {
  return { name: String(key[0]), part: Number(key[1]) }
}

/** Walks through the index beside a walk through the folder in the same order. */
export class IndexCursor {
  readonly #index: FileIndex
  #page: string[] = []
  #last = ''
  #ended = false

  constructor(index: FileIndex) {
    this.#index = index
  }

  /** Names in the index before this one that were not taken yet; all that are left without one. */
  *before(name: string | undefined): Generator<string> {
    const bytes = name === undefined ? undefined : Buffer.from(name)
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      const order = bytes ? Buffer.compare(Buffer.from(next), bytes) : -1
      if (order > 0) return
      this.#page.shift()
      if (order < 0) yield next
    }
  }

  #peek(): string | undefined {
    if (this.#page.length === 0 && !this.#ended) {
      this.#page = this.#index.after(this.#last, 500).map(({ name }) => name)
      this.#last = this.#page.at(-1) ?? this.#last
      this.#ended = this.#page.length === 0
    }
    return this.#page[0]
  }
}
