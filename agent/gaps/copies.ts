import type { SQLInputValue } from 'node:sqlite'
import type { GapCopyRules } from '../database.ts'
import type { PlaceRange } from '../../protocol/gap.ts'
import { isAfter, type Position, type ChainPosition } from '../../protocol/position.ts'
import { steadyClock } from '../runtime/steady-clock.ts'

/** What of a store is used here: `SinkStore`, whose calls may stand in its transactions. */
interface Store {
  make(sql: string): void
  get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined
  all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[]
  run(sql: string, ...values: SQLInputValue[]): number
}

const tables = `
  create table if not exists gap_copy (
    epoch integer not null, seq integer not null, hash text not null, begins integer not null, size integer not null, at integer not null,
    bytes blob not null, primary key (epoch, seq));
  create table if not exists gap_confirmed (
    one integer primary key check (one = 1), epoch integer not null, seq integer not null, hash text not null, time text not null)`

export interface Copy extends ChainPosition {
  bytes: Buffer
}

/** What the inside said last of how far it has applied a route. */
export interface Confirmed extends ChainPosition {
  /** The inner machine's own. */
  time: string
}

const day = 86_400_000

/**
 * Copies of the batches that were written into a gap's folder, so that what was lost on the way can be written again: until the inside
 * says that it has applied them, for so many days and up to so many bytes.
 */
export class GapCopies {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
    store.make(tables)
  }

  /** `begins`: the batch begins a snapshot. */
  keep({ epoch, seq, hash, bytes }: Copy, begins: boolean): void {
    this.#store.run(
      'insert or replace into gap_copy (epoch, seq, hash, begins, size, at, bytes) values (?, ?, ?, ?, ?, ?, ?)',
      epoch,
      seq,
      hash,
      begins ? 1 : 0,
      bytes.length,
      Date.now(),
      bytes,
    )
  }

  /** Places of the copies from one place of an epoch to another. */
  places(epoch: number, from: number, to: number): Position[] {
    const rows = this.#store.all('select epoch, seq from gap_copy where epoch = ? and seq between ? and ? order by seq', epoch, from, to)
    return rows.map(placeIn)
  }

  /** Places of all copies after a place. */
  after({ epoch, seq }: Position): Position[] {
    return this.#store.all('select epoch, seq from gap_copy where (epoch, seq) > (?, ?) order by epoch, seq', epoch, seq).map(placeIn)
  }

  copy({ epoch, seq }: Position): Copy | undefined {
    const row = this.#store.get('select * from gap_copy where epoch = ? and seq = ?', epoch, seq)
    return row && { ...placeIn(row), hash: String(row['hash']), bytes: Buffer.from(row['bytes'] as Uint8Array) }
  }

  /** Where the newest snapshot begins that is later than `after` and of which all batches up to `tip` are here. */
  snapshotBegin(after: Position | null, tip: Position): Position | undefined {
    const row = this.#store.get(
      'select epoch, seq from gap_copy where begins = 1 and epoch = ? and seq <= ? order by seq desc limit 1',
      tip.epoch,
      tip.seq,
    )
    const began = row && placeIn(row)
    if (!began || (after && !(began.epoch > after.epoch || (began.epoch === after.epoch && began.seq > after.seq)))) return undefined
    return this.places(tip.epoch, began.seq, tip.seq).length === tip.seq - began.seq + 1 ? began : undefined
  }

  get confirmed(): Confirmed | undefined {
    const row = this.#store.get('select * from gap_confirmed')
    return row && { ...placeIn(row), hash: String(row['hash']), time: String(row['time']) }
  }

  /** Whether the other side has said, later than it asked for these, that it has them: the request has come twice, or very late. */
  hasConfirmed({ epoch, to }: PlaceRange, asked: string): boolean {
    const { confirmed } = this
    return confirmed !== undefined && confirmed.time > asked && !isAfter({ epoch, seq: to }, confirmed)
  }

  /** When the oldest batch that the inside has not confirmed was written; undefined where there is none. */
  get oldest(): Date | undefined {
    const { epoch, seq } = this.confirmed ?? { epoch: 0, seq: 0 }
    const row = this.#store.get('select min(at) as at from gap_copy where (epoch, seq) > (?, ?)', epoch, seq)
    return row?.['at'] == null ? undefined : new Date(Number(row['at']))
  }

  /**
   * Within a transaction: takes down the newest word of the inside, and lets go of what it has applied. @returns the places let go;
   * undefined where it is no news, or of another stream than the one that was written here.
   */
  confirm({ epoch, seq, hash, time }: Confirmed): Position[] | undefined {
    const before = this.confirmed
    if (before && before.time >= time) return undefined
    const copy = this.#store.get('select hash from gap_copy where epoch = ? and seq = ?', epoch, seq)
    if (copy && copy['hash'] !== hash) return undefined
    this.#store.run('insert or replace into gap_confirmed (one, epoch, seq, hash, time) values (1, ?, ?, ?, ?)', epoch, seq, hash, time)
    const gone = this.#store.all('select epoch, seq from gap_copy where (epoch, seq) <= (?, ?)', epoch, seq).map(placeIn)
    this.#store.run('delete from gap_copy where (epoch, seq) <= (?, ?)', epoch, seq)
    return gone
  }

  /** Within a transaction: lets go of what is older than the rules say, and of the oldest beyond their bytes. @returns those too old. */
  prune({ days, bytes }: GapCopyRules): Position[] {
    const old = steadyClock.now() - days * day
    const gone = this.#store.all('select epoch, seq from gap_copy where at < ?', old).map(placeIn)
    if (gone.length > 0) this.#store.run('delete from gap_copy where at < ?', old)
    let over = Number(this.#store.get('select coalesce(sum(size), 0) as size from gap_copy')!['size']) - bytes
    if (over <= 0) return gone
    for (const row of this.#store.all('select epoch, seq, size from gap_copy order by epoch, seq')) {
      if (over <= 0) break
      this.#store.run('delete from gap_copy where epoch = ? and seq = ?', Number(row['epoch']), Number(row['seq']))
      over -= Number(row['size'])
    }
    return gone
  }
}

function placeIn(row: Record<string, unknown>): Position {
  return { epoch: Number(row['epoch']), seq: Number(row['seq']) }
}
