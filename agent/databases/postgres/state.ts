/** What the target database remembers of each route: where it stands, what its table was made for, and whose rows are whose. */
import { isAfter } from '../../../protocol/position.ts'
import { quoteTable } from './sql.ts'
import { mappingText, type Part, type SinkState, type SinkTable } from '../../database.ts'
import type { Connection } from './connection.ts'
import { refuse, shadowTable } from './table.ts'

/** Added to what an older agent made. */
const laterColumns = `add column if not exists keys text, add column if not exists table_name text, add column if not exists source text,
  add column if not exists resource text, add column if not exists former text not null default '[]', add column if not exists removal text,
  add column if not exists removed bigint not null default 0, add column if not exists mapping text not null default ''`

const stateTables = `
  create schema if not exists qianzhi;
  create table if not exists qianzhi.route_position (
    route text, part text check (part in ('live', 'shadow')), epoch integer, seq bigint, hash text,
    snapshot_epoch integer, snapshot_seq bigint, complete boolean not null default false,
    schema_version integer not null, columns text not null, primary key (route, part));
  alter table qianzhi.route_position ${laterColumns};
  create table if not exists qianzhi.quarantine (
    route text, part text, key text collate "C", code text not null, item text, reason text,
    epoch integer not null, seq bigint not null, at timestamptz not null default now(), primary key (route, part, key));
  alter table qianzhi.quarantine add column if not exists op text, add column if not exists kept text`

/** Asked first: "if not exists" wants the right to create also where there is nothing to create. */
export async function makeStateTables(connection: Connection): Promise<void> {
  const [row] = await connection.query(
    `select (select attname from pg_attribute where attrelid = to_regclass('qianzhi.route_position') and attname = 'mapping'),
       (select attname from pg_attribute where attrelid = to_regclass('qianzhi.quarantine') and attname = 'kept')`,
  )
  if (row!.includes(null)) await connection.script(stateTables)
}

/** False in a database into which nothing was ever delivered. */
export async function hasStateTables(connection: Connection): Promise<boolean> {
  const [row] = await connection.query(`select to_regclass('qianzhi.route_position')`)
  return row![0] !== null
}

export interface Remembered {
  state: SinkState
  /** As configured; null where an older agent did not write it down. */
  table: string | null
  /** Tables that it filled before. */
  former: string[]
}

export async function remembered(connection: Connection, route: string, part: Part): Promise<Remembered | undefined> {
  const [row] = await connection.query(
    `select epoch, seq, hash, snapshot_epoch, snapshot_seq, complete, schema_version, columns, keys, table_name, former, mapping,
       (select count(*) from qianzhi.quarantine q where q.route = p.route and q.part = p.part)
     from qianzhi.route_position p where route = $1 and part = $2`,
    [route, part],
  )
  if (!row) return undefined
  const [epoch, seq, hash, snapshotEpoch, snapshotSeq, complete, version, columnsText, keys, table, former, mapping, quarantine] = row
  const columns = JSON.parse(columnsText!) as Record<string, string>
  const state = {
    position: epoch ? { epoch: Number(epoch), seq: Number(seq), hash: hash! } : null,
    snapshot: snapshotEpoch ? { epoch: Number(snapshotEpoch), seq: Number(snapshotSeq) } : null,
    complete: complete === 't',
    schemaVersion: Number(version),
    items: Object.keys(columns),
    columns,
    keys: keys ? (JSON.parse(keys) as string[]) : undefined,
    mapping: mapping!,
    quarantine: Number(quarantine),
  }
  return { state, table: table ?? null, former: JSON.parse(former!) as string[] }
}

/** Writes down what a part is made for, its position empty; a table of another name that it filled before is not forgotten. */
export async function remember(connection: Connection, sink: SinkTable, part: Part, before?: Remembered): Promise<void> {
  const columns = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  const keys = sink.columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  const former = new Set([...(before?.former ?? []), ...(before?.table ? [before.table] : [])])
  former.delete(sink.table)
  await connection.query('delete from qianzhi.quarantine where route = $1 and part = $2', [sink.route, part])
  await connection.query(
    `insert into qianzhi.route_position (route, part, schema_version, columns, keys, table_name, source, resource, former, mapping)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (route, part) do update set schema_version = $3, columns = $4, keys = $5, table_name = $6, source = $7, resource = $8,
       former = $9, mapping = $10, epoch = null, seq = null, hash = null, snapshot_epoch = null, snapshot_seq = null, complete = false,
       removal = null, removed = 0`,
    [
      sink.route,
      part,
      sink.schema.version,
      JSON.stringify(columns),
      JSON.stringify(keys),
      sink.table,
      sink.source,
      sink.resource,
      JSON.stringify([...former]),
      mappingText(sink.columns),
    ],
  )
}

/** The version that the live part has followed; its table, which an older agent did not write down. */
export async function noteTable(connection: Connection, sink: SinkTable): Promise<void> {
  await connection.query(
    `update qianzhi.route_position set table_name = $2, source = $3, resource = $4, schema_version = $5
     where route = $1 and part = 'live' and (table_name, source, resource, schema_version) is distinct from ($2, $3, $4, $5)`,
    [sink.route, sink.table, sink.source, sink.resource, sink.schema.version],
  )
}

/**
 * A later grant of a resource fills the table that an earlier one filled: its rows are this route's now, and it goes on from where
 * the other one was, so that no row goes back. Throws QZ-SINK-TABLE while rows are being removed from the table.
 */
export async function takeOver(connection: Connection, sink: SinkTable): Promise<void> {
  const others = await connection.query(
    `select route, removal from qianzhi.route_position
     where part = 'live' and route <> $1 and table_name = $2 and source = $3 and resource = $4 and removal is distinct from 'done'`,
    [sink.route, sink.table, sink.source, sink.resource],
  )
  for (const [route, removal] of others) {
    if (removal) throw refuse(sink, `已结束的授权 ${route} 的数据正在清除 / the rows of ended route ${route} are being removed from it`)
    await inherit(connection, sink, route!)
  }
}

async function inherit(connection: Connection, sink: SinkTable, other: string): Promise<void> {
  const [own, theirs] = [await remembered(connection, sink.route, 'live'), (await remembered(connection, other, 'live'))!]
  const here = own?.table === sink.table ? own.state.position : null
  const place = theirs.state.position
  await forgetPart(connection, other, 'shadow')
  if (!place || (here && !isAfter(place, here))) return forgetPart(connection, other, 'live')
  await forgetPart(connection, sink.route, 'live')
  for (const table of ['route_position', 'quarantine']) {
    await connection.query(`update qianzhi.${table} set route = $1 where route = $2`, [sink.route, other])
  }
}

/** Leaves nothing of a part but the rows of a live table. */
export async function forgetPart(connection: Connection, route: string, part: Part): Promise<void> {
  if (part === 'shadow') await connection.query(`drop table if exists ${quoteTable(shadowTable(route))}`)
  for (const table of ['route_position', 'quarantine']) {
    await connection.query(`delete from qianzhi.${table} where route = $1 and part = $2`, [route, part])
  }
}
