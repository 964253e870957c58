import { QianzhiError } from '../protocol/errors.ts'

/** `22:00-06:00`, in the city's time (Asia/Shanghai), whatever the machine is set to. */
export const windowPattern = '^([01]\\d|2[0-3]):[0-5]\\d-([01]\\d|2[0-3]):[0-5]\\d$'

const clock = new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Shanghai', hour: '2-digit', minute: '2-digit', hour12: false })

/** Whether a time lies in a window, which may go over midnight. Without a window it always does. */
export function inWindow(window: string | undefined, now: Date): boolean {
  if (window === undefined) return true
  const [from, to] = window.split('-') as [string, string]
  const time = clock.format(now)
  return from < to ? from <= time && time < to : from <= time || time < to
}

/** Throws QZ-RECONCILE-NOT-NOW. */
export function requireWindow(window: string | undefined, now: Date): void {
  if (inWindow(window, now)) return
  throw new QianzhiError('QZ-RECONCILE-NOT-NOW', { reason: `前置机只在 ${window} 对账 / this agent reconciles at ${window} only` })
}
