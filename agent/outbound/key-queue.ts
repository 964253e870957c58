import type { Capture, Row, RowBlocks, SourceTable } from '../database.ts'
import type { DrainWaiters } from './drain-waiters.ts'

/** Keys of queue entries that are read in parts, and whether deletes among them wait. */
interface Taken {
  keys: Row[]
  entries: string[]
  waits: boolean
}

const maxRows = 10_000
/** Takes of 10,000 keys after which what is still queued is sent like any change: an end is needed where writers never rest. */
const maxToDrop = 200
/** Entries whose deletes wait beyond which the stream's other changes wait too: each look at the queue passes over them. */
const maxWaiting = 20_000

/**
 * The keys in one stream's queue on their way: taken, read in parts, sent. Their entries stay in the queue until what they led to is
 * recorded; until then, and while their deletes wait, they are not taken again.
 */
export class KeyQueue {
  readonly #capture: Capture
  readonly #source: SourceTable
  readonly #drainWaiters: DrainWaiters
  #taken: Taken | undefined
  /** Entries that are not to be taken: those taken, those that travel, and the two below. */
  readonly #out = new Set<string>()
  /** Entries whose deletes wait. */
  #waiting: string[] = []
  /** Entries of which nothing is to be sent. */
  #done: string[] = []
  /** Whether the last take found no more than it took. */
  #tookAll = false

  constructor(capture: Capture, source: SourceTable, drainWaiters: DrainWaiters) {
    this.#capture = capture
    this.#source = source
    this.#drainWaiters = drainWaiters
  }

  /** Whether keys are taken that have not been read. */
  get isTaken(): boolean {
    return this.#taken !== undefined
  }

  /** Nothing is taken, travels or waits. */
  get isQuiet(): boolean {
    return !this.#taken && this.#out.size === 0
  }

  /** Nothing was queued, when it was looked at last, but what has been read since or waits. */
  get isAtEnd(): boolean {
    return this.#tookAll && !this.#taken
  }

  /** The next keys to be read; undefined where there are none, or where the source says that changes were not written down. */
  async next(limit: number, unseen: () => void): Promise<Row[] | undefined> {
    this.#taken ??= await this.#take(limit, unseen)
    return this.#taken?.keys.splice(0, limit)
  }

  /** The next rows without the making of a value, and the entries that are done with when they are recorded; undefined where `next` must do it. */
  async nextBlocks(limit: number): Promise<(RowBlocks & { entries: string[] }) | undefined> {
    if (this.#taken || this.#waiting.length > 0) return undefined
    const taken = await this.#capture.takeBlocks?.(this.#source, limit, this.#out)
    if (!taken) return undefined
    this.#took(taken.entries, taken.keys, limit)
    const { rows, columns } = taken
    return { rows, columns, entries: [...taken.entries, ...this.#done.splice(0)] }
  }

  #took(entries: readonly string[], keys: number, limit: number): void {
    for (const entry of entries) this.#out.add(entry)
    this.#tookAll = Math.max(keys, entries.length) < limit
    if (this.#tookAll) this.sawEnd()
  }

  async #take(limit: number, unseen: () => void): Promise<Taken | undefined> {
    if (this.#waiting.length > maxWaiting) return undefined
    const { keys, entries, marked } = await this.#capture.take(this.#source, limit, this.#out)
    if (marked) {
      await this.#capture.mark(this.#source, { snapshot: 'needed', entries })
      unseen()
      return undefined
    }
    this.#took(entries, keys.length, limit)
    if (entries.length === 0) return undefined
    return { keys, entries, waits: false }
  }

  /** Nothing is in the queue but what is taken, travels or waits. */
  sawEnd(): void {
    this.#drainWaiters.sawEnd(this.#out)
  }

  /** Deletes among the keys just read wait: so do their entries. */
  wait(): void {
    if (this.#taken) this.#taken.waits = true
  }

  /** The keys of `next` are read. @returns the entries that are done with when what they led to is recorded. */
  read(travels: boolean): string[] {
    const taken = this.#taken
    if (!taken || taken.keys.length > 0) return []
    this.#taken = undefined
    if (taken.waits) this.#waiting.push(...taken.entries)
    else this.#done.push(...taken.entries)
    return travels ? this.#done.splice(0) : []
  }

  recorded(entries: readonly string[]): void {
    for (const entry of entries) this.#out.delete(entry)
  }

  /** Entries of which nothing is to be sent leave the queue. Not before all that was read is recorded, or a crash would lose it. @returns them. */
  async finish(): Promise<string[]> {
    if (this.#done.length === 0) return []
    const done = this.#done.splice(0)
    await this.#capture.mark(this.#source, { entries: done })
    this.recorded(done)
    return done
  }

  /** Entries whose deletes waited are taken again. */
  letGo(): void {
    this.#tookAll = false
    this.recorded(this.#waiting.splice(0))
  }

  /** What was queued before a snapshot's first read need not travel on its own: the snapshot reads those rows after it. */
  async drop(): Promise<void> {
    this.recorded([...(this.#taken?.entries ?? []), ...this.#done.splice(0)])
    this.letGo()
    this.#taken = undefined
    this.#drainWaiters.forgot()
    for (let turn = 0; turn < maxToDrop; turn++) {
      const { entries, keys } = await this.#capture.take(this.#source, maxRows, this.#out)
      if (entries.length > 0) await this.#capture.mark(this.#source, { snapshot: 'needed', entries })
      if (keys.length < maxRows) return
    }
  }

  /** The queue was emptied, or all is read again. */
  forget(): void {
    this.#taken = undefined
    this.#tookAll = false
    this.#waiting = []
    this.#done = []
    this.#out.clear()
    this.#drainWaiters.forgot()
  }
}
