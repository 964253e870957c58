/**
 * A batch made ready for PostgreSQL, without a database: beside what every engine wants the text that COPY reads, or nothing where there
 * are few rows.
 */
import type { Item } from '../../../protocol/schema.ts'
import { valueFault, type ValueType } from '../../../protocol/value.ts'
import type { Change, MappedColumn, SinkTable } from '../../database.ts'
import { prepareBatch, type PreparedBatch, type ValueCheck } from '../bookkeeping/batch.ts'

/** Up to here one statement with arrays is faster than COPY. */
const directRows = 50

export interface CopyBatch extends PreparedBatch {
  /** COPY text of the upserts; undefined where arrays will do. */
  copy: Buffer | undefined
}

export function prepareRows(sink: SinkTable, change: Change): CopyBatch {
  const batch = prepareBatch(sink, change, checkOf)
  return { ...batch, copy: batch.upserts.length > directRows ? copyText(sink.columns, change, batch.upserts) : undefined }
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
function checkOf(item: Item): ReturnType<ValueCheck> {
  if (item.type === 'json' && !item.key) return undefined
  const shape = shapes[item.type]
  return (value) => {
    if (value === null) return item.key ? { zh: '主键为空', en: 'is a key and null' } : undefined
    return shape?.test(value) ? undefined : valueFault(item, value)
  }
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
