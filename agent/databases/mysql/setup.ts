/** What set-up makes in the source's database: the tables in which the agent remembers, one queue and three triggers for each source. */
import { quoteName, quoteText } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import type { CatalogTable } from './catalog.ts'
import type { Server } from './connection.ts'
import type { Plan } from './plan.ts'
import { ceilingTable, procedureName, queueName, triggerEvents, triggerName } from './names.ts'
import { accountOf } from './accounts.ts'
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

/** Triggers go first and come last: while the queue is made anew the application's statements find none. */
export function setupStatements(plan: Plan, server: Server, around: Surroundings, runtimeUser?: string): string[] {
  const { source } = plan
  const queue = quoteName(queueName(source.resource))
  const name = quoteText(queueName(source.resource))
  const resource = quoteText(source.resource)
  return [
    ...stateTables(server),
    ...dropTriggers(source, plan.catalog, server, around),
    `drop table if exists ${queue}`,
    queueTable(plan, server),
    `insert into ${quoteName(ceilingTable)} (queue, ceiling) values (${name}, ${queueEntries(source)}) on duplicate key update ceiling = ${queueEntries(source)}`,
    ...triggerStatements(plan, server, around.cascades, runtimeUser),
    `insert into ${quoteName(streamTable)} (resource, snapshot) values (${resource}, 'needed') on duplicate key update snapshot = 'needed'`,
    ...(runtimeUser ? grants(plan, server, around.cascades, runtimeUser) : []),
  ]
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
    `grant select, insert, update, delete, drop on ${own(server, queueName(source.resource))} to ${grantee}`,
    `grant execute on procedure ${own(server, procedureName(source.resource))} to ${grantee}`,
    `grant select, insert, update on ${own(server, streamTable)} to ${grantee}`,
    `grant select, update on ${own(server, ceilingTable)} to ${grantee}`,
    `grant select, insert, update, delete on ${own(server, sourceQuarantine)} to ${grantee}`,
  ]
}
