/** A folder with a source in it, and what a receiver of its stream holds: the line without hub and databases, driven by hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { FolderSettings, Row, RowFault, Rows, SourceFiles, SourceTable, StreamState } from '../../../../agent/database.ts'
import type { Capture, Database, FileCounts } from '../../../../agent/database.ts'
import { openFolder } from '../../../../agent/folders/engine.ts'
import { writeKey } from '../../../../agent/runtime/stream-store.ts'
import type { ChainPosition } from '../../../../protocol/position.ts'
import type { Item } from '../../../../protocol/schema.ts'
import { until } from '../../../support/programs.ts'

export const villageItems: Item[] = [
  { id: 'code', name: 'code', label: '区划代码', type: 'text', length: 12, key: true, openness: 'public' },
  { id: 'name', name: 'name', label: '名称', type: 'text', length: 50, required: true, openness: 'public' },
  { id: 'people', name: 'people', label: '人口', type: 'integer', openness: 'internal' },
]

export function rowSource(files: Partial<SourceFiles> = {}, items: Item[] = villageItems, version = 1): SourceTable {
  const schema = { resource: 'villages', version, title: '村', agency: 'statistics', table: 'villages', items }
  return {
    resource: 'villages',
    table: files.names ?? '*',
    capture: 'files',
    files: { contents: 'rows', names: '*', whole: true, faults: 'refuse', format: { timezone: 'Asia/Shanghai' }, ...files },
    schema,
    columns: items.map((item) => ({ item, column: item.name })),
    zeroDates: 'refuse',
    valueLimit: 768 * 1024,
    queueLimit: 1024 ** 3,
  }
}

export class FolderLine {
  readonly folder: FolderSettings
  readonly counts = new Map<string, FileCounts>()
  readonly received = new Map<string, string>()
  source: SourceTable
  database!: Database
  capture: Capture | undefined
  #seq = 0

  constructor(t: Test, source: SourceTable, settings: Partial<FolderSettings> = {}) {
    const base = mkdtempSync(join(tmpdir(), 'qianzhi-folder-'))
    t.teardown(async () => {
      await this.stop()
      rmSync(base, { recursive: true, force: true })
    })
    this.source = source
    this.folder = {
      path: join(base, 'in'),
      data: join(base, 'data'),
      agent: 'agent-1',
      ready: 'stable',
      stable: 0.05,
      look: 0.2,
      sign: () => '',
      note: (resource, counts) => void this.counts.set(resource, counts),
      logger: pino({ enabled: false }),
      ...settings,
    }
  }

  async start(): Promise<Capture> {
    await mkdir(this.folder.path, { recursive: true })
    this.database = await openFolder({ name: 'drop', url: `folder:${this.folder.path}`, pace: 50, folder: this.folder })
    this.capture = await this.database.openCapture([this.source])
    return this.capture
  }

  async stop(): Promise<void> {
    await this.capture?.close()
    this.capture = undefined
  }

  put(name: string, content: string | Uint8Array): Promise<void> {
    return writeFile(join(this.folder.path, name), content)
  }

  /** Names in the folder, or in one of its subfolders, without the agent's own mark. */
  async names(subfolder = '.'): Promise<string[]> {
    const names = await readdir(join(this.folder.path, subfolder)).catch(() => [])
    return names.filter((name) => !['.qianzhi.json', 'done', 'rejected'].includes(name)).toSorted()
  }

  async taken(files: number): Promise<void> {
    await until(`${files} files are taken`, () => this.counts.get(this.source.resource)?.taken === files, 20)
  }

  async refused(files: number): Promise<void> {
    await until(`${files} files are refused`, () => this.counts.get(this.source.resource)?.refused === files, 20)
  }

  /** Everything, as a receiver would have it afterwards. */
  async snapshot(limit = 100): Promise<void> {
    const capture = this.capture!
    await capture.checkTable(this.source)
    await capture.mark(this.source, { snapshot: 'needed' })
    const unseen = new Set(this.received.keys())
    let began: ChainPosition | undefined
    for (let after: Row | null = null, ended = false; !ended;) {
      const read: Rows & { last: Row | null } = await capture.rowsAfter(this.source, after, limit)
      this.#receive([], read, unseen)
      after = read.last ?? after
      ended = read.rows.length + read.faults.length < limit
      began ??= this.#next()
      await this.#record([], read.faults, [], ended ? null : { began: { epoch: began.epoch, seq: began.seq }, after })
    }
    for (const key of unseen) this.received.delete(key)
  }

  /** Sends what is queued; @returns how many keys. */
  async drain(): Promise<number> {
    let sent = 0
    for (;;) {
      const { entries, keys } = await this.capture!.take(this.source, 500, new Set())
      if (entries.length === 0) return sent
      const read = await this.capture!.rowsByKeys(this.source, keys)
      this.#receive(keys, read)
      await this.#record(entries, read.faults, keys)
      sent += keys.length
    }
  }

  #receive(asked: readonly Row[], { rows, faults }: Rows, unseen?: Set<string>): void {
    const kept = new Set(faults.map(({ key }) => writeKey(key)))
    for (const key of asked) if (!kept.has(writeKey(key))) this.received.delete(writeKey(key))
    const keys = this.source.columns.flatMap(({ item }, i) => (item.key ? [i] : []))
    for (const row of rows) {
      const key = writeKey(keys.map((i) => row[i]!))
      this.received.set(key, row.map((value) => value ?? '∅').join(' '))
      unseen?.delete(key)
    }
    for (const key of kept) unseen?.delete(key)
  }

  #next(): ChainPosition {
    return { epoch: 1, seq: this.#seq + 1, hash: String(this.#seq + 1) }
  }

  async #record(entries: string[], faults: RowFault[], sent: readonly Row[], snapshot?: StreamState['snapshot']): Promise<void> {
    const { position } = await this.capture!.state(this.source)
    const to = this.#next()
    this.#seq++
    const bad = new Set(faults.map(({ key }) => writeKey(key)))
    const step = { from: position, to, entries, faults, sent: sent.filter((key) => !bad.has(writeKey(key))) }
    await this.capture!.record(this.source, snapshot === undefined ? step : { ...step, snapshot })
  }

  /** What the receiver holds, sorted. */
  rows(): string[] {
    return [...this.received.values()].toSorted()
  }
}
