/** Delivery into a folder: each route has a store of its own in the data folder, and writes its own files. */
import { QianzhiError } from '../../protocol/errors.ts'
import type { Applied, Change, Delivery, FolderSettings, Part, Prepared, Removal, Replayed, SinkState, SinkTable } from '../database.ts'
import type { DeliveredFiles, OpenDelivered } from './store/delivered.ts'
import { requireFolder } from './store/owner.ts'
import { removeRoute, settleRemovals } from './removal.ts'

const kinds: Record<NonNullable<SinkTable['files']>['contents'], OpenDelivered> = {
  rows: async (sink, folder) => new (await import('./rows/sink.ts')).RowSink(sink, folder),
  any: async (sink, folder) => new (await import('./files/sink.ts')).FileSink(sink, folder),
  batches: async (sink, folder) => new (await import('../gaps/batch-sink.ts')).BatchSink(sink, folder),
}

export async function openFolderDelivery(folder: FolderSettings): Promise<Delivery> {
  return new FolderDelivery(folder)
}

class FolderDelivery implements Delivery {
  readonly #folder: FolderSettings
  readonly #routes = new Map<string, DeliveredFiles>()

  constructor(folder: FolderSettings) {
    this.#folder = folder
  }

  async open(sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null }> {
    await requireFolder(this.#folder)
    await this.#close(sink.route)
    const route = await kinds[sink.files!.contents](sink, this.#folder)
    this.#routes.set(sink.route, route)
    return route.open()
  }

  #of({ route }: SinkTable): DeliveredFiles {
    const open = this.#routes.get(route)
    if (!open) throw new QianzhiError('QZ-INTERNAL', { reason: { zh: `路由 ${route} 未打开`, en: `route ${route} is not open` } })
    return open
  }

  beginShadow(sink: SinkTable): Promise<void> {
    return this.#of(sink).beginShadow()
  }

  async swap(sink: SinkTable): Promise<undefined> {
    await this.#of(sink).swap()
  }

  prepare(sink: SinkTable, change: Change): Prepared {
    return this.#of(sink).prepare(change)
  }

  apply(sink: SinkTable, part: Part, prepared: Prepared): Promise<Applied> {
    return this.#of(sink).apply(part, prepared)
  }

  replay(sink: SinkTable, part: Part): Promise<Replayed> {
    return this.#of(sink).replay(part)
  }

  async remove(route: string): Promise<Removal | null> {
    await this.#close(route)
    return removeRoute(route, this.#folder)
  }

  async settleRemovals(wanted: readonly string[]): Promise<void> {
    settleRemovals(wanted, this.#folder)
  }

  async check(): Promise<void> {
    await requireFolder(this.#folder)
    for (const route of this.#routes.values()) await route.check()
  }

  async close(): Promise<void> {
    for (const route of this.#routes.keys()) await this.#close(route)
  }

  async #close(route: string): Promise<void> {
    const opened = this.#routes.get(route)
    this.#routes.delete(route)
    await opened?.close()
  }
}
