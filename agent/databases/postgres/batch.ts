/**
 * A batch made ready for PostgreSQL, without a database: beside what every engine wants the text that COPY reads, or nothing where there
 * are few rows.
 */
import type { Item } from '../../../protocol/schema.ts'
import { valueFault, type Value, type ValueType } from '../../../protocol/value.ts'
import { positionNumber } from '../../../protocol/position.ts'
import type { ArrivedBatch, Change, MappedColumn, SinkTable } from '../../database.ts'
import { prepareBatch, prepareLines, type PreparedBatch, type ValueCheck } from '../bookkeeping/batch.ts'
import { arrayText, lineForms } from '../bookkeeping/lines.ts'
import { timeLength, type ApplyTable } from './sql.ts'

/** Up to here one statement with arrays is faster than COPY. */
const directRows = 50

export interface CopyBatch extends PreparedBatch {
  /** COPY text of the upserts; undefined where arrays will do. */
  copy: Buffer | undefined
  /** Set where each line of `copy` ends with the columns that delivery adds, the time last and still blank. */
  whole?: WholeLines
}

export interface WholeLines {
  /** The table for which they were made. */
  table: ApplyTable
  /** Values of each key column of the upserts, as an array or as PostgreSQL writes one. */
  keys: readonly (string | readonly Value[])[]
  ends: Uint32Array
}

export function prepareRows(sink: SinkTable, change: Change): CopyBatch {
  const batch = prepareBatch(sink, change, checkOf)
  return { ...batch, copy: batch.upserts.length > directRows ? copyText(sink.columns, change, batch.upserts) : undefined }
}

const style = { lengths: true, digits: false, zoneless: false }
/** The same from blocks, where no value need be made. */
export function prepareBlocks(sink: SinkTable, table: ApplyTable, arrived: ArrivedBatch): CopyBatch | undefined {
  const { change } = arrived
  if (change.rows <= directRows) return undefined
  const forms = lineForms(sink.columns, style)
  const batch = forms && prepareLines(sink, arrived, forms, table.plain ? tailOf(sink, change) : nothing)
  if (!batch || batch.upserts.length <= directRows) return undefined
  const { lines, blocks } = batch
  if (!table.plain) return { ...batch, copy: lines.bytes }
  const keys = sink.columns.flatMap(({ item }, c) => {
    if (!item.key) return []
    const text = batch.deletes.length === 0 ? arrayText(blocks[c]!) : undefined
    return [text ?? batch.upserts.map((row) => change.columns[c]![row]!)]
  })
  return { ...batch, copy: lines.bytes, whole: { table, keys, ends: lines.ends } }
}

const nothing = new Uint8Array(0)

/** Source, position, for tables that mark what goes that it is there, and room for the time. */
function tailOf({ source, deletes }: SinkTable, { to }: Change): Buffer {
  const marked = deletes === 'mark' ? ['f'] : []
  return Buffer.from(['', escapeText(source), positionNumber(to), ...marked, ' '.repeat(timeLength)].join('\t'))
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

function escapeText(value: string): string {
  return special.test(value) ? value.replaceAll(/[\\\n\r\t]/g, (found) => escapes[found]!) : value
}

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
      else text += escapeText(value)
    }
    text += '\n'
  }
  return Buffer.from(text)
}
