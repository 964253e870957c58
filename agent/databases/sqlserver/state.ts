/** What the target database remembers of each route: where it stands, what its table was made for, and whose rows are whose. */
import { isAfter } from '../../../protocol/position.ts'
import { binaryCollation } from './sql.ts'
import { mappingText, type Part, type SinkState, type SinkTable } from '../../database.ts'
import { unfit } from './catalog.ts'
import type { RawValue, Session } from './connection.ts'
import { positionTable, quarantineTable, shadowTable } from './names.ts'
import { makeSchema, makeTable } from './setup.ts'

/** `columns` holds the local column of each item by its id; `removal`: null, `begun`, `done`. */
export const stateTables = [
  makeSchema,
  makeTable(positionTable, [
    `route nvarchar(128) collate ${binaryCollation} not null, part varchar(8) not null`,
    'epoch bigint null, seq bigint null, hash varchar(64) null, began_epoch bigint null, began_seq bigint null',
    'complete bit not null default 0, schema_version bigint not null, columns nvarchar(max) not null, key_items nvarchar(max) not null, mapping nvarchar(max) not null',
    `table_name nvarchar(260) collate ${binaryCollation} not null, source nvarchar(64) collate ${binaryCollation} not null`,
    `resource nvarchar(64) collate ${binaryCollation} not null, former nvarchar(max) not null`,
    'removal varchar(8) null, removed bigint not null default 0',
    'primary key (route, part)',
  ]),
  makeTable(quarantineTable, [
    `route nvarchar(128) collate ${binaryCollation} not null, part varchar(8) not null, key_hash varchar(64) collate ${binaryCollation} not null`,
    'key_text nvarchar(max) not null, code varchar(40) not null, item nvarchar(64) null, reason nvarchar(1000) null',
    // A row that the server refused, for another try: `u` or `d`, and its values by item.
    'op char(1) null, kept nvarchar(max) null',
    'epoch bigint not null, seq bigint not null, at datetime2(3) not null default sysutcdatetime()',
    'primary key (route, part, key_hash)',
  ]),
]

/** Asked first: making wants rights also where there is nothing to make. */
export async function makeStateTables(session: Session): Promise<void> {
  const [row] = await session.query(`select object_id(N'${positionTable}', N'U'), object_id(N'${quarantineTable}', N'U')`)
  if (!row!.includes(null)) return
  for (const statement of stateTables) await session.query(statement)
}

/** False in a database into which nothing was ever delivered. */
export async function hasStateTables(session: Session): Promise<boolean> {
  const [row] = await session.query(`select object_id(N'${positionTable}', N'U')`)
  return row![0] !== null
}

export interface Remembered {
  state: SinkState
  /** As configured. */
  table: string
  /** Tables that it filled before. */
  former: string[]
}

const rememberedQuery = `select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, convert(int, p.complete), p.schema_version, p.columns, p.key_items, p.mapping, p.table_name, p.former,
  (select count(*) from ${quarantineTable} q where q.route = p.route and q.part = p.part)
from ${positionTable} p where p.route = @route and p.part = @part`

export async function remembered(session: Session, route: string, part: Part): Promise<Remembered | undefined> {
  const [row] = await session.query(rememberedQuery, { route, part })
  return row && fromRow(row)
}

function fromRow(row: readonly RawValue[]): Remembered {
  const [epoch, seq, hash, beganEpoch, beganSeq, complete, version, columnsText, keys, mapping, table, former, quarantine] = row
  const columns = JSON.parse(String(columnsText)) as Record<string, string>
  const state = {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: beganEpoch === null ? null : { epoch: Number(beganEpoch), seq: Number(beganSeq) },
    complete: Number(complete) === 1,
    schemaVersion: Number(version),
    items: Object.keys(columns),
    columns,
    keys: JSON.parse(String(keys)) as string[],
    mapping: String(mapping),
    quarantine: Number(quarantine),
  }
  return { state, table: String(table), former: JSON.parse(String(former)) as string[] }
}

/** Writes down what a part is made for, its position empty; a table of another name that it filled before is not forgotten. */
export async function remember(session: Session, sink: SinkTable, part: Part, before?: Remembered): Promise<void> {
  const columns = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  const keys = sink.columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  const former = new Set([...(before?.former ?? []), ...(before ? [before.table] : [])])
  former.delete(sink.table)
  const { route } = sink
  for (const table of [quarantineTable, positionTable]) {
    await session.query(`delete from ${table} where route = @route and part = @part`, { route, part })
  }
  await session.query(
    `insert into ${positionTable} (route, part, schema_version, columns, key_items, mapping, table_name, source, resource, former)
values (@route, @part, convert(bigint, @version), @columns, @keys, @mapping, @table, @source, @resource, @former)`,
    {
      ...owner(sink),
      route,
      part,
      columns: JSON.stringify(columns),
      keys: JSON.stringify(keys),
      mapping: mappingText(sink.columns),
      former: JSON.stringify([...former]),
    },
  )
}

function owner({ schema, table, source, resource }: SinkTable): { version: string; table: string; source: string; resource: string } {
  return { version: String(schema.version), table, source, resource }
}

/** The version that the live part has followed. */
export async function noteTable(session: Session, sink: SinkTable): Promise<void> {
  await session.query(
    `update ${positionTable} set table_name = @table, source = @source, resource = @resource, schema_version = convert(bigint, @version)
where route = @route and part = 'live'`,
    { ...owner(sink), route: sink.route },
  )
}

/**
 * A later grant of a resource fills the table that an earlier one filled: its rows are this route's now, and it goes on from where
 * the other one was, so that no row goes back. Throws QZ-SINK-TABLE while rows are being removed from the table.
 */
export async function takeOver(session: Session, sink: SinkTable): Promise<void> {
  const { route, table, source, resource } = sink
  const others = await session.query(
    `select route, removal from ${positionTable} where part = 'live' and route <> @route and table_name = @table and source = @source
  and resource = @resource and isnull(removal, '') <> 'done'`,
    { route, table, source, resource },
  )
  for (const [other, removal] of others) {
    if (removal)
      throw unfit(sink, `已结束的授权 ${String(other)} 的数据正在清除 / the rows of ended route ${String(other)} are being removed from it`)
    await session.transaction(() => inherit(session, sink, String(other)))
  }
}

async function inherit(session: Session, sink: SinkTable, other: string): Promise<void> {
  const [own, theirs] = [await remembered(session, sink.route, 'live'), (await remembered(session, other, 'live'))!]
  const here = own?.table === sink.table ? own.state.position : null
  const place = theirs.state.position
  await forgetPart(session, other, 'shadow')
  if (!place || (here && !isAfter(place, here))) return forgetPart(session, other, 'live')
  await forgetPart(session, sink.route, 'live')
  for (const table of [positionTable, quarantineTable]) {
    await session.query(`update ${table} set route = @route where route = @other`, { route: sink.route, other })
  }
}

/** Leaves nothing of a part but the rows of a live table. */
export async function forgetPart(session: Session, route: string, part: Part): Promise<void> {
  if (part === 'shadow') await session.query(dropTable(shadowTable(route)))
  for (const table of [positionTable, quarantineTable]) {
    await session.query(`delete from ${table} where route = @route and part = @part`, { route, part })
  }
}

export function dropTable(table: string): string {
  return `if object_id(N'${table}', N'U') is not null drop table ${table}`
}
