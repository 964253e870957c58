/** What the target database remembers of each route: where it stands, what its table was made for, and whose rows are whose. */
import { isAfter, type Position, type ChainPosition } from '../../../protocol/position.ts'
import { madeName, quoteName, textType, unlessError, type Flavour } from './sql.ts'
import { mappingText, type Part, type SinkState, type SinkTable } from '../../database.ts'
import { place, readTable, unfit } from './catalog.ts'
import type { Binds, RawValue, Session } from './connection.ts'
import { safeName } from './names.ts'

export const positionTable = 'QZ_ROUTE_POSITION'
export const quarantineTable = 'QZ_QUARANTINE'

/** `items` holds the local column of each item by its id; `kept` the values by item of a row that the server refused. `removal`: null, `begun`, `done`. Texts without a length stand last. */
export function routeTables(owner: string, flavour: Flavour): string[] {
  const own = (name: string) => `${quoteName(owner)}.${quoteName(name)}`
  const long = textType(undefined, flavour)
  return [
    `create table ${own(positionTable)} (
  route varchar2(128 char) not null, part varchar2(8) not null, epoch number(19), seq number(19), hash varchar2(64),
  began_epoch number(19), began_seq number(19), complete number(1) default 0 not null, swapping number(1) default 0 not null,
  schema_version number(19) not null, written_at timestamp(6) not null, table_name ${textType(200, flavour)}, source_code varchar2(64 char),
  resource_code varchar2(64 char), removal varchar2(8), removed number(19) default 0 not null,
  items ${long} not null, key_items ${long}, former ${long}, mapping ${long}, primary key (route, part)
)`,
    `create table ${own(quarantineTable)} (
  route varchar2(128 char) not null, part varchar2(8) not null, key_hash varchar2(64) not null, code varchar2(40) not null,
  reason ${textType(1000, flavour)}, position number(19) not null, written_at timestamp(6) not null, key_text ${long} not null,
  kept ${long}, primary key (route, part, key_hash)
)`,
  ].map((statement) => unlessError(-955, statement))
}

export async function makeStateTables(session: Session): Promise<void> {
  if (await hasStateTables(session)) return
  for (const statement of routeTables(session.server.user, session.server)) await session.run(statement)
}

/** False in a database into which nothing was ever delivered. */
export async function hasStateTables(session: Session): Promise<boolean> {
  const binds = session.binds()
  const [user, positions, quarantine] = [session.server.user, positionTable, quarantineTable].map((name) => binds.code(name))
  const rows = await session.rows(
    `select table_name from all_tables where owner = ${user} and table_name in (${positions}, ${quarantine})`,
    binds,
  )
  return rows.length === 2
}

export interface StoredState extends SinkState {
  swapping: boolean
  /** As configured. */
  table: string | null
  /** Tables that it filled before. */
  former: string[]
}

/** A condition on one part of a route. */
export function ofPart(binds: Binds, route: string, part: Part): string {
  return `route = ${binds.code(route)} and part = ${binds.code(part)}`
}

/** Keeps others from the part until the transaction ends. */
export async function lockState(session: Session, route: string, part: Part): Promise<void> {
  const binds = session.binds()
  await session.rows(`select seq from ${session.own(positionTable)} where ${ofPart(binds, route, part)} for update`, binds)
}

export async function readState(session: Session, route: string, part: Part): Promise<StoredState | null> {
  const binds = session.binds()
  const [row] = await session.rows(
    `select p.epoch, p.seq, p.hash, p.began_epoch, p.began_seq, p.complete, p.schema_version, p.swapping, p.table_name, p.items, p.key_items, p.former, p.mapping,
  (select count(*) from ${session.own(quarantineTable)} q where q.route = p.route and q.part = p.part)
from ${session.own(positionTable)} p where p.route = ${binds.code(route)} and p.part = ${binds.code(part)}`,
    binds,
  )
  return row ? storedState(row) : null
}

function storedState(row: RawValue[]): StoredState {
  const [epoch, seq, hash, beganEpoch, beganSeq, complete, version, swapping, table, items, keys, former, mapping, quarantine] = row
  const columns = JSON.parse(String(items)) as Record<string, string>
  return {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: beganEpoch === null ? null : { epoch: Number(beganEpoch), seq: Number(beganSeq) },
    complete: Number(complete) === 1,
    schemaVersion: Number(version),
    items: Object.keys(columns),
    columns,
    keys: keys ? (JSON.parse(String(keys)) as string[]) : undefined,
    swapping: Number(swapping) === 1,
    table: table ? String(table) : null,
    former: former ? (JSON.parse(String(former)) as string[]) : [],
    // An empty text is null.
    mapping: mapping ? String(mapping) : '',
    quarantine: Number(quarantine),
  }
}

/** A part that holds nothing yet; a table of another name that it filled before is not forgotten. Within a transaction. */
export async function writeFreshState(session: Session, sink: SinkTable, part: Part, before?: StoredState | null): Promise<void> {
  const columns = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  const keys = sink.columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  const former = new Set([...(before?.former ?? []), ...(before?.table ? [before.table] : [])])
  former.delete(sink.table)
  await forgetState(session, sink.route, part)
  const binds = session.binds()
  const values = [
    binds.code(sink.route),
    binds.code(part),
    binds.number(sink.schema.version),
    binds.text(sink.table),
    binds.code(sink.source),
    binds.code(sink.resource),
    ...[columns, keys, [...former]].map((value) => binds.text(JSON.stringify(value))),
    binds.text(mappingText(sink.columns)),
  ]
  await session.run(
    `insert into ${session.own(positionTable)} (written_at, route, part, schema_version, table_name, source_code, resource_code, items, key_items, former, mapping)
values (sys_extract_utc(systimestamp), ${values.join(', ')})`,
    binds,
  )
}

/** The version that the live part has followed. */
export async function noteTable(session: Session, sink: SinkTable): Promise<void> {
  const binds = session.binds()
  await session.run(
    `update ${session.own(positionTable)} set table_name = ${binds.text(sink.table)}, source_code = ${binds.code(sink.source)},
  resource_code = ${binds.code(sink.resource)}, schema_version = ${binds.number(sink.schema.version)} where ${ofPart(binds, sink.route, 'live')}`,
    binds,
  )
}

export async function moveState(
  session: Session,
  sink: SinkTable,
  part: Part,
  to: ChainPosition,
  snapshot: Position | null,
  complete: boolean,
): Promise<void> {
  const binds = session.binds()
  await session.run(
    `update ${session.own(positionTable)} set epoch = ${binds.number(to.epoch)}, seq = ${binds.number(to.seq)}, hash = ${binds.code(to.hash)},
  began_epoch = ${binds.number(snapshot?.epoch ?? null)}, began_seq = ${binds.number(snapshot?.seq ?? null)}, complete = ${complete ? 1 : 0},
  written_at = sys_extract_utc(systimestamp) where ${ofPart(binds, sink.route, part)}`,
    binds,
  )
}

/** The shadow's state takes the live one's place; within a transaction. */
export async function shadowStateToLive(session: Session, sink: SinkTable): Promise<void> {
  const live = await readState(session, sink.route, 'live')
  await forgetState(session, sink.route, 'live')
  const positions = session.binds()
  await session.run(
    `update ${session.own(positionTable)} set part = 'live', swapping = 0, former = ${positions.text(JSON.stringify(live?.former ?? []))}
where ${ofPart(positions, sink.route, 'shadow')}`,
    positions,
  )
  const quarantine = session.binds()
  await session.run(
    `update ${session.own(quarantineTable)} set part = 'live' where ${ofPart(quarantine, sink.route, 'shadow')}`,
    quarantine,
  )
}

/** The table of a part, as configured or its shadow beside it: of a shared table each route has its own. */
export function partTable(session: Session, sink: Pick<SinkTable, 'table' | 'route' | 'shared'>, part: Part | 'old'): string {
  if (part === 'live') return sink.table
  const { owner, name } = place(session, sink.table)
  const prefix = part === 'shadow' ? 'QZ_SHADOW_' : 'QZ_OLD_'
  return `${madeName(owner)}.${prefix}${safeName(`${name.toLowerCase()}${sink.shared ? `_${sink.route}` : ''}`, 20)}`
}

/**
 * A later grant of a resource fills the table that an earlier one filled: its rows are this route's now, and it goes on from where
 * the other one was, so that no row goes back. Throws QZ-SINK-TABLE while rows are being removed from the table.
 */
export async function takeOver(session: Session, sink: SinkTable): Promise<void> {
  const binds = session.binds()
  const others = await session.rows(
    `select route, removal from ${session.own(positionTable)} where part = 'live' and route <> ${binds.code(sink.route)}
and table_name = ${binds.text(sink.table)} and source_code = ${binds.code(sink.source)} and resource_code = ${binds.code(sink.resource)}
and nvl(removal, '-') <> 'done'`,
    binds,
  )
  for (const [route, removal] of others) {
    if (removal)
      throw unfit(sink, `已结束的授权 ${String(route)} 的数据正在清除 / the rows of ended route ${String(route)} are being removed from it`)
    await session.transaction(() => inherit(session, sink, String(route)))
  }
}

async function inherit(session: Session, sink: SinkTable, other: string): Promise<void> {
  for (const route of [sink.route, other]) await lockState(session, route, 'live')
  const [own, theirs] = [await readState(session, sink.route, 'live'), (await readState(session, other, 'live'))!]
  const here = own?.table === sink.table ? own.position : null
  await forgetState(session, other, 'shadow')
  if (!theirs.position || (here && !isAfter(theirs.position, here))) return forgetState(session, other, 'live')
  await forgetState(session, sink.route, 'live')
  for (const table of [positionTable, quarantineTable]) {
    const binds = session.binds()
    await session.run(`update ${session.own(table)} set route = ${binds.code(sink.route)} where route = ${binds.code(other)}`, binds)
  }
}

export async function forgetState(session: Session, route: string, part: Part): Promise<void> {
  for (const table of [positionTable, quarantineTable]) {
    const binds = session.binds()
    await session.run(`delete from ${session.own(table)} where ${ofPart(binds, route, part)}`, binds)
  }
}

/** A shadow whose table is gone, or that was filled for a table of another name, is none. */
export async function soundShadow(session: Session, sink: SinkTable): Promise<StoredState | null> {
  const shadow = await readState(session, sink.route, 'shadow')
  if (!shadow) return null
  const table = partTable(session, sink, 'shadow')
  if (shadow.table === sink.table && (await readTable(session, table))) return shadow
  await session.transaction(() => forgetState(session, sink.route, 'shadow'))
  await dropTable(session, table)
  return null
}

export async function dropTable(session: Session, table: string): Promise<void> {
  const there = await readTable(session, table)
  if (there) await session.run(`drop table ${there.name} purge`)
}
