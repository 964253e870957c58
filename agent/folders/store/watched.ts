import type { Logger } from 'pino'
import type { FileCounts, FolderSettings, Row, Rows, SourceTable } from '../../database.ts'
import type { StreamStore } from '../../runtime/stream-store.ts'

/**
 * One source in a folder, whatever its files are: what the capture (capture.ts) asks of it. A look never overlaps another one; rows are
 * read while one is under way.
 */
export interface WatchedFiles {
  readonly source: SourceTable
  readonly store: StreamStore
  /** Throws why this source cannot supply now: the stream is held and begun again later. */
  check(): Promise<void>
  /** Whether the first file has come, before which `check` throws QZ-FOLDER-WAITS; absent where none is awaited. */
  readonly began?: boolean
  /**
   * One look at the folder: takes what is complete, and puts the keys of what changed into the store's queue, a step at a time, each in one
   * transaction with what it remembers of it. Throws what keeps it from looking. @returns milliseconds until a file may be complete,
   * undefined where none waits.
   */
  look(signal: AbortSignal): Promise<number | undefined>
  /** What is there of these keys; then as `Reading.rowsAfter` and `count`. */
  rowsByKeys(keys: readonly Row[]): Promise<Rows>
  rowsAfter(after: Row | null, limit: number): Promise<Rows & { last: Row | null }>
  count(): Promise<number>
  /** Within a transaction of the store: receivers have been told of every row that there is. */
  snapshotComplete?(): void
  close(): void
}

export interface WatchOptions {
  folder: FolderSettings
  /** What lies in the folder and no source takes: told by its first source. */
  untaken?: () => Promise<NonNullable<FileCounts['untaken']>>
  /** Called when keys were queued. */
  queued: () => void
  logger: Logger
}
