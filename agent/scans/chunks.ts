/**
 * What `compare` remembers: a fingerprint of the row that was last sent for each key, or is queued. Keys lie in chunks (see
 * fingerprint.ts) in the order in which they were read; a chunk is found by the key that it ends with.
 *
 * A row may change between the scan that queues its key and the look that sends it. What was sent then is kept in `sent` until the next
 * scan comes by, and counts before the chunk's: otherwise a row that changes back would be taken for unchanged. So at all times, for
 * each key: what is remembered is what was sent last, or the key is queued.
 */
import { endsChunk, gone, fingerprintBytes, sameFingerprint, type Fingerprint } from './fingerprint.ts'
import type { StreamStore } from '../runtime/stream-store.ts'

export interface Prints {
  keys: readonly string[]
  prints: readonly Fingerprint[]
}

/** The chunk behind the last key that ends one. */
export const lastChunk = ''

const tables = `
  create table if not exists chunk (ends text primary key, digest blob, keys text not null, prints blob not null);
  create table if not exists sent (id integer primary key autoincrement, key text not null unique, print blob not null);
  create table if not exists fault (key text primary key, print blob not null, scan integer not null);
  create table if not exists tail (one integer primary key check (one = 1), after text not null, keys text not null, prints blob not null)`

export class ChunkStore {
  readonly #store: StreamStore

  constructor(store: StreamStore) {
    this.#store = store
    store.make(tables)
  }

  /** Digests of all chunks by the key that ends each; null where the chunk was not read as a whole. */
  digests(): Map<string, Uint8Array | null> {
    const rows = this.#store.all('select ends, digest from chunk')
    return new Map(rows.map((row) => [String(row['ends']), row['digest'] as Uint8Array | null]))
  }

  read(ends: string): Map<string, Fingerprint> {
    const row = this.#store.get('select keys, prints from chunk where ends = ?', ends)
    return row ? unpack(row) : new Map()
  }

  write(ends: string, digest: Uint8Array | null, chunk: Prints): void {
    const [keys, prints] = pack(chunk)
    this.#store.run('insert or replace into chunk (ends, digest, keys, prints) values (?, ?, ?, ?)', ends, digest, keys, prints)
  }

  remove(ends: string): void {
    this.#store.run('delete from chunk where ends = ?', ends)
  }

  clear(): void {
    for (const table of ['chunk', 'sent', 'fault', 'tail']) this.#store.run(`delete from ${table}`)
  }

  /** Newest row of `sent`; 0 where there is none. */
  newestSent(): number {
    return Number(this.#store.get('select coalesce(max(id), 0) as id from sent')!['id'])
  }

  sentOf(keys: readonly string[]): Map<string, Fingerprint> {
    const rows = this.#store.all('select key, print from sent where key in (select value from json_each(?))', JSON.stringify(keys))
    return new Map(rows.map((row) => [String(row['key']), row['print'] as Fingerprint]))
  }

  setSent(key: string, print: Fingerprint): void {
    this.#store.run('insert or replace into sent (key, print) values (?, ?)', key, print)
  }

  forgetSent(keys: readonly string[]): void {
    if (keys.length > 0) this.#store.run('delete from sent where key in (select value from json_each(?))', JSON.stringify(keys))
  }

  /** A faulty key's fingerprint, as remembered. */
  faultOf(key: string): Fingerprint | undefined {
    return this.#store.get('select print from fault where key = ?', key)?.['print'] as Fingerprint | undefined
  }

  setFault(key: string, print: Fingerprint, scan: number): void {
    this.#store.run('insert or replace into fault (key, print, scan) values (?, ?, ?)', key, print, scan)
  }

  /** Keys that this scan did not find faulty any more. */
  takeFaultsBefore(scan: number): string[] {
    return this.#store.all('delete from fault where scan <> ? returning key', scan).map((row) => String(row['key']))
  }

  /** Keys up to this row of `sent` which no scan has met since. */
  takeSentUpTo(id: number): [string, Fingerprint][] {
    const rows = this.#store.all('delete from sent where id <= ? returning key, print', id)
    return rows.map((row) => [String(row['key']), row['print'] as Fingerprint])
  }

  /** Where the chunk that a snapshot is in the midst of ends so far. */
  tailEnd(): string | undefined {
    return this.#store.get('select after from tail')?.['after'] as string | undefined
  }

  /** Goes on with a snapshot's chunks; `after` null: they are complete. */
  extend(after: string | null, { keys, prints }: Prints, fresh: boolean): void {
    const tail = fresh ? undefined : this.#store.get('select keys, prints from tail')
    let chunk = tail ? [...unpack(tail)] : []
    keys.forEach((key, i) => {
      chunk.push([key, prints[i]!])
      if (!endsChunk(key, chunk.length)) return
      this.write(key, null, listed(chunk))
      chunk = []
    })
    this.#store.run('delete from tail')
    if (after === null) return chunk.length > 0 ? this.write(lastChunk, null, listed(chunk)) : undefined
    this.#store.run('insert into tail (one, after, keys, prints) values (1, ?, ?, ?)', after, ...pack(listed(chunk)))
  }

  /**
   * A chunk as it was read now takes the place of the one with the same end: keys whose rows differ from what was sent last are queued.
   * @returns how many.
   */
  replace(ends: string, digest: Uint8Array, chunk: Prints): number {
    const before = this.read(ends)
    const concerned = [...new Set([...before.keys(), ...chunk.keys])]
    for (const [key, print] of this.sentOf(concerned)) before.set(key, print)
    let changed = 0
    chunk.keys.forEach((key, i) => {
      const print = chunk.prints[i]!
      if (!sameFingerprint(before.get(key), print)) {
        this.#store.enqueue(key, print)
        changed++
      }
      before.delete(key)
    })
    changed += this.queueGone(before)
    this.forgetSent(concerned)
    this.write(ends, digest, chunk)
    return changed
  }

  /** Keys that were not met where they were: what is queued of them already is newer. */
  queueGone(keys: Iterable<[string, Fingerprint]>): number {
    let count = 0
    for (const [key, print] of keys) {
      if (sameFingerprint(print, gone)) continue
      this.#store.enqueueOnce(key, gone)
      count++
    }
    return count
  }
}

function listed(entries: readonly (readonly [string, Fingerprint])[]): Prints {
  return { keys: entries.map(([key]) => key), prints: entries.map(([, print]) => print) }
}

function pack({ keys, prints }: Prints): [string, Buffer] {
  return [JSON.stringify(keys), Buffer.concat(prints)]
}

function unpack(row: Record<string, unknown>): Map<string, Fingerprint> {
  const [keys, prints] = [JSON.parse(String(row['keys'])) as string[], row['prints'] as Uint8Array]
  return new Map(keys.map((key, i) => [key, prints.subarray(i * fingerprintBytes, (i + 1) * fingerprintBytes)]))
}
