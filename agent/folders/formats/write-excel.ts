/** Excel: sheets of texts with a header each. No cell is null; the empty text is a cell that is empty. */
import { writePages } from '../../../protocol/excel/write-pages.ts'
import type { Row } from '../../database.ts'
import { shown } from './write-csv.ts'
import type { RowsToWrite } from './rows-to-write.ts'

export function writeExcel({ columns, pages, files, title }: RowsToWrite): AsyncGenerator<Buffer> {
  // Texts in cells are never formulas.
  const write = columns.map((column) => shown(column, 'keep', files.format.timezone))
  return writePages({ name: files.format.sheet ?? title, headers: columns.map(({ header }) => header), pages: shownPages(pages, write) })
}

function* shownPages(pages: Iterable<readonly Row[]>, write: readonly ((value: string) => string)[]): Generator<Row[]> {
  for (const page of pages) yield page.map((row) => row.map((value, i) => (value === null ? null : write[i]!(value))))
}
