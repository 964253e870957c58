import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { WorkbookWriter } from '@cj-tech-master/excelts'
import { cellText, formats, sheetName, stored, type WrittenColumn } from './write.ts'

export interface WrittenPages {
  /** Of the first sheet; the others have a number behind it. */
  name: string
  headers: readonly string[]
  /** Of each column; all of them are texts where it is left out. */
  columnFormats?: readonly NonNullable<WrittenColumn['format']>[]
  /** Each row has a value for each header. */
  pages: Iterable<WrittenRows> | AsyncIterable<WrittenRows>
  /** A further sheet, behind the others; its rows are asked for when those are written. */
  last?: { name: string; rows: () => WrittenRows }
}

export type WrittenRows = readonly (readonly (string | null)[])[]

/** Rows of a sheet beside its header (ECMA-376, and every program that reads it). */
export const maxSheetRows = 1_048_575

/**
 * An .xlsx file of any number of rows, piece by piece: a sheet for each 1,048,575 of them. Texts come back as they were;
 * none becomes a formula. Rows are packed as they come, and no more of them are asked for than are taken.
 */
export async function* writePages(written: WrittenPages): AsyncGenerator<Buffer> {
  // Loading it takes a third of a second and 60 MB: not before somebody wants a file.
  const excel = await import('@cj-tech-master/excelts')
  const stream = new PassThrough({ highWaterMark: 1 << 20 })
  const book = new excel.WorkbookWriter({ stream, useStyles: true })
  const filling = fill(book, stream, written).catch((error: Error) => void stream.destroy(error))
  try {
    yield* stream as Readable & AsyncIterable<Buffer>
    await filling
  } finally {
    stream.destroy()
  }
}

async function fill(
  book: WorkbookWriter,
  stream: PassThrough,
  { name, headers, columnFormats = [], pages, last }: WrittenPages,
): Promise<void> {
  const formatOf = (at: number) => columnFormats[at] ?? 'text'
  let sheets = 0
  const begin = () => {
    const sheet = book.addWorksheet(sheetName(++sheets === 1 ? name : `${name.slice(0, 25)} ${sheets}`), {
      views: [{ state: 'frozen', ySplit: 1 }],
    })
    sheet.columns = headers.map((header, at) => ({ header: cellText(header), width: 18, style: { numFmt: formats[formatOf(at)] } }))
    return sheet
  }
  let [sheet, rows] = [begin(), 0]
  for await (const page of pages) {
    for (const row of page) {
      if (rows === maxSheetRows) {
        sheet.commit()
        ;[sheet, rows] = [begin(), 0]
      }
      sheet.addRow(row.map((value, at) => stored(value, formatOf(at)))).commit()
      rows++
    }
    await setImmediate()
    if (stream.destroyed) return
    if (stream.writableNeedDrain) await Promise.race([once(stream, 'drain'), once(stream, 'close')])
  }
  sheet.commit()
  if (last) {
    const behind = book.addWorksheet(sheetName(last.name))
    for (const row of last.rows()) behind.addRow(row.map((value) => (value === null ? null : cellText(value)))).commit()
    behind.commit()
  }
  await book.commit()
}
