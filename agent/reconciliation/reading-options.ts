import type { RowHasher } from '../../protocol/digest.ts'
import type { Database } from '../database.ts'
import type { ReconciledTable } from './table.ts'

/** How a run reads: on a connection of its own that only reads, page by page, each a statement by itself. */
export interface ReadingOptions {
  database: Database
  table: ReconciledTable
  hasher: RowHasher
  /** Rows a second; undefined: as fast as it goes. */
  pace: number | undefined
  /** Called before every page: throws where the run may not go on. */
  check: () => void
  /** Told the rows read so far. */
  progress: (rows: number) => void
  signal: AbortSignal
  /** Of the run: which rows are looked at a second time. */
  chance: number
}

export const pageRows = 10_000
