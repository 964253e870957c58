import { setTimeout as sleep } from 'node:timers/promises'
import { bucketBytes, hashBytes, RowHasher, Summation, TableDigest, type Sum } from '../../protocol/digest.ts'
import { QianzhiError, type ErrorCode } from '../../protocol/errors.ts'
import { isAfter, positionOf, type Position } from '../../protocol/position.ts'
import { maxEntries, type Doubt, type StepAnswer, type StepOf } from '../../protocol/reconciliation.ts'
import type { Value } from '../../protocol/value.ts'
import { checkerOf } from '../outbound/item-checks.ts'
import type { Reading, Row, Rows, SourceTable } from '../database.ts'
import { portableRows } from '../config/mapping.ts'
import { keyIndexes, keysOf } from '../row-keys.ts'
import { readPage, type Page } from '../row-pages.ts'
import { pageRows, type ReadingOptions } from './reading-options.ts'
import { countRows, Sample, secondLook } from './second-look.ts'
import { comparedRow, type ReconciledTable } from './table.ts'

/** Sums up the whole table, and has the database confirm what was read. Rows that cannot be sent are no part of it. */
export async function digestTable(options: ReadingOptions): Promise<{ digest: TableDigest; doubt: Doubt | undefined }> {
  const digest = new TableDigest()
  const { hasher } = options
  const sample = new Sample(options.chance)
  const counted = await countRows(options)
  let [count, twice] = [0, false]
  for await (const { rows, faults, read } of pages(options)) {
    for (const row of rows) digest.add(hasher.bucket(hasher.keyText(row)), hasher.row(row))
    count += read.count
    twice ||= faults.some(({ code }) => code === 'QZ-ROW-KEY-TWICE')
    sample.add(read.rows)
  }
  return { digest, doubt: await secondLook(options, { rows: count, counted, twice, sample: sample.rows }) }
}

/** Rows of differing buckets: hashes as they are told, and the keys by their hash. */
export interface Collected extends Pick<StepOf<'collect'>, 'bits' | 'buckets'> {
  entries: Buffer
  keys: ReadonlyMap<string, Value[]>
}

/** Throws QZ-RECONCILE-MANY beyond `mostEntries` rows. */
export async function collectRows(options: ReadingOptions, { bits, buckets }: StepOf<'collect'>): Promise<Collected> {
  const { hasher, table } = options
  const differing = new Set(buckets)
  const hashes: string[] = []
  const keys = new Map<string, Value[]>()
  for await (const { rows } of pages(options)) {
    for (const row of rows) {
      const text = hasher.keyText(row)
      if (!differing.has(hasher.bucket(text) >> (16 - bits))) continue
      const key = hasher.keyHash(text)
      hashes.push(key + hasher.row(row))
      keys.set(key, hasher.key(row))
    }
    if (hashes.length > maxEntries) throw new QianzhiError('QZ-RECONCILE-MANY', { route: table.table.table, limit: maxEntries })
  }
  return { bits, buckets, entries: Buffer.from(hashes.join(''), 'latin1'), keys }
}

/**
 * In the order of the keys; a page's rows are `items` of the table, those that may not go, and those that have one key between them, taken
 * out; `read` is what was there.
 */
async function* pages(options: ReadingOptions): AsyncGenerator<Rows & { read: Page }> {
  const { database, table, pace, check, progress, signal } = options
  const asSent = portableAndChecked(table, table.table)
  const reading = await database.openReading()
  const began = performance.now()
  let count = 0
  try {
    for (let after: Row | null = null, more = true; more;) {
      signal.throwIfAborted()
      check()
      const read: Page = await readPage(reading, table.table, after, pageRows)
      const { rows, faults } = asSent(read)
      yield { rows: table.narrow ? rows.map(table.narrow) : rows, faults, read }
      after = read.last
      count += read.count
      progress(count)
      more = !read.ended
      if (more && pace !== undefined) await keepPace(began, count, pace, signal)
    }
  } finally {
    await reading.close()
  }
}

/** Values as they travel; of the source's rows only those that may. */
function portableAndChecked({ side }: ReconciledTable, table: SourceTable): (read: Rows) => Rows {
  const portable = portableRows(table.columns)
  const checker = side === 'source' ? checkerOf(table) : undefined
  return (read) => {
    const translated = portable ? portable(read) : read
    return checker ? checker(translated) : translated
  }
}

async function keepPace(began: number, rows: number, pace: number, signal: AbortSignal): Promise<void> {
  const ahead = (rows / pace) * 1000 - (performance.now() - began)
  if (ahead > 0) await sleep(ahead, undefined, { signal })
}

type Found = Pick<Extract<StepAnswer<'recheck'>, { done: true }>, 'hashes' | 'faults'>

/** What stands at these keys now: hashes of rows, and the faults of the source's rows that cannot be sent. */
export async function lookUp(reading: Reading, table: ReconciledTable, hasher: RowHasher, keys: readonly Row[]): Promise<Found> {
  const { rows, faults } = portableAndChecked(table, table.whole)(await reading.rowsByKeys(table.whole, keys))
  const hashes = new Map<string, string[]>()
  for (const row of rows) {
    const compared = comparedRow(table, row)
    const [text, hash] = [hasher.keyText(compared), Buffer.from(hasher.row(compared), 'latin1').toString('base64url')]
    hashes.set(text, [...(hashes.get(text) ?? []), hash])
  }
  const broken = new Map<string, ErrorCode>(faults.map(({ key, code }) => [JSON.stringify(hasher.canonicalKey(key)), code]))
  const found = keys.map((key) => hashes.get(keyTextOf(hasher, table, key)) ?? [])
  return {
    hashes: found.map(([hash]) => hash ?? null),
    faults: keys.map((key, i) => (found[i]!.length > 1 ? 'QZ-ROW-KEY-TWICE' : (broken.get(JSON.stringify(key)) ?? null))),
  }
}

/** Rows of differing buckets, collected portion by portion: only the last one's rows are kept, of the others the sum of what nobody followed. */
export class Portions {
  readonly #sum = new Summation()
  readonly #buckets = new Set<number>()
  #last: Collected | undefined

  get last(): Collected | undefined {
    return this.#last
  }

  begin(collected: Collected, followed: FollowedKeys): void {
    if (this.#last) addUnfollowed(this.#sum, this.#last, followed)
    this.#last = collected
    for (const bucket of collected.buckets) this.#buckets.add(bucket)
  }

  /**
   * Rows and digest of all that was read: of the buckets that were the same on both sides as they were summed up, of the others as their rows
   * were collected, and of the keys that were followed what they held last, but for those that `isLeft` out.
   */
  total(digest: TableDigest, followed: FollowedKeys, isLeft: (key: string) => boolean): Sum {
    const sum = new Summation()
    sum.add(this.#sum)
    if (this.#last) {
      addUnfollowed(sum, this.#last, followed)
      const { bits } = this.#last
      const all = digest.buckets(bits)
      for (let bucket = 0; bucket < 1 << bits; bucket++)
        if (!this.#buckets.has(bucket)) sum.addBucket(all.subarray(bucket * bucketBytes, (bucket + 1) * bucketBytes))
    }
    for (const [key, { hash }] of followed) if (hash !== null && !isLeft(key)) sum.addRow(Buffer.from(hash, 'base64url').toString('latin1'))
    return sum.total()
  }
}

/** By the key as JSON: the hash of the key, and that of its row as it was read last (base64url), null where it has none. */
export type FollowedKeys = ReadonlyMap<string, { keyHash: string; hash: string | null }>

function addUnfollowed(sum: Summation, { entries }: Collected, followed: FollowedKeys): void {
  const hashes = new Set(Array.from(followed.values(), ({ keyHash }) => keyHash))
  for (let at = 0; at < entries.length; at += 2 * hashBytes) {
    if (!hashes.has(entries.toString('latin1', at, at + hashBytes)))
      sum.addRow(entries.toString('latin1', at + hashBytes, at + 2 * hashBytes))
  }
}

/** The key text of a key that is there without its row. */
export function keyTextOf(hasher: RowHasher, { items }: ReconciledTable, key: Row): string {
  let at = 0
  return hasher.keyText(items.map((item) => (item.key ? key[at++]! : null)))
}

/**
 * What the source has at keys that somebody named: `own` as it writes them where it has their rows, for only so does the stream find them
 * again, and those at which it has none.
 */
export async function sourceKeys(
  reading: Reading,
  table: ReconciledTable,
  hasher: RowHasher,
  keys: readonly Row[],
): Promise<{ own: Row[]; absent: Value[][] }> {
  const own = keysOf(await reading.rowsByKeys(table.whole, keys), keyIndexes(table.whole))
  const known = new Set(own.map((key) => JSON.stringify(hasher.canonicalKey(key))))
  return { own, absent: keys.filter((key) => !known.has(JSON.stringify(key))).map((key) => [...key]) }
}

const positionItem = { id: 'qz_position', name: 'qz_position', label: '', type: 'integer', openness: 'internal' } as const

/**
 * Of these keys those at which the receiver has a row that came no later than `before`; one without a position came with no batch. Where rows
 * have no positions (folders) that is known only if nothing came since.
 */
export async function staleKeys(
  reading: Reading,
  { whole }: ReconciledTable,
  keys: readonly Row[],
  { before, applied, positions }: { before: Position; applied: Position; positions: boolean },
): Promise<Row[]> {
  if (!positions && isAfter(applied, before)) return []
  const placed = positions ? { ...whole, columns: [...whole.columns, { item: positionItem, column: positionItem.id }] } : whole
  const { rows, faults } = await reading.rowsByKeys(placed, keys)
  const stale = positions ? rows.filter((row) => !isAfter(placeOf(row.at(-1)!), before)) : rows
  return keysOf({ rows: stale, faults: positions ? [] : faults }, keyIndexes(whole))
}

function placeOf(position: Value): Position {
  return position === null ? { epoch: 0, seq: 0 } : positionOf(position)
}

/** Base64 of so many entries, from one on. */
export function entriesFrom({ entries }: Collected, from: number, most: number): string {
  const bytes = 2 * hashBytes
  return entries.subarray(from * bytes, (from + most) * bytes).toString('base64')
}
