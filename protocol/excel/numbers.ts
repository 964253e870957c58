/**
 * What a number cell says. A workbook stores numbers as binary floating point of which Excel holds and shows fifteen significant
 * digits: 19.9 stands in files as 19.899999999999999. Dates are serial numbers of days that only a cell's format tells apart.
 */

import { numberShower, type CellShown, type ShowNumber } from './number-format.ts'

/** A value's text, and what a person reads in its place, where that is something else; or why there is none (in both languages). */
export type Found = { text: string; shown?: CellShown } | { zh: string; en: string }

const numberForm = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const exact = 1e15

/** Plain decimal digits, fifteen at most: a number is its value, however the file spells it. From 10^15 on, digits are lost already: refused. */
export function numberText(raw: string, show?: ShowNumber): Found {
  if (!numberForm.test(raw)) return { zh: `“${raw}”不是数字`, en: `"${raw}" is not a number` }
  const value = Number(Number(raw).toPrecision(15))
  if (Math.abs(value) >= exact)
    return {
      zh: '数字超过 15 位，Excel 已丢失精度；请将该列设为文本格式后重新填写',
      en: 'the number has more than 15 digits, of which Excel has lost the last: format the column as text and enter it again',
    }
  const text = plainDigits(value)
  const shown = show?.(text)
  return shown ? { text, shown } : { text }
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

/** How a cell's style shows a number. */
export interface CellFormat {
  kind: Shown
  /** Of numbers. */
  show?: ShowNumber
  /** Of dates and times: what of them is shown, of `y` `o` (month) `d` `s` `f` (parts of a second). */
  parts?: string
}

/** ECMA-376 part 1, 18.8.30: formats of dates that are not written out in the file; those from 27 are the East Asian ones. */
const builtIn: readonly [from: number, to: number, code: string][] = [
  [14, 14, 'yyyy/m/d'],
  [15, 15, 'd-mmm-yy'],
  [16, 16, 'd-mmm'],
  [17, 17, 'mmm-yy'],
  [18, 18, 'h:mm'],
  [19, 19, 'h:mm:ss'],
  [20, 20, 'h:mm'],
  [21, 21, 'h:mm:ss'],
  [22, 22, 'yyyy/m/d h:mm'],
  [27, 27, 'yyyy年m月'],
  [28, 29, 'm月d日'],
  [30, 30, 'm-d-yy'],
  [31, 31, 'yyyy年m月d日'],
  [32, 32, 'h时mm分'],
  [33, 33, 'h时mm分ss秒'],
  [34, 34, 'h时mm分'],
  [35, 35, 'h时mm分ss秒'],
  [36, 36, 'yyyy年m月'],
  [45, 45, 'mm:ss'],
  [46, 46, '[h]:mm:ss'],
  [47, 47, 'mm:ss.0'],
  [50, 50, 'yyyy年m月'],
  [51, 51, 'm月d日'],
  [52, 52, 'yyyy年m月'],
  [53, 54, 'm月d日'],
  [55, 55, 'h时mm分'],
  [56, 56, 'h时mm分ss秒'],
  [57, 57, 'yyyy年m月'],
  [58, 58, 'm月d日'],
]

export function cellFormat(id: number, code: string | undefined): CellFormat {
  // The first section counts; quoted, escaped and padding characters, colours and locales say nothing.
  const letters = (code ?? builtIn.find(([from, to]) => id >= from && id <= to)?.[2] ?? '')
    .replace(/"[^"]*"|\\.|_.|\*./g, '')
    .split(';', 1)[0]!
    .replace(/\[(?!(?:h+|m+|s+)\])[^\]]*\]/gi, '')
    .replace(/general|g\/通用格式|am\/pm|a\/p/gi, '')
  if (/\[[hms]+\]/i.test(letters)) return { kind: 'duration' }
  const time = /[hs]/i.test(letters)
  const date = /[yd]/i.test(letters) || /aaa/i.test(letters) || (!time && /m/i.test(letters))
  if (date || time) return { kind: date ? (time ? 'timestamp' : 'date') : 'time', parts: partsOf(letters) }
  const show = numberShower(id, code)
  return { kind: 'number', ...(show && { show }) }
}

/** `m` behind an hour or before a second is a minute, and shown wherever these are. */
function partsOf(letters: string): string {
  const runs = letters.match(/([ymdhseag])\1*|\.0+/gi)?.map((run) => run[0]!.toLowerCase()) ?? []
  return runs
    .map((run, at) => {
      if (run === 'm') return runs[at - 1] === 'h' || runs[at + 1] === 's' ? '' : 'o'
      return run === 'e' ? 'y' : run === '.' ? 'f' : run
    })
    .join('')
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
export function serialText(raw: string, { kind, parts = '' }: CellFormat, system: 1900 | 1904): Found {
  const serial = Number(raw)
  if (!numberForm.test(raw) || kind === 'duration') return { zh: '不是日期或时刻（时长不受支持）', en: 'it is no date or time of day' }
  let days = Math.floor(serial)
  let milliseconds = Math.round((serial - days) * day)
  if (milliseconds === day) [days, milliseconds] = [days + 1, 0]
  const time = timeText(milliseconds)
  if (kind === 'time' && days === 0) return read(time, hidesTime(milliseconds, parts))
  const { last, first } = systems[system]
  // The 1900 system counts a 29 February 1900 that never was as its day 60.
  const real = system === 1900 && days > 60 ? days - 1 : days
  if (days < (system === 1900 ? 1 : 0) || days > last || (system === 1900 && days === 60))
    return { zh: `“${raw}”不是有效日期`, en: `"${raw}" is not a date` }
  const date = dateText(first + real)
  const hidden = !['y', 'o', 'd'].every((part) => parts.includes(part))
  if (kind === 'date' && milliseconds === 0) return read(date, hidden)
  return read(`${date}T${time}`, hidden || kind === 'date' || hidesTime(milliseconds, parts))
}

function hidesTime(milliseconds: number, parts: string): boolean {
  return (milliseconds % 60_000 >= 1_000 && !parts.includes('s')) || (milliseconds % 1_000 > 0 && !parts.includes('f'))
}

/** Another spelling of a date is the same to a person; what is not shown is not. */
function read(text: string, hidden: boolean): Found {
  return hidden ? { text, shown: { text: null, same: true } } : { text }
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
