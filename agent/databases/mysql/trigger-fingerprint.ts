/**
 * The fingerprint of what covers a source: its triggers and procedure, or since when its log is read without a gap; its queue, and the shape of
 * the table, because DDL changes rows without firing a trigger.
 */
import { createHash } from 'node:crypto'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { SourceTable } from '../../database.ts'
import { cascadeCoverage } from './cascades.ts'
import type { RawValue, Session } from './connection.ts'
import { keysText, logCoverage, loggedSources, unloggedKeys, unreadableLog, type Logged } from './log/place.ts'
import { procedureName, queueName, triggerEvents, triggerName } from './names.ts'
import { readPlan, type Plan } from './plan.ts'
import { triggerCoverage, type Move } from './setup.ts'
import { quoteText } from './sql.ts'
import { probe } from './trigger.ts'

export function notSetUp({ table }: SourceTable, reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason }, { cause })
}

/** Throws QZ-SOURCE-TABLE, QZ-SOURCE-NOT-SET-UP. */
export async function coverageOf(session: Session, plan: Plan): Promise<string> {
  const { source } = plan
  const [before, between, after] = await coveringOf(session, plan)
  const queue = await queueOf(session, source)
  const { kind, engine, shape } = plan.catalog
  return createHash('sha256')
    .update(JSON.stringify([before, queue, between, after, kind, engine, shape]))
    .digest('hex')
}

/** When its queue was made. */
async function queueOf(session: Session, source: SourceTable): Promise<RawValue[]> {
  const name = queueName(source.resource)
  const [queue] = await session.rows(
    `select cast(create_time as char) from information_schema.tables where table_schema = database() and table_name = ${quoteText(name)}`,
  )
  if (!queue) throw notSetUp(source, { zh: `缺少队列 ${name}`, en: `queue ${name} is missing` })
  return queue
}

/** Triggers, procedure and triggers of other tables; of a log one text. */
type Covering = [unknown, unknown, unknown]

/** What covers a source, where nothing of it is missing; after a move without a gap what covered it before, until that changes. */
async function coveringOf(session: Session, plan: Plan): Promise<Covering> {
  const { source } = plan
  const logged = (await loggedSources(session)).get(source.resource)
  const covering = source.capture === 'log' ? await logCovering(session, plan, logged) : await triggerCovering(session, plan)
  if (!logged?.movedFrom) return covering
  const now = source.capture === 'log' ? logCoverage(source.resource) : triggerCoverage(plan)
  const [row] = await session.rows(`select ${now}`)
  return String(row![0]) === logged.movedTo ? (JSON.parse(logged.movedFrom) as Covering) : covering
}

async function logCovering(session: Session, plan: Plan, logged: Logged | undefined): Promise<Covering> {
  const { source, catalog } = plan
  if (!logged || logged.since === null) throw notSetUp(source, { zh: '尚未由日志采集', en: 'its log is not read yet' })
  requireKey(source, logged.keys === keysText(plan), plan)
  const reason = (await unreadableLog(session, [catalog.database])) ?? (await unloggedKeys(session, plan))
  if (reason) throw notSetUp(source, reason)
  const [row] = await session.rows(`select ${logCoverage(source.resource)}`)
  return [row, null, null]
}

/** What was set up was made for a version of the resource that had another key. */
function requireKey(source: SourceTable, same: boolean, { keys }: Plan): void {
  if (same) return
  const list = keys.map(({ column }) => column).join(', ')
  throw notSetUp(source, { zh: `主键已改为 (${list})`, en: `the key is (${list}) now` })
}

async function triggerCovering(session: Session, plan: Plan): Promise<Covering> {
  const { source } = plan
  const triggers = await triggersOf(session, plan)
  const there = triggers.map((row) => String(row[0]))
  const gone = triggerEvents.map((event) => triggerName(source.resource, event)).filter((name) => !there.includes(name))
  if (gone.length > 0) throw notSetUp(source, { zh: `缺少触发器 ${gone.join(', ')}`, en: `trigger ${gone.join(', ')} is missing` })
  const keys = plan.keys.map(({ column }) => column)
  requireKey(
    source,
    triggers.every((row) => writesKeys(String(row[7]), keys)),
    plan,
  )
  await queueOf(session, source)
  const [procedure] = await session.rows(
    `select definer, cast(created as char), cast(last_altered as char), sql_mode from information_schema.routines
    where routine_schema = database() and routine_name = ${quoteText(procedureName(source.resource))}`,
  )
  if (!procedure) throw notSetUp(source, { zh: '缺少存储过程', en: 'its procedure is missing' })
  const fault = await probe(session, plan)
  if (fault) throw notSetUp(source, fault)
  const cascades = (await cascadeCoverage(session, plan)).map(({ there }) => there)
  return [triggers.map((row) => row.slice(0, 7)), procedure, cascades]
}

async function triggersOf(session: Session, { catalog, source }: Plan): Promise<RawValue[][]> {
  const names = triggerEvents.map((event) => quoteText(triggerName(source.resource, event))).join(', ')
  return session.rows(
    `select trigger_name, event_manipulation, action_timing, cast(created as char), sha2(action_statement, 256), definer, sql_mode, action_statement
    from information_schema.triggers where event_object_schema = ${quoteText(catalog.database)}
    and event_object_table = ${quoteText(catalog.table)} and trigger_name in (${names}) order by trigger_name`,
  )
}

/** Whether a trigger writes down these key columns, in this order: it was made for the version of the resource that there was then. */
function writesKeys(statement: string, keys: readonly string[]): boolean {
  const named = Array.from(statement.matchAll(/(?:OLD|NEW)\.`((?:[^`]|``)+)`/g), ([, name]) => name!.replaceAll('``', '`').toLowerCase())
  const found = [...new Set(named)]
  return found.length === keys.length && keys.every((key, i) => found[i] === key.toLowerCase())
}

/** How a source that is set up in another way, and nothing is missing, becomes one of this: undefined where it is begun anew. */
export async function moveOf(session: Session, source: SourceTable): Promise<Move | undefined> {
  const before: SourceTable = { ...source, capture: source.capture === 'log' ? 'triggers' : 'log' }
  try {
    const plan = await readPlan(session, before)
    await coverageOf(session, plan)
    return { from: JSON.stringify(await coveringOf(session, plan)) }
  } catch (error) {
    if (error instanceof QianzhiError && error.kind.scope === 'one') return undefined
    throw error
  }
}
