/**
 * Values as a row event holds them (MySQL Internals, "Row event", and the servers' `log_event_print_value`): the length of each, to pass over
 * it, and of those that a key may have the text that a trigger would write down.
 */
import { isUtf8 } from 'node:buffer'
import type { CatalogColumn } from '../catalog.ts'
import { quoteText } from '../sql.ts'
import type { ColumnReader } from '../types.ts'

/** A column as the log describes it. */
export interface LoggedColumn {
  type: number
  meta: number
}

const types = {
  float: 4,
  double: 5,
  varchar: 15,
  bit: 16,
  timestamp: 17,
  datetime: 18,
  time: 19,
  compressedBlob: 140,
  compressedVarchar: 141,
  vector: 242,
  json: 245,
  decimal: 246,
  enum: 247,
  set: 248,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const

/** Types whose values have one length; the older ones of times have no fraction. */
const fixed: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 4, 6: 0, 7: 4, 8: 8, 9: 3, 10: 3, 11: 3, 12: 8, 13: 1, 14: 3 }

/** Bytes of metadata in a table's description; undefined for a type that is not known. */
function metaBytes(type: number): number | undefined {
  if (fixed[type] !== undefined) return 0
  switch (type) {
    case types.varchar:
    case types.compressedVarchar:
    case types.bit:
    case types.decimal:
    case types.enum:
    case types.set:
    case types.varString:
    case types.string:
      return 2
    case types.float:
    case types.double:
    case types.timestamp:
    case types.datetime:
    case types.time:
    case types.compressedBlob:
    case types.vector:
    case types.json:
    case types.blob:
    case types.geometry:
    case 249:
    case 250:
    case 251:
      return 1
    default:
      return undefined
  }
}

/** Undefined where one of the types is not known: nothing behind it can be found. */
export function loggedColumns(columnTypes: Buffer, metadata: Buffer): LoggedColumn[] | undefined {
  const columns: LoggedColumn[] = []
  let at = 0
  for (const type of columnTypes) {
    const bytes = metaBytes(type)
    if (bytes === undefined) return undefined
    columns.push(loggedColumn(type, metadata, at, bytes))
    at += bytes
  }
  return columns
}

/** A string's metadata holds its real type, and of a long one two more bits of its length. */
function loggedColumn(type: number, metadata: Buffer, at: number, bytes: number): LoggedColumn {
  if (bytes === 0) return { type, meta: 0 }
  if (bytes === 1) return { type, meta: metadata[at]! }
  const [first, second] = [metadata[at]!, metadata[at + 1]!]
  if (type === types.decimal) return { type, meta: (first << 8) | second }
  if (type !== types.string && type !== types.enum && type !== types.set) return { type, meta: metadata.readUInt16LE(at) }
  if ((first & 0x30) !== 0x30) return { type: first | 0x30, meta: second | (((first & 0x30) ^ 0x30) << 4) }
  return { type: first, meta: second }
}

const digitBytes = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]

function decimalBytes(meta: number): number {
  const [precision, scale] = [meta >> 8, meta & 0xff]
  const whole = precision - scale
  return Math.floor(whole / 9) * 4 + digitBytes[whole % 9]! + Math.floor(scale / 9) * 4 + digitBytes[scale % 9]!
}

const fractionBytes = (digits: number): number => (digits + 1) >> 1

/** Bytes before the value itself that tell its length. */
function prefixBytes({ type, meta }: LoggedColumn): number {
  switch (type) {
    case types.varchar:
    case types.varString:
    case types.compressedVarchar:
    case types.string:
      return meta > 255 ? 2 : 1
    case types.blob:
    case types.compressedBlob:
    case types.json:
    case types.geometry:
    case types.vector:
    case 249:
    case 250:
    case 251:
      return meta
    default:
      return 0
  }
}

/** Where the value at `at` begins, and where it ends. */
export function extent(bytes: Buffer, at: number, column: LoggedColumn): [from: number, to: number] {
  const prefix = prefixBytes(column)
  if (prefix === 0) return [at, at + plainBytes(column)]
  const from = at + prefix
  return [from, from + bytes.readUIntLE(at, prefix)]
}

function plainBytes({ type, meta }: LoggedColumn): number {
  const length = fixed[type]
  if (length !== undefined) return length
  switch (type) {
    case types.timestamp:
      return 4 + fractionBytes(meta)
    case types.datetime:
      return 5 + fractionBytes(meta)
    case types.time:
      return 3 + fractionBytes(meta)
    case types.decimal:
      return decimalBytes(meta)
    case types.bit:
      return (meta >> 8) + ((meta & 0xff) > 0 ? 1 : 0)
    default:
      // Floats have their length as metadata, ENUM and SET too.
      return meta
  }
}

/** How one column of a key is read out of a row. */
export interface KeyValue {
  /** Whether the log describes the column as the catalog does. */
  fits(column: LoggedColumn): boolean
  /** SQL of the text that a trigger would write down (types.ts, `keyText`). */
  sql(bytes: Buffer, from: number, to: number): string
}

type Make = (column: CatalogColumn, reader: ColumnReader) => KeyValue | undefined

/** Undefined where the column's values cannot be told exactly. */
export function keyValue(column: CatalogColumn, reader: ColumnReader): KeyValue | undefined {
  return column.generated ? undefined : makers[column.type]?.(column, reader)
}

const makers: Readonly<Record<string, Make>> = {
  tinyint: integer(1, 1),
  smallint: integer(2, 2),
  mediumint: integer(9, 3),
  int: integer(3, 4),
  bigint: integer(8, 8),
  year: (_, { item }) => ({
    fits: ({ type }) => type === 13,
    sql: (bytes, from) => `'${bytes[from] === 0 ? (item.type === 'text' ? '0000' : '0') : 1900 + bytes[from]!}'`,
  }),
  bit: () => ({
    fits: ({ type }) => type === types.bit,
    sql: (bytes, from, to) => `'${BigInt(`0x${bytes.toString('hex', from, to)}`)}'`,
  }),
  decimal: ({ precision = 0, scale = 0 }) => ({
    fits: ({ type, meta }) => type === types.decimal && meta === ((precision << 8) | scale),
    sql: (bytes, from) => `'${decimalText(bytes, from, precision, scale)}'`,
  }),
  date: () => ({
    fits: ({ type }) => type === 10 || type === 14,
    sql: (bytes, from) => {
      const day = bytes.readUIntLE(from, 3)
      return `'${digits(day >> 9, 4)}-${digits((day >> 5) & 15, 2)}-${digits(day & 31, 2)}'`
    },
  }),
  datetime: moment(types.datetime, (bytes, from, meta) => `${datetimeText(bytes, from)}${fraction(bytes, from + 5, meta)}`),
  time: moment(types.time, timeText),
  timestamp: moment(types.timestamp, timestampText),
  char: characters(types.string),
  varchar: characters(types.varchar),
  tinytext: characters(types.blob),
  text: characters(types.blob),
  mediumtext: characters(types.blob),
  longtext: characters(types.blob),
  enum: labels(types.enum, (labels, number) => (number === 0n ? '' : labels[Number(number) - 1])),
  set: labels(types.set, (labels, bits) => labels.filter((_, i) => (bits >> BigInt(i)) & 1n).join(',')),
}

function integer(type: number, length: number): Make {
  return ({ fullType }) => {
    const unsigned = /unsigned|zerofill/.test(fullType)
    const read = (bytes: Buffer, from: number): bigint | number => {
      if (length === 8) return unsigned ? bytes.readBigUInt64LE(from) : bytes.readBigInt64LE(from)
      return unsigned ? bytes.readUIntLE(from, length) : bytes.readIntLE(from, length)
    }
    return { fits: (logged) => logged.type === type, sql: (bytes, from) => `'${read(bytes, from)}'` }
  }
}

/** Groups of nine digits in four bytes, the sign in the first bit, all bits of a negative number turned. */
function decimalText(bytes: Buffer, from: number, precision: number, scale: number): string {
  const length = decimalBytes((precision << 8) | scale)
  const raw = Buffer.from(bytes.subarray(from, from + length))
  const negative = (raw[0]! & 0x80) === 0
  raw[0]! ^= 0x80
  if (negative) for (let i = 0; i < length; i++) raw[i]! ^= 0xff
  let at = 0
  const group = (size: number): string => {
    const width = digitBytes[size]!
    const text = width === 0 ? '' : digits(raw.readUIntBE(at, width), size)
    at += width
    return text
  }
  const whole = precision - scale
  let text = group(whole % 9)
  for (let n = Math.floor(whole / 9); n > 0; n--) text += group(9)
  text = text.replace(/^0+/, '') || '0'
  let behind = ''
  for (let n = Math.floor(scale / 9); n > 0; n--) behind += group(9)
  behind += group(scale % 9)
  const minus = negative && /[1-9]/.test(text + behind) ? '-' : ''
  return `${minus}${text}${scale > 0 ? `.${behind}` : ''}`
}

function digits(number: number, width: number): string {
  return String(number).padStart(width, '0')
}

function moment(type: number, text: (bytes: Buffer, from: number, meta: number) => string): Make {
  return ({ fraction = 0 }) => ({
    fits: (logged) => logged.type === type && logged.meta === fraction,
    sql: (bytes, from) => `'${text(bytes, from, fraction)}'`,
  })
}

/** With its point, of so many digits. */
function fraction(bytes: Buffer, from: number, width: number): string {
  const length = fractionBytes(width)
  return length === 0 ? '' : `.${digits(bytes.readUIntBE(from, length), 2 * length).slice(0, width)}`
}

function datetimeText(bytes: Buffer, from: number): string {
  const packed = BigInt(bytes.readUIntBE(from, 5)) - 0x80_0000_0000n
  const months = Number(packed >> 22n)
  const rest = Number(packed & 0x3f_ffffn)
  const day = `${digits(Math.floor(months / 13), 4)}-${digits(months % 13, 2)}-${digits(rest >> 17, 2)}`
  return `${day} ${digits((rest >> 12) & 31, 2)}:${digits((rest >> 6) & 63, 2)}:${digits(rest & 63, 2)}`
}

function timeText(bytes: Buffer, from: number, width: number): string {
  const length = fractionBytes(width)
  const unit = 256 ** length
  const packed = bytes.readUIntBE(from, 3 + length) - 0x80_0000 * unit
  const size = Math.abs(packed)
  const seconds = Math.floor(size / unit)
  const behind = width === 0 ? '' : `.${digits(size % unit, 2 * length).slice(0, width)}`
  const clock = `${digits((seconds >> 12) & 0x3ff, 2)}:${digits((seconds >> 6) & 63, 2)}:${digits(seconds & 63, 2)}`
  return `${packed < 0 ? '-' : ''}${clock}${behind}`
}

/** As a trigger makes it of the seconds since 1970: in UTC, of six digits. */
function timestampText(bytes: Buffer, from: number, width: number): string {
  const seconds = bytes.readUInt32BE(from)
  const behind = fraction(bytes, from + 4, width)
    .slice(1)
    .padEnd(6, '0')
  if (seconds === 0 && behind === '000000') return '0000-00-00 00:00:00'
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')}.${behind}`
}

/** In character sets that are UTF-8's as they are; of others the server makes the text. */
function characters(type: number): Make {
  return ({ charset }) => {
    if (charset === undefined || charset === 'binary') return undefined
    const plain = charset === 'utf8mb4' || charset === 'utf8mb3' || charset === 'utf8' || charset === 'ascii'
    return {
      fits: (logged) => logged.type === type || (type === types.varchar && logged.type === types.varString),
      sql: (bytes, from, to) => {
        if (plain && isUtf8(bytes.subarray(from, to))) return quoteText(bytes.toString('utf8', from, to))
        return from === to ? `''` : `convert(x'${bytes.toString('hex', from, to)}' using ${charset})`
      },
    }
  }
}

function labels(type: number, text: (labels: readonly string[], number: bigint) => string | undefined): Make {
  return ({ labels }) => {
    if (!labels || labels.some((label) => label.includes('\\'))) return undefined
    return {
      fits: (logged) => logged.type === type,
      sql: (bytes, from, to) => quoteText(text(labels, littleEndian(bytes, from, to)) ?? ''),
    }
  }
}

function littleEndian(bytes: Buffer, from: number, to: number): bigint {
  let number = 0n
  for (let at = to - 1; at >= from; at--) number = (number << 8n) | BigInt(bytes[at]!)
  return number
}
