/**
 * The rows of a route that is delivered into a folder as files of rows: what a delivered table is to other sinks. Each part has its rows
 * under its generation, in the order of their keys. Beside them stand the changes that the next file of increments will hold.
 */
import { maxKept, type Applied, type Part, type Replayed, type Row, type SinkTable } from '../../database.ts'
import type { Position } from '../../../protocol/position.ts'
import { keyOrder } from './key-order.ts'
import { RowBatches, type KeptRow, type OrderedChange, type RefusedRow, type RowBatch } from './batch.ts'
import type { OutputState } from './output-state.ts'
import type { SinkStore } from '../store/sink-store.ts'

const tables = `
  create table if not exists row (
    generation integer not null, key blob not null, row text not null, epoch integer not null, seq integer not null,
    deleted integer not null default 0, primary key (generation, key)) without rowid;
  create temp table if not exists kept (key blob primary key) without rowid`

interface Stored {
  row: string
  deleted: number
}

export class RowStore {
  readonly #store: SinkStore
  readonly #sink: SinkTable
  readonly #batches: RowBatches
  readonly #output: OutputState

  constructor(store: SinkStore, sink: SinkTable, batches: RowBatches, output: OutputState) {
    this.#store = store
    this.#sink = sink
    this.#batches = batches
    this.#output = output
    store.make(tables)
  }

  begin(part: Part): void {
    this.#store.transaction(() => this.#drop(this.#store.begin(part, this.#sink)))
  }

  swap(): void {
    this.#store.transaction(() => {
      this.#drop(this.#store.swap())
      this.#output.swapped()
    })
  }

  #drop(generation: number | undefined): void {
    if (generation !== undefined) this.#store.run('delete from row where generation = ?', generation)
  }

  /** In one transaction, with the position. Throws QZ-CHAIN-BROKEN. */
  apply(part: Part, { change, changes, faults }: RowBatch): Applied {
    const store = this.#store
    return store.transaction(() => {
      store.move(part, change)
      const generation = store.generation(part)
      const live = part === 'live'
      const counts = this.#write(generation, changes, change.to, live)
      const quarantined = this.#quarantine(generation, faults, change.to)
      if (change.snapshot?.last) counts.deleted += this.#removeOlder(generation, change.snapshot.began, live)
      this.#output.applied(part, change)
      this.#output.settle()
      return { ...counts, quarantined, quarantine: store.countAside(generation) }
    })
  }

  #write(generation: number, changes: readonly OrderedChange[], place: Position, live: boolean): { written: number; deleted: number } {
    const counts = { written: 0, deleted: 0 }
    const aside = this.#store.countAside(generation) > 0
    for (const change of changes) {
      if (aside) this.#store.clear(generation, change.key)
      const stored = this.#stored(generation, change.order)
      if (change.op === 'u') {
        this.#upsert(generation, change, stored, place, live)
        counts.written++
      } else if (stored && stored.deleted === 0) {
        this.#delete(generation, change, stored, place, live)
        counts.deleted++
      }
    }
    return counts
  }

  #stored(generation: number, order: Buffer): Stored | undefined {
    return this.#store.get('select row, deleted from row where generation = ? and key = ?', generation, order) as Stored | undefined
  }

  #upsert(generation: number, { order, text }: OrderedChange, stored: Stored | undefined, { epoch, seq }: Position, live: boolean): void {
    this.#store.run(
      'insert or replace into row (generation, key, row, epoch, seq) values (?, ?, ?, ?, ?)',
      generation,
      order,
      text,
      epoch,
      seq,
    )
    if (live && (stored?.row !== text || stored.deleted === 1)) this.#output.note(order, 'u', text)
  }

  /** A row that is only marked keeps its values. */
  #delete(
    generation: number,
    { order, text }: Pick<OrderedChange, 'order' | 'text'>,
    { row }: Stored,
    { epoch, seq }: Position,
    live: boolean,
  ): void {
    const marks = this.#sink.deletes === 'mark'
    if (marks)
      this.#store.run('update row set deleted = 1, epoch = ?, seq = ? where generation = ? and key = ?', epoch, seq, generation, order)
    else this.#store.run('delete from row where generation = ? and key = ?', generation, order)
    if (live) this.#output.note(order, 'd', marks ? row : text)
  }

  /** Only so many rows are kept to be tried again. */
  #quarantine(generation: number, faults: readonly RefusedRow[], place: Position): number {
    let fresh = 0
    let room = faults.length === 0 ? 0 : maxKept - this.#store.countAside(generation)
    for (const { kept, ...fault } of faults) {
      const row = kept !== undefined && room-- > 0 ? kept : undefined
      if (this.#store.quarantine(generation, fault, row, place)) fresh++
    }
    return fresh
  }

  /** What a snapshot did not bring is gone from the source; rows that are set aside excepted, as long as the snapshot met them. */
  #removeOlder(generation: number, began: Position, live: boolean): number {
    const store = this.#store
    store.forgetOlder(generation, began)
    store.run('delete from temp.kept')
    for (const { key } of store.all('select key from quarantine where generation = ?', generation))
      store.run('insert or ignore into temp.kept values (?)', keyOrder(JSON.parse(String(key)) as Row))
    const older = `generation = ? and (epoch, seq) < (?, ?) and deleted = 0 and not exists (select 1 from temp.kept k where k.key = row.key)`
    const values = [generation, began.epoch, began.seq]
    if (live) {
      for (const found of store.statement(`select key, row from row where ${older}`).iterate(...values)) {
        const row = String(found['row'])
        this.#output.note(found['key'] as Uint8Array, 'd', this.#sink.deletes === 'mark' ? row : this.#keyAlone(row))
        // Of all others nothing more is to be noted.
        if (!this.#output.keepsChanges) break
      }
    }
    if (this.#sink.deletes === 'remove') return store.run(`delete from row where ${older}`, ...values)
    return store.run(`update row set deleted = 1 where ${older}`, ...values)
  }

  #keyAlone(row: string): string {
    return JSON.stringify(this.#batches.keyAlone(JSON.parse(row) as Row))
  }

  /** In one transaction: rows that were set aside, each with the position of its own batch. */
  replay(part: Part): Replayed {
    const store = this.#store
    return store.transaction(() => {
      const generation = store.generation(part)
      const kept = store.all('select key, row, epoch, seq from quarantine where generation = ? and row is not null', generation)
      let applied = 0
      for (const entry of kept) {
        const key = JSON.parse(String(entry['key'])) as Row
        const place = { epoch: Number(entry['epoch']), seq: Number(entry['seq']) }
        const row = JSON.parse(String(entry['row'])) as KeptRow
        const found = this.#batches.again(key, row)
        if ('code' in found) {
          store.quarantine(generation, found, row, place)
          continue
        }
        store.clear(generation, key)
        this.#write(generation, [{ ...found, order: keyOrder(key), text: JSON.stringify(found.row) }], place, part === 'live')
        applied++
      }
      this.#output.settle()
      return { tried: kept.length, applied, quarantine: store.countAside(generation) }
    })
  }
}
