import type { Position, ChainPosition } from '../protocol/position.ts'

/**
 * The contract of the batch log: one ordered sequence of batches per stream (a resource). It is never in one transaction with the
 * registry, so that it can move to another engine. Delivery rule: store durably, then answer, then tell those who wait.
 */
export interface StoredBatch {
  epoch: number
  seq: number
  /** SHA-256 of the manifest JWS. */
  hash: string
  /** The container as it came. */
  bytes: Buffer
}

export interface NewBatch extends StoredBatch {
  resource: string
  rows: number
  /** Snapshot marks of the manifest. */
  snapshot?: { began: number; last: boolean }
  /** The hub's signed receipt, kept to answer a repeat. */
  receipt: string
}

/** What the log knows of a batch without its bytes. */
export interface ListedBatch extends ChainPosition {
  rows: number
  /** Snapshot marks of the manifest. */
  snapshot?: { began: number; last: boolean }
  /** The hub's signed receipt: names the producer and the time of acceptance. */
  receipt: string
}

/** Where snapshots lie in a stream. */
export interface SnapshotPlace {
  began: Position
  /** Null while it is under way. */
  ended: Position | null
}

export interface LogState {
  /** Newest batch, or null for an empty stream. */
  head: ChainPosition | null
  /** Oldest batch still held. */
  first: Position | null
  /** Newest complete snapshot and newest begun one (the same where it is complete). */
  complete: SnapshotPlace | null
  begun: SnapshotPlace | null
  /** Encoded bytes from the beginning to the end of the newest complete snapshot, and of what came after its end. */
  snapshotBytes: number
  bytesSince: number
}

export interface Log {
  /**
   * Appends durably if the stream's head is `expected` (compare-and-set), also among several hub processes. A repeat of the head's
   * manifest hash appends nothing.
   * @returns the receipt in force for this batch: the given one, or the first one where it was there already; or the head that was
   * found instead.
   */
  append(batch: NewBatch, expected: ChainPosition | null): Promise<{ receipt: string } | { head: ChainPosition | null }>
  state(resource: string): Promise<LogState>
  /** Receipt of a batch that is in the log with this very hash. */
  receipt(resource: string, position: ChainPosition): Promise<string | undefined>
  /** True where this exact batch is in the log. */
  has(resource: string, position: ChainPosition): Promise<boolean>
  /** Batches after a place, in order, of at most `bytes` in all but at least one if there is any. */
  read(resource: string, after: Position | null, bytes: number): Promise<StoredBatch[]>
  /** The same batches without their bytes, at most `most`: what a consumer asks that keeps account of a stream behind a bookmark. */
  list(resource: string, after: Position | null, most: number): Promise<ListedBatch[]>
  /** Heads of several streams at once; a stream without batches has none. */
  heads(resources: readonly string[]): Promise<Map<string, ChainPosition>>
  /** Forgets batches before a place, of these only the ones stored before a time if one is given. The head stays known. @returns how many. */
  trim(resource: string, before: Position, storedBefore?: Date): Promise<number>
}
