import { writeAudit } from '../../records/audit.ts'
import type { Query, Store } from '../../store/store.ts'

/** Routes that one transaction puts on record. */
const most = 100

/**
 * Puts on record what the receivers' receipts say was delivered since the last turn: of each route that moved one entry, and its rows
 * on the day (Asia/Shanghai) of its newest receipt. The signal ends the turn: the next one has the other routes.
 */
export async function recordDeliveries(store: Pick<Store, 'query' | 'transaction'>, signal?: AbortSignal): Promise<void> {
  const moved = await store.query<Moved>(movedSql)
  for (let at = 0; at < moved.length; at += most) {
    if (signal?.aborted) return
    await store.transaction(async (query) => {
      for (const route of moved.slice(at, at + most)) await record(query, route)
    })
  }
}

/** A route beside its bookmark (`last…`, null at the first time). Counts only grow; a receiver that was restored goes back in place. */
interface Moved {
  route: string
  resource: string
  agent: string
  agency: string
  epoch: string
  seq: string
  hash: string
  written: string
  deleted: string
  quarantine: string
  movedAt: Date
  lastEpoch: string | null
  lastSeq: string | null
  lastWritten: string | null
  lastDeleted: string | null
}

// In one order everywhere, so that two hub processes do not wait for each other in a circle.
const movedSql = `
  select r.id as route, g.resource, r.agent, a.agency, r.epoch, r.seq, r.hash, r.written, r.deleted, r.quarantine, r.moved_at as "movedAt",
    b.epoch as "lastEpoch", b.seq as "lastSeq", b.written as "lastWritten", b.deleted as "lastDeleted"
  from route r join access_grant g on g.id = r.access_grant join agent a on a.id = r.agent left join delivery_bookmark b on b.route = r.id
  where r.epoch is not null and (r.epoch, r.seq, r.written, r.deleted) is distinct from (b.epoch, b.seq, b.written, b.deleted)
  order by r.id`

/** Bookmark, entry and day commit together, by compare-and-set: nothing is lost or counted twice, whatever is killed or runs beside. */
async function record(query: Query, route: Moved): Promise<void> {
  const { route: id, epoch, seq, written, deleted, lastEpoch, lastSeq, lastWritten, lastDeleted } = route
  const values = [id, epoch, seq, written, deleted, lastEpoch, lastSeq, lastWritten, lastDeleted]
  if ((await query(moveSql, values)).length === 0) return
  const rows = { written: Number(written) - Number(lastWritten ?? 0), deleted: Number(deleted) - Number(lastDeleted ?? 0) }
  await query(daySql, [id, route.movedAt, rows.written, rows.deleted])
  const details = {
    resource: route.resource,
    from: lastEpoch === null ? null : { epoch: Number(lastEpoch), seq: Number(lastSeq) },
    to: { epoch: Number(epoch), seq: Number(seq) },
    hash: route.hash,
    ...rows,
    quarantine: Number(route.quarantine),
    applied: route.movedAt.toISOString(),
  }
  await writeAudit(query, { actor: route.agent, agency: route.agency, via: 'agent', act: 'delivery', object: id, details })
}

const moveSql = `
  insert into delivery_bookmark as b (route, epoch, seq, written, deleted) values ($1, $2, $3, $4, $5)
  on conflict (route) do update set epoch = excluded.epoch, seq = excluded.seq, written = excluded.written, deleted = excluded.deleted
  where (b.epoch, b.seq, b.written, b.deleted) = ($6::bigint, $7::bigint, $8::bigint, $9::bigint)
  returning 1`

const daySql = `
  insert into delivery_day as d (route, day, written, deleted) values ($1, ($2::timestamptz at time zone 'Asia/Shanghai')::date, $3, $4)
  on conflict (route, day) do update set written = d.written + excluded.written, deleted = d.deleted + excluded.deleted`
