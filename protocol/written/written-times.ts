/** Dates and times as people and programs write them in files. Undefined where a text is none; portable forms where it is (protocol/value.ts). */
import { canonicalTime, valueFault } from '../value.ts'
import { shifted, type TimeZone } from './local-times.ts'

const dateForm = /^(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日|(\d\d)(\d\d))$/
const timeForm = /^(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/
const bothForm = /^(\S+?)(?:(?:[T ] *|(?<=日))(\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i
/** `20261122083000` */
const digitsForm = /^(\d{8})(\d\d)(\d\d)(\d\d)$/

/** `2026-11-22`, `2026/1/2`, `2026.1.2`, `2026年1月2日`, `20260102`; with a time only midnight. */
export function writtenDate(text: string): string | undefined {
  const parts = dateForm.exec(text)
  if (!parts) {
    const both = writtenTimestamp(text)
    return both?.endsWith('T00:00:00') ? both.slice(0, 10) : undefined
  }
  const [, year, , month = parts[5] ?? parts[7]!, day = parts[6] ?? parts[8]!] = parts
  const date = `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`
  return valueFault({ type: 'date' }, date) === undefined ? date : undefined
}

/** `8:30`, `08:30:00`, `08:30:00.123456` */
export function writtenTime(text: string): string | undefined {
  const parts = timeForm.exec(text)
  if (!parts) return undefined
  const [, hour, minute, second = '00', fraction = ''] = parts
  const digits = fraction.replace(/0+$/, '')
  const time = `${hour!.padStart(2, '0')}:${minute}:${second}${digits ? `.${digits}` : ''}`
  return valueFault({ type: 'time' }, time) === undefined ? time : undefined
}

/** A date and a time with a space or T between; a date alone is its midnight. Not with a zone. */
export function writtenTimestamp(text: string): string | undefined {
  const both = dateAndTime(text)
  return both && both.zone === undefined ? both.local : undefined
}

/** A time without a zone is meant in this one. */
export function writtenInstant(text: string, timezone: TimeZone): string | undefined {
  const both = dateAndTime(text)
  if (!both) return undefined
  const { local, zone } = both
  const utc = zone === undefined ? timezone.toUtc(local) : shifted(local, milliseconds(zone))
  return valueFault({ type: 'timestamptz' }, `${utc}Z`) === undefined ? `${utc}Z` : undefined
}

function dateAndTime(text: string): { local: string; zone?: string } | undefined {
  const digits = digitsForm.exec(text)
  if (digits) return dateAndTime(`${digits[1]} ${digits[2]}:${digits[3]}:${digits[4]}`)
  const parts = bothForm.exec(text)
  if (!parts || (parts[2] === undefined && !dateForm.test(parts[1]!))) return undefined
  const [, day, clock = '00:00:00', zone] = parts
  const [date, time] = [dateForm.test(day!) ? writtenDate(day!) : undefined, writtenTime(clock)]
  if (date === undefined || time === undefined || (zone !== undefined && !isZone(zone))) return undefined
  return { local: canonicalTime(`${date}T${time}`), ...(zone !== undefined && { zone }) }
}

/** Clocks are at most fourteen hours away from UTC. */
function isZone(zone: string): boolean {
  return Math.abs(milliseconds(zone)) <= 14 * 3_600_000 && !/[6-9]\d$/.test(zone.slice(3))
}

/** `+08:00`, `+0800`, `+08`, `Z` */
function milliseconds(zone: string): number {
  if (/^z$/i.test(zone)) return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(':', '') || 0)]
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}
