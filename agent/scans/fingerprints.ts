/** What `compare` learns from the line itself: which rows a snapshot and the queue have sent. */
import type { Rows } from '../database.ts'
import { ChunkStore } from './chunks.ts'
import { gone, fingerprintOfFault, fingerprintOfRow, sameFingerprint, unknown, type Fingerprint } from './fingerprint.ts'
import type { Page } from '../row-pages.ts'
import { writeKey, type Memory, type StreamStore } from '../runtime/stream-store.ts'

/** A row read for a snapshot, a faulty key, or (without a fingerprint) the end of a page. */
interface Observed {
  key: string
  print?: Fingerprint
  fault?: boolean
}

export class Fingerprints implements Memory {
  readonly chunks: ChunkStore
  /** Rows read for the snapshot which the hub has not got yet. */
  #observed: Observed[] = []
  /** They do not follow what the tail holds. */
  #fresh = true
  /** Rows read by key which the hub has not got yet. */
  readonly #read = new Map<string, Fingerprint>()

  constructor(store: StreamStore) {
    this.chunks = new ChunkStore(store)
  }

  /** The stream begins again: what was read ahead is thrown away. */
  forget(): void {
    this.#observed = []
    this.#read.clear()
    this.#fresh = true
  }

  /** A page of a snapshot, that may repeat what was read. */
  observe(after: string | null, { rows, keys, faults, last }: Page): void {
    this.#continueAt(after)
    for (const fault of faults) this.#observed.push({ key: writeKey(fault.key), print: fingerprintOfFault(fault), fault: true })
    rows.forEach((row, i) => this.#observed.push({ key: keys[i]!, print: fingerprintOfRow(row) }))
    if (last) this.#observed.push({ key: writeKey(last) })
  }

  #continueAt(after: string | null): void {
    const place = after === null ? -1 : this.#observed.findLastIndex(({ key }) => key === after)
    if (place >= 0) {
      this.#observed.length = place + 1
      return
    }
    this.#observed = []
    // Rows between the tail and what comes now are remembered nowhere: the next scan sends them again.
    this.#fresh = after === null || this.chunks.tailEnd() !== after
  }

  /** Rows that were read because their keys were queued. */
  noteRead(asked: readonly string[], { rows, keys, faults }: Rows & { keys: readonly string[] }): void {
    for (const key of asked) this.#read.set(key, gone)
    rows.forEach((row, i) => this.#read.set(keys[i]!, fingerprintOfRow(row)))
    for (const fault of faults) this.#read.set(writeKey(fault.key), fingerprintOfFault(fault))
  }

  snapshotBegan(): void {
    this.chunks.clear()
    this.#fresh = true
  }

  snapshotReached(after: string | null): void {
    const place = after === null ? this.#observed.length : this.#observed.findLastIndex(({ key }) => key === after) + 1
    const reached = this.#observed.splice(0, place)
    this.chunks.forgetSent(reached.map(({ key }) => key))
    for (const { key, print, fault } of reached) if (fault) this.chunks.setFault(key, print!, 0)
    const rows = reached.filter(({ print, fault }) => print && !fault)
    if (place === 0 && after !== null) return
    this.chunks.extend(after, { keys: rows.map(({ key }) => key), prints: rows.map(({ print }) => print!) }, this.#fresh)
    this.#fresh = false
  }

  sent(key: string, queued: Fingerprint | null): void {
    const print = this.#read.get(key) ?? unknown
    this.#read.delete(key)
    if (queued && sameFingerprint(queued, print)) this.chunks.forgetSent([key])
    else this.chunks.setSent(key, print)
  }
}
