import type { ValueType } from '../../../protocol/value.ts'
import type { Row, SinkFiles } from '../../database.ts'

/** A column of a file that is written. */
export interface FileColumn {
  header: string
  /** Of its values, which are portable texts. */
  type: ValueType
}

export interface RowsToWrite {
  columns: readonly FileColumn[]
  /** Pages of rows; each row has the values of the columns. */
  pages: Iterable<readonly Row[]>
  files: SinkFiles
  /** Of a sheet, where the format has some. */
  title: string
}
