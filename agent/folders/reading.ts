/**
 * Reading what is remembered of a folder: of a source the rows of its files, of a route that was delivered here the rows in its store, which
 * are those in its files or will be shortly.
 */
import { QianzhiError } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Value } from '../../protocol/value.ts'
import type { Found, FolderSettings, MappedColumn, Mark, PreviewRequest, Reading, Row, Rows, SourceTable } from '../database.ts'
import { keyIndexes, keysOf, missingKeys } from '../row-keys.ts'
import { DeliveredFileRows, readSuppliedFiles } from './files/reading.ts'
import { DeliveredRows } from './rows/delivered-rows.ts'
import { SourceRows } from './rows/source-rows.ts'
import type { Page, RememberedRows } from './remembered-rows.ts'

export class FolderReading implements Reading {
  readonly #folder: FolderSettings
  readonly #opened = new Map<SourceTable, RememberedRows>()

  constructor(folder: FolderSettings) {
    this.#folder = folder
  }

  #of(source: SourceTable): RememberedRows {
    const opened = this.#opened.get(source) ?? this.#open(source)
    if (!opened) throw refuse(source, { zh: '尚无已读入的数据', en: 'nothing is remembered of it yet' })
    this.#opened.set(source, opened)
    return opened
  }

  #open(source: SourceTable): RememberedRows | undefined {
    if (source.route !== undefined) return DeliveredFileRows.open(this.#folder, source) ?? DeliveredRows.open(this.#folder, source)
    return source.files?.contents === 'any' ? readSuppliedFiles(this.#folder, source) : SourceRows.read(this.#folder, source)
  }

  async checkTable(source: SourceTable): Promise<void> {
    this.#of(source)
  }

  async rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    const read = await this.#of(source).rowsByKeys(keys)
    return { ...read, missing: missingKeys(keys, keysOf(read, keyIndexes(source))) }
  }

  async rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#of(source).rowsAfter(after, limit)
  }

  /** Folders have no watermark. */
  async keysSince(source: SourceTable, _watermark: MappedColumn, _from: Value, _after: Mark | null, _limit: number): Promise<Mark[]> {
    throw refuse(source, { zh: '目录没有水位列', en: 'a folder has no watermark column' })
  }

  async count(source: SourceTable): Promise<number> {
    return this.#of(source).count()
  }

  /** Some rows whose items have these portable values. */
  async rowsLike(source: SourceTable, { rows, filter }: PreviewRequest): Promise<Rows> {
    const places = filter.map(({ item, value }) => ({ place: source.columns.findIndex((column) => column.item.id === item), value }))
    const found: Rows = { rows: [], faults: [] }
    for (let after: Row | null = null; found.rows.length < rows;) {
      const page: Page = await this.#of(source).rowsAfter(after, lookedAt)
      found.rows.push(...page.rows.filter((row) => places.every(({ place, value }) => row[place] === value)))
      if (filter.length === 0) found.faults.push(...page.faults)
      if (page.last === null) break
      after = page.last
    }
    return { rows: found.rows.slice(0, rows), faults: found.faults.slice(0, rows) }
  }

  /** Files have no moments. */
  atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    return work()
  }

  async close(): Promise<void> {
    for (const opened of this.#opened.values()) opened.close()
    this.#opened.clear()
  }
}

/** Rows of a page that is searched. */
const lookedAt = 1_000

function refuse({ table }: SourceTable, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-SOURCE-TABLE', { table, reason })
}
