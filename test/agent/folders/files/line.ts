/** A folder of files, its mirror, and the line between them driven by hand, for tests of both ends without a hub. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import type { Test } from 'tap'
import type {
  Applied,
  Change,
  FolderSettings,
  Part,
  QuarantinedKey,
  Row,
  RowFault,
  SinkTable,
  SourceTable,
} from '../../../../agent/database.ts'
import { FileSource } from '../../../../agent/folders/files/source.ts'
import { partsFolder } from '../../../../agent/folders/files/part-files.ts'
import { FileSink } from '../../../../agent/folders/files/sink.ts'
import { claimFolder } from '../../../../agent/folders/store/owner.ts'
import { SinkStore } from '../../../../agent/folders/store/sink-store.ts'
import { missingKeys } from '../../../../agent/row-keys.ts'
import type { Op } from '../../../../protocol/batch.ts'
import { fileItems } from '../../../../protocol/files.ts'
import type { ChainPosition } from '../../../../protocol/position.ts'
import { schemaOf, sinkOf, sourceOf } from '../../databases/conformance/fixture.ts'

export const fileSchema = schemaOf(fileItems('internal'))
const format = { timezone: 'Asia/Shanghai' }
export const fileSource: SourceTable = sourceOf(fileSchema, {
  table: '*',
  capture: 'files',
  files: { contents: 'any', names: '*', whole: false, faults: 'refuse', format },
})
export const fileSink: SinkTable = sinkOf(fileSchema, {
  files: { contents: 'any', write: 'whole', headers: 'labels', formulas: 'keep', gather: 0, format },
})

const memory = { snapshotBegan() {}, snapshotReached() {}, sent() {} }

export function placeAt(seq: number): ChainPosition {
  return { epoch: 7, seq, hash: createHash('sha256').update(String(seq)).digest('hex') }
}

export async function folderIn(folder: string, name: string, more: Partial<FolderSettings> = {}): Promise<FolderSettings> {
  const settings: FolderSettings = {
    path: join(folder, name),
    data: join(folder, `${name}-data`),
    agent: 'agent-1',
    ready: 'stable',
    stable: 2,
    look: 60,
    sign: () => '',
    logger: pino({ level: 'silent' }),
    ...more,
  }
  await claimFolder(settings)
  return settings
}

export function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-files-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Piece {
  rows: Row[]
  deletes: Row[]
  faults: RowFault[]
}

/** What a piece is in a batch. */
export function changeOf(
  { rows, deletes, faults }: Piece,
  from: ChainPosition | null,
  to: ChainPosition,
  snapshot?: Change['snapshot'],
): Change {
  const absent = [...deletes, ...faults.map(({ key }) => key)]
  const width = fileSource.columns.length
  const all = [...rows, ...absent.map(([name, part]) => [name!, part!, ...Array.from({ length: width - 2 }, () => null)])]
  const columns = Array.from({ length: width }, (_, i) => all.map((row) => row[i]!))
  const ops: Op[] = [...rows.map(() => 'u' as const), ...deletes.map(() => 'd' as const), ...faults.map(({ code }) => `c:${code}` as const)]
  return { from, to, rows: all.length, columns, ...(absent.length > 0 && { ops }), ...(snapshot && { snapshot }) }
}

/** The providing end: a clock that only the test moves. */
export class Provider {
  readonly folder: FolderSettings
  files: FileSource
  /** Milliseconds. */
  clock = 1_000_000
  queued = 0
  readonly #source: SourceTable

  constructor(folder: FolderSettings, source: SourceTable = fileSource) {
    this.folder = folder
    this.#source = source
    this.files = this.#open()
  }

  #open(): FileSource {
    const options = { folder: this.folder, queued: () => void this.queued++, logger: this.folder.logger }
    return new FileSource(this.#source, options, () => this.clock)
  }

  restart(): void {
    this.files.close()
    this.files = this.#open()
  }

  put(name: string, content: string | Buffer): void {
    const path = join(this.folder.path, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }

  remove(name: string): void {
    rmSync(join(this.folder.path, name), { recursive: true })
  }

  look(): Promise<number | undefined> {
    return this.files.look(new AbortController().signal)
  }

  /** Looks until what was put is complete. */
  async settle(): Promise<void> {
    await this.look()
    this.clock += this.folder.stable * 1000
    await this.look()
  }

  /** The next queued keys as they would be packed; `done`: the hub has them. */
  async take(limit = 1_000): Promise<{ piece: Piece; done: () => void; keys: Row[] }> {
    const { keys, entries } = this.files.store.take(limit, new Set())
    const { rows, faults } = await this.files.rowsByKeys(keys)
    const deletes = missingKeys(keys, [...rows.map((row) => row.slice(0, 2)), ...faults.map(({ key }) => key)])
    const done = (): void => {
      const from = this.files.store.state().position
      const sent = [...rows.map((row) => row.slice(0, 2)), ...deletes]
      this.files.store.record({ from, to: placeAt((from?.seq ?? 0) + 1), entries, faults, sent }, memory)
    }
    return { piece: { rows, faults, deletes }, done, keys }
  }
}

/** Both ends. */
export class Line {
  readonly provider: Provider
  readonly target: FolderSettings
  sink: FileSink
  at: ChainPosition | null = null
  readonly #options: { folds?: boolean }

  private constructor(provider: Provider, target: FolderSettings, options: { folds?: boolean }) {
    this.provider = provider
    this.target = target
    this.#options = options
    this.sink = new FileSink(fileSink, target, options)
  }

  static async open(t: Test, { source = {}, ...options }: { source?: Partial<FolderSettings>; folds?: boolean } = {}): Promise<Line> {
    const folder = temporary(t)
    const line = new Line(new Provider(await folderIn(folder, 'source', source)), await folderIn(folder, 'target'), options)
    await line.sink.open()
    t.teardown(() => (line.provider.files.close(), line.sink.close()))
    return line
  }

  async reopen(): Promise<void> {
    await this.sink.close()
    this.sink = new FileSink(fileSink, this.target, this.#options)
    this.at = (await this.sink.open()).live.position
  }

  async apply(piece: Piece, snapshot?: Change['snapshot'], part: Part = 'live'): Promise<Applied> {
    const to = placeAt((this.at?.seq ?? 0) + 1)
    const applied = await this.sink.apply(part, this.sink.prepare(changeOf(piece, this.at, to, snapshot)))
    this.at = to
    return applied
  }

  /** All that is queued, in batches of so many rows. */
  async flow(limit = 1_000): Promise<void> {
    while (this.provider.files.store.hasEntries()) {
      const { piece, done } = await this.provider.take(limit)
      await this.apply(piece)
      done()
    }
  }

  async mirror(limit?: number): Promise<void> {
    await this.provider.settle()
    await this.flow(limit)
  }

  async snapshot(part: Part = 'live', limit = 2): Promise<void> {
    const began = placeAt((this.at?.seq ?? 0) + 1)
    for (let after: Row | null = null, ended = false; !ended;) {
      const { rows, faults, last }: { rows: Row[]; faults: RowFault[]; last: Row | null } = await this.provider.files.rowsAfter(
        after,
        limit,
      )
      ended = rows.length + faults.length < limit
      await this.apply({ rows, faults, deletes: [] }, { began, last: ended }, part)
      after = last
    }
  }

  /** SHA-256 of each file by its path; what is hidden left out. */
  source(): Record<string, string> {
    return contentsOf(this.provider.folder.path)
  }

  delivered(): Record<string, string> {
    return contentsOf(this.target.path)
  }

  quarantine(): QuarantinedKey[] {
    const store = SinkStore.open(this.target, fileSink.route)
    try {
      return store.quarantined(fileSink.route, 100)
    } finally {
      store.close()
    }
  }

  /** Files among the parts. */
  parts(): string[] {
    return readdirSync(join(this.target.path, partsFolder), { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [entry.name] : [],
    )
  }
}

export function contentsOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).filter((path) => !path.startsWith('.'))
  return Object.fromEntries(paths.toSorted().map((path) => [path, hashOf(readFileSync(join(folder, path)))]))
}

export function hashOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
