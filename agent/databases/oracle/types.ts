/**
 * Which column types may supply which items, and how their values become portable text. Each column gets its functions once; the
 * trigger writes a key down in the same raw text in which the column is read, so both go through one conversion, which leaves portable
 * text as it is: keys pass through it twice.
 */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { canonicalTime, valueFault, type ValueType } from '../../../protocol/value.ts'
import type { ColumnKind } from './sql.ts'
import type { MappedColumn, SourceTable } from '../../database.ts'
import type { CatalogColumn } from './catalog.ts'

export type SourceKind = ColumnKind | 'raw'

export interface ColumnReader extends Omit<MappedColumn, 'column'> {
  /** Its exact name. */
  column: string
  kind: SourceKind
  /** SQL that reads the raw value of a reference, in a query and inside a trigger, whatever the session is set to. */
  select(reference: string): string
  /** Raw value to portable text; undefined = the value cannot travel. */
  convert(raw: string | Buffer): string | undefined
  /** A large object: its length is read beside it. */
  large: boolean
  /** A value may be longer than the source's limit. */
  limited: boolean
  /** Type to which a compared text is cast, of a padded column. */
  charType?: string
}

/** The kind of a dictionary type; undefined for what is refused by name (LONG, BFILE, ROWID, XMLTYPE, BINARY_DOUBLE, JSON …). */
export function kindOf({ type }: Pick<CatalogColumn, 'type'>): SourceKind | undefined {
  const plain = type
    .replace(/\(\d+\)/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  return kinds[plain]
}

const kinds: Readonly<Record<string, SourceKind>> = {
  VARCHAR2: 'text',
  VARCHAR: 'text',
  NVARCHAR2: 'ntext',
  CHAR: 'char',
  NCHAR: 'nchar',
  CLOB: 'clob',
  NCLOB: 'nclob',
  NUMBER: 'number',
  FLOAT: 'number',
  DATE: 'date',
  TIMESTAMP: 'timestamp',
  'TIMESTAMP WITH TIME ZONE': 'timestamptz',
  'TIMESTAMP WITH LOCAL TIME ZONE': 'localtime',
  'INTERVAL DAY TO SECOND': 'interval',
  RAW: 'raw',
  BLOB: 'blob',
}

const texts: readonly SourceKind[] = ['text', 'ntext', 'char', 'nchar']
const largeTexts: readonly SourceKind[] = ['clob', 'nclob']
const largeKinds: readonly SourceKind[] = ['clob', 'nclob', 'blob']

export function isNational(kind: SourceKind): boolean {
  return kind === 'ntext' || kind === 'nchar' || kind === 'nclob'
}

/** Kinds that can supply an item's type without loss; the rest is refused by name. A DATE holds a time: as `date` it must be midnight. */
const suppliers: Record<ValueType, readonly SourceKind[]> = {
  text: [...texts, ...largeTexts, 'number'],
  integer: ['number'],
  decimal: ['number'],
  boolean: ['number'],
  date: ['date'],
  timestamp: ['timestamp', 'date'],
  timestamptz: ['timestamptz', 'localtime'],
  time: ['interval', 'text', 'ntext'],
  binary: ['blob', 'raw'],
  json: [...largeTexts, 'text', 'ntext'],
}

/** undefined where the column cannot supply the item. */
export function columnReader(
  mapped: MappedColumn,
  column: CatalogColumn,
  source: Pick<SourceTable, 'valueLimit'>,
): ColumnReader | undefined {
  const { item } = mapped
  const kind = kindOf(column)
  if (!kind || !suppliers[item.type].includes(kind) || isLossy(mapped, column, kind)) return undefined
  const large = largeKinds.includes(kind)
  const charType = paddedType(column, kind)
  return {
    item,
    column: column.column,
    kind,
    select: (reference) => selection(kind, reference),
    convert: conversion(mapped, column, kind),
    large,
    limited: large || (column.bytes ?? 0) > source.valueLimit,
    ...(charType && { charType }),
  }
}

/** A key needs one text for each value; what Oracle keeps more exactly than the item does is refused. */
function isLossy({ item }: MappedColumn, column: CatalogColumn, kind: SourceKind): boolean {
  const { precision, scale = 0 } = column
  if (kind === 'timestamp' || kind === 'timestamptz' || kind === 'localtime' || kind === 'interval') return scale > 6
  if (item.key && (largeKinds.includes(kind) || kind === 'raw')) return true
  if (item.type === 'time') return Boolean(item.key)
  if (kind !== 'number') return false
  // FLOAT counts binary digits; a NUMBER without limits holds any number: values that do not fit are found one by one.
  if (column.type === 'FLOAT') return Boolean(item.key) || item.type === 'integer' || item.type === 'boolean'
  if (item.type === 'boolean') return precision !== 1 || scale !== 0
  if (item.type === 'integer') return scale > 0
  return item.type === 'decimal' && scale > (item.scale ?? 0)
}

/** A CHAR is compared padded: the compared text must have its type. */
function paddedType({ length = 1, countsBytes }: CatalogColumn, kind: SourceKind): string | undefined {
  if (kind === 'nchar') return `nchar(${length})`
  return kind === 'char' ? `char(${length} ${countsBytes ? 'byte' : 'char'})` : undefined
}

const numericCharacters = `'NLS_NUMERIC_CHARACTERS=''.,'''`
const moment = `'SYYYY-MM-DD"T"HH24:MI:SS`
const calendar = `'NLS_CALENDAR=GREGORIAN'`

function selection(kind: SourceKind, at: string): string {
  switch (kind) {
    case 'char':
    case 'nchar':
      return `rtrim(${at})`
    case 'number':
      return `to_char(${at}, 'TM9', ${numericCharacters})`
    case 'date':
      return `to_char(${at}, ${moment}', ${calendar})`
    case 'timestamp':
      return `to_char(${at}, ${moment}.FF6', ${calendar})`
    case 'timestamptz':
    case 'localtime':
      return `to_char(${at} at time zone '+00:00', ${moment}.FF6', ${calendar})`
    case 'interval':
      return `to_char(${at})`
    default:
      return at
  }
}

type Convert = ColumnReader['convert']

function conversion({ item }: MappedColumn, column: CatalogColumn, kind: SourceKind): Convert {
  const checked = (made: string | undefined) => (made === undefined || valueFault(item, made) ? undefined : made)
  switch (item.type) {
    case 'binary':
      return (raw) => (raw as Buffer).toString('base64')
    case 'text':
      return kind === 'number' ? (raw) => checked(plainNumber(String(raw))) : (raw) => checked(String(raw))
    case 'json':
      return (raw) => checked(String(raw))
    case 'integer':
      return (raw) => checked(String(raw))
    case 'decimal': {
      const scale = column.type === 'FLOAT' ? (item.scale ?? 0) : (column.scale ?? item.scale ?? 0)
      return (raw) => checked(withScale(String(raw), Math.max(0, scale)))
    }
    case 'boolean':
      return (raw) => booleans[String(raw)]
    case 'date':
      return (raw) => checked(midnight(String(raw)))
    case 'timestamp':
      return (raw) => checked(canonicalTime(String(raw).trimStart()))
    case 'timestamptz':
      return (raw) => checked(canonicalTime(`${String(raw).trimStart().replace(/Z$/, '')}Z`))
    case 'time':
      return (raw) => checked(kind === 'interval' ? timeOfDay(String(raw)) : canonicalTime(String(raw)))
  }
}

const booleans: Readonly<Record<string, string>> = { '1': 'true', '0': 'false', true: 'true', false: 'false' }

/** Oracle writes no zero before the point. */
export function plainNumber(raw: string): string {
  return raw.replace(/^(-?)\./, '$10.')
}

/** One text for each value: the digits after the point are as many as the column has, or the item. */
export function withScale(raw: string, scale: number): string {
  const number = plainNumber(raw)
  if (scale === 0 || /[^-\d.]/.test(number)) return number
  const point = number.indexOf('.')
  return point < 0 ? `${number}.${'0'.repeat(scale)}` : number.padEnd(point + 1 + scale, '0')
}

/** The day of a DATE whose time is midnight. */
export function midnight(raw: string): string | undefined {
  const text = raw.trimStart()
  if (text.length === 10) return text
  return text.endsWith('T00:00:00') ? text.slice(0, -9) : undefined
}

/** `+0 08:30:00.500000`, as an interval is written, to a time of day; undefined where it is longer than a day, or negative. */
export function timeOfDay(raw: string): string | undefined {
  const interval = /^\+?0* (\d\d:\d\d:\d\d)(?:[.,](\d+))?$/.exec(raw)
  if (!interval) return /^\d\d:/.test(raw) ? canonicalTime(raw) : undefined
  return canonicalTime(interval[2] ? `${interval[1]}.${interval[2]}` : interval[1]!)
}

/** Why a value cannot travel. */
export function faultOf({ item, kind }: ColumnReader, raw: string | Buffer): LocalizedText {
  if (Buffer.isBuffer(raw)) return { zh: '无法传送', en: 'cannot travel' }
  const value = raw.trimStart()
  if (item.type === 'date' && kind === 'date' && !value.endsWith('T00:00:00'))
    return { zh: `${value} 含有时刻`, en: `${value} has a time of day` }
  if (item.type === 'boolean') return { zh: `${value} 不是 0 或 1`, en: `${value} is neither 0 nor 1` }
  if (kind === 'interval') return { zh: `${value} 不是时刻`, en: `${value} is no time of day` }
  return (
    valueFault(item, item.type === 'text' ? raw : plainNumber(value)) ?? {
      zh: `${value.slice(0, 60)} 无法传送`,
      en: `${value.slice(0, 60)} cannot travel`,
    }
  )
}
