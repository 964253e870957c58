/** What set-up makes in a SQLite file: the queue, its triggers, and the books of the supplying side. */
import type { SourceTable } from '../../database.ts'
import type { Plan } from './plan.ts'
import { queueName, quoteName, quoteText } from './sql.ts'

export const streamTable = 'qz_stream'
/** Bytes of an entry, about. */
export const entryBytes = 100

export const triggerEvents = ['insert', 'update', 'delete'] as const

export function triggerName(resource: string, event: (typeof triggerEvents)[number]): string {
  return `${queueName(resource).replace('qz_q_', 'qz_t_')}_${event[0]}`
}

const sharedTables = [
  `create table if not exists ${streamTable} (resource text not null primary key, epoch integer, seq integer, hash text, snapshot text,
  began_epoch integer, began_seq integer, after_key text, coverage text not null default '',
  set_up text)`,
  `create table if not exists qz_source_quarantine (resource text not null, key_hash text not null, key_text text not null, code text not null,
  item text, reason text, at text not null, primary key (resource, key_hash))`,
]

/** Readers and the application then do not wait for one another (sqlite.org/wal.html); it stays with the file. */
const journal = 'pragma journal_mode = wal'

export function setupStatements({ source, table, keys }: Plan): string[] {
  const queue = queueName(source.resource)
  return [
    journal,
    ...sharedTables,
    ...dropStatements(source),
    `create table ${queue} (id integer primary key autoincrement, ${keys.map((_, i) => `k${i + 1}`).join(', ')}, marked integer,
  at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))`,
    ...triggerEvents.map((event) =>
      trigger(
        source,
        table.name,
        keys.map(({ column }) => column),
        event,
      ),
    ),
    // What was changed between two set-ups was not seen: each leaves another mark in the fingerprint.
    `insert into ${streamTable} (resource, snapshot, set_up) values (${quoteText(source.resource)}, 'needed', hex(randomblob(8)))
  on conflict (resource) do update set snapshot = 'needed', set_up = excluded.set_up`,
  ]
}

/** As a trigger takes a row's key. */
export function keyValues(row: 'old' | 'new', keys: readonly string[]): string {
  return `select ${keys.map((key) => `${row}.${quoteName(key)}`).join(', ')}`
}

/** Keys are written as they are; beyond the limit only a mark. A statement that names the table by another spelling is seen all the same. */
function trigger(
  { resource, queueLimit }: SourceTable,
  table: string,
  keys: readonly string[],
  event: (typeof triggerEvents)[number],
): string {
  const queue = queueName(resource)
  const full = `(select max(id) from ${queue}) - (select min(id) from ${queue}) >= ${Math.max(1000, Math.floor(queueLimit / entryBytes))}`
  const columns = keys.map((_, i) => `k${i + 1}`).join(', ')
  const write = (row: 'old' | 'new') => `  insert into ${queue} (${columns}) ${keyValues(row, keys)} where not ifnull(${full}, 0);`
  const rows = { insert: ['new'], update: ['old', 'new'], delete: ['old'] } as const
  return `create trigger ${triggerName(resource, event)} after ${event} on ${quoteName(table)} for each row begin
${rows[event].map(write).join('\n')}
  insert into ${queue} (marked) select 1 where ${full} and not exists (select 1 from ${queue} where marked = 1);
end`
}

function dropStatements({ resource }: SourceTable): string[] {
  return [
    ...triggerEvents.map((event) => `drop trigger if exists ${triggerName(resource, event)}`),
    `drop table if exists ${queueName(resource)}`,
  ]
}

/** `there`: something was set up in the file before. */
export function teardownStatements(source: SourceTable, there: boolean): string[] {
  const mark = `update ${streamTable} set snapshot = 'needed', coverage = '' where resource = ${quoteText(source.resource)}`
  return [...dropStatements(source), ...(there ? [mark] : [])]
}
