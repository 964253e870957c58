import type { LocalizedText } from '../localized.ts'
import { buffer } from 'node:stream/consumers'
import { PassThrough } from 'node:stream'
import type { DataValidation, WorkbookWriter } from '@cj-tech-master/excelts'
import { valueFault } from '../value.ts'
import { columnLetters } from './fault.ts'

export interface WrittenColumn {
  header: string
  /** In characters of Latin script; a Chinese one takes two. */
  width?: number
  /** What a person sees who points at the header. */
  note?: LocalizedText
  /** The only values that Excel lets a person enter. */
  list?: readonly string[]
  /**
   * How values, which are texts, are stored. `text` (the default): as they are, so that eighteen digits and leading zeros survive.
   * `date`: `2026-11-22` as a date from March 1900 on. `number`: up to fifteen digits as a number. What does not fit its format stays text.
   * `moment` and `time` are how what is entered is shown: a date with its time, a time of day.
   */
  format?: 'text' | 'date' | 'number' | 'moment' | 'time'
}

export interface WrittenSheet {
  name: string
  columns: readonly WrittenColumn[]
  rows: readonly (readonly (string | null)[])[]
  /** Keeps the header in sight; the default. */
  frozen?: boolean
}

/** Rows to which formats and lists of a template reach, filled or not. */
const templateRows = 10_000
export const formats = { text: '@', date: 'yyyy-mm-dd', number: 'General', moment: 'yyyy-mm-dd hh:mm:ss', time: 'hh:mm:ss' }

/**
 * An .xlsx file: of each sheet a header row and the rows behind it. A text never becomes a formula, whatever it begins with, and comes
 * back as it was. Rows are packed one by one.
 */
export async function writeWorkbook({ sheets }: { sheets: readonly WrittenSheet[] }): Promise<Buffer> {
  // Loading it takes a third of a second and 60 MB: not before somebody wants a file.
  const excel = await import('@cj-tech-master/excelts')
  const stream = new PassThrough()
  const written = buffer(stream)
  const book = new excel.WorkbookWriter({ stream, useStyles: true })
  const lists = new Lists()
  for (const sheet of sheets) writeSheet(book, sheet, lists)
  lists.write(book)
  await Promise.all([book.commit(), written])
  return written
}

function writeSheet(book: WorkbookWriter, { name, columns, rows, frozen = true }: WrittenSheet, lists: Lists): void {
  const sheet = book.addWorksheet(sheetName(name), { views: frozen ? [{ state: 'frozen', ySplit: 1 }] : [] })
  sheet.columns = columns.map(({ header, width, format = 'text' }) => ({
    header: cellText(header),
    width: width ?? Math.max(12, displayWidth(header) + 4),
    style: { numFmt: formats[format] },
  }))
  columns.forEach(({ note, list }, at) => {
    const header = sheet.getCell(1, at + 1)
    header.style = { numFmt: '@', font: { bold: true } }
    if (note !== undefined) header.note = `${note.zh}\n${note.en}`
    const letter = columnLetters(at)
    const last = Math.max(templateRows, rows.length + 1)
    if (list && list.length > 0) sheet.dataValidations.add(`${letter}2:${letter}${last}`, oneOf(lists.formula(list)))
  })
  for (const row of rows) sheet.addRow(columns.map(({ format = 'text' }, at) => stored(row[at] ?? null, format))).commit()
  sheet.commit()
}

/** At most fifteen digits and a point: what a workbook keeps and shows as it is. */
const plainNumber = /^(?=-?[\d.]{1,15}$)-?\d+(?:\.\d+)?$/

/** A text as a cell of a format holds it. */
export function stored(value: string | null, format: keyof typeof formats): string | number | Date | null {
  if (value === null) return null
  // Before that day the serial numbers of programs differ by the leap day that 1900 did not have.
  if (format === 'date' && value >= '1900-03-01' && valueFault({ type: 'date' }, value) === undefined) return new Date(`${value}T00:00:00Z`)
  if (format === 'number' && plainNumber.test(value) && String(Number(value)) === value) return Number(value)
  return cellText(value)
}

/** What XML cannot hold, or would change, stands as `_x000D_`; what looks so already is escaped (ECMA-376 part 1, 22.9.2.19). */
export function cellText(value: string): string {
  return value
    .toWellFormed()
    .replace(/_(?=x[0-9a-f]{4}_)/gi, '_x005F_')
    .replace(/[\p{Cc}\ufffe\uffff]/gu, (c) =>
      /[\t\n\u0080-\u009f]/.test(c) ? c : `_x${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`,
    )
}

/** Excel's own rules: at most 31 characters, none of these, no apostrophe at the ends. */
export function sheetName(name: string): string {
  return name
    .toWellFormed()
    .replace(/[[\]:*?/\\\p{Cc}\ufffe\uffff]/gu, '_')
    .replace(/^'|'$/g, '_')
    .slice(0, 31)
    .toWellFormed()
}

function displayWidth(text: string): number {
  return Array.from(text).reduce((sum, character) => sum + (/[\u1100-\uffff]/.test(character) ? 2 : 1), 0)
}

function oneOf(formula: string): DataValidation {
  return {
    type: 'list',
    formulae: [formula],
    allowBlank: true,
    showErrorMessage: true,
    errorTitle: '请从列表中选择 Choose from the list',
    error: '只能填写下拉列表中的值\nOnly values of the list are taken',
  }
}

const listSheet = '_lists'

/** Lists stand in a hidden sheet, a column each: a list within the rule itself may have no commas and no more than 255 characters. */
class Lists {
  readonly #lists: (readonly string[])[] = []

  formula(list: readonly string[]): string {
    const key = JSON.stringify(list)
    const known = this.#lists.findIndex((other) => JSON.stringify(other) === key)
    const at = known < 0 ? this.#lists.push(list) - 1 : known
    const letter = columnLetters(at)
    return `${listSheet}!$${letter}$1:$${letter}$${list.length}`
  }

  write(book: WorkbookWriter): void {
    if (this.#lists.length === 0) return
    const sheet = book.addWorksheet(listSheet, { state: 'hidden' })
    this.#lists.forEach((list, column) => {
      list.forEach((value, row) => {
        const cell = sheet.getCell(row + 1, column + 1)
        cell.numFmt = '@'
        cell.value = cellText(value)
      })
    })
    sheet.commit()
  }
}
