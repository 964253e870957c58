/**
 * A batch made ready for PostgreSQL, without a database: one row for each key (the last), rows that cannot be written set aside, the
 * rest as the text that COPY reads, or as arrays where there are few.
 */
import { isErrorCode, type ErrorCode } from '../../../protocol/errors.ts'
import { valueFault, type Value, type ValueType } from '../../../protocol/value.ts'
import type { Change, MappedColumn, Prepared, RowFault, SinkTable } from '../../database.ts'

/** Up to here one statement with arrays is faster than COPY. */
const directRows = 50

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
  /** COPY text of the upserts; undefined where arrays will do. */
  copy: Buffer | undefined
}

export function prepareBatch(sink: SinkTable, change: Change): Batch {
  const upserts: number[] = []
  const deletes: number[] = []
  const faults = badRows(sink, change)
  for (const i of lastOfEachKey(sink, change)) {
    if (faults.has(i)) continue
    const op = change.ops?.[i] ?? 'u'
    if (op === 'u') upserts.push(i)
    else if (op === 'd') deletes.push(i)
    else faults.set(i, { key: keyAt(sink, change, i), code: codeOf(op.slice(2)) })
  }
  return {
    change,
    upserts,
    deletes,
    faults: [...faults.values()],
    copy: upserts.length > directRows ? copyText(sink.columns, change, upserts) : undefined,
  }
}

function codeOf(code: string): ErrorCode {
  return isErrorCode(code) ? code : 'QZ-ROW-VALUE'
}

/** Rows in order, of those with the same key only the last: a statement may not write a row twice. */
function lastOfEachKey(sink: SinkTable, change: Change): number[] {
  const columns = sink.columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]!] : []))
  const keys = columns.length === 1 ? columns[0]! : columns[0]!.map((_, i) => JSON.stringify(columns.map((texts) => texts[i])))
  if (new Set(keys).size === change.rows) return Array.from({ length: change.rows }, (_, i) => i)
  return [...new Map(keys.map((key, i) => [key, i])).values()].toSorted((a, b) => a - b)
}

/**
 * Shapes within which the server itself refuses what is no date or time. Outside of them it takes more than the portable forms do
 * ('now', '24:00:00', '2026-1-1').
 */
const time = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?`
const shapes: Partial<Record<ValueType, RegExp>> = {
  date: /^\d{4}-\d\d-\d\d$/,
  timestamp: new RegExp(String.raw`^\d{4}-\d\d-\d\dT${time}$`),
  timestamptz: new RegExp(String.raw`^\d{4}-\d\d-\d\dT${time}Z$`),
  time: new RegExp(`^${time}$`),
}

/** PostgreSQL takes more than the portable forms (' 1', 'NaN'), and cuts spaces past a varchar's end without a word. JSON it checks itself. */
function badRows(sink: SinkTable, change: Change): Map<number, RowFault> {
  const faults = new Map<number, RowFault>()
  for (const [c, { item }] of sink.columns.entries()) {
    const values = change.columns[c]!
    const shape = item.type === 'json' ? /^/ : shapes[item.type]
    for (let i = 0; i < change.rows; i++) {
      const value = values[i]!
      if (value === null ? !item.key : shape?.test(value)) continue
      const reason = value === null ? 'is a key and null' : valueFault(item, value)?.en
      if (reason === undefined || (!item.key && change.ops && change.ops[i] !== 'u')) continue
      faults.set(i, { key: keyAt(sink, change, i), code: 'QZ-ROW-REFUSED', item: item.id, reason: `${item.id} ${reason}` })
    }
  }
  return faults
}

export function keptAt(sink: SinkTable, change: Change, row: number, op: Kept['op']): Kept {
  const columns = sink.columns.map(({ item }, i) => ({ item, value: change.columns[i]![row]! }))
  const values = columns.filter(({ item }) => op === 'u' || item.key).map(({ item, value }) => [item.id, value] as const)
  return { op, values: Object.fromEntries(values) }
}

export function keyAt(sink: SinkTable, change: Change, row: number): Value[] {
  return sink.columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]![row]!] : []))
}

const special = /[\\\n\r\t]/
const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** COPY's text format (PostgreSQL manual, COPY). Every value is escaped, whatever its type. */
function copyText(columns: readonly MappedColumn[], change: Change, rows: readonly number[]): Buffer {
  const binary = columns.map(({ item }) => item.type === 'binary')
  let text = ''
  for (const i of rows) {
    for (let c = 0; c < columns.length; c++) {
      const value = change.columns[c]![i]!
      if (c > 0) text += '\t'
      if (value === null) text += '\\N'
      else if (binary[c]) text += `\\\\x${Buffer.from(value, 'base64').toString('hex')}`
      else text += special.test(value) ? value.replaceAll(/[\\\n\r\t]/g, (found) => escapes[found]!) : value
    }
    text += '\n'
  }
  return Buffer.from(text)
}
