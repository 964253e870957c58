import { hash, randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { errorForLog } from '../../protocol/errors.ts'
import { samePosition, type ChainPosition } from '../../protocol/position.ts'
import type { Row, SourceTable } from '../database.ts'
import { rowCount, type BatchDraft } from './packing.ts'
import { keyIndexes, keyOf, keyText } from '../row-keys.ts'
import { SqliteFile } from '../runtime/sqlite-file.ts'

/**
 * What one stream has sent, in `sent/RESOURCE.sqlite` in the data folder: how many rows there are at its receivers, and, where the
 * source is configured with `reload`, a fingerprint of each key's row as it was last sent, so that a table which is deleted and inserted
 * again does not travel again.
 *
 * It may only ever cause a row to be sent once more, never once too few. So it counts for one position of the stream, which is written
 * with the fingerprints in one transaction, after the source database has written it down; with any other position than that one, or
 * another shape of the table, all fingerprints are forgotten. A key that travels just now, or has been read to travel, is never held
 * equal: its row may have gone back to what it was before. The number of rows outlives all that: it is a rough figure, for the guard.
 */
export class SentRows {
  readonly #path: string
  readonly #source: SourceTable
  readonly #keys: number[]
  readonly #logger: Logger
  /** Whether fingerprints are kept. */
  readonly #prints: boolean
  #open: OpenFile | undefined
  /** Keys read to be sent and not recorded yet, and how often. */
  readonly #travelling = new Map<string, number>()
  /** First parts of snapshots among them: when one is recorded, nothing that was sent before it counts any more. */
  #beginning = 0

  constructor(folder: string, source: SourceTable, prints: boolean, logger: Logger) {
    this.#path = join(folder, 'sent', `${source.resource}.sqlite`)
    this.#source = source
    this.#keys = keyIndexes(source)
    this.#prints = prints
    this.#logger = logger
  }

  /** The stream begins (again) at the position that its source database has written down. */
  begin(position: ChainPosition | null): void {
    this.readAgain()
    this.#open ??= this.#try(() => openFile(this.#path))
    this.#try(() => this.#open?.follow(position, shapeOf(this.#source, this.#prints)))
  }

  /** All that was read and not recorded is thrown away. */
  readAgain(): void {
    this.#travelling.clear()
    this.#beginning = 0
  }

  /** What of a piece must be sent: not the rows that the receivers have, nor deletes of keys that they never had. */
  withoutUnchanged(draft: BatchDraft): BatchDraft {
    if (!this.#prints) return draft
    const changed = this.#try(() => this.#withoutUnchangedBy(this.#open, draft)) ?? draft
    this.#travel(changed, 1)
    return changed
  }

  #withoutUnchangedBy(file: OpenFile | undefined, draft: BatchDraft): BatchDraft | undefined {
    if (!file) return undefined
    const { complete } = file
    const twice = keysMetTwice(draft.rows.map((row) => this.#keyText(row)))
    const travels = (key: string) => this.#beginning > 0 || this.#travelling.has(key) || twice.has(key)
    const known = (key: string) => (travels(key) ? unknown : (file.print(key) ?? (complete ? undefined : unknown)))
    return {
      ...draft,
      rows: draft.rows.filter((row) => !known(this.#keyText(row))?.equals(file.printOf(row))),
      deletes: draft.deletes.filter((key) => known(keyText(key)) !== undefined),
    }
  }

  /** Parts of snapshots always travel. */
  reread(draft: BatchDraft): void {
    if (this.#prints) this.#travel(draft, 1)
  }

  /** A piece travels no more: it was recorded, or is read again. */
  drop(draft: BatchDraft): void {
    if (this.#prints) this.#travel(draft, -1)
  }

  #travel(draft: BatchDraft, step: 1 | -1): void {
    if (draft.snapshot?.first) this.#beginning += step
    for (const key of this.#keysOf(draft)) {
      const count = (this.#travelling.get(key) ?? 0) + step
      if (count > 0) this.#travelling.set(key, count)
      else this.#travelling.delete(key)
    }
  }

  *#keysOf({ rows, deletes, faults }: BatchDraft): Generator<string> {
    for (const row of rows) yield this.#keyText(row)
    for (const key of deletes) yield keyText(key)
    for (const { key } of faults) yield keyText(key)
  }

  #keyText(row: Row): string {
    return keyText(keyOf(row, this.#keys))
  }

  /** The source database has written down that the hub has this piece, and that the stream moved by it. */
  record(from: ChainPosition | null, to: ChainPosition, draft: BatchDraft): void {
    this.#try(() => this.#open?.record(from, to, draft, this.#prints ? (row) => this.#keyText(row) : undefined))
  }

  /** These keys travel whatever their rows are now; with `to`, where the source database moved the stream without a piece. */
  forget(keys: readonly Row[], to?: ChainPosition): void {
    this.#try(() => this.#open?.forget(this.#prints ? keys : [], to))
  }

  /** Batches of a snapshot's beginning came to the hub without our knowing. */
  forgetAll(): void {
    this.#try(() => this.#open?.forgetAll())
  }

  /** Rows at the receivers, as far as known: what the guard compares with. */
  get rows(): number | undefined {
    return this.#open?.rows
  }

  /** As many rows are known from elsewhere; what is known here counts more. */
  learn(rows: number): void {
    this.#try(() => this.#open?.learn(rows))
  }

  /** Another producer made the stream since: what is known here counts no longer. */
  learnAnew(rows: number | undefined): void {
    this.#try(() => this.#open?.learnAnew(rows))
  }

  /** Rows of the running snapshot that are sent; undefined where that is not known. */
  get snapshotRows(): number | undefined {
    return this.#open?.snapshotRows
  }

  /** Whether so much was sent since the rows were counted that they should be counted again. */
  get needsCount(): boolean {
    return this.#open?.needsCount ?? false
  }

  /** Rows counted while nothing waited. It only raises the figure: the table may just be emptied to be loaded again. */
  counted(rows: number): void {
    this.#try(() => this.#open?.counted(rows))
  }

  close(): void {
    this.#try(() => this.#open?.close())
    this.#open = undefined
  }

  /** The file only saves work: where it fails all is sent, and it begins anew. */
  #try<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.#logger.warn({ resource: this.#source.resource, err: errorForLog(error) }, `${this.#path} cannot be used: rows are sent again`)
      const file = this.#open
      this.#open = undefined
      discard(this.#path, file)
      return undefined
    }
  }
}

/** Where a key is not unique the last row counts: all of them travel, or their order would tell a change that is none. */
function keysMetTwice(keys: readonly string[]): Set<string> {
  const seen = new Set(keys)
  return seen.size === keys.length ? new Set() : new Set(keys.filter((key, i) => keys.indexOf(key) !== i))
}

/** Of a key whose row travels whatever it is. */
const unknown = Buffer.alloc(0)
/** Sent rows after which they are counted again: a tenth of them, at least so many. */
const minBetweenCounts = 1_000

function shapeOf(
  { table, query, rowFilter, columns, schema, zeroDates, valueLimit }: SourceTable,
  prints: boolean,
): { table: string; all: string } {
  const place = JSON.stringify([table, query, rowFilter])
  return { table: place, all: JSON.stringify([place, columns, schema.version, zeroDates, valueLimit, prints]) }
}

function discard(path: string, file: OpenFile | undefined): void {
  try {
    file?.close()
  } catch {
    // It is thrown away.
  }
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
}

const tables = `
  create table if not exists stream (one integer primary key check (one = 1), epoch integer, seq integer, hash text, place text, shape text,
    salt blob not null, complete integer not null default 0, rows integer, since integer not null default 0, snapshot_rows integer);
  create table if not exists print (key text primary key, value blob not null) without rowid`

interface Stream {
  epoch: number | null
  seq: number | null
  hash: string | null
  place: string | null
  shape: string | null
  salt: Uint8Array
  complete: number
  rows: number | null
  since: number
  snapshot_rows: number | null
}

/** A crash of the machine leaves an older state of the whole file (WAL, not flushed at each commit), which its position tells. */
function openFile(path: string): OpenFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    return new OpenFile(path)
  } catch {
    discard(path, undefined)
    return new OpenFile(path)
  }
}

class OpenFile extends SqliteFile {
  #stream: Stream
  readonly #salt: string

  constructor(path: string) {
    super(path, { prepare: `pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -4000; ${tables}` })
    this.run('insert or ignore into stream (one, salt) values (1, ?)', randomBytes(16))
    this.#stream = this.get('select * from stream') as unknown as Stream
    this.#salt = Buffer.from(this.#stream.salt).toString('hex')
  }

  get complete(): boolean {
    return this.#stream.complete === 1
  }

  get rows(): number | undefined {
    return this.#stream.rows ?? undefined
  }

  get snapshotRows(): number | undefined {
    return this.#stream.snapshot_rows ?? undefined
  }

  get needsCount(): boolean {
    const { rows, since } = this.#stream
    return rows === null || since > Math.max(minBetweenCounts, rows / 10)
  }

  print(key: string): Buffer | undefined {
    const found = this.get('select value from print where key = ?', key) as { value: Uint8Array } | undefined
    return found && Buffer.from(found.value.buffer, found.value.byteOffset, found.value.byteLength)
  }

  /** Salted: the file must not tell by its hashes what is in the rows. */
  printOf(row: Row): Buffer {
    return hash('sha256', this.#salt + JSON.stringify(row), 'buffer').subarray(0, 16)
  }

  follow(position: ChainPosition | null, { table, all }: { table: string; all: string }): void {
    const { place, shape } = this.#stream
    const same = samePosition(this.#position(), position) && shape === all
    if (same) return
    this.#change(() => {
      this.make('delete from print')
      const { epoch = null, seq = null, hash: at = null } = position ?? {}
      const fresh = { epoch, seq, hash: at, place: table, shape: all, complete: 0, snapshot_rows: null }
      return place === table ? fresh : { ...fresh, rows: null, since: 0 }
    })
  }

  #position(): ChainPosition | null {
    const { epoch, seq, hash: at } = this.#stream
    return epoch === null ? null : { epoch, seq: seq!, hash: at! }
  }

  record(from: ChainPosition | null, to: ChainPosition, draft: BatchDraft, keyOfRow: ((row: Row) => string) | undefined): void {
    const { deletes, faults, snapshot } = draft
    const follows = samePosition(this.#position(), from)
    this.#change(() => {
      if (snapshot?.first || !follows) this.make('delete from print')
      if (keyOfRow) {
        for (const row of draft.rows) this.#put(keyOfRow(row), this.printOf(row))
        for (const key of deletes) this.run('delete from print where key = ?', keyText(key))
        for (const { key } of faults) this.#put(keyText(key), unknown)
      }
      return { ...to, ...this.#counts(draft, follows) }
    })
  }

  /** `complete`: every key that the receivers have stands here, since a snapshot was followed from its first batch to its last. */
  #counts(draft: BatchDraft, follows: boolean): Partial<Stream> {
    const { deletes, snapshot } = draft
    const rows = rowCount(draft)
    const { rows: known, since, snapshot_rows: soFar, complete } = this.#stream
    const left = known === null ? null : Math.max(0, known - deletes.length)
    const sent = since + rows + deletes.length
    const intact = follows ? complete : 0
    if (!snapshot) return { rows: left, since: sent, complete: intact, ...(!follows && { snapshot_rows: null }) }
    const before = snapshot.first ? 0 : follows ? soFar : null
    const total = before === null ? null : before + rows
    if (!snapshot.last) return { rows: left, since: sent, complete: 0, snapshot_rows: total }
    return { rows: total, since: sent + minBetweenCounts, complete: total === null ? 0 : 1, snapshot_rows: null }
  }

  forget(keys: readonly Row[], to: ChainPosition | undefined): void {
    this.#change(() => {
      for (const key of keys) this.#put(keyText(key), unknown)
      return { ...to }
    })
  }

  forgetAll(): void {
    this.#change(() => {
      this.make('delete from print')
      return { complete: 0, snapshot_rows: null }
    })
  }

  learn(rows: number): void {
    if (this.rows === undefined) this.#change(() => ({ rows }))
  }

  learnAnew(rows: number | undefined): void {
    this.#change(() => ({ rows: rows ?? null, since: 0 }))
  }

  counted(count: number): void {
    this.#change(() => ({ rows: Math.max(this.#stream.rows ?? 0, count), since: 0 }))
  }

  #put(key: string, value: Buffer): void {
    this.run('insert into print (key, value) values (?, ?) on conflict (key) do update set value = excluded.value', key, value)
  }

  /** One transaction: what is remembered in memory follows only when it has committed. */
  #change(work: () => Partial<Stream>): void {
    this.#stream = this.transaction(() => {
      const stream = { ...this.#stream, ...work() }
      const { epoch, seq, hash: at, place, shape, complete, rows, since, snapshot_rows } = stream
      const set = 'epoch = ?, seq = ?, hash = ?, place = ?, shape = ?, complete = ?, rows = ?, since = ?, snapshot_rows = ?'
      this.run(`update stream set ${set}`, epoch, seq, at, place, shape, complete, rows, since, snapshot_rows)
      return stream
    })
  }
}
