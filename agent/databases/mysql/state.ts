/** What the target database remembers of each route: where it stands, what its table was made for, and whose rows are whose. */
import { isAfter, type Position, type ChainPosition } from '../../../protocol/position.ts'
import { quoteTable, quoteText } from './sql.ts'
import { mappingText, type Part, type SinkState, type SinkTable } from '../../database.ts'
import { place, readTable, unfit } from './catalog.ts'
import type { RawValue, Server, Session } from './connection.ts'
import { safeName } from './names.ts'

export const positionTable = 'qz_route_position'
export const quarantineTable = 'qz_quarantine'

/** `items` holds the local column of each item by its id. */
function stateTables(server: Server): string[] {
  const key = (length: number) => `varchar(${length}) character set utf8mb4 collate ${server.binaryCollation} not null`
  const end = 'engine=InnoDB row_format=dynamic default character set utf8mb4'
  return [
    `create table if not exists ${positionTable} (route ${key(128)}, part ${key(8)}, epoch bigint, seq bigint, hash char(64), began_epoch bigint, began_seq bigint,
      complete tinyint not null default 0, swapping tinyint not null default 0, schema_version bigint not null, items longtext not null,
      at datetime(6) not null, ${laterColumns}, primary key (route, part)) ${end} comment='前置:交换路由位置'`,
    `create table if not exists ${quarantineTable} (route ${key(128)}, part ${key(8)}, key_hash char(64) character set ascii not null, key_text longtext not null,
      code varchar(40) not null, reason varchar(1000), position bigint not null, at datetime(6) not null, ${laterQuarantine},
      primary key (route, part, key_hash)) ${end} comment='前置:未能落地的行'`,
  ]
}

/** Added to what an older agent made. `removal`: null, `begun`, `done`. */
const laterColumns = `key_items text, table_name varchar(200), source varchar(64), resource varchar(64), former text, removal varchar(8),
      removed bigint not null default 0, mapping longtext`

/** `kept`: the refused row's values by item, as JSON. */
const laterQuarantine = 'item varchar(64), kept longtext'

export async function makeStateTables(session: Session): Promise<void> {
  for (const statement of stateTables(session.server)) await session.run(statement)
  await addLater(session, positionTable, 'mapping', laterColumns)
  await addLater(session, quarantineTable, 'kept', laterQuarantine)
}

/** The last column tells whether they are all there. */
async function addLater(session: Session, table: string, last: string, columns: string): Promise<void> {
  const there = new Set((await readTable(session, table))!.columns.map(({ column }) => column))
  if (there.has(last)) return
  const missing = columns
    .split(',')
    .map((column) => column.trim())
    .filter((column) => !there.has(column.split(' ')[0]!))
  const additions = missing.map((column) => `add column ${column}`)
  await session.run(`alter table ${table} ${additions.join(', ')}`)
}

/** False in a database into which nothing was ever delivered. */
export async function hasStateTables(session: Session): Promise<boolean> {
  return (await readTable(session, positionTable)) !== undefined
}

export interface StoredState extends SinkState {
  swapping: boolean
  /** As configured; null where an older agent did not write it down. */
  table: string | null
  /** Tables that it filled before. */
  former: string[]
}

export async function readState(session: Session, route: string, part: Part, lock = false): Promise<StoredState | null> {
  const where = ofPart(route, part)
  const [row] = await session.rows(
    `select epoch, seq, hash, began_epoch, began_seq, complete, schema_version, items, swapping, key_items, table_name, former, mapping,
    (select count(*) from ${quarantineTable} where ${where}) from ${positionTable} where ${where}${lock ? ' for update' : ''}`,
  )
  return row ? storedState(row) : null
}

function storedState(row: RawValue[]): StoredState {
  const [epoch, seq, hash, beganEpoch, beganSeq, complete, version, items, swapping, keys, table, former, mapping, quarantine] = row
  const columns = columnsOf(JSON.parse(String(items)) as Record<string, string> | string[])
  return {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: beganEpoch === null ? null : { epoch: Number(beganEpoch), seq: Number(beganSeq) },
    complete: Number(complete) === 1,
    schemaVersion: Number(version),
    items: Object.keys(columns),
    columns,
    keys: keys ? (JSON.parse(String(keys)) as string[]) : undefined,
    mapping: mapping === null ? '' : String(mapping),
    swapping: Number(swapping) === 1,
    table: table ? String(table) : null,
    former: former ? (JSON.parse(String(former)) as string[]) : [],
    quarantine: Number(quarantine),
  }
}

/** An older agent wrote down the ids alone; columns that are not known are taken for the items' names. */
function columnsOf(items: Record<string, string> | string[]): Record<string, string> {
  return Array.isArray(items) ? Object.fromEntries(items.map((id) => [id, id])) : items
}

export function ofPart(route: string, part: Part): string {
  return `route = ${quoteText(route)} and part = '${part}'`
}

/** A part that holds nothing yet; a table of another name that it filled before is not forgotten. */
export async function writeFreshState(session: Session, sink: SinkTable, part: Part, before?: StoredState | null): Promise<void> {
  const columns = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  const keys = sink.columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  const former = new Set([...(before?.former ?? []), ...(before?.table ? [before.table] : [])])
  former.delete(sink.table)
  const texts = [columns, keys, [...former]].map((value) => quoteText(JSON.stringify(value)))
  const owner = [sink.table, sink.source, sink.resource, mappingText(sink.columns)].map(quoteText)
  await session.run(`delete from ${quarantineTable} where ${ofPart(sink.route, part)}`)
  await session.run(
    `replace into ${positionTable} (route, part, schema_version, items, key_items, former, table_name, source, resource, mapping, at)
    values (${quoteText(sink.route)}, '${part}', ${sink.schema.version}, ${[...texts, ...owner].join(', ')}, utc_timestamp(6))`,
  )
}

/** The version that the live part has followed; its table, which an older agent did not write down. */
export async function noteTable(session: Session, sink: SinkTable): Promise<void> {
  const [table, source, resource] = [sink.table, sink.source, sink.resource].map(quoteText)
  await session.run(
    `update ${positionTable} set table_name = ${table}, source = ${source}, resource = ${resource}, schema_version = ${sink.schema.version}
    where ${ofPart(sink.route, 'live')}`,
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
  await session.run(
    `update ${positionTable} set epoch = ${to.epoch}, seq = ${to.seq}, hash = ${quoteText(to.hash)}, began_epoch = ${snapshot?.epoch ?? null},
    began_seq = ${snapshot?.seq ?? null}, complete = ${complete ? 1 : 0}, at = utc_timestamp(6) where ${ofPart(sink.route, part)}`,
  )
}

/** The shadow's state takes the live one's place; within a transaction. */
export async function shadowStateToLive(session: Session, sink: SinkTable): Promise<void> {
  const live = await readState(session, sink.route, 'live')
  for (const table of [positionTable, quarantineTable]) await session.run(`delete from ${table} where ${ofPart(sink.route, 'live')}`)
  const former = quoteText(JSON.stringify(live?.former ?? []))
  await session.run(`update ${positionTable} set part = 'live', swapping = 0, former = ${former} where ${ofPart(sink.route, 'shadow')}`)
  await session.run(`update ${quarantineTable} set part = 'live' where ${ofPart(sink.route, 'shadow')}`)
}

/** The table of a part, as configured or its shadow beside it: of a shared table each route has its own. */
export function partTable(session: Session, sink: Pick<SinkTable, 'table' | 'route' | 'shared'>, part: Part | 'old'): string {
  const { database, name } = place(session, sink.table)
  if (part === 'live') return `${database}.${name}`
  return `${database}.${safeName(`qz_${part}_${name.toLowerCase()}${sink.shared ? `_${sink.route}` : ''}`, 64)}`
}

/**
 * A later grant of a resource fills the table that an earlier one filled: its rows are this route's now, and it goes on from where
 * the other one was, so that no row goes back. Throws QZ-SINK-TABLE while rows are being removed from the table.
 */
export async function takeOver(session: Session, sink: SinkTable): Promise<void> {
  const [table, source, resource] = [sink.table, sink.source, sink.resource].map(quoteText)
  const others = await session.rows(
    `select route, removal from ${positionTable} where part = 'live' and route <> ${quoteText(sink.route)} and table_name = ${table}
     and source = ${source} and resource = ${resource} and ifnull(removal, '') <> 'done'`,
  )
  for (const [route, removal] of others) {
    if (removal)
      throw unfit(sink, `已结束的授权 ${String(route)} 的数据正在清除 / the rows of ended route ${String(route)} are being removed from it`)
    await session.transaction(() => inherit(session, sink, String(route)))
  }
}

async function inherit(session: Session, sink: SinkTable, other: string): Promise<void> {
  const [own, theirs] = [await readState(session, sink.route, 'live', true), (await readState(session, other, 'live', true))!]
  const here = own?.table === sink.table ? own.position : null
  await forgetState(session, other, 'shadow')
  if (!theirs.position || (here && !isAfter(theirs.position, here))) return forgetState(session, other, 'live')
  await forgetState(session, sink.route, 'live')
  for (const table of [positionTable, quarantineTable]) {
    await session.run(`update ${table} set route = ${quoteText(sink.route)} where route = ${quoteText(other)}`)
  }
}

export async function forgetState(session: Session, route: string, part: Part): Promise<void> {
  for (const table of [positionTable, quarantineTable]) await session.run(`delete from ${table} where ${ofPart(route, part)}`)
}

/** A shadow whose table is gone, or that was filled for a table of another name, is none. */
export async function soundShadow(session: Session, sink: SinkTable): Promise<StoredState | null> {
  const shadow = await readState(session, sink.route, 'shadow')
  if (!shadow) return null
  const table = partTable(session, sink, 'shadow')
  if ((shadow.table === null || shadow.table === sink.table) && (await readTable(session, table))) return shadow
  await forgetState(session, sink.route, 'shadow')
  await session.run(`drop table if exists ${quoteTable(table)}`)
  return null
}
