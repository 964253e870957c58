import { objectInWords } from '../records/object-titles.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Role } from '../records/roles.ts'
import { writeAudit } from '../records/audit.ts'
import type { Query } from '../store/store.ts'
import { addWorkingDays, dayOf, endOf, type Calendar, type Day } from '../records/calendar.ts'
import { countedColumns, daysLeft, dueDay, type Counted, type Deadline } from '../records/deadlines.ts'
import { hindrancesOf, type Span } from '../records/hindrance.ts'
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
  from deadline d join agency a on a.code = d.agency where d.ended_at is null and d.missed_at is null and d.due is not null`

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
    const what = await objectInWords(query, deadline.object)
    await notify(query, {
      to: recipients(deadline),
      kind: 'deadline-warning',
      object: deadline.object,
      zh: `${deadline.agencyName}：${zh}（${what.zh}）将于 ${deadline.due} 到期，剩余 ${left} 个工作日`,
      en: `${deadline.agencyName}: the ${en} (${what.en}) is due on ${deadline.due}: ${left} working days left`,
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
    const what = await objectInWords(query, object)
    await notify(query, {
      to: recipients(deadline),
      kind: 'deadline-missed',
      object,
      zh: `${agencyName}：${zh}（${what.zh}）已逾期，应于 ${due} 前完成`,
      en: `${agencyName}: the ${en} (${what.en}) is overdue, it was due on ${due}`,
    })
  }
}

interface Recounted extends Counted {
  object: string
  kind: DeadlineKind
  due: Day | null
  waits: Deadline['waits']
  ended: Date | null
  missed: Date | null
}

/**
 * Counts anew by when is due what still runs: a year's calendar has come, nobody could act for a while, a receiver's machine has begun to
 * ask. `all`: also what has ended and was missed by another calendar. What turns out to have been in time is not missed.
 */
export async function recountDeadlines(query: Query, { calendar }: Rules, now: Date, { all = false } = {}): Promise<void> {
  const rows = await query<Recounted & { asked: boolean }>(
    `select ${countedColumns}, kind, object, due::text, waits, ended_at as ended, missed_at as missed,
       coalesce((select t.asked_at is not null or t.receipt is not null from route t where kind = 'delivery' and object = 'route ' || t.id), true) as asked
     from deadline where ended_at is null or $1 and outcome = 'missed' order by id`,
    [all],
  )
  const spans = await hindrancesOf(
    query,
    rows.map(({ id }) => id),
  )
  for (const row of rows) await recount(query, calendar, row, spans.get(row.id) ?? [], now)
}

async function recount(
  query: Query,
  calendar: Calendar,
  row: Recounted & { asked: boolean },
  spans: readonly Span[],
  now: Date,
): Promise<void> {
  const waits = row.ended !== null ? null : !row.asked ? 'receiver' : row.waits === 'applicant' ? 'applicant' : null
  // The provider's time begins when the receiver is there.
  const started = row.waits === 'receiver' && waits === null ? now : row.started
  // Nobody is late before the day was known.
  const tomorrow = row.waits === 'calendar' ? addWorkingDays(calendar, dayOf(now), 1) : null
  const counted = { ...row, started, notBefore: tomorrow ?? row.notBefore }
  const due = waits === null ? dueDay(calendar, counted, spans, row.ended ?? now) : null
  const why = waits ?? (due === null ? 'calendar' : null)
  if (due === row.due && why === row.waits) return
  const acted = row.ended ?? row.missed
  const inTime = due === null || (acted !== null && acted < endOf(due))
  const moved = await query(
    `update deadline set due = $2, waits = $3, started_at = $4, not_before = $5,
       missed_at = case when $6 then null else missed_at end,
       outcome = case when $6 and outcome = 'missed' then 'met' else outcome end
     where id = $1 and ended_at is not distinct from $7 returning 1`,
    [row.id, due, why, started, due === counted.notBefore ? due : row.notBefore, inTime, row.ended],
  )
  // It was ended meanwhile: by an act, which has counted for itself.
  if (moved.length === 0) return
  const details = { kind: row.kind, before: row.due, due, ...(why && { waits: why }) }
  await writeAudit(query, { actor: 'hub', act: 'deadline.due', object: row.object, details })
}
