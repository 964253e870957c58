/** Texts of cells as local values of a column's type, or why a text is none. Made ready once for each column: every cell passes here. */
import { canonicalDecimal } from '../digest.ts'
import { imageForm } from '../excel/sheet.ts'
import { told } from '../told.ts'
import { valueFault, type ValueLimits, type ValueType } from '../value.ts'
import { TimeZone } from './local-times.ts'
import { writtenDate, writtenInstant, writtenTime, writtenTimestamp } from './written-times.ts'

/** Why a cell's text is no value of its column, in words that follow nothing; `plain`: the same without the text, where it is told. */
export interface Wrong {
  zh: string
  en: string
  plain?: { zh: string; en: string }
}

/** Never of an empty text. */
export type Convert = (text: string) => string | Wrong

export interface Converting {
  /** Times without a zone are meant in it. */
  timezone: string
  /** Bytes of a value. */
  valueLimit: number
}

export function converterOf(item: ValueLimits & { key?: boolean }, { timezone, valueLimit }: Converting): Convert {
  const convert = converters[item.type](item, timezone)
  const limit = (text: string): string | Wrong =>
    text.length * 3 > valueLimit && Buffer.byteLength(text) > valueLimit
      ? { zh: `内容超过 ${valueLimit} 字节`, en: `it is longer than ${valueLimit} bytes` }
      : convert(text)
  if (item.key && (item.type === 'integer' || item.type === 'decimal')) return canonical(limit)
  return limit
}

/** Keys are compared as texts. */
function canonical(convert: Convert): Convert {
  return (text) => {
    const value = convert(text)
    return typeof value === 'string' ? canonicalDecimal(value) : value
  }
}

const converters: Record<ValueType, (item: ValueLimits & { key?: boolean }, timezone: string) => Convert> = {
  text: (limits) => (text) => textFault(limits, text) ?? text,
  integer: () => integer,
  decimal: (limits) => (text) => decimal(limits, text),
  boolean: () => boolean,
  date: () => (text) => writtenDate(text.trim()) ?? no(text, '日期', 'a date (2026-11-22)'),
  timestamp: () => (text) =>
    writtenTimestamp(text.trim()) ?? no(text, '不带时区的日期时间', 'a date and time without a zone (2026-11-22 08:30:00)'),
  timestamptz: (_limits, name) => {
    const timezone = new TimeZone(name)
    return (text) => writtenInstant(text.trim(), timezone) ?? no(text, '日期时间', 'a date and time (2026-11-22 08:30:00)')
  },
  time: () => (text) => writtenTime(text.trim()) ?? no(text, '时刻', 'a time of day (08:30:00)'),
  binary: (limits) => (text) => {
    const base64 = text.replace(/\s+/g, '')
    return valueFault(limits, base64) === undefined ? base64 : no(text, ' base64', 'base64')
  },
  json: (limits) => (text) => (valueFault(limits, text) === undefined ? text : no(text, ' JSON', 'JSON')),
}

function no(text: string, zh: string, en: string): Wrong {
  return about(text.trim(), `不是${zh}`, `is not ${en}`)
}

function about(text: string, zh: string, en: string): Wrong {
  const value = told(text)
  return { zh: `“${value}”${zh}`, en: `"${value}" ${en}`, plain: { zh: zh.trim(), en } }
}

/** What Excel makes of long numbers when it opens and saves a CSV file: their last digits are lost. */
const spoiledForm = /^[+-]?\d(?:\.\d+)?E\+\d{2,3}$/i

function spoiled(text: string): Wrong {
  return about(
    text,
    '是 Excel 改写的数字，原值已丢失：请将该列设为文本格式后重新填写',
    'is what Excel made of a number whose digits are lost: format the column as text and enter it again',
  )
}

function textFault(limits: ValueLimits, text: string): Wrong | undefined {
  if (text.length < 30 && spoiledForm.test(text)) return spoiled(text)
  if (text.includes('\ufffd'))
    return { zh: '含有 U+FFFD：原字符已在转码时丢失', en: 'it holds U+FFFD: a character was lost in another encoding' }
  if (text.charCodeAt(0) === 0x3d && imageForm.test(text)) return { zh: '是图片，不是值', en: 'it holds a picture, no value' }
  if (valueFault(limits, text) === undefined) return undefined
  const { length } = limits
  const count = Array.from(text).length
  if (length !== undefined && count > length)
    return {
      zh: `有 ${count} 个字符，最多 ${length} 个`,
      en: `it has ${count} characters, at most ${length} are allowed`,
      plain: { zh: `超过 ${length} 个字符`, en: `is longer than ${length} characters` },
    }
  return { zh: '含有不允许的字符', en: 'it holds characters that are not allowed' }
}

/** Not from the empty text: null is one of them. */
export type Unmarked = string | null | Wrong

/**
 * Marks by which other programs write null (`\\N`, as MySQL's SELECT INTO OUTFILE) or keep Excel from changing digits (`="000123"`, a tab behind
 * them): taken off where the folder says so, else a fault that names them.
 */
export function unmarked(cell: string, marks: 'refuse' | 'take'): Unmarked {
  const first = cell.charCodeAt(0)
  if (first === 0x5c && cell === '\\N') return marks === 'take' ? null : marked('\\N', '空值', 'null')
  if (first === 0x3d) {
    const inside = /^="([^"]*)"\t?$/.exec(cell)?.[1]
    if (inside !== undefined) return marks === 'take' ? inside : marked('="…"', '文本', 'a text')
  }
  if (cell.charCodeAt(cell.length - 1) === 0x09) {
    const inside = /^\t?(\d[\d-]{3,}X?)\t$/i.exec(cell)?.[1]
    if (inside !== undefined) return marks === 'take' ? inside : marked('U+0009', '文本', 'a text')
  }
  return cell
}

function marked(mark: string, zh: string, en: string): Wrong {
  return {
    zh: `含有导出程序的标记 ${mark}（表示${zh}）：在来源中设 marks: take 即可识别`,
    en: `it holds ${mark}, by which some programs mark ${en}: with marks: take at the source it is taken so`,
  }
}

const integerForm = /^-?[1-9]\d{0,14}$/
const signedDigits = /^([+-]?)0*(\d+)$/
const thousandsForm = /^[+-]?\d{1,3}(?:[,\uff0c]\d{3})+(?:\.\d+)?$/

function integer(cell: string): string | Wrong {
  if (integerForm.test(cell)) return cell
  const text = cell.trim()
  const parts = signedDigits.exec(text)
  if (!parts) return noNumber(text, '整数', 'an integer')
  const value = parts[1] === '-' && parts[2] !== '0' ? `-${parts[2]}` : parts[2]!
  return valueFault({ type: 'integer' }, value) === undefined ? value : no(text, ' 64 位整数', 'a 64-bit integer')
}

const decimalForm = /^([+-]?)0*(\d*)(?:\.(\d*))?$/

function decimal(limits: ValueLimits, cell: string): string | Wrong {
  const text = cell.trim()
  const parts = decimalForm.exec(text)
  if (!parts || !/\d/.test(text)) return noNumber(text, '数字', 'a number')
  const [, sign, whole, fraction] = parts
  const digits = `${whole || '0'}${fraction ? `.${fraction}` : ''}`
  const value = sign === '-' && /[1-9]/.test(digits) ? `-${digits}` : digits
  if (valueFault(limits, value) === undefined) return value
  const { precision = 38, scale = 0 } = limits
  return about(text, `超出 ${precision} 位、小数 ${scale} 位`, `does not fit ${precision} digits, ${scale} of them behind the point`)
}

function noNumber(text: string, zh: string, en: string): Wrong {
  if (spoiledForm.test(text)) return spoiled(text)
  if (!thousandsForm.test(text)) return no(text, zh, en)
  return about(text, '有千位分隔符，请去掉', 'has separators of thousands: remove them')
}

const booleans: Record<string, 'true' | 'false'> = {
  ...Object.fromEntries(['true', '1', 'y', 'yes', '是'].map((text) => [text, 'true' as const])),
  ...Object.fromEntries(['false', '0', 'n', 'no', '否'].map((text) => [text, 'false' as const])),
}

export function boolean(cell: string): 'true' | 'false' | Wrong {
  const text = cell.trim().toLowerCase()
  return Object.hasOwn(booleans, text) ? booleans[text]! : no(cell, '是或否', 'true or false')
}
