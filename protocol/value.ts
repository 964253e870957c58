import type { LocalizedText } from './localized.ts'

/**
 * Portable values: every value travels as one text form, or null (which is not the empty text).
 *
 * | type        | text form                                                                  |
 * |-------------|----------------------------------------------------------------------------|
 * | text        | itself: Unicode without U+0000, at most `length` characters (code points)  |
 * | integer     | decimal digits of a signed 64-bit number                                   |
 * | decimal     | `-12.50`: at most precision − scale digits before and scale after the point|
 * | boolean     | `true`, `false`                                                            |
 * | date        | `2026-11-22`, years 0001–9999 (ISO 8601)                                   |
 * | timestamp   | `2026-11-22T08:30:00.123456`, fraction optional, at most six digits        |
 * | timestamptz | the same in UTC, with `Z`                                                  |
 * | time        | `08:30:00.123456`, 00:00:00–23:59:59.999999                                |
 * | binary      | base64 (RFC 4648 section 4, padded)                                        |
 * | json        | a JSON text (RFC 8259)                                                     |
 */
export const valueTypes = ['text', 'integer', 'decimal', 'boolean', 'date', 'timestamp', 'timestamptz', 'time', 'binary', 'json'] as const
export type ValueType = (typeof valueTypes)[number]
export type Value = string | null

/** The limits of one item's values. `length` in characters, `precision` and `scale` in decimal digits. */
export interface ValueLimits {
  type: ValueType
  length?: number
  precision?: number
  scale?: number
}

/** Types whose text form is unique for each value, so that keys can be compared as text, byte by byte. */
export const keyTypes: readonly ValueType[] = ['text', 'integer', 'decimal', 'boolean', 'date', 'timestamp', 'timestamptz', 'time']

const integerForm = /^-?(0|[1-9]\d*)$/
const decimalForm = /^-?(\d+)(?:\.(\d+))?$/
const dateForm = /^(\d{4})-(\d\d)-(\d\d)$/
const timeForm = /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?$/
/** Together with a length that four divides; one pattern for groups of four overflows the stack at some megabytes. */
const base64Form = /^[A-Za-z0-9+/]*={0,2}$/
const min64 = -(2n ** 63n)
const max64 = 2n ** 63n - 1n

/** Why `value` cannot travel as this type, in words a person can act on, or undefined when it can. */
export function valueFault(limits: ValueLimits, value: Value): LocalizedText | undefined {
  return value === null ? undefined : checks[limits.type](value, limits)
}

const checks: Record<ValueType, (value: string, limits: ValueLimits) => LocalizedText | undefined> = {
  text(value, { length }) {
    if (value.includes('\0')) return { zh: '含有 U+0000', en: 'contains U+0000' }
    if (!value.isWellFormed()) return { zh: '不是完整的 Unicode 文本', en: 'is not well-formed Unicode' }
    if (length !== undefined && value.length > length && characters(value) > length)
      return { zh: `超过 ${length} 个字符`, en: `is longer than ${length} characters` }
    return undefined
  },
  integer(value) {
    if (!integerForm.test(value) || value === '-0') return { zh: '不是整数', en: 'is not an integer' }
    if (value.length < 19) return undefined
    if (value.length > 20) return { zh: '超出 64 位整数范围', en: 'is outside the 64-bit range' }
    const number = BigInt(value)
    return number < min64 || number > max64 ? { zh: '超出 64 位整数范围', en: 'is outside the 64-bit range' } : undefined
  },
  decimal(value, { precision = 38, scale = 0 }) {
    const parts = decimalForm.exec(value)
    if (!parts) return { zh: '不是小数', en: 'is not a decimal number' }
    const whole = parts[1]!.replace(/^0+/, '')
    const fraction = (parts[2] ?? '').replace(/0+$/, '')
    return whole.length > precision - scale || fraction.length > scale
      ? { zh: `超出 decimal(${precision},${scale})`, en: `does not fit decimal(${precision},${scale})` }
      : undefined
  },
  boolean: (value) => (value === 'true' || value === 'false' ? undefined : { zh: '不是 true 或 false', en: 'is not true or false' }),
  date: (value) => (isDate(value) ? undefined : { zh: '不是公元 0001–9999 年间的日期', en: 'is not a date of the years 0001–9999' }),
  timestamp: (value) =>
    isTimestamp(value) ? undefined : { zh: '不是公元 0001–9999 年间的时间', en: 'is not a timestamp of the years 0001–9999' },
  timestamptz: (value) =>
    value.endsWith('Z') && isTimestamp(value.slice(0, -1))
      ? undefined
      : { zh: '不是公元 0001–9999 年间的 UTC 时间', en: 'is not a UTC timestamp of the years 0001–9999' },
  time: (value) => (timeForm.test(value) ? undefined : { zh: '不是一天中的时刻', en: 'is not a time of day' }),
  binary: (value) => (value.length % 4 === 0 && base64Form.test(value) ? undefined : { zh: '不是 base64', en: 'is not base64' }),
  json(value) {
    if (!value.isWellFormed()) return { zh: '不是完整的 Unicode 文本', en: 'is not well-formed Unicode' }
    try {
      JSON.parse(value)
      return undefined
    } catch {
      return { zh: '不是 JSON', en: 'is not JSON' }
    }
  },
}

function isTimestamp(value: string): boolean {
  return value[10] === 'T' && isDate(value.slice(0, 10)) && timeForm.test(value.slice(11))
}

function isDate(value: string): boolean {
  const parts = dateForm.exec(value)
  if (!parts) return false
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])]
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month)
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

function characters(value: string): number {
  let count = 0
  for (const _ of value) count++
  return count
}

/** `timestamp` text with the fraction's trailing zeros cut, so that one moment has one text: keys are compared as text. */
export function canonicalTime(value: string): string {
  const point = value.indexOf('.')
  if (point < 0) return value
  const zone = value.endsWith('Z') ? 'Z' : ''
  const digits = value.slice(point + 1, zone ? -1 : undefined).replace(/0+$/, '')
  return value.slice(0, point) + (digits ? `.${digits}` : '') + zone
}
