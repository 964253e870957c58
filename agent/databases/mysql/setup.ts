/** What set-up makes in the source's database: the tables in which the agent remembers, one queue and three triggers for each source. */
import { quoteName, quoteText } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import type { CatalogTable } from './catalog.ts'
import type { Server } from './connection.ts'
import type { Plan } from './plan.ts'
import { ceilingTable, procedureName, queueName, triggerEvents, triggerName } from './names.ts'
import { accountOf } from './accounts.ts'
import { beginStatements, coverageOfThis, keysText, loggedTable, logPrivileges, logTable, logTables, type Beginning } from './log/place.ts'
import { own, triggerStatements } from './trigger.ts'
import type { Cascade } from './cascades.ts'

export const streamTable = 'qz_stream'
export const sourceQuarantine = 'qz_source_quarantine'

/** About the bytes of one entry with its key, its row's own overhead and its index. */
export const entryBytes = 100

/** Entries until a queue is full. */
export function queueEntries({ queueLimit }: SourceTable): number {
  return Math.max(1000, Math.floor(queueLimit / entryBytes))
}

export function stateTables(server: Server): string[] {
  const key = (length: number) => `varchar(${length}) character set utf8mb4 collate ${server.binaryCollation}`
  const end = 'engine=InnoDB row_format=dynamic default character set utf8mb4'
  return [
    `create table if not exists ${quoteName(streamTable)} (resource ${key(64)} not null primary key, epoch bigint, seq bigint, hash char(64),
      snapshot varchar(10), began_epoch bigint, began_seq bigint, after_key longtext, coverage varchar(64) not null default '') ${end} comment='前置：数据流位置'`,
    `create table if not exists ${quoteName(sourceQuarantine)} (resource ${key(64)} not null, key_hash char(64) character set ascii not null, key_text longtext not null,
      code varchar(40) not null, item varchar(64), reason varchar(1000), at datetime(6) not null, primary key (resource, key_hash)) ${end} comment='前置：无法发送的行'`,
    `create table if not exists ${quoteName(ceilingTable)} (queue ${key(64)} not null primary key, ceiling bigint not null) ${end} comment='前置：队列上限'`,
  ]
}

/** What is known of the tables around the source's: foreign keys that change its rows, and triggers of ours that are there for them. */
export interface Surroundings {
  cascades: readonly Cascade[]
  there: readonly { database: string; name: string }[]
}

/** A source that goes from one way of capture to another without a gap: what covered it until now, as JSON. Its queue and its place stay. */
export interface Move {
  from: string
}

/** Triggers go first and come last: while the queue is made anew the application's statements find none. */
export function setupStatements(
  plan: Plan,
  server: Server,
  around: Surroundings,
  { runtimeUser, move }: { runtimeUser?: string | undefined; move?: Move | undefined },
): string[] {
  const { source } = plan
  return [
    ...stateTables(server),
    ...dropTriggers(source, plan.catalog, server, around),
    ...(move ? logTables(server) : newQueue(plan, server)),
    ...triggerStatements(plan, server, around.cascades, runtimeUser),
    move ? moved(source, move, triggerCoverage(plan)) : newStream(source),
    ...(runtimeUser ? grants(plan, server, around.cascades, runtimeUser) : []),
  ]
}

/**
 * The same where the log is read (log/place.ts). Triggers that were there go after the place is written down, so that a source which is moved
 * is never without either.
 */
export function logStatements(
  plan: Plan,
  server: Server,
  around: Surroundings,
  { from, since, runtimeUser, move }: { from: Beginning; since: string; runtimeUser?: string | undefined; move?: Move | undefined },
): string[] {
  const { source } = plan
  const withoutTriggers = dropTriggers(source, plan.catalog, server, around)
  return [
    ...stateTables(server),
    ...logTables(server),
    ...(move ? [] : [...withoutTriggers, ...newQueue(plan, server)]),
    ...beginStatements(source, from, since, keysText(plan)),
    ...(move ? [...withoutTriggers, moved(source, move, coverageOfThis)] : [newStream(source)]),
    ...(runtimeUser ? logGrants(plan, server, runtimeUser) : []),
  ]
}

function newQueue(plan: Plan, server: Server): string[] {
  const { source } = plan
  const name = queueName(source.resource)
  const entries = queueEntries(source)
  return [
    `drop table if exists ${quoteName(name)}`,
    queueTable(plan, server),
    `insert into ${quoteName(ceilingTable)} (queue, ceiling) values (${quoteText(name)}, ${entries}) on duplicate key update ceiling = ${entries}`,
  ]
}

function newStream({ resource }: SourceTable): string {
  return `insert into ${quoteName(streamTable)} (resource, snapshot) values (${quoteText(resource)}, 'needed') on duplicate key update snapshot = 'needed'`
}

function moved({ resource }: SourceTable, { from }: Move, to: string): string {
  return `update ${quoteName(loggedTable)} set moved_to = ${to}, moved_from = ${quoteText(from)} where resource = ${quoteText(resource)}`
}

/** SQL of what triggers and procedure a source has. */
export function triggerCoverage({ source: { resource }, catalog }: Pick<Plan, 'source' | 'catalog'>): string {
  const names = triggerEvents.map((event) => quoteText(triggerName(resource, event))).join(', ')
  return `(select concat_ws(' ', group_concat(sha2(concat_ws(' ', trigger_name, cast(created as char), action_statement, definer), 256) order by trigger_name),
      (select concat_ws(' ', definer, cast(created as char), cast(last_altered as char)) from information_schema.routines
        where routine_schema = database() and routine_name = ${quoteText(procedureName(resource))}))
    from information_schema.triggers where event_object_schema = ${quoteText(catalog.database)}
    and event_object_table = ${quoteText(catalog.table)} and trigger_name in (${names}))`
}

export function teardownStatements(
  source: SourceTable,
  place: Pick<CatalogTable, 'database'>,
  server: Server,
  around: Pick<Surroundings, 'there'>,
  /** Those of our tables that are there. */
  tables: ReadonlySet<string>,
): string[] {
  const resource = quoteText(source.resource)
  return [
    ...dropTriggers(source, place, server, around),
    `drop table if exists ${quoteName(queueName(source.resource))}`,
    ...(tables.has(ceilingTable) ? [`delete from ${quoteName(ceilingTable)} where queue = ${quoteText(queueName(source.resource))}`] : []),
    ...(tables.has(streamTable)
      ? [`update ${quoteName(streamTable)} set snapshot = 'needed', coverage = '' where resource = ${resource}`]
      : []),
    ...(tables.has(loggedTable) ? [`delete from ${quoteName(loggedTable)} where resource = ${resource}`] : []),
  ]
}

function dropTriggers(
  { resource }: SourceTable,
  { database }: Pick<CatalogTable, 'database'>,
  server: Server,
  { there }: Pick<Surroundings, 'there'>,
): string[] {
  const ours = triggerEvents.map((event) => ({ database, name: triggerName(resource, event) }))
  return [
    ...[...ours, ...there].map(({ database, name }) => `drop trigger if exists ${quoteName(database)}.${quoteName(name)}`),
    `drop procedure if exists ${own(server, procedureName(resource))}`,
  ]
}

/** Key columns are wide text, so that a key widened in the source still fits. The 65,535 bytes of a row bound them together. */
function queueTable({ source, keys }: Plan, server: Server): string {
  const width = Math.min(1000, Math.floor(15_000 / keys.length))
  const columns = keys.map((_, i) => `k${i + 1} varchar(${width}) character set utf8mb4 collate ${server.binaryCollation}`)
  return `create table ${quoteName(queueName(source.resource))} (id bigint not null auto_increment primary key, ${columns.join(', ')},
    marked tinyint not null default 0, at timestamp(3) not null default current_timestamp(3))
    engine=InnoDB row_format=dynamic default character set utf8mb4 comment=${quoteText(`前置：${source.resource} 的变化队列`)}`
}

/** DROP on the queue is what TRUNCATE asks for; TRIGGER on the source what seeing its triggers asks for, and what running them does. */
function grants({ source, table }: Plan, server: Server, cascades: readonly Cascade[], user: string): string[] {
  const grantee = accountOf(user)
  const around = new Set(
    cascades.flatMap(({ from, links }) => [from, ...links]).map((one) => `${quoteName(one.database)}.${quoteName(one.table)}`),
  )
  return [
    ...[...new Set([table, ...around])].map((name) => `grant select, trigger on ${name} to ${grantee}`),
    `grant execute on procedure ${own(server, procedureName(source.resource))} to ${grantee}`,
    ...stateGrants(source, server, grantee),
  ]
}

function stateGrants(source: SourceTable, server: Server, grantee: string): string[] {
  return [
    `grant select, insert, update, delete, drop on ${own(server, queueName(source.resource))} to ${grantee}`,
    `grant select, insert, update on ${own(server, streamTable)} to ${grantee}`,
    `grant select, update on ${own(server, ceilingTable)} to ${grantee}`,
    `grant select, insert, update, delete on ${own(server, sourceQuarantine)} to ${grantee}`,
  ]
}

function logGrants({ source, table }: Plan, server: Server, user: string): string[] {
  const grantee = accountOf(user)
  return [
    `grant select on ${table} to ${grantee}`,
    ...stateGrants(source, server, grantee),
    ...[logTable, loggedTable].map((name) => `grant select, update on ${own(server, name)} to ${grantee}`),
    `grant ${logPrivileges(server).join(', ').toLowerCase()} on *.* to ${grantee}`,
  ]
}
