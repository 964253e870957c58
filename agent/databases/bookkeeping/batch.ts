/** A batch made ready without a database: one row for each key (the last), and what cannot be written set aside. */
import { createHash } from 'node:crypto'
import type { Item } from '../../../protocol/schema.ts'
import { isErrorCode, type ErrorCode } from '../../../protocol/errors.ts'
import type { Value } from '../../../protocol/value.ts'
import { blockJson, blockValues, type Op, type OpenBatch } from '../../../protocol/batch.ts'
import type { ArrivedBatch, Change, Prepared, Row, RowFault, SinkTable } from '../../database.ts'
import { linesOf, type LineForms, type Lines } from './lines.ts'

/** A row as a quarantine keeps it for another try: values by item, of a delete those of the key. */
export interface KeptRow {
  op: 'u' | 'd'
  values: Record<string, Value>
}

/** A row set aside; `kept` where the database refused it: it may be tried again. */
export interface QuarantinedRow extends RowFault {
  kept?: KeptRow
}

/** Rows of a batch that is made within a transaction: fewer than an engine would stage outside of it. */
export const madeAtOnce = 90

export interface PreparedBatch extends Prepared {
  /** Numbers of the rows to write and to remove. */
  readonly upserts: readonly number[]
  readonly deletes: readonly number[]
  readonly faults: readonly RowFault[]
  /** The upserts as lines, where no value was made. */
  readonly lines?: Lines
}

/**
 * Why a value may not go to the server, which would round, clip or misread it without an error. Undefined where any value may. `deleted`: it is
 * part of the key of a row that goes.
 */
export type ValueCheck = (item: Item) => ((value: Value, deleted: boolean) => RowFault['reason']) | undefined

export function prepareBatch(sink: SinkTable, change: Change, check: ValueCheck): PreparedBatch {
  const bad = badRows(sink, change, check)
  const upserts: number[] = []
  const deletes: number[] = []
  const faults: RowFault[] = []
  for (const row of lastOfEachKey(sink, change)) {
    const op = change.ops?.[row] ?? 'u'
    const fault = bad?.get(row)
    if (op !== 'u' && op !== 'd') faults.push({ key: keyAt(sink, change, row), code: codeOf(op.slice(2)) })
    else if (fault) faults.push({ key: keyAt(sink, change, row), code: 'QZ-ROW-REFUSED', ...fault })
    else (op === 'u' ? upserts : deletes).push(row)
  }
  return { change, upserts, deletes, faults }
}

/**
 * The same from blocks: undefined where a row is not certain to go in as it is, is one that cannot be sent, or has the key of another. `tail`
 * stands at each line's end.
 */
export function prepareLines(
  sink: SinkTable,
  { batch, change }: ArrivedBatch,
  forms: LineForms,
  tail: Uint8Array,
): BatchOfLines | undefined {
  const { rows, ops } = change
  if (ops?.some((op) => op !== 'u' && op !== 'd')) return undefined
  const blocks = sink.columns.map(({ item }) => blockJson(batch, item.id))
  const lines = linesOf(forms, blocks, rows, tail, ops && Uint8Array.from(ops, (op) => (op === 'd' ? 1 : 0)))
  if (!lines || !areDistinct(sink, batch)) return undefined
  const all = Array.from({ length: rows }, (_, row) => row)
  const of = (op: Op): number[] => (ops ? all.filter((row) => ops[row] === op) : op === 'u' ? all : [])
  return { change, upserts: of('u'), deletes: of('d'), faults: [], lines, blocks }
}

export interface BatchOfLines extends PreparedBatch {
  lines: Lines
  /** JSON arrays of the sink's columns. */
  blocks: readonly Buffer[]
}

function areDistinct({ columns }: SinkTable, batch: OpenBatch): boolean {
  const keys = columns.flatMap(({ item }) => (item.key ? [blockValues(batch, item.id)] : []))
  return new Set(keyTexts(keys)).size === batch.manifest.rows
}

function keyTexts(keys: readonly (readonly Value[])[]): readonly Value[] {
  return keys.length === 1 ? keys[0]! : keys[0]!.map((_, row) => JSON.stringify(keys.map((values) => values[row])))
}

/** A provider may be newer than this agent: a code that is not known here is told as one that is. */
function codeOf(code: string): ErrorCode {
  return isErrorCode(code) ? code : 'QZ-ROW-VALUE'
}

/** Column by column, which is quick. Of deletes only the key counts. */
function badRows({ columns }: SinkTable, change: Change, check: ValueCheck): Map<number, Pick<RowFault, 'item' | 'reason'>> | undefined {
  let bad: Map<number, Pick<RowFault, 'item' | 'reason'>> | undefined
  for (const [i, { item }] of columns.entries()) {
    const fault = check(item)
    if (!fault) continue
    const values = change.columns[i]!
    for (let row = 0; row < change.rows; row++) {
      const deleted = change.ops !== undefined && change.ops[row] !== 'u'
      if (deleted && !item.key) continue
      const reason = fault(values[row]!, deleted)
      if (reason === undefined) continue
      ;(bad ??= new Map()).set(row, { item: item.id, reason })
    }
  }
  return bad
}

/** Numbers of the rows, in order; of those with the same key only the last: a statement may not write a row twice. */
function lastOfEachKey({ columns }: SinkTable, change: Change): number[] {
  const keys = columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]!] : []))
  const texts = keyTexts(keys)
  if (new Set(texts).size === change.rows) return Array.from({ length: change.rows }, (_, row) => row)
  return [...new Map(texts.map((text, row) => [text, row])).values()].toSorted((a, b) => a - b)
}

export function keyAt({ columns }: Pick<SinkTable, 'columns'>, change: Change, row: number): Row {
  return columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]![row]!] : []))
}

/** Keys of all rows of a change. */
export function keysOf({ columns }: Pick<SinkTable, 'columns'>, change: Change): Row[] {
  const keys = columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]!] : []))
  return Array.from({ length: change.rows }, (_, row) => keys.map((values) => values[row]!))
}

export function keptAt({ columns }: SinkTable, change: Change, row: number, op: KeptRow['op']): KeptRow {
  const values = columns.flatMap(({ item }, i) => (op === 'u' || item.key ? [[item.id, change.columns[i]![row]!] as const] : []))
  return { op, values: Object.fromEntries(values) }
}

/** Rows that a quarantine kept, or keys to be removed, as a change of their own batch. */
export function changeOf({ columns }: SinkTable, to: { epoch: number; seq: number }, rows: readonly KeptRow[]): Change {
  return {
    from: null,
    to: { ...to, hash: '' },
    rows: rows.length,
    columns: columns.map(({ item }) => rows.map(({ values }) => values[item.id] ?? null)),
    ops: rows.map(({ op }) => op),
  }
}

/** Every delivered item of it was kept; of a delete only the key is needed. */
export function isWhole({ columns }: SinkTable, { op, values }: KeptRow): boolean {
  return columns.every(({ item }) => Object.hasOwn(values, item.id) || (op === 'd' && !item.key))
}

/** The name of a key in the books: keys may be longer than an index takes. */
export function keyHash(key: Row): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}
