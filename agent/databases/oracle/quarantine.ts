/** The quarantines of both ends: what stands in them, how refused rows come into the target's, and trying them again. */
import type { ErrorCode } from '../../../protocol/errors.ts'
import { positionOf, positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { ApplyTable } from './sql-rows.ts'
import type { Value } from '../../../protocol/value.ts'
import { maxKept, type Change, type Part, type QuarantinedKey, type Replayed, type Row, type SinkTable } from '../../database.ts'
import type { Binds, RawValue, Session } from './connection.ts'
import type { Own } from './queue.ts'
import { sourceQuarantine } from './setup.ts'
import { ofPart, positionTable, quarantineTable } from './state.ts'
import { keyDigest, prepareRows, RowWriter, type Aside } from './writing.ts'

/** Rows of one array statement; a client library allots the widest value for every one of them. */
const most = { rows: 1000, bytes: 4 << 20 }

/** See `Database.quarantine`. */
export async function listQuarantine(session: Session, name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
  const looked = session.binds()
  const [user, ...tables] = [session.server.user, sourceQuarantine, quarantineTable, positionTable].map((one) => looked.code(one))
  const found = await session.rows(
    `select table_name from all_tables where owner = ${user} and table_name in (${tables.join(', ')})`,
    looked,
  )
  const has = (table: string) => found.some(([one]) => one === table)
  const binds = session.binds()
  const there = { source: has(sourceQuarantine), sink: has(quarantineTable) && has(positionTable) }
  const sql = listStatement((table) => session.own(table), binds, there, name, limit)
  return sql === undefined ? [] : (await session.rows(sql, binds)).map(listedKey)
}

/** Large objects cannot be sorted by: the key's beginning is, in the character set that has every character. */
export function listStatement(
  own: Own,
  binds: Binds,
  there: { source: boolean; sink: boolean },
  name: string | undefined,
  limit: number,
): string | undefined {
  const since = `to_char(q.written_at, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') as since, to_nchar(substr(q.key_text, 1, 500)) as beginning`
  const parts: string[] = []
  if (there.source)
    parts.push(
      `select 'source' as place, q.resource_code as resource_code, null as route, q.code as code, q.item as item, q.reason as reason, ${since},
  0 as is_kept, q.key_text as key_text
from ${own(sourceQuarantine)} q${name === undefined ? '' : ` where q.resource_code = ${binds.code(name)}`}`,
    )
  if (there.sink)
    parts.push(
      `select 'sink' as place, p.resource_code as resource_code, q.route as route, q.code as code, null as item, q.reason as reason, ${since},
  case when q.kept is null then 0 else 1 end as is_kept, q.key_text as key_text
from ${own(quarantineTable)} q join ${own(positionTable)} p on p.route = q.route and p.part = q.part
where q.part = 'live'${name === undefined ? '' : ` and (q.route = ${binds.code(name)} or p.resource_code = ${binds.code(name)})`}`,
    )
  if (parts.length === 0) return undefined
  return `select place, resource_code, route, code, item, reason, since, is_kept, key_text from (
select * from (
${parts.join('\nunion all\n')}
) order by since, beginning
) where rownum <= ${binds.number(limit)}`
}

function listedKey([end, resource, route, code, item, reason, since, kept, key]: RawValue[]): QuarantinedKey {
  return {
    end: String(end) as QuarantinedKey['end'],
    resource: String(resource),
    ...(route !== null && { route: String(route) }),
    key: JSON.parse(String(key)) as Row,
    code: String(code) as ErrorCode,
    ...(item && { item: String(item) }),
    ...(reason && { reason: String(reason) }),
    since: new Date(String(since)),
    kept: Number(kept) === 1,
  }
}

export async function clearQuarantine(session: Session, sink: SinkTable, part: Part, keys: readonly Row[]): Promise<void> {
  const sql = `delete from ${session.own(quarantineTable)} where route = :1 and part = :2 and key_hash = :3`
  const rows = keys.map((key) => [sink.route, part, keyDigest(key)])
  for (const some of inChunks(rows)) await session.all(sql, some, ['text', 'text', 'text'])
}

/** A key that was set aside before the snapshot began and that it did not bring is gone from the source. */
export async function forgetOlder(session: Session, sink: SinkTable, part: Part, began: string): Promise<void> {
  const binds = session.binds()
  const older = `${ofPart(binds, sink.route, part)} and position < to_number(${binds.code(began)})`
  await session.run(`delete from ${session.own(quarantineTable)} where ${older}`, binds)
}

/** `already`: how many keys there are; beyond `mostKept` no rows are kept. Texts without a length are bound last. */
export async function setAside(
  session: Session,
  sink: SinkTable,
  part: Part,
  to: ChainPosition,
  aside: readonly Aside[],
  already: number,
): Promise<void> {
  const { textKind } = session
  const sql = `insert into ${session.own(quarantineTable)} (route, part, key_hash, code, position, reason, written_at, key_text, kept)
values (:1, :2, :3, :4, to_number(:5), :6, sys_extract_utc(systimestamp), :7, :8)`
  const keys = aside.map(({ key }) => key)
  await clearQuarantine(session, sink, part, keys)
  const room = Math.max(0, maxKept - already)
  const rows = aside.map(({ key, code, reason, kept }, i) => {
    const values = kept && i < room ? JSON.stringify(kept) : null
    return [sink.route, part, keyDigest(key), code, positionNumber(to), reason.slice(0, 1000) || null, JSON.stringify(key), values]
  })
  for (const some of inChunks(rows)) await session.all(sql, some, ['text', 'text', 'text', 'text', 'text', textKind, textKind, textKind])
}

function* inChunks(rows: readonly RawValue[][]): Generator<RawValue[][]> {
  let some: RawValue[][] = []
  let widest = 0
  for (const row of rows) {
    const width = Math.max(...row.map((value) => (value === null ? 0 : Buffer.byteLength(value))))
    if (some.length > 0 && (some.length >= most.rows || Math.max(widest, width) * (some.length + 1) > most.bytes)) {
      yield some
      some = []
      widest = 0
    }
    some.push(row)
    widest = Math.max(widest, width)
  }
  if (some.length > 0) yield some
}

export async function quarantinedKeys(session: Session, sink: SinkTable, part: Part): Promise<Row[]> {
  const binds = session.binds()
  const rows = await session.rows(`select key_text from ${session.own(quarantineTable)} where ${ofPart(binds, sink.route, part)}`, binds)
  return rows.map((row) => JSON.parse(String(row[0])) as Row)
}

/** See `Delivery.replay`; within a transaction. */
export async function replayQuarantine(session: Session, sink: SinkTable, part: Part, table: ApplyTable): Promise<Replayed> {
  const [applied, refused]: [Row[], Aside[]] = [[], []]
  for (const change of await keptChanges(session, sink, part)) {
    const { upserts, aside, keys } = prepareRows(sink, change)
    const bad = [...aside, ...(await new RowWriter(session, table, change).upsert(upserts))]
    const digests = new Set(bad.map(({ key }) => keyDigest(key)))
    applied.push(...keys.filter((key) => !digests.has(keyDigest(key))))
    refused.push(...bad)
  }
  await clearQuarantine(session, sink, part, applied)
  const sql = `update ${session.own(quarantineTable)} set code = :1, reason = :2 where route = :3 and part = :4 and key_hash = :5`
  const reasons = refused.map(({ key, code, reason }) => [code, reason.slice(0, 1000) || null, sink.route, part, keyDigest(key)])
  for (const some of inChunks(reasons)) await session.all(sql, some, ['text', session.textKind, 'text', 'text', 'text'])
  const quarantine = (await quarantinedKeys(session, sink, part)).length
  return { tried: applied.length + refused.length, applied: applied.length, quarantine }
}

/** Rows kept whole, as changes of their own batches. */
async function keptChanges(session: Session, sink: SinkTable, part: Part): Promise<Change[]> {
  const binds = session.binds()
  const found = await session.rows(
    `select position, kept from ${session.own(quarantineTable)} where ${ofPart(binds, sink.route, part)} and kept is not null
order by position for update`,
    binds,
  )
  const places = new Map<string, Record<string, Value>[]>()
  for (const [position, kept] of found) {
    const values = JSON.parse(String(kept)) as Record<string, Value>
    if (!sink.columns.every(({ item }) => Object.hasOwn(values, item.id))) continue
    const rows = places.get(String(position))
    if (rows) rows.push(values)
    else places.set(String(position), [values])
  }
  return [...places].map(([position, rows]) => ({
    from: null,
    to: { ...positionOf(position), hash: '' },
    rows: rows.length,
    columns: sink.columns.map(({ item }) => rows.map((values) => values[item.id]!)),
  }))
}
