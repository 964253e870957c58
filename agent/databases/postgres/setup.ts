/** The scripts of set-up and teardown: the queue, the trigger functions and the triggers of one source. */
import { createHash } from 'node:crypto'
import { quoteName, quoteText } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import { keyReading } from './rows.ts'
import type { Member, Table } from './table.ts'
import { logCoverage, logTable, triggerCoverage, unpublish } from './log/slot.ts'

/** Keys that one queue entry holds at most. */
export const entryKeys = 1000

/** Channel on which triggers wake a sleeping agent. */
export const channel = 'qianzhi'

/** Names made from a resource's code: safe in SQL, and never those of another resource. */
export function sourceNames(resource: string): { queue: string; statementFunction: string; rowFunction: string; trigger: string } {
  const hash = createHash('sha256').update(resource).digest('hex').slice(0, 8)
  const safe = `${resource.replaceAll(/[^a-z0-9]/g, '_').slice(0, 36)}_${hash}`
  return {
    queue: `qianzhi.q_${safe}`,
    statementFunction: `qianzhi.capture_${safe}`,
    rowFunction: `qianzhi.capture_row_${safe}`,
    trigger: `qianzhi_${safe}`,
  }
}

/** Tables that all sources of a database share. `sleeper.asleep_until`: while it lies ahead, triggers wake the agent by NOTIFY. */
const sharedTables = [
  'create schema if not exists qianzhi',
  `create table if not exists qianzhi.stream (
  resource text primary key, epoch bigint, seq bigint, hash text,
  snapshot text default 'needed', began_epoch bigint, began_seq bigint, after_key text, coverage text not null default '')`,
  `create table if not exists qianzhi.source_quarantine (
  resource text, key_hash text, key_text text not null, code text not null, item text, reason text,
  at timestamptz not null default now(), primary key (resource, key_hash))`,
  // What an older set-up made: the state of a snapshot stood in other columns, a key in quarantine was its text.
  `do $$ begin
  if exists (select from pg_attribute where attrelid = 'qianzhi.stream'::regclass and attname = 'snapshot_needed' and not attisdropped) then
    alter table qianzhi.stream add column snapshot text default 'needed';
    update qianzhi.stream set snapshot = case when snapshot_needed then 'needed' when snapshot_epoch is not null then 'running' end;
    alter table qianzhi.stream drop column snapshot_needed;
    alter table qianzhi.stream rename column snapshot_epoch to began_epoch;
    alter table qianzhi.stream rename column snapshot_seq to began_seq;
    alter table qianzhi.stream rename column snapshot_after to after_key;
    alter table qianzhi.source_quarantine drop constraint source_quarantine_pkey, add column key_hash text;
    update qianzhi.source_quarantine set key_hash = encode(sha256(convert_to(key, 'UTF8')), 'hex');
    alter table qianzhi.source_quarantine rename column key to key_text;
    alter table qianzhi.source_quarantine add primary key (resource, key_hash);
  end if;
end $$`,
  'create table if not exists qianzhi.sleeper (id boolean primary key default true check (id), asleep_until timestamptz)',
  'insert into qianzhi.sleeper default values on conflict do nothing',
]

/** A source that goes from one way of capture to another without a gap: what covered it until now, as JSON. Its queue and its place stay. */
export interface Move {
  from: string
}

/**
 * One transaction, so that the application never meets a trigger without its queue. The mark "snapshot needed" comes with the
 * triggers: whatever was written before them is found by that snapshot. Locks are waited for 5 s at most: a script that fails can be
 * run again.
 */
export function setupScript(
  source: SourceTable,
  table: Table,
  members: readonly Member[],
  { runtimeUser, move }: { runtimeUser?: string | undefined; move?: Move | undefined },
): string[] {
  const { queue, statementFunction, rowFunction, trigger } = sourceNames(source.resource)
  const keys = keyReading(source, table)
  return [
    'begin',
    `set local lock_timeout = '5s'`,
    ...sharedTables,
    ...(move ? logTable : []),
    `drop function if exists ${statementFunction}() cascade`,
    `drop function if exists ${rowFunction}() cascade`,
    ...(move ? [] : queueScript(source, keys)),
    triggerFunction(statementFunction, keys, statementBody(queue, keys, source.queueLimit)),
    triggerFunction(rowFunction, keys, rowBody(queue, keys, source.queueLimit)),
    ...triggers(table, members, trigger, { statementFunction, rowFunction }),
    ...(move ? [moved(source, move, triggerCoverage(table.oid, trigger))] : [newStream(source)]),
    ...(runtimeUser ? grants(source, table, quoteName(runtimeUser)) : []),
    'commit',
  ]
}

/**
 * The same where the log is read (log/slot.ts). `publish` begins the reading; triggers that were there go after it, so that a source which is
 * moved is never without either.
 */
export function logScript(
  source: SourceTable,
  table: Table,
  publish: readonly string[],
  { runtimeUser, move }: { runtimeUser?: string | undefined; move?: Move | undefined },
): string[] {
  const { queue, statementFunction, rowFunction } = sourceNames(source.resource)
  const keys = keyReading(source, table)
  return [
    'begin',
    `set local lock_timeout = '5s'`,
    ...sharedTables,
    ...logTable,
    ...(move ? [] : queueScript(source, keys)),
    `comment on table ${queue} is ${quoteText(keysOfQueue(keys))}`,
    ...(runtimeUser ? logGrants(source, table, quoteName(runtimeUser)) : []),
    'commit',
    ...publish,
    'begin',
    `set local lock_timeout = '5s'`,
    `drop function if exists ${statementFunction}() cascade`,
    `drop function if exists ${rowFunction}() cascade`,
    move ? moved(source, move, logCoverage(source.resource, table.oid)) : newStream(source),
    'commit',
  ]
}

/** The key that a queue was made for. */
export function keysOfQueue(keys: readonly Pick<KeyColumn, 'column'>[]): string {
  return JSON.stringify(keys.map(({ column }) => column))
}

function queueScript({ resource }: SourceTable, keys: readonly KeyColumn[]): string[] {
  const { queue } = sourceNames(resource)
  const places = keys.map((_, i) => `k${i + 1}`)
  return [
    `drop table if exists ${queue}`,
    `create table ${queue} (
  id uuid primary key default gen_random_uuid(), at timestamptz not null default clock_timestamp(), cause text, ${places.map((place) => `${place} text[]`).join(', ')},
  check (num_nulls(${places.join(', ')}) in (0, ${places.length}))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)`,
    `create index on ${queue} (cause) where cause is not null`,
  ]
}

function newStream({ resource }: SourceTable): string {
  return `insert into qianzhi.stream (resource) values (${quoteText(resource)})
on conflict (resource) do update set snapshot = 'needed', began_epoch = null, began_seq = null, after_key = null, coverage = ''`
}

function moved({ resource }: SourceTable, { from }: Move, to: string): string {
  return `update qianzhi.stream set moved_from = ${quoteText(from)}, moved_to = ${to} where resource = ${quoteText(resource)}`
}

/** Undone whether or not the table is still there: dropping the functions drops the triggers. Makes nothing where nothing was set up. */
export function teardownScript(source: SourceTable, table: string | undefined): string[] {
  const { queue, statementFunction, rowFunction } = sourceNames(source.resource)
  return [
    'begin',
    `set local lock_timeout = '5s'`,
    `do $$ begin
  if to_regnamespace('qianzhi') is null then return; end if;
${unpublish(table === undefined ? [] : [table])}  drop function if exists ${statementFunction}() cascade;
  drop function if exists ${rowFunction}() cascade;
  drop table if exists ${queue};
  if to_regclass('qianzhi.stream') is null then return; end if;
  delete from qianzhi.stream where resource = ${quoteText(source.resource)};
  delete from qianzhi.source_quarantine where resource = ${quoteText(source.resource)};
  if not exists (select from qianzhi.stream) then
    drop table qianzhi.stream, qianzhi.source_quarantine, qianzhi.sleeper;
    drop table if exists qianzhi.log;
    if not exists (select from pg_class where relnamespace = 'qianzhi'::regnamespace) then drop schema qianzhi; end if;
  end if;
end $$`,
    'commit',
  ]
}

interface KeyColumn {
  column: string
  cast: string
}

/**
 * The application's session settings must not change how a key is written, nor which functions are called; of these, only those
 * that the key's types read are fixed, because each costs something at every call.
 */
function triggerFunction(name: string, keys: readonly KeyColumn[], body: string): string {
  const fixed = ['search_path = pg_catalog, pg_temp']
  if (keys.some((key) => /^(date|timestamp)/.test(key.cast))) fixed.push(`datestyle = 'ISO, YMD'`)
  if (keys.some((key) => key.cast.includes('with time zone'))) fixed.push(`timezone = 'UTC'`)
  return `create or replace function ${name}() returns trigger language plpgsql security definer ${fixed.map((one) => `set ${one}`).join(' ')} as $qianzhi$
${body}$qianzhi$`
}

/**
 * Over the limit nothing but one mark is written. A transaction that finds the mark and writes nothing keeps its lock on the queue to
 * its end, so that `collapse`, which needs the queue for itself, cannot remove the mark before that transaction's rows can be read.
 * Under a snapshot older than a collapse the mark could still be seen: there each statement writes its own.
 */
function limitCheck(queue: string, limit: number): string {
  return `  if pg_relation_size('${queue}') > ${limit} then
    lock table ${queue} in row exclusive mode;
    if current_setting('transaction_isolation') <> 'read committed' or not exists (select from ${queue} where cause = 'limit') then
      insert into ${queue} (cause) values ('limit');
    end if;
    return null;
  end if;
`
}

const wake = `  if exists (select from qianzhi.sleeper where asleep_until > clock_timestamp()) then
    perform pg_notify('${channel}', '');
  end if;
`

/** How a trigger reads the keys of changed rows: by it one tells which key a trigger was made for. */
export function readKeys(keys: readonly Pick<KeyColumn, 'column'>[], rows: string): string {
  return `select ${keys.map(({ column }, i) => `${quoteName(column)}::text collate "C" as k${i + 1}`).join(', ')} from ${rows}`
}

/**
 * Keys are read inside an exception block that writes nothing (so it takes no transaction id): what fails there, such as a key
 * column renamed under the trigger, becomes a mark and the application's statement goes on.
 */
function statementBody(queue: string, keys: readonly KeyColumn[], limit: number): string {
  const places = keys.map((_, i) => `k${i + 1}`)
  const list = places.join(', ')
  const read = (rows: string) => readKeys(keys, rows)
  const branch = (event: string, rows: string) => `  if tg_op = '${event}' then
    begin
      select count(*), ${places.map((place) => `array_agg(${place})`).join(', ')} into n, ${places.map((place) => `a_${place}`).join(', ')}
        from (${rows} limit ${entryKeys + 1}) s;
    exception when others then n := -1;
    end;
    if n > ${entryKeys} then
      insert into ${queue} (${list}) select ${places.map((place) => `array_agg(${place})`).join(', ')}
        from (select (row_number() over () - 1) / ${entryKeys} as part, ${list} from (${rows}) s) s group by part;
    end if;
  end if;
`
  return `#variable_conflict use_column
declare n bigint := -1; ${places.map((place) => `a_${place} text[];`).join(' ')}
begin
${limitCheck(queue, limit)}${branch('INSERT', read('qz_new'))}${branch('UPDATE', `${read('qz_new')} union ${read('qz_old')}`)}${branch('DELETE', read('qz_old'))}  if n between 1 and ${entryKeys} then
    insert into ${queue} (${list}) values (${places.map((place) => `a_${place}`).join(', ')});
  elsif n = 0 then
    return null;
  elsif n < 0 then
    insert into ${queue} (cause) values (lower(tg_op));
  end if;
${wake}  return null;
end `
}

/** For tables that a subscription fills: its apply worker fires row triggers only. */
function rowBody(queue: string, keys: readonly KeyColumn[], limit: number): string {
  const places = keys.map((_, i) => `k${i + 1}`)
  const assign = (rows: readonly string[]) =>
    keys.map(({ column }, i) => `a_k${i + 1} := array[${rows.map((row) => `${row}.${quoteName(column)}::text`).join(', ')}];`).join(' ')
  return `#variable_conflict use_column
declare ${places.map((place) => `a_${place} text[];`).join(' ')} failed boolean := false;
begin
${limitCheck(queue, limit)}  begin
    if tg_op = 'INSERT' then ${assign(['new'])}
    elsif tg_op = 'DELETE' then ${assign(['old'])}
    elsif tg_op = 'UPDATE' then ${assign(['new', 'old'])}
    end if;
  exception when others then failed := true;
  end;
  if failed then insert into ${queue} (cause) values (lower(tg_op));
  else insert into ${queue} (${places.join(', ')}) values (${places.map((place) => `a_${place}`).join(', ')});
  end if;
${wake}  return null;
end `
}

/**
 * `enable always`: also where `session_replication_role` is replica. A statement fires the triggers of the table that it names, so every
 * member has its own; row triggers of a partitioned table are copied to its partitions by the server.
 */
function triggers(
  table: Table,
  members: readonly Member[],
  trigger: string,
  { statementFunction, rowFunction }: { statementFunction: string; rowFunction: string },
): string[] {
  const each = `for each statement execute function ${statementFunction}()`
  const byRow = members.some((member) => member.subscribed)
  const script: string[] = []
  for (const { name } of members) {
    const create = (event: string, tables: string): void => {
      script.push(`create trigger ${trigger}_${event} after ${event} on ${name} ${tables}${each}`)
    }
    create('truncate', '')
    if (byRow) {
      if (table.kind === 'p' && name !== members[0]!.name) continue
      script.push(
        `create trigger ${trigger}_row after insert or update or delete on ${name} for each row execute function ${rowFunction}()`,
      )
    } else {
      create('insert', 'referencing new table as qz_new ')
      create('update', 'referencing old table as qz_old new table as qz_new ')
      create('delete', 'referencing old table as qz_old ')
    }
  }
  const events = byRow ? ['truncate', 'row'] : ['truncate', 'insert', 'update', 'delete']
  for (const { name } of members) {
    script.push(`alter table ${name} ${events.map((event) => `enable always trigger ${trigger}_${event}`).join(', ')}`)
  }
  return script
}

function logGrants(source: SourceTable, table: Table, user: string): string[] {
  return [...grants(source, table, user), `grant select, update on qianzhi.log to ${user}`, `alter role ${user} replication`]
}

function grants(source: SourceTable, table: Table, user: string): string[] {
  const columns = [...new Set(source.columns.map(({ column }) => quoteName(column)))].join(', ')
  return [
    `grant usage on schema ${quoteName(table.schema)}, qianzhi to ${user}`,
    `grant select (${columns}) on ${table.name} to ${user}`,
    `grant select, update on qianzhi.stream, qianzhi.sleeper to ${user}`,
    `grant select, insert, update, delete on qianzhi.source_quarantine to ${user}`,
    `grant select, insert, delete, truncate on ${sourceNames(source.resource).queue} to ${user}`,
  ]
}
