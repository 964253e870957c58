import { buildBatch, type BuiltBatch, type Column, type ManifestHeader, type Op } from '../../protocol/batch.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Row, RowBlocks, RowFault, SourceTable } from '../database.ts'
import { keyIndexes, keyOf } from '../row-keys.ts'

/** Rows read together that are to travel in one batch, and what is to be written down when the hub has them. */
export interface BatchDraft {
  /** Where `blocks` are set, made of them when somebody asks. */
  readonly rows: Row[]
  /** Rows that were read without making a value: no deletes and no faults are beside them. */
  readonly blocks?: RowBlocks
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

/** Rows as they were read, without a value of theirs. */
export function draftOfBlocks(blocks: RowBlocks, rest: Pick<BatchDraft, 'entries' | 'snapshot'>): BatchDraft {
  let made: Row[] | undefined
  const draft = {
    get rows() {
      return (made ??= valuesOf(blocks))
    },
    blocks,
    deletes: [],
    faults: [],
    ...rest,
  }
  return draft
}

function valuesOf({ rows, columns }: RowBlocks): Row[] {
  const values = columns.map((json) => JSON.parse(json.toString('utf8')) as Value[])
  return Array.from({ length: rows }, (_, row) => values.map((column) => column[row]!))
}

export function rowCount(draft: Pick<BatchDraft, 'blocks' | 'rows'>): number {
  return draft.blocks ? draft.blocks.rows : draft.rows.length
}

/** Whether there is anything to be sent. */
export function travels(draft: BatchDraft): boolean {
  return rowCount(draft) + draft.deletes.length + draft.faults.length > 0
}

/**
 * Packs as much of the piece as fits into one batch. `rest` is what did not fit, to be packed next. A single row that does not fit
 * travels as "cannot send".
 */
export function packDraft(
  source: SourceTable,
  draft: BatchDraft,
  header: (draft: BatchDraft) => ManifestHeader,
  options: PackOptions,
): { draft: BatchDraft; built: BuiltBatch; rest?: BatchDraft } {
  const built = buildBatch(header(draft), columnsOf(source, draft), options.key)
  if (built.bytes.length <= options.limit) return { draft, built }
  const [head, rest] = split(source, draft)
  if (!head) return { draft, built }
  const packed = packDraft(source, head, header, options)
  if (!rest) return packed
  return { ...packed, rest: packed.rest ? join(packed.rest, rest) : rest }
}

/**
 * Two smaller pieces; one with the fault where it was a single row; none where nothing can be made smaller (a single key). Faults and
 * deletes go before rows, and what is written down at the end goes with the second, so that a crash between the two loses nothing.
 */
function split(source: SourceTable, draft: BatchDraft): [BatchDraft?, BatchDraft?] {
  const { rows, deletes, faults } = draft
  if (rows.length + deletes.length + faults.length < 2) return rows[0] ? [refuseRow(source, draft, rows[0])] : []
  const none: Content = { rows: [], deletes: [], faults: [] }
  if (faults.length > 0) {
    const [first, second] = rows.length + deletes.length > 0 ? [faults, []] : halves(faults)
    return parts(draft, { ...none, faults: first }, { rows, deletes, faults: second }, null)
  }
  if (deletes.length > 0) {
    const [first, second] = rows.length > 0 ? [deletes, []] : halves(deletes)
    return parts(draft, { ...none, deletes: first }, { ...none, rows, deletes: second }, null)
  }
  const [first, second] = halves(rows)
  return parts(draft, { ...none, rows: first }, { ...none, rows: second }, keyOf(first.at(-1)!, keyIndexes(source)))
}

function halves<T>(values: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(values.length / 2)
  return [values.slice(0, middle), values.slice(middle)]
}

type Content = Pick<BatchDraft, 'rows' | 'deletes' | 'faults'>

/** `after`: where a snapshot resumes behind the first part; null begins it again, which repeats but loses nothing. */
function parts(draft: BatchDraft, first: Content, second: Content, after: Row | null): [BatchDraft, BatchDraft] {
  const head: BatchDraft = { ...first, entries: [] }
  const { blocks: _blocks, ...whole } = draft
  const rest: BatchDraft = { ...whole, ...second }
  if (draft.snapshot) {
    head.snapshot = { first: draft.snapshot.first, last: false, after }
    rest.snapshot = { ...draft.snapshot, first: false }
  }
  return [head, rest]
}

function refuseRow(source: SourceTable, draft: BatchDraft, row: Row): BatchDraft {
  return { ...draft, rows: [], faults: [{ key: keyOf(row, keyIndexes(source)), code: 'QZ-ROW-TOO-LARGE' }] }
}

function join(a: BatchDraft, b: BatchDraft): BatchDraft {
  return { ...b, rows: [...a.rows, ...b.rows], deletes: [...a.deletes, ...b.deletes], faults: [...a.faults, ...b.faults] }
}

function columnsOf(source: SourceTable, draft: BatchDraft): Column[] {
  const { blocks } = draft
  if (blocks) return source.columns.map(({ item }, i) => ({ item: item.id, rows: blocks.rows, json: blocks.columns[i]! }))
  const deletes = draft.deletes.filter((key) => canTravel(source, key))
  const faults = draft.faults.filter((fault) => canTravel(source, fault.key))
  const absent = [...deletes, ...faults.map((fault) => fault.key)]
  const keys = keyIndexes(source)
  const columns: Column[] = source.columns.map(({ item }, i) => {
    const values: Value[] = draft.rows.map((row) => row[i]!)
    const place = keys.indexOf(i)
    for (const key of absent) values.push(place < 0 ? null : key[place]!)
    return { item: item.id, values }
  })
  if (absent.length === 0) return columns
  const ops: Op[] = [
    ...draft.rows.map(() => 'u' as const),
    ...deletes.map(() => 'd' as const),
    ...faults.map(({ code }) => `c:${code}` as const),
  ]
  return [...columns, { item: '$op', values: ops }]
}

/** A key that is not portable itself stays in the source's quarantine only; no receiver ever heard of it, so none is told that it went. */
function canTravel(source: SourceTable, key: Row): boolean {
  const items = source.columns.filter(({ item }) => item.key).map(({ item }) => item)
  return key.every((value, i) => value !== null && valueFault(items[i]!, value) === undefined)
}
