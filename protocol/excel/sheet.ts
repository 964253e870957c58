import type { LocalizedText } from '../localized.ts'
import { canonicalTime, valueFault } from '../value.ts'
import type { Part } from './archive.ts'
import { RichText, unescapeText, type Book } from './book.ts'
import { cellName, columnLetters, excelFault, lastRow, parseCellName } from './fault.ts'
import type { ExcelLimits } from './limits.ts'
import type { CellShown } from './number-format.ts'
import { numberText, serialText, type CellFormat, type Found } from './numbers.ts'
import { parseXml, type XmlHandler } from './xml.ts'

export interface Row {
  /** As the sheet counts: from 1. */
  number: number
  /** By column from A, up to the last cell that holds something. An empty text is not null. */
  cells: (string | null)[]
  /** By column, of cells whose format shows something else than their value: what a person reads. */
  shown?: Map<number, CellShown>
  /** By column, where faults of cells are told with their row: why a cell is not taken, which is then null. */
  refused?: Map<number, LocalizedText>
}

export interface SheetReading {
  name: string
  limits: ExcelLimits
  /** `value` takes what a formula gave when the file was saved; `refuse` refuses formula cells. */
  formulas: 'value' | 'refuse'
  /** What is wrong with a cell is thrown, or told with its row. */
  cellFaults: 'throw' | 'row'
}

/**
 * The rows of a sheet that hold anything, as the part is unpacked. Merged ranges, which stand behind the rows, are put into `merged`.
 * Throws QZ-EXCEL naming the cell.
 */
export async function* readRows(part: Part, book: Book, reading: SheetReading, merged: string[]): AsyncGenerator<Row> {
  const rows: Row[] = []
  for await (const _ of parseXml(part, new SheetHandler(book, reading, rows, merged))) {
    yield* rows.splice(0)
  }
}

interface Cell {
  column: number
  type: string
  style: number
  value: string | undefined
  formula: boolean
}

class SheetHandler implements XmlHandler {
  readonly #book: Book
  readonly #reading: SheetReading
  readonly #rows: Row[]
  readonly #merged: string[]
  readonly #inline = new RichText()
  #row: Row = { number: 0, cells: [] }
  #count = 0
  #column = -1
  #cell: Cell | undefined
  #value: string | undefined
  #inData = false

  constructor(book: Book, reading: SheetReading, rows: Row[], merged: string[]) {
    this.#book = book
    this.#reading = reading
    this.#rows = rows
    this.#merged = merged
  }

  open(name: string, attributes: Readonly<Record<string, string>>): void {
    if (name === 'sheetData') this.#inData = true
    else if (name === 'mergeCell') this.#merge(attributes['ref'] ?? '')
    else if (!this.#inData) return
    else if (name === 'row') this.#openRow(attributes['r'])
    else if (name === 'c') this.#openCell(attributes)
    else if (name === 'v') this.#value = ''
    else if (name === 'f' && this.#cell) this.#cell.formula = true
    else if (name === 'is') this.#inline.clear()
    else this.#inline.open(name)
  }

  text(found: string): void {
    if (this.#value !== undefined) this.#value += found
    else if (this.#cell) this.#inline.add(found)
  }

  close(name: string): void {
    if (name === 'sheetData') this.#inData = false
    else if (!this.#inData) return
    else if (name === 'v') this.#closeValue()
    else if (name === 'is' && this.#cell) this.#cell.value = this.#inline.value
    else if (name === 'c') this.#closeCell()
    else if (name === 'row') this.#closeRow()
    else this.#inline.close(name)
  }

  /** A merged range hides all values but its first; what that means is for the reader of a table to say. */
  #merge(range: string): void {
    if (this.#merged.length >= this.#reading.limits.rows)
      throw excelFault(this.#reading.name, '合并单元格过多', 'it has too many merged cells')
    this.#merged.push(range)
  }

  #openRow(given: string | undefined): void {
    const number = given === undefined ? this.#row.number + 1 : Number(given)
    if (!Number.isInteger(number) || number <= this.#row.number || number > lastRow)
      throw excelFault(this.#reading.name, `第 ${given} 行的行号有误`, `row ${given} is out of order`)
    this.#row = { number, cells: [] }
    this.#column = -1
  }

  #openCell({ r, t = 'n', s = '0' }: Readonly<Record<string, string>>): void {
    // Nearly always the next cell.
    const next = r === undefined || r === columnLetters(this.#column + 1) + this.#row.number
    const place = next ? { row: this.#row.number, column: this.#column + 1 } : parseCellName(r)
    if (!place || place.row !== this.#row.number || place.column <= this.#column)
      throw excelFault(this.#reading.name, `单元格 ${r} 的位置有误`, `cell ${r} is out of place`)
    this.#column = place.column
    this.#cell = { column: place.column, type: t, style: Number(s), value: undefined, formula: false }
  }

  #closeValue(): void {
    if (this.#cell) this.#cell.value = this.#value
    this.#value = undefined
  }

  #closeCell(): void {
    const cell = this.#cell
    this.#cell = undefined
    if (!cell) return
    const { limits, formulas } = this.#reading
    if (cell.formula && formulas === 'refuse')
      return this.#refuse(cell, '不能使用公式，请填写值', 'formulas are not taken: enter the value')
    if (cell.value === undefined || (cell.value === '' && !textTypes.has(cell.type))) {
      if (cell.formula)
        this.#refuse(cell, '公式没有计算结果，请在 Excel 中打开并保存', 'its formula has no result: open and save it in Excel')
      return
    }
    if (cell.formula && !(this.#book.calculated && isCalculated(cell.value)))
      return this.#refuse(
        cell,
        '公式未经计算，其值不可信：请在 Excel 中打开并保存',
        'its formula was not calculated: open and save it in Excel',
      )
    if (cell.column >= limits.columns) return this.#refuse(cell, `超过 ${limits.columns} 列`, `it is beyond ${limits.columns} columns`)
    const found = cellText(cell, cell.value, this.#book)
    if (!('text' in found)) return this.#refuse(cell, found.zh, found.en)
    if (found.text.length > limits.cellLength)
      return this.#refuse(cell, `内容超过 ${limits.cellLength} 个字符`, `it is longer than ${limits.cellLength} characters`)
    while (this.#row.cells.length < cell.column) this.#row.cells.push(null)
    this.#row.cells.push(found.text)
    if (found.shown) (this.#row.shown ??= new Map()).set(cell.column, found.shown)
  }

  #closeRow(): void {
    if (this.#row.cells.length === 0) return
    const { limits, name } = this.#reading
    if (++this.#count > limits.rows) throw excelFault(name, `超过 ${limits.rows} 行`, `it has more than ${limits.rows} rows`)
    this.#rows.push(this.#row)
  }

  #refuse({ column }: Cell, zh: string, en: string): void {
    const { name, cellFaults, limits } = this.#reading
    if (cellFaults === 'throw') throw excelFault(cellName(name, this.#row.number, column), zh, en)
    const at = Math.min(column, limits.columns)
    while (this.#row.cells.length <= at) this.#row.cells.push(null)
    ;(this.#row.refused ??= new Map()).set(at, { zh, en })
  }
}

/** Programs that calculate write `3`, and spell no number as `3.0` as Java does. */
function isCalculated(value: string): boolean {
  return !/^-?\d+\.0(?:E-?\d+)?$/.test(value)
}

const textTypes = new Set(['inlineStr', 'str'])

const plain: CellFormat = { kind: 'number' }

function cellText({ type, style }: Cell, value: string, book: Book): Found {
  if (type === 'n') {
    const format = book.formats[style] ?? plain
    return format.kind === 'number' ? numberText(value, format.show) : serialText(value, format, book.dateSystem)
  }
  if (type === 's') {
    const text = /^\d+$/.test(value) ? book.texts[Number(value)] : undefined
    return text === undefined ? { zh: '引用的文本不存在', en: 'it names a text that is not there' } : { text }
  }
  if (type === 'inlineStr') return { text: value }
  if (type === 'str')
    return imageForm.test(value) ? { zh: '是图片，不是值', en: 'it holds a picture, no value' } : { text: unescapeText(value) }
  if (type === 'b' && (value === '0' || value === '1')) return { text: value === '1' ? 'true' : 'false' }
  if (type === 'd') return isoText(value)
  return { zh: `错误值 ${value}`, en: `it holds the error ${value}` }
}

/** What WPS writes where a picture lies in a cell. */
export const imageForm = /^=(?:_xlfn\.)?DISPIMG\(/i

/** A date cell in words (`t="d"`), as the strict variant of the standard has them. */
function isoText(value: string): Found {
  const text = value.length > 10 ? canonicalTime(value) : value
  const fits = (['date', 'timestamp', 'time'] as const).some((type) => valueFault({ type }, text) === undefined)
  return fits ? { text } : { zh: `“${value}”不是有效日期`, en: `"${value}" is not a date` }
}
