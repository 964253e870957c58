/** What an engine gives so that one bookkeeper can keep its books in any database: a session, and how its SQL says what all must say. */
import type { Sql } from './statement.ts'

/** As drivers hand out numbers, times and texts; the bookkeeper takes each as text or as a number. */
export type Cell = string | number | boolean | Buffer | null

/** What became of a part of a transaction. */
export type Attempt<T> = { done: T } | { refused: unknown; transactionEnded: boolean }

/** One connection. Not for concurrent use. */
export interface BookSession {
  rows(statement: Sql): Promise<readonly (readonly Cell[])[]>
  /** Gives how many rows it changed. */
  run(statement: Sql): Promise<number>
  /** In one transaction; rolled back when `work` throws. */
  transaction<T>(work: () => Promise<T>): Promise<T>
  /**
   * Within a transaction: where the server refuses a row, what `work` has done is undone and the error given. A refusal may also end the
   * transaction (a trigger's ROLLBACK). Throws what is no matter of a row. Attempts may stand within one another.
   */
  attempt<T>(work: () => Promise<T>): Promise<Attempt<T>>
}

/** Types of the books' columns. `code` and `text` have a length in characters; `long` has none. */
export type ColumnKind = { code: number } | { text: number } | 'long' | 'integer' | 'flag' | 'time'

export interface BookColumn {
  name: string
  kind: ColumnKind
  notNull?: boolean
  /** Of a flag or an integer. */
  zero?: boolean
}

export interface BookTable {
  /** Quoted as far as needed, with its schema. */
  name: string
  columns: readonly BookColumn[]
  key: readonly string[]
  comment: string
}

/** Names and expressions of one engine. */
export interface BookDialect {
  /** Tables of the receiving side. */
  positions: string
  quarantine: string
  /** Tables of the supplying side. */
  streams: string
  sourceQuarantine: string
  /** Columns whose usual name the engine reserves: `source`, `resource`, `at`. */
  source: string
  resource: string
  at: string
  /** The values of a flag. */
  yes: string
  no: string
  /** The present moment in UTC. */
  now: string
  /** A moment as text, `2026-11-28T08:30:00.123Z` or with a blank for the T. */
  moment: (column: string) => string
  /** Behind a SELECT: its rows are locked until the transaction ends. '' where the first update does that. */
  forUpdate: string
  /** A SELECT that shows that the session lives. */
  alive: string
  /** Names in a list that one statement may have. */
  listLength: number
  /** Statements that insert rows. */
  insert: (table: string, columns: readonly string[], rows: readonly (readonly Sql[])[]) => Sql[]
  /** The first rows of a SELECT. */
  first: (select: { columns: string; from: Sql; order: string }, limit: number) => Sql
}
