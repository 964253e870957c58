import { QianzhiError, type LocalizedText } from '../errors.ts'

/** Where a fault is said to be when it concerns no cell. */
export const wholeFile: LocalizedText = { zh: '文件', en: 'file' }

/** QZ-EXCEL with a reason in both languages. `where` is `sheet!B3`, a sheet, or `wholeFile`. */
export function excelFault(where: string | LocalizedText, zh: string, en: string, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-EXCEL', { where, reason: { zh, en } }, cause === undefined ? undefined : { cause })
}

/** `人员!B3` from a sheet's name, a row counted from 1 and a column counted from 0. */
export function cellName(sheet: string, row: number, column: number): string {
  return `${sheet}!${columnLetters(column)}${row}`
}

/** `A` for 0, `AA` for 26. */
export function columnLetters(column: number): string {
  return column < 26 ? alphabet[column]! : columnLetters(Math.floor(column / 26) - 1) + alphabet[column % 26]!
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Row (from 1) and column (from 0) of `B3`; undefined where it is none of a sheet's 16,384 × 1,048,576 cells. */
export function parseCellName(name: string): { row: number; column: number } | undefined {
  const parts = /^([A-Z]{1,3})([1-9]\d{0,6})$/.exec(name)
  if (!parts) return undefined
  let column = 0
  for (const letter of parts[1]!) column = column * 26 + letter.charCodeAt(0) - 64
  const row = Number(parts[2])
  return column > 16_384 || row > lastRow ? undefined : { row, column: column - 1 }
}

export const lastRow = 1_048_576
