import type { ErrorCode } from '../../../protocol/errors.ts'
import type { Row, SourceTable } from '../../database.ts'
import type { Known } from './encoding.ts'

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
  /** Places of items that the file says nothing of: null in the row. */
  absent?: readonly number[]
  /** Undefined where the key cannot be read. */
  key: Row | undefined
  faults: CellFault[]
}

export interface ReadFileOptions {
  /** Of its name the ending says the format, where the configuration does not. */
  path: string
  source: SourceTable
  signal: AbortSignal
  /** Of the folder's files before, where that was certain; and of this one, once it is being read. */
  encoding?: { readonly before?: Known; certain?: Known }
}
