/** What set-up makes in the source's database: the tables in which the agent remembers, one queue and three triggers for each source. */
import { quoteName, quoteText } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import type { CatalogTable } from './catalog.ts'
import type { Server } from './connection.ts'
import type { Plan } from './plan.ts'
import { queueName, safeName, triggerEvents, triggerName, type TriggerEvent } from './names.ts'
import type { ColumnReader } from './types.ts'

export const streamTable = 'qz_stream'
export const sourceQuarantine = 'qz_source_quarantine'
/** One row per queue: the id beyond which triggers leave only marks. */
export const ceilingTable = 'qz_queue'

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
      snapshot varchar(10), began_epoch bigint, began_seq bigint, after_key longtext, coverage varchar(64) not null default '') ${end} comment='前置:数据流位置'`,
    `create table if not exists ${quoteName(sourceQuarantine)} (resource ${key(64)} not null, key_hash char(64) character set ascii not null, key_text longtext not null,
      code varchar(40) not null, item varchar(64), reason varchar(1000), at datetime(6) not null, primary key (resource, key_hash)) ${end} comment='前置:无法发送的行'`,
    `create table if not exists ${quoteName(ceilingTable)} (queue ${key(64)} not null primary key, ceiling bigint not null) ${end} comment='前置:队列上限'`,
  ]
}

/** Triggers go first and come last: while the queue is made anew the application's statements find none. */
export function setupStatements(plan: Plan, server: Server, runtimeUser?: string): string[] {
  const { source } = plan
  const queue = quoteName(queueName(source.resource))
  const name = quoteText(queueName(source.resource))
  const resource = quoteText(source.resource)
  return [
    ...stateTables(server),
    ...dropTriggers(source, plan.catalog),
    `drop table if exists ${queue}`,
    queueTable(plan, server),
    `insert into ${quoteName(ceilingTable)} (queue, ceiling) values (${name}, ${queueEntries(source)}) on duplicate key update ceiling = ${queueEntries(source)}`,
    ...triggerEvents.map((event) => trigger(plan, server, event)),
    `insert into ${quoteName(streamTable)} (resource, snapshot) values (${resource}, 'needed') on duplicate key update snapshot = 'needed'`,
    ...(runtimeUser ? grants(plan, server, runtimeUser) : []),
  ]
}

export function teardownStatements(source: SourceTable, place: Pick<CatalogTable, 'database'>, server: Server): string[] {
  return [
    ...dropTriggers(source, place),
    `drop table if exists ${quoteName(queueName(source.resource))}`,
    ...stateTables(server),
    `delete from ${quoteName(ceilingTable)} where queue = ${quoteText(queueName(source.resource))}`,
    `update ${quoteName(streamTable)} set snapshot = 'needed', coverage = '' where resource = ${quoteText(source.resource)}`,
  ]
}

function dropTriggers({ resource }: SourceTable, { database }: Pick<CatalogTable, 'database'>): string[] {
  return triggerEvents.map((event) => `drop trigger if exists ${quoteName(database)}.${quoteName(triggerName(resource, event))}`)
}

/** Key columns are wide text, so that a key widened in the source still fits. The 65,535 bytes of a row bound them together. */
function queueTable({ source, keys }: Plan, server: Server): string {
  const width = Math.min(1000, Math.floor(15_000 / keys.length))
  const columns = keys.map((_, i) => `k${i + 1} varchar(${width}) character set utf8mb4 collate ${server.binaryCollation}`)
  return `create table ${quoteName(queueName(source.resource))} (id bigint not null auto_increment primary key, ${columns.join(', ')},
    marked tinyint not null default 0, at timestamp(3) not null default current_timestamp(3))
    engine=InnoDB row_format=dynamic default character set utf8mb4 comment=${quoteText(`前置:${source.resource} 的变化队列`)}`
}

/**
 * Writes the key down; whatever goes wrong becomes a mark ("snapshot needed") and the application's statement goes on. EXIT, not
 * CONTINUE: after a failed insert last_insert_id() is the application's own.
 */
function trigger({ source, keys, table, catalog }: Plan, server: Server, event: TriggerEvent): string {
  const queue = `${quoteName(server.database)}.${quoteName(queueName(source.resource))}`
  const entry = (row: 'OLD' | 'NEW') =>
    queueEntry(
      queue,
      keys.map((key) => key.keyText(`${row}.${quoteName(key.column)}`)),
      source,
      server,
    )
  const body = {
    insert: entry('NEW'),
    delete: entry('OLD'),
    update: `if ${keys.map(changed).join(' or ')} then\n${entry('OLD')}\nend if;\n${entry('NEW')}`,
  }[event]
  return `create trigger ${quoteName(catalog.database)}.${quoteName(triggerName(source.resource, event))} after ${event} on ${table} for each row
begin
declare exit handler for sqlexception
begin
declare continue handler for sqlexception begin end;
insert into ${queue} (marked) values (1);
end;
${body}
end`
}

/** Byte by byte: a collation may hold `…002x` and `…002X`, or trailing spaces, for equal. */
function changed({ column, item }: ColumnReader): string {
  const name = quoteName(column)
  return item.type === 'text' ? `cast(OLD.${name} as binary) <> cast(NEW.${name} as binary)` : `OLD.${name} <> NEW.${name}`
}

/**
 * Beyond the ceiling a transaction leaves one mark, if it sees no other. The ceiling is kept in the session, and read again only when
 * it seems passed: reading it for every row would cost, and could lock it against the agent.
 */
function queueEntry(queue: string, texts: readonly string[], { resource }: SourceTable, server: Server): string {
  const columns = texts.map((_, i) => `k${i + 1}`)
  const ceiling = `@${safeName(`qz_ceiling_${safeName(resource, 40)}`, 60)}`
  const ceilings = `${quoteName(server.database)}.${quoteName(ceilingTable)}`
  return `insert into ${queue} (${columns.join(', ')}) values (${texts.join(', ')});
if last_insert_id() > ifnull(${ceiling}, 0) then
set ${ceiling} = (select ceiling from ${ceilings} where queue = ${quoteText(queueName(resource))});
if last_insert_id() > ${ceiling} then
if exists (select 1 from ${queue} where id > ${ceiling} and marked = 1) then
delete from ${queue} where id = last_insert_id();
else
update ${queue} set marked = 1, ${columns.map((column) => `${column} = null`).join(', ')} where id = last_insert_id();
end if;
end if;
end if;`
}

/** DROP on the queue is what TRUNCATE asks for; TRIGGER on the source what seeing its triggers asks for. */
function grants({ source, table }: Plan, server: Server, user: string): string[] {
  const [name, host = '%'] = user.split('@') as [string, string?]
  const grantee = `${quoteText(name.replaceAll("'", ''))}@${quoteText(host.replaceAll("'", ''))}`
  const own = (name: string) => `${quoteName(server.database)}.${quoteName(name)}`
  return [
    `grant select, trigger on ${table} to ${grantee}`,
    `grant select, insert, delete, drop on ${own(queueName(source.resource))} to ${grantee}`,
    `grant select, insert, update on ${own(streamTable)} to ${grantee}`,
    `grant select, update on ${own(ceilingTable)} to ${grantee}`,
    `grant select, insert, update, delete on ${own(sourceQuarantine)} to ${grantee}`,
  ]
}
