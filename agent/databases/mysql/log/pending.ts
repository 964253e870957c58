/** What was read of the log and is not queued yet. */
import type { SourceTable } from '../../../database.ts'
import type { Place, Reads } from './events.ts'

/** Keys that are kept in memory at most before the server is kept waiting; where it cannot be, a mark takes their place. */
export const mostPending = 50_000
const mostKept = 1_000_000

/** Where reading can begin again: the file's time of making is part of it. */
export type Boundary = Place & { made: number }

/** What one source's queue is fed by. */
export interface Feed {
  source: SourceTable
  database: string
  table: string
  /** Places and types of the key's columns as the table is now; undefined where it is not there, or its keys cannot be told. */
  key: Reads<Feed>['key']
}

/** Keys, and what is a mark instead. */
export class Keys {
  readonly keys = new Map<Feed, Map<string, readonly string[]>>()
  readonly marks = new Set<Feed>()
  count = 0

  key(feed: Feed, key: readonly string[]): void {
    if (this.marks.has(feed) && this.count > mostPending) return
    let known = this.keys.get(feed)
    if (!known) this.keys.set(feed, (known = new Map()))
    const before = known.size
    known.set(key.join('\0'), key)
    this.count += known.size - before
    if (this.count > mostKept) this.#giveUp()
  }

  #giveUp(): void {
    for (const feed of this.keys.keys()) this.marks.add(feed)
    this.keys.clear()
    this.count = 0
  }

  add(other: Keys): void {
    for (const [feed, keys] of other.keys) for (const key of keys.values()) this.key(feed, key)
    for (const feed of other.marks) this.marks.add(feed)
  }
}

/** What was read and is not queued yet. */
export class Pending extends Keys {
  /** Prepared transactions whose end was read. */
  readonly ended = new Set<string>()
  /** Behind the last transaction that is wholly in here, or was before. */
  end: (Boundary & { resume: Boundary }) | undefined

  get empty(): boolean {
    return this.count === 0 && this.marks.size === 0
  }
}

export interface Branch {
  keys: Keys
  /** Where its first event stands: reading begins there again while it is prepared. */
  from: Boundary
}
