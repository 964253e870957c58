/** The tables of delivery: what a delivered table must look like, the state beside it, and the shadow that takes its place. */
import { QianzhiError } from '../../protocol/errors.ts'
import type { Place, Position } from '../../protocol/position.ts'
import type { Item } from '../../protocol/schema.ts'
import {
  addedColumns,
  columnDefinitions,
  deliveredTable,
  quoteName,
  quoteTable,
  quoteText,
  type ApplyTable,
} from '../../protocol/tables/mysql.ts'
import type { Part, SinkState, SinkTable } from '../database.ts'
import { place, readTable, type CatalogColumn, type CatalogTable } from './mysql-catalog.ts'
import type { RawValue, Server, Session } from './mysql-connection.ts'
import { safeName } from './mysql-names.ts'

export const positionTable = 'qz_route_position'
export const quarantineTable = 'qz_quarantine'

export function stateTables(server: Server): string[] {
  const key = (length: number) => `varchar(${length}) character set utf8mb4 collate ${server.binaryCollation} not null`
  const end = 'engine=InnoDB row_format=dynamic default character set utf8mb4'
  return [
    `create table if not exists ${positionTable} (route ${key(128)}, part ${key(8)}, epoch bigint, seq bigint, hash char(64), began_epoch bigint, began_seq bigint,
      complete tinyint not null default 0, swapping tinyint not null default 0, schema_version bigint not null, items longtext not null,
      at datetime(6) not null, primary key (route, part)) ${end} comment='前置:交换路由位置'`,
    `create table if not exists ${quarantineTable} (route ${key(128)}, part ${key(8)}, key_hash char(64) character set ascii not null, key_text longtext not null,
      code varchar(40) not null, reason varchar(1000), position bigint not null, at datetime(6) not null,
      primary key (route, part, key_hash)) ${end} comment='前置:未能落地的行'`,
  ]
}

export interface StoredState extends SinkState {
  swapping: boolean
}

export async function readState(session: Session, route: string, part: Part, lock = false): Promise<StoredState | null> {
  const where = `where route = ${quoteText(route)} and part = '${part}'`
  const [row] = await session.rows(
    `select epoch, seq, hash, began_epoch, began_seq, complete, schema_version, items, swapping,
    (select count(*) from ${quarantineTable} ${where}) from ${positionTable} ${where}${lock ? ' for update' : ''}`,
  )
  return row ? storedState(row) : null
}

function storedState([epoch, seq, hash, beganEpoch, beganSeq, complete, version, items, swapping, quarantine]: RawValue[]): StoredState {
  return {
    position: epoch === null ? null : { epoch: Number(epoch), seq: Number(seq), hash: String(hash) },
    snapshot: beganEpoch === null ? null : { epoch: Number(beganEpoch), seq: Number(beganSeq) },
    complete: Number(complete) === 1,
    schemaVersion: Number(version),
    items: JSON.parse(String(items)) as string[],
    swapping: Number(swapping) === 1,
    quarantine: Number(quarantine),
  }
}

/** A part that holds nothing yet. */
export async function writeFreshState(session: Session, sink: SinkTable, part: Part): Promise<void> {
  const items = JSON.stringify(sink.columns.map(({ item }) => item.id))
  await session.run(`delete from ${quarantineTable} where route = ${quoteText(sink.route)} and part = '${part}'`)
  await session.run(
    `replace into ${positionTable} (route, part, schema_version, items, at)
    values (${quoteText(sink.route)}, '${part}', ${sink.schema.version}, ${quoteText(items)}, utc_timestamp(6))`,
  )
}

export async function moveState(
  session: Session,
  sink: SinkTable,
  part: Part,
  to: Position,
  snapshot: Place | null,
  complete: boolean,
): Promise<void> {
  await session.run(
    `update ${positionTable} set epoch = ${to.epoch}, seq = ${to.seq}, hash = ${quoteText(to.hash)}, began_epoch = ${snapshot?.epoch ?? null},
    began_seq = ${snapshot?.seq ?? null}, complete = ${complete ? 1 : 0}, at = utc_timestamp(6) where route = ${quoteText(sink.route)} and part = '${part}'`,
  )
}

/** The table of a part, as configured or its shadow beside it. */
export function partTable(session: Session, sink: SinkTable, part: Part | 'old'): string {
  const { database, name } = place(session, sink.table)
  return part === 'live' ? `${database}.${name}` : `${database}.${safeName(`qz_${part}_${name.toLowerCase()}`, 64)}`
}

/** Makes the table if it is missing, adds the qz_ columns to one that the receiver made, checks the rest. */
export async function provideTable(session: Session, sink: SinkTable, part: Part): Promise<ApplyTable> {
  const table = partTable(session, sink, part)
  if (!(await readTable(session, table))) await session.run(deliveredTable({ ...sink, table }, session.server))
  await addMissingColumns(session, sink, (await readTable(session, table))!, table)
  return checkedTable(sink, (await readTable(session, table))!, table)
}

async function addMissingColumns(session: Session, sink: SinkTable, { columns }: CatalogTable, table: string): Promise<void> {
  const missing = addedColumns(sink.deletes).filter(({ column }) => !columns.some((there) => there.column.toLowerCase() === column))
  if (missing.length === 0) return
  const add = missing.map(({ column, definition }) => `add column ${quoteName(column)} ${definition}`)
  try {
    await session.run(`alter table ${quoteTable(table)} ${add.join(', ')}`)
  } catch (error) {
    throw unfit(sink, `columns ${missing.map(({ column }) => column).join(', ')} are missing and cannot be added`, error)
  }
}

export function unfit({ table }: SinkTable, reason: string, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table, reason }, { cause })
}

function checkedTable(sink: SinkTable, catalog: CatalogTable, table: string): ApplyTable {
  if (catalog.kind !== 'BASE TABLE') throw unfit(sink, `it is a ${catalog.kind.toLowerCase()}`)
  if (catalog.engine.toLowerCase() !== 'innodb')
    throw unfit(sink, `its engine is ${catalog.engine}: rows and position would not commit together`)
  for (const { item, column } of sink.columns) {
    const there = catalog.columns.find(({ column: name }) => name.toLowerCase() === column.toLowerCase())
    if (!there) throw unfit(sink, `column ${column} is missing`)
    if (!holds(there, item)) throw unfit(sink, `column ${column} (${there.fullType}) cannot hold ${item.id} (${item.type}) without loss`)
  }
  const keys = sink.columns.filter(({ item }) => item.key).map(({ column }) => column.toLowerCase())
  const fits = (columns: string[]) =>
    keys.every((key) => columns.includes(key)) && columns.every((name) => keys.includes(name) || name === 'qz_source')
  const index = catalog.uniques.find(({ columns }) => fits(columns.map((name) => name.toLowerCase())))
  if (!index) throw unfit(sink, `the key items (${keys.join(', ')}) are not a unique index of not-null columns`)
  return { name: quoteTable(table), columns: sink.columns, key: index.columns, deletes: sink.deletes, source: sink.source }
}

/** Whether the server would keep the value or refuse it: what it would round or clip without an error is not for delivery. */
function holds({ type, scale = 0, fraction = 0 }: CatalogColumn, item: Item): boolean {
  const text = /(char|text)$|^json$/.test(type)
  const integer = type.endsWith('int')
  switch (item.type) {
    case 'integer':
      return integer || type === 'decimal'
    case 'decimal':
      return (type === 'decimal' && scale >= (item.scale ?? 0)) || (integer && !item.scale)
    case 'boolean':
      return integer || type === 'bit'
    case 'date':
      return type === 'date' || type === 'datetime'
    case 'timestamp':
      return type === 'datetime' && fraction === 6
    case 'timestamptz':
      return (type === 'datetime' || type === 'timestamp') && fraction === 6
    case 'time':
      return type === 'time' && fraction === 6
    case 'binary':
      return /(blob|binary)$/.test(type)
    default:
      return text || (item.type === 'text' && ['enum', 'set', 'uuid', 'inet4', 'inet6'].includes(type))
  }
}

/** An empty table with the sink's present columns that keeps the live table's indexes and the receiver's own columns. */
export async function makeShadow(session: Session, sink: SinkTable, dropped: readonly string[]): Promise<void> {
  const shadow = partTable(session, sink, 'shadow')
  const live = await readTable(session, partTable(session, sink, 'live'))
  await session.run(`drop table if exists ${quoteTable(shadow)}`)
  if (!live) {
    await session.run(deliveredTable({ ...sink, table: shadow }, session.server))
    return
  }
  await session.run(`create table ${quoteTable(shadow)} like ${quoteTable(partTable(session, sink, 'live'))}`)
  const definitions = columnDefinitions(sink.columns, session.server)
  const there = (column: string) => live.columns.some(({ column: name }) => name.toLowerCase() === column.toLowerCase())
  const changes = [
    ...sink.columns.flatMap(({ item, column }, i) =>
      there(column) ? (item.key ? [] : [`modify column ${definitions[i]!}`]) : [`add column ${definitions[i]!}`],
    ),
    ...dropped.filter(there).map((column) => `drop column ${quoteName(column)}`),
  ]
  if (changes.length > 0) await session.run(`alter table ${quoteTable(shadow)} ${changes.join(', ')}`)
}

/**
 * DDL commits, so the swap is three steps that a crash may part: `swapping` is written down, the tables are renamed at once, the state
 * follows. Whether the shadow is still there tells which step is next.
 */
export async function swapShadow(session: Session, sink: SinkTable): Promise<void> {
  const where = (part: Part) => `where route = ${quoteText(sink.route)} and part = '${part}'`
  const [live, shadow, old] = (['live', 'shadow', 'old'] as const).map((part) => partTable(session, sink, part)) as [string, string, string]
  await session.run(`update ${positionTable} set swapping = 1 ${where('shadow')}`)
  if (await readTable(session, shadow)) {
    await session.run(`drop table if exists ${quoteTable(old)}`)
    const away = (await readTable(session, live)) ? `${quoteTable(live)} to ${quoteTable(old)}, ` : ''
    await session.run(`rename table ${away}${quoteTable(shadow)} to ${quoteTable(live)}`)
  }
  await session.transaction(async () => {
    for (const table of [positionTable, quarantineTable]) await session.run(`delete from ${table} ${where('live')}`)
    await session.run(`update ${positionTable} set part = 'live', swapping = 0 ${where('shadow')}`)
    await session.run(`update ${quarantineTable} set part = 'live' ${where('shadow')}`)
  })
  await session.run(`drop table if exists ${quoteTable(old)}`)
}
