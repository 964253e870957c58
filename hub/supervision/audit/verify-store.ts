import type { Store } from '../../store/store.ts'
import { entryColumns, entryHash, entryText, type ChainedEntry } from './entry.ts'
import { seal } from './sealer.ts'

/** What came of looking through the whole chain as it stands in the store. */
export interface ChainVerified {
  /** Whether every entry is as it was sealed, none is missing and none was put in. */
  intact: boolean
  /** How many entries were found in order. */
  count: number
  /** Place of the first that does not fit, with the hash that it was sealed with and the one that it has now; null where all fit. */
  first: { seq: number; fault: 'altered' | 'missing' | 'unsealed'; sealed: string | null; reckoned: string | null } | null
  /** The newest place and its hash: what agents hold as a checkpoint, and an export ends with. */
  head: { seq: number; hash: string } | null
}

/** Entries read at once. */
const most = 2000

/**
 * Reckons the hash of every sealed entry anew, from the first to the newest, each over the one before; what waits is sealed first. What is no
 * longer, or was never, in the chain is found too. `progress` may throw to end it.
 */
export async function verifyChain(
  store: Pick<Store, 'query' | 'transaction'>,
  progress: (done: number, total: number) => Promise<void>,
): Promise<ChainVerified> {
  const head = (await seal(store)) ?? null
  const total = head?.seq ?? 0
  await progress(0, total)
  let prev: string | null = null
  for (let at = 1; at <= total; at += most) {
    const rows: Row[] = await store.query<Row>(rowsSql, [at, Math.min(total, at + most - 1)])
    for (const [i, { seq: place, hash, ...entry }] of rows.entries()) {
      const seq = Number(place)
      const expected = at + i
      if (seq !== expected) return broken(head, expected, 'missing', null, null)
      const reckoned = entryHash(entryText({ ...entry, seq, prev }))
      if (reckoned !== hash) return broken(head, seq, 'altered', hash, reckoned)
      prev = hash
    }
    const wanted = Math.min(total, at + most - 1)
    if (at + rows.length - 1 < wanted) return broken(head, at + rows.length, 'missing', null, null)
    await progress(wanted, total)
  }
  const [stray] = await store.query<{ id: string }>(
    `select e.id from audit_entry e where e.id <= coalesce((select max(entry) from audit_seal), 0)
       and not exists (select from audit_seal where entry = e.id) and not exists (select from audit_unsealed where entry = e.id) order by e.id limit 1`,
  )
  if (stray) return { intact: false, count: total, first: { seq: total + 1, fault: 'unsealed', sealed: null, reckoned: null }, head }
  return { intact: true, count: total, first: null, head }
}

type Fault = NonNullable<ChainVerified['first']>

function broken(
  head: ChainVerified['head'],
  seq: number,
  fault: Fault['fault'],
  sealed: string | null,
  reckoned: string | null,
): ChainVerified {
  return { intact: false, count: seq - 1, first: { seq, fault, sealed, reckoned }, head }
}

interface Row extends Omit<ChainedEntry, 'seq' | 'prev'> {
  seq: string
  hash: string
}

const rowsSql = `select s.seq, s.hash, ${entryColumns} from audit_seal s join audit_entry e on e.id = s.entry
  where s.seq between $1 and $2 order by s.seq`
