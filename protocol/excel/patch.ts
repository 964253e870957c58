/**
 * A workbook with one cell more in rows of one sheet, and a sheet more: everything else, formats, widths, other sheets, stays as it was. Parts
 * are copied as they are unpacked; of the sheet's XML only the text of those rows is touched, so memory holds one row at a time.
 */
import { posix } from 'node:path'
import { openArchive, type Archive, type Part } from './archive.ts'
import { readPlaces } from './book.ts'
import { columnLetters, parseCellName } from './fault.ts'
import { excelLimits } from './limits.ts'
import type { WrittenRows } from './write-pages.ts'
import { cellText } from './write.ts'
import { parseXml, type XmlHandler } from './xml.ts'
import { zipOf, type PackedFile } from './zip.ts'

export interface Patch {
  /** The sheet whose rows get a cell; undefined where none does. */
  cells?: {
    sheet: string
    /** From 0. A row that has something there gets its cell behind its last one. */
    column: number
    /** What stands in that column is ours, and goes. */
    own: boolean
    /** Asked for each row that the sheet has, in their order, once. */
    textOf: (row: number) => Promise<string | undefined>
  }
  /** A further sheet; one of this name is replaced. Asked for when all rows have been. */
  last: { name: string; rows: () => Promise<WrittenRows> }
}

const spreadsheet = 'application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml'

/** Throws QZ-EXCEL, as reading it does. */
export async function* patchWorkbook(path: string, patch: Patch): AsyncGenerator<Buffer> {
  const archive = await openArchive(path, excelLimits)
  try {
    yield* zipOf(partsOf(archive, patch))
  } finally {
    archive.close()
  }
}

async function* partsOf(archive: Archive, { cells, last }: Patch): AsyncGenerator<PackedFile> {
  const { workbook, relationships, sheets } = await readPlaces(archive)
  const target = cells && sheets.find(({ name }) => name === cells.sheet)?.part
  const standing = sheets.find(({ name }) => name.toLowerCase() === last.name.toLowerCase())?.part
  const strict = (await textOf(workbook)).includes('http://purl.oclc.org/ooxml/')
  const edits = new Map<string, (text: string) => string>()
  // As programs name them: some find a sheet by its number.
  const lastPart = freeName(archive, posix.dirname(workbook.name))
  if (!standing) {
    const target = posix.relative(posix.dirname(workbook.name), lastPart)
    const id = freeId(await textOf(archive.part(relationships)!))
    const type = `${strict ? 'http://purl.oclc.org/ooxml/officeDocument' : 'http://schemas.openxmlformats.org/officeDocument/2006'}/relationships/worksheet`
    edits.set('[content_types].xml', (text) =>
      before(text, 'Types', (p) => `<${p}Override PartName="/${lastPart}" ContentType="${spreadsheet}"/>`),
    )
    edits.set(relationships.toLowerCase(), (text) =>
      before(text, 'Relationships', (p) => `<${p}Relationship Id="${id}" Type="${type}" Target="${target}"/>`),
    )
    edits.set(workbook.name.toLowerCase(), (text) => withSheet(text, { name: last.name, id, strict }))
  }
  for (const part of archive.parts()) {
    if (part.name === target?.name || part.name === standing?.name) continue
    const edit = edits.get(part.name.toLowerCase())
    yield { name: part.name, chunks: edit ? one(edit(await textOf(part))) : part.chunks() }
  }
  if (target) yield { name: target.name, chunks: patched(target, cells) }
  yield { name: standing?.name ?? lastPart, chunks: one(sheetOf(await last.rows(), strict)) }
}

async function* one(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

async function textOf(part: Part): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of part.chunks()) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** Puts an element before the end of another one, with its prefix; an empty one is opened. */
function before(text: string, element: string, made: (prefix: string) => string): string {
  const closed = new RegExp(`</([\\w.-]+:)?${element}\\s*>(?![\\s\\S]*</([\\w.-]+:)?${element}\\s*>)`)
  return text.replace(closed, (end: string, prefix: string | undefined) => made(prefix ?? '') + end)
}

function freeName(archive: Archive, folder: string): string {
  for (let number = 1; ; number++) {
    const name = `${folder}/worksheets/sheet${number}.xml`
    if (!archive.part(name)) return name
  }
}

function freeId(relationships: string): string {
  const taken = Array.from(relationships.matchAll(/\bId\s*=\s*["']rId(\d+)["']/g), ([, id]) => Number(id))
  return `rId${Math.max(0, ...taken) + 1}`
}

/** Many programs know the attribute by the usual prefix alone. */
function withSheet(text: string, { name, id: relationship, strict }: { name: string; id: string; strict: boolean }): string {
  const ids = Array.from(text.matchAll(/\bsheetId\s*=\s*["'](\d+)["']/g), ([, id]) => Number(id))
  const space = strict
    ? 'http://purl.oclc.org/ooxml/officeDocument/relationships'
    : 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
  const id = Math.max(0, ...ids) + 1
  return before(text, 'sheets', (p) => `<${p}sheet xmlns:r="${space}" name="${escape(name)}" sheetId="${id}" r:id="${relationship}"/>`)
}

function sheetOf(rows: WrittenRows, strict: boolean): string {
  const space = strict ? 'http://purl.oclc.org/ooxml/spreadsheetml/main' : 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
  const lines = rows.map((row, i) => {
    const cells = row.map((value, column) => (value === null ? '' : cellOf('', column, i + 1, value)))
    return `<row r="${i + 1}">${cells.join('')}</row>`
  })
  return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="${space}"><sheetData>${lines.join('')}</sheetData></worksheet>`
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escape = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character]!)

/** A text, whatever it begins with. */
function cellOf(prefix: string, column: number, row: number, text: string): string {
  const [p, place] = [prefix, `${columnLetters(column)}${row}`]
  return `<${p}c r="${place}" t="inlineStr"><${p}is><${p}t xml:space="preserve">${escape(cellText(text))}</${p}t></${p}is></${p}c>`
}

/** Where tags of a row end, in characters from the beginning of the part. */
interface RowPlaces {
  number: number
  open: number
  close: number
  lastColumn: number
  /** The cell in the column, and the first one behind it. */
  there?: { open: number; close: number }
  behind?: number
}

/** Tells the rows of a sheet that it has met to their ends. */
class RowFinder implements XmlHandler {
  readonly rows: RowPlaces[] = []
  row: RowPlaces | undefined
  readonly #column: number
  #number = 0
  #inData = false
  /** Of the cell in the column. */
  #cell: number | undefined

  constructor(column: number) {
    this.#column = column
  }

  open(name: string, attributes: Readonly<Record<string, string>>, end: number): void {
    if (name === 'sheetData') this.#inData = true
    else if (!this.#inData) return
    else if (name === 'row') {
      this.#number = attributes['r'] === undefined ? this.#number + 1 : Number(attributes['r'])
      this.row = { number: this.#number, open: end, close: end, lastColumn: -1 }
    } else if (name === 'c' && this.row) {
      const column = parseCellName(attributes['r'] ?? '')?.column ?? this.row.lastColumn + 1
      this.row.lastColumn = column
      this.#cell = column === this.#column ? end : undefined
      if (column > this.#column) this.row.behind ??= end
    }
  }

  close(name: string, end: number): void {
    if (name === 'sheetData') this.#inData = false
    else if (!this.#inData || !this.row) return
    else if (name === 'c' && this.#cell !== undefined) {
      this.row.there = { open: this.#cell, close: end }
      this.#cell = undefined
    } else if (name === 'row') {
      this.rows.push({ ...this.row, close: end })
      this.row = undefined
    }
  }
}

/** Text that is not handed on yet. */
class Held {
  #text = ''
  #from = 0

  add(text: string): void {
    this.#text += text
  }

  /** Where the tag begins that ends there: in attributes there is no `<`. */
  begin(end: number): number {
    return this.#text.lastIndexOf('<', end - this.#from - 1) + this.#from
  }

  slice(from: number, to: number): string {
    return this.#text.slice(from - this.#from, to - this.#from)
  }

  /** Hands on what stands before a place. */
  cut(to: number): string {
    const piece = this.#text.slice(0, Math.max(0, to - this.#from))
    this.#text = this.#text.slice(piece.length)
    this.#from += piece.length
    return piece
  }

  /** All but a tag that may not be complete. */
  cutTags(): string {
    return this.cut(this.#from + Math.max(0, this.#text.lastIndexOf('<')))
  }

  rest(): string {
    return this.cut(this.#from + this.#text.length)
  }
}

async function* patched(part: Part, { column, own, textOf: textFor }: NonNullable<Patch['cells']>): AsyncGenerator<Buffer> {
  const finder = new RowFinder(column)
  const held = new Held()
  for await (const chunk of parseXml(part, finder)) {
    held.add(chunk)
    let out = ''
    for (const row of finder.rows.splice(0)) {
      const text = await textFor(row.number)
      if (text !== undefined || (own && row.there)) out += withCell(held, row, { column, own, text })
    }
    out += finder.row ? held.cut(held.begin(finder.row.open)) : held.cutTags()
    if (out !== '') yield Buffer.from(out)
  }
  yield Buffer.from(held.rest())
}

/** The text up to the place of the cell, and the cell. */
function withCell(held: Held, row: RowPlaces, { column, own, text }: { column: number; own: boolean; text: string | undefined }): string {
  const { there, behind, open, close, number, lastColumn } = row
  const begins = held.begin(open)
  const prefix = /^<([\w.-]+:)?/.exec(held.slice(begins, open))![1] ?? ''
  const taken = there !== undefined && !own
  const cell = text === undefined ? '' : cellOf(prefix, taken ? lastColumn + 1 : column, number, text)
  if (there && own) {
    const out = held.cut(held.begin(there.open)) + cell
    held.cut(there.close)
    return out
  }
  if (open === close) {
    const out = `${held.cut(close - 2)}>${cell}</${prefix}row>`
    held.cut(close)
    return out
  }
  return held.cut(held.begin(taken || behind === undefined ? close : behind)) + cell
}
