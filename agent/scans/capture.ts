/**
 * Capture from sources that are only read: scans at their schedules put the keys of changed rows into a queue in the agent's data folder;
 * from there on the line is the same as behind triggers. Scans have a connection of their own, so that rows are sent while one is under
 * way; they run one after the other.
 */
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import { codedError, QianzhiError } from '../../protocol/errors.ts'
import type { ChainPosition } from '../../protocol/position.ts'
import { Backoff } from '../runtime/backoff.ts'
import type {
  Capture,
  Database,
  Found,
  QuarantinedKey,
  Reading,
  Row,
  Rows,
  SourceTable,
  StreamState,
  StreamStep,
  Take,
} from '../database.ts'
import { Wake } from '../runtime/wake.ts'
import { compareTable } from './compare.ts'
import { Fingerprints } from './fingerprints.ts'
import { readKeys, readPage } from '../row-pages.ts'
import { Scan, ScanStopped, type ScanResult } from './scan.ts'
import { Schedule } from './schedule.ts'
import { StreamStore, writeKey } from '../runtime/stream-store.ts'
import { greatestWatermark, scanWatermark, Watermark } from './watermark.ts'

export interface ScanOptions {
  /** The agent's data folder. */
  folder: string
  logger: Logger
  /** What begins a scan by hand, by resource; kept up by the capture. */
  requests: Map<string, () => void>
  /** Captures that are open, kept up by them: nobody else can open their files meanwhile. */
  open: Set<ScanCapture>
}

interface Watched {
  source: SourceTable
  store: StreamStore
  memory: Fingerprints | Watermark
  schedule: Schedule
  /** Why the last scan failed; told once. */
  failure: QianzhiError | undefined
  readonly backoff: Backoff
  heldUntil: number
}

/** Milliseconds between looks at what is asked of the line from outside, and without use after which a connection is closed. */
const idleMs = 250
const unusedMs = 30_000

/** The scans of a database as the line opens them. */
export function scanning(database: Database, options: ScanOptions): Pick<Database, 'openCapture' | 'options' | 'quarantine'> {
  return {
    options: database.options,
    quarantine: async (name, limit) => [...options.open].flatMap((capture) => capture.quarantine(name, limit)),
    openCapture: async (sources) => new ScanCapture(database, sources, options),
  }
}

export class ScanCapture implements Capture {
  readonly #database: Database
  readonly #options: ScanOptions
  readonly #watched = new Map<SourceTable, Watched>()
  readonly #queued = new Wake()
  readonly #scanDue = new Wake()
  readonly #closing = new AbortController()
  readonly #scans: Promise<void>
  #reading: Reading | undefined
  #scanReading: Reading | undefined
  #lastUse = -Infinity

  /** Throws QZ-DATA-LOCKED. */
  constructor(database: Database, sources: readonly SourceTable[], options: ScanOptions) {
    this.#database = database
    this.#options = options
    try {
      for (const source of sources) this.#watch(source)
    } catch (error) {
      this.#release()
      throw error
    }
    options.open.add(this)
    this.#scans = this.#runScans()
  }

  #watch(source: SourceTable): void {
    const store = StreamStore.open(this.#options.folder, source.resource)
    const memory = source.capture === 'compare' ? new Fingerprints(store) : new Watermark(store)
    const schedule = new Schedule(source, store, () => this.#scanDue.fire())
    this.#options.requests.set(source.resource, () => schedule.request())
    this.#watched.set(source, { source, store, memory, schedule, failure: undefined, backoff: new Backoff(), heldUntil: 0 })
  }

  #of(source: SourceTable): Watched {
    return this.#watched.get(source)!
  }

  async #read(): Promise<Reading> {
    this.#lastUse = performance.now()
    return (this.#reading ??= await this.#database.openReading())
  }

  async state(source: SourceTable): Promise<StreamState> {
    const { generation: _, ...state } = this.#of(source).store.state()
    return state
  }

  async checkTable(source: SourceTable): Promise<void> {
    const { memory } = this.#of(source)
    // The stream begins, and has thrown away what it read ahead.
    if (memory instanceof Fingerprints) memory.forget()
    await (await this.#read()).checkTable(source)
  }

  /** Settings that decide which rows are read, and how changes among them are found. */
  async triggerFingerprint({ capture, table, query, rowFilter, scan }: SourceTable): Promise<string> {
    const settings = JSON.stringify([capture, table, query, rowFilter, scan?.watermark])
    return createHash('sha256').update(settings).digest('hex')
  }

  async waiting(): Promise<Set<string>> {
    const found = [...this.#watched.values()].filter(({ store }) => store.hasEntries())
    return new Set(found.map(({ source }) => source.resource))
  }

  async take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    return this.#of(source).store.take(maxKeys, inFlight)
  }

  async rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    const { memory } = this.#of(source)
    const read = await readKeys(await this.#read(), source, keys)
    if (memory instanceof Fingerprints) memory.noteRead(keys.map(writeKey), read)
    return read
  }

  /** At least `limit` rows where there are so many: less means that none follow. */
  async rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    const { memory } = this.#of(source)
    const reading = await this.#read()
    if (after === null && memory instanceof Watermark) memory.prepareSnapshot(await greatestWatermark(reading, source))
    const read: Rows & { last: Row | null } = { rows: [], faults: [], last: null }
    for (let from = after, ended = false; !ended && read.rows.length + read.faults.length < limit; from = read.last) {
      const page = await readPage(reading, source, from, limit)
      if (memory instanceof Fingerprints) memory.observe(from && writeKey(from), page)
      read.rows.push(...page.rows)
      read.faults.push(...page.faults)
      read.last = page.last ?? read.last
      ended = page.ended
    }
    return read
  }

  async count(source: SourceTable): Promise<number> {
    return (await this.#read()).count(source)
  }

  async record(source: SourceTable, step: StreamStep): Promise<void> {
    const { store, memory } = this.#of(source)
    store.record(step, memory)
    if (step.snapshot === null) this.#scanDue.fire()
  }

  async requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    this.#of(source).store.requeue(keys, position)
  }

  async mark(source: SourceTable, change: { snapshot?: 'needed'; coverage?: string; entries?: readonly string[] }): Promise<void> {
    this.#of(source).store.mark(change)
  }

  async collapse(source: SourceTable): Promise<boolean> {
    this.#of(source).store.collapse()
    return true
  }

  /** Throws what ended the last scan: then the stream is held, says so, and begins again. */
  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    const watched = this.#of(source)
    const { failure } = watched
    watched.failure = undefined
    if (failure) throw failure
    return watched.store.backlog(bound)
  }

  async idle(_busy: boolean, signal: AbortSignal): Promise<void> {
    await this.#queued.wait(idleMs, signal)
    if (!this.#reading || performance.now() - this.#lastUse < unusedMs) return
    const reading = this.#reading
    this.#reading = undefined
    await reading.close()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([this.#scanReading?.close(), this.#reading?.close()])
    await this.#scans
    this.#release()
  }

  /** See `Database.quarantine`. */
  quarantine(name: string | undefined, limit: number): QuarantinedKey[] {
    const named = [...this.#watched.values()].filter(({ source }) => name === undefined || source.resource === name)
    return named.flatMap(({ source, store }) => store.quarantined(source.resource, limit))
  }

  /** When each source was last scanned to its end, and will be next. */
  times(): { resource: string; last: Date | undefined; next: Date | undefined }[] {
    return [...this.#watched.values()].map(({ source, store }) => ({ resource: source.resource, last: store.scanned(), next: store.due() }))
  }

  #release(): void {
    this.#options.open.delete(this)
    for (const { source, schedule, store } of this.#watched.values()) {
      this.#options.requests.delete(source.resource)
      schedule.stop()
      store.close()
    }
  }

  async #runScans(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const due = [...this.#watched.values()].find((watched) => isReady(watched))
      if (due) await this.#scanOne(due)
      else await this.#scanDue.wait(1_000, signal)
    }
  }

  async #scanOne(watched: Watched): Promise<void> {
    const { source, schedule, backoff } = watched
    const started = performance.now()
    try {
      const { rows, changed } = await this.#scan(watched)
      schedule.done()
      backoff.reset()
      const seconds = Number(((performance.now() - started) / 1000).toFixed(1))
      this.#options.logger.info({ resource: source.resource, rows, changed, seconds }, `${source.capture} scan complete`)
    } catch (error) {
      if (this.#closing.signal.aborted || error instanceof ScanStopped) return
      watched.failure = codedError(error)
      watched.heldUntil = performance.now() + backoff.next()
      this.#options.logger.warn({ resource: source.resource, err: watched.failure }, 'scan failed')
    } finally {
      await this.#scanReading?.close()
      this.#scanReading = undefined
    }
  }

  async #scan({ source, store, memory }: Watched): Promise<ScanResult> {
    const reading = (this.#scanReading = await this.#database.openReading())
    const { signal } = this.#closing
    const scan = new Scan(store, { signal, queued: () => this.#queued.fire(), rowsPerSecond: source.scan!.rowsPerSecond })
    if (memory instanceof Fingerprints) return compareTable(reading, source, store, memory, scan)
    return scanWatermark(reading, source, store, memory, scan)
  }
}

/** A scan waits while a snapshot is sent, which tells of every row. */
function isReady({ schedule, store, heldUntil }: Watched): boolean {
  return heldUntil <= performance.now() && schedule.due && store.state().snapshot === null
}
