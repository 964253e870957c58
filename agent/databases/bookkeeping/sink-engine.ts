/** What an engine does itself with delivered tables: whatever depends on its types, its catalogue and its quickest way to write. */
import type { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { ChainPosition, Position } from '../../../protocol/position.ts'
import type { ArrivedBatch, Change, MappedColumn, Part, Reading, Row, SinkTable } from '../../database.ts'
import type { PreparedBatch } from './batch.ts'
import type { StoredState } from './route-book.ts'
import type { BookDialect, BookSession } from './session.ts'
import type { Sql } from './statement.ts'

/** What the bookkeeper must know of a delivered table. */
export interface TableFacts {
  /** Items other than those of the key that stand in further unique indexes or exclusion constraints: another row may hold their values. */
  contested: readonly { item: string; nullable: boolean }[]
  /** The sink's columns as they are read back, where the table could alter a value or drop a row without an error; undefined where not. */
  readBack: readonly MappedColumn[] | undefined
}

export const notWritten: LocalizedText = {
  zh: '接收方的表未写入该行，也未报错（触发器、规则或策略）',
  en: 'the table did not take the row and told no error (a trigger, a rule or a policy)',
}

/** Thrown within an attempt by the bookkeeper, or by a writer, for what the server took without an error: all is undone. */
export class RowsRefused extends Error {
  /** Which rows; undefined where it is not known. */
  readonly rows: readonly RefusedRow[] | undefined

  constructor(rows?: readonly RefusedRow[]) {
    super(notWritten.en)
    this.rows = rows
  }
}

/** What a part's table looked like when it was last looked at. */
export interface Shape {
  /** The table itself and the columns that delivery fills: where these change, values may be lost. */
  own: string
  whole: string
}

/** A part that is ready to be written. */
export interface OpenPart<Table> {
  table: Table
  /** As last looked at; absent before the first batch. */
  shape?: Shape
  /** Keys in quarantine, so that most batches need not look for any to clear. */
  quarantine: number
}

export interface Target<Table> {
  sink: SinkTable
  part: Part
  open: OpenPart<Table>
}

/** Rows of one kind: `from` to `to` (excluded) of a batch's `upserts` or `deletes`. */
export interface Piece {
  op: 'upserts' | 'deletes'
  from: number
  to: number
  /** All of its kind. */
  whole: boolean
}

/** A row that the server refused while it took the others of the piece. */
export interface RefusedRow {
  /** Its number in the batch. */
  row: number
  /** What the server said, or a reason of ours. */
  error: unknown
  /** False where it is not to be kept for another try. */
  keep?: boolean
}

export interface Written {
  rows: number
  refused?: readonly RefusedRow[]
}

/** Writes one batch's rows within a transaction. Its calls throw what the server refuses. */
export interface BatchWriter {
  /**
   * Rows of another source, or of none, and of keys that are only alike (letter case, blanks) stay as they are: then fewer rows are
   * written than there are, and the bookkeeper sets them aside. Throws `RowsRefused` where the count would not tell.
   */
  write(piece: Piece): Promise<Written>
  /** Removes, or marks, this source's rows whose position is before `began`, some keys excepted. Gives how many. */
  removeOlder(began: Position, kept: readonly Row[]): Promise<number>
}

export interface Counts {
  written: number
  deleted: number
}

/** A column that the live part was made with and that is delivered no more. */
export interface EndedColumn {
  id: string
  column: string
}

export interface SinkEngine<Table extends TableFacts = TableFacts, Batch extends PreparedBatch = PreparedBatch> {
  readonly session: BookSession
  readonly dialect: BookDialect
  /** Whether DDL can be undone with its transaction. */
  readonly transactionalDdl: boolean

  /** Makes or completes the books' tables. Throws QZ-DB-RIGHTS. */
  makeBooks(): Promise<void>
  /** False where nothing was ever delivered into the database. */
  hasBooks(): Promise<boolean>

  /** Name, as configured or in full, of a part's table. */
  partTable(sink: Pick<SinkTable, 'table' | 'route'>, part: Part): string
  /** One text for each table, however it is spelled; undefined where there is none. */
  identity(table: string): Promise<string | undefined>
  /** Whether delivery has been at work in the table before: then it may be changed as the schema does. */
  wasDelivered(table: string): Promise<boolean>
  /** Columns of new items, longer texts, the source in the key; another key where the table is empty. `changed`: the version has changed. */
  follow(sink: SinkTable, changed: boolean): Promise<void>
  /** Makes the table if it is missing, adds the qz_ columns to one that the receiver made, checks the rest. */
  provide(sink: SinkTable, part: Part): Promise<Table>
  /** Gives `before` itself, or an equal shape, where nothing but rows has changed. Throws QZ-SINK-TABLE where the table is gone. */
  shapeOf(sink: SinkTable, part: Part, before: Shape | undefined): Promise<Shape>
  drop(table: string): Promise<void>

  /** An empty table with the sink's present columns. */
  makeShadow(sink: SinkTable): Promise<void>
  /**
   * Brings the live table to the sink, before it takes the shadow's rows. `live`: what it was made for. Another key needs a table without
   * rows: this route's go, and rows of others are refused (QZ-SINK-TABLE).
   */
  followShadow(sink: SinkTable, live: StoredState): Promise<Table>
  /** These columns of this source's rows in the live table become null. */
  empty(sink: SinkTable, columns: readonly string[]): Promise<void>
  /**
   * The live table's rows of this source become the shadow's; of `kept` keys they stay. Gives how many of the shadow's it has written; throws
   * what the server refuses.
   */
  replaceRows(sink: SinkTable, table: Table, shadow: { position: ChainPosition; kept: readonly Row[] }): Promise<number>
  /** Those of the live table that are there and can be without a value. */
  emptiable(sink: SinkTable, ended: readonly EndedColumn[], live: StoredState): Promise<EndedColumn[]>
  /** What something of the receiver's own needs stays. */
  dropColumns(sink: SinkTable, columns: readonly string[]): Promise<void>

  /** Without the database. */
  prepare(sink: SinkTable, change: Change): Batch
  /** See `Delivery.prepareBlocks`; `table`: the part as last looked at. */
  prepareBlocks?(sink: SinkTable, table: Table, arrived: ArrivedBatch): Batch | undefined
  /** Brings a batch's rows to the server, before the transaction. */
  writer(target: Target<Table>, batch: Batch): Promise<BatchWriter>
  /**
   * The quickest way for a batch of which nothing is refused: position, rows and cleared keys in one transaction. Where the server refuses
   * a row, or the position was another (`elsewhere`), nothing has happened.
   */
  writeAtOnce?(target: Target<Table>, batch: Batch, move: Sql, clearing: readonly Sql[]): Promise<Counts | 'refused' | 'elsewhere'>
  /**
   * Removes at most `limit` of a source's rows; 0 where the table is gone or was never delivered into. With `past` from the last row on, in an order
   * that stays the same while nothing goes, and without that many.
   */
  removeSome(table: string, source: string, limit: number, past?: number): Promise<number>
  /** Reads over the same session. */
  reading(): Reading

  unfit(sink: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError
  /** The error under the name of the sink's table. */
  tableError(sink: Pick<SinkTable, 'table'>, error: unknown): unknown
  /** A refusal because of other rows: a unique key, an exclusion, a foreign key. They may be gone in a moment. */
  isConflict(error: unknown): boolean
  /** A deadlock or a lock wait that took too long: the transaction may be tried again. */
  isContention(error: unknown): boolean
}
