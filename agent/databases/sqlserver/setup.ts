/**
 * The scripts of set-up and teardown, one batch each: the tables in which the agent remembers, one queue for each source, and what finds its
 * changes: a trigger, or Change Tracking, from which the agent itself fills the queue.
 */
import { binaryCollation, quoteName, quoteText, splitTable } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import type { Server } from './connection.ts'
import { queueTable, schemaName, sourceQuarantine, streamTable, triggerEvents, triggerName, type TriggerEvent } from './names.ts'
import { reference, type Plan } from './plan.ts'
import type { ColumnReader } from './types.ts'

/** About the bytes of one entry with its key, its row's own overhead and its indexes. */
export const entryBytes = 100

/** Entries until a queue is full. */
export function queueEntries({ queueLimit }: SourceTable): number {
  return Math.max(1000, Math.floor(queueLimit / entryBytes))
}

/** Changes older than this are forgotten; a DBA may set another value before or after. */
const retention = '7 days'

/** Owned by dbo, as the application's tables are: a trigger then needs no rights of the application's users on the queue. */
export const makeSchema = `if schema_id(N'${schemaName}') is null
begin
  begin try
    exec(N'create schema ${schemaName} authorization dbo')
  end try
  begin catch
    exec(N'create schema ${schemaName}')
  end catch
end`

export function makeTable(table: string, lines: readonly string[]): string {
  return `if object_id(N'${table}', N'U') is null\ncreate table ${table} (\n  ${lines.join(',\n  ')}\n)`
}

const sharedTables = [
  makeSchema,
  makeTable(streamTable, [
    `resource nvarchar(64) collate ${binaryCollation} not null primary key`,
    'epoch bigint null, seq bigint null, hash varchar(64) null',
    'snapshot varchar(10) null, began_epoch bigint null, began_seq bigint null, after_key nvarchar(max) null',
    `coverage varchar(64) not null default ''`,
    'key_columns nvarchar(max) null',
    'tracked bigint null, tracked_from bigint null, tracking_made bit not null default 0',
  ]),
  makeTable(sourceQuarantine, [
    `resource nvarchar(64) collate ${binaryCollation} not null, key_hash varchar(64) collate ${binaryCollation} not null`,
    'key_text nvarchar(max) not null, code varchar(40) not null, item nvarchar(64) null, reason nvarchar(1000) null',
    'at datetime2(3) not null default sysutcdatetime()',
    'primary key (resource, key_hash)',
  ]),
]

/** Key columns that the queue's entries were written for. */
export function keyColumnsText({ keys }: Pick<Plan, 'keys'>): string {
  return JSON.stringify(keys.map(({ column }) => column.toLowerCase()))
}

/**
 * The triggers go first and come last: while the queue is made anew the application's statements find none. The mark "snapshot needed"
 * stands for whatever is written meanwhile.
 */
export function setupStatements(plan: Plan, server: Server, runtimeUser?: string): string[] {
  const { source } = plan
  const tracking = source.capture === 'tracking'
  return [
    ...sharedTables,
    ...dropTriggers(source, plan.catalog.table, server),
    ...dropQueue(source),
    ...makeQueue(plan),
    streamRow(plan),
    ...(tracking ? trackingStatements(plan) : triggerEvents.map((event) => trigger(plan, server, event))),
    `update ${streamTable} set snapshot = 'needed', began_epoch = null, began_seq = null, after_key = null, coverage = '' where resource = ${quoteText(source.resource)}`,
    ...(runtimeUser ? grants(plan, runtimeUser) : []),
  ]
}

/** Change Tracking of the database stays: others may use it, and it costs nothing without tables. */
export function teardownStatements(source: SourceTable, table: string, server: Server): string[] {
  const resource = quoteText(source.resource)
  const guarded = (statements: string) => `if object_id(N'${streamTable}', N'U') is not null\nbegin\n${statements}\nend`
  return [
    ...dropTriggers(source, table, server),
    guarded(`if exists (select 1 from ${streamTable} where resource = ${resource} and tracking_made = 1)
  and exists (select 1 from sys.change_tracking_tables where object_id = object_id(${quoteText(quoted(table))}))
  exec(${quoteText(`alter table ${quoted(table)} disable change_tracking`)})`),
    ...dropQueue(source),
    guarded(`delete from ${streamTable} where resource = ${resource}
delete from ${sourceQuarantine} where resource = ${resource}`),
    guarded(`if not exists (select 1 from ${streamTable})
begin
drop table ${streamTable}
drop table ${sourceQuarantine}
end`),
  ]
}

function quoted(table: string): string {
  const { schema = 'dbo', name } = splitTable(table)
  return `${quoteName(schema)}.${quoteName(name)}`
}

/** A trigger lies in its table's schema; where that is the session's own, its bare name is enough. */
function triggerPlace({ resource }: SourceTable, table: string, server: Server, event: TriggerEvent): string {
  const name = quoteName(triggerName(resource, event))
  const { schema = server.schema } = splitTable(table)
  return schema === server.schema ? name : `${quoteName(schema)}.${name}`
}

function dropTriggers(source: SourceTable, table: string, server: Server): string[] {
  return triggerEvents.map((event) => {
    const name = quoteText(triggerName(source.resource, event))
    return `if exists (select 1 from sys.triggers where name = ${name} and parent_id = object_id(${quoteText(quoted(table))}))
drop trigger ${triggerPlace(source, table, server, event)}`
  })
}

function dropQueue({ resource }: SourceTable): string[] {
  const queue = queueTable(resource)
  return [`if object_id(${quoteText(queue)}, N'U') is not null drop table ${queue}`]
}

/**
 * Marks come first. No identity column: @@IDENTITY and SCOPE_IDENTITY() stay the application's. No filtered index: sessions with old SET
 * options could not write. Key columns are wide text, so that a key widened in the source still fits.
 */
function makeQueue({ source, keys }: Plan): string[] {
  const queue = queueTable(source.resource)
  const columns = keys.map((_, i) => `k${i + 1} nvarchar(4000) collate ${binaryCollation} null`)
  return [
    `create table ${queue} (
  id uniqueidentifier not null default newid() primary key nonclustered,
  at datetime2(3) not null default sysutcdatetime(), marked bit not null default 0,
  ${columns.join(',\n  ')}
)`,
    `create clustered index qz_order on ${queue} (marked desc, at)`,
    // A statement over many rows must not lock the agent out of the whole queue.
    ifKnown(`alter table ${queue} set (lock_escalation = disable)`),
  ]
}

function streamRow(plan: Plan): string {
  const resource = quoteText(plan.source.resource)
  return `if not exists (select 1 from ${streamTable} where resource = ${resource})
insert into ${streamTable} (resource, snapshot) values (${resource}, 'needed');
update ${streamTable} set snapshot = 'needed', key_columns = ${quoteText(keyColumnsText(plan))}, tracked = null, tracked_from = null where resource = ${resource}`
}

/** The version from which changes are wanted is written down after the table is tracked, and before the snapshot that is needed then. */
function trackingStatements({ source, catalog }: Plan): string[] {
  const resource = quoteText(source.resource)
  const table = quoteText(catalog.name)
  return [
    `if not exists (select 1 from sys.change_tracking_databases where database_id = db_id())
alter database current set change_tracking = on (change_retention = ${retention}, auto_cleanup = on)`,
    `if exists (select 1 from sys.databases where database_id = db_id() and snapshot_isolation_state = 0)
alter database current set allow_snapshot_isolation on`,
    `if not exists (select 1 from sys.change_tracking_tables where object_id = object_id(${table}))
begin
alter table ${catalog.name} enable change_tracking with (track_columns_updated = off)
update ${streamTable} set tracking_made = 1 where resource = ${resource}
end`,
    `update ${streamTable} set tracked = change_tracking_current_version(),
  tracked_from = (select begin_version from sys.change_tracking_tables where object_id = object_id(${table})) where resource = ${resource}`,
  ]
}

/** The key in the form in which the column is read; wide, so that a column that was widened is not cut. */
function keyText(key: ColumnReader): string {
  const at = reference(key)
  return key.text ? key.select(at).replace(/nvarchar\(\d+\)/, 'nvarchar(4000)') : key.select(at)
}

/** Texts are told apart code unit by code unit, and by their length: trailing spaces count. */
function exactKey(keys: readonly ColumnReader[], rows: string): string {
  const columns = keys.map((key, i) => `${keyText(key)} collate ${binaryCollation} as k${i + 1}, datalength(${keyText(key)}) as n${i + 1}`)
  return `select ${columns.join(', ')} from ${rows} t`
}

/** A statement of at least so many rows looks whether the queue is full; of the smaller ones one in 64 does. */
const largeStatement = 100

/** An update that changes keys leaves the old ones too. */
function changedKeys(keys: readonly ColumnReader[], event: TriggerEvent): string {
  const read = (rows: string) => `select ${keys.map((key) => `${keyText(key)} collate ${binaryCollation}`).join(', ')} from ${rows} t`
  if (event !== 'update') return read(event === 'insert' ? 'inserted' : 'deleted')
  return `${read('inserted')}
      union all
      select ${keys.map((_, i) => `k${i + 1}`).join(', ')} from (
        ${exactKey(keys, 'deleted')}
        except
        ${exactKey(keys, 'inserted')}
      ) gone`
}

/**
 * Writes down the keys of changed rows. What goes wrong becomes a mark ("snapshot needed"), where the server lets the transaction live.
 * Beyond the limit each statement leaves one mark and no keys; after an hour of that none, but a lock on the queue to the transaction's
 * end, for which `collapse` waits. Counts and marks are looked for without locks: nothing here waits for another session.
 */
export function trigger({ source, keys, catalog }: Plan, server: Server, event: TriggerEvent): string {
  const queue = queueTable(source.resource)
  const limit = queueEntries(source)
  const columns = keys.map((_, i) => `k${i + 1}`).join(', ')
  return `create trigger ${triggerPlace(source, catalog.table, server, event)} on ${catalog.name} after ${event} as
begin
  set nocount on;
  set xact_abort off;${server.rowcount ? '\n  set rowcount 0;' : ''}
  declare @rows int, @full int, @none uniqueidentifier;
  select @rows = count(*) from ${event === 'delete' ? 'deleted' : 'inserted'};
  if @rows = 0 return;
  select @full = 0, @none = newid();
  begin try
    if exists (select 1 from ${queue} with (nolock) where marked = 1)
      set @full = 1;
    else if @rows >= ${largeStatement} or datepart(microsecond, sysutcdatetime()) % 64 = 0
    begin
      if (select count(*) from (select top (${limit + 1}) id from ${queue} with (nolock)) q) > ${limit}
        set @full = 1;
    end;
    if @full = 0
      insert into ${queue} (${columns})
      ${changedKeys(keys, event)};
    else if exists (select 1 from ${queue} with (nolock) where marked = 1 and at < dateadd(hour, -1, sysutcdatetime()))
      delete from ${queue} where id = @none;
    else
      insert into ${queue} (marked) values (1);
  end try
  begin catch
    if xact_state() = 1
      insert into ${queue} (marked) values (1);
  end catch;
end`
}

/** A statement that servers which are only compatible may not know, and then need not. */
function ifKnown(statement: string): string {
  return `begin try\n  exec(${quoteText(statement)})\nend try\nbegin catch\nend catch`
}

/** ALTER on the queue is what TRUNCATE asks for; VIEW DEFINITION on the source what seeing its trigger asks for. */
function grants({ source, catalog }: Plan, user: string): string[] {
  const grantee = quoteName(user)
  return [
    `grant select on ${catalog.name} to ${grantee}`,
    ifKnown(`grant view definition on ${catalog.name} to ${grantee}`),
    ...(source.capture === 'tracking' ? [`grant view change tracking on ${catalog.name} to ${grantee}`] : []),
    `grant select, insert, delete on ${queueTable(source.resource)} to ${grantee}`,
    ifKnown(`grant alter on ${queueTable(source.resource)} to ${grantee}`),
    `grant select, insert, update on ${streamTable} to ${grantee}`,
    `grant select, insert, update, delete on ${sourceQuarantine} to ${grantee}`,
  ]
}
