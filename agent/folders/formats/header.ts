import { columnLetters } from '../../../protocol/excel/fault.ts'
import type { CellShown } from '../../../protocol/excel/number-format.ts'
import { headerWithin, plainHeader } from '../../../protocol/excel/table.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { told } from '../../../protocol/told.ts'
import type { MappedColumn, SourceTable } from '../../database.ts'
import type { Refuse } from './file-fault.ts'

/** A row of a table as it stands in a file. */
export interface RawRow {
  /** As a person counts: the row of a sheet, the line of a text file on which it begins. */
  number: number
  cells: readonly (string | null)[]
  /** By cell, of a sheet: what a person reads, where that is something else. */
  shown?: ReadonlyMap<number, CellShown>
  /** Why its cells cannot be told. */
  wrong?: { zh: string; en: string }
}

/** Of a file of changes: the column that says what becomes of a row. */
export const opHeader = 'qz_op'
const opLabel = '操作'
/** Columns that a sink adds to the items: the agency that the rows are of; whether a row is deleted, where deletes only mark. */
export const sourceHeader = 'qz_source'
export const deletedHeader = 'qz_deleted'

/** What a header stands for: a column, by its place among the source's; one that sinks add; nothing known. */
export type Meaning = number | 'op' | 'source' | 'deleted' | 'ambiguous' | undefined

/**
 * What headers may stand in a source's files: of each column its local name, the item's id, name or label, in this order where they are at odds.
 * Case, spaces, full-width forms, `*` and `(必填)` do not count.
 */
export class HeaderNames {
  readonly #names = new Map<string, Exclude<Meaning, undefined>>()
  /** As they are. */
  readonly #written = new Set<string>()

  constructor({ columns, files }: Pick<SourceTable, 'columns' | 'files'>) {
    const kinds: ((column: MappedColumn) => string)[] = [
      ({ column }) => column,
      ({ item }) => item.id,
      ({ item }) => item.name,
      ({ item }) => item.label,
      // As sinks call it where the label is there twice.
      ({ item }) => `${item.label}(${item.name})`,
    ]
    for (const nameOf of kinds) for (const column of columns) this.#written.add(nameOf(column))
    for (const nameOf of kinds) this.#add(columns.map((column) => plainHeader(nameOf(column))))
    for (const [name, meaning] of [
      [sourceHeader, 'source'],
      [deletedHeader, 'deleted'],
    ] as const)
      if (!this.#names.has(name)) this.#names.set(name, meaning)
    if (files!.whole) return
    this.#names.set(opHeader, 'op')
    if (!this.#names.has(opLabel)) this.#names.set(opLabel, 'op')
  }

  /** Names of one kind: of two columns of one name neither can be told, unless an earlier kind does. */
  #add(names: readonly string[]): void {
    const earlier = new Set(this.#names.keys())
    names.forEach((name, place) => {
      if (!earlier.has(name)) this.#names.set(name, this.#names.has(name) ? 'ambiguous' : place)
    })
  }

  /** Whether a cell may be a header, told without much work. */
  isWritten(cell: string): boolean {
    return this.#written.has(cell)
  }

  meaning(header: string): Meaning {
    return this.#names.get(plainHeader(header))
  }
}

/** The header of a table. */
export interface Header {
  row: number
  /** Of each of the source's columns the cell of a row in which it stands, -1 for none. */
  cells: number[]
  /** The cells with the operation and with the mark of a deleted row, -1 for none. */
  op: number
  deleted: number
  /** By cell, '' for none. */
  texts: string[]
  /** Cells up to the last header. */
  width: number
}

/** How many cells of a row are headers. */
export function knownHeaders({ cells }: RawRow, names: HeaderNames): number {
  return cells.filter((cell) => cell !== null && names.meaning(cell) !== undefined).length
}

/** The row with the most known headers. Throws QZ-FILE where none is, or where columns are missing, unknown or there twice: all are named. */
export function findHeader(
  rows: readonly RawRow[],
  source: SourceTable,
  names: HeaderNames,
  where: (row: number) => string | LocalizedText,
  refuse: Refuse,
): Header {
  let best: RawRow | undefined
  let most = 0
  for (const row of rows) {
    const known = knownHeaders(row, names)
    if (known > most) [best, most] = [row, known]
  }
  if (!best) {
    const all = source.columns.map(nameOf).join(', ')
    throw refuse(where(1), `前 ${headerWithin} 行中没有表头：${all}`, `no header within the first ${headerWithin} rows: ${all}`)
  }
  const meanings = best.cells.map((cell) => (cell === null ? undefined : names.meaning(cell)))
  const faults = headerFaults(best, meanings, source)
  if (faults.length > 0) throw refuse(where(best.number), faults.map(({ zh }) => zh).join('；'), faults.map(({ en }) => en).join('; '))
  const texts = best.cells.map((cell) => cell?.trim() ?? '')
  return {
    row: best.number,
    cells: source.columns.map((_, place) => meanings.indexOf(place)),
    op: meanings.indexOf('op'),
    deleted: meanings.indexOf('deleted'),
    texts,
    width: texts.findLastIndex((text) => text !== '') + 1,
  }
}

export const noOperations = { zh: '整表文件不能有操作列', en: 'a file of the whole table has no operations' }

export function isOperation(header: string): boolean {
  return [opHeader, opLabel].includes(plainHeader(header))
}

function headerFaults({ cells }: RawRow, meanings: readonly Meaning[], { columns, files }: SourceTable): { zh: string; en: string }[] {
  const named = (wrong: (at: number) => boolean): string[] =>
    cells.flatMap((cell, at) => (cell?.trim() && wrong(at) ? [`${columnLetters(at)} ${told(cell.trim())}`] : []))
  const missing = columns.filter(({ item }, place) => (item.key || item.required) && !meanings.includes(place)).map(nameOf)
  const isOp = (at: number): boolean => files!.whole && isOperation(cells[at]!)
  const wrong: [string, string, string[]][] = [
    ['缺少列', 'columns missing', missing],
    [noOperations.zh, noOperations.en, named((at) => meanings[at] === undefined && isOp(at))],
    ['不认识的列', 'unknown columns', named((at) => meanings[at] === undefined && !isOp(at))],
    ['有多列叫这个名称', 'several columns have this name', named((at) => meanings[at] === 'ambiguous')],
    ['重复的列', 'columns there twice', named((at) => isTwice(meanings, at))],
  ]
  return wrong
    .filter(([, , names]) => names.length > 0)
    .map(([zh, en, names]) => ({ zh: `${zh}：${names.join('、')}`, en: `${en}: ${names.join(', ')}` }))
}

function isTwice(meanings: readonly Meaning[], at: number): boolean {
  const meaning = meanings[at]
  return meaning !== undefined && meaning !== 'ambiguous' && meanings.indexOf(meaning) !== at
}

function nameOf({ column, item }: MappedColumn): string {
  return `${item.label} (${column})`
}
