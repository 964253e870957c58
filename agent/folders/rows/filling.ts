import { writeKey, type StreamStore } from '../../runtime/stream-store.ts'
import type { FileRow } from '../formats/file-row.ts'

/** SQLite's SQLITE_CONSTRAINT_PRIMARYKEY. */
const keyTwice = 1555

/**
 * The rows of a source's first file, written to where they stay: a table `next` beside that of the rows, which takes its place when the file
 * is accepted. Only for rows without faults, nearly in the order of their keys; all other files are staged. What is written before the file
 * is accepted need not be on disk: the step that accepts it brings all of it there.
 */
export class Filling {
  readonly #store: StreamStore
  #last = ''
  /** Rows whose key comes before that of the row before. */
  #back = 0
  rows = 0
  readonly bad = 0

  constructor(store: StreamStore) {
    this.#store = store
    store.make('drop table if exists next; create table next (key text primary key, row text, fault text) without rowid')
    store.make('pragma synchronous = normal')
  }

  /** False where the file is none of this kind: then it is to be discarded. */
  add(rows: readonly FileRow[]): boolean {
    try {
      return this.#store.transaction(() => rows.every((row) => this.#add(row)))
    } catch (error) {
      if ((error as { errcode?: number }).errcode === keyTwice) return false
      throw error
    }
  }

  #add({ key, row, op, faults }: FileRow): boolean {
    if (!key || faults.length > 0) return false
    const text = writeKey(key)
    if (text < this.#last && ++this.#back > 100 + this.rows / 100) return false
    this.#last = text
    this.#store.run('insert into next (key, row) values (?, ?)', text, op === 'd' ? null : JSON.stringify(row))
    this.rows++
    return true
  }

  finish(): void {
    this.#store.make('pragma synchronous = full')
  }

  discard(): void {
    this.finish()
    this.#store.make('drop table if exists next')
  }
}
