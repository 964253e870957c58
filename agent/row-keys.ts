import type { Row, Rows, SourceTable } from './database.ts'

/** Indexes of the key items within the source's columns. */
export function keyIndexes(source: Pick<SourceTable, 'columns'>): number[] {
  return source.columns.flatMap(({ item }, i) => (item.key ? [i] : []))
}

export function keyOf(row: Row, indexes: readonly number[]): Row {
  return indexes.map((i) => row[i]!)
}

/** One text per key, for sets: different keys have different texts. */
export function keyText(key: Row): string {
  return key.length === 1 ? String(key[0]) : JSON.stringify(key)
}

/** `keyText` of a row's key. */
export function keyTextOf(indexes: readonly number[]): (row: Row) => string {
  const [only] = indexes
  return indexes.length === 1 ? (row) => String(row[only!]) : (row) => keyText(keyOf(row, indexes))
}

/** Keys of the rows and faults that were read. */
export function keysOf({ rows, faults }: Rows, indexes: readonly number[]): Row[] {
  return [...rows.map((row) => keyOf(row, indexes)), ...faults.map(({ key }) => key)]
}

/** Keys for which nothing was found, compared as portable text byte by byte. */
export function missingKeys(keys: readonly Row[], found: readonly Row[]): Row[] {
  const texts = new Set(found.map(keyText))
  return keys.filter((key) => !texts.has(keyText(key)))
}
