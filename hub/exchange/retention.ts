import type { Logger } from 'pino'
import { dropExpiredRequests } from './agent-requests.ts'
import { comparePositions, isAfter, type Position } from '../../protocol/position.ts'
import type { Log, LogState } from '../log.ts'
import { flowsSql } from '../records/supply.ts'
import type { Query, Store } from '../store/store.ts'
import { mendSetBack } from './set-back.ts'
import { wantSnapshot } from './streams.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { startRounds, type Rounds } from '../store/rounds.ts'

export interface HousekeepingRules {
  /** Days that a stored batch stays at least. */
  retention: number
  /** Days without moving after which a route no longer holds the log back. */
  lapse: number
  /** A new snapshot is wanted when what came since the last one is this many times as large. */
  snapshotFactor: number
}

export interface RetentionDeps {
  store: Pick<Store, 'query'>
  log: Log
  wakeups: Wakeups
  /** Puts a stream's supply on record. @returns up to where it is: later batches are not trimmed. */
  recorded: (resource: string) => Promise<Position | null>
  rules: HousekeepingRules
  logger: Logger
  clock: () => Date
}

export interface RetentionResult {
  /** Batches trimmed per resource. */
  trimmed: Record<string, number>
  /** Resources of which a new snapshot is wanted now. */
  wanted: string[]
}

const day = 86_400_000
/** Small tables are not worth a new snapshot before this many bytes of changes. */
const fewBytes = 4 << 20

/** One round over all streams: trims the log, and wants snapshots where changes have outgrown them. */
export async function applyRetention(deps: RetentionDeps): Promise<RetentionResult> {
  const kept: RetentionResult = { trimmed: {}, wanted: [] }
  await dropExpiredRequests(deps.store.query, deps.clock())
  await mendSetBack(deps)
  for (const { resource, keep, over } of await deps.store.query<Stream>(
    `select s.resource, r.keep, r.state = 'withdrawn' or r.secrecy as over from stream s join resource r on r.code = s.resource`,
  )) {
    const state = await deps.log.state(resource)
    if (!state.head) continue
    if (over) {
      const dropped = await trimAll(deps, resource, state.head)
      if (dropped > 0) kept.trimmed[resource] = dropped
      continue
    }
    const trimmed = keep === 'relay' ? await trimRelayed(deps, resource, state) : await trimStored(deps, resource, state)
    if (trimmed > 0) kept.trimmed[resource] = trimmed
    if (keep === 'store' && (await wantWhereOutgrown(deps, resource, state))) kept.wanted.push(resource)
  }
  return kept
}

interface Stream {
  resource: string
  keep: 'store' | 'relay'
  /** Withdrawn, or declared secret: nobody may have it any more. */
  over: boolean
}

/** Nothing of it stays (Art. 5, 26). */
async function trimAll({ log, recorded }: RetentionDeps, resource: string, head: Position): Promise<number> {
  const on = await recorded(resource)
  return on ? log.trim(resource, earliest(following(head), [following(on)])) : 0
}

/** Stored batches go when a later snapshot is complete, every route that counts has passed them and the retention is over. */
async function trimStored(deps: RetentionDeps, resource: string, { complete }: LogState): Promise<number> {
  const { store, log, rules, clock } = deps
  const recorded = complete && (await deps.recorded(resource))
  if (!recorded) return 0
  const now = clock()
  const routes = await routesThatCount(store.query, resource, rules, now)
  // A route that has nothing yet begins with the newest complete snapshot, which stays.
  const needed = routes.flatMap(({ passed }) => (passed ? [passed] : []))
  return log.trim(resource, earliest(complete.began, [...needed, following(recorded)]), new Date(now.getTime() - rules.retention * day))
}

/** Relayed batches go as soon as every route has them. A route that has nothing yet waits for the beginning of a snapshot. */
async function trimRelayed(deps: RetentionDeps, resource: string, { head, begun }: LogState): Promise<number> {
  const { store, log, rules, clock } = deps
  const recorded = await deps.recorded(resource)
  if (!recorded) return 0
  const routes = await routesThatCount(store.query, resource, rules, clock())
  const end = following(head!)
  const needed = routes.map(({ passed }) => (passed ? following(passed) : (begun?.began ?? end)))
  return log.trim(resource, earliest(end, [...needed, following(recorded)]))
}

function following({ epoch, seq }: Position): Position {
  return { epoch, seq: seq + 1 }
}

function earliest(first: Position, others: readonly Position[]): Position {
  return others.reduce((least, place) => (comparePositions(place, least) < 0 ? place : least), first)
}

interface RouteProgress {
  /** Up to where it has everything; null where it begins anew. */
  passed: Position | null
}

/** Active routes that have not lapsed, with what they have: a receiver that was restored has what it asks after, not what its receipts said. */
async function routesThatCount(query: Query, resource: string, rules: HousekeepingRules, now: Date): Promise<RouteProgress[]> {
  const rows = await query<ProgressRow>(progressSql, [resource, now, new Date(now.getTime() - rules.lapse * day)])
  return rows.map(({ epoch, seq, asked_epoch, asked_seq, asked }) => {
    const applied = placeOf(epoch, seq)
    const after = placeOf(asked_epoch, asked_seq)
    return { passed: asked && isAfter(applied ?? start, after ?? start) ? after : applied }
  })
}

const start: Position = { epoch: 0, seq: 0 }

interface ProgressRow {
  epoch: string | null
  seq: string | null
  asked_epoch: string | null
  asked_seq: string | null
  asked: boolean
}

function placeOf(epoch: string | null, seq: string | null): Position | null {
  return epoch !== null && seq !== null ? { epoch: Number(epoch), seq: Number(seq) } : null
}

/** A route lapses when it is behind and has not moved for long; one that has everything does not. */
export const lapsedSql = `(t.moved_at < $3 and (t.epoch, t.seq) is distinct from (s.epoch, s.seq))`

const progressSql = `
  select t.epoch, t.seq, t.asked_epoch, t.asked_seq, t.asked_at is not null as asked
  from route t join access_grant g on g.id = t.access_grant join resource r on r.code = g.resource join agent a on a.id = t.agent
    left join log_stream s on s.resource = g.resource
  where g.resource = $1 and ${flowsSql} and g.mode = 'exchange' and (g.valid_to is null or g.valid_to > $2) and a.state = 'active'
    and not ${lapsedSql}`

/** Unless a newer one is under way already. */
async function wantWhereOutgrown({ store, wakeups, rules }: RetentionDeps, resource: string, state: LogState): Promise<boolean> {
  const { head, complete, begun, snapshotBytes, bytesSince } = state
  if (!complete || (begun && isAfter(begun.began, complete.began))) return false
  if (bytesSince <= Math.max(fewBytes, rules.snapshotFactor * snapshotBytes)) return false
  if (!(await wantSnapshot(store, resource, head))) return false
  wakeups.wake(`snapshot:${resource}`)
  return true
}

const intervalMs = 60_000

/** Keeps house every minute until stopped. */
export function startRetention(deps: RetentionDeps): Rounds<RetentionResult> {
  return startRounds({
    intervalMs,
    round: () => applyRetention(deps),
    done({ trimmed, wanted }) {
      if (Object.keys(trimmed).length + wanted.length > 0) deps.logger.info({ trimmed, wanted }, 'log kept')
    },
    failed: (error) => deps.logger.warn({ err: error }, 'housekeeping failed, tries again'),
  })
}
