import { counted } from '../../protocol/localized.ts'
import type { AgentReport } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { Query } from '../store/store.ts'
import { missingLine } from './daily-reports.ts'
import { readRules } from '../records/settings.ts'
import type { HealthProblem } from '../records/problem.ts'

/** Milliseconds without a poll after which an agent counts as silent. */
export const silentAfter = 5 * 60_000

interface Known {
  id: string
  enrolled: Date
  seen: Date
  report: AgentReport | null
}

/** Active agents that are not heard of, or whose morning line is missing: one problem each. */
export async function awayAgents(query: Query, now: Date): Promise<HealthProblem[]> {
  const { morningMinutes } = await readRules(query)
  const agents = await query<Known>(
    `select id, enrolled_at as enrolled, coalesce(last_seen, enrolled_at) as seen, report from agent where state = 'active' order by id`,
  )
  return agents.flatMap((agent) => problemOf(agent, now, morningMinutes) ?? []).slice(0, 100)
}

function problemOf({ id, enrolled, seen, report }: Known, now: Date, morningMinutes: number): HealthProblem | undefined {
  const missing = report && missingLine({ report, enrolled }, now, morningMinutes)
  const silence = now.getTime() - seen.getTime()
  if (silence <= silentAfter) return missing ? missingProblem(id, missing.day) : undefined
  const minutes = Math.floor(silence / 60_000)
  return {
    code: 'QZ-HEALTH-AGENT-SILENT',
    zh: `前置机代理 ${id} 已 ${minutes} 分钟没有联系${missing ? `，${missing.day} 的早报没有收到` : ''}`,
    en: `Agent ${id} has been silent for ${counted(minutes, 'minute')}${missing ? `, its morning line of ${missing.day} is missing` : ''}`,
  }
}

function missingProblem(agent: string, day: string): HealthProblem {
  const error = new QianzhiError('QZ-MORNING-MISSING', { agent, day })
  return { code: error.code, zh: error.text('zh'), en: error.text('en') }
}
