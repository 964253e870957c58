/**
 * Which column types may supply which items, how their values are read, and how they become portable text. The server writes every value
 * as text by a named format, alike in a trigger and in a query, whatever the session's language. Exceptions are bytes, which stay bytes,
 * and float and real, which are the same IEEE 754 numbers here and there and are written in their shortest exact form.
 */
import { canonicalTime, valueFault, type Value, type ValueType } from '../../../protocol/value.ts'
import { stageValue, type TextColumn } from './sql.ts'
import type { MappedColumn } from '../../database.ts'
import { textColumn, type CatalogColumn } from './catalog.ts'
import type { RawValue } from './connection.ts'

export interface ColumnReader extends MappedColumn {
  /** SQL that reads a reference such as t.[name]. */
  select: (reference: string) => string
  /** SQL that makes of a staged text (as of `queueText`) a value of the column's type, null where it is none. */
  fromText: (reference: string) => string
  /** Of a text column: how it compares. */
  text: TextColumn | undefined
  /** Raw value to portable text; undefined = it cannot travel. */
  convert: (raw: RawValue) => string | undefined
  /** SQL that is true where the value is surely over the source's limit; undefined where it never is. */
  over?: (reference: string) => string
  /** UTF-8 bytes beyond which the text is over the limit. */
  limit: number | undefined
  nullable: boolean
}

type Group =
  | 'integer'
  | 'decimal'
  | 'money'
  | 'bit'
  | 'float'
  | 'real'
  | 'text'
  | 'guid'
  | 'xml'
  | 'json'
  | 'bytes'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'time'

/** Not among them, and so refused by name: sql_variant, hierarchyid, geometry, geography, CLR types. */
export const groups: Readonly<Record<string, Group>> = {
  ...each('integer', 'tinyint smallint int bigint'),
  ...each('decimal', 'decimal numeric'),
  ...each('money', 'money smallmoney'),
  ...each('text', 'char varchar nchar nvarchar text ntext'),
  ...each('bytes', 'binary varbinary image timestamp rowversion'),
  ...each('timestamp', 'datetime smalldatetime datetime2'),
  ...each('timestamptz', 'datetimeoffset'),
  ...each('guid', 'uniqueidentifier'),
  ...each('bit', 'bit'),
  ...each('float', 'float'),
  ...each('real', 'real'),
  ...each('xml', 'xml'),
  ...each('json', 'json'),
  ...each('date', 'date'),
  ...each('time', 'time'),
}

function each(group: Group, types: string): Record<string, Group> {
  return Object.fromEntries(types.split(' ').map((type) => [type, group]))
}

/** Column types that can supply an item's type without loss; the rest is refused by name. */
const suppliers: Record<ValueType, readonly Group[]> = {
  text: ['text', 'guid', 'integer', 'decimal', 'money', 'float', 'real', 'xml', 'json'],
  integer: ['integer', 'decimal'],
  decimal: ['decimal', 'integer', 'money'],
  boolean: ['bit'],
  date: ['date'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
  time: ['time'],
  binary: ['bytes'],
  json: ['json', 'text'],
}

/** Types whose values have no one text, or cannot be read in a trigger. */
const noKeys: readonly Group[] = ['float', 'real', 'xml', 'json']

const scaleOf = (column: CatalogColumn, group: Group): number => (group === 'money' ? 4 : column.scale)

/** undefined where the column cannot supply the item. */
export function columnReader(mapped: MappedColumn, column: CatalogColumn, valueLimit: number): ColumnReader | undefined {
  const group = groups[column.type]
  if (!group || !suppliers[mapped.item.type].includes(group) || isLossy(mapped, column, group)) return undefined
  const over = overLimit(column, group, valueLimit)
  return {
    ...mapped,
    select: selection(column, group),
    fromText: typed(column, group),
    text: textColumn(column),
    convert: conversion(mapped, column, group),
    ...(over && { over }),
    limit: over && group !== 'bytes' ? valueLimit : undefined,
    nullable: column.nullable,
  }
}

/** Seven digits of a second are one more than travels: such a column can be read through a view or SELECT that says what becomes of it. */
function isLossy({ item }: MappedColumn, column: CatalogColumn, group: Group): boolean {
  if (item.key && (noKeys.includes(group) || column.bytes < 0 || ['text', 'ntext'].includes(column.type))) return true
  if (['timestamp', 'timestamptz', 'time'].includes(group) && column.type !== 'datetime') return column.scale > 6
  if (item.type === 'integer') return group === 'decimal' && column.scale > 0
  return item.type === 'decimal' && group !== 'integer' && scaleOf(column, group) > (item.scale ?? 0)
}

/** Style 121 is `yyyy-mm-dd hh:mi:ss.fffffff`, 23 its date. */
function selection(column: CatalogColumn, group: Group): (reference: string) => string {
  switch (group) {
    case 'text':
      return textSelection(column)
    case 'integer':
      return (at) => `convert(nvarchar(20), ${at})`
    case 'decimal':
      return (at) => `convert(nvarchar(41), ${at})`
    case 'money':
      return (at) => `convert(nvarchar(41), convert(decimal(19,4), ${at}))`
    case 'bit':
      return (at) => `convert(nvarchar(1), ${at})`
    case 'guid':
      return (at) => `convert(nvarchar(36), ${at})`
    case 'date':
      return (at) => `convert(nvarchar(10), ${at}, 23)`
    case 'timestamp':
      return (at) => `convert(nvarchar(27), ${at}, 121)`
    case 'timestamptz':
      return (at) => `convert(nvarchar(27), convert(datetime2(6), switchoffset(${at}, '+00:00')), 121)`
    case 'time':
      return (at) => `convert(nvarchar(16), ${at}, 121)`
    case 'xml':
    case 'json':
      return (at) => `convert(nvarchar(max), ${at})`
    case 'bytes':
      return (at) => `convert(varbinary(${column.bytes < 0 || column.type === 'image' ? 'max' : 8000}), ${at})`
    default:
      return (at) => at
  }
}

/** Read as nvarchar, whatever code page the column has; the spaces that fill a char are no data. */
function textSelection({ type, bytes }: CatalogColumn): (reference: string) => string {
  const units = type.startsWith('n') ? bytes / 2 : bytes
  const wide = bytes < 0 || type.endsWith('text') || units > 4000 ? 'nvarchar(max)' : `nvarchar(${Math.max(units, 1)})`
  const plain = (at: string) => (type === 'nvarchar' ? at : `convert(${wide}, ${at})`)
  return type === 'char' || type === 'nchar' ? (at) => `rtrim(${plain(at)})` : plain
}

/** datetime takes no text with another number of digits than three, so it is made by way of datetime2. */
function typed(column: CatalogColumn, group: Group): (reference: string) => string {
  if (group === 'text') {
    const { collation, narrow } = textColumn(column) ?? { collation: 'database_default', narrow: false }
    return (at) => (narrow ? `convert(varchar(8000), ${at} collate ${collation})` : `${at} collate ${collation}`)
  }
  const type = fullTypeOf(column)
  if (column.type === 'datetime' || column.type === 'smalldatetime') return (at) => `try_cast(try_cast(${at} as datetime2(3)) as ${type})`
  return (at) => `try_cast(${at} as ${type})`
}

function fullTypeOf({ type, precision, scale }: CatalogColumn): string {
  if (type === 'decimal' || type === 'numeric') return `${type}(${precision},${scale})`
  return ['datetime2', 'datetimeoffset', 'time'].includes(type) ? `${type}(${scale})` : type
}

/**
 * A text of so many UTF-8 bytes has no more UTF-16 code units: what has more than twice the limit in bytes is surely over it and stays on
 * the server; of the rest the UTF-8 bytes are counted here.
 */
function overLimit(column: CatalogColumn, group: Group, limit: number): ColumnReader['over'] {
  const long = column.bytes < 0 || ['text', 'ntext', 'image', 'xml', 'json'].includes(column.type)
  if (group === 'bytes') return long || column.bytes > limit ? (at) => `datalength(${at}) > ${limit}` : undefined
  if (!['text', 'xml', 'json'].includes(group)) return undefined
  const utf8 = column.type.startsWith('n') ? (column.bytes / 2) * 3 : column.bytes * 3
  return long || utf8 > limit ? (at) => `datalength(${at}) > ${2 * limit}` : undefined
}

type Convert = ColumnReader['convert']

function conversion({ item }: MappedColumn, column: CatalogColumn, group: Group): Convert {
  const checked = (text: string) => (valueFault(item, text) === undefined ? text : undefined)
  if (group === 'float') return (raw) => checked(String(raw))
  if (group === 'real') return (raw) => checked(shortestReal(Number(raw)))
  if (group === 'bytes') return (raw) => (Buffer.isBuffer(raw) ? raw.toString('base64') : undefined)
  switch (item.type) {
    case 'boolean':
      return (raw) => (raw === '1' || raw === 'true' ? 'true' : raw === '0' || raw === 'false' ? 'false' : undefined)
    case 'timestamp':
      return (raw) => moment(String(raw))
    case 'timestamptz': {
      return (raw) => {
        const text = moment(String(raw).replace(/(Z| ?\+00:00)$/, ''))
        return text && `${text}Z`
      }
    }
    case 'time':
      return (raw) => canonicalTime(String(raw))
    case 'date':
      return (raw) => String(raw)
    case 'integer':
      return group === 'integer' ? (raw) => String(raw) : (raw) => checked(String(raw))
    case 'decimal':
      return fitsDecimal(item, column, group) ? (raw) => String(raw) : (raw) => checked(String(raw))
    default:
      return (raw) => checked(String(raw))
  }
}

function fitsDecimal({ precision = 38, scale = 0 }: MappedColumn['item'], column: CatalogColumn, group: Group): boolean {
  if (group === 'integer') return precision - scale >= 19
  const digits = group === 'money' ? 15 : column.precision - column.scale
  return digits <= precision - scale
}

/** `2026-11-22 08:30:00.1230000`, with a space or a T. */
function moment(text: string): string | undefined {
  if (!/^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?$/.test(text)) return undefined
  return `${text.slice(0, 10)}T${canonicalTime(text.slice(11))}`
}

/** The driver widens a real; its shortest text is the one that comes back to the same real. */
export function shortestReal(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits))
    if (Math.fround(text) === value) return String(text)
  }
  return String(Number(value.toPrecision(9)))
}

/** A portable key text as the queue and the statements hold it; the reader makes the same portable text of it again. */
export function queueText(type: ValueType, value: Value): string {
  return String(stageValue({ type }, value))
}

/**
 * Whether a delivered column holds every value of the item unchanged, or refuses it with an error that sets the row aside. What would round,
 * pad or change characters without a word is refused.
 */
export function canReceive({ type, length, scale = 0 }: MappedColumn['item'], column: CatalogColumn): boolean {
  const group = groups[column.type]
  switch (type) {
    case 'text': {
      const units = column.bytes < 0 ? Infinity : column.bytes / (column.type === 'nvarchar' ? 2 : 1)
      return (column.type === 'nvarchar' || isUtf8(column)) && units >= (length ?? Infinity)
    }
    case 'integer':
      return group === 'integer' || (group === 'decimal' && column.precision - column.scale > 0)
    case 'decimal':
      return group === 'decimal' && column.scale >= scale
    case 'timestamp':
      return column.type === 'datetime2' && column.scale >= 6
    case 'timestamptz':
      return column.type === 'datetimeoffset' && column.scale >= 6
    case 'time':
      return column.type === 'time' && column.scale >= 6
    case 'boolean':
      return column.type === 'bit'
    case 'date':
      return column.type === 'date'
    case 'binary':
      return column.type === 'varbinary' || column.type === 'image'
    case 'json':
      return (column.type === 'nvarchar' && column.bytes < 0) || column.type === 'json' || column.type === 'ntext'
  }
}

/** Any other varchar turns characters that its code page lacks into question marks. */
function isUtf8({ type, collation }: CatalogColumn): boolean {
  return type === 'varchar' && /_UTF8$/i.test(collation ?? '')
}
