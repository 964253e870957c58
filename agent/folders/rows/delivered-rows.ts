import { QianzhiError } from '../../../protocol/errors.ts'
import type { FolderSettings, Row, Rows, SourceTable } from '../../database.ts'
import { keyOrder } from './key-order.ts'
import { SinkStore } from '../store/sink-store.ts'
import type { RememberedRows } from '../remembered-rows.ts'

/** The rows of a route that is delivered here as files of rows, without those that are only marked as deleted. */
export class DeliveredRows implements RememberedRows {
  readonly #folder: FolderSettings
  readonly #source: SourceTable

  private constructor(folder: FolderSettings, source: SourceTable) {
    this.#folder = folder
    this.#source = source
  }

  /** Undefined where nothing was delivered. */
  static open(folder: FolderSettings, source: SourceTable): DeliveredRows | undefined {
    const rows = new DeliveredRows(folder, source)
    return rows.#read(() => rows)
  }

  /** Each call sees the rows as they are then. */
  #read<T>(work: (store: SinkStore, generation: number, places: readonly number[]) => T): T | undefined {
    const store = SinkStore.read(this.#folder, this.#source.route!)
    if (!store) return undefined
    try {
      const live = store.has('row') ? store.state('live') : undefined
      if (!live) return undefined
      const order = live.items.toSorted()
      const places = this.#source.columns.map(({ item }) => order.indexOf(item.id))
      if (places.includes(-1))
        throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason: { zh: '正在重新填充', en: 'it is being filled anew' } })
      return work(store, store.generation('live'), places)
    } finally {
      store.close()
    }
  }

  rowsByKeys(keys: readonly Row[]): Rows {
    const found = this.#read((store, generation, places) =>
      keys.flatMap((key) => {
        const entry = store.get('select row from row where generation = ? and key = ? and deleted = 0', generation, keyOrder(key))
        return entry ? [rowOf(entry, places)] : []
      }),
    )
    return { rows: found ?? [], faults: [] }
  }

  rowsAfter(after: Row | null, limit: number): Rows & { last: Row | null } {
    const { columns } = this.#source
    const rows = this.#read((store, generation, places) =>
      store
        .all(
          'select row from row where generation = ? and key > ? and deleted = 0 order by key limit ?',
          generation,
          after === null ? Buffer.alloc(0) : keyOrder(after),
          limit,
        )
        .map((entry) => rowOf(entry, places)),
    )
    const last = rows?.at(-1)
    return { rows: rows ?? [], faults: [], last: last ? columns.flatMap(({ item }, i) => (item.key ? [last[i]!] : [])) : null }
  }

  count(): number {
    return (
      this.#read((store, generation) =>
        Number(store.get('select count(*) as rows from row where generation = ? and deleted = 0', generation)!['rows']),
      ) ?? 0
    )
  }

  close(): void {}
}

function rowOf({ row }: Record<string, unknown>, places: readonly number[]): Row {
  const stored = JSON.parse(String(row)) as Row
  return places.map((place) => stored[place]!)
}
