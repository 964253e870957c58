/** The quarantines of both ends: what stands in them, and how a batch's refused rows come into the target's. */
import type { ErrorCode } from '../../../protocol/errors.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Value } from '../../../protocol/value.ts'
import { maxKept, type Part, type QuarantinedKey, type Row, type SinkTable } from '../../database.ts'
import type { Kept, Refused } from './batch.ts'
import type { Connection, Texts } from './connection.ts'

const millis = 'extract(epoch from q.at) * 1000'

/** See `Database.quarantine`. */
export async function listQuarantine(connection: Connection, name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
  const [there] = await connection.query(
    `select to_regclass('qianzhi.source_quarantine'), to_regclass('qianzhi.quarantine'),
       (select attname from pg_attribute where attrelid = to_regclass('qianzhi.quarantine') and attname = 'kept'),
       (select attname from pg_attribute where attrelid = to_regclass('qianzhi.route_position') and attname = 'resource')`,
  )
  const [source, sink, kept, resource] = there!
  const parts: string[] = []
  if (source !== null)
    parts.push(
      `select 'source', q.resource, null, q.key, q.code, q.item, q.reason, ${millis}, false from qianzhi.source_quarantine q
       where $1::text is null or q.resource = $1`,
    )
  if (sink !== null && resource !== null)
    parts.push(
      `select 'sink', coalesce(p.resource, ''), q.route, q.key, q.code, q.item, q.reason, ${millis}, ${kept ? 'q.kept is not null' : 'false'}
       from qianzhi.quarantine q join qianzhi.route_position p on p.route = q.route and p.part = q.part
       where q.part = 'live' and ($1::text is null or $1 in (q.route, p.resource))`,
    )
  if (parts.length === 0) return []
  const rows = await connection.query(`${parts.join(' union all ')} order by 8, 4 limit $2`, [name ?? null, limit])
  return rows.map(keyOf)
}

function keyOf([end, resource, route, key, code, item, reason, since, kept]: Texts): QuarantinedKey {
  return {
    end: end as QuarantinedKey['end'],
    resource: resource!,
    ...(route !== null && { route }),
    key: JSON.parse(key!) as Row,
    code: code as ErrorCode,
    ...(item && { item }),
    ...(reason && { reason }),
    since: new Date(Number(since)),
    kept: kept === 't',
  }
}

/** Writes down keys set aside by a batch; `already`: how many there are, beyond `mostKept` no rows are kept. */
export async function setAside(
  connection: Connection,
  sink: SinkTable,
  part: Part,
  to: ChainPosition,
  faults: readonly Refused[],
  already: number,
): Promise<void> {
  const last = [...new Map(faults.map((fault) => [JSON.stringify(fault.key), fault]))]
  const room = Math.max(0, maxKept - already)
  const rows = last.map(([key, { code, item, reason, kept }], i) => {
    const keep = i < room ? kept : undefined
    return [key, code, item, reason, keep?.op, keep && JSON.stringify(keep.values)]
  })
  const lists = [0, 1, 2, 3, 4, 5].map((column) => rows.map((row) => row[column] ?? null))
  await connection.query(
    `insert into qianzhi.quarantine (route, part, epoch, seq, key, code, item, reason, op, kept)
     select $1, $2, $3, $4, * from unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
     on conflict (route, part, key) do update set code = excluded.code, item = excluded.item, reason = excluded.reason,
       epoch = excluded.epoch, seq = excluded.seq, op = excluded.op, kept = excluded.kept, at = now()`,
    [sink.route, part, to.epoch, to.seq, ...lists],
  )
}

/** Rows kept in a part's quarantine, by the place of their batch; locked. */
export async function keptRows(connection: Connection, sink: SinkTable, part: Part): Promise<{ place: [number, number]; rows: Kept[] }[]> {
  const found = await connection.query(
    `select epoch, seq, op, kept from qianzhi.quarantine where route = $1 and part = $2 and kept is not null order by epoch, seq, key for update`,
    [sink.route, part],
  )
  const places = new Map<string, { place: [number, number]; rows: Kept[] }>()
  for (const [epoch, seq, op, kept] of found) {
    const group = places.get(`${epoch} ${seq}`) ?? { place: [Number(epoch), Number(seq)], rows: [] }
    places.set(`${epoch} ${seq}`, group)
    group.rows.push({ op: op === 'd' ? 'd' : 'u', values: JSON.parse(kept!) as Record<string, Value> })
  }
  return [...places.values()]
}

/** Keys that were tried again: those applied leave, those refused say why now. */
export async function settleTried(
  connection: Connection,
  sink: SinkTable,
  part: Part,
  applied: readonly Row[],
  refused: readonly Refused[],
): Promise<number> {
  const texts = (keys: readonly Row[]) => keys.map((key) => JSON.stringify(key))
  await connection.query('delete from qianzhi.quarantine where route = $1 and part = $2 and key = any($3::text[])', [
    sink.route,
    part,
    texts(applied),
  ])
  await connection.query(
    `update qianzhi.quarantine q set code = r.code, item = r.item, reason = r.reason from unnest($3::text[], $4::text[], $5::text[], $6::text[])
       as r (key, code, item, reason) where q.route = $1 and q.part = $2 and q.key = r.key`,
    [
      sink.route,
      part,
      texts(refused.map(({ key }) => key)),
      ...(['code', 'item', 'reason'] as const).map((name) => refused.map((fault) => fault[name] ?? null)),
    ],
  )
  const [row] = await connection.query('select count(*) from qianzhi.quarantine where route = $1 and part = $2', [sink.route, part])
  return Number(row![0])
}
