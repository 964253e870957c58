/** Reading in the order of a key that need not be unique. */
import type { Found, Reading, Row, RowFault, Rows, SourceTable } from './database.ts'
import { keyIndexes, keyOf } from './row-keys.ts'
import { writeKey } from './runtime/stream-store.ts'

export interface Page extends Rows {
  /** Texts of the rows' keys. */
  keys: string[]
  /** Rows of the database in it, also those that have one key between them. */
  count: number
  /** Key of the last row read; null where none was left. */
  last: Row | null
  /** Nothing comes behind it. */
  ended: boolean
}

/**
 * The next rows after a key. Rows that have one key between them cannot be told apart by a receiver: the key cannot be sent. Where the
 * page ends within rows that the database takes for equal, the others of them come with it, since the next page begins behind them.
 */
export async function readPage(
  reading: Pick<Reading, 'rowsAfter' | 'rowsByKeys'>,
  source: SourceTable,
  after: Row | null,
  limit: number,
): Promise<Page> {
  const { last, ...read } = await reading.rowsAfter(source, after, limit)
  const ended = last === null || read.rows.length + read.faults.length < limit
  const whole = ended ? read : joined(source, read, await reading.rowsByKeys(source, [last]))
  return { ...singled(source, whole), count: whole.rows.length + whole.faults.length, last, ended }
}

/** Current rows of keys; of a key that several rows have, a fault. */
export async function readKeys(
  reading: Pick<Reading, 'rowsByKeys'>,
  source: SourceTable,
  keys: readonly Row[],
): Promise<Found & { keys: string[] }> {
  const { missing, ...read } = await reading.rowsByKeys(source, keys)
  return { ...singled(source, read), missing }
}

/** The page with all rows of the group that it ends with. */
function joined(source: SourceTable, page: Rows, group: Rows): Rows {
  if (group.rows.length + group.faults.length < 2) return page
  const keys = keyIndexes(source)
  const texts = new Set([...group.rows.map((row) => writeKey(keyOf(row, keys))), ...group.faults.map(({ key }) => writeKey(key))])
  return {
    rows: [...page.rows.filter((row) => !texts.has(writeKey(keyOf(row, keys)))), ...group.rows],
    faults: [...page.faults.filter(({ key }) => !texts.has(writeKey(key))), ...group.faults],
  }
}

function singled(source: SourceTable, { rows, faults }: Rows): Rows & { keys: string[] } {
  const indexes = keyIndexes(source)
  const keys = rows.map((row) => writeKey(keyOf(row, indexes)))
  const faulty = faults.map(({ key }) => writeKey(key))
  if (new Set([...keys, ...faulty]).size === keys.length + faulty.length) return { rows, faults, keys }
  const twice = repeated([...keys, ...faulty])
  const single = keys.map((key) => !twice.has(key))
  const found = new Map<string, Row>([
    ...rows.map((row, i) => [keys[i]!, keyOf(row, indexes)] as const),
    ...faults.map(({ key }, i) => [faulty[i]!, key] as const),
  ])
  const twins = [...twice].map((text): RowFault => ({ key: found.get(text)!, code: 'QZ-ROW-KEY-TWICE' }))
  return {
    rows: rows.filter((_, i) => single[i]),
    keys: keys.filter((_, i) => single[i]),
    faults: [...faults.filter((_, i) => !twice.has(faulty[i]!)), ...twins],
  }
}

function repeated(keys: readonly string[]): Set<string> {
  const [once, twice] = [new Set<string>(), new Set<string>()]
  for (const key of keys) (once.has(key) ? twice : once).add(key)
  return twice
}
