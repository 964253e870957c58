/** Hours of the day in which something may be done, as configured: `22:00-06:00`, also over midnight; the whole day where both are one. */
export const hoursPattern = '^([01]\\d|2[0-3]):[0-5]\\d-([01]\\d|2[0-3]):[0-5]\\d$'

/** Making one costs far more than using it. */
const clocks = new Map<string, Intl.DateTimeFormat>()

/** Whether a time lies in them, by the clocks of a time zone whatever the machine is set to. Without hours it always does. */
export function isWithin(hours: string | undefined, now: Date, timezone: string): boolean {
  if (hours === undefined) return true
  const [from, to] = hours.split('-') as [string, string]
  const time = clockOf(timezone).format(now)
  return from < to ? from <= time && time < to : from === to || from <= time || time < to
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  let clock = clocks.get(timeZone)
  if (!clock)
    clocks.set(timeZone, (clock = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })))
  return clock
}
