import type { Checkpoint } from '../../../protocol/checkpoint.ts'
import type { Query, Store } from '../../store/store.ts'
import { entryColumns, entryHash, entryText, type ChainedEntry } from './entry.ts'

type Db = Pick<Store, 'query' | 'transaction'>

/** Advisory lock of the one sealer of a store, whichever hub process it is in. */
const lock = 7_140_003
/** Entries that one transaction seals. */
const most = 2000

/**
 * Seals every entry that shows and waits, in turns of one transaction each. Which ones wait says a table that the entry's own
 * transaction wrote, never the order of ids: an entry that commits late is sealed when it shows. Both the table and the head of the
 * chain are found by an index, so the cost does not grow with the chain.
 * @returns the head of the chain, null where it is empty.
 */
export async function seal(store: Db): Promise<Checkpoint | null> {
  for (;;) {
    const { head, waiting } = await look(store.query)
    if (!waiting) return head
    await store.transaction(sealSome)
  }
}

async function look(query: Query): Promise<{ head: Checkpoint | null; waiting: boolean }> {
  const [row] = await query<{ seq: string | null; hash: string; waiting: boolean | null }>(lookSql)
  const { seq, hash, waiting } = row!
  return { head: seq === null ? null : checkpointOf({ seq, hash }), waiting: waiting === true }
}

const headSql = 'select seq, hash from audit_seal order by seq desc limit 1'
const lookSql = `
  select head.seq, head.hash, (select true from audit_unsealed order by entry limit 1) as waiting
  from (select) as one left join (${headSql}) as head on true`

interface HeadRow {
  seq: string
  hash: string
}

function checkpointOf({ seq, hash }: HeadRow): Checkpoint {
  return { seq: Number(seq), hash }
}

async function sealSome(query: Query): Promise<void> {
  // A sealer that hangs must not hang the others for ever.
  await query(`set local lock_timeout = '10s'`)
  await query('select pg_advisory_xact_lock($1)', [lock])
  // Read behind the lock, so it is what the sealer before committed.
  const [head] = await query<HeadRow>(headSql)
  const entries = await query<Omit<ChainedEntry, 'seq' | 'prev'> & { id: string }>(waitingSql, [most])
  const seals = chain(head ? checkpointOf(head) : null, entries)
  await query(`insert into audit_seal (seq, entry, hash) select * from unnest($1::bigint[], $2::bigint[], $3::text[])`, [
    seals.map(({ seq }) => seq),
    entries.map(({ id }) => id),
    seals.map(({ hash }) => hash),
  ])
  await query('delete from audit_unsealed where entry = any($1::bigint[])', [entries.map(({ id }) => id)])
}

const waitingSql = `
  select e.id, ${entryColumns} from (select entry from audit_unsealed order by entry limit $1) waiting
  join audit_entry e on e.id = waiting.entry order by e.id`

function chain(head: Checkpoint | null, entries: readonly Omit<ChainedEntry, 'seq' | 'prev'>[]): Checkpoint[] {
  let last = head
  return entries.map((entry) => {
    const seq = (last?.seq ?? 0) + 1
    last = { seq, hash: entryHash(entryText({ ...entry, seq, prev: last?.hash ?? null })) }
    return last
  })
}
