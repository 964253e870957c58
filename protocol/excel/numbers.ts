/**
 * What a number cell says. A workbook stores numbers as binary floating point of which Excel holds and shows fifteen significant
 * digits: 19.9 stands in files as 19.899999999999999. Dates are serial numbers of days that only a cell's format tells apart.
 */

/** A value's text, or why there is none (in both languages). */
export type Found = { text: string } | { zh: string; en: string }

const numberForm = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const exact = 1e15

/** Plain decimal digits, as in the file where it has no more than fifteen. From 10^15 on, digits are lost already: refused. */
export function numberText(raw: string): Found {
  if (!numberForm.test(raw)) return { zh: `“${raw}”不是数字`, en: `"${raw}" is not a number` }
  const value = Number(raw)
  if (Math.abs(value) >= exact)
    return {
      zh: '数字超过 15 位,Excel 已丢失精度;请将该列设为文本格式后重新填写',
      en: 'the number has more than 15 digits, of which Excel has lost the last: format the column as text and enter it again',
    }
  if (/^-?\d+(?:\.\d+)?$/.test(raw) && raw.replace(/^-?0*\.?0*|\.(?=\d)/g, '').length <= 15) return { text: value === 0 ? '0' : raw }
  return { text: plainDigits(Number(value.toPrecision(15))) }
}

/** `String` writes an exponent below 10^-6. */
function plainDigits(value: number): string {
  const text = String(value)
  const parts = /^(-?)(\d)(?:\.(\d+))?e-(\d+)$/.exec(text)
  if (!parts) return text === '-0' ? '0' : text
  return `${parts[1]}0.${'0'.repeat(Number(parts[4]) - 1)}${parts[2]}${parts[3] ?? ''}`
}

/** What a number format shows of a serial number; `number` where it shows no date. */
export type Shown = 'number' | 'date' | 'time' | 'timestamp' | 'duration'

/** ECMA-376 part 1, 18.8.30: formats that are not written out in the file; those from 27 are the East Asian ones. */
const builtIn: readonly [from: number, to: number, shown: Shown][] = [
  [14, 17, 'date'],
  [18, 21, 'time'],
  [22, 22, 'timestamp'],
  [27, 31, 'date'],
  [32, 35, 'time'],
  [36, 36, 'date'],
  [45, 45, 'time'],
  [46, 46, 'duration'],
  [47, 47, 'time'],
  [50, 54, 'date'],
  [55, 56, 'time'],
  [57, 58, 'date'],
]

export function shownByFormat(id: number, code: string | undefined): Shown {
  if (code === undefined) return builtIn.find(([from, to]) => id >= from && id <= to)?.[2] ?? 'number'
  // The first section counts; quoted, escaped and padding characters, colours and locales say nothing.
  const letters = code
    .replace(/"[^"]*"|\\.|_.|\*./g, '')
    .split(';', 1)[0]!
    .replace(/\[(?!(?:h+|m+|s+)\])[^\]]*\]/gi, '')
    .replace(/general/gi, '')
  if (/\[[hms]+\]/i.test(letters)) return 'duration'
  const time = /[hs]/i.test(letters)
  const date = /[yd]/i.test(letters) || /aaa/i.test(letters) || (!time && /m/i.test(letters))
  if (date) return time ? 'timestamp' : 'date'
  return time ? 'time' : 'number'
}

const day = 86_400_000
/** 9999-12-31, and the first day of the two date systems as days since 1970. */
const systems = {
  1900: { last: 2_958_465, first: Date.UTC(1899, 11, 31) / day },
  1904: { last: 2_957_003, first: Date.UTC(1904, 0, 1) / day },
}

/**
 * A serial number as `2026-11-22`, `2026-11-22T08:30:00` or `08:30:00` (milliseconds where there are some). A date format over a value
 * with a time of day gives both: nothing that is stored is dropped.
 */
export function serialText(raw: string, shown: Exclude<Shown, 'number'>, system: 1900 | 1904): Found {
  const serial = Number(raw)
  if (!numberForm.test(raw) || shown === 'duration') return { zh: '不是日期或时刻(时长不受支持)', en: 'it is no date or time of day' }
  let days = Math.floor(serial)
  let milliseconds = Math.round((serial - days) * day)
  if (milliseconds === day) [days, milliseconds] = [days + 1, 0]
  if (shown === 'time' && days === 0) return { text: timeText(milliseconds) }
  const { last, first } = systems[system]
  // The 1900 system counts a 29 February 1900 that never was as its day 60.
  const real = system === 1900 && days > 60 ? days - 1 : days
  if (days < (system === 1900 ? 1 : 0) || days > last || (system === 1900 && days === 60))
    return { zh: `“${raw}”不是有效日期`, en: `"${raw}" is not a date` }
  const date = dateText(first + real)
  return { text: shown === 'date' && milliseconds === 0 ? date : `${date}T${timeText(milliseconds)}` }
}

/** Tables have few days, and a date costs ten times what finding it does. */
const dates = new Map<number, string>()

/** By days since 1970. */
function dateText(days: number): string {
  let text = dates.get(days)
  if (text === undefined) {
    if (dates.size >= 50_000) dates.clear()
    dates.set(days, (text = new Date(days * day).toISOString().slice(0, 10)))
  }
  return text
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(11, 23).replace('.000', '')
}
