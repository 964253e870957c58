/**
 * A batch's blocks (JSON arrays, as they travel) as lines of tab-separated texts, which PostgreSQL's COPY and MySQL's LOAD DATA read, in one
 * pass over their bytes: no value is made. It is a shortcut of what is done value by value: where anything is not certain it gives nothing.
 *
 *     ["1","2"]              1 → 张三\t省 → agency → 18000000007 → time
 *     ["张三\t省",null]   →   2 → \N → agency → 18000000007 → time              (→: a tab)
 */
import type { Item } from '../../../protocol/schema.ts'
import type { MappedColumn } from '../../database.ts'

const [tab, lineFeed, quote, comma, slash, opening, backslash, closing] = [0x09, 0x0a, 0x22, 0x2c, 0x2f, 0x5b, 0x5c, 0x5d]
const [digit0, digit1, digit9, minus, point, colon] = [0x30, 0x31, 0x39, 0x2d, 0x2e, 0x3a]
const [letterN, letterT, letterU, letterZ] = [0x6e, 0x54, 0x75, 0x5a]

/** Bytes that mean themselves in JSON's texts and in lines. */
const plain = new Uint8Array(256).fill(1)
plain.fill(0, 0, 0x20)
plain[quote] = 0
plain[backslash] = 0

/** By the letter after a backslash: escaped alike in lines, or the byte that it stands for; 0: neither. */
const sameEscape = new Uint8Array(256)
for (const letter of [backslash, letterN, 0x72, 0x74]) sameEscape[letter] = 1
const escaped = new Uint8Array(256)
for (const [letter, byte] of [
  [quote, quote],
  [slash, slash],
  [0x62, 0x08],
  [0x66, 0x0c],
] as const)
  escaped[letter] = byte

/** Whether the bytes of a value are surely one that the column takes and keeps unchanged. */
type Fits = (bytes: Uint8Array, from: number, to: number) => boolean

/** What the engines write otherwise than a value travels. */
export interface LineStyle {
  /** Whether too long texts are refused here: where the server would cut them. */
  lengths: boolean
  /** `1` and `0` for true and false. */
  digits: boolean
  /** Times in UTC without their `Z`. */
  zoneless: boolean
}

export interface LineForms {
  fits: readonly (Fits | undefined)[]
  mayBeNull: readonly boolean[]
  /** By column: 0 as it travels, 1 a digit, 2 without its last byte. */
  write: Uint8Array
}

/** Undefined where a column needs more than its bytes. */
export function lineForms(columns: readonly MappedColumn[], style: LineStyle): LineForms | undefined {
  if (columns.some(({ item, mapping }) => mapping || item.type === 'binary')) return undefined
  return {
    fits: columns.map(({ item }) => fitsOf(item, style)),
    mayBeNull: columns.map(({ item }) => !item.key),
    write: Uint8Array.from(columns, ({ item: { type } }) => {
      if (type === 'boolean' && style.digits) return 1
      return type === 'timestamptz' && style.zoneless ? 2 : 0
    }),
  }
}

/** Lines, and where each ends (behind its line feed). */
export interface Lines {
  bytes: Buffer
  ends: Uint32Array
}

/**
 * `blocks`: one JSON array of so many texts and nulls for each column; `tail` stands at each line's end, behind a tab of its own. `skipped`: 1 for
 * rows that get no line. Undefined where a value does not surely fit, or a block is not what it should be.
 */
export function linesOf(
  { fits, mayBeNull, write }: LineForms,
  blocks: readonly Uint8Array[],
  rows: number,
  tail: Uint8Array,
  skipped?: Uint8Array,
): Lines | undefined {
  const columns = blocks.length
  if (blocks.some((block) => block[0] !== opening)) return undefined
  // Nothing becomes longer: each value loses its quotes and its comma, and gains a tab.
  const bytes = Buffer.allocUnsafe(blocks.reduce((sum, block) => sum + block.length, 0) + rows * (tail.length + 1))
  const places = new Uint32Array(columns).fill(1)
  const ends = new Uint32Array(rows)
  let lines = 0
  let to = 0
  for (let row = 0; row < rows; row++) {
    const began = to
    const skip = skipped?.[row] === 1
    for (let c = 0; c < columns; c++) {
      const block = blocks[c]!
      let at = places[c]!
      if (c > 0) bytes[to++] = tab
      if (block[at] === quote) {
        at++
        const from = to
        for (;;) {
          const byte = block[at]!
          if (plain[byte] === 1) {
            bytes[to++] = byte
            at++
          } else if (byte === quote) break
          else if (byte !== backslash) return undefined
          else {
            const letter = block[at + 1]!
            if (sameEscape[letter] === 1) {
              bytes[to++] = backslash
              bytes[to++] = letter
              at += 2
            } else if (escaped[letter] !== 0) {
              bytes[to++] = escaped[letter]!
              at += 2
            } else {
              const control = controlAt(block, at)
              if (control === 0) return undefined
              bytes[to++] = control
              at += 6
            }
          }
        }
        at++
        if (!skip) {
          if (fits[c]?.(bytes, from, to) === false) return undefined
          if (write[c] === 1) {
            bytes[from] = bytes[from] === 0x74 ? digit1 : digit0
            to = from + 1
          } else if (write[c] === 2) to--
        }
      } else {
        if (!(mayBeNull[c] || skip) || !isNull(block, at)) return undefined
        bytes[to++] = backslash
        bytes[to++] = 0x4e
        at += 4
      }
      const next = block[at++]
      if (row < rows - 1 ? next !== comma : next !== closing || at !== block.length) return undefined
      places[c] = at
    }
    if (skip) {
      to = began
      continue
    }
    bytes.set(tail, to)
    to += tail.length
    bytes[to++] = lineFeed
    ends[lines++] = to
  }
  return { bytes: bytes.subarray(0, to), ends: ends.subarray(0, lines) }
}

/** A JSON array of texts as PostgreSQL writes an array; undefined where the two would differ. */
export function arrayText(block: Buffer): string | undefined {
  const text = block.toString('utf8', 1, block.length - 1)
  return /(?:^|[^\\])(?:\\\\)*\\[^"\\]/.test(text) ? undefined : `{${text}}`
}

/** The control character of an escape `\u00XX`; 0 where it is anything else, or one that lines escape. */
function controlAt(block: Uint8Array, at: number): number {
  if (block[at + 1] !== letterU || block[at + 2] !== digit0 || block[at + 3] !== digit0) return 0
  const [high, low] = [block[at + 4]! - digit0, hexDigit(block[at + 5]!)]
  const code = high * 16 + low
  return (high !== 0 && high !== 1) || low < 0 || code === tab || code === lineFeed || code === 0x0d ? 0 : code
}

function hexDigit(byte: number): number {
  if (byte >= digit0 && byte <= digit9) return byte - digit0
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

function isNull(block: Uint8Array, at: number): boolean {
  return block[at] === letterN && block[at + 1] === letterU && block[at + 2] === 0x6c && block[at + 3] === 0x6c
}

function fitsOf(item: Item, { lengths }: LineStyle): Fits | undefined {
  switch (item.type) {
    case 'text': {
      const { length } = item
      return length === undefined || !lengths
        ? undefined
        : (bytes, from, to) => to - from <= length || characters(bytes, from, to) <= length
    }
    case 'json':
      return item.key ? never : undefined
    case 'integer':
      return isInteger
    case 'decimal': {
      const scale = item.scale ?? 0
      const whole = (item.precision ?? 38) - scale
      return (bytes, from, to) => isDecimal(bytes, from, to, whole, scale)
    }
    case 'boolean':
      return isBoolean
    case 'date':
      return (bytes, from, to) => to - from === 10 && isDate(bytes, from)
    case 'timestamp':
      return isTimestamp
    case 'timestamptz':
      return (bytes, from, to) => bytes[to - 1] === letterZ && isTimestamp(bytes, from, to - 1)
    case 'time':
      return isTime
    default:
      return never
  }
}

const never: Fits = () => false

/** Of a text as it stands in a line: two bytes of an escape are one. */
function characters(bytes: Uint8Array, from: number, to: number): number {
  let count = 0
  for (let i = from; i < to; i++) {
    if (bytes[i] === backslash) i++
    if ((bytes[i]! & 0xc0) !== 0x80) count++
  }
  return count
}

function isDigits(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! < digit0 || bytes[i]! > digit9) return false
  return true
}

function numberAt(bytes: Uint8Array, from: number, to: number): number {
  let number = 0
  for (let i = from; i < to; i++) number = number * 10 + bytes[i]! - digit0
  return number
}

/** Longer ones may be outside of 64 bits. */
function isInteger(bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes[from] === minus ? from + 1 : from
  if (to === first || to - first > 18 || !isDigits(bytes, first, to)) return false
  return bytes[first] !== digit0 || (to === first + 1 && first === from)
}

function isDecimal(bytes: Uint8Array, from: number, to: number, whole: number, scale: number): boolean {
  const first = bytes[from] === minus ? from + 1 : from
  let at = first
  while (at < to && bytes[at]! >= digit0 && bytes[at]! <= digit9) at++
  const digits = at - first
  // A single 0 before the point is none.
  if (digits === 0 || (digits > whole && !(digits === 1 && bytes[first] === digit0))) return false
  return at === to || (bytes[at] === point && to - at > 1 && to - at - 1 <= scale && isDigits(bytes, at + 1, to))
}

function isBoolean(bytes: Uint8Array, from: number, to: number): boolean {
  const text = to - from === 4 ? 'true' : 'false'
  if (to - from !== text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false
  return true
}

const daysOfMonths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isDate(bytes: Uint8Array, from: number): boolean {
  if (bytes[from + 4] !== minus || bytes[from + 7] !== minus) return false
  if (!isDigits(bytes, from, from + 4) || !isDigits(bytes, from + 5, from + 7) || !isDigits(bytes, from + 8, from + 10)) return false
  const [year, month, day] = [numberAt(bytes, from, from + 4), numberAt(bytes, from + 5, from + 7), numberAt(bytes, from + 8, from + 10)]
  if (year < 1 || month < 1 || month > 12 || day < 1) return false
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0
  return day <= daysOfMonths[month - 1]! + leap
}

function isTimestamp(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from >= 19 && isDate(bytes, from) && bytes[from + 10] === letterT && isTime(bytes, from + 11, to)
}

function isTime(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < 8 || bytes[from + 2] !== colon || bytes[from + 5] !== colon) return false
  if (!isDigits(bytes, from, from + 2) || !isDigits(bytes, from + 3, from + 5) || !isDigits(bytes, from + 6, from + 8)) return false
  if (numberAt(bytes, from, from + 2) > 23 || bytes[from + 3]! > 0x35 || bytes[from + 6]! > 0x35) return false
  return to - from === 8 || (bytes[from + 8] === point && to - from > 9 && to - from <= 15 && isDigits(bytes, from + 9, to))
}
