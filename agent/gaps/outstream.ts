import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beginsSnapshot, splitBatch, trustedManifest } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { comparePositions, isAfter, showPosition, type Position, type ChainPosition } from '../../protocol/position.ts'
import type { StoredReceipt } from '../../protocol/receipt.ts'
import type { GapCopyRules } from '../database.ts'
import { SinkStore } from '../folders/store/sink-store.ts'
import { GapCopies } from './copies.ts'
import { exportBatch } from './export.ts'
import { clearTemporaries, folderOf } from './files.ts'

/** Batches after which copies are looked through. */
const pruneEvery = 64
const tables = `
  create table if not exists gap_head (one integer primary key check (one = 1), epoch integer not null, seq integer not null, hash text not null);
  create table if not exists gap_unwritten (epoch integer not null, seq integer not null, primary key (epoch, seq));
  create table if not exists gap_stored (one integer primary key check (one = 1), epoch integer not null, seq integer not null, hash text not null)`

/**
 * One stream that an agent inside a one-way gap sends out. It is remembered in the data folder before a file shows: a file that was seen
 * can never be taken back, so what follows a crash goes on from it.
 */
export class GapOutstream {
  readonly #store: SinkStore
  readonly #path: string
  readonly #rules: GapCopyRules
  readonly copies: GapCopies
  #sincePruned = 0
  #cleared = false

  constructor({ data, out, resource, copies }: { data: string; out: string; resource: string; copies: GapCopyRules }) {
    this.#path = folderOf(out, resource)
    this.#rules = copies
    this.#store = openOutstream(data, resource)
    this.#store.make(tables)
    this.copies = new GapCopies(this.#store)
  }

  /** What was written last, or what the hub has of this stream beyond that. */
  get head(): ChainPosition | null {
    const [own, stored] = [this.#position('gap_head'), this.#position('gap_stored')]
    return stored && isAfter(stored, own) ? stored : own
  }

  #position(table: 'gap_head' | 'gap_stored'): ChainPosition | null {
    const row = this.#store.get(`select * from ${table}`)
    return row ? { epoch: Number(row['epoch']), seq: Number(row['seq']), hash: String(row['hash']) } : null
  }

  /** Writes a batch that follows. The same again changes nothing. Throws QZ-BATCH-HEAD where it does not follow: the stream begins anew then. */
  async write(bytes: Buffer): Promise<ChainPosition> {
    const sealed = splitBatch(bytes)
    const manifest = trustedManifest(sealed)
    const { epoch, seq, prev } = manifest
    const [at, head] = [{ epoch, seq, hash: sealed.hash }, this.head]
    if (head?.hash !== sealed.hash) {
      const follows = head?.epoch === epoch ? head.seq + 1 === seq && head.hash === prev : seq === 1 && isAfter(at, head)
      if (!follows) throw new QianzhiError('QZ-BATCH-HEAD', { position: showPosition(at), head: showPosition(head) })
      this.#store.transaction(() => {
        this.copies.keep({ ...at, bytes }, beginsSnapshot(manifest))
        this.#store.run('insert or replace into gap_head (one, epoch, seq, hash) values (1, ?, ?, ?)', epoch, seq, sealed.hash)
        this.#store.run('insert into gap_unwritten (epoch, seq) values (?, ?)', epoch, seq)
      })
    }
    await this.flush()
    return at
  }

  /** Writes the files that a crash, or a full disk, kept from being written. */
  async flush(): Promise<void> {
    if (!this.#cleared) await clearTemporaries(this.#path)
    this.#cleared = true
    for (const row of this.#store.all('select epoch, seq from gap_unwritten order by epoch, seq')) {
      const place = { epoch: Number(row['epoch']), seq: Number(row['seq']) }
      await exportBatch(this.copies, this.#path, place)
      this.#store.run('delete from gap_unwritten where epoch = ? and seq = ?', place.epoch, place.seq)
      this.#sincePruned++
    }
    if (this.#sincePruned < pruneEvery) return
    this.#sincePruned = 0
    this.#store.transaction(() => this.copies.prune(this.#rules))
  }

  /** Own batches after a place, as far as there are copies of them. */
  own(after: Position, bytes: number): Buffer[] {
    const found: Buffer[] = []
    let size = 0
    for (const place of this.copies.after(after)) {
      const copy = this.copies.copy(place)
      if (!copy || size > bytes) break
      found.push(copy.bytes)
      size += copy.bytes.length
    }
    return found
  }

  /** The hub has this batch. What it has beyond what is known here was sent by an older self of this machine. */
  stored({ epoch, seq, hash, time }: StoredReceipt): void {
    this.#store.transaction(() => {
      const before = this.#position('gap_stored')
      if (before && comparePositions(before, { epoch, seq }) >= 0) return
      this.#store.run('insert or replace into gap_stored (one, epoch, seq, hash) values (1, ?, ?, ?)', epoch, seq, hash)
      this.copies.confirm({ epoch, seq, hash, time })
    })
  }

  /** The next batch begins a new epoch. */
  forgetHead(): void {
    this.#store.run('delete from gap_head')
    this.#store.run('delete from gap_stored')
  }

  close(): void {
    this.#store.close()
  }
}

function gapFolder(data: string): string {
  return join(data, 'gaps')
}

export function openOutstream(data: string, resource: string): SinkStore {
  mkdirSync(gapFolder(data), { recursive: true, mode: 0o700 })
  return new SinkStore(join(gapFolder(data), `${encodeURIComponent(resource)}.sqlite`))
}

/** Whether a resource was ever sent out here. */
export function isSentOut(data: string, resource: string): boolean {
  return existsSync(join(gapFolder(data), `${encodeURIComponent(resource)}.sqlite`))
}
