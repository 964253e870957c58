/** Rows of the sheet as rows of the resource: each read, converted and checked by itself, and against the keys before it. */
import { parseCellName } from '../../../protocol/excel/fault.ts'
import { asRead, hiddenValue } from '../../../protocol/excel/table.ts'
import { readWorkbook, type Sheet } from '../../../protocol/excel/read.ts'
import type { Row } from '../../../protocol/excel/sheet.ts'
import { told } from '../../../protocol/told.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Wrong } from '../../../protocol/written/cell-values.ts'
import { areTypes, isRemark } from '../../../protocol/written/no-rows.ts'
import type { EnteredResource } from '../entered-resource.ts'
import { checkRow } from '../row-faults.ts'
import { cellReader, Headers } from './columns.ts'
import { FaultReport, type CellFault } from './report.ts'
import { findTable, type DataTable } from './sheets.ts'

export interface ExcelRow {
  /** As the sheet counts. */
  number: number
  cells: Row['cells']
  /** In their canonical form; undefined where the row has a fault that rejects it. */
  values?: Record<string, Value>
  /** Undefined where it cannot be read. */
  key?: string[]
  faults: CellFault[]
}

/** Formulas are told by their cells, whatever they gave. */
const reading = { formulas: 'refuse', cellFaults: 'row' } as const

/** Rows that are handed on together. */
const portion = 500

export interface ExcelReading {
  table?: DataTable
  report: FaultReport
  keys: SeenKeys
}

/** Is its own normal form. */
const visible = /^[!-~]*$/

/** All keys of a resource have as many items. */
const textOf = (key: readonly Value[]): string => (key.length === 1 ? key[0]! : JSON.stringify(key))

/** Keys of the rows so far. Two that differ by blanks at their ends or by how characters are composed are one that was written in two ways. */
export class SeenKeys {
  readonly #rows = new Map<string, number>()
  /** Of those that are written otherwise than in their normal form. */
  readonly #normal = new Map<string, number>()

  get size(): number {
    return this.#rows.size
  }

  has(key: readonly Value[]): boolean {
    return this.#rows.has(textOf(key))
  }

  /** @returns the row that has the key already, and whether that is written alike. */
  add(key: readonly string[], row: number): { row: number; alike: boolean } | undefined {
    const text = textOf(key)
    const normal = visible.test(text) ? text : textOf(key.map((value) => value.normalize('NFC').trim()))
    const before = this.#rows.get(text)
    if (before !== undefined) return { row: before, alike: true }
    this.#rows.set(text, row)
    const other = this.#normal.get(normal) ?? (normal === text ? undefined : this.#rows.get(normal))
    if (normal !== text) this.#normal.set(normal, row)
    return other === undefined ? undefined : { row: other, alike: false }
  }
}

/**
 * The rows of a workbook, portion by portion, all but the blank ones; what is wrong with them goes into the report, and so does what is only
 * seen at the end. Throws QZ-EXCEL where it is no workbook, or over a limit.
 */
export async function* readExcel(path: string, resource: EnteredResource, read: ExcelReading): AsyncGenerator<ExcelRow[]> {
  const book = await readWorkbook(path, { ...reading })
  try {
    const table = await findTable(book, resource, read.report)
    if (!table) return
    read.table = table
    const rows = new RowReader(resource, table, read.keys)
    let taken: ExcelRow[] = []
    for await (const row of table.sheet.rows()) {
      const one = row.number < table.headerRow ? rows.above(row) : row.number > table.headerRow ? rows.read(row) : undefined
      if (!one) continue
      for (const fault of one.faults) read.report.add(table.sheet.name, one.number, fault)
      taken.push(one)
      if (taken.length < portion) continue
      yield taken
      taken = []
    }
    tellMerged(table.sheet, table.headerRow, read.report)
    if (taken.length > 0) yield taken
  } finally {
    book.close()
  }
}

function tellMerged({ name, merged }: Sheet, headerRow: number, report: FaultReport): void {
  for (const range of merged) {
    const [first, last] = range.split(':').map(parseCellName)
    const end = (last ?? first)?.row ?? headerRow
    if (end < headerRow || !first) continue
    report.add(name, first.row, {
      severity: 'reject',
      column: first.column,
      zh: '有合并单元格：请取消合并，每格分别填写',
      en: 'cells are merged: unmerge them and fill in each',
    })
  }
}

const reject = (zh: string, en: string, more: Pick<CellFault, 'column' | 'item'> = {}): CellFault => ({
  severity: 'reject',
  zh,
  en,
  ...more,
})

class RowReader {
  readonly #items: EnteredResource['items']
  readonly #readers: readonly ((text: string) => string | Wrong)[]
  readonly #columns: DataTable['columns']
  /** Of each item its column. */
  readonly #places: readonly number[]
  readonly #headers: Headers
  readonly #keys: SeenKeys
  readonly #keyPlaces: readonly number[]

  constructor({ items }: EnteredResource, { columns }: DataTable, keys: SeenKeys) {
    this.#items = items
    this.#readers = items.map(cellReader)
    this.#columns = columns
    this.#places = items.map((_, at) => columns.indexOf(at))
    this.#headers = new Headers(items)
    this.#keys = keys
    this.#keyPlaces = items.flatMap(({ key }, at) => (key ? [at] : []))
  }

  /** Above the header stand titles; people sort sheets, header and all. */
  above({ number, cells }: Row): ExcelRow | undefined {
    if (cells.some((cell) => /[:\uff1a]\s*$/.test(cell ?? ''))) return undefined
    const filled = this.#places.filter((at) => cells[at]?.trim()).length
    if (filled < 2 || !this.#keyPlaces.every((item) => cells[this.#places[item]!]?.trim())) return undefined
    const fault = reject(
      '在表头之上，却像是数据：请将表头移到所有数据之上',
      'it stands above the header and looks like a row: put the header above all rows',
    )
    return { number, cells, faults: [fault] }
  }

  /** Undefined for a blank row. */
  read(row: Row): ExcelRow | undefined {
    const { number, cells, refused } = row
    if (!refused && cells.every((cell, at) => !cell?.trim() || this.#columns[at] === 'own')) return undefined
    const first = cells[this.#places[this.#keyPlaces[0]!]!]?.trim() ?? ''
    const odd = this.#oddity(first, cells)
    if (odd) return { number, cells, faults: [odd] }
    const { given, wrong, faults } = this.#convert(row)
    const checked = checkRow({ items: this.#items }, given)
    const told = ({ item, zh, en }: { item: string; zh: string; en: string }, severity: CellFault['severity']) => {
      const column = this.#places[this.#items.findIndex(({ id }) => id === item)]
      if (!wrong.has(item)) faults.push({ severity, item, zh, en, ...(column !== undefined && { column }) })
    }
    for (const fault of checked.faults) told(fault, 'reject')
    for (const fault of checked.warnings) told(fault, 'warn')
    const key = this.#key(checked.values, faults, wrong)
    if (key !== undefined) this.#tellTwice(key, number, faults)
    const sound = faults.every(({ severity }) => severity === 'warn')
    return { number, cells, faults, ...(key !== undefined && { key }), ...(sound && { values: checked.values }) }
  }

  #oddity(first: string, cells: Row['cells']): CellFault | undefined {
    if (this.#places.every((at, item) => this.#headers.meaning(cells[at] ?? '') === item))
      return reject('表头再次出现：请删除该行', 'the header is there again: delete the row')
    if (isRemark(first) && this.#items.filter(({ key }) => !key).length > 0)
      return reject('是合计或说明，不是数据：请删除该行', 'it is a sum or a remark, no row: delete it')
    return first !== '' && areTypes(first, cells)
      ? reject('是各列的类型，不是数据：请删除该行', 'it names types, and is no row: delete it')
      : undefined
  }

  #convert({ cells, shown, refused }: Row) {
    const given: Record<string, Value> = {}
    const wrong = new Set<string>()
    const faults: CellFault[] = []
    for (const [at, item] of this.#items.entries()) {
      const column = this.#places[at]!
      const fail = ({ zh, en }: Wrong) => {
        wrong.add(item.id)
        faults.push(reject(zh, en, { column, item: item.id }))
      }
      given[item.id] = null
      const cell = cells[column] ?? ''
      const not = refused?.get(column)
      if (not) fail(not)
      else if (cell !== '') {
        const text = asRead(cell, shown?.get(column), item.type === 'text')
        if (text === undefined) {
          const [zh, en] = hiddenValue(told(cell))
          fail({ zh, en })
          continue
        }
        const value = this.#readers[at]!(text)
        if (typeof value === 'string') given[item.id] = item.key && value.trim() === '' ? null : value
        else if (text.trim() !== '') fail(value.plain ?? value)
      }
    }
    for (const [column, cell] of cells.entries()) {
      if (this.#columns[column] !== undefined) continue
      const not = refused?.get(column)
      if (cell?.trim() || not) faults.push(reject('该列没有表头，却有内容：请删除', 'its column has no header: delete it', { column }))
    }
    return { given, wrong, faults }
  }

  #key(values: Record<string, Value>, faults: readonly CellFault[], wrong: ReadonlySet<string>): string[] | undefined {
    const key: string[] = []
    for (const place of this.#keyPlaces) {
      const { id } = this.#items[place]!
      const value = values[id]
      if (
        value === null ||
        value === undefined ||
        wrong.has(id) ||
        faults.some(({ item, severity }) => item === id && severity === 'reject')
      )
        return undefined
      key.push(value)
    }
    return key
  }

  #tellTwice(key: readonly string[], number: number, faults: CellFault[]): void {
    const before = this.#keys.add(key, number)
    if (!before) return
    const column = this.#places[this.#keyPlaces[0]!]!
    const item = this.#items[this.#keyPlaces[0]!]!.id
    const [zh, en] = before.alike
      ? [`主键与第 ${before.row} 行相同`, `it has the key of row ${before.row}`]
      : [
          `主键与第 ${before.row} 行只差首尾空格或字符的组合方式`,
          `its key differs from that of row ${before.row} by blanks at its ends or by how characters are composed alone`,
        ]
    faults.push(reject(zh, en, { column, item }))
  }
}
