/**
 * A route whose rows are parts of files (protocol/files.ts), delivered as these files. The bytes of parts are gathered beside (part-files.ts)
 * and on disk before the position is; a file appears when it is whole and its SHA-256 is the signed one, by a rename (placement.ts).
 */
import { QianzhiError } from '../../../protocol/errors.ts'
import { fileItemIds, fileNameFault, isFileSchema, readPart, type FilePart } from '../../../protocol/files.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { samePosition, showPosition, type Position } from '../../../protocol/position.ts'
import type { ErrorCode } from '../../../protocol/errors.ts'
import {
  type Applied,
  type Change,
  type FolderSettings,
  type Part,
  type Prepared,
  type Replayed,
  type SinkState,
  type SinkTable,
} from '../../database.ts'
import { DeliveredParts } from './delivered-parts.ts'
import { PartFiles } from './part-files.ts'
import { TargetFolder } from './target-folder.ts'
import { fileKey, FilePlacement } from './placement.ts'
import type { DeliveredFiles } from '../store/delivered.ts'
import { requireFolder, unreachable } from '../store/owner.ts'
import { rememberedRoutes, SinkStore } from '../store/sink-store.ts'

/** What one row of a batch comes to. */
type Step =
  | { do: 'put'; part: FilePart; content: Buffer; held: boolean }
  | { do: 'remove'; name: string; part: number }
  | { do: 'set-aside'; name: string; code: ErrorCode; item?: string; reason?: LocalizedText }

interface Named {
  name: string
  sha256: string
}

interface PreparedParts extends Prepared {
  steps: Step[]
}

export class FileSink implements DeliveredFiles {
  readonly #sink: SinkTable
  readonly #folder: FolderSettings
  readonly #store: SinkStore
  readonly #parts: DeliveredParts
  readonly #files: PartFiles
  readonly #placing: TargetFolder
  readonly #settling: FilePlacement
  readonly #folds: boolean | undefined

  /** `folds`: whether the folder takes names that differ by case for the same; it is tried out where it is not given. */
  constructor(sink: SinkTable, folder: FolderSettings, { folds }: { folds?: boolean } = {}) {
    this.#sink = sink
    this.#folder = folder
    this.#folds = folds
    this.#store = SinkStore.open(folder, sink.route)
    this.#parts = new DeliveredParts(this.#store)
    this.#files = new PartFiles(folder.path, sink.route)
    this.#placing = new TargetFolder(folder.path)
    this.#settling = new FilePlacement({ store: this.#store, parts: this.#parts, files: this.#files, placing: this.#placing })
  }

  async open(): Promise<{ live: SinkState; shadow: SinkState | null }> {
    this.#checkSink()
    await this.#reached(async () => {
      await this.#files.prepare()
      await this.#placing.prepare(this.#files.folder, this.#folds)
      if (!this.#store.state('live')) this.#begin()
      await this.#files.sweep(this.#parts.held())
      await this.#settling.tryAgain(this.#store.generation('live'))
    })
    return { live: this.#store.state('live')!, shadow: this.#store.state('shadow') ?? null }
  }

  /** What an ended route of the resource has left in the folder is gone on with, as a table is. */
  #begin(): void {
    const { route, resource } = this.#sink
    const others = rememberedRoutes(this.#folder).filter((other) => other !== route)
    this.#store.transaction(() => {
      this.#store.begin('live', this.#sink)
      for (const other of others) {
        const ended = SinkStore.read(this.#folder, other)
        try {
          if (ended?.resource === resource) this.#parts.takeOver(ended)
        } finally {
          ended?.close()
        }
      }
    })
  }

  #checkSink(): void {
    const { schema, columns, deletes, table } = this.#sink
    const reason = !isFileSchema(schema)
      ? { zh: '资源的信息项不是文件资源的信息项', en: 'the items of the resource are not those of a file resource' }
      : columns.length < schema.items.length
        ? { zh: '文件资源的全部信息项均须获得授权', en: 'all items of a file resource must be granted' }
        : deletes === 'mark'
          ? { zh: '文件不能标记为已删除：请去掉 deletes: mark', en: 'files cannot be marked as deleted: leave out deletes: mark' }
          : undefined
    if (reason) throw new QianzhiError('QZ-SINK-TABLE', { table, reason })
  }

  async #reached<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw unreachable(this.#folder.path, error)
    }
  }

  async beginShadow(): Promise<void> {
    this.#store.transaction(() => {
      const before = this.#store.begin('shadow', this.#sink)
      if (before !== undefined) this.#parts.drop(before)
    })
    await this.#reached(() => this.#files.sweep(this.#parts.held()))
  }

  /** Each file is the old or the new one at any time; a crash between two of them is made good at the next opening. */
  async swap(): Promise<void> {
    this.#store.transaction(() => {
      const generation = this.#store.generation('shadow')
      const aside = this.#asideIn(generation)
      const before = this.#store.swap()
      this.#parts.pendAll(generation, before)
      for (const name of aside) if (this.#parts.versions(generation, name).length === 0) this.#parts.move(before, generation, name)
      this.#parts.drop(before)
    })
    await this.#reached(async () => {
      await requireFolder(this.#folder)
      await this.#settling.settle(this.#store.generation('live'))
      await this.#files.sweep(this.#parts.held())
    })
  }

  prepare(change: Change): PreparedParts {
    const columns = fileItemIds.map((id) => [id, change.columns[this.#sink.columns.findIndex(({ item }) => item.id === id)]!] as const)
    const steps: Step[] = []
    for (let row = 0; row < change.rows; row++) {
      const values = Object.fromEntries(columns.map(([id, column]) => [id, column[row]!]))
      steps.push(stepOf(values, change.ops?.[row] ?? 'u'))
    }
    return { change, steps }
  }

  async apply(part: Part, prepared: Prepared): Promise<Applied> {
    const { change, steps } = prepared as PreparedParts
    const before = this.#store.state(part)?.position ?? null
    if (!samePosition(before, change.from)) throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(change.to) })
    return this.#reached(async () => {
      await requireFolder(this.#folder)
      await this.#writeBytes(steps, change.snapshot === undefined)
      const generation = this.#store.generation(part)
      const noted = this.#store.transaction(() => this.#writeDown(part, generation, change, steps))
      for (const file of noted.left) if (!this.#parts.isHeld(file.name, file.sha256)) await this.#files.discard(file)
      const aside = part === 'live' ? await this.#settling.settle(generation) : 0
      const count = (wanted: Step['do']) => steps.filter((step) => step.do === wanted).length
      const quarantined = noted.aside + aside
      return { written: count('put'), deleted: count('remove'), quarantined, quarantine: this.#store.state(part)!.quarantine }
    })
  }

  /** Not those of files that lie there already. `read`: the rows are sent again by themselves, perhaps since such a file has gone bad. */
  async #writeBytes(steps: readonly Step[], read: boolean): Promise<void> {
    const lies = new Map<string, boolean>()
    const puts = steps.filter((step) => step.do === 'put')
    for (const step of puts) {
      const { name, sha256 } = step.part
      const key = `${sha256} ${name}`
      if (!lies.has(key)) lies.set(key, await this.#settling.lies(name, sha256, read))
      step.held = !lies.get(key)
    }
    await this.#files.write(puts.filter(({ held }) => held).map(({ part, content }) => ({ ...part, content })))
  }

  /** Within a transaction. `left`: versions of which no part is wanted any more. */
  #writeDown(part: Part, generation: number, change: Change, steps: readonly Step[]): { aside: number; left: Named[] } {
    this.#store.move(part, change)
    const left: Named[] = []
    const touched = new Set<string>()
    let aside = 0
    const note = (name: string, sha256: string | undefined): void => {
      if (sha256 !== undefined) left.push({ name, sha256 })
      if (fileNameFault(name) === undefined) touched.add(name)
      // Nothing of such a name is ever in the folder: there is only its fault.
      else this.#store.clear(generation, fileKey(name))
    }
    for (const step of steps) {
      if (step.do === 'put') note(step.part.name, this.#parts.put(generation, step.part, change.to, step.held))
      else if (step.do === 'remove') note(step.name, this.#parts.remove(generation, step.name, step.part))
      else if (this.#quarantine(generation, step, change.to)) aside++
    }
    if (change.snapshot?.last) this.#endSnapshot(generation, change.snapshot.began, part === 'live', note)
    if (part === 'live') for (const name of touched) if (this.#isSettleable(generation, name)) this.#parts.pend(name)
    return { aside, left }
  }

  #quarantine(generation: number, { name, code, item, reason }: Step & { do: 'set-aside' }, place: Position): boolean {
    const fault = { key: fileKey(name), code, ...(item !== undefined && { item }), ...(reason !== undefined && { reason }) }
    return this.#store.quarantine(generation, fault, undefined, place)
  }

  /** Rows that the snapshot did not bring go; not of files of which the provider told that it cannot send them. */
  #endSnapshot(generation: number, began: Position, live: boolean, note: (name: string, left: string | undefined) => void): void {
    this.#store.forgetOlder(generation, began)
    const kept = this.#asideIn(generation, 'and epoch is not null')
    for (const { name, part } of this.#parts.older(generation, began))
      if (!kept.has(name)) note(name, this.#parts.remove(generation, name, part))
    if (live) this.#parts.pendUnheld(generation, kept)
  }

  #isSettleable(generation: number, name: string): boolean {
    return this.#parts.complete(generation, name) !== undefined || this.#parts.versions(generation, name).length === 0
  }

  #asideIn(generation: number, only: '' | 'and epoch is not null' = ''): Set<string> {
    const rows = this.#store.all(`select key from quarantine where generation = ? ${only}`, generation)
    return new Set(rows.map((row) => (JSON.parse(String(row['key'])) as string[])[0]!))
  }

  async replay(part: Part): Promise<Replayed> {
    const count = () => this.#store.state(part)!.quarantine
    if (part === 'shadow') return { tried: 0, applied: 0, quarantine: count() }
    return this.#reached(async () => {
      await requireFolder(this.#folder)
      const before = count()
      const tried = await this.#settling.tryAgain(this.#store.generation('live'))
      return { tried, applied: before - count(), quarantine: count() }
    })
  }

  /** What another program kept from being written is tried again. */
  async check(): Promise<void> {
    const { busy } = this.#settling
    if (busy.size === 0) return
    this.#store.transaction(() => busy.forEach((name) => this.#parts.pend(name)))
    await this.#reached(async () => this.#settling.settle(this.#store.generation('live')))
  }

  async close(): Promise<void> {
    this.#store.close()
  }
}

function stepOf(values: Record<string, string | null>, op: string): Step {
  const [name, part] = [values['name'] ?? '', Number(values['part'])]
  if (op === 'd') return { do: 'remove', name, part }
  if (op !== 'u') return { do: 'set-aside', name, code: op.slice(2) as ErrorCode }
  const reason = fileNameFault(name)
  if (reason !== undefined) return { do: 'set-aside', name, code: 'QZ-ROW-REFUSED', item: 'name', reason }
  const read = readPart(values)
  if (read) return { do: 'put', ...read, held: true }
  const wrong = { zh: '分段的各项互不相符', en: 'the items of the part do not fit together' }
  return { do: 'set-aside', name, code: 'QZ-ROW-REFUSED', item: 'content', reason: wrong }
}
