import { QianzhiError } from '../errors.ts'
import { cellName, columnLetters, excelFault, parseCellName, wholeFile } from './fault.ts'
import type { CellShown } from './number-format.ts'
import type { Sheet, Workbook } from './read.ts'
import type { Row } from './sheet.ts'

export interface TableColumn<Key extends string> {
  key: Key
  /** The column's headers, any of which names it; in a refusal they are said together. */
  headers: readonly [zh: string, en: string]
  /** The column must be there, and have a value in each row. */
  required?: boolean
}

export interface TableRow<Key extends string> {
  /** As the sheet counts. */
  number: number
  /** Without white space around; null where a cell is blank or the column is not there. */
  values: Record<Key, string | null>
  /** Whether the sheet has the column: a blank cell of it is a value that was taken away. */
  has: (key: Key) => boolean
  /** QZ-EXCEL that names this row's cell in this column. */
  fault: (key: Key, zh: string, en: string) => QianzhiError
}

export interface TableOptions {
  /** The sheet's name; the first visible one where it is not given. */
  sheet?: string
  /** Takes what is wrong with single rows, which are then left out; where it is not given, the first fault is thrown. */
  onFault?: (fault: QianzhiError) => void
}

/** The header may stand below a title and remarks, but within these rows. */
export const headerWithin = 20

/**
 * The rows of a table whose header names the columns in Chinese or English, in any order. Spaces, case, full-width forms, a `*` and
 * `(必填)` in a header do not count. Throws QZ-EXCEL where there is no header, where columns are missing, unknown or there twice (all are
 * named), where a value stands outside the columns, or (after the last row) where cells of the table are merged: keep nothing until the end.
 */
export async function* readTable<Key extends string>(
  workbook: Workbook,
  columns: readonly TableColumn<Key>[],
  { sheet: wanted, onFault }: TableOptions = {},
): AsyncGenerator<TableRow<Key>> {
  const sheet = findSheet(workbook, wanted)
  let header: Header<Key> | undefined
  let above: Row[] = []
  const table = (row: Row, found: Header<Key>) => takeRow(sheet.name, row, found, columns, onFault)
  const rows = sheet.rows()
  for await (const row of rows) {
    if (header) yield* table(row, header)
    else if (row.number <= headerWithin) above.push(row)
    else {
      header = findHeader(sheet.name, above, columns)
      for (const early of [...above, row]) yield* table(early, header)
      above = []
    }
  }
  header ??= findHeader(sheet.name, above, columns)
  for (const early of above) yield* table(early, header)
  checkMerged(sheet, header.row)
}

/** The sheet of this name, or the first visible one. Throws QZ-EXCEL. */
export function findSheet({ sheets }: Workbook, wanted: string | undefined): Sheet {
  const sheet = sheets.find(({ name, hidden }) => (wanted === undefined ? !hidden : name === wanted))
  if (sheet) return sheet
  throw excelFault(
    wholeFile,
    `没有工作表${wanted === undefined ? '' : ` ${wanted}`}`,
    `there is no sheet${wanted === undefined ? '' : ` ${wanted}`}`,
  )
}

interface Header<Key extends string> {
  row: number
  /** The key of each column, from A. */
  keys: (Key | undefined)[]
}

/** The row with the most known headers. */
function findHeader<Key extends string>(sheet: string, rows: readonly Row[], columns: readonly TableColumn<Key>[]): Header<Key> {
  const byHeader = new Map(columns.flatMap(({ key, headers }) => headers.map((header) => [plainHeader(header), key] as const)))
  const keysOf = ({ cells }: Row) => cells.map((cell) => (cell === null ? undefined : byHeader.get(plainHeader(cell))))
  const known = (row: Row) => keysOf(row).filter((key) => key !== undefined).length
  const best = rows.reduce<Row | undefined>((best, row) => (known(row) > (best ? known(best) : 0) ? row : best), undefined)
  if (!best) {
    const names = columns.map(bothHeaders).join(', ')
    throw excelFault(sheet, `前 ${headerWithin} 行中没有表头：${names}`, `no header within the first ${headerWithin} rows: ${names}`)
  }
  const keys = keysOf(best)
  checkHeader(sheet, best, keys, columns)
  return { row: best.number, keys }
}

function checkHeader<Key extends string>(
  sheet: string,
  { number, cells }: Row,
  keys: readonly (Key | undefined)[],
  columns: readonly TableColumn<Key>[],
): void {
  const named = (wrong: (at: number) => boolean): string[] =>
    cells.flatMap((cell, at) => (cell?.trim() && wrong(at) ? [`${columnLetters(at)}${number} ${cell.trim()}`] : []))
  const wrong: [string, string, string[]][] = [
    ['缺少列', 'columns missing', columns.filter(({ key, required }) => required && !keys.includes(key)).map(bothHeaders)],
    ['不认识的列', 'unknown columns', named((at) => keys[at] === undefined)],
    ['重复的列', 'columns there twice', named((at) => keys[at] !== undefined && keys.indexOf(keys[at]) !== at)],
  ]
  const found = wrong.filter(([, , names]) => names.length > 0)
  if (found.length === 0) return
  const zh = found.map(([what, , names]) => `${what}：${names.join('、')}`).join('；')
  throw excelFault(sheet, zh, found.map(([, what, names]) => `${what}: ${names.join(', ')}`).join('; '))
}

function bothHeaders({ headers: [zh, en] }: TableColumn<string>): string {
  return `${zh} (${en})`
}

/** A header without what does not count in it. */
export function plainHeader(header: string): string {
  return header
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\((?:必填|required)\)|[\s*]/g, '')
}

function* takeRow<Key extends string>(
  sheet: string,
  { number, cells, shown }: Row,
  header: Header<Key>,
  columns: readonly TableColumn<Key>[],
  onFault: TableOptions['onFault'],
): Generator<TableRow<Key>> {
  if (number < header.row && isRow(cells, header, columns)) {
    const fault = excelFault(
      `${sheet}!${number}`,
      `这一行在表头（第 ${header.row} 行）之上，却像是数据：请将表头移到所有数据之上`,
      `it stands above the header (row ${header.row}) and looks like one of the rows: put the header above all of them`,
    )
    if (!onFault) throw fault
    onFault(fault)
  }
  if (number <= header.row || cells.every((cell) => blank(cell) === null)) return
  const values = Object.fromEntries(columns.map(({ key }) => [key, null])) as Record<Key, string | null>
  const place = (column: number): string => cellName(sheet, number, column)
  const row: TableRow<Key> = {
    number,
    values,
    has: (key) => header.keys.includes(key),
    fault: (key, zh, en) => excelFault(header.keys.includes(key) ? place(header.keys.indexOf(key)) : `${sheet}!${number}`, zh, en),
  }
  const faults: QianzhiError[] = []
  cells.forEach((cell, at) => {
    const key = header.keys[at]
    const read = shown?.get(at)
    if (key !== undefined && read?.text === null) faults.push(row.fault(key, ...hiddenValue(cell!)))
    else if (key !== undefined) values[key] = blank(read?.text ?? cell)
    else if (blank(cell) !== null) faults.push(excelFault(place(at), '该列没有表头', 'its column has no header'))
  })
  for (const { key, required } of columns) if (required && values[key] === null) faults.push(row.fault(key, '必填', 'a value is required'))
  if (faults.length === 0) yield row
  else if (onFault) faults.forEach(onFault)
  else throw faults[0]!
}

/**
 * Above the header stand titles and remarks (`填报单位:`); what has all that a row must have is one of the table's: people sort sheets, header and
 * all.
 */
function isRow<Key extends string>(cells: Row['cells'], { keys }: Header<Key>, columns: readonly TableColumn<Key>[]): boolean {
  if (cells.some((cell) => /[:\uff1a]\s*$/.test(cell ?? ''))) return false
  const filled = keys.filter((key, at) => key !== undefined && blank(cells[at] ?? null) !== null)
  return filled.length > 1 && columns.every(({ key, required }) => !required || filled.includes(key))
}

/**
 * What is taken of a cell: of a text what a person reads there; of other values it is enough that they are the same. Undefined where that
 * cannot be told (`hiddenValue`).
 */
export function asRead(cell: string, shown: CellShown | undefined, isText: boolean): string | undefined {
  if (!shown || (shown.same && !isText)) return cell
  return isText && shown.text !== null ? shown.text : undefined
}

/** Why a cell's value is not taken for what a person reads there. */
export function hiddenValue(value: string): [zh: string, en: string] {
  return [
    `单元格存储的是“${value}”，按其格式显示为另一内容：请改用文本或常规格式`,
    `it holds "${value}", and its format shows something else: format it as text or general`,
  ]
}

function blank(cell: string | null): string | null {
  return cell?.trim() || null
}

/** Above the header stand titles, which people merge. Throws QZ-EXCEL. */
export function checkMerged({ name, merged }: Sheet, headerRow: number): void {
  const inTable = merged.find((range) => (parseCellName(range.slice(range.indexOf(':') + 1))?.row ?? headerRow) >= headerRow)
  if (inTable !== undefined) throw excelFault(`${name}!${inTable}`, '表中不能有合并单元格', 'cells of a table may not be merged')
}
