/** The statements of capture: the queue of one source, and what is remembered of its stream. Pure: no connection, no I/O. */
import type { ChainPosition } from '../../../protocol/position.ts'
import { quoteText } from './sql.ts'
import type { StreamState } from '../../database.ts'
import type { Binds } from './connection.ts'
import { sourceNames } from './names.ts'
import { sourceQuarantine, streamTable } from './setup.ts'
import { ceilingTable } from './trigger.ts'

/** A table of ours, qualified and quoted. */
export type Own = (name: string) => string

export function state(own: Own, resource: string): string {
  return `select s.epoch, s.seq, s.hash, s.snapshot, s.began_epoch, s.began_seq, s.after_key, s.coverage,
  (select count(*) from ${own(sourceQuarantine)} q where q.resource_code = s.resource_code)
from ${own(streamTable)} s where s.resource_code = ${resource}`
}

export function queues(owner: string): string {
  return `select table_name from all_tables where owner = ${owner} and table_name like 'QZ\\_Q\\_%' escape '\\' and dropped = 'NO'`
}

/** By the primary key: the emptied blocks of a queue that was long would be read otherwise, every time. */
export function waiting(own: Own, resources: readonly string[]): string {
  return resources
    .map((resource) => {
      const queue = own(sourceNames(resource).queue)
      return `select ${quoteText(resource)} from dual where exists (select /*+ index(q (id)) */ 1 from ${queue} q where q.id > 0)`
    })
    .join('\nunion all ')
}

export function take(own: Own, resource: string, keys: number, limit: string): string {
  const columns = Array.from({ length: keys }, (_, i) => `q.k${i + 1}`).join(', ')
  return `select * from (
select /*+ index(q (id)) */ q.id, q.marked, ${columns} from ${own(sourceNames(resource).queue)} q order by q.id
) where rownum <= ${limit}`
}

export function raiseCeiling(own: Own, ceiling: string, queue: string, lowest: string): string {
  return `update ${own(ceilingTable)} set ceiling = ${ceiling} where queue_name = ${queue} and ceiling < ${lowest}`
}

/** Placeholders: the entry. */
export function deleteEntry(own: Own, resource: string): string {
  return `delete from ${own(sourceNames(resource).queue)} where id = to_number(:1)`
}

/** Placeholders: the key's texts. */
export function enqueue(own: Own, resource: string, keys: number): string {
  const { queue, sequence } = sourceNames(resource)
  const places = Array.from({ length: keys }, (_, i) => i + 1)
  const columns = places.map((place) => `k${place}`).join(', ')
  return `insert into ${own(queue)} (id, ${columns}) values (${own(sequence)}.nextval, ${places.map((place) => `:${place}`).join(', ')})`
}

export interface Move {
  to: ChainPosition
  /** undefined: from wherever it is. */
  from: ChainPosition | null | undefined
  snapshot: StreamState['snapshot'] | undefined
}

export function move(own: Own, resource: string, binds: Binds, { to, from, snapshot }: Move): string {
  const set = [`epoch = ${binds.number(to.epoch)}`, `seq = ${binds.number(to.seq)}`, `hash = ${binds.code(to.hash)}`]
  if (snapshot !== undefined) set.push(...snapshotChange(binds, snapshot))
  return `update ${own(streamTable)} set ${set.join(', ')}
where resource_code = ${binds.code(resource)}${from === undefined ? '' : ` and ${standsAt(binds, from)}`}`
}

function standsAt(binds: Binds, from: ChainPosition | null): string {
  if (!from) return 'epoch is null and seq is null and hash is null'
  return `epoch = ${binds.number(from.epoch)} and seq = ${binds.number(from.seq)} and hash = ${binds.code(from.hash)}`
}

function snapshotChange(binds: Binds, snapshot: StreamState['snapshot']): string[] {
  if (snapshot === null || snapshot === 'needed')
    return [`snapshot = ${snapshot ? `'needed'` : 'null'}`, 'began_epoch = null', 'began_seq = null', 'after_key = null']
  const { began, after } = snapshot
  return [
    `snapshot = 'running'`,
    `began_epoch = ${binds.number(began.epoch)}`,
    `began_seq = ${binds.number(began.seq)}`,
    `after_key = ${binds.text(JSON.stringify(after))}`,
  ]
}

/** Placeholders: resource, hash of the key. */
export function clearQuarantine(own: Own): string {
  return `delete from ${own(sourceQuarantine)} where resource_code = :1 and key_hash = :2`
}

/** `epoch`: unless a snapshot that began in it is running. */
export function emptyQuarantine(own: Own, resource: string, binds: Binds, epoch: number | undefined): string {
  const text = `delete from ${own(sourceQuarantine)} where resource_code = ${binds.code(resource)}`
  if (epoch === undefined) return text
  return `${text}
and not exists (select 1 from ${own(streamTable)} where resource_code = ${binds.code(resource)} and began_epoch = ${binds.number(epoch)})`
}

/** Placeholders: resource, hash of the key, code, item, reason, key. */
export function addFault(own: Own): string {
  return `insert into ${own(sourceQuarantine)} (resource_code, key_hash, code, item, reason, written_at, key_text)
values (:1, :2, :3, :4, :5, sys_extract_utc(systimestamp), :6)`
}

export function markStream(
  own: Own,
  resource: string,
  binds: Binds,
  { snapshot, coverage }: { snapshot?: 'needed' | undefined; coverage?: string | undefined },
): string {
  const key = binds.code(resource)
  const values: [string, () => string][] = []
  if (snapshot) values.push(['snapshot', () => `'needed'`])
  if (coverage !== undefined) values.push(['coverage', () => binds.code(coverage)])
  const set = values.map(([column, value]) => `t.${column} = ${value()}`)
  const columns = values.map(([column]) => `t.${column}`)
  return `merge into ${own(streamTable)} t using (select ${key} as k from dual) s on (t.resource_code = s.k)
when matched then update set ${set.join(', ')}
when not matched then insert (t.resource_code, ${columns.join(', ')}) values (s.k, ${values.map(([, value]) => value()).join(', ')})`
}

/** Entries up to `bound`, and when the oldest of them was written, in UTC. */
export function backlog(own: Own, resource: string, bound: string): string {
  const queue = own(sourceNames(resource).queue)
  return `select count(*), to_char(min(written_at), 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') from (
select /*+ index(q (id)) */ q.written_at from ${queue} q where q.id > 0 and rownum <= ${bound}
)`
}
