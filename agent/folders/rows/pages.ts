/** The columns of a route's files, and the rows for them out of its store. */
import type { MappedColumn, Row, SinkTable } from '../../database.ts'
import { deletedHeader, opHeader, sourceHeader } from '../formats/header.ts'
import type { Making } from './output-state.ts'
import { storedOrder } from './batch.ts'
import type { SinkStore } from '../store/sink-store.ts'
import type { FileColumn } from '../formats/rows-to-write.ts'

/** Rows that are written at a time. */
const pageRows = 1_000

/** In a file of changes: `u` for a row that is new or changed, `d` for one that is gone, of which only the key is told. */
const opColumn: FileColumn = { header: opHeader, type: 'text' }
/** The agency that the rows are of. */
const sourceColumn: FileColumn = { header: sourceHeader, type: 'text' }
/** Where deletes only mark. */
const deletedColumn: FileColumn = { header: deletedHeader, type: 'boolean' }

export function columnsOf({ columns, files, deletes }: SinkTable, kind: Making['kind']): FileColumn[] {
  const items = columns.map((column, i) => ({ header: headerOf(column, i, columns, files!.headers), type: column.item.type }))
  return [...(kind === 'changes' ? [opColumn] : []), ...items, sourceColumn, ...(deletes === 'mark' ? [deletedColumn] : [])]
}

/** Labels need not be different from each other, headers must. */
function headerOf({ item, column }: MappedColumn, place: number, columns: readonly MappedColumn[], headers: 'labels' | 'names'): string {
  if (headers === 'names' || item.label.startsWith('qz_')) return column
  return columns.some((other, i) => i !== place && other.item.label === item.label) ? `${item.label}(${column})` : item.label
}

/** Pages of rows as the columns name them, in the order of keys; `counted` grows. The store stays as it is meanwhile. */
export function* pagesOf(store: SinkStore, sink: SinkTable, { kind, number }: Making, counted: { rows: number }): Generator<Row[]> {
  const found =
    kind === 'changes'
      ? store.statement('select op, row, 0 as deleted from change where number = ? order by key').iterate(number)
      : store.statement('select row, deleted from row where generation = ? order by key').iterate(store.generation('live'))
  const order = storedOrder(sink.columns)
  const places = sink.columns.map((_, i) => order.indexOf(i))
  let page: Row[] = []
  for (const { op, row, deleted } of found) {
    const stored = JSON.parse(String(row)) as Row
    const values = places.map((place) => stored[place]!)
    if (kind === 'changes') values.unshift(String(op))
    values.push(sink.source)
    if (sink.deletes === 'mark') values.push(String(kind === 'changes' ? op === 'd' : deleted === 1))
    page.push(values)
    counted.rows++
    if (page.length === pageRows) {
      yield page
      page = []
    }
  }
  if (page.length > 0) yield page
}
