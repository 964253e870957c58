import { setTimeout as sleep } from 'node:timers/promises'
import { hashBytes, RowHasher, TableDigest } from '../../protocol/digest.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { maxEntries, type StepAnswer, type StepOf } from '../../protocol/reconciliation.ts'
import type { Value } from '../../protocol/value.ts'
import { checkerOf } from '../outbound/item-checks.ts'
import type { Database, Reading, Row, Rows, SourceTable } from '../database.ts'
import { portableRows } from '../config/mapping.ts'
import { comparedRow, type ReconciledTable } from './table.ts'

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
}

const pageRows = 10_000

/** Sums up the whole table. Rows that cannot be sent are no part of it. */
export async function digestTable(options: ReadingOptions): Promise<TableDigest> {
  const digest = new TableDigest()
  const { hasher } = options
  for await (const { rows } of pages(options)) {
    for (const row of rows) digest.add(hasher.bucket(hasher.keyText(row)), hasher.row(row))
  }
  return digest
}

/** Rows of differing buckets: hashes as they are told, and the keys by their hash. */
export interface Collected {
  entries: Buffer
  keys: ReadonlyMap<string, Value[]>
}

/** Throws QZ-RECONCILE-MANY beyond `mostEntries` rows. */
export async function collectRows(options: ReadingOptions, { bits, buckets }: StepOf<'collect'>): Promise<Collected> {
  const { hasher, table } = options
  const wanted = new Set(buckets)
  const hashes: string[] = []
  const keys = new Map<string, Value[]>()
  for await (const { rows } of pages(options)) {
    for (const row of rows) {
      const text = hasher.keyText(row)
      if (!wanted.has(hasher.bucket(text) >> (16 - bits))) continue
      const key = hasher.keyHash(text)
      hashes.push(key + hasher.row(row))
      keys.set(key, hasher.key(row))
    }
    if (hashes.length > maxEntries) throw new QianzhiError('QZ-RECONCILE-MANY', { route: table.table.table, limit: maxEntries })
  }
  return { entries: Buffer.from(hashes.join(''), 'latin1'), keys }
}

/** In the order of the keys; a page's rows are `items` of the table, those that may not go taken out. */
async function* pages(options: ReadingOptions): AsyncGenerator<Rows> {
  const { database, table, pace, check, progress, signal } = options
  const asSent = portableAndChecked(table, table.table)
  const reading = await database.openReading()
  const began = performance.now()
  let read = 0
  try {
    for (let after: Row | null = null, more = true; more;) {
      signal.throwIfAborted()
      check()
      const { last, ...found }: Rows & { last: Row | null } = await reading.rowsAfter(table.table, after, pageRows)
      yield asSent(found)
      after = last
      read += found.rows.length + found.faults.length
      progress(read)
      more = last !== null
      if (more && pace !== undefined) await keepPace(began, read, pace, signal)
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
  const hashes = new Map<string, string>()
  for (const row of rows) {
    const compared = comparedRow(table, row)
    hashes.set(hasher.keyText(compared), Buffer.from(hasher.row(compared), 'latin1').toString('base64url'))
  }
  const broken = new Map(faults.map(({ key, code }) => [JSON.stringify(hasher.canonicalKey(key)), code]))
  const texts = keys.map((key) => keyTextOf(hasher, table, key))
  return {
    hashes: texts.map((text) => hashes.get(text) ?? null),
    faults: keys.map((key) => broken.get(JSON.stringify(key)) ?? null),
  }
}

/** The key text of a key that is there without its row. */
function keyTextOf(hasher: RowHasher, { items }: ReconciledTable, key: Row): string {
  let at = 0
  return hasher.keyText(items.map((item) => (item.key ? key[at++]! : null)))
}

/** The keys as the source writes them where it has their rows: only so does the stream find them again. */
export async function sourceKeys(reading: Reading, table: ReconciledTable, hasher: RowHasher, keys: readonly Row[]): Promise<Row[]> {
  const { rows, faults } = await reading.rowsByKeys(table.whole, keys)
  const places = table.whole.columns.flatMap(({ item }, place) => (item.key ? [place] : []))
  const own = [...rows.map((row) => places.map((place) => row[place]!)), ...faults.map(({ key }) => key)]
  const known = new Set(own.map((key) => JSON.stringify(hasher.canonicalKey(key))))
  return [...own, ...keys.filter((key) => !known.has(JSON.stringify(key)))]
}

/** Base64 of so many entries, from one on. */
export function entriesFrom({ entries }: Collected, from: number, most: number): string {
  const bytes = 2 * hashBytes
  return entries.subarray(from * bytes, (from + most) * bytes).toString('base64')
}
