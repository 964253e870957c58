/** Fingerprints of rows, and the chunks into which a table's rows are cut so that most of them need never be looked at one by one. */
import { createHash, hash, type Hash } from 'node:crypto'
import type { Row, RowFault } from '../database.ts'

/** Sixteen bytes for a row as it was read. */
export type Fingerprint = Uint8Array

export const fingerprintBytes = 16
/** Of a key that has no row. */
export const gone: Fingerprint = new Uint8Array(0)
/** Never equal to what is read. */
export const unknown: Fingerprint = new Uint8Array(1)

/** A row's values are unambiguous as JSON: null is not the empty text, and no value can reach into the next one. */
export function fingerprintOfRow(row: Row): Fingerprint {
  return print(JSON.stringify(row))
}

export function fingerprintOfFault({ code, item, reason }: RowFault): Fingerprint {
  return print(JSON.stringify({ code, item, reason }))
}

function print(text: string): Fingerprint {
  return hash('sha256', text, 'buffer').subarray(0, fingerprintBytes)
}

export function sameFingerprint(a: Fingerprint | undefined, b: Fingerprint): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0
}

/** One key in so many ends a chunk. */
const rowsPerChunk = 256
/** Keys that end none for so long are cut anyway. */
const maxPerChunk = 16 * rowsPerChunk

/**
 * Whether a chunk ends with this key: decided by the key alone, so that a row more or less changes its own chunk and no other. FNV-1a
 * with the finish of MurmurHash3, since the keys of a table often differ in their last digits only.
 */
export function endsChunk(key: string, rows: number): boolean {
  if (rows >= maxPerChunk) return true
  let h = 0x811c9dc5
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) % rowsPerChunk === 0
}

/** Bytes of rows after which a chunk keeps their fingerprints instead of them. */
const heldBytes = 4 << 20

/** A chunk while its rows are read. Its digest costs a few hundred nanoseconds a row; fingerprints are made only when asked for. */
export class OpenChunk {
  readonly keys: string[] = []
  readonly #digest: Hash = createHash('sha256')
  readonly #prints: Fingerprint[] = []
  #rows: Row[] = []
  #bytes = 0

  /** `rows` in the order in which they were read, `keys` theirs. */
  add(rows: readonly Row[], keys: readonly string[]): void {
    if (rows.length === 0) return
    // Without the outer brackets, so that the digest does not depend on where the pages were cut.
    const text = JSON.stringify(rows).slice(1, -1)
    this.#digest.update(text).update(',')
    this.#bytes += text.length
    for (const key of keys) this.keys.push(key)
    for (const row of rows) this.#rows.push(row)
    if (this.#bytes > heldBytes) this.#settle()
  }

  digest(): Uint8Array {
    return this.#digest.digest().subarray(0, fingerprintBytes)
  }

  prints(): readonly Fingerprint[] {
    this.#settle()
    return this.#prints
  }

  #settle(): void {
    for (const row of this.#rows) this.#prints.push(fingerprintOfRow(row))
    this.#rows = []
    this.#bytes = 0
  }
}
