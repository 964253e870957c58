import type { ErrorCode } from '../../../protocol/errors.ts'
import type { Row, SourceTable } from '../../database.ts'

/** What is wrong with one cell, or with one row. */
export interface CellFault {
  code: ErrorCode
  /** Header of the column as it stands in the file. */
  column?: string
  item?: string
  zh: string
  en: string
}

/** A row of a file. */
export interface FileRow {
  /** As a person counts: the row of a sheet, the line of a text file on which it begins. */
  number: number
  /** `d` only where a column `qz_op` (of files of changes) or `qz_deleted` says so. */
  op: 'u' | 'd'
  /** In the order of the source's columns, local values of their types; undefined where a value is not of its type. Of a delete the key alone. */
  row: Row | undefined
  /** Undefined where the key cannot be read. */
  key: Row | undefined
  faults: CellFault[]
}

export interface ReadFileOptions {
  /** Of its name the ending says the format, where the configuration does not. */
  path: string
  source: SourceTable
  signal: AbortSignal
}
