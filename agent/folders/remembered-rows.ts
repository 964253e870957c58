import type { Row, Rows } from '../database.ts'

export type Page = Rows & { last: Row | null }

/** Rows that somebody remembers, for one source or route. See `Reading`. */
export interface RememberedRows {
  rowsByKeys(keys: readonly Row[]): Rows | Promise<Rows>
  /** As `Reading.rowsAfter`; fewer than `limit` may come though more are there. */
  rowsAfter(after: Row | null, limit: number): Page | Promise<Page>
  count(): number
  close(): void
}
