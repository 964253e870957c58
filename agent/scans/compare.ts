/**
 * `compare`: the whole table is read in the order of its key and held against the fingerprints of what was sent. A chunk whose digest is
 * the same is left at that; of any other the keys that differ are queued, in one transaction with the new fingerprints.
 */
import type { Reading, Row, SourceTable } from '../database.ts'
import { lastChunk } from './chunks.ts'
import { endsChunk, OpenChunk, fingerprintOfFault, sameFingerprint } from './fingerprint.ts'
import type { Fingerprints } from './fingerprints.ts'
import { readPage, type Page } from '../row-pages.ts'
import type { Scan, ScanResult } from './scan.ts'
import { writeKey, type StreamStore } from '../runtime/stream-store.ts'

/** Rows of a page at first and at most: without an index each page is a sort of the whole table, so there should be few. */
const [firstRows, mostRows] = [1_000, 16_000]
/** Bytes that a page is meant to have. */
const pageBytes = 16 << 20

export async function compareTable(
  reading: Reading,
  source: SourceTable,
  store: StreamStore,
  prints: Fingerprints,
  scan: Scan,
): Promise<ScanResult> {
  await reading.checkTable(source)
  const comparison = new Comparison(store, prints, scan)
  let limit = firstRows
  let next = readPage(reading, source, null, limit)
  for (;;) {
    const page = await next
    // While this page is looked at, the database prepares the next one.
    if (!page.ended) next = readPage(reading, source, page.last, limit)
    next.catch(() => undefined)
    comparison.add(page)
    if (page.ended) break
    limit = fittingLimit(limit, page.rows)
    await scan.pace(comparison.rows)
  }
  comparison.end()
  return { rows: comparison.rows, changed: comparison.changed }
}

interface Closed {
  ends: string
  digest: Uint8Array
  chunk: OpenChunk
}

class Comparison {
  rows = 0
  changed = 0
  readonly #store: StreamStore
  readonly #chunks: Fingerprints['chunks']
  readonly #scan: Scan
  readonly #digests: Map<string, Uint8Array | null>
  readonly #unmet: Set<string>
  /** What is sent from now on is for the next scan. */
  readonly #sentBefore: number
  readonly #number = Date.now()
  #open = new OpenChunk()

  constructor(store: StreamStore, { chunks }: Fingerprints, scan: Scan) {
    this.#store = store
    this.#chunks = chunks
    this.#scan = scan
    this.#digests = chunks.digests()
    this.#unmet = new Set(this.#digests.keys())
    this.#sentBefore = chunks.newestSent()
  }

  add(page: Page): void {
    const { rows, keys } = page
    const closed: Closed[] = []
    let from = 0
    for (let i = 0; i < rows.length; i++) {
      if (!endsChunk(keys[i]!, this.#open.keys.length + i - from + 1)) continue
      closed.push(this.#close(keys[i]!, rows.slice(from, i + 1), keys.slice(from, i + 1)))
      from = i + 1
    }
    this.#open.add(rows.slice(from), keys.slice(from))
    this.rows += rows.length
    this.#settle(closed, page.faults.length > 0 ? () => this.#faults(page) : undefined)
  }

  #close(ends: string, rows: readonly Row[], keys: readonly string[]): Closed {
    const chunk = this.#open
    chunk.add(rows, keys)
    this.#open = new OpenChunk()
    return { ends, digest: chunk.digest(), chunk }
  }

  /** Chunks that changed, in one transaction. */
  #settle(closed: readonly Closed[], also?: () => void): void {
    const anySent = this.#chunks.newestSent() > 0
    const changed = closed.filter(({ ends, digest, chunk }) => {
      this.#unmet.delete(ends)
      return !sameFingerprint(this.#digests.get(ends) ?? undefined, digest) || (anySent && this.#chunks.sentOf(chunk.keys).size > 0)
    })
    if (changed.length === 0 && !also) return
    this.#scan.commit(() => {
      also?.()
      for (const { ends, digest, chunk } of changed) {
        this.changed += this.#chunks.replace(ends, digest, { keys: chunk.keys, prints: chunk.prints() })
      }
    })
  }

  #faults({ faults }: Page): void {
    for (const fault of faults) {
      const [key, print] = [writeKey(fault.key), fingerprintOfFault(fault)]
      const before = this.#chunks.sentOf([key]).get(key) ?? this.#chunks.faultOf(key)
      if (!sameFingerprint(before, print)) {
        this.#store.enqueue(key, print)
        this.changed++
      }
      this.#chunks.forgetSent([key])
      this.#chunks.setFault(key, print, this.#number)
    }
  }

  /** What was not met anywhere has no row any more, or has one in another place, where it was queued. */
  end(): void {
    if (this.#open.keys.length > 0) this.#settle([this.#close(lastChunk, [], [])])
    this.#scan.commit(() => {
      for (const ends of this.#unmet) {
        this.changed += this.#chunks.queueGone(this.#chunks.read(ends))
        this.#chunks.remove(ends)
      }
      for (const key of this.#chunks.takeFaultsBefore(this.#number)) this.#store.enqueueOnce(key, null)
      this.changed += this.#chunks.queueGone(this.#chunks.takeSentUpTo(this.#sentBefore))
    })
  }
}

/** Pages are to be of about one size, judged by a few of their rows. */
function fittingLimit(limit: number, rows: readonly Row[]): number {
  const sampled = rows.filter((_, i) => i % Math.ceil(rows.length / 50) === 0)
  const bytes = sampled.reduce((sum, row) => sum + row.reduce((size, value) => size + 16 + 2 * (value?.length ?? 0), 0), 0)
  const fitting = (pageBytes * sampled.length) / Math.max(1, bytes)
  return Math.max(1, Math.floor(Math.min(mostRows, limit * 4, fitting)))
}
