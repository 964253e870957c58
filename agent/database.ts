import type { LocalizedText } from '../protocol/localized.ts'
import type { Mask } from '../protocol/masks.ts'
import type { Item, Schema } from '../protocol/schema.ts'
import type { Position, ChainPosition } from '../protocol/position.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import type { Op, OpenBatch } from '../protocol/batch.ts'
import type { Value, ValueLimits } from '../protocol/value.ts'
import type { SinkFiles, SourceFiles, FolderSettings } from './folder-settings.ts'

/**
 * The contract of a database engine: how the agent captures from tables and delivers into them. All values cross it as portable
 * text or null (protocol/value.ts). An engine is a folder in agent/databases/ and a line in agent/databases/index.ts; where it has tables
 * it stands on agent/databases/bookkeeping/. It is finished when the conformance suite (test/agent/databases/conformance/suite.ts) passes.
 */

export type { FileFormat, SourceFiles, SinkFiles, GapCopyRules, FolderSettings, FileCounts } from './folder-settings.ts'

/** Values in the order of the table's `columns`, or of its key columns. */
export type Row = readonly Value[]

/** How a local column writes an item's values otherwise than the portable form (mapping.ts). No concern of engines. */
export interface ValueMapping {
  /** As registered: its values are those that travel. */
  item: Item
  codes?: Readonly<Record<string, string>>
  write?: Readonly<Record<string, string>>
  otherwise?: 'keep' | 'null'
  trim?: boolean
}

export interface MappedColumn {
  /** With the type of the local column. */
  item: Item
  /** Local column name. */
  column: string
  mapping?: ValueMapping
  /** Of a delivered item that is masked: the hub derived its values, and the item is what comes of them (`derivedItem`). */
  derived?: Mask
}

/** What the mappings and masks of a table's columns say, as one text: '' where there are none. Where it changes, the table is filled anew. */
export function mappingText(columns: readonly MappedColumn[]): string {
  const mapped = columns.flatMap(({ item: { id, type }, mapping, derived }) => {
    if (!mapping && !derived) return []
    const { codes, write, otherwise, trim } = mapping ?? {}
    return [[id, type, { codes, write, otherwise, trim, derived }]]
  })
  return mapped.length === 0 ? '' : JSON.stringify(mapped)
}

/**
 * How changes are found. `triggers` and `tracking` (SQL Server's Change Tracking) need set-up in the database and see every change;
 * `watermark` and `compare` only read, and remember what they saw in the agent's data folder. Folders have a way of their own, `files`.
 */
export const captureModes = ['triggers', 'log', 'tracking', 'watermark', 'compare'] as const
export type CaptureMode = (typeof captureModes)[number] | 'files'

/** Whether a mode only reads: such a source may be a view, a SELECT or a table without a unique key, and its account needs no more than SELECT. */
export function onlyReads({ capture }: Pick<SourceTable, 'capture'>): boolean {
  return capture === 'watermark' || capture === 'compare'
}

/** How a source that is only read is scanned for changes. */
export interface ScanSettings {
  /** Cron expression of five fields, or six with seconds. */
  schedule: string
  /** IANA name: of the schedule, and of times that name no zone. */
  timezone: string
  /** At most so many rows a second are read. */
  rowsPerSecond?: number
  /** Only where `capture` is `watermark`: seconds of a time, units of a number. */
  watermark?: { column: string; overlap: number }
}

/** A watched table, view, SELECT or folder. */
export interface SourceTable {
  resource: string
  /** As configured: `table` or `schema.table`; where there is a `query`, what messages call it; of a folder the pattern of names. */
  table: string
  /** Of a delivered table that is read back: the route that fills it. */
  route?: string
  /** Exactly where the database is a folder. */
  files?: SourceFiles
  capture: CaptureMode
  /** A SELECT that is read in the table's place, as if it were a view. Only for modes that only read. */
  query?: string
  /** Exactly where the mode only reads. */
  scan?: ScanSettings
  /** Only rows in which these columns have these values (compared as the database compares them): a route's part of a shared table. */
  rowFilter?: readonly { column: string; value: string | null }[]
  schema: Schema
  /** Supplied items in schema order; the key items are among them. */
  columns: readonly MappedColumn[]
  /** What becomes of a MySQL zero date: refused (cannot be sent) or sent as null. */
  zeroDates: 'refuse' | 'null'
  /** Values longer than this many bytes are not read: their row cannot be sent. */
  valueLimit: number
  /** Bytes of queue beyond which triggers leave only the mark "snapshot needed". */
  queueLimit: number
}

/** Why a source table cannot supply: columns that the resource's version needs and the table lacks. Undefined where all are there. */
export function missingColumns({ schema, columns }: SourceTable, has: (column: string) => boolean): LocalizedText | undefined {
  const missing = columns.map(({ column }) => column).filter((column) => !has(column))
  if (missing.length === 0) return undefined
  const list = missing.join(', ')
  return {
    zh: `缺少列 ${list}（资源第 ${schema.version} 版所需）：请在表中添加；列名不同（如厂商改名）的，在来源中写 columns: { 信息项: 本地列名 }`,
    en: `it has no column ${list}, which version ${schema.version} of the resource needs: add it, or, where it has another name there (a vendor may have renamed it), say columns: { ITEM: LOCAL_COLUMN } at the source`,
  }
}

/** Why triggers cannot watch a table, and what can. */
export function noKey(columns: readonly string[]): LocalizedText {
  const list = columns.join(', ')
  return {
    zh: `没有恰好由 (${list}) 组成的主键或唯一约束：请添加，或在配置中对该来源改用 capture: compare，以 (${list}) 为键定时比对`,
    en: `it has no primary key or unique constraint over exactly (${list}): add one, or configure capture: compare for this source, which compares by the key (${list})`,
  }
}

/** Why a source that is read by its key is refused. */
export const keyless: LocalizedText = {
  zh: '有的行键列为空：请补全或在视图中排除',
  en: 'there are rows without a value in a key column: fill it, or leave them out in a view',
}

/** A delivered table. */
export interface SinkTable {
  route: string
  resource: string
  /** As configured: `table` or `schema.table`. */
  table: string
  schema: Schema
  /** Delivered items in schema order; the key items are among them. */
  columns: readonly MappedColumn[]
  /** Agency code written into `qz_source`. */
  source: string
  /** Deletes remove the row, or set `qz_deleted`. */
  deletes: 'remove' | 'mark'
  /** Routes of other agencies fill the same table: `qz_source` is part of its key, and each keeps to its own rows. */
  shared: boolean
  /** Rows of the receiver's own that have a delivered row's key become this route's; without it the delivered row is set aside. */
  takeOver?: boolean
  /** A table of this name that delivery has not made is refused, not filled. */
  ownTable?: boolean
  /** Exactly where the database is a folder. */
  files?: SinkFiles
}

/** Columns that delivery adds to a table: 注明出处, the stream's place, when it came, and whether the source has deleted the row. */
export const addedColumns = {
  source: 'qz_source',
  position: 'qz_position',
  received: 'qz_received_at',
  deleted: 'qz_deleted',
} as const

/** A route's rows of its table, without those that are only marked as deleted. */
export function deliveredRows({ source, deletes }: Pick<SinkTable, 'source' | 'deletes'>): NonNullable<SourceTable['rowFilter']> {
  const own = { column: addedColumns.source, value: source }
  return deletes === 'mark' ? [own, { column: addedColumns.deleted, value: '0' }] : [own]
}

export interface DatabaseOptions {
  /** Name in the configuration: for messages. */
  name: string
  url: string
  /** Milliseconds between looks at the queues where the engine cannot wake the agent. */
  pace: number
  /** Exactly where it is a folder. */
  folder?: FolderSettings
}

export interface ColumnDescription {
  column: string
  type: string
  nullable: boolean
  key: boolean
  /** '' for none. */
  comment: string
  /** The item type that holds all its values; absent where it cannot supply an item without loss. */
  proposal?: ValueLimits
}

export interface TableListing {
  /** As configured: `table` or `schema.table`. */
  table: string
  view: boolean
  /** '' for none. */
  comment: string
  /** The engine's estimate; null where it has none. */
  rows: number | null
}

export interface PreviewRequest {
  /** At most so many rows. */
  rows: number
  /** Only rows whose items have these portable values. */
  filter: readonly { item: string; value: Value }[]
}

/** Looking at tables by hand must not weigh on the database: what takes longer ends with QZ-DB-UNREACHABLE. */
export const previewTimeoutMs = 10_000

/** One line of `doctor`. */
export interface Check {
  name: string
  ok: boolean
  zh: string
  en: string
}

/** Keys of a quarantine that are listed at once. */
export const maxQuarantined = 1000

/** A key that stands in a quarantine, and why. */
export interface QuarantinedKey extends RowFault {
  end: 'source' | 'sink'
  resource: string
  /** Of a sink; a shadow's keys are not listed. */
  route?: string
  since: Date
  /** Of a sink: its row is kept, and may be tried again. */
  kept: boolean
}

export interface Database {
  readonly options: DatabaseOptions
  /** Opens the one capturing connection and takes the database-level lock. Throws QZ-AGENT-CLONED, QZ-DB-UNREACHABLE. */
  openCapture(sources: readonly SourceTable[]): Promise<Capture>
  /** Opens a connection that only reads: nothing of Qianzhi's need be in the database, no lock is taken. Throws QZ-DB-UNREACHABLE. */
  openReading(): Promise<Reading>
  /** Opens what delivery needs; also locked against a second agent. */
  openDelivery(sinks: readonly SinkTable[]): Promise<Delivery>
  /** Columns of a table or view; QZ-SOURCE-TABLE where it does not exist, with the statement that shows it where it may only be hidden. */
  describe(table: string): Promise<ColumnDescription[]>
  /** What a DBA must run so that this account may read columns of a table, or all of it; undefined where nothing is missing. */
  unreadable(table: string, columns: readonly string[]): Promise<LocalizedText | undefined>
  /** Tables and views that this account may read, by name; Qianzhi's own left out. */
  tables(limit: number): Promise<TableListing[]>
  /** The first 64 characters of these columns' values in some rows: for proposals, made where the rows are. */
  sample(table: string, columns: readonly string[], rows: number): Promise<Row[]>
  /** Some rows as `Capture` reads them, without any set-up. Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE as `checkTable` does. */
  previewRows(source: SourceTable, looking: PreviewRequest): Promise<Rows>
  /** DDL of the supply table that the registered resource describes. */
  supplyTable(source: SourceTable): Promise<string[]>
  /** Statements that a DBA may run instead of `setup`; idempotent. `runtimeUser` gets the rights that the running agent needs. */
  setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]>
  teardownScript(source: SourceTable): Promise<string[]>
  /** Statements by which a DBA gives an account what it needs to read these sources, as far as they are set up, and to receive into these sinks. */
  rightsScript(sources: readonly SourceTable[], sinks: readonly SinkTable[], user?: string): Promise<string[]>
  /** Runs statements one by one. */
  run(statements: readonly string[]): Promise<void>
  /**
   * Keys set aside in this database, the longest first: at sources by resource, at sinks by route or its resource, only the named one where
   * there is a name. None where nothing of Qianzhi's is there. Reads only, and also while an agent runs.
   */
  quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]>
  /** Every right, version and setting that running needs, and what capture cannot see here. */
  doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]>
  close(): Promise<void>
}

/** What the source database remembers of a stream. */
export interface StreamState {
  position: ChainPosition | null
  /** `needed`: a snapshot must begin; running: it began there and has been receipted up to and including the key `after`. */
  snapshot: 'needed' | { began: Position; after: Row | null } | null
  /** Fingerprint of the triggers when they were last looked at; '' for never. */
  coverage: string
  quarantine: number
}

/** A key whose row cannot be sent, and why. */
export interface RowFault {
  key: Row
  code: ErrorCode
  item?: string
  /** A text is what a server or a library said. */
  reason?: string | LocalizedText
}

export interface Rows {
  rows: Row[]
  faults: RowFault[]
}

/** Rows as they travel: a JSON array of texts and nulls (UTF-8) for each of the source's columns. */
export interface RowBlocks {
  rows: number
  columns: readonly Buffer[]
}

/** Queue entries and the rows that their keys have now. */
export interface TakenBlocks extends RowBlocks {
  entries: string[]
  /** Keys of the entries, also where one is in several. */
  keys: number
}

/** What a look-up by keys found: every key that was handed to it is the key of a row or of a fault, or is missing. */
export interface Found extends Rows {
  /** Keys that no row has: shown by two looks of different kinds, since receivers delete what is missing. */
  missing: Row[]
}

/** Queue entries taken to be sent; they stay in the queue until `record`. */
export interface Take {
  /** Identities of the entries, to be deleted by `record`. */
  entries: string[]
  /** Distinct keys, compared byte by byte. */
  keys: Row[]
  /** An entry said that keys were not written down (TRUNCATE, an error in the trigger, the queue's limit): a snapshot is needed. */
  marked: boolean
}

export interface StreamStep {
  /** What the state must hold before: else QZ-CHAIN-BROKEN is thrown and nothing changes. */
  from: ChainPosition | null
  to: ChainPosition
  entries: readonly string[]
  /**
   * New snapshot state; undefined leaves it. A step that begins a snapshot (it began at `to`, or is whole in this step) leaves nothing
   * in the quarantine but its own faults: a row that cannot be sent is met again, a key that has no row any more is not.
   */
  snapshot?: StreamState['snapshot']
  faults: readonly RowFault[]
  /** Keys that were sent as rows or deletes: they leave the quarantine. Given only where the quarantine is not empty. */
  sent: readonly Row[]
}

/**
 * One connection that reads rows. Not for concurrent use. Where a source only reads (`onlyReads`), its key is the registered one whether
 * or not the database knows it as unique: rows come in the order of the key's columns, rows of equal keys one after the other.
 */
export interface Reading {
  /**
   * Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE where the table cannot supply its items without loss; of a source that only reads also where a
   * row has no value in a key column, since such rows would never be met.
   */
  checkTable(source: SourceTable): Promise<void>
  /**
   * Current rows of these keys, in any order; a key that is not unique comes more than once. Keys are compared as portable text, byte by byte:
   * where the database finds a row under another text, that row is among `rows` and the key that was asked for is missing. What one key makes
   * the database refuse says nothing about the others.
   */
  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found>
  /** Rows in the engine's key order after a key. `last` is the key of the last row read (also of a faulty one), null where none was left. */
  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }>
  /**
   * Keys of rows whose `column` (a column of the table, not null there) is not less than `from`, in the order of (column, key) after the
   * place `after`, at most `limit`. `item` gives the column's portable type; `value` is its portable text. Null `from`: from the first row.
   */
  keysSince(source: SourceTable, watermark: MappedColumn, from: Value, after: Mark | null, limit: number): Promise<Mark[]>
  /** How many rows there are now: counted without the key's index where the engine can. */
  count(source: SourceTable): Promise<number>
  /** Some rows that have these values, each compared by the database in its column's own type. */
  rowsLike(source: SourceTable, looking: PreviewRequest): Promise<Rows>
  /** Whatever `work` reads is of one moment, where the engine has that without keeping writers waiting; else it is just called. */
  atOneMoment<T>(work: () => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** A row's place in the order of a watermark column. */
export interface Mark {
  value: string
  key: Row
}

/**
 * One connection that reads the queues and remembers positions. Not for concurrent use: the caller makes one call after another.
 * Any call may throw QZ-DB-UNREACHABLE when the connection is lost: the caller then closes it, forgets what it read, and opens another.
 */
export interface Capture extends Omit<Reading, 'keysSince' | 'rowsLike' | 'atOneMoment'> {
  /** True where rows may have one key though the database knows it as unique: those of tables that inherit from one another. */
  repeatsKeys?(source: SourceTable): boolean
  /** True where `checkTable` has thrown because something was awaited, and it is there now: the stream need not wait any longer. */
  arrived?(source: SourceTable): boolean
  state(source: SourceTable): Promise<StreamState>
  /** Fingerprint of the triggers that cover the table now: it changes when any was dropped, made or disabled. Throws QZ-SOURCE-NOT-SET-UP. */
  triggerFingerprint(source: SourceTable): Promise<string>
  /** Resources whose queues hold entries. One cheap query over all watched tables. */
  waiting(): Promise<Set<string>>
  /** Entries of about `maxKeys` keys (at least one entry), `inFlight` excepted. */
  take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take>
  /**
   * `take` and `rowsByKeys` of many keys without making a value. Undefined where a key has no row, a value is not
   * certain to travel as it is, an entry is a mark, or there are few keys, where it does not pay: then those two do it.
   */
  takeBlocks?(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<TakenBlocks | undefined>
  /** `rowsAfter` in the same way. */
  blocksAfter?(source: SourceTable, after: Row | null, limit: number): Promise<(RowBlocks & { last: Row | null }) | undefined>
  /** In one transaction: compare-and-set of the position, deletion of exactly these entries, quarantine. */
  record(source: SourceTable, step: StreamStep): Promise<void>
  /** In one transaction: puts keys into the queue again, sets the position. */
  requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void>
  /** Writes down that a snapshot is needed (deleting mark entries), or that coverage was seen. */
  mark(source: SourceTable, change: { snapshot?: 'needed'; coverage?: string; entries?: readonly string[] }): Promise<void>
  /** Empties the queue under a short exclusive lock and marks "snapshot needed"; false where the lock was not to be had at once. */
  collapse(source: SourceTable): Promise<boolean>
  /** Entries in the queue, counted up to `bound`, and when the oldest was written. */
  backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }>
  /** Waits until something may have been queued: woken by the engine where it can, else at most the pace. `busy` = there was work lately. */
  idle(busy: boolean, signal: AbortSignal): Promise<void>
}

/** What the target database remembers of a route; a restart fills a shadow table beside the live one. */
export interface SinkState {
  position: ChainPosition | null
  /** Set while a snapshot is being received. */
  snapshot: Position | null
  /** True once a snapshot has been received to its end. */
  complete: boolean
  schemaVersion: number
  items: string[]
  /** Local column of each item that the part was made for. */
  columns: Record<string, string>
  /** Items that make its key; undefined where an older agent did not write them down. */
  keys: string[] | undefined
  /** `mappingText` of the sink that it was made for; undefined where that is not written down. */
  mapping?: string
  quarantine: number
}

/** Whether a part was made for what the sink is now: the same items in the same columns under the same key. */
export function sameShape({ columns, keys, mapping }: Pick<SinkState, 'columns' | 'keys' | 'mapping'>, sink: SinkTable): boolean {
  if (mapping !== undefined && mapping !== mappingText(sink.columns)) return false
  if (mapping === undefined && sink.columns.some(({ derived }) => derived)) return false
  const sameColumns = sink.columns.every(({ item, column }) => columns[item.id] === column)
  if (!sameColumns || Object.keys(columns).length !== sink.columns.length) return false
  const wanted = sink.columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  return !keys || (keys.length === wanted.length && wanted.every((id) => keys.includes(id)))
}

export type Part = 'live' | 'shadow'

export interface Change {
  from: ChainPosition | null
  to: ChainPosition
  rows: number
  /** Values of each of the sink's columns, one per row. */
  columns: readonly (readonly Value[])[]
  /** One per row; undefined where all are upserts. */
  ops?: readonly Op[]
  snapshot?: { began: Position; last: boolean }
  /** The batch as it came, and its manifest as the provider signed it: for folders. */
  bytes?: Buffer
  manifest?: string
}

/** A verified batch, and what it changes: its columns are made only where they are asked for. */
export interface ArrivedBatch {
  batch: OpenBatch
  change: Change
}

export interface Applied {
  written: number
  deleted: number
  /** Keys newly set aside by this batch. */
  quarantined: number
  /** Keys in the route's quarantine now. */
  quarantine: number
}

/**
 * The decimal item as wide as it and its column are together, where a later version made it wider than the column; undefined where the
 * column holds it.
 */
export function widerDecimal(item: Item, column: { precision?: number; scale?: number }): Item | undefined {
  if (item.type !== 'decimal' || column.precision === undefined) return undefined
  const [scale, had] = [item.scale ?? 0, column.scale ?? 0]
  const whole = (item.precision ?? 38) - scale
  if (whole <= column.precision - had && scale <= had) return undefined
  const wide = { scale: Math.max(scale, had), whole: Math.max(whole, column.precision - had) }
  return { ...item, precision: wide.whole + wide.scale, scale: wide.scale }
}

/** Rows kept in a quarantine for `replay`: beyond, only their keys and reasons are. */
export const maxKept = 10_000

/** What trying a quarantine's rows again came to. */
export interface Replayed {
  tried: number
  /** Keys that left the quarantine. */
  applied: number
  /** Keys in it now. */
  quarantine: number
}

/** How far the removal of an ended route's data is in one database. */
export interface Removal {
  rows: number
  /** Tables as configured, those from before a change of name among them. */
  tables: string[]
  done: boolean
}

/** The cause of a QZ-SINK-TABLE where somebody has altered the table under way: what it held may be gone, and the route must fill it anew. */
export class TableAltered extends Error {}

export interface Delivery {
  /**
   * Creates what is missing (schema, tables, state), checks what is there (QZ-SINK-TABLE), and tells the states. A live part of another
   * shape is only told of. A route that follows another one of the same resource in the same table goes on from that one's position.
   * `left`: the table that the route filled before its name changed; it stays as it is. `local`: rows of the receiver's own in a table that
   * the route begins to fill.
   */
  open(sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null; left?: string; local?: number }>
  /** Makes an empty shadow with the sink's present columns; drops an older one. */
  beginShadow(sink: SinkTable): Promise<void>
  /**
   * Puts the shadow in the live table's place: readers see the old rows or the new ones, nothing between. A row that the receiver refuses is
   * set aside; undefined where none can be.
   */
  swap(sink: SinkTable): Promise<Pick<Applied, 'quarantine'> | undefined>
  /** Work that needs no database: may run while an earlier batch is applied. */
  prepare(sink: SinkTable, change: Change): Prepared
  /** The same from a batch as it came, without making its values: undefined where it holds what is not certain to go in so. */
  prepareBlocks?(sink: SinkTable, part: Part, arrived: ArrivedBatch): Prepared | undefined
  /**
   * In one transaction: compare-and-set of the position (QZ-CHAIN-BROKEN if it is not `from`), upserts and deletes, quarantine by
   * key, and at a snapshot's end the deletion of this route's older rows, quarantined keys excepted. A row that the database refuses
   * is quarantined, the rest applied.
   */
  apply(sink: SinkTable, part: Part, prepared: Prepared): Promise<Applied>
  /**
   * In one transaction: tries again the rows and deletes in a part's quarantine that this database refused, each with the position of its
   * own batch (no later batch touched its key: that would have cleared it). What is refused again stays, with the new reason.
   */
  replay(sink: SinkTable, part: Part): Promise<Replayed>
  /**
   * The grant has ended and the data goes: removes some of the route's rows in one transaction, in the first one also its position,
   * quarantine and shadow. The empty tables stay. To be called until `done`, which is told again afterwards. Null where this database
   * remembers nothing of the route.
   */
  remove(route: string): Promise<Removal | null>
  /** Forgets removals of all other routes: what is done is receipted, what is not was taken back. */
  settleRemovals(wanted: readonly string[]): Promise<void>
  /** Throws QZ-DB-UNREACHABLE where the session is gone: a database that was stopped may come back as an older one. */
  check(): Promise<void>
  close(): Promise<void>
}

export interface Prepared {
  readonly change: Change
}
