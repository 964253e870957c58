/** CSV files where workbooks are taken, too: as people save them from a spreadsheet. */
import type { QianzhiError } from '../errors.ts'
import { CsvParser, type CsvRow } from '../csv.ts'
import { excelFault, wholeFile } from './fault.ts'
import { refuseFaults } from './faults.ts'
import { readWorkbook, type Workbook } from './read.ts'

/** What the sheet of a CSV file is called where a cell is named: `CSV!B3`. */
export const csvSheet = 'CSV'

/**
 * An .xlsx file, or CSV in UTF-8 (with a byte order mark or without) or GB18030, told apart by their bytes. Throws QZ-EXCEL where it is
 * neither; what is wrong with the lines of a CSV is told together.
 */
export async function readWorkbookOrCsv(file: Buffer, { rows }: { rows: number }): Promise<Workbook> {
  return isArchive(file) ? readWorkbook(file, { limits: { rows } }) : csvWorkbook(file, rows)
}

/** A zip, as .xlsx is, or what Office made before and makes of a protected one, which are refused by their names. */
function isArchive(file: Buffer): boolean {
  return file.subarray(0, 2).toString('latin1') === 'PK' || file.subarray(0, 4).toString('hex') === 'd0cf11e0'
}

function csvWorkbook(file: Buffer, most: number): Workbook {
  const text = decoded(file)
  const rows = new CsvParser(separatorOf(text)).parse(text, true).filter(({ cells, wrong }) => wrong || cells.some((cell) => cell !== ''))
  if (rows.length > most) throw excelFault(wholeFile, `超过 ${most} 行`, `it has more than ${most} rows`)
  refuseFaults(rows.flatMap(faultOf))
  // What a sheet does not have is null there, too.
  const cellsOf = ({ cells }: CsvRow) => cells.map((cell) => (cell === '' ? null : cell))
  async function* read() {
    for (const row of rows) yield { number: row.number, cells: cellsOf(row) }
  }
  return { sheets: [{ name: csvSheet, hidden: false, merged: [], rows: read }], close: () => undefined }
}

function faultOf({ number, wrong }: CsvRow): QianzhiError[] {
  return wrong ? [excelFault(`${csvSheet}!${number}`, wrong.zh, wrong.en)] : []
}

/** Throws QZ-EXCEL, which names the first line that is neither. */
function decoded(file: Buffer): string {
  if (file.includes(0)) {
    const [zh, en] = [
      '既不是 Excel 文件（.xlsx），也不是 CSV 文件（UTF-8 或 GB18030）',
      'it is neither an Excel file (.xlsx) nor CSV (UTF-8 or GB18030)',
    ]
    throw excelFault(wholeFile, zh, en)
  }
  const marked = file.subarray(0, 3).toString('hex') === 'efbbbf'
  for (const encoding of marked ? ['utf-8'] : ['utf-8', 'gb18030']) {
    const text = readAs(encoding, file)
    if (text !== undefined) return text
  }
  const lines = marked ? firstWrong('utf-8', file) : Math.max(firstWrong('utf-8', file), firstWrong('gb18030', file))
  throw excelFault(
    `${csvSheet}!${lines}`,
    '这一行的文字既不是 UTF-8 也不是 GB18030 编码：请另存为“CSV UTF-8”',
    'the line is neither UTF-8 nor GB18030: save the file as "CSV UTF-8"',
  )
}

/** Without a byte order mark; undefined where it is something else. */
function readAs(encoding: string, bytes: Buffer): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The line, from 1, at which it cannot be read. */
function firstWrong(encoding: string, file: Buffer): number {
  let [number, start] = [1, 0]
  for (
    let end = file.indexOf(0x0a);
    end >= 0 && readAs(encoding, file.subarray(start, end)) !== undefined;
    end = file.indexOf(0x0a, start)
  ) {
    number++
    start = end + 1
  }
  return number
}

/** What the beginning has most of: a comma, a tab or a semicolon. */
function separatorOf(text: string): string {
  const count = (one: string) => text.slice(0, 4000).split(one).length
  return [',', '\t', ';'].reduce((most, one) => (count(one) > count(most) ? one : most))
}
