/**
 * A batch made ready for PostgreSQL, without a database: one row for each key (the last), rows that cannot be written set aside, the
 * rest as the text that COPY reads, or as arrays where there are few.
 */
import { isErrorCode, type ErrorCode } from '../../protocol/errors.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { Change, MappedColumn, Prepared, RowFault, SinkTable } from '../database.ts'

/** Up to here one statement with arrays is faster than COPY. */
const DIRECT_ROWS = 50

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
    copy: upserts.length > DIRECT_ROWS ? copyText(sink.columns, change, upserts) : undefined,
  }
}

function codeOf(code: string): ErrorCode {
  return isErrorCode(code) ? code : 'QZ-ROW-VALUE'
}

/** Rows in order, of those with the same key only the last: a statement may not write a row twice. */
function lastOfEachKey(sink: SinkTable, change: Change): number[] {
  const last = new Map<string, number>()
  const keys = sink.columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]!] : []))
  for (let i = 0; i < change.rows; i++) last.set(keys.length === 1 ? keys[0]![i]! : JSON.stringify(keys.map((texts) => texts[i])), i)
  return last.size === change.rows ? Array.from({ length: change.rows }, (_, i) => i) : [...last.values()].toSorted((a, b) => a - b)
}

/** PostgreSQL takes more than the portable forms ('now', ' 1', 'NaN'), and cuts spaces past a varchar's end without a word. */
function badRows(sink: SinkTable, change: Change): Map<number, RowFault> {
  const faults = new Map<number, RowFault>()
  for (const [c, { item }] of sink.columns.entries()) {
    const values = change.columns[c]!
    for (let i = 0; i < change.rows; i++) {
      const value = values[i]!
      const reason = value === null ? missing(item.key) : item.type === 'json' ? undefined : valueFault(item, value)
      if (reason === undefined || (!item.key && change.ops && change.ops[i] !== 'u')) continue
      faults.set(i, { key: keyAt(sink, change, i), code: 'QZ-ROW-REFUSED', item: item.id, reason: `${item.id} ${reason}` })
    }
  }
  return faults
}

function missing(key: boolean | undefined): string | undefined {
  return key ? 'is a key and null' : undefined
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
