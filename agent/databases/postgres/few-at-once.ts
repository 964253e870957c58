/** A few entries of a queue that came with the rows of their keys, in one round trip. */
import type { Row, Take } from '../../database.ts'
import { fewAtOnce } from './row-queries.ts'
import { portableKeys, portableRows, type Reader } from './rows.ts'

/**
 * What `Reader.entries` found: `rows` in the order of the keys, where every key has one and can be read. Undefined where there are more entries
 * or keys than such a statement is made for.
 */
export function fewEntries(reader: Reader, found: readonly (string | null)[][]): { take: Take; rows: Row[] | undefined } | undefined {
  const entries = [...new Set(found.map(([id]) => id!))]
  if (entries.length === fewAtOnce.entries || found.some(([, , keys]) => Number(keys) > fewAtOnce.keys)) return undefined
  const keys = new Map<string, Row>()
  const marked = found.some(([, cause]) => cause !== null)
  const own = found.filter(([, cause]) => cause === null)
  const width = 3 + reader.keys.length
  portableKeys(
    reader,
    reader.keys.map((_, i) => own.map((line) => line[3 + i]!)),
    keys,
  )
  const lines = new Map(own.map((line) => [line.slice(3, width).join('\0'), line.slice(width)]))
  const read = lines.size === keys.size ? portableRows(reader, [...lines.values()]) : { rows: [], faults: [] }
  const taken = [...keys.values()]
  const wholly =
    read.rows.length === keys.size && taken.every((key, i) => reader.keys.every(({ place }, k) => read.rows[i]![place] === key[k]))
  return { take: { entries, keys: taken, marked }, rows: wholly ? read.rows : undefined }
}
