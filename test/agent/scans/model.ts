/** A table in memory, what a receiver of its stream holds, and the line between them, for tests of `compare` without a database. */
import { setImmediate } from 'node:timers/promises'
import type { Found, Reading, Row, RowFault, Rows, SourceTable, StreamState } from '../../../agent/database.ts'
import { compareTable } from '../../../agent/scans/compare.ts'
import { Fingerprints } from '../../../agent/scans/fingerprints.ts'
import { readKeys, readPage } from '../../../agent/row-pages.ts'
import { Scan, ScanStopped, type ScanResult } from '../../../agent/scans/scan.ts'
import { StreamStore, writeKey } from '../../../agent/runtime/stream-store.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { licence, sourceOf } from '../databases/conformance/fixture.ts'

export const source: SourceTable = sourceOf(licence, { capture: 'compare', scan: { schedule: '0 * * * *', timezone: 'UTC' } })

/** Beginning of a name that cannot be sent. */
export const faulty = '!'

/** Rows by key; a key may have several. Changes that are to happen during a reading happen before its next page. */
export class TableModel implements Reading {
  readonly rows = new Map<string, string[]>()
  readonly during: (() => void)[] = []
  #sorted: string[] | undefined

  set(key: string, ...names: string[]): void {
    this.#sorted = undefined
    if (names.length === 0) this.rows.delete(key)
    else this.rows.set(key, names)
  }

  async checkTable(): Promise<void> {}

  async rowsByKeys(_source: SourceTable, keys: readonly Row[]): Promise<Found> {
    this.during.shift()?.()
    const read = split(keys.map(([key]) => key!).flatMap((key) => this.#rowsOf(key)))
    return { ...read, missing: keys.filter(([key]) => !this.rows.has(key!)) }
  }

  async rowsAfter(_source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    await setImmediate()
    this.during.shift()?.()
    this.#sorted ??= [...this.rows.keys()].toSorted((a, b) => (a < b ? -1 : 1))
    const place = after ? this.#sorted.findIndex((key) => key > after[0]!) : 0
    const rows: string[][] = []
    for (const key of place < 0 ? [] : this.#sorted.slice(place, place + limit)) rows.push(...this.#rowsOf(key))
    rows.length = Math.min(rows.length, limit)
    return { ...split(rows), last: rows.length > 0 ? [rows.at(-1)![0]!] : null }
  }

  #rowsOf(key: string): string[][] {
    return (this.rows.get(key) ?? []).map((name) => [key, name, '1'])
  }

  async keysSince(): Promise<never> {
    throw new Error('not used')
  }

  async rowsLike(): Promise<never> {
    throw new Error('not used')
  }

  atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    return work()
  }

  async count(): Promise<number> {
    return this.rows.size
  }

  async close(): Promise<void> {}
}

function split(rows: string[][]): Rows {
  const isFaulty = (row: string[]): boolean => row[1]!.startsWith(faulty)
  const faults = rows.filter(isFaulty).map(([key]): RowFault => ({ key: [key!], code: 'QZ-ROW-VALUE', item: 'name' }))
  return { rows: rows.filter((row) => !isFaulty(row)), faults }
}

/** What the receiver of everything that was sent would hold; `!` stands for a key that it was told cannot be sent. */
export class LineModel {
  readonly table = new TableModel()
  readonly received = new Map<string, string>()
  readonly store = new StreamStore(':memory:')
  prints = new Fingerprints(this.store)
  #seq = 0
  /** Keys that were received before a snapshot and not since: they are gone at its end. */
  #unseen = new Set<string>()

  /** The program forgets everything but the store. */
  crash(): void {
    this.prints = new Fingerprints(this.store)
    this.table.during.length = 0
  }

  /** A scan; `pages`: it is broken off after so many. Undefined where it was. */
  async scan(pages = Number.POSITIVE_INFINITY): Promise<ScanResult | undefined> {
    const stop = new AbortController()
    const scan = new Scan(this.store, { signal: stop.signal, queued: () => {} })
    const pace = scan.pace.bind(scan)
    scan.pace = async (rows) => {
      if (--pages <= 0) stop.abort()
      await pace(rows)
    }
    try {
      return await compareTable(this.table, source, this.store, this.prints, scan)
    } catch (error) {
      if (error instanceof ScanStopped) return undefined
      throw error
    }
  }

  /** Takes and sends so many keys; false where none was queued. `lost`: the program ends before it knows that they arrived. */
  async send(count = 1000, lost = false): Promise<boolean> {
    const { entries, keys } = this.store.take(count, new Set())
    if (entries.length === 0) return false
    const read = await readKeys(this.table, source, keys)
    this.prints.noteRead(keys.map(writeKey), read)
    this.#receive(keys, read)
    if (lost) this.crash()
    else this.#record({ entries, faults: read.faults })
    return true
  }

  async drain(): Promise<void> {
    while (await this.send());
  }

  /**
   * A whole snapshot in pages, between which `sends` queued keys are sent. `broken`: the program ends after that page and goes on from
   * what it wrote down.
   */
  async snapshot(limit: number, broken = -1, sends = 0): Promise<void> {
    this.store.mark({ snapshot: 'needed' })
    this.#unseen = new Set(this.received.keys())
    let began: ChainPosition | undefined
    let after: Row | null = null
    for (let page = 0; ; page++) {
      const read = await readPage(this.table, source, after, limit)
      this.prints.observe(after && writeKey(after), read)
      this.#receive([], read)
      after = read.last ?? after
      const to = this.#next()
      began ??= to
      const { epoch, seq } = began
      const snapshot: StreamState['snapshot'] = read.ended ? null : { began: { epoch, seq }, after }
      this.#record({ entries: [], faults: read.faults, snapshot })
      if (read.ended) break
      if (page === broken) this.crash()
      if (sends > 0) await this.send(sends)
    }
    for (const key of this.#unseen) this.received.delete(key)
  }

  #receive(asked: readonly Row[], { rows, faults }: Rows): void {
    for (const key of asked) this.received.delete(writeKey(key))
    for (const row of rows) this.#set(writeKey([row[0]!]), row[1]!)
    for (const { key } of faults) this.#set(writeKey(key), faulty)
  }

  #set(key: string, name: string): void {
    this.received.set(key, name)
    this.#unseen.delete(key)
  }

  #next(): ChainPosition {
    return { epoch: 1, seq: this.#seq + 1, hash: String(this.#seq + 1) }
  }

  #record(step: { entries: string[]; faults: RowFault[]; snapshot?: StreamState['snapshot'] }): void {
    const from = this.store.state().position
    const to = this.#next()
    this.#seq++
    this.store.record({ ...step, from, to, sent: [] }, this.prints)
  }

  /** What differs between the table and what was received. */
  differences(): string[] {
    const wanted = new Map([...this.table.rows].map(([key, names]) => [writeKey([key]), shown(names)]))
    const keys = new Set([...wanted.keys(), ...this.received.keys()])
    return [...keys].filter((key) => wanted.get(key) !== this.received.get(key))
  }

  queued(): number {
    return this.store.backlog(Number.POSITIVE_INFINITY).entries
  }
}

function shown(names: readonly string[]): string {
  return names.length > 1 || names[0]!.startsWith(faulty) ? faulty : names[0]!
}
