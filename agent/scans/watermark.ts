/**
 * `watermark`: keys of rows whose column has grown since the last scan, less an overlap for transactions that commit late. What the
 * overlap brings again with the same value is not queued again. Sees neither deletes nor what commits later than the overlap.
 */
import { QianzhiError } from '../../protocol/errors.ts'
import type { Item } from '../../protocol/schema.ts'
import type { Value } from '../../protocol/value.ts'
import type { MappedColumn, Mark, Reading, SourceTable } from '../database.ts'
import type { Scan, ScanResult } from './scan.ts'
import { writeKey, type Memory, type StreamStore } from '../runtime/stream-store.ts'

const marksAtOnce = 20_000

const tables = `
  create table if not exists watermark (one integer primary key check (one = 1), value text, at_snapshot text);
  insert or ignore into watermark (one) values (1);
  create table if not exists seen (key text primary key, value text not null, scan integer not null)`

export class Watermark implements Memory {
  readonly #store: StreamStore

  constructor(store: StreamStore) {
    this.#store = store
    store.make(tables)
  }

  get value(): Value {
    return this.#store.get('select value from watermark')!['value'] as Value
  }

  set value(value: Value) {
    this.#store.run('update watermark set value = ?', value)
  }

  /** The column's greatest value before a snapshot's first row is read: what changes from then on is above it, less the overlap. */
  prepareSnapshot(greatest: Value): void {
    this.#store.run('update watermark set at_snapshot = ?', greatest)
  }

  snapshotBegan(): void {
    this.#store.run('update watermark set value = at_snapshot')
    this.#store.run('delete from seen')
  }

  snapshotReached(): void {}

  sent(): void {}

  /** Marks that were not seen with this value; from now on they are. */
  unseen(marks: readonly Mark[], scan: number): Mark[] {
    return marks.filter(({ key, value }) => {
      const text = writeKey(key)
      const before = this.#store.get('select value from seen where key = ?', text)?.['value']
      this.#store.run('insert or replace into seen (key, value, scan) values (?, ?, ?)', text, value, scan)
      return before !== value
    })
  }

  /** What the scan did not meet is below the overlap, or gone. */
  forgetSeenBefore(scan: number): void {
    this.#store.run('delete from seen where scan <> ?', scan)
  }
}

export async function scanWatermark(
  reading: Reading,
  source: SourceTable,
  store: StreamStore,
  watermark: Watermark,
  scan: Scan,
): Promise<ScanResult> {
  await reading.checkTable(source)
  const column = await watermarkColumn(reading, source)
  const { overlap, timezone } = { ...source.scan!.watermark!, timezone: source.scan!.timezone }
  const [number, latest] = [Date.now(), latestCredible(column.item, new Date(), timezone)]
  const from = lowered(column.item, watermark.value, overlap)
  const result: ScanResult = { rows: 0, changed: 0 }
  let greatest = watermark.value
  for (let after: Mark | null = null; ;) {
    const marks: Mark[] = await reading.keysSince(source, column, from, after, marksAtOnce)
    scan.commit(() => {
      const unseen = watermark.unseen(marks, number)
      for (const { key } of unseen) store.enqueue(writeKey(key), null)
      result.changed += unseen.length
    })
    result.rows += marks.length
    greatest = greatestOf(marks, latest) ?? greatest
    after = marks.at(-1) ?? null
    if (marks.length < marksAtOnce) break
    await scan.pace(result.rows)
  }
  scan.commit(() => {
    watermark.value = greatest
    watermark.forgetSeenBefore(number)
  })
  return result
}

/** The greatest credible value now. Throws what the database refuses. */
export async function greatestWatermark(reading: Reading, source: SourceTable): Promise<Value> {
  const column = await watermarkColumn(reading, source)
  const latest = latestCredible(column.item, new Date(), source.scan!.timezone)
  let greatest: Value = null
  for (let after: Mark | null = null; ;) {
    const marks: Mark[] = await reading.keysSince(source, column, null, after, marksAtOnce)
    greatest = greatestOf(marks, latest) ?? greatest
    if (marks.length < marksAtOnce) return greatest
    after = marks.at(-1)!
  }
}

/** Types that grow, the widest of each kind: the first that the column supplies without loss is its own. */
const types: readonly Pick<Item, 'type' | 'precision' | 'scale'>[] = [
  { type: 'timestamptz' },
  { type: 'timestamp' },
  { type: 'date' },
  { type: 'integer' },
  { type: 'decimal', precision: 38, scale: 10 },
]

/** The column with its portable type: it need be no item of the resource. Throws QZ-SOURCE-TABLE, QZ-SOURCE-TYPE. */
export async function watermarkColumn(reading: Reading, source: SourceTable): Promise<MappedColumn> {
  const { column } = source.scan!.watermark!
  const supplied = source.columns.find((mapped) => mapped.column === column && types.some(({ type }) => type === mapped.item.type))
  if (supplied) return supplied
  let refusal: unknown
  for (const type of types) {
    const item: Item = { id: column, name: column, label: column, openness: 'internal', ...type }
    try {
      await reading.keysSince(source, { item, column }, null, null, 1)
      return { item, column }
    } catch (error) {
      if (!(error instanceof QianzhiError) || error.code !== 'QZ-SOURCE-TYPE') throw error
      refusal ??= error
    }
  }
  throw refusal
}

/** Values beyond are of rows that claim to come from the future: taken for the greatest, they would hide all others. */
function latestCredible({ type }: Item, now: Date, timezone: string): Value {
  if (type === 'timestamptz') return now.toISOString()
  if (type !== 'timestamp' && type !== 'date') return null
  // The Swedish form of a date and time is the portable one, but for the T.
  const local = now.toLocaleString('sv-SE', { timeZone: timezone }).replace(' ', 'T')
  return type === 'date' ? local.slice(0, 10) : local
}

function greatestOf(marks: readonly Mark[], latest: Value): Value | undefined {
  // Portable times order as their texts do to the second; within it a lower value is as good.
  return (latest === null ? marks : marks.filter(({ value }) => value.slice(0, 19) <= latest.slice(0, 19))).at(-1)?.value
}

/** The bound from which a scan looks: less by seconds of a time, units of a number. Null: from the first row. */
export function lowered({ type }: Pick<Item, 'type'>, value: Value, overlap: number): Value {
  if (value === null) return null
  if (type === 'integer') return less(BigInt(value), BigInt(Math.ceil(overlap)))
  if (type === 'decimal') return less(BigInt(value.split('.')[0]!) - (value.startsWith('-') ? 1n : 0n), BigInt(Math.ceil(overlap)))
  const time = Date.parse(type === 'date' ? `${value}T00:00:00Z` : `${value.slice(0, 19)}Z`) - overlap * 1000
  const text = new Date(Math.max(time, Date.parse('0001-01-01T00:00:00Z'))).toISOString().slice(0, 19)
  return type === 'date' ? text.slice(0, 10) : type === 'timestamptz' ? `${text}Z` : text
}

function less(a: bigint, b: bigint): Value {
  const least = -(2n ** 63n)
  return String(a - b < least ? least : a - b)
}
