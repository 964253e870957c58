/** The statements of capture: the queue of one source, and what is remembered of its stream. Pure: no connection, no I/O. */
import { quoteText } from './sql.ts'
import { sourceNames } from './names.ts'
import { ceilingTable } from './trigger.ts'

/** A table of ours, qualified and quoted. */
export type Own = (name: string) => string

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

/** Entries up to `bound`, and when the oldest of them was written, in UTC. */
export function backlog(own: Own, resource: string, bound: string): string {
  const queue = own(sourceNames(resource).queue)
  return `select count(*), to_char(min(written_at), 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') from (
select /*+ index(q (id)) */ q.written_at from ${queue} q where q.id > 0 and rownum <= ${bound}
)`
}
