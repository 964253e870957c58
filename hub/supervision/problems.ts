import { counted } from '../../protocol/localized.ts'
import type { Query } from '../store/store.ts'
import { dayOf, yearsWithoutData } from '../records/calendar.ts'
import { calendarsWanted } from '../records/calendars-wanted.ts'
import { dayToJudge } from './duties/judging.ts'
import { readRules } from '../records/settings.ts'
import type { HealthProblem } from '../records/problem.ts'

const hour = 3_600_000

/** What keeps supervision from its work, for `qianzhi-hub health`: no names, no addresses. */
export async function supervisionProblems(query: Query, now: Date, { mail }: { mail: boolean }): Promise<HealthProblem[]> {
  const found = await Promise.all([missingYears(query, now), stalled(query, now), mail ? waitingMail(query, now) : []])
  return found.flat()
}

/** Of this year, or of one that a deadline waits for: that the next is wanted soon is a task of the office, and nothing that is wrong. */
async function missingYears(query: Query, now: Date): Promise<HealthProblem[]> {
  const rules = await readRules(query)
  const [waiting] = await query(`select from deadline where ended_at is null and waits = 'calendar' limit 1`)
  const wanted = waiting ? await calendarsWanted(query, rules, now) : yearsWithoutData(rules.calendar, dayOf(now))
  return wanted.map((year) => ({
    code: 'QZ-HEALTH-CALENDAR',
    zh: `没有 ${year} 年的节假日安排，及于该年的期限无法推算；请由市电子政务办填报，或在 hub.yaml 的 supervision.calendars 中提供`,
    en: `No official calendar of ${year}: deadlines that reach into it cannot be counted; the office puts it, or hub.yaml names it under supervision.calendars`,
  }))
}

async function stalled(query: Query, now: Date): Promise<HealthProblem[]> {
  const day = await dayToJudge(query, new Date(now.getTime() - hour))
  if (day === undefined) return []
  const [zh, en] = [`${day} 以来的更新义务尚未检查，请查看中心日志`, `Update duties are not judged since ${day}: see the log of the hub`]
  return [{ code: 'QZ-HEALTH-SUPERVISION', zh, en }]
}

async function waitingMail(query: Query, now: Date): Promise<HealthProblem[]> {
  const [row] = await query<{ count: number }>(
    `select count(*)::int as count from mail join notice n on n.id = mail.notice where mail.state = 'waiting' and n.at < $1`,
    [new Date(now.getTime() - hour)],
  )
  if (row!.count === 0) return []
  const [zh, en] = [
    `${row!.count} 封通知邮件已等待 1 小时以上`,
    `${counted(row!.count, 'notice')} waiting for more than an hour to be mailed`,
  ]
  return [{ code: 'QZ-HEALTH-MAIL', zh, en }]
}
