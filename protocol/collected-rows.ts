/** What either end of a route keeps of its rows during a reconciliation (SPEC section 15). */
import { bucketBytes, finestBits, hashBytes, Summation, type ComparedItem, type RowHasher, type Sum, type TableDigest } from './digest.ts'
import type { NarrowedItem, StepOf } from './reconciliation.ts'
import type { Value } from './value.ts'

type Row = readonly Value[]

/** Rows of differing buckets: hashes as they are told, and the keys by their hash. */
export interface Collected extends Pick<StepOf<'collect'>, 'bits' | 'buckets'> {
  entries: Buffer
  keys: ReadonlyMap<string, Value[]>
}

/** Gathers the rows of some buckets. */
export class Collector {
  readonly #hasher: RowHasher
  readonly #of: Pick<StepOf<'collect'>, 'bits' | 'buckets'>
  readonly #buckets: ReadonlySet<number>
  readonly #hashes: string[] = []
  readonly #keys = new Map<string, Value[]>()

  constructor(hasher: RowHasher, bits: number, buckets: number[]) {
    this.#hasher = hasher
    this.#of = { bits, buckets }
    this.#buckets = new Set(buckets)
  }

  get rows(): number {
    return this.#hashes.length
  }

  add(row: Row): void {
    const text = this.#hasher.keyText(row)
    if (!this.#buckets.has(this.#hasher.bucket(text) >> (finestBits - this.#of.bits))) return
    const key = this.#hasher.keyHash(text)
    this.#hashes.push(key + this.#hasher.row(row))
    this.#keys.set(key, this.#hasher.key(row))
  }

  collected(): Collected {
    return { ...this.#of, entries: Buffer.from(this.#hashes.join(''), 'latin1'), keys: this.#keys }
  }
}

/** So many entries, from one on. */
export function entriesFrom({ entries }: Collected, from: number, most: number): Buffer {
  const bytes = 2 * hashBytes
  return entries.subarray(from * bytes, (from + most) * bytes)
}

/** The keys that were collected under these hashes (base64url). */
export function keysOf({ keys }: Collected, hashes: readonly string[]): Value[][] {
  return hashes.flatMap((hash) => {
    const key = keys.get(Buffer.from(hash, 'base64url').toString('latin1'))
    return key ? [key] : []
  })
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

/** A row of compared items as the receiver's mapping leaves it; undefined where that alters nothing. */
export function narrowing(
  items: readonly Pick<ComparedItem, 'id'>[],
  narrowed: readonly NarrowedItem[],
): ((row: Row) => Value[]) | undefined {
  const places = narrowed.map((one) => ({ place: items.findIndex(({ id }) => id === one.item), value: narrowedValue(one) }))
  if (places.length === 0) return undefined
  return (row) => {
    const values = [...row]
    for (const { place, value } of places) if (place >= 0) values[place] = value(values[place]!)
    return values
  }
}

/** A portable value as it comes back from such a sink. */
export function narrowedValue({ trim, values }: NarrowedItem): (value: Value) => Value {
  const kept = values && new Set(values)
  return (value) => {
    if (value === null) return null
    const text = trim ? value.trim() : value
    return kept && !kept.has(text) ? null : text
  }
}
