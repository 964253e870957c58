import { columnLetters } from '../../../protocol/excel/fault.ts'
import type { CellShown } from '../../../protocol/excel/number-format.ts'
import { asRead, headerWithin, hiddenValue } from '../../../protocol/excel/table.ts'
import { counted, type LocalizedText } from '../../../protocol/localized.ts'
import { told } from '../../../protocol/told.ts'
import type { Wrong } from '../../../protocol/written/cell-values.ts'
import type { SourceTable } from '../../database.ts'
import type { Refuse } from './file-fault.ts'
import { findHeader, HeaderNames, type Header, type RawRow } from './header.ts'
import { areTypes, beginsWithDigit, isRemark, shapeOf } from '../../../protocol/written/no-rows.ts'
import { rowFault, RowReader, unreadRow } from './row-reader.ts'
import type { FileRow } from './file-row.ts'

/** A table as it stands in a file, whatever its format: a header, perhaps below a title, and rows. */
export interface RawTable {
  rows: AsyncIterable<readonly RawRow[]>
  /** How refusals name a row. */
  where: (row: number) => string | LocalizedText
  /** A row that has not as many cells as the header has lost its order. */
  even: boolean
  /** Called behind the last row. Throws what is seen only there. */
  ended?: (headerRow: number) => void
}

/** The rows of a table as rows of the source. Throws QZ-FILE where it has no header, or another one. */
export async function* tableRows(table: RawTable, source: SourceTable, refuse: Refuse): AsyncGenerator<FileRow[]> {
  const names = new HeaderNames(source)
  const found = (rows: readonly RawRow[]) => {
    const header = findHeader(rows.slice(0, headerWithin), source, names, table.where, refuse)
    const reader = new TableReader(source, names, header, table.even)
    const above = reader.rowAbove(rows)
    if (above !== undefined)
      throw refuse(
        table.where(above),
        `这一行在表头（第 ${header.row} 行）之上，却像是数据：请将表头移到所有数据之上`,
        `it stands above the header (row ${header.row}) and looks like one of the rows: put the header above all of them`,
      )
    return reader
  }
  let above: RawRow[] = []
  let reader: TableReader | undefined
  for await (const rows of table.rows) {
    if (!reader) {
      above = [...above, ...rows]
      if (above.length < headerWithin) continue
    }
    reader ??= found(above)
    yield reader.read(above.length > 0 ? above : rows)
    above = []
  }
  if (!reader) {
    reader = found(above)
    yield reader.read(above)
  }
  table.ended?.(reader.header.row)
}

class TableReader {
  readonly header: Header
  readonly #names: HeaderNames
  readonly #rows: RowReader
  readonly #even: boolean
  /** The first key column: what stands there tells a header that is there again. */
  readonly #keyCell: number
  /** Of each column whether it is a text. */
  readonly #texts: readonly boolean[]
  /** Places of columns that the file has not. */
  readonly #absent: readonly number[]
  /** Cells of columns that are no keys. */
  readonly #others: readonly { at: number; required: boolean; text: boolean }[]

  constructor(source: SourceTable, names: HeaderNames, header: Header, even: boolean) {
    this.header = header
    this.#names = names
    this.#even = even
    this.#keyCell = header.cells[source.columns.findIndex(({ item }) => item.key)]!
    this.#texts = source.columns.map(({ item }) => item.type === 'text')
    const headers = header.cells.map((at) => (at < 0 ? undefined : header.texts[at]))
    const { empty, marks = 'refuse' } = source.files!.format
    this.#rows = new RowReader(source, empty === 'text', headers, marks)
    this.#absent = [...header.cells.keys()].filter((place) => header.cells[place]! < 0)
    this.#others = source.columns.flatMap(({ item }, place) => {
      const at = header.cells[place]!
      return at < 0 || item.key ? [] : [{ at, required: item.required === true, text: item.type === 'text' }]
    })
  }

  /** The first row above the header that may be one of the table's: people sort sheets, header and all. */
  rowAbove(rows: readonly RawRow[]): number | undefined {
    const { cells, row: headerRow, texts } = this.header
    const there = cells.filter((at) => at >= 0)
    const filled = ({ cells: of }: RawRow) => there.filter((at) => of[at]?.trim()).length
    const shapes = new Set(rows.flatMap(({ number, cells: of }) => (number > headerRow ? shapeOf(of[this.#keyCell] ?? '') : [])))
    return rows.find((row) => {
      const key = row.cells[this.#keyCell]?.trim()
      if (row.wrong || row.number >= headerRow || !key || this.#isHeader(row.cells)) return false
      const count = filled(row)
      if (shapes.has(shapeOf(key)) && count >= Math.min(2, there.length) && count * 2 >= there.length) return true
      return count * 3 > there.length * 2 && !row.cells.some((cell, at) => cell?.trim() && !texts[at]) && this.#isGood(row)
    })?.number
  }

  #isGood(row: RawRow): boolean {
    const read = this.#rows.examine([this.#read(row)])[0]!
    return read.key !== undefined && read.faults.length === 0
  }

  read(rows: readonly RawRow[]): FileRow[] {
    const read: FileRow[] = []
    for (const row of rows) {
      if (row.wrong) read.push(unreadRow(row.number, row.wrong.zh, row.wrong.en))
      else if (row.number > this.header.row && !isBlank(row)) read.push(this.#read(row))
    }
    return this.#rows.examine(read)
  }

  #read({ number, cells, shown }: RawRow): FileRow {
    const { header } = this
    const first = cells[this.#keyCell]?.trim() ?? ''
    const usual = beginsWithDigit(first)
    if ((first === header.texts[this.#keyCell] || (!usual && this.#names.isWritten(first))) && this.#isHeader(cells))
      return unreadRow(number, '表头再次出现', 'the header is there again')
    if (!usual && areTypes(first, cells)) return unreadRow(number, '是各列的数据类型，不是数据', 'it names the types of the columns')
    const outside = this.#outside(cells)
    if (this.#even && (outside >= header.width || cells.length < header.width)) {
      const there = cells.findLastIndex((cell) => cell !== '') + 1
      const count = cells.length < header.width ? cells.length : there
      return unreadRow(
        number,
        `有 ${count} 个单元格，表头有 ${header.width} 个`,
        `it has ${counted(count, 'cell')}, the header has ${header.width}`,
      )
    }
    const placed: (string | null | Wrong)[] = []
    for (const at of header.cells) placed.push(at < 0 ? null : (cells[at] ?? ''))
    if (shown) header.cells.forEach((at, place) => (placed[place] = this.#asRead(placed[place]!, shown.get(at), place)))
    const said = (at: number) => (at < 0 ? undefined : (cells[at] ?? null))
    const absent = this.#absent
    const row = this.#rows.read({ number, cells: placed, op: said(header.op), deleted: said(header.deleted), absent, faults: [] })
    if (!usual && isRemark(first) && this.#isSparse(cells))
      row.faults.push(rowFault(`“${told(first)}”是合计或说明，不是数据`, `"${told(first)}" is a sum or a remark, no row of the table`))
    if (outside >= 0) row.faults.push(withoutHeader(outside, cells[outside]!))
    return row
  }

  #asRead(cell: string | null | Wrong, shown: CellShown | undefined, place: number): string | null | Wrong {
    if (typeof cell !== 'string') return cell
    const read = asRead(cell, shown, this.#texts[place]!)
    if (read !== undefined) return read
    const [zh, en] = hiddenValue(told(cell))
    return { zh, en }
  }

  #isHeader(cells: RawRow['cells']): boolean {
    const { texts } = this.header
    return texts.every((text, at) => this.#names.meaning(text) === this.#names.meaning(cells[at] ?? ''))
  }

  /** Whether a required column, or where there is none every text, is empty. */
  #isSparse(cells: RawRow['cells']): boolean {
    const required = this.#others.filter((other) => other.required)
    const isEmpty = ({ at }: { at: number }): boolean => !cells[at]?.trim()
    return required.length > 0 ? required.some(isEmpty) : this.#others.filter(({ text }) => text).every(isEmpty)
  }

  /** The first cell that holds something and has no header; -1 for none. */
  #outside(cells: RawRow['cells']): number {
    const { texts, width } = this.header
    for (let at = 0; at < cells.length; at++) if ((at >= width || texts[at] === '') && cells[at]?.trim()) return at
    return -1
  }
}

function isBlank({ cells }: RawRow): boolean {
  for (const cell of cells) if (cell !== null && cell.trim() !== '') return false
  return true
}

function withoutHeader(at: number, value: string) {
  const column = columnLetters(at)
  return rowFault(`${column} 列没有表头，却有内容“${told(value)}”`, `column ${column} has no header, but holds "${told(value)}"`)
}
