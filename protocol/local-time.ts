/** The zone of the city and its office: what people of several machines read is told in it. */
export const cityZone = 'Asia/Shanghai'

/** Making one costs far more than using it. */
const clocks = new Map<string, Intl.DateTimeFormat>()

/** `2026-11-24 08:30:05` by the clocks of a time zone, whatever the machine is set to. Throws RangeError where there is no such zone. */
export function localTime(time: Date, timeZone = cityZone): string {
  let clock = clocks.get(timeZone)
  if (!clock) clocks.set(timeZone, (clock = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' })))
  return clock.format(time)
}

/** The same of a moment as JSON has it; what is none stays as it is, and a dash where there is none. */
export function shownTime(time: Date | string | null, timeZone = cityZone): string {
  if (time === null) return '-'
  const moment = new Date(time)
  return Number.isNaN(moment.getTime()) ? String(time) : localTime(moment, timeZone)
}

/** `2026-11-24` */
export function localDay(time: Date, timeZone = cityZone): string {
  return localTime(time, timeZone).slice(0, 10)
}
