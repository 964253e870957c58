import { hash } from 'node:crypto'
import type { Item } from './schema.ts'
import { canonicalTime, type Value } from './value.ts'

/**
 * What two tables are compared by (SPEC section 15): a hash of every row, summed in buckets of the rows' keys, so that neither the
 * order of reading nor what engines write differently counts.
 *
 * A row hash is the first 128 bits of SHA-256 over the run's salt and the canonical text of the row: behind each value U+0000, before
 * it `=`, and `-` alone for null; no value holds U+0000. Without the salt, which is new for every run, nobody can make rows beforehand
 * that sum up to the same.
 */

/** The items by which rows are compared: the key and the granted ones, in schema order. */
export type ComparedItem = Pick<Item, 'id' | 'type' | 'key'>

type Canonical = (value: string) => string

const canonicalForms: Partial<Record<Item['type'], Canonical>> = {
  integer: canonicalDecimal,
  decimal: canonicalDecimal,
  timestamp: canonicalTime,
  timestamptz: canonicalTime,
  time: canonicalTime,
  json: canonicalJson,
}

/** Bytes of a row hash. */
export const hashBytes = 16
/** Rows are summed in 2^16 buckets; fewer are told where there are fewer rows. */
export const finestBits = 16
const finest = 1 << finestBits

/** Canonical texts and hashes of the rows of one run; rows are values in the order of `items`. Hashes are `hashBytes` long, as latin1. */
export class RowHasher {
  readonly #salt: string
  readonly #seed: number
  readonly #columns: { place: number; canonical: Canonical | undefined }[]
  readonly #keys: { place: number; canonical: Canonical | undefined }[]

  /** `salt`: 32 hexadecimal digits. */
  constructor(items: readonly ComparedItem[], salt: string) {
    this.#salt = salt
    this.#seed = Number.parseInt(salt.slice(0, 8), 16)
    this.#columns = items.map(({ type }, place) => ({ place, canonical: canonicalForms[type] }))
    this.#keys = this.#columns.filter((_, i) => items[i]!.key)
  }

  /** The canonical key of a row. */
  key(row: readonly Value[]): Value[] {
    return this.#keys.map(({ place, canonical }) => canonicalValue(row[place]!, canonical))
  }

  /** The canonical form of a key, wherever it comes from. */
  canonicalKey(key: readonly Value[]): Value[] {
    return this.#keys.map(({ canonical }, i) => canonicalValue(key[i]!, canonical))
  }

  keyText(row: readonly Value[]): string {
    return textOf(row, this.#keys)
  }

  /** The key text of a key that is there without its row. */
  textOfKey(key: readonly Value[]): string {
    return textOf(
      key,
      this.#keys.map(({ canonical }, place) => ({ place, canonical })),
    )
  }

  row(row: readonly Value[]): string {
    return hashOf(this.#salt + textOf(row, this.#columns))
  }

  /** By which a key is found without being told. */
  keyHash(keyText: string): string {
    return hashOf(`${this.#salt}key${keyText}`)
  }

  /** FNV-1a over UTF-16 code units with the finish of MurmurHash3: it only spreads keys evenly. @returns the finest bucket. */
  bucket(keyText: string): number {
    let h = this.#seed
    for (let i = 0; i < keyText.length; i++) h = Math.imul(h ^ keyText.charCodeAt(i), 0x01000193)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return ((h ^ (h >>> 16)) >>> (32 - finestBits)) & (finest - 1)
  }
}

function canonicalValue(value: Value, canonical: Canonical | undefined): Value {
  return value !== null && canonical ? canonical(value) : value
}

function textOf(row: readonly Value[], columns: readonly { place: number; canonical: Canonical | undefined }[]): string {
  let text = ''
  for (const { place, canonical } of columns) {
    const value = row[place]!
    text += value === null ? '-\0' : `=${canonical ? canonical(value) : value}\0`
  }
  return text
}

/** As latin1 it costs less than half of what a Buffer does. */
function hashOf(text: string): string {
  return hash('sha256', text, 'binary').slice(0, hashBytes)
}

/** One number has one text: engines pad fractions to the column's scale, or do not. */
export function canonicalDecimal(value: string): string {
  const point = value.indexOf('.')
  let end = value.length
  if (point >= 0) {
    while (value.charCodeAt(end - 1) === 0x30) end--
    if (end === point + 1) end = point
  }
  const cut = end === value.length ? value : value.slice(0, end)
  const first = cut.charCodeAt(0) === 0x2d ? 1 : 0
  if (cut.charCodeAt(first) !== 0x30) return cut
  const plain = cut.replace(/^(-?)0+(?=\d)/, '$1')
  return plain === '-0' ? '0' : plain
}

/** Engines with a JSON type of their own sort members, drop white space and repeated names, and write numbers their way. */
export function canonicalJson(text: string): string {
  try {
    return JSON.parse(text, revive as never) as string
  } catch {
    return text
  }
}

/** Every value becomes its canonical text, from the innermost outwards. */
function revive(_name: string, value: unknown, context: { source?: string }): string {
  if (typeof value === 'number') return canonicalNumber(context.source ?? String(value))
  if (Array.isArray(value)) return `[${value.join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${member as string}`).join(',')}}`
}

/** Digits and exponent without zeros at either end: exact, however long the number is. */
function canonicalNumber(source: string): string {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source)!
  const digits = (whole! + fraction).replace(/^0+/, '')
  const short = digits.replace(/0+$/, '')
  if (short === '') return '0'
  return `${sign}${short}e${Number(exponent) - fraction.length + digits.length - short.length}`
}

/** Rows and the sum of their hashes modulo 2^128 as 32 hexadecimal digits. */
export interface Sum {
  rows: number
  digest: string
}

/** Bytes of one bucket as it is told: its rows (big-endian), then the sum of their hashes. */
export const bucketBytes = 4 + hashBytes

/**
 * Sums of row hashes in buckets. It is a sum, so that rows may come in any order, and not an exclusive or, in which a row that is there
 * twice would be as one that is not there. Each quarter of a sum is kept exactly in a double up to two million rows a bucket.
 */
export class TableDigest {
  rows = 0
  readonly #counts = new Uint32Array(finest)
  readonly #quarters = new Float64Array(finest * 4)

  /** `hash` as `RowHasher` gives it. */
  add(bucket: number, hash: string): void {
    this.rows++
    this.#counts[bucket]!++
    const at = bucket * 4
    for (let i = 0; i < 4; i++) this.#quarters[at + i]! += quarter(hash, i * 4)
  }

  total(): Sum {
    const [bucket] = this.#fold(0)
    return { rows: this.rows, digest: bucket!.sum.toString(16).padStart(32, '0') }
  }

  /** `bucketBytes` for each of the 2^bits buckets from `from` on, at most `most`. */
  buckets(bits: number, from = 0, most = 1 << bits): Buffer {
    const folded = this.#fold(bits, from, Math.min(1 << bits, from + most))
    const told = Buffer.alloc(folded.length * bucketBytes)
    folded.forEach(({ rows, sum }, i) => {
      told.writeUInt32BE(rows, i * bucketBytes)
      told.write(sum.toString(16).padStart(32, '0'), i * bucketBytes + 4, 'hex')
    })
    return told
  }

  #fold(bits: number, from = 0, to = 1 << bits): { rows: number; sum: bigint }[] {
    const width = finest >> bits
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => {
      let [rows, sum] = [0, 0n]
      for (let at = (from + i) * width; at < (from + i + 1) * width; at++) {
        if (this.#counts[at] === 0) continue
        rows += this.#counts[at]!
        sum += this.#sum(at)
      }
      return { rows, sum: BigInt.asUintN(128, sum) }
    })
  }

  #sum(bucket: number): bigint {
    let sum = 0n
    for (let i = 0; i < 4; i++) sum = (sum << 32n) + BigInt(this.#quarters[bucket * 4 + i]!)
    return sum
  }
}

/** Of single rows' hashes and of whole buckets, added up one after the other. */
export class Summation {
  #rows = 0
  #sum = 0n

  addRow(hash: string): void {
    this.#rows++
    this.#sum += BigInt(`0x${Buffer.from(hash, 'latin1').toString('hex')}`)
  }

  /** `bucketBytes` as `TableDigest.buckets` tells them. */
  addBucket(bucket: Buffer): void {
    this.#rows += bucket.readUInt32BE(0)
    this.#sum += BigInt(`0x${bucket.toString('hex', 4, bucketBytes)}`)
  }

  add(other: Summation): void {
    this.#rows += other.#rows
    this.#sum += other.#sum
  }

  total(): Sum {
    return { rows: this.#rows, digest: BigInt.asUintN(128, this.#sum).toString(16).padStart(32, '0') }
  }
}

function quarter(hash: string, at: number): number {
  return hash.charCodeAt(at) * 0x1000000 + ((hash.charCodeAt(at + 1) << 16) | (hash.charCodeAt(at + 2) << 8) | hash.charCodeAt(at + 3))
}

/** How many buckets so many rows are told in: about 250 rows each. */
export function bitsFor(rows: number): number {
  return Math.min(finestBits, Math.max(0, Math.ceil(Math.log2(Math.max(1, rows) / 250))))
}
