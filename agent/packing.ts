import { buildBatch, type BuiltBatch, type Column, type ManifestHeader, type Op } from '../protocol/batch.ts'
import { valueFault, type Value } from '../protocol/value.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Row, RowFault, SourceTable } from './database.ts'

/** Rows read together that are to travel in one batch, and what is to be written down when the hub has them. */
export interface Piece {
  rows: Row[]
  /** Keys that have no row. */
  deletes: Row[]
  faults: RowFault[]
  /** Queue entries that are done with once this piece is stored. */
  entries: string[]
  /** Set for a part of a snapshot: first, last, and the key it ends with. */
  snapshot?: { first: boolean; last: boolean; after: Row | null }
}

export interface PackOptions {
  key: SigningKey
  /** Encoded bytes that a batch may have. */
  limit: number
}

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

/**
 * Packs as much of the piece as fits into one batch. `rest` is what did not fit, to be packed next. A single row that does not fit
 * travels as "cannot send".
 */
export function packPiece(
  source: SourceTable,
  piece: Piece,
  header: (piece: Piece) => ManifestHeader,
  options: PackOptions,
): { piece: Piece; built: BuiltBatch; rest?: Piece } {
  const built = buildBatch(header(piece), columnsOf(source, piece), options.key)
  if (built.bytes.length <= options.limit) return { piece, built }
  const [head, rest] = piece.rows.length + piece.deletes.length > 1 ? halve(source, piece) : [refuseRow(source, piece)]
  const packed = packPiece(source, head, header, options)
  if (!rest) return packed
  return { ...packed, rest: packed.rest ? join(packed.rest, rest) : rest }
}

function refuseRow(source: SourceTable, piece: Piece): Piece {
  const key = keyOf(piece.rows[0]!, keyIndexes(source))
  return { ...piece, rows: [], faults: [...piece.faults, { key, code: 'QZ-ROW-TOO-LARGE' }] }
}

/** Faults go with the first half and what is written down at the end with the second, so that a crash between them loses nothing. */
function halve(source: SourceTable, piece: Piece): [Piece, Piece] {
  const row = Math.ceil(piece.rows.length / 2)
  const gone = Math.ceil(piece.deletes.length / 2)
  const head: Piece = { rows: piece.rows.slice(0, row), deletes: piece.deletes.slice(0, gone), faults: piece.faults, entries: [] }
  const rest: Piece = { ...piece, rows: piece.rows.slice(row), deletes: piece.deletes.slice(gone), faults: [] }
  if (piece.snapshot) {
    head.snapshot = { first: piece.snapshot.first, last: false, after: keyOf(head.rows.at(-1)!, keyIndexes(source)) }
    rest.snapshot = { ...piece.snapshot, first: false }
  }
  return [head, rest]
}

function join(a: Piece, b: Piece): Piece {
  return { ...b, rows: [...a.rows, ...b.rows], deletes: [...a.deletes, ...b.deletes], faults: [...a.faults, ...b.faults] }
}

function columnsOf(source: SourceTable, piece: Piece): Column[] {
  const faults = piece.faults.filter((fault) => canTravel(source, fault.key))
  const absent = [...piece.deletes, ...faults.map((fault) => fault.key)]
  const keys = keyIndexes(source)
  const columns: Column[] = source.columns.map(({ item }, i) => {
    const values: Value[] = piece.rows.map((row) => row[i]!)
    const place = keys.indexOf(i)
    for (const key of absent) values.push(place < 0 ? null : key[place]!)
    return { item: item.id, values }
  })
  if (absent.length === 0) return columns
  const ops: Op[] = [
    ...piece.rows.map(() => 'u' as const),
    ...piece.deletes.map(() => 'd' as const),
    ...faults.map(({ code }) => `c:${code}` as const),
  ]
  return [...columns, { item: '$op', values: ops }]
}

/** A key that is not portable itself stays in the source's quarantine only. */
function canTravel(source: SourceTable, key: Row): boolean {
  const items = source.columns.filter(({ item }) => item.key).map(({ item }) => item)
  return key.every((value, i) => value !== null && valueFault(items[i]!, value) === undefined)
}
