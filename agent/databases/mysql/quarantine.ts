/** The quarantines of both ends: what stands in them, how refused rows come into the target's, and trying them again. */
import type { ErrorCode } from '../../../protocol/errors.ts'
import { positionOf } from '../../../protocol/position.ts'
import { quoteText, type ApplyTable } from './sql.ts'
import type { Value } from '../../../protocol/value.ts'
import { maxKept, type Change, type Part, type QuarantinedKey, type Replayed, type Row, type SinkTable } from '../../database.ts'
import { readTable } from './catalog.ts'
import type { RawValue, Session } from './connection.ts'
import { sourceQuarantine } from './setup.ts'
import { hasStateTables, ofPart, positionTable, quarantineTable } from './state.ts'
import { keyDigest, prepareRows, RowWriter, type Aside } from './writing.ts'

const millis = `round(timestampdiff(microsecond, '1970-01-01', q.at) / 1000)`

/** See `Database.quarantine`. */
export async function listQuarantine(session: Session, name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
  const parts: string[] = []
  const named = (columns: string) => (name === undefined ? 'true' : `${quoteText(name)} in (${columns})`)
  if (await readTable(session, sourceQuarantine))
    parts.push(
      `select 'source', q.resource, null, q.key_text, q.code, q.item, q.reason, ${millis} as since, 0
       from ${sourceQuarantine} q where ${named('q.resource')}`,
    )
  const target = (await hasStateTables(session)) ? await readTable(session, quarantineTable) : undefined
  // An older agent kept no rows.
  const kept = target?.columns.some(({ column }) => column === 'kept')
  if (target)
    parts.push(
      `select 'sink', ifnull(p.resource, ''), q.route, q.key_text, q.code, ${kept ? 'q.item' : 'null'}, q.reason, ${millis} as since,
       ${kept ? 'q.kept is not null' : '0'} from ${quarantineTable} q join ${positionTable} p on p.route = q.route and p.part = q.part
       where q.part = 'live' and (${named('q.route, p.resource')})`,
    )
  if (parts.length === 0) return []
  return (await session.rows(`${parts.join(' union all ')} order by 8, 4 limit ${limit}`)).map(keyOf)
}

function keyOf([end, resource, route, key, code, item, reason, since, kept]: RawValue[]): QuarantinedKey {
  return {
    end: String(end) as QuarantinedKey['end'],
    resource: String(resource),
    ...(route !== null && { route: String(route) }),
    key: JSON.parse(String(key)) as Row,
    code: String(code) as ErrorCode,
    ...(item && { item: String(item) }),
    ...(reason && { reason: String(reason) }),
    since: new Date(Number(since)),
    kept: Number(kept) === 1,
  }
}

export async function clearQuarantine(session: Session, sink: SinkTable, part: Part, keys: readonly Row[]): Promise<void> {
  for (let at = 0; at < keys.length; at += 1000) {
    const hashes = keys.slice(at, at + 1000).map((key) => `'${keyDigest(key)}'`)
    await session.run(`delete from ${quarantineTable} where ${ofPart(sink.route, part)} and key_hash in (${hashes.join(', ')})`)
  }
}

/** `already`: how many keys there are; beyond `mostKept` no rows are kept. */
export async function setAside(
  session: Session,
  sink: SinkTable,
  part: Part,
  position: string,
  aside: readonly Aside[],
  already: number,
): Promise<void> {
  const room = Math.max(0, maxKept - already)
  for (let at = 0; at < aside.length; at += 1000) {
    const rows = aside.slice(at, at + 1000).map(({ key, code, reason, kept }, i) => {
      const texts = [sink.route, part, keyDigest(key), JSON.stringify(key), code, reason.slice(0, 1000)].map(quoteText)
      const values = kept && at + i < room ? quoteText(JSON.stringify(kept)) : 'null'
      return `(${texts.join(', ')}, ${position}, utc_timestamp(6), ${values})`
    })
    await session.run(
      `replace into ${quarantineTable} (route, part, key_hash, key_text, code, reason, position, at, kept) values ${rows.join(', ')}`,
    )
  }
}

export async function quarantinedKeys(session: Session, sink: SinkTable, part: Part): Promise<Row[]> {
  const rows = await session.rows(`select key_text from ${quarantineTable} where ${ofPart(sink.route, part)}`)
  return rows.map((row) => JSON.parse(String(row[0])) as Row)
}

/** See `Delivery.replay`; within a transaction. */
export async function replayQuarantine(session: Session, sink: SinkTable, part: Part, table: ApplyTable): Promise<Replayed> {
  const [applied, refused]: [Row[], Aside[]] = [[], []]
  for (const change of await keptChanges(session, sink, part)) {
    const { upserts, aside, keys } = prepareRows(sink, change)
    const bad = [...aside, ...(await new RowWriter(session, table, change).fromValues(upserts))]
    const digests = new Set(bad.map(({ key }) => keyDigest(key)))
    applied.push(...keys.filter((key) => !digests.has(keyDigest(key))))
    refused.push(...bad)
  }
  await clearQuarantine(session, sink, part, applied)
  for (const { key, code, reason } of refused) {
    await session.run(
      `update ${quarantineTable} set code = ${quoteText(code)}, reason = ${quoteText(reason.slice(0, 1000))}
       where ${ofPart(sink.route, part)} and key_hash = '${keyDigest(key)}'`,
    )
  }
  const quarantine = (await quarantinedKeys(session, sink, part)).length
  return { tried: applied.length + refused.length, applied: applied.length, quarantine }
}

/** Rows kept whole, as changes of their own batches. */
async function keptChanges(session: Session, sink: SinkTable, part: Part): Promise<Change[]> {
  const found = await session.rows(
    `select position, kept from ${quarantineTable} where ${ofPart(sink.route, part)} and kept is not null order by position for update`,
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
