import type { AgentReport, SourceReport } from '../../../protocol/api.ts'
import { lastEqual, type Equal } from '../../reconciliation/last-equal.ts'
import type { Query } from '../../store/store.ts'
import { endOf, type Day } from '../../records/calendar.ts'
import { silentAfter } from '../agents-away.ts'
import { explainableFrom, parsePeriod, type Period } from './periods.ts'
import { readRules } from '../../records/settings.ts'
import { notFound } from '../../records/refusals.ts'
import { producerOf } from '../../records/supply.ts'

/** How old a resource's data on the hub is at most, by its agent's last report. */
export interface DataAge {
  /** Null: no agent has reported on it. */
  seconds: number | null
  stale: boolean
}

/** What an explanation that nothing changed can be signed with. */
export interface DutyEvidence {
  resource: string
  period: string
  from: Day
  to: Day
  /** From when on it can be signed that nothing changed in it. */
  explainableFrom: Date
  /** The capture by the agent's last report; null where no agent supplies the resource. */
  capture: {
    agent: string
    lastSeen: Date
    state: SourceReport['state'] | 'not-reported'
    /** Changed rows that wait to be sent. */
    waiting: number
    fault: { code: string; zh: string; en: string; since: string } | null
    /** It was heard of within five minutes, watches the table, and has no fault. */
    intact: boolean
  } | null
  /** Accepted in the period: what changed rows, how many of these the hub found to be as they had been, and what a snapshot repeated. */
  changes: { batches: number; changedRows: number; sameRows: number; snapshotRows: number; lastChange: Date | null }
  /** The last time that a receiver's table was proven to hold the same rows as the source; null where it never was. */
  lastReconciliation: Equal | null
  /** Capture intact, nothing waiting, nothing changed. */
  nothingChanged: boolean
}

/** Throws QZ-NOT-FOUND, QZ-REQUEST-INVALID. */
export async function dutyEvidence(query: Query, resource: string, period: string, now: Date): Promise<DutyEvidence> {
  const parsed = parsePeriod(period)
  const { from, to } = parsed
  const { duties, calendar } = await readRules(query)
  const capture = captureOf(await sourceOf(query, resource), now)
  const [row] = await query<{ batches: string; changed: string; same: string; snapshot: string; last: Date | null }>(
    `select coalesce(sum(batches), 0) as batches, coalesce(sum(changed_rows), 0) as changed, coalesce(sum(same_rows), 0) as same, coalesce(sum(snapshot_rows), 0) as snapshot,
       max(last_change) as last from supply_day where resource = $1 and day between $2::date and $3::date`,
    [resource, from, to],
  )
  const { batches, changed, same, snapshot, last } = row!
  const [changedRows, sameRows] = [Number(changed), Number(same)]
  const changes = { batches: Number(batches), changedRows, sameRows, snapshotRows: Number(snapshot), lastChange: last }
  const nothingChanged = capture !== null && capture.intact && capture.waiting === 0 && changedRows === sameRows
  const lastReconciliation = await lastEqual(query, resource)
  const days = { from, to, explainableFrom: explainableFrom(parsed, duties, calendar) }
  return { resource, period, ...days, capture, changes, lastReconciliation, nothingChanged }
}

interface Reported {
  agent: string | null
  lastSeen: Date
  source: SourceReport | undefined
}

async function sourceOf(query: Query, resource: string): Promise<Reported> {
  const [row] = await query<{ agent: string | null; seen: Date; report: AgentReport | null }>(
    `select a.id as agent, coalesce(a.last_seen, a.enrolled_at) as seen, a.report from resource r left join agent a on a.id = ${producerOf}
     where r.code = $1`,
    [resource],
  )
  if (!row) throw notFound('resource', resource)
  return { agent: row.agent, lastSeen: row.seen, source: row.report?.sources.find((source) => source.resource === resource) }
}

function captureOf({ agent, lastSeen, source }: Reported, now: Date): DutyEvidence['capture'] {
  if (agent === null) return null
  const heard = now.getTime() - lastSeen.getTime() <= silentAfter
  return {
    agent,
    lastSeen,
    state: source?.state ?? 'not-reported',
    waiting: source?.waiting ?? 0,
    fault: source?.fault ?? null,
    intact: heard && source?.state === 'flowing' && !source.fault,
  }
}

/**
 * Rows that had changed by the end of a period, or by now, and still wait at their source: they contradict that nothing changed in it.
 * Null where there are none, or nobody reports.
 */
export async function waitingSince(query: Query, resource: string, { to }: Period, now: Date): Promise<number | null> {
  const { source } = await sourceOf(query, resource)
  if (!source || source.waiting === 0) return null
  const oldest = source.oldest === undefined ? now : new Date(source.oldest)
  return oldest < endOf(to) ? source.waiting : null
}

/** A real-time resource is judged technically by this. Throws QZ-NOT-FOUND. */
export async function dataAge(query: Query, resource: string, now: Date, longestMinutes: number): Promise<DataAge> {
  const reported = await sourceOf(query, resource)
  const since = reported.agent === null ? null : currentAt(reported)
  const seconds = since && Math.max(0, Math.round((now.getTime() - since.getTime()) / 1000))
  return { seconds, stale: seconds === null || seconds > longestMinutes * 60 }
}

/** The last time at which the hub is known to have had everything. */
function currentAt({ lastSeen, source }: Reported): Date | null {
  if (!source) return null
  const { state, fault, waiting, oldest, lastPush } = source
  if (state === 'flowing' && waiting === 0) return lastSeen
  const known = [fault?.since, oldest, ...(state === 'flowing' && oldest === undefined ? [lastPush] : [])]
  const times = known.flatMap((text) => (text === undefined || Number.isNaN(Date.parse(text)) ? [] : [Date.parse(text)]))
  if (times.length > 0) return new Date(Math.min(...times))
  return lastPush === undefined ? null : new Date(lastPush)
}
