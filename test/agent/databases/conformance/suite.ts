/**
 * What every database engine must do: the contract of agent/database.ts as tests. An engine's own test file gives a `Dialect` and a
 * function that makes fresh databases; tables are made by the engine's own `supplyTable`, rows are written in plain SQL.
 */
import type { Test } from 'tap'
import type { CaptureMode, Database, DatabaseOptions } from '../../../../agent/database.ts'
import type { ValueLimits, ValueType } from '../../../../protocol/value.ts'
import { alteredConformance } from './schema-drift.ts'
import { blocksConformance } from './blocks.ts'
import { captureConformance } from './capture.ts'
import { deliveryConformance } from './delivery.ts'
import { describeConformance } from './describe.ts'
import { localTypeConformance } from './local-types.ts'
import { lookUpConformance } from './look-up.ts'
import { ownConformance } from './receivers-own.ts'
import { quarantineConformance } from './quarantine.ts'
import { randomRowsConformance } from './random-rows.ts'
import { readingConformance } from './reading.ts'
import { refusalConformance } from './refusals.ts'
import { routeConformance } from './routes.ts'
import { setupConformance } from './setup.ts'
import { valueConformance } from './values.ts'

/** A session of the application. Values come back as text, whatever the engine makes of them. */
export interface Session {
  query(sql: string): Promise<(string | null)[][]>
  close(): Promise<void>
}

export interface TestDatabase extends Session {
  url: string
  connect(): Promise<Session>
  drop(): Promise<void>
}

/** What differs between engines in the SQL of these tests, and what they document that they cannot see. */
export interface Dialect {
  name: string
  open(options: DatabaseOptions): Promise<Database>
  /** A quoted identifier. */
  quote(name: string): string
  /** SQL literal of a portable value. */
  literal(type: ValueType, value: string): string
  /** How changes are found; without it by triggers. `tracking` knows rows by their primary key, and numbers changes when they commit. */
  capture?: CaptureMode
  /** Whether large batches are written from their blocks, without their values. */
  takesBlocks?: boolean
  /** Whether rows are read as blocks, without their values. */
  readsBlocks?: boolean
  /** Whether TRUNCATE is seen by capture. */
  seesTruncate: boolean
  /** Column type (with its collation) that compares text without regard to case, and statements that must run before it can be used. */
  caseInsensitive: { type: string; prepare: string[] }
  /** Column types of a source, each with the portable type of the item it is to supply, that must be refused by name. */
  lossy: { column: string; type: ValueType; precision?: number; scale?: number }[]
  /** Makes the table's triggers disappear, as an administrator would who knows nothing of Qianzhi. */
  dropTriggers(session: Session, table: string): Promise<void>
  /** Switches the triggers off without dropping them, where the engine can. */
  disableTriggers?(session: Session, table: string): Promise<void>
  /** Drops the primary key of a delivered table, where `alter table … rename to` and `for update skip locked` are known too. */
  dropKey?(table: string): string
  /** Ends all other sessions in this one's database; without it a session cannot be lost. */
  endOthers?(session: Session): Promise<void>
  /** Statements that have the table refuse rows that fail a condition on one of their columns, and those that end it. */
  addCheck?(table: string, name: string, column: string, condition: string): string[]
  dropCheck?(table: string, name: string): string[]
  /** Where a table cannot be given another unique key by `alter table … add constraint`. */
  addUnique?(table: string, columns: string, name: string): string
  /** Where a unique constraint takes two nulls for the same: an index that leaves them out. */
  addUniqueOverNulls?(table: string, columns: string, name: string): string
  /** A URL at which nothing is; without it, one with a port at which nobody listens. */
  nowhere?: string
  /** True where a transaction that writes keeps all others from writing. */
  oneWriter?: boolean
  /** True where tables and columns have no comments. */
  noComments?: boolean
  /** Digits that a column of numbers keeps, where they are fewer than 38. */
  exactDigits?: number
  /** Statements that make a trigger of the receiver's own refuse rows whose `name` is `refused`. */
  refusingTrigger(table: string): string[]
  /** The same, under a code or state that no list names. */
  oddTrigger?(table: string): string[]
  /** Statements that make triggers drop rows whose `name` is `dropped`, alter those whose `name` is `altered`, and keep `kept` from being deleted: without an error. */
  silentTriggers?(table: string): string[]
  /** Another way to write the name of a table `delivered`. */
  otherSpelling?(url: string): string
  /** Statements that make a trigger `keep` of the receiver's own refuse the deletion of rows whose `id` is in a list of literals. */
  keepingTrigger(table: string, ids: string): string[]
  /** Statements that drop it. */
  dropKeepingTrigger?: string
  /** Makes a table of the receiver's own that refers by a foreign key to one row of `delivered`. */
  referTo(session: Session, table: string, id: string): Promise<void>
  /** True where no column compares text without regard to case: the type above is then a plain one. */
  comparesCase?: boolean
  /** True where an empty text is null. */
  emptyIsNull?: boolean
  /** Types that columns of a receiver's own table may have: those that alter values, and others, for the long run. */
  localTypes?: { altering: readonly string[]; others: readonly string[] }
  /** SQL that shows such a column as a text; of binary values in hexadecimal. */
  shown?: (column: string, type: ValueType) => string
  /** A type of whole numbers. */
  integer?: string
  /** A table name that needs quoting, of the characters that names may hold. */
  oddTable?: string
  /** Makes an account that may read these tables and views, and nothing else; its URL. */
  readOnlyAccount?(test: TestDatabase, tables: readonly string[]): Promise<string>
  /** An expression over `amount` that cannot be read where it is 0, and statements that must run before it can be used. */
  unreadable: { prepare: string[]; value: string }
  /** Column types that a key may have, with the item each supplies and values: in all character sets and collations that tables have. */
  keyColumns: readonly KeyColumn[]
  /** Extremes beyond the common ones that the engine's own columns can hold. */
  extremes?: { type: ValueType; precision?: number; scale?: number; value: string }[]
}

export interface KeyColumn {
  column: string
  item: ValueLimits
  /** Portable; the last one is in no row. */
  values: readonly string[]
}

export const parts = [
  captureConformance,
  setupConformance,
  valueConformance,
  deliveryConformance,
  blocksConformance,
  alteredConformance,
  ownConformance,
  randomRowsConformance,
  quarantineConformance,
  refusalConformance,
  routeConformance,
  describeConformance,
  readingConformance,
  lookUpConformance,
  localTypeConformance,
] as const

export function conformance(t: Test, engine: Dialect, freshDatabase: () => Promise<TestDatabase>, wanted: readonly Part[] = parts): void {
  for (const part of wanted) part(t, engine, freshDatabase)
}

type Part = (typeof parts)[number]
