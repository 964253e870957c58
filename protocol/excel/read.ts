import { openArchive } from './archive.ts'
import { readBook } from './book.ts'
import { excelLimits, type ExcelLimits } from './limits.ts'
import { readRows, type Row } from './sheet.ts'

export interface Sheet {
  name: string
  hidden: boolean
  /**
   * Its rows that hold anything, in order, while the file is being unpacked; can be read again. Values are texts: numbers in plain
   * digits, dates as `2026-11-22`, `2026-11-22T08:30:00` or `08:30:00`, booleans as `true` or `false`. Throws QZ-EXCEL naming the cell.
   */
  rows: () => AsyncGenerator<Row>
  /** Merged ranges (`A1:C2`); complete once the rows have been read to their end. */
  merged: readonly string[]
}

export interface Workbook {
  /** In the order in which a person sees them. */
  sheets: Sheet[]
  close(): void
}

export interface ReadOptions {
  limits?: Partial<ExcelLimits>
  /** `value` (the default) takes what a formula gave when the file was saved; `refuse` refuses formula cells. */
  formulas?: 'value' | 'refuse'
  /** `throw` (the default) ends at the first cell that cannot be read; `row` tells it with its row. */
  cellFaults?: 'throw' | 'row'
}

/**
 * Opens an .xlsx file (ECMA-376), given as bytes or by its path, and reads all but the rows of its sheets. Close it when done. Throws
 * QZ-EXCEL where it is something else, damaged, encrypted, over a limit, or made to do harm.
 */
export async function readWorkbook(
  source: Buffer | string,
  { limits, formulas = 'value', cellFaults = 'throw' }: ReadOptions = {},
): Promise<Workbook> {
  const all = { ...excelLimits, ...limits }
  const archive = await openArchive(source, all)
  try {
    const book = await readBook(archive, all)
    const sheets = book.sheets.map(({ name, hidden, part }): Sheet => {
      const merged: string[] = []
      const rows = (): AsyncGenerator<Row> => {
        merged.length = 0
        return readRows(part, book, { name, limits: all, formulas, cellFaults }, merged)
      }
      return { name, hidden, rows, merged }
    })
    return { sheets, close: () => archive.close() }
  } catch (error) {
    archive.close()
    throw error
  }
}
