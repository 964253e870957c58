/** What set-up makes for a source: the tables in which the agent remembers, one queue, its sequence and one trigger. */
import { madeName, quoteName, quoteText, textType, unlessError, type Flavour } from './sql.ts'
import type { SourceTable } from '../../database.ts'
import { lockTableStatements } from './lock.ts'
import { sourceNames } from './names.ts'
import type { Plan } from './plan.ts'
import { ceilingTable, triggerStatement } from './trigger.ts'

export const streamTable = 'QZ_STREAM'
export const sourceQuarantine = 'QZ_SOURCE_QUARANTINE'

/** About the bytes of one entry with its key, its row's own overhead and its index. */
export const entryBytes = 100

/** Seconds that set-up waits for transactions that are at work in the table. */
const lockSeconds = 5

/** Entries until a queue is full. */
export function queueEntries({ queueLimit }: SourceTable): number {
  return Math.max(1000, Math.floor(queueLimit / entryBytes))
}

function stateTables(owner: string, flavour: Flavour): string[] {
  const own = (name: string) => `${quoteName(owner)}.${quoteName(name)}`
  const long = textType(undefined, flavour)
  return [
    `create table ${own(streamTable)} (
  resource_code varchar2(64) not null primary key, epoch number(19), seq number(19), hash varchar2(64),
  snapshot varchar2(10), began_epoch number(19), began_seq number(19), after_key ${long}, coverage varchar2(64)
)`,
    `create table ${own(sourceQuarantine)} (
  resource_code varchar2(64) not null, key_hash varchar2(64) not null, key_text ${long} not null,
  code varchar2(40) not null, item varchar2(64), reason ${textType(1000, flavour)}, written_at timestamp(6) not null,
  primary key (resource_code, key_hash)
)`,
    `create table ${own(ceilingTable)} (
  queue_name varchar2(30) not null primary key, ceiling number(19) not null
)`,
  ].map((statement) => unlessError(-955, statement))
}

/**
 * Triggers go first and come last: while the queue is made anew the application's statements find none. A trigger does not see what a
 * transaction did before it was made; so set-up waits for those to end, and only then is the snapshot asked for that finds their rows.
 * DDL commits; the script is run again where one of its statements failed.
 */
export function setupStatements(plan: Plan, owner: string, flavour: Flavour): string[] {
  const { source, catalog } = plan
  const names = sourceNames(source.resource)
  const own = (name: string) => `${quoteName(owner)}.${quoteName(name)}`
  const resource = quoteText(source.resource)
  return [
    ...lockTableStatements(owner),
    ...stateTables(owner, flavour),
    ...dropStatements(source, owner),
    `create sequence ${own(names.sequence)} start with 1 increment by 1 cache 1000`,
    queueTable(plan, owner, flavour),
    `create index ${own(names.marks)} on ${own(names.queue)} (marked)`,
    merge(own(ceilingTable), { queue_name: quoteText(names.queue) }, { ceiling: String(queueEntries(source)) }),
    triggerStatement(plan, owner, flavour),
    `lock table ${catalog.name} in share mode wait ${lockSeconds}`,
    'commit',
    merge(own(streamTable), { resource_code: resource }, { snapshot: `'needed'` }),
    'commit',
  ]
}

/** Where nothing was set up, nothing is made. */
export function teardownStatements(source: SourceTable, owner: string): string[] {
  const names = sourceNames(source.resource)
  const own = (name: string) => `${quoteName(owner)}.${quoteName(name)}`
  return [
    ...dropStatements(source, owner),
    unlessError(-942, `delete from ${own(ceilingTable)} where queue_name = ${quoteText(names.queue)}`),
    unlessError(
      -942,
      `update ${own(streamTable)} set snapshot = 'needed', coverage = null where resource_code = ${quoteText(source.resource)}`,
    ),
    'commit',
  ]
}

function dropStatements({ resource }: SourceTable, owner: string): string[] {
  const names = sourceNames(resource)
  const own = (name: string) => `${quoteName(owner)}.${quoteName(name)}`
  return [
    unlessError(-4080, `drop trigger ${own(names.trigger)}`),
    unlessError(-942, `drop table ${own(names.queue)} purge`),
    unlessError(-2289, `drop sequence ${own(names.sequence)}`),
  ]
}

/** Key columns are wide text, so that a key widened in the source still fits. Only marks are in the index of marks. */
function queueTable({ source, keys }: Plan, owner: string, flavour: Flavour): string {
  const text = flavour.unicode ? 'varchar2(1000 char)' : 'nvarchar2(1000)'
  const columns = keys.map((_, i) => `k${i + 1} ${text}`)
  return `create table ${quoteName(owner)}.${quoteName(sourceNames(source.resource).queue)} (
  id number(19) not null primary key, ${columns.join(', ')},
  marked number(1), written_at timestamp(3) default sys_extract_utc(systimestamp) not null
)`
}

function merge(table: string, key: Record<string, string>, values: Record<string, string>): string {
  const [[name, value]] = Object.entries(key) as [[string, string]]
  const set = Object.entries(values)
  return `merge into ${table} t using (select ${value} as k from dual) s on (t.${name} = s.k)
when matched then update set ${set.map(([column, to]) => `t.${column} = ${to}`).join(', ')}
when not matched then insert (t.${name}, ${set.map(([column]) => `t.${column}`).join(', ')}) values (s.k, ${set.map(([, to]) => to).join(', ')})`
}

/** All that is ours belongs to the running account; of the table it needs to read. */
export function grantStatements({ catalog }: Plan, runtimeUser: string): string[] {
  return [`grant select on ${catalog.name} to ${quoteName(madeName(runtimeUser))}`]
}
