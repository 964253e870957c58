/**
 * What was written, read back: a local type, or the receiver's own trigger, may alter a value, drop a row or keep one without an error. So
 * where a table can do that, each piece is compared with its rows as the table has them now, within the transaction that wrote it.
 */
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Item } from '../../../protocol/schema.ts'
import type { Value } from '../../../protocol/value.ts'
import { deliveredRows, type MappedColumn, type Reading, type Row, type SinkTable, type SourceTable } from '../../database.ts'
import { keyAt, keyHash, type PreparedBatch } from './batch.ts'
import { notWritten, type Piece, type RefusedRow } from './sink-engine.ts'

/** A delivered table as a source of some of its columns. */
export function asSource(
  sink: SinkTable,
  table: string,
  columns: readonly MappedColumn[],
  rowFilter: NonNullable<SourceTable['rowFilter']> = deliveredRows(sink),
): SourceTable {
  return {
    resource: sink.resource,
    table,
    capture: 'compare',
    schema: sink.schema,
    columns,
    rowFilter,
    zeroDates: 'refuse',
    valueLimit: Number.MAX_SAFE_INTEGER,
    queueLimit: 0,
  }
}

/** Rows of a piece that the table does not have as they were written; of deletes those that it still has. */
export async function alteredRows(
  { sink, reading, source }: { sink: SinkTable; reading: Reading; source: SourceTable },
  batch: PreparedBatch,
  { op, from, to }: Piece,
): Promise<RefusedRow[]> {
  const rows = batch[op].slice(from, to)
  const keys = rows.map((row) => keyAt(sink, batch.change, row))
  const { rows: found, faults } = await reading.rowsByKeys(source, keys)
  const there = new Map(found.map((row) => [keyHash(source.columns.flatMap(({ item }, i) => (item.key ? [row[i]!] : []))), row]))
  const unreadable = new Map(faults.map((fault) => [keyHash(fault.key), fault]))
  return rows.flatMap((row, i) => {
    const hash = keyHash(keys[i]!)
    const error = op === 'deletes' ? kept(there.has(hash)) : altered(sink, sentRow(batch, row), there.get(hash), unreadable.get(hash)?.item)
    return error ? [{ row, error }] : []
  })
}

function sentRow({ change }: PreparedBatch, row: number): Row {
  return change.columns.map((values) => values[row]!)
}

function kept(there: boolean): LocalizedText | undefined {
  return there ? { zh: '接收方的表未删除该行，也未报错', en: 'the table kept the row without an error' } : undefined
}

function altered(sink: SinkTable, sent: Row, found: Row | undefined, unreadable: string | undefined): LocalizedText | undefined {
  if (unreadable !== undefined) return changed(unreadable)
  if (!found) return notWritten
  const other = sink.columns.find(({ item }, i) => !sameValue(item, sent[i]!, found[i]!))
  return other && changed(other.column, found[sink.columns.indexOf(other)])
}

function changed(column: string, value?: Value): LocalizedText {
  const shown = (value ?? '').slice(0, 60)
  return {
    zh: `列 ${column} 改变了值，读回为：${shown}`,
    en: `column ${column} alters the value, which reads back as: ${shown}`,
  }
}

/** Whether two texts are one value of the item; what was read may be in a wider type's form. */
export function sameValue({ type }: Pick<Item, 'type'>, sent: Value, found: Value): boolean {
  if (sent === null || found === null || sent === found) return sent === found
  switch (type) {
    case 'integer':
    case 'decimal':
      return plainNumber(sent) === plainNumber(found)
    case 'boolean':
      return found === (sent === 'true' ? '1' : '0')
    case 'date':
      return found === `${sent}T00:00:00`
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return withoutZeros(sent) === withoutZeros(found)
    case 'binary':
      return Buffer.from(sent, 'base64').equals(Buffer.from(found, 'base64'))
    case 'json':
      return sameJson(sent, found)
    default:
      return false
  }
}

/** Without leading zeros, or zeros behind the point: `-01.50` is `-1.5`, `-0.0` is `0`. */
function plainNumber(text: string): string {
  const [, sign, whole, fraction = ''] = /^([-+]?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text) ?? ['', '', text]
  const digits = `${whole || '0'}${fraction && `.${fraction}`}`
  return sign === '-' && digits !== '0' ? `-${digits}` : digits
}

function withoutZeros(text: string): string {
  return text
    .replace(/(\.\d*?)0+(?=Z|$)/, '$1')
    .replace(/\.(?=Z|$)/, '')
    .replace(/Z$/, '')
}

/** Equal but for blanks, the order of names and how numbers are written. */
function sameJson(a: string, b: string): boolean {
  try {
    return JSON.stringify(canonical(a)) === JSON.stringify(canonical(b))
  } catch {
    return false
  }
}

function canonical(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown, context?: { source?: string }) => {
    if (typeof value === 'number') return `number ${exactNumber(context?.source ?? String(value))}`
    if (typeof value === 'string') return `text ${value}`
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).toSorted(([x], [y]) => (x < y ? -1 : 1)))
  })
}

/** Digits and exponent of a JSON number: `1.50e2` is `15e1`. */
function exactNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text)!
  const digits = (whole + fraction).replace(/^0+/, '')
  const short = digits.replace(/0+$/, '')
  return short === '' ? '0' : `${sign}${short}e${Number(exponent) - fraction.length + digits.length - short.length}`
}
