/** The quarantines of both ends: what stands in them, and how a batch's refused rows come into the target's. */
import type { ErrorCode } from '../../../protocol/errors.ts'
import type { Position, ChainPosition } from '../../../protocol/position.ts'
import type { Value } from '../../../protocol/value.ts'
import { maxKept, type Part, type QuarantinedKey, type Row, type SinkTable } from '../../database.ts'
import { keyHash, type Kept, type Refused } from './batch.ts'
import { reads, type RawValue, type Server, type Session } from './connection.ts'
import { positionTable, quarantineTable, sourceQuarantine } from './names.ts'
import { rowset, type Rowset, type StageType } from './rowset.ts'

/** A part of a sink in its database. */
interface OfPart {
  session: Session
  sink: SinkTable
  part: Part
}

/** A fault as it comes to the server: hash, key, code, item, reason, op, kept row. */
export const faultStage: StageType[] = [
  'nvarchar(4000)',
  'nvarchar(max)',
  'nvarchar(4000)',
  'nvarchar(4000)',
  'nvarchar(4000)',
  'nvarchar(4000)',
  'nvarchar(max)',
]
export const hashStage: StageType[] = ['nvarchar(4000)']

const ofPart = 'route = @route and part = @part'

/** See `Database.quarantine`. */
export async function listQuarantine(session: Session, name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
  const [there] = await session.query(
    `select object_id(N'${sourceQuarantine}', N'U'), object_id(N'${quarantineTable}', N'U'), object_id(N'${positionTable}', N'U')`,
  )
  const [source, sink, position] = there!.map((id) => id !== null)
  const sql = listStatement(session.server, { source: source!, sink: sink! && position! }, name !== undefined)
  if (sql === undefined) return []
  return (await session.query(sql, { limit: String(limit), ...(name !== undefined && { name }) })).map(listedKey)
}

export function listStatement(server: Server, there: { source: boolean; sink: boolean }, named: boolean): string | undefined {
  const columns = `q.key_text, q.code, q.item, q.reason, convert(nvarchar(30), q.at, 121) as since`
  const parts: string[] = []
  if (there.source)
    parts.push(
      `select 'source' as place, q.resource, convert(nvarchar(128), null) as route, ${columns}, 0 as kept
from ${sourceQuarantine} q${named ? ' where q.resource = @name' : ''}`,
    )
  if (there.sink)
    parts.push(
      `select 'sink' as place, p.resource, q.route, ${columns}, case when q.kept is null then 0 else 1 end as kept
from ${quarantineTable} q inner join ${positionTable} p on p.route = q.route and p.part = q.part
where q.part = 'live'${named ? ' and (q.route = @name or p.resource = @name)' : ''}`,
    )
  if (parts.length === 0) return undefined
  return reads(
    server,
    `select top (convert(int, @limit)) place, resource, route, key_text, code, item, reason, since, kept from (
${parts.join('\nunion all\n')}
) found order by since, key_text`,
  )
}

function listedKey([end, resource, route, key, code, item, reason, since, kept]: RawValue[]): QuarantinedKey {
  return {
    end: String(end) as QuarantinedKey['end'],
    resource: String(resource),
    ...(route !== null && { route: String(route) }),
    key: JSON.parse(String(key)) as Row,
    code: String(code) as ErrorCode,
    ...(item && { item: String(item) }),
    ...(reason && { reason: String(reason) }),
    since: new Date(`${String(since).replace(' ', 'T')}Z`),
    kept: Number(kept) === 1,
  }
}

export async function clearQuarantine({ session, sink, part }: OfPart, hashes: Rowset): Promise<void> {
  const sql = `delete from ${quarantineTable} where ${ofPart} and key_hash in (select convert(varchar(64), c1) from ${hashes.from})`
  await session.query(sql, { route: sink.route, part, ...hashes.parameters })
}

/** A key that was set aside before the snapshot began and that it did not bring is gone from the source: nothing of it is kept. */
export async function forgetOlder({ session, sink, part }: OfPart, began: Position): Promise<void> {
  await session.query(
    `delete from ${quarantineTable} where ${ofPart}
  and (epoch < convert(bigint, @epoch) or (epoch = convert(bigint, @epoch) and seq < convert(bigint, @seq)))`,
    { route: sink.route, part, epoch: String(began.epoch), seq: String(began.seq) },
  )
}

/** Writes down keys set aside by a batch; `already`: how many there are, beyond `mostKept` no rows are kept. */
export async function setAside(target: OfPart, to: ChainPosition, faults: readonly Refused[], already: number): Promise<void> {
  const { session, sink, part } = target
  const last = [...new Map(faults.map((fault) => [keyHash(fault.key), fault]))]
  const room = Math.max(0, maxKept - already)
  const rows = last.map(([hash, fault], i) => {
    const kept = i < room ? fault.kept : undefined
    return [...faultRow(hash, fault), kept?.op ?? null, kept ? JSON.stringify(kept.values) : null]
  })
  const staged = await rowset(session, faultStage, rows, 'f')
  await clearQuarantine(target, staged)
  await session.query(
    `insert into ${quarantineTable} (route, part, key_hash, key_text, code, item, reason, op, kept, epoch, seq)
select @route, @part, c1, c2, c3, c4, c5, c6, c7, convert(bigint, @epoch), convert(bigint, @seq) from ${staged.from}`,
    { ...staged.parameters, route: sink.route, part, epoch: String(to.epoch), seq: String(to.seq) },
  )
}

function faultRow(hash: string, { key, code, item, reason }: Refused): (string | null)[] {
  return [hash, JSON.stringify(key), code, item ?? null, reason?.slice(0, 1000) ?? null]
}

/** Rows kept in a part's quarantine, by the place of their batch. No other session delivers: they stay until they are tried. */
export async function keptRows({ session, sink, part }: OfPart): Promise<{ place: [number, number]; rows: Kept[] }[]> {
  const found = await session.query(
    `select epoch, seq, op, kept from ${quarantineTable} where ${ofPart} and kept is not null order by epoch, seq, key_hash`,
    { route: sink.route, part },
  )
  const places = new Map<string, { place: [number, number]; rows: Kept[] }>()
  for (const [epoch, seq, op, kept] of found) {
    const group = places.get(`${String(epoch)} ${String(seq)}`) ?? { place: [Number(epoch), Number(seq)], rows: [] }
    places.set(`${String(epoch)} ${String(seq)}`, group)
    group.rows.push({ op: op === 'd' ? 'd' : 'u', values: JSON.parse(String(kept)) as Record<string, Value> })
  }
  return [...places.values()]
}

/** Keys that were tried again: those applied leave, those refused say why now. */
export async function settleTried(target: OfPart, applied: readonly Row[], refused: readonly Refused[]): Promise<void> {
  const { session, sink, part } = target
  if (applied.length > 0) {
    const hashes = applied.map((key) => [keyHash(key)])
    await clearQuarantine(target, await rowset(session, hashStage, hashes, 'h'))
  }
  if (refused.length === 0) return
  const rows = refused.map((fault) => [...faultRow(keyHash(fault.key), fault), null, null])
  const staged = await rowset(session, faultStage, rows, 'f')
  await session.query(
    `update q set code = f.c3, item = f.c4, reason = f.c5
from ${quarantineTable} q inner join ${staged.from} on q.key_hash = convert(varchar(64), f.c1) where q.route = @route and q.part = @part`,
    { ...staged.parameters, route: sink.route, part },
  )
}

export async function countQuarantine({ session, sink, part }: OfPart): Promise<number> {
  const [row] = await session.query(`select count(*) from ${quarantineTable} where ${ofPart}`, { route: sink.route, part })
  return Number(row![0])
}
