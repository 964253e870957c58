/** A batch made ready for SQL Server, without a database: one row for each key (the last), and what cannot be written set aside. */
import { createHash } from 'node:crypto'
import { isErrorCode, type ErrorCode } from '../../../protocol/errors.ts'
import { deliveryFault, keyColumns, spacesOf, stageType, stageValue } from './sql.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Change, Prepared, Row, RowFault, SinkTable } from '../../database.ts'
import type { StageType } from './rowset.ts'

export type StageRow = (string | Buffer | null)[]

/** A row as a quarantine keeps it: values by item, of a delete those of the key. */
export interface Kept {
  op: 'u' | 'd'
  values: Record<string, Value>
}

/** A row set aside; `kept` where the database refused it: it may be tried again. */
export interface Refused extends RowFault {
  kept?: Kept
}

export interface Batch extends Prepared {
  /** Places of the rows to write and to remove. */
  upserts: readonly number[]
  deletes: readonly number[]
  faults: readonly RowFault[]
  /** All keys that the batch touches. */
  keys: readonly Row[]
}

export function prepareBatch(sink: SinkTable, change: Change): Batch {
  const bad = badRows(sink, change)
  const last = lastOfEachKey(sink, change)
  const upserts: number[] = []
  const deletes: number[] = []
  const faults: RowFault[] = []
  for (const [row, key] of last) {
    const op = change.ops?.[row] ?? 'u'
    const reason = bad.get(row)
    if (op !== 'u' && op !== 'd') faults.push({ key, code: codeOf(op.slice(2)) })
    else if (reason) faults.push({ key, code: 'QZ-ROW-REFUSED', ...reason })
    else (op === 'u' ? upserts : deletes).push(row)
  }
  return { change, upserts, deletes, faults, keys: last.map(([, key]) => key) }
}

function codeOf(code: string): ErrorCode {
  return isErrorCode(code) ? code : 'QZ-ROW-VALUE'
}

/** What the server would round or misread without an error is found here, column by column. Of deletes only the key counts. */
function badRows({ columns }: SinkTable, change: Change): Map<number, { item: string; reason: string }> {
  const bad = new Map<number, { item: string; reason: string }>()
  for (const [i, { item }] of columns.entries()) {
    const values = change.columns[i]!
    for (let row = 0; row < change.rows; row++) {
      if (!item.key && change.ops && change.ops[row] !== 'u') continue
      const fault = deliveryFault(item, values[row]!)
      if (fault) bad.set(row, { item: item.id, reason: `${item.id}: ${fault}` })
    }
  }
  return bad
}

function lastOfEachKey({ columns }: SinkTable, change: Change): [number, Row][] {
  const keys = columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]!] : []))
  const last = new Map<string, [number, Row]>()
  for (let row = 0; row < change.rows; row++) {
    const key = keys.map((values) => values[row]!)
    last.set(JSON.stringify(key), [row, key])
  }
  return [...last.values()]
}

export function keyAt({ columns }: SinkTable, change: Change, row: number): Row {
  return columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]![row]!] : []))
}

export function keptAt({ columns }: SinkTable, change: Change, row: number, op: Kept['op']): Kept {
  const values = columns.flatMap(({ item }, i) => (op === 'u' || item.key ? [[item.id, change.columns[i]![row]!] as const] : []))
  return { op, values: Object.fromEntries(values) }
}

/** Staged rows end in the key's spaces and their number within the batch. */
export function upsertStage({ columns }: SinkTable): StageType[] {
  return [...columns.map(({ item }) => stageType(item)), 'nvarchar(4000)', 'nvarchar(4000)']
}

export function stagedUpserts(sink: SinkTable, { change, upserts }: Batch): StageRow[] {
  return upserts.map((row, n) => [
    ...sink.columns.map(({ item }, i) => stageValue(item, change.columns[i]![row]!)),
    spacesOf(sink.columns, keyAt(sink, change, row)),
    String(n),
  ])
}

export function keysStage({ columns }: Pick<SinkTable, 'columns'>): StageType[] {
  return [...keyColumns(columns).map(() => 'nvarchar(4000)' as const), 'nvarchar(4000)', 'nvarchar(4000)']
}

export function stagedKeys({ columns }: Pick<SinkTable, 'columns'>, keys: readonly Row[]): StageRow[] {
  const items = keyColumns(columns)
  return keys.map((key, n) => [...key.map((value, i) => stageValue(items[i]!.item, value)), spacesOf(columns, key), String(n)])
}

export function keyHash(key: Row): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}
