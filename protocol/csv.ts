/** Comma-separated values (RFC 4180), with any separator and line end. */
import type { LocalizedText } from './localized.ts'

/** A row as it stands in the text. */
export interface CsvRow {
  /** The line on which it begins, from 1. */
  number: number
  cells: readonly string[]
  /** Why its cells cannot be told. */
  wrong?: LocalizedText
}

const [quote, lineFeed, carriageReturn] = [0x22, 0x0a, 0x0d]

const byteOrderMark = 0xfeff
/** Characters of a row in a text file. */
export const longestRow = 1 << 20
export const tooLong = { zh: `超过 ${longestRow} 个字符`, en: `it is longer than ${longestRow} characters` }
const joined = {
  zh: '行首有字节顺序标记：多个文件被拼接在一起',
  en: 'it begins with a byte order mark: files were put together',
}

/** Wrong of the last row alone: nothing behind it can be read. */
export const unclosed = {
  zh: `引号没有结束，或引号内超过 ${longestRow} 个字符：其后各行无法读取`,
  en: `a quote is not closed, or holds more than ${longestRow} characters: what is behind it cannot be read`,
}

/**
 * Parses a text that comes piece by piece. A quote within a cell that does not begin with one is itself; behind a quoted cell nothing may stand
 * but a separator or the line's end. A row that breaks this is handed on as wrong, and the next line begins a row.
 */
export class CsvParser {
  readonly #separator: number
  #held = ''
  #line = 1
  /** Within a row that is too long to be kept. */
  #dropping = false
  /** Within quotes. */
  #open = false
  /** Where the row that was parsed ends, and how many lines it has. */
  #next = 0
  #lines = 0

  constructor(separator: string) {
    this.#separator = separator.charCodeAt(0)
  }

  /** The rows that are complete with this piece; the rest is held until more comes. `last`: nothing more does. */
  parse(piece: string, last = false): CsvRow[] {
    const text = this.#held + piece
    const rows: CsvRow[] = []
    let at = this.#dropping ? this.#drop(text) : 0
    // Without a line's end no row ends: a long one is not parsed again with each piece.
    if (last || piece.includes('\n') || piece.includes('\r')) at = this.#parseRows(text, at, last, rows)
    this.#held = text.slice(at)
    if (this.#held.length > longestRow) {
      this.#row(this.#held, 0, false)
      rows.push({ number: this.#line, cells: [], wrong: this.#open ? unclosed : tooLong })
      this.#dropping = true
      this.#held = ''
    }
    return rows
  }

  /** @returns where the first row begins that may not be all there. */
  #parseRows(text: string, start: number, last: boolean, rows: CsvRow[]): number {
    let at = start
    while (at < text.length) {
      const row = this.#row(text, at, last)
      if (!row) break
      if (this.#next - at > longestRow) rows.push({ number: row.number, cells: [], wrong: tooLong })
      else rows.push(text.charCodeAt(at) === byteOrderMark && row.number > 1 ? { ...row, cells: [], wrong: joined } : row)
      at = this.#next
      this.#line += this.#lines
    }
    return at
  }

  /** To the end of the line. */
  #drop(text: string): number {
    const end = text.indexOf('\n')
    if (end < 0) return text.length
    this.#dropping = false
    this.#line++
    return end + 1
  }

  /** The row that begins here; undefined where it may not be all there. */
  #row(text: string, start: number, last: boolean): CsvRow | undefined {
    const cells: string[] = []
    const row: CsvRow = { number: this.#line, cells }
    this.#lines = 1
    this.#open = false
    for (let at = start; ;) {
      if (text.charCodeAt(at) === quote) {
        const end = closingQuote(text, at + 1)
        this.#open = end < 0
        if (this.#open && last) return this.#unclosed(text, row)
        if (this.#open) return undefined
        cells.push(this.#quoted(text.slice(at + 1, end)))
        at = end + 1
      } else {
        const from = at
        at = this.#cellEnd(text, at)
        cells.push(text.slice(from, at))
      }
      const code = text.charCodeAt(at)
      if (code === this.#separator) {
        at++
        continue
      }
      if (code !== lineFeed && code !== carriageReturn && at < text.length) return this.#garbled(text, at, row, last)
      return this.#endRow(text, at, last) ? row : undefined
    }
  }

  #cellEnd(text: string, start: number): number {
    const separator = this.#separator
    let at = start
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === separator || code === lineFeed || code === carriageReturn) break
    }
    return at
  }

  #quoted(cell: string): string {
    for (let at = cell.indexOf('\n'); at >= 0; at = cell.indexOf('\n', at + 1)) this.#lines++
    return cell.includes('"') ? cell.replaceAll('""', '"') : cell
  }

  /** False where the text ends before it is known that the row does. */
  #endRow(text: string, at: number, last: boolean): boolean {
    if (at >= text.length) {
      this.#next = at
      return last
    }
    const returned = text.charCodeAt(at) === carriageReturn
    if (returned && at + 1 === text.length && !last) return false
    this.#next = returned && text.charCodeAt(at + 1) === lineFeed ? at + 2 : at + 1
    return true
  }

  #garbled(text: string, at: number, { number }: CsvRow, last: boolean): CsvRow | undefined {
    const end = text.indexOf('\n', at)
    if (end < 0 && !last) return undefined
    this.#next = end < 0 ? text.length : end + 1
    return { number, cells: [], wrong: { zh: '引号之后还有内容', en: 'text follows a closing quote' } }
  }

  #unclosed(text: string, { number }: CsvRow): CsvRow {
    this.#next = text.length
    return { number, cells: [], wrong: unclosed }
  }
}

/** Of a doubled quote neither closes. */
function closingQuote(text: string, from: number): number {
  let end = text.indexOf('"', from)
  while (end >= 0 && text.charCodeAt(end + 1) === quote) end = text.indexOf('"', end + 2)
  return end
}
