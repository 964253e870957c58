import { basename } from 'node:path'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { ExcelLimits } from '../../../protocol/excel/limits.ts'
import { readWorkbook, type Sheet, type Workbook } from '../../../protocol/excel/read.ts'
import { checkMerged, findSheet, headerWithin } from '../../../protocol/excel/table.ts'
import type { Refuse } from './file-fault.ts'
import type { SourceTable } from '../../database.ts'
import { findHeader, HeaderNames, type RawRow } from './header.ts'
import { tableRows } from './table-rows.ts'
import type { FileRow, ReadFileOptions } from './file-row.ts'

/** Larger than what is uploaded by hand: the rows pass, and only different texts are kept. */
function limitsOf(unpackedLimit: number | undefined): Partial<ExcelLimits> {
  const unpackedBytes = unpackedLimit ?? 4 * 2 ** 30
  return { fileBytes: 200 << 20, unpackedBytes, ratioBytes: unpackedLimit ?? 512 << 20, rows: 1_048_576 }
}

/** The rows of a sheet. Throws QZ-FILE naming the cell. */
export async function* readExcel({ path, source, signal }: ReadFileOptions, refuse: Refuse, chunk: number): AsyncGenerator<FileRow[]> {
  try {
    const book = await readWorkbook(path, { limits: limitsOf(source.files!.format.unpackedLimit) })
    try {
      const sheet = findSheet(book, source.files!.format.sheet)
      const where = (row: number): string => `${sheet.name}!${row}`
      const ended = (headerRow: number): void => checkMerged(sheet, headerRow)
      yield* tableRows({ rows: rowsOf(sheet, chunk, signal), where, even: false, ended }, source, refuse)
      if (source.files!.format.sheet === undefined) await refuseOthers(book, sheet, source, refuse)
    } finally {
      book.close()
    }
  } catch (error) {
    if (!(error instanceof QianzhiError) || error.code !== 'QZ-EXCEL') throw error
    const { where, reason } = error.details
    throw new QianzhiError('QZ-FILE', { file: basename(path), where: where!, reason: reason! }, { cause: error })
  }
}

/** A second sheet of the same table would be left out without a word. */
async function refuseOthers({ sheets }: Workbook, sheet: Sheet, source: SourceTable, refuse: Refuse): Promise<void> {
  for (const other of sheets) {
    if (other === sheet || other.hidden || !(await holdsTable(other, source, refuse))) continue
    throw refuse(
      other.name,
      `与工作表“${sheet.name}”的表头相同，也有数据：请合并为一张，或在来源中设 sheet`,
      `it has the header of sheet "${sheet.name}" and rows too: put them into one sheet, or set sheet at the source`,
    )
  }
}

async function holdsTable(sheet: Sheet, source: SourceTable, refuse: Refuse): Promise<boolean> {
  const rows: RawRow[] = []
  try {
    for await (const row of sheet.rows()) if (rows.push(row) > headerWithin) break
    const header = findHeader(rows.slice(0, headerWithin), source, new HeaderNames(source), String, refuse)
    return rows.some(({ number }) => number > header.row)
  } catch (error) {
    if (error instanceof QianzhiError && ['QZ-EXCEL', 'QZ-FILE'].includes(error.code)) return false
    throw error
  }
}

async function* rowsOf(sheet: Sheet, chunk: number, signal: AbortSignal): AsyncGenerator<RawRow[]> {
  let rows: RawRow[] = []
  for await (const row of sheet.rows()) {
    rows.push(row)
    if (rows.length < chunk) continue
    yield rows
    rows = []
    signal.throwIfAborted()
  }
  if (rows.length > 0) yield rows
}
