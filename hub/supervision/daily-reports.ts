import type { AgentReport, MorningLine } from '../../protocol/api.ts'
import { localTime } from '../../protocol/local-time.ts'
import type { Query } from '../store/store.ts'

/** Keeps an agent's newest morning line. @returns it where it is news. */
export async function keepMorning(
  query: Query,
  { id, report }: { id: string; report: AgentReport },
  now: Date,
): Promise<MorningLine | undefined> {
  const line = report.morning?.line
  if (!line) return undefined
  const kept = await query(
    `insert into agent_morning (agent, day, received_at, line) values ($1, $2, $3, $4)
     on conflict (agent) do update set day = excluded.day, received_at = excluded.received_at, line = excluded.line
     where agent_morning.day < excluded.day returning 1`,
    [id, line.day, now, JSON.stringify(line)],
  )
  return kept.length > 0 ? line : undefined
}

export interface MissingLine {
  /** Whose line is missing. */
  day: string
  /** Since when it should be here. */
  since: Date
}

const minute = 60_000
const dayMinutes = 24 * 60

/**
 * The newest day whose morning line should be here: `minutes` after the time at which the agent said that it writes it, by its clocks.
 * Undefined where it is here, where the agent writes none, and where it is newer than that.
 */
export function missingLine(
  { report, enrolled }: { report: AgentReport; enrolled: Date },
  now: Date,
  minutes: number,
): MissingLine | undefined {
  if (!report.morning) return undefined
  const { at, timezone, line } = report.morning
  const late = new Date(now.getTime() - minutes * minute)
  const [today, time] = clockOf(late, timezone)
  const passed = minutesOf(time) - minutesOf(at)
  const since = new Date(now.getTime() - (passed < 0 ? passed + dayMinutes : passed) * minute)
  const day = passed < 0 ? clockOf(new Date(late.getTime() - dayMinutes * minute), timezone)[0] : today
  return (line && line.day >= day) || enrolled > since ? undefined : { day, since }
}

function clockOf(time: Date, timezone: string): [day: string, time: string] {
  try {
    return localTime(time, timezone).split(' ') as [string, string]
  } catch {
    // The agent names a zone that is not known here.
    return localTime(time, 'Asia/Shanghai').split(' ') as [string, string]
  }
}

function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
}
