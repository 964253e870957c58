import { setTimeout as sleep } from 'node:timers/promises'
import { Collector, type Collected } from '../../protocol/collected-rows.ts'
import { RowHasher, TableDigest } from '../../protocol/digest.ts'
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

/** Rows of differing buckets. Throws QZ-RECONCILE-MANY beyond `maxEntries` rows. */
export async function collectRows(options: ReadingOptions, { bits, buckets }: StepOf<'collect'>): Promise<Collected> {
  const { hasher, table } = options
  const collector = new Collector(hasher, bits, buckets)
  for await (const { rows } of pages(options)) {
    for (const row of rows) collector.add(row)
    if (collector.rows > maxEntries) throw new QianzhiError('QZ-RECONCILE-MANY', { route: table.table.table, limit: maxEntries })
  }
  return collector.collected()
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
  const found = keys.map((key) => hashes.get(hasher.textOfKey(key)) ?? [])
  return {
    hashes: found.map(([hash]) => hash ?? null),
    faults: keys.map((key, i) => (found[i]!.length > 1 ? 'QZ-ROW-KEY-TWICE' : (broken.get(JSON.stringify(key)) ?? null))),
  }
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
