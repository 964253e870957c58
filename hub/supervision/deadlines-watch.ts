import type { LocalizedText } from '../../protocol/localized.ts'
import type { Role } from '../records/roles.ts'
import { writeAudit } from '../records/audit.ts'
import type { Query } from '../store/store.ts'
import { addWorkingDays, dayOf, type Day } from '../records/calendar.ts'
import { daysLeft } from '../records/deadlines.ts'
import { notify, type Recipient } from '../records/notices.ts'
import type { DeadlineKind, Rules } from '../records/settings.ts'

/** What each deadline is for. */
export const deadlineTitles: Record<DeadlineKind, LocalizedText> = {
  'catalog-update': { zh: '目录更新', en: 'update of the catalog' },
  'application-reply': { zh: '共享申请答复', en: 'reply to an application' },
  delivery: { zh: '数据提供', en: 'delivery of approved data' },
  correction: { zh: '数据校核', en: 'correction of data' },
  rectification: { zh: '整改', en: 'rectification' },
}

interface Open {
  id: string
  kind: DeadlineKind
  object: string
  agency: string
  agencyName: string
  role: Role
  due: Day
}

const openSql = `select d.id, d.kind, d.object, d.agency, a.name as "agencyName", d.role, d.due::text as due
  from deadline d join agency a on a.code = d.agency where d.ended_at is null and d.missed_at is null`

const recipients = ({ agency, role }: Open): Recipient[] => [{ agency, role }, ...(role === 'office' ? [] : [{ role: 'office' } as const])]

/** Warns of what is nearly over, once for each due day. Tells those who must act, and the office. */
export async function warnOfDeadlines(query: Query, rules: Rules, now: Date): Promise<void> {
  const today = dayOf(now)
  const open = await query<Open>(`${openSql} and d.due >= $1::date and d.warned_for is distinct from d.due order by d.id`, [today])
  for (const deadline of open) {
    const left = daysLeft(rules, today, deadline.due)
    if (left > rules.deadlines[deadline.kind].warn) continue
    const warned = await query('update deadline set warned_for = due, warned_at = $2 where id = $1 and ended_at is null returning 1', [
      deadline.id,
      now,
    ])
    if (warned.length === 0) continue
    const { zh, en } = deadlineTitles[deadline.kind]
    await notify(query, {
      to: recipients(deadline),
      kind: 'deadline-warning',
      object: deadline.object,
      zh: `${deadline.agencyName}:${zh}(${deadline.object})将于 ${deadline.due} 到期,剩余 ${left} 个工作日`,
      en: `${deadline.agencyName}: the ${en} (${deadline.object}) is due on ${deadline.due}: ${left} working days left`,
    })
  }
}

/** Marks what was not done by the end of its due day. */
export async function markMissed(query: Query, now: Date): Promise<void> {
  for (const deadline of await query<Open>(`${openSql} and d.due < $1::date order by d.id`, [dayOf(now)])) {
    const { id, kind, object, agency, agencyName, due } = deadline
    const missed = await query('update deadline set missed_at = $2 where id = $1 and ended_at is null returning 1', [id, now])
    if (missed.length === 0) continue
    await writeAudit(query, { actor: 'hub', act: 'deadline.missed', object, details: { kind, agency, due } })
    const { zh, en } = deadlineTitles[kind]
    await notify(query, {
      to: recipients(deadline),
      kind: 'deadline-missed',
      object,
      zh: `${agencyName}:${zh}(${object})已逾期,应于 ${due} 前完成`,
      en: `${agencyName}: the ${en} (${object}) is overdue, it was due on ${due}`,
    })
  }
}

/** Where the calendar has become another one (a year was published), what still runs is due by it. What was marked stays so. */
export async function recountDeadlines(query: Query, { calendar }: Rules): Promise<void> {
  const open = await query<{ id: string; started: Date; days: number; due: Day }>(
    `select id, started_at as started, days + extended as days, due::text as due from deadline
     where ended_at is null and missed_at is null and days is not null`,
  )
  for (const { id, started, days, due } of open) {
    const counted = addWorkingDays(calendar, dayOf(started), days)
    if (counted !== due) await query('update deadline set due = $2 where id = $1', [id, counted])
  }
}
