/** The rows of one batch, made ready for a resource's table: the last of each key, and what cannot stand there set aside. */
import { blockValues, opBlock, readBlock, type OpenBatch } from '../../protocol/batch.ts'
import { positionNumber } from '../../protocol/position.ts'
import type { Item } from '../../protocol/schema.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { Query } from '../store/store.ts'
import { deleteSql, isIndexable, sweepSql, upsertSql, type StoredItem, type TableShape } from './shape.ts'

/** A JSON array of one text or null per row, as text or its UTF-8 bytes. */
type Column = Buffer | string

export interface ReadyBatch {
  batch: OpenBatch
  /** Hub's time of acceptance, RFC 3339. */
  received: string
  /** Rows to write: one column an item of the table. Undefined: none. */
  rows?: Column[]
  /** Keys whose rows go: one column a key item. */
  deletes?: Column[]
  /** Keys whose row cannot be there, with the reason's code. */
  aside: { key: string; code: string }[]
  /** Keys of all its rows, as in `resource_table_aside`. */
  keys: () => string[]
}

export function makeReady(batch: OpenBatch, shape: TableShape, received: string): ReadyBatch {
  const { rows } = batch.manifest
  const { read, keyAt, said } = readRows(batch, shape.items)
  const ready = { batch, received, keys: () => Array.from({ length: rows }, (_, row) => keyAt(row)) }
  if (said.every((one) => one === 'u')) return { ...ready, ...(rows > 0 && { rows: read.map(({ json }) => json) }), aside: [] }
  const [written, deleted, aside] = [[], [], []] as [number[], number[], ReadyBatch['aside']]
  for (const [row, one] of said.entries()) {
    if (one === 'u') written.push(row)
    else if (one === 'd') deleted.push(row)
    else if (one) aside.push({ key: keyAt(row), code: one.slice(2) })
  }
  const picked = (columns: readonly Value[][], at: readonly number[]) =>
    columns.map((values) => JSON.stringify(at.map((row) => values[row])))
  const values = read.map((column) => column.values)
  return {
    ...ready,
    ...(written.length > 0 && { rows: picked(values, written) }),
    ...(deleted.length > 0 && {
      deletes: picked(
        values.filter((_, i) => shape.items[i]!.key),
        deleted,
      ),
    }),
    aside,
  }
}

/** What a row of a batch does to a table: write, delete, set its key aside because; or nothing, as a later row of the batch has the same key. */
export type Said = 'u' | 'd' | `c:${string}` | undefined

/** The rows of a batch by the items of a table. A value that is none of its type is what an agent refuses, and a hostile one sends. */
export function readRows(batch: OpenBatch, items: readonly Item[]) {
  const { rows } = batch.manifest
  const present = new Set(batch.blocks.map(({ item }) => item))
  const read = items.map(({ id }) => (present.has(id) ? readBlock(batch, id) : nulls(rows)))
  const keyColumns = items.flatMap(({ key }, i) => (key ? [read[i]!.values] : []))
  const keyItems = items.filter(({ key }) => key)
  const keyAt = (row: number): string => JSON.stringify(keyColumns.map((values) => values[row]))
  const ops = present.has(opBlock) ? blockValues(batch, opBlock) : undefined
  const faults = faultyRows(items, read, rows).union(overlongRows(items, read, rows))
  const last = new Map<string, number>()
  for (let row = 0; row < rows; row++) last.set(keyAt(row), row)
  const said: Said[] = Array.from({ length: rows })
  for (const row of last.values()) {
    const op = ops?.[row] ?? 'u'
    if (op === 'd') said[row] = keyFault(keyItems, keyColumns, row) ? undefined : 'd'
    else if (op === 'u') said[row] = faults.has(row) ? 'c:QZ-ROW-VALUE' : 'u'
    else said[row] = op as Said
  }
  return { read, keyAt, said }
}

function nulls(rows: number): { values: Value[]; json: Buffer } {
  const values = Array.from<null>({ length: rows }).fill(null)
  return { values, json: Buffer.from(JSON.stringify(values)) }
}

/** Bytes of an entry of an index (PostgreSQL takes 2,704), and levels of a JSON text (it takes as many as its stack). */
const [longestEntry, deepestJson] = [2600, 1000]

/** Rows that PostgreSQL has no place for: known beforehand, so that whoever follows changes knows it, too, and no form takes them. */
export function overlongRows(items: readonly Item[], read: readonly { values: Value[] }[], rows: number): Set<number> {
  const overlong = new Set<number>()
  const keys = read.filter((_, i) => items[i]!.key)
  const bytesAt = (columns: readonly { values: Value[] }[], row: number) =>
    columns.reduce((sum, { values }) => sum + Buffer.byteLength(values[row] ?? ''), 0)
  const mayGrow = (indexed: readonly Item[]) => indexed.reduce((sum, { length = 40 }) => sum + 4 * length, 0) > longestEntry
  const keyItems = items.filter(({ key }) => key)
  for (const [i, item] of items.entries()) {
    const indexed = (item as StoredItem).searchable && isIndexable(item) ? [...keys, read[i]!] : keys
    if (item === keyItems[0] ? mayGrow(keyItems) : indexed !== keys && mayGrow([...keyItems, item]))
      for (let row = 0; row < rows; row++) if (bytesAt(indexed, row) > longestEntry) overlong.add(row)
    if (item.type === 'json') for (let row = 0; row < rows; row++) if (depthOf(read[i]!.values[row]!) > deepestJson) overlong.add(row)
  }
  return overlong
}

/** Levels of brackets, of a valid JSON text. */
function depthOf(json: Value): number {
  if (json === null || json.length <= 2 * deepestJson) return 0
  let [depth, deepest] = [0, 0]
  for (const [bracket] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (bracket === '[' || bracket === '{') deepest = Math.max(deepest, ++depth)
    else if (bracket === ']' || bracket === '}') depth--
  }
  return deepest
}

function faultyRows(items: readonly Item[], read: readonly { values: Value[] }[], rows: number): Set<number> {
  const faulty = new Set<number>()
  for (const [i, item] of items.entries()) {
    const { values } = read[i]!
    for (let row = 0; row < rows; row++) {
      const value = values[row]!
      if (value === null ? item.key : valueFault(item, value)) faulty.add(row)
    }
  }
  return faulty
}

function keyFault(keys: readonly Item[], columns: readonly Value[][], row: number): boolean {
  return keys.some((item, i) => columns[i]![row] === null || valueFault(item, columns[i]![row]!) !== undefined)
}

/** How batches are put into a table, one after the other, in one transaction. */
export interface Putting {
  /** Rows that the server refuses are set aside. */
  carefully: boolean
  /** Whether the table has keys whose rows were set aside: kept up as they come. */
  anyAside: boolean
}

/** Puts a batch into its table, in the caller's transaction. @returns by how many rows the table has grown. */
export async function applyBatch(query: Query, table: StoredTable, ready: ReadyBatch, putting: Putting): Promise<number> {
  const { carefully } = putting
  const { id, shape } = table
  const { batch, rows, deletes, aside, received } = ready
  const position = positionNumber(batch.manifest)
  if (putting.anyAside) await clearAside(query, id, ready.keys())
  let grown = deletes ? -(await countDeleted(query, deleteSql(shape), deletes)) : 0
  if (rows && !carefully) grown += await insert(query, shape, rows, [position, received])
  if (rows && carefully) grown += await insertApart(query, shape, rows.map(parsed), { at: [position, received], aside })
  if (aside.length > 0) {
    await setAside(query, id, aside, position)
    putting.anyAside = true
  }
  const { snapshot } = batch.manifest
  if (snapshot?.last) grown -= await sweep(query, table, { began: positionNumber({ ...batch.manifest, seq: snapshot.began }), position })
  return grown
}

export interface StoredTable {
  id: string
  resource: string
  shape: TableShape
}

const parsed = (column: Column): Value[] => JSON.parse(column.toString()) as Value[]

async function insert(query: Query, shape: TableShape, rows: readonly Column[], at: readonly string[]): Promise<number> {
  const [written] = await query<{ inserted: string }>(upsertSql(shape), [...rows, ...at])
  return Number(written!.inserted)
}

/** Finds by halving what the server refuses: a key too long for its index, JSON too deep. */
async function insertApart(
  query: Query,
  shape: TableShape,
  columns: readonly Value[][],
  to: { at: readonly string[]; aside: ReadyBatch['aside'] },
): Promise<number> {
  await query('savepoint apart')
  try {
    const inserted = await insert(
      query,
      shape,
      columns.map((values) => JSON.stringify(values)),
      to.at,
    )
    await query('release savepoint apart')
    return inserted
  } catch (error) {
    if (!refusesRow(error)) throw error
    await query('rollback to savepoint apart')
    const rows = columns[0]!.length
    if (rows === 1) {
      const key = columns.flatMap(([value], i) => (shape.items[i]!.key ? [value!] : []))
      to.aside.push({ key: JSON.stringify(key), code: 'QZ-ROW-VALUE' })
      return 0
    }
    const middle = Math.ceil(rows / 2)
    const half = (from: number, end?: number) =>
      insertApart(
        query,
        shape,
        columns.map((values) => values.slice(from, end)),
        to,
      )
    return (await half(0, middle)) + (await half(middle))
  }
}

/** Data that cannot be, or that goes beyond the server's limits (SQLSTATE classes 22 and 54). */
export function refusesRow(error: unknown): boolean {
  return /^(?:22|54)/.test(String((error as { code?: unknown }).code))
}

async function countDeleted(query: Query, sql: string, values: readonly unknown[]): Promise<number> {
  return Number((await query<{ deleted: string }>(sql, values))[0]!.deleted)
}

async function clearAside(query: Query, id: string, keys: readonly string[]): Promise<void> {
  await query('delete from resource_table_aside where resource_table = $1 and key = any($2)', [id, keys])
}

async function setAside(query: Query, id: string, aside: ReadyBatch['aside'], position: string): Promise<void> {
  await query(
    `insert into resource_table_aside (resource_table, key, code, position)
     select $1, key, code, $4 from unnest($2::text[], $3::text[]) as a (key, code)`,
    [id, aside.map(({ key }) => key), aside.map(({ code }) => code), position],
  )
}

/** At a snapshot's end: what it did not bring is gone, but for the keys that were set aside in it. */
async function sweep(
  query: Query,
  { id, resource, shape }: StoredTable,
  { began, position }: { began: string; position: string },
): Promise<number> {
  await query('delete from resource_table_aside where resource_table = $1 and position < $2', [id, began])
  const aside = await query<{ key: string }>('select key from resource_table_aside where resource_table = $1', [id])
  const keys = aside.map(({ key }) => JSON.parse(key) as Value[])
  const columns = shape.keys.map((_, i) => keys.map((key) => key[i]!))
  const sound = keys.flatMap((_, row) => (keyFault(shape.keys, columns, row) ? [] : [row]))
  const stay = columns.map((values) => JSON.stringify(sound.map((row) => values[row])))
  return countDeleted(query, sweepSql(shape), [...stay, began, resource, position])
}
