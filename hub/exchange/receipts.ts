import type { Position } from '../../protocol/position.ts'
import type { AppliedReceipt, RemovalReceipt } from '../../protocol/receipt.ts'
import { readStatement } from '../../protocol/signature.ts'
import { writeAudit } from '../records/audit.ts'
import type { Query, Store } from '../store/store.ts'

/**
 * Takes down a receiver's receipt, if it says something new: a later place than the last one, or the same place later with another
 * quarantine. A receiver that was restored from a backup (its polls ask from an earlier place, `wentBackTo`) goes on from there. Counts
 * are added exactly where the position moves, so a receipt that comes twice counts once. One statement: compare-and-set.
 * @returns false where it changed nothing.
 */
export async function takeReceipt(
  { query }: Pick<Store, 'query'>,
  agent: string,
  receipt: AppliedReceipt,
  jws: string,
  wentBackTo: Position | 'start' | undefined,
  now: Date,
): Promise<boolean> {
  const { route, epoch, seq, hash, written, deleted, quarantine } = receipt
  const back = wentBackTo === 'start' ? { epoch: 0, seq: 0 } : wentBackTo
  const moved = await query(moveSql, [
    route,
    agent,
    epoch,
    seq,
    hash,
    written,
    deleted,
    quarantine,
    jws,
    now,
    back?.epoch ?? null,
    back?.seq ?? null,
  ])
  return moved.length > 0 || (receipt.batches === 0 && takeQuarantine(query, agent, receipt, jws))
}

const moveSql = `
  update route set epoch = $3, seq = $4, hash = $5, written = written + $6, deleted = deleted + $7, quarantine = $8, receipt = $9, moved_at = $10, first_receipt_at = coalesce(first_receipt_at, $10),
    minute = date_trunc('minute', $10::timestamptz), minute_rows = case when minute = date_trunc('minute', $10::timestamptz) then minute_rows else 0 end + $6 + $7,
    before_rows = case date_trunc('minute', $10::timestamptz) - minute when interval '0' then before_rows when interval '1 minute' then minute_rows else 0 end,
    removed = null
  where id = $1 and agent = $2 and receipt is distinct from $9 and (epoch is null or (epoch, seq) < ($3::bigint, $4::bigint)
    or ($11::bigint is not null and (epoch, seq) > ($11::bigint, $12::bigint) and ($3::bigint, $4::bigint) > ($11::bigint, $12::bigint)))
  returning 1`

/** Keys that an operator mended or gave up leave the quarantine without a new batch: a later receipt for the same place says so. */
async function takeQuarantine(query: Query, agent: string, receipt: AppliedReceipt, jws: string): Promise<boolean> {
  const { route, epoch, seq, hash, quarantine, time } = receipt
  const place = [route, agent, epoch, seq, hash]
  const same = 'id = $1 and agent = $2 and epoch = $3 and seq = $4 and hash = $5'
  const [row] = await query<{ receipt: string }>(`select receipt from route where ${same}`, place)
  if (!row || String(readStatement(row.receipt)?.['time']) >= time) return false
  const text = `update route set quarantine = $6, receipt = $7 where ${same} and receipt = $8 returning 1`
  return (await query(text, [...place, quarantine, jws, row.receipt])).length > 0
}

/**
 * Takes down a receiver's word that an ended route's data is gone; on record in the same transaction. The first one counts.
 * @returns false where it changed nothing: told again, another agent's route, or one whose data was not to be removed.
 */
export async function takeRemoval(
  store: Pick<Store, 'transaction'>,
  agent: string,
  receipt: RemovalReceipt,
  jws: string,
): Promise<boolean> {
  const { route, removed: rows, tables, time } = receipt
  return store.transaction(async (query) => {
    const taken = await query(removedSql, [route, agent, JSON.stringify({ rows, tables, time, receipt: jws })])
    if (taken.length === 0) return false
    await writeAudit(query, { actor: agent, act: 'route.removed', object: route, details: { rows, tables, time } })
    return true
  })
}

const removedSql = `
  update route set removed = $3::jsonb from access_grant g
  where route.id = $1 and route.agent = $2 and route.removed is null and g.id = route.access_grant and g.at_end = 'remove'
  returning 1`
