/** Reading files as rows beside the running lines, for a reconciliation or a look by hand: at a source, and where they were delivered. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { partValues } from '../../../protocol/files.ts'
import type { FolderSettings, Row, Rows, SourceTable } from '../../database.ts'
import { IndexReading, readPartKey } from './index.ts'
import { FolderTree, hashOf, readParts } from './read.ts'
import { FileRows, maxPartsAtOnce, type PartPlace } from './rows.ts'
import { printOf } from './walk.ts'
import { SinkStore } from '../store/sink-store.ts'
import { readSourceStore } from '../store/stores.ts'
import type { RememberedRows } from '../remembered-rows.ts'

/** The files of a source; undefined where nothing is remembered of it. */
export function readSuppliedFiles(folder: FolderSettings, source: SourceTable): RememberedRows | undefined {
  const store = readSourceStore(folder, source.resource)
  if (!store) return undefined
  const rows = new FileRows(source, new IndexReading(store), folderOf(folder))
  return {
    rowsByKeys: (keys) => rows.byKeys(keys),
    rowsAfter: (after, limit) => rows.after(after, Math.min(limit, maxPartsAtOnce)),
    count: () => rows.count(),
    close: () => store.close(),
  }
}

function folderOf(folder: FolderSettings) {
  return { folder, logger: folder.logger }
}

/** A part that came, of the version that lies in the folder. */
interface Delivered extends PartPlace {
  parts: number
  size: number
  modified: string
  sha256: string
}

const delivered = `
  select p.name, p.part, v.parts, v.size, v.modified, v.sha256 from file_part p
  join version v on v.generation = p.generation and v.name = p.name and v.sha256 = p.sha256
  join placed f on f.name = p.name and f.sha256 = p.sha256 where p.generation = ?`

/** The files of a route that was delivered here as they lie in the folder: of one that is not what it should be there is no row. */
export class DeliveredFileRows implements RememberedRows {
  readonly #folder: FolderSettings
  readonly #source: SourceTable
  readonly #tree: FolderTree
  /** The file that was verified last, and its print: undefined where it is not as it should be. */
  #verified: { name: string; sha256: string; print: string | undefined } | undefined

  private constructor(folder: FolderSettings, source: SourceTable) {
    this.#folder = folder
    this.#source = source
    this.#tree = new FolderTree(folder.path)
  }

  /** Undefined where the route is not delivered as files. */
  static open(folder: FolderSettings, source: SourceTable): DeliveredFileRows | undefined {
    const store = SinkStore.read(folder, source.route!)
    if (!store) return undefined
    const known = store.has('file_part')
    store.close()
    return known ? new DeliveredFileRows(folder, source) : undefined
  }

  #stored<T>(otherwise: T, work: (store: SinkStore, generation: number) => T): T {
    const store = SinkStore.read(this.#folder, this.#source.route!)
    if (!store) return otherwise
    try {
      return store.has('file_part') && store.state('live') ? work(store, store.generation('live')) : otherwise
    } finally {
      store.close()
    }
  }

  async rowsByKeys(keys: readonly Row[]): Promise<Rows> {
    const found = this.#stored<Delivered[]>([], (store, generation) =>
      keys.map(readPartKey).flatMap(({ name, part }) => {
        const row = store.get(`${delivered} and p.name = ? and p.part = ?`, generation, name, part)
        return row ? [deliveredOf(row)] : []
      }),
    )
    return { rows: await this.#rows(found), faults: [] }
  }

  async rowsAfter(after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    const { name, part } = after ? readPartKey(after) : { name: '', part: -1 }
    const most = Math.min(limit, maxPartsAtOnce)
    const found = this.#stored<Delivered[]>([], (store, generation) =>
      store
        .all(`${delivered} and (p.name, p.part) > (?, ?) order by p.name, p.part limit ?`, generation, name, part, most)
        .map(deliveredOf),
    )
    const last = found.at(-1)
    return { rows: await this.#rows(found), faults: [], last: last ? [last.name, String(last.part)] : null }
  }

  async #rows(found: readonly Delivered[]): Promise<Row[]> {
    const rows: Row[] = []
    for (const places of Map.groupBy(found, ({ name }) => name).values()) {
      const print = await this.#verify(places[0]!)
      if (print === undefined) continue
      const parts = places.map(({ part }) => part)
      const contents = await readParts(this.#tree, { ...places[0]!, print }, parts).catch(() => undefined)
      if (contents) places.forEach((place, i) => rows.push(this.#rowOf(place, contents[i]!)))
    }
    return rows
  }

  #rowOf(place: Delivered, content: Buffer): Row {
    const values = partValues(place, content)
    return this.#source.columns.map(({ item }) => values[item.id]!)
  }

  async #verify({ name, sha256, size }: Delivered): Promise<string | undefined> {
    const known = this.#verified
    if (known?.name === name && known.sha256 === sha256) return known.print
    const print = await this.#printIf(name, sha256, size)
    this.#verified = { name, sha256, print }
    return print
  }

  async #printIf(name: string, sha256: string, size: number): Promise<string | undefined> {
    try {
      const handle = await open(join(this.#folder.path, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        const stats = await handle.stat({ bigint: true })
        return Number(stats.size) === size && (await hashOf(handle, size)) === sha256 ? printOf(stats) : undefined
      } finally {
        await handle.close()
      }
    } catch {
      return undefined
    }
  }

  count(): number {
    return this.#stored(0, (store, generation) => Number(store.get(`select count(*) as rows from (${delivered})`, generation)!['rows']))
  }

  close(): void {}
}

function deliveredOf(row: Record<string, unknown>): Delivered {
  const { name, sha256, modified } = row as { name: string; sha256: string; modified: string }
  return { name, sha256, modified, part: Number(row['part']), parts: Number(row['parts']), size: Number(row['size']) }
}
