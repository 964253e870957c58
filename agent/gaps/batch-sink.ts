/**
 * One route written into a folder as the signed batches that came, for an agent behind a one-way gap: `ROUTE/EPOCH-SEQ.qzb`. A file is on
 * disk before the route's position moves, so a crash writes it again; a copy moves with the position, for what is lost on the way.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Applied, Change, FolderSettings, Part, Prepared, Replayed, SinkState, SinkTable } from '../database.ts'
import { GapCopies } from './copies.ts'
import { batchFileName, clearTemporaries, folderOf, putFile } from './files.ts'
import type { Position } from '../../protocol/position.ts'
import type { DeliveredFiles } from '../folders/store/delivered.ts'
import { requireFolder, unreachable } from '../folders/store/owner.ts'
import { SinkStore } from '../folders/store/sink-store.ts'

/** Batches after which copies are looked through. */
const pruneEvery = 64

export class BatchSink implements DeliveredFiles {
  readonly #sink: SinkTable
  readonly #folder: FolderSettings
  readonly #path: string
  readonly #store: SinkStore
  readonly #copies: GapCopies
  #sincePruned = 0

  constructor(sink: SinkTable, folder: FolderSettings) {
    this.#sink = sink
    this.#folder = folder
    this.#path = folderOf(folder.path, sink.route)
    this.#store = SinkStore.open(folder, sink.route)
    this.#copies = new GapCopies(this.#store)
  }

  async open(): Promise<{ live: SinkState; shadow: SinkState | null }> {
    await this.#make()
    if (!this.#store.state('live')) this.#store.transaction(() => this.#store.begin('live', this.#sink))
    await this.#prune()
    return { live: this.#store.state('live')!, shadow: this.#store.state('shadow') ?? null }
  }

  async #make(): Promise<void> {
    try {
      await mkdir(this.#path, { recursive: true })
      await clearTemporaries(this.#path)
    } catch (error) {
      throw unreachable(this.#folder.path, error)
    }
  }

  /** Its batches are written beside, and in the place of, those of the live part: they have more items, or others. */
  async beginShadow(): Promise<void> {
    this.#store.transaction(() => this.#store.begin('shadow', this.#sink))
  }

  async swap(): Promise<void> {
    this.#store.transaction(() => this.#store.swap())
  }

  prepare(change: Change): Prepared {
    return { change }
  }

  async apply(part: Part, { change }: Prepared): Promise<Applied> {
    const { to, bytes, snapshot, rows } = change
    if (!bytes) throw new QianzhiError('QZ-INTERNAL', { reason: { zh: '收到的原批次已不在', en: 'the batch as it came is not there' } })
    const name = batchFileName(to)
    await requireFolder(this.#folder)
    try {
      await putFile(join(this.#path, name), bytes)
    } catch (error) {
      throw unreachable(this.#folder.path, error)
    }
    this.#store.transaction(() => {
      this.#store.move(part, change)
      this.#copies.keep({ ...to, bytes }, snapshot?.began.seq === to.seq)
      this.#store.run('insert or ignore into written (file) values (?)', `${this.#sink.route}/${name}`)
    })
    if (++this.#sincePruned >= pruneEvery) await this.#prune()
    return { written: rows, deleted: 0, quarantined: 0, quarantine: 0 }
  }

  async #prune(): Promise<void> {
    this.#sincePruned = 0
    const gone = this.#store.transaction(() => this.#copies.prune(this.#sink.files!.copies!))
    await takeAway(this.#store, this.#path, this.#sink.route, gone)
  }

  /** No row is looked at here: none is ever set aside. */
  async replay(): Promise<Replayed> {
    return { tried: 0, applied: 0, quarantine: 0 }
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {
    this.#store.close()
  }
}

/** Removes files that nobody needs any more; a gap may have taken them long ago. */
export async function takeAway(store: SinkStore, path: string, route: string, places: readonly Position[]): Promise<void> {
  for (const place of places) {
    const name = batchFileName(place)
    await rm(join(path, name), { force: true }).catch(() => undefined)
    store.run('delete from written where file = ?', `${route}/${name}`)
  }
}
