/**
 * Which column types may supply which items, and how their values become portable text. Each column gets its functions once; the
 * trigger writes a key down in the same raw text in which the column is read, so both go through one conversion.
 */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { canonicalTime, valueFault, type Value, type ValueType } from '../../../protocol/value.ts'
import type { Item } from '../../../protocol/schema.ts'
import type { MappedColumn, SourceTable } from '../../database.ts'
import type { CatalogColumn } from './catalog.ts'
import type { RawValue } from './connection.ts'

export interface ColumnReader extends MappedColumn {
  /** SQL that reads the raw value of a reference such as `t`.`name`. */
  select(reference: string): string
  /** SQL that gives the same raw value as text inside a trigger, whatever the application's session is set to. */
  keyText(reference: string): string
  /** Raw value to portable text (null by the rule for zero dates); undefined = the value cannot travel. Absent: it is portable as read. */
  convert?: (raw: never) => string | null | undefined
  /** Why it cannot. */
  fault(raw: RawValue): LocalizedText
  /** A value may be longer than the source's limit. */
  limited: boolean
}

type Group = 'integer' | 'decimal' | 'bit' | 'real' | 'text' | 'name' | 'bytes' | 'date' | 'datetime' | 'timestamp' | 'time' | 'json'

export const groups: Readonly<Record<string, Group>> = {
  ...each('integer', 'tinyint smallint mediumint int bigint year'),
  ...each('text', 'char varchar tinytext text mediumtext longtext'),
  ...each('name', 'enum set uuid inet4 inet6'),
  ...each('bytes', 'binary varbinary tinyblob blob mediumblob longblob'),
  ...each('real', 'float double'),
  ...each('decimal', 'decimal'),
  ...each('bit', 'bit'),
  ...each('date', 'date'),
  ...each('datetime', 'datetime'),
  ...each('timestamp', 'timestamp'),
  ...each('time', 'time'),
  ...each('json', 'json'),
}

function each(group: Group, types: string): Record<string, Group> {
  return Object.fromEntries(types.split(' ').map((type) => [type, group]))
}

/** Column types that can supply an item's type without loss; the rest is refused by name. */
const suppliers: Record<ValueType, readonly Group[]> = {
  text: ['text', 'name', 'integer', 'decimal', 'real', 'json'],
  integer: ['integer', 'bit', 'decimal'],
  decimal: ['decimal', 'integer'],
  boolean: ['integer', 'bit'],
  date: ['date'],
  timestamp: ['datetime'],
  timestamptz: ['timestamp', 'datetime'],
  time: ['time'],
  binary: ['bytes'],
  json: ['json', 'text'],
}

/** undefined where the column cannot supply the item. */
export function columnReader(
  mapped: MappedColumn,
  column: CatalogColumn,
  source: Pick<SourceTable, 'zeroDates' | 'valueLimit'>,
): ColumnReader | undefined {
  const { item } = mapped
  const group = groups[column.type]
  if (!group || !suppliers[item.type].includes(group) || isLossy(mapped, column, group)) return undefined
  const select = selection(column, group, item)
  const convert = conversion(mapped, column, group, source.zeroDates)
  return {
    ...mapped,
    select,
    keyText: group === 'timestamp' ? utcText : select,
    ...(convert ? { convert } : {}),
    fault: (raw) => faultOf(mapped, group, raw),
    limited: (column.bytes ?? (group === 'json' ? Infinity : 0)) > source.valueLimit,
  }
}

/** Key text of floats is not unique; a booleans's column must be one that can hold just 0 and 1; scale may not be cut. */
function isLossy({ item }: MappedColumn, column: CatalogColumn, group: Group): boolean {
  if (item.key && (group === 'real' || group === 'json')) return true
  if (group === 'text' && column.charset === 'binary') return true
  if (item.type === 'boolean') return column.type === 'year' || (group === 'bit' ? column.precision !== 1 : column.type !== 'tinyint')
  if (item.type === 'integer' && group === 'decimal') return (column.scale ?? 0) > 0
  if (item.type === 'decimal' && group === 'decimal') return (column.scale ?? 0) > (item.scale ?? 0)
  return false
}

/**
 * Small numbers would come as JavaScript numbers, bits as bytes; `+ 0` drops the zeros of ZEROFILL and of the year 0000. A FLOAT alone is
 * written with six digits, and as a DOUBLE by MySQL 9 with sixteen: within JSON with all that it has.
 */
function selection({ type, fullType }: CatalogColumn, group: Group, item: Item): (reference: string) => string {
  if (type === 'float')
    return (at) => `if(${at} is null, null, trim(trailing '.0' from json_unquote(json_extract(json_array(${at} + 0e0), '$[0]'))))`
  if (group === 'bit' || fullType.includes('zerofill') || (type === 'year' && item.type !== 'text'))
    return (at) => `cast(${at} + 0 as char)`
  if (group === 'real' || (group === 'integer' && !fullType.startsWith('bigint'))) return (at) => `cast(${at} as char)`
  return (at) => at
}

/** A TIMESTAMP prints in the session's time zone: from its seconds since 1970, which do not depend on it. Zero stays zero. */
function utcText(at: string): string {
  return `if(${at} = 0, '0000-00-00 00:00:00', cast('1970-01-01 00:00:00' as datetime(6)) + interval unix_timestamp(${at}) second)`
}

/** The number by which a label of an ENUM, or labels of a SET, are ordered; undefined for other columns, and for what is no label. */
export function labelNumber({ type, fullType }: CatalogColumn, value: Value): bigint | undefined {
  if ((type !== 'enum' && type !== 'set') || value === null) return undefined
  if (value === '') return 0n
  const labels = Array.from(fullType.matchAll(/'((?:[^']|'')*)'/g), ([, label]) => label!.replaceAll("''", "'"))
  const places = (type === 'set' ? value.split(',') : [value]).map((label) => labels.indexOf(label.toLowerCase()))
  if (places.includes(-1)) return undefined
  return type === 'enum' ? BigInt(places[0]! + 1) : places.reduce((sum, place) => sum | (1n << BigInt(place)), 0n)
}

type Convert = NonNullable<ColumnReader['convert']>

function conversion({ item }: MappedColumn, column: CatalogColumn, group: Group, zeroDates: SourceTable['zeroDates']): Convert | undefined {
  const zero = zeroDates === 'null' && !item.key ? null : undefined
  switch (item.type) {
    case 'text':
      return group === 'text' ? text(item.length, column.length) : checked({ item })
    case 'integer':
      return group === 'integer' && !column.fullType.includes('bigint') ? undefined : checked({ item })
    case 'decimal':
      return fits({ item }, column) ? undefined : checked({ item })
    case 'boolean':
      return (raw: string) => (raw === '1' ? 'true' : raw === '0' ? 'false' : undefined)
    case 'date':
      return (raw: string) => (isZeroDate(raw) ? zero : day(raw))
    case 'timestamp':
    case 'timestamptz':
      return moment(item.type === 'timestamptz' ? 'Z' : '', zero)
    case 'time':
      return (raw: string) => (raw.length >= 8 && raw[2] === ':' && raw < '24' ? canonicalTime(raw) : undefined)
    case 'binary':
      return (raw: Buffer) => raw.toString('base64')
    case 'json':
      return checked({ item })
  }
}

function text(length: number | undefined, columnLength: number | undefined): Convert {
  if (length === undefined || (columnLength !== undefined && columnLength <= length))
    return (raw: string) => (raw.includes('\0') ? undefined : raw)
  const limits = { type: 'text', length } as const
  return (raw: string) => (raw.includes('\0') || (raw.length > length && valueFault(limits, raw)) ? undefined : raw)
}

function checked({ item }: Pick<MappedColumn, 'item'>): Convert {
  return (raw: string) => (valueFault(item, raw) ? undefined : raw)
}

function fits({ item }: Pick<MappedColumn, 'item'>, { precision = 65, scale = 0 }: CatalogColumn): boolean {
  return precision - scale <= (item.precision ?? 38) - (item.scale ?? 0)
}

/** `0000-00-00`, a month or day of zero, or the year zero. */
function isZeroDate(raw: string): boolean {
  return raw.startsWith('0000') || raw.slice(4, 10).includes('-00')
}

/** ALLOW_INVALID_DATES lets a 31st of February in. */
function day(raw: string): string | undefined {
  return raw[8]! >= '2' && raw.slice(8, 10) > '28' && valueFault({ type: 'date' }, raw.slice(0, 10)) ? undefined : raw
}

function moment(zone: '' | 'Z', zero: null | undefined): Convert {
  return (raw: string) => {
    if (isZeroDate(raw)) return zero
    if (day(raw) === undefined) return undefined
    const clock = raw.slice(11)
    return `${raw.slice(0, 10)}T${clock.length > 8 ? canonicalTime(clock) : clock}${zone}`
  }
}

function faultOf({ item }: MappedColumn, group: Group, raw: RawValue): LocalizedText {
  const value = String(raw)
  if (['date', 'datetime', 'timestamp'].includes(group))
    return isZeroDate(value)
      ? { zh: `零日期 ${value}`, en: `zero date ${value}` }
      : { zh: `${value} 不是日期`, en: `${value} is not a date` }
  if (item.type === 'boolean') return { zh: `${value} 不是 0 或 1`, en: `${value} is neither 0 nor 1` }
  return valueFault(item, value) ?? { zh: '无法传送', en: 'cannot travel' }
}

/** Portable key text as the queue holds it, so that the reader turns it into the same portable text again. */
export function rawText(type: ValueType, value: string): string {
  if (type === 'boolean') return value === 'true' ? '1' : value === 'false' ? '0' : value
  if (type !== 'timestamp' && type !== 'timestamptz') return value
  return value.replace('T', ' ').replace(/Z$/, '')
}
