import { QianzhiError } from '../../../protocol/errors.ts'
import type { SigningKey } from '../../../protocol/signature.ts'
import type { Store } from '../../store/store.ts'
import { entryColumns, entryText, type ChainedEntry } from './entry.ts'
import { endLine, entryLine, type AuditEnd } from './lines.ts'
import { seal } from './sealer.ts'

/** Both included; the whole chain where left out. */
export interface ExportRange {
  from?: number | undefined
  to?: number | undefined
}

/** Entries read at once. */
const most = 2000

/**
 * An export of the sealed chain, or of a part of it, as lines; what waits is sealed first. Throws QZ-NOT-FOUND before the first line
 * where nothing lies in the range.
 */
export async function openExport(
  store: Pick<Store, 'query' | 'transaction'>,
  hubKey: SigningKey,
  { from = 1, to = Infinity }: ExportRange,
  clock: () => Date,
): Promise<AsyncGenerator<string>> {
  // Before the head is looked at: a checkpoint from before this time lies in the chain, or the chain was cut.
  const time = clock().toISOString()
  const head = await seal(store)
  const last = Math.min(to, head?.seq ?? 0)
  const range = `${from} – ${Number.isFinite(to) ? to : ''}`
  if (!head || from > last) throw new QianzhiError('QZ-NOT-FOUND', { what: { zh: `审计 ${range}`, en: `audit ${range}` } })
  return lines(store, hubKey, from, last, { head, time })
}

async function* lines(
  store: Pick<Store, 'query'>,
  hubKey: SigningKey,
  from: number,
  to: number,
  signed: Pick<AuditEnd, 'head' | 'time'>,
): AsyncGenerator<string> {
  const first = await hashAt(store, from - 1)
  let [prev, count] = [first, 0]
  for (let at = from; at <= to; at += most) {
    const rows = await store.query<Row>(rowsSql, [at, Math.min(to, at + most - 1)])
    let part = ''
    for (const { seq, hash, ...entry } of rows) {
      part += entryLine(entryText({ ...entry, seq: Number(seq), prev }), hash)
      prev = hash
      count++
    }
    yield part
  }
  if (prev !== null && count > 0) yield endLine({ from, to, prev: first, hash: prev, count, ...signed }, hubKey)
}

interface Row extends Omit<ChainedEntry, 'seq' | 'prev'> {
  seq: string
  hash: string
}

const rowsSql = `
  select s.seq, s.hash, ${entryColumns} from audit_seal s join audit_entry e on e.id = s.entry
  where s.seq between $1 and $2 order by s.seq`

async function hashAt({ query }: Pick<Store, 'query'>, seq: number): Promise<string | null> {
  const [row] = await query<{ hash: string }>('select hash from audit_seal where seq = $1', [seq])
  return row?.hash ?? null
}
