/** PostgreSQL's types against the portable ones: what may supply an item, how its text becomes the portable one, what may receive it. */
import type { Item } from '../../../protocol/schema.ts'
import { valueFault, type ValueLimits } from '../../../protocol/value.ts'
import type { CopiedColumn } from './copy-out.ts'
import type { TableColumn } from './table.ts'

/** Portable text of a value, or undefined where it cannot travel. Portable text stays what it is: keys pass through twice. */
export type Convert = (text: string) => string | undefined

export interface Reading {
  /** True where `::text` must be asked for, because it differs from how the value is sent. */
  asText: boolean
  /** True where values may be over the limit: their bytes are then counted before they are read. */
  wide: boolean
  convert?: Convert
  /** The same on the bytes that COPY sends; absent where that takes more. */
  copied?: CopiedColumn
}

const texts = ['text', 'varchar', 'bpchar', 'citext']
const integers = ['int2', 'int4', 'int8']
const plain = [...integers, 'numeric', 'uuid', 'inet', 'cidr', 'macaddr', 'macaddr8', 'xml', 'json', 'jsonb', 'bit', 'varbit']
const floats = ['float4', 'float8']

/** Base types (below domains) that may supply an item. Arrays, intervals, timetz, money, ranges and all others are refused. */
const suppliers: Record<Item['type'], readonly string[]> = {
  text: [...texts, ...plain, ...floats],
  integer: [...integers, 'numeric'],
  decimal: [...integers, 'numeric'],
  boolean: ['bool'],
  date: ['date'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
  time: ['time'],
  binary: ['bytea'],
  json: ['json', 'jsonb'],
}

/** What of an item decides how it is read. */
export type ItemForm = ValueLimits & Pick<Item, 'key'>

/** How a column supplies an item; undefined where it could not without loss. */
export function readingOf(item: ItemForm, column: TableColumn, valueLimit: number): Reading | undefined {
  if (!(suppliers[item.type].includes(column.base) || (item.type === 'text' && column.isEnum))) return undefined
  if (item.type === 'integer' && column.base === 'numeric' && numericScale(column) !== 0) return undefined
  if (item.key && !hasOneText(column)) return undefined
  const convert = conversionOf(item, column)
  const copied = copiedOf(item, convert)
  return {
    asText: ['bpchar', 'inet', 'cidr'].includes(column.base),
    wide: isWide(column, valueLimit),
    ...(convert && { convert }),
    ...(copied && { copied }),
  }
}

/** Whether two keys of the column are the same value exactly where their texts are: not without regard to case, or to blanks behind. */
export function isToldByText({ base, loose }: TableColumn): boolean {
  return !loose && [...integers, 'text', 'varchar', 'uuid', 'date', 'timestamp', 'timestamptz', 'bool'].includes(base)
}

/** As a key, a value must have one text: 1.0 and 1.00 are one key in an unbounded numeric, and floats differ by their last digit. */
function hasOneText(column: TableColumn): boolean {
  return (
    !floats.includes(column.base) && !['json', 'jsonb', 'xml'].includes(column.base) && !(column.base === 'numeric' && column.modifier < 0)
  )
}

/** Digits after the point of a `numeric(p,s)`; undefined for one without limits. The modifier holds ((p << 16) | s) + 4, s in 11 bits. */
export function numericScale(column: TableColumn): number | undefined {
  return column.modifier < 0 ? undefined : (((column.modifier - 4) & 0x7ff) ^ 1024) - 1024
}

export function numericPrecision(column: TableColumn): number {
  return ((column.modifier - 4) >> 16) & 0xffff
}

/** Of a numeric column that has limits; otherwise none. */
export function numericLimits(column: TableColumn): { precision?: number; scale?: number } {
  const scale = column.base === 'numeric' ? numericScale(column) : undefined
  return scale === undefined || scale < 0 ? {} : { precision: numericPrecision(column), scale }
}

function conversionOf(item: ValueLimits, column: TableColumn): Convert | undefined {
  switch (item.type) {
    case 'text':
      return item.length !== undefined && !fitsText(item.length, column) ? checked(item) : undefined
    case 'integer':
      return column.base === 'numeric' ? checked(item) : undefined
    case 'decimal':
      return fitsDecimal(item, column) ? number : checked(item)
    case 'json':
      return undefined
    default:
      return conversions[item.type]
  }
}

function copiedOf(item: ValueLimits, convert: Convert | undefined): CopiedColumn | undefined {
  if (!convert) return { form: 'same' }
  switch (item.type) {
    case 'text':
      return { form: 'same', longest: item.length! }
    case 'decimal':
      return convert === number ? { form: 'number' } : undefined
    case 'integer':
    case 'json':
    case 'binary':
      return undefined
    default:
      return { form: item.type }
  }
}

function checked(item: ValueLimits): Convert {
  return (text) => (valueFault(item, text) === undefined ? text : undefined)
}

function fitsText(length: number, column: TableColumn): boolean {
  if (column.base === 'uuid') return length >= 36
  return ['varchar', 'bpchar'].includes(column.base) && column.modifier >= 0 && column.modifier - 4 <= length
}

const integerDigits: Record<string, number> = { int2: 5, int4: 10, int8: 19 }

function fitsDecimal(item: ValueLimits, column: TableColumn): boolean {
  const [precision, scale] = [item.precision ?? 38, item.scale ?? 0]
  if (column.base !== 'numeric') return precision - scale >= integerDigits[column.base]!
  const has = numericScale(column)
  return has !== undefined && has >= 0 && has <= scale && numericPrecision(column) - has <= precision - scale
}

/** NaN and ±Infinity end in a letter. */
const number: Convert = (text) => (text.charCodeAt(text.length - 1) <= 57 ? text : undefined)

const conversions: Record<'boolean' | 'date' | 'timestamp' | 'timestamptz' | 'time' | 'binary', Convert> = {
  boolean: (text) => (text === 't' || text === 'true' ? 'true' : 'false'),
  // Years past 9999 are longer, BC and ±infinity carry letters.
  date: (text) => (text.length === 10 ? text : undefined),
  timestamp(text) {
    if (text[10] === 'T') return text
    return text[10] === ' ' && !text.endsWith('C') ? `${text.slice(0, 10)}T${text.slice(11)}` : undefined
  },
  timestamptz(text) {
    if (text[10] === 'T') return text
    return text[10] === ' ' && text.endsWith('+00') ? `${text.slice(0, 10)}T${text.slice(11, -3)}Z` : undefined
  },
  time: (text) => (text.startsWith('24') ? undefined : text),
  binary: (text) => Buffer.from(text.slice(2), 'hex').toString('base64'),
}

function isWide(column: TableColumn, limit: number): boolean {
  if (['text', 'citext', 'xml', 'json', 'jsonb', 'bytea'].includes(column.base)) return true
  if (!['varchar', 'bpchar'].includes(column.base)) return false
  return column.modifier < 0 || (column.modifier - 4) * 4 > limit
}

/**
 * Whether a delivered column holds every value of the item unchanged, or refuses it with an error that sets the row aside. What would
 * round, pad, fold case or drop a zone without a word is refused.
 */
export function canReceive(item: Item, column: TableColumn): boolean {
  switch (item.type) {
    case 'text':
      return (
        column.base === 'text' || (column.base === 'varchar' && (column.modifier < 0 || column.modifier - 4 >= (item.length ?? Infinity)))
      )
    case 'integer':
      return integers.includes(column.base) || (column.base === 'numeric' && (numericScale(column) ?? 0) >= 0)
    case 'decimal':
      return column.base === 'numeric' && (numericScale(column) ?? Infinity) >= (item.scale ?? 0)
    case 'json':
      return ['json', 'jsonb', 'text'].includes(column.base)
    case 'timestamp':
    case 'timestamptz':
    case 'time':
      return column.base === item.type && (column.modifier < 0 || column.modifier === 6)
    default:
      return suppliers[item.type].includes(column.base)
  }
}
