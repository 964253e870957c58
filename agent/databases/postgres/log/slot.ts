/**
 * The slot by which one database's log is read, the publication that says what of it, and what is written down of both.
 *
 *     application's commit ──▶ log ──▶ slot, publication (keys only) ──▶ LogReader ──▶ queue ──▶ as with triggers
 *
 * One slot a database. `qianzhi.log` holds up to where the queues have everything (`lsn`), and how often the thread was lost (`generation`):
 * a slot that is gone, was invalidated or stands behind that place has let changes pass, so a new one begins a new generation, and with it
 * every stream's snapshot, by way of the fingerprint of what covers it.
 */
import type { LocalizedText } from '../../../../protocol/localized.ts'
import type { SourceTable } from '../../../database.ts'
import { sqlState, type Connection } from '../connection.ts'
import { quoteName, quoteText } from '../sql.ts'
import { tableMembers, type Table } from '../table.ts'

export const publication = 'qianzhi'

/** Slots belong to the server: each database has its own. */
export const slotName = `('qianzhi_' || (select oid from pg_database where datname = current_database()))`

/** Since then a publication may name columns. */
const namesColumns = 150_000

export const logTable = [
  'create table if not exists qianzhi.log (id boolean primary key default true check (id), lsn pg_lsn, generation bigint not null default 0)',
  'insert into qianzhi.log default values on conflict do nothing',
  // What covers a source after it was moved here from another mode: `moved_from` goes on counting while `moved_to` holds.
  'alter table qianzhi.stream add column if not exists moved_from text, add column if not exists moved_to text',
  // How often the log was read while the source was not among those that it is read for.
  'alter table qianzhi.stream add column if not exists missed bigint not null default 0',
]

/** Why a server's log cannot be read, or may not be; undefined where it can. */
export async function unreadableLog(connection: Connection): Promise<LocalizedText | undefined> {
  const [row] = await connection.query(
    `select current_setting('wal_level'), current_setting('max_slot_wal_keep_size'),
       (select count(*) from pg_replication_slots where slot_name <> ${slotName}) < current_setting('max_replication_slots')::int,
       pg_is_in_recovery()`,
  )
  const [level, keep, room, standby] = row!
  if (standby === 't') return { zh: '备库上不能读取日志：请连接主库', en: 'the log is not read on a standby: connect to the primary' }
  if (level !== 'logical')
    return {
      zh: `wal_level = ${level}：请 DBA 执行 alter system set wal_level = 'logical' 并重启服务器，或改用触发器（capture: triggers）`,
      en: `wal_level = ${level}: have the DBA run alter system set wal_level = 'logical' and restart the server, or take triggers (capture: triggers)`,
    }
  if (keep === '-1')
    return {
      zh: `max_slot_wal_keep_size = -1：代理停机期间复制槽会占满磁盘。请 DBA 执行 alter system set max_slot_wal_keep_size = '10GB'; select pg_reload_conf()，或改用触发器（capture: triggers）`,
      en: `max_slot_wal_keep_size = -1: while the agent is away a slot could fill the disk. Have the DBA run alter system set max_slot_wal_keep_size = '10GB'; select pg_reload_conf(), or take triggers (capture: triggers)`,
    }
  if (room !== 't')
    return {
      zh: '复制槽已用完（max_replication_slots）：请 DBA 增大后重启服务器，或改用触发器（capture: triggers）',
      en: 'no replication slot is left (max_replication_slots): have the DBA allow more and restart the server, or take triggers (capture: triggers)',
    }
  return undefined
}

/** Why a table's keys cannot be told by the log; undefined where they can. */
export async function unloggedKeys(connection: Connection, source: SourceTable, table: Table): Promise<LocalizedText | undefined> {
  const members = await tableMembers(connection, table.oid)
  if (table.kind === 'r' && members.length > 1)
    return {
      zh: '有表继承自该表：请改用触发器（capture: triggers）',
      en: 'other tables inherit from it: take triggers (capture: triggers)',
    }
  const identities = await connection.query(identityQuery, [members.map(({ oid }) => oid)])
  const keys = source.columns.flatMap(({ item, column }) => (item.key ? [column] : []))
  for (const [name, kind, persistence, identity, columns] of identities) {
    if (persistence !== 'p')
      return {
        zh: `${name} 是 UNLOGGED 表，日志中没有它：请 DBA 执行 alter table ${name} set logged`,
        en: `${name} is UNLOGGED, the log does not have it: have the DBA run alter table ${name} set logged`,
      }
    if (kind === 'p' || identity === 'f') continue
    const told = JSON.parse(columns!) as string[]
    if (keys.every((key) => told.includes(key))) continue
    return {
      zh: `${name} 的复制标识（REPLICA IDENTITY）不含键列 (${keys.join(', ')})：请 DBA 以该键的唯一索引执行 alter table ${name} replica identity using index …，或改用触发器（capture: triggers）`,
      en: `the replica identity of ${name} lacks key columns (${keys.join(', ')}): have the DBA run alter table ${name} replica identity using index … over the key's unique index, or take triggers (capture: triggers)`,
    }
  }
  return undefined
}

/** Of each table: name, kind, persistence, replica identity, and the columns that are it. */
const identityQuery = `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind, c.relpersistence, c.relreplident,
    array_to_json(array(select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey::int2[])
      where i.indrelid = c.oid and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end))::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::oid[])`

/** Columns that travel: those of the replica identity, of which the key is a part. Undefined for all: where that is the row, or none can be named. */
async function loggedColumns(connection: Connection, table: Table): Promise<string[] | undefined> {
  const [row] = await connection.query(`select current_setting('server_version_num')::int >= ${namesColumns}`)
  // Columns of a partitioned table do not hold for its partitions, whose own changes are read.
  if (row![0] !== 't' || table.kind === 'p') return undefined
  const [identity] = await connection.query(identityQuery, [[table.oid]])
  return identity![3] === 'f' ? undefined : (JSON.parse(identity![4]!) as string[])
}

/** The publication takes the table where it has it not, or not with these columns; a slot begins where there is none: not in a transaction that writes. */
export async function publishScript(connection: Connection, table: Table): Promise<string[]> {
  const columns = await loggedColumns(connection, table)
  const numbers = columns?.map((column) => table.columns.get(column)!.number).toSorted((a, b) => a - b)
  const list = columns ? ` (${columns.map(quoteName).join(', ')})` : ''
  return [
    'begin',
    `set local lock_timeout = '5s'`,
    `do $$ begin
  if not exists (select from pg_publication where pubname = '${publication}') then create publication ${publication}; end if;
  if not exists (${publishedOf(quoteText(table.name))} and coalesce(to_jsonb(r) -> 'prattrs', 'null') = '${JSON.stringify(numbers ?? null)}') then
    if exists (${publishedOf(quoteText(table.name))}) then alter publication ${publication} drop table ${table.name}; end if;
    alter publication ${publication} add table ${table.name}${list};
  end if;
end $$`,
    'commit',
    // Whoever else reads by a slot that is gone has missed something.
    `update qianzhi.log set lsn = null, generation = generation + 1 where not exists (select from pg_replication_slots where slot_name = ${slotName})`,
    `set lock_timeout = '60s'`,
    `select pg_create_logical_replication_slot(${slotName}, 'pgoutput')
where not exists (select from pg_replication_slots where slot_name = ${slotName})`,
    `set lock_timeout = 0`,
    `update qianzhi.log set lsn = (select confirmed_flush_lsn from pg_replication_slots where slot_name = ${slotName}) where lsn is null`,
  ]
}

function publishedOf(table: string): string {
  return `select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where p.pubname = '${publication}' and r.prrelid = to_regclass(${table})`
}

/** PL/pgSQL: these tables are not published any more, and with the last one slot and publication go. */
export function unpublish(tables: readonly string[]): string {
  const drops = tables.map(
    (table) =>
      `if exists (${publishedOf(quoteText(table))}) then execute ${quoteText(`alter publication ${publication} drop table ${table}`)}; end if;`,
  )
  return `  if exists (select from pg_publication where pubname = '${publication}') then
    ${drops.join('\n    ')}
    if not exists (select from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where p.pubname = '${publication}') then
      drop publication ${publication};
      perform pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = ${slotName} and active;
      for turn in 1..100 loop
        exit when not exists (select from pg_replication_slots where slot_name = ${slotName} and active);
        perform pg_sleep(0.05);
      end loop;
      perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slotName};
      if to_regclass('qianzhi.log') is not null then delete from qianzhi.log; insert into qianzhi.log default values; end if;
    end if;
  end if;
`
}

/** SQL of what covers a source in this mode, null where nothing does: since when it is published, of which generation the slot is, and how each table is logged. */
export function logCoverage(resource: string, oid: string): string {
  return `(select concat_ws(' ', 'log', l.generation, (select missed from qianzhi.stream where resource = ${quoteText(resource)}), r.oid, r.xmin, (${membersOf(oid)}
      select string_agg(concat_ws(' ', c.oid, c.relpersistence, c.relreplident,
        (select string_agg(i.indexrelid::text, ' ' order by i.indexrelid) from pg_index i where i.indrelid = c.oid and (i.indisprimary or i.indisreplident))), ',' order by c.oid)
      from tree join pg_class c on c.oid = tree.oid))
    from qianzhi.log l, pg_publication_rel r join pg_publication p on p.oid = r.prpubid
    where p.pubname = '${publication}' and p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate and not p.pubviaroot and r.prrelid = ${oid}::oid)`
}

/** The same of triggers. `trigger`: what their names begin with. */
export function triggerCoverage(oid: string, trigger: string): string {
  return `(${membersOf(oid)}
    select string_agg(concat_ws(' ', tree.oid, t.oid, t.xmin, t.tgenabled, f.oid, f.xmin), ',' order by tree.oid, t.oid)
    from tree left join pg_trigger t on t.tgrelid = tree.oid and starts_with(t.tgname, ${quoteText(`${trigger}_`)}) left join pg_proc f on f.oid = t.tgfoid)`
}

function membersOf(oid: string): string {
  return `with recursive tree(oid) as (select ${oid}::oid union select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid)`
}

export interface Slot {
  name: string
  /** Where its reading goes on. */
  confirmed: bigint
}

/** OIDs of the tables of which the log tells; none where nothing was set up. */
export async function publishedTables(connection: Connection): Promise<Set<string>> {
  const rows = await connection.query(
    `select r.prrelid from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
     where p.pubname = '${publication}' and to_regclass('qianzhi.log') is not null`,
  )
  return new Set(rows.map(([oid]) => oid!))
}

/** The slot, where everything after the place that is written down is still to be had. */
async function foundSlot(connection: Connection): Promise<{ name: string; there: boolean; sound: Slot | undefined }> {
  const [row] = await connection.query(
    `select n.name, s.slot_name is not null, s.confirmed_flush_lsn - '0/0',
       s.plugin = 'pgoutput' and s.database = current_database() and s.wal_status <> 'lost' and s.confirmed_flush_lsn <= l.lsn
     from (select ${slotName} as name) n left join qianzhi.log l on true left join pg_replication_slots s on s.slot_name = n.name`,
  )
  const [name, there, confirmed, sound] = row!
  return { name: name!, there: there === 't', sound: sound === 't' ? { name: name!, confirmed: BigInt(confirmed!) } : undefined }
}

/** Else a new one, of a new generation. Throws what the server says where it cannot be made. */
export async function soundSlot(connection: Connection): Promise<Slot> {
  const { name, there, sound } = await foundSlot(connection)
  if (sound) return sound
  await connection.script(`set lock_timeout = '60s'`)
  if (there) await dropSlot(connection, name)
  await connection.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
  const [made] = await connection.query(
    `update qianzhi.log set generation = generation + 1, lsn = s.confirmed_flush_lsn from pg_replication_slots s where s.slot_name = $1
     returning lsn - '0/0'`,
    [name],
  )
  return { name, confirmed: BigInt(made![0]!) }
}

/**
 * What is left to be read for sources that have triggers by now. Where the thread was lost before, what covered them does not count any more,
 * which is a snapshot.
 */
export async function restOf(connection: Connection, sources: readonly SourceTable[]): Promise<Slot | undefined> {
  const { sound } = await foundSlot(connection)
  if (sound) return sound
  const [lost] = await connection.query('update qianzhi.log set lsn = null where lsn is not null returning true')
  if (lost)
    await connection.query('update qianzhi.stream set moved_from = null, moved_to = null where resource = any($1)', [
      sources.map(({ resource }) => resource),
    ])
  return undefined
}

/** What the log says of sources that it is not read for now is passed over: whoever comes back has missed something. */
export async function noteMissed(connection: Connection, sources: readonly SourceTable[]): Promise<void> {
  await connection.query('update qianzhi.stream set missed = missed + 1 where not resource = any($1)', [
    sources.map(({ resource }) => resource),
  ])
}

/** All is read that was to be read. */
export async function endSlot(connection: Connection, { name }: Slot): Promise<void> {
  await connection.query('update qianzhi.log set lsn = null')
  await dropSlot(connection, name)
}

export async function dropSlot(connection: Connection, name: string): Promise<void> {
  await freeSlot(connection, name)
  await connection.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [name])
}

/** The session of an agent that was killed may hold it until the server notices. */
export async function freeSlot(connection: Connection, name: string): Promise<void> {
  for (let turn = 0; turn < 100; turn++) {
    const ended = await connection
      .query(
        'select pg_terminate_backend(active_pid), pg_sleep(0.05) from pg_replication_slots where slot_name = $1 and active_pid is not null',
        [name],
      )
      .catch((error: unknown) => {
        if (sqlState(error) === '42501') throw error
        return []
      })
    if (ended.length === 0) return
  }
}
