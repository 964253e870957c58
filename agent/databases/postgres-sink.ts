/** Delivered tables: made, checked and exchanged; and what the target database remembers of each route. */
import { createHash } from 'node:crypto'
import { QianzhiError } from '../../protocol/errors.ts'
import { positionNumber, type Position } from '../../protocol/position.ts'
import {
  addColumn,
  addedColumns,
  columnType,
  deliveredTable,
  keyColumns,
  positionColumn,
  quoteName,
  quoteTable,
  removeOthers,
  rowsOfTexts,
  sourceColumn,
  splitTable,
  upsert,
  type ApplyTable,
} from '../../protocol/tables/postgres.ts'
import { valueFault, type Value } from '../../protocol/value.ts'
import type { Part, SinkState, SinkTable } from '../database.ts'
import type { Connection } from './postgres-connection.ts'
import { findTable, type Table } from './postgres-table.ts'
import { canReceive } from './postgres-types.ts'

const stateTables = `
  create schema if not exists qianzhi;
  create table if not exists qianzhi.route_position (
    route text, part text check (part in ('live', 'shadow')), epoch integer, seq bigint, hash text,
    snapshot_epoch integer, snapshot_seq bigint, complete boolean not null default false,
    schema_version integer not null, columns text not null, primary key (route, part));
  create table if not exists qianzhi.quarantine (
    route text, part text, key text collate "C", code text not null, item text, reason text,
    epoch integer not null, seq bigint not null, at timestamptz not null default now(), primary key (route, part, key))`

/** A part of a sink that is ready to be written. */
export interface OpenSink {
  table: ApplyTable
  /** Keys in quarantine, so that most batches need not look for any to clear. */
  quarantine: number
}

/** A shadow's name, in our own schema. */
function shadowTable(sink: SinkTable): string {
  return `qianzhi.shadow_${createHash('sha256').update(sink.route).digest('hex').slice(0, 16)}`
}

export function refuse(sink: SinkTable, reason: string): QianzhiError {
  return new QianzhiError('QZ-SINK-TABLE', { table: sink.table, reason })
}

/** Asked first: "if not exists" wants the right to create also where there is nothing to create. */
export async function makeStateTables(connection: Connection): Promise<void> {
  const [row] = await connection.query(`select to_regclass('qianzhi.route_position'), to_regclass('qianzhi.quarantine')`)
  if (row!.includes(null)) await connection.script(stateTables)
}

interface Remembered {
  state: SinkState
  /** Local column of each item that the part was made for. */
  columns: Record<string, string>
}

export async function remembered(connection: Connection, sink: SinkTable, part: Part): Promise<Remembered | undefined> {
  const [row] = await connection.query(
    `select epoch, seq, hash, snapshot_epoch, snapshot_seq, complete, schema_version, columns,
       (select count(*) from qianzhi.quarantine q where q.route = p.route and q.part = p.part)
     from qianzhi.route_position p where route = $1 and part = $2`,
    [sink.route, part],
  )
  if (!row) return undefined
  const [epoch, seq, hash, snapshotEpoch, snapshotSeq, complete, version, columnsText, quarantine] = row
  const columns = JSON.parse(columnsText!) as Record<string, string>
  const state = {
    position: epoch ? { epoch: Number(epoch), seq: Number(seq), hash: hash! } : null,
    snapshot: snapshotEpoch ? { epoch: Number(snapshotEpoch), seq: Number(snapshotSeq) } : null,
    complete: complete === 't',
    schemaVersion: Number(version),
    items: Object.keys(columns),
    quarantine: Number(quarantine),
  }
  return { state, columns }
}

/** Writes down what a part is made for, its position empty. */
async function remember(connection: Connection, sink: SinkTable, part: Part): Promise<void> {
  const columns = Object.fromEntries(sink.columns.map(({ item, column }) => [item.id, column]))
  await connection.query('delete from qianzhi.quarantine where route = $1 and part = $2', [sink.route, part])
  await connection.query(
    `insert into qianzhi.route_position (route, part, schema_version, columns) values ($1, $2, $3, $4)
     on conflict (route, part) do update set schema_version = $3, columns = $4, epoch = null, seq = null, hash = null,
       snapshot_epoch = null, snapshot_seq = null, complete = false`,
    [sink.route, part, sink.schema.version, JSON.stringify(columns)],
  )
}

/**
 * Creates or checks the live table. Until its first batch it follows the sink; afterwards other items wait for a shadow. A table that
 * is gone is made again, and its route begins again.
 */
export async function openLive(connection: Connection, sink: SinkTable): Promise<OpenSink & Remembered> {
  return connection.transaction(async () => {
    const before = await remembered(connection, sink, 'live')
    const table = await findTable(connection, sink.table)
    if (!table || !before?.state.position) await remember(connection, sink, 'live')
    if (!table) await createTable(connection, sink)
    else if (before && !before.state.position) await addItems(connection, sink, table)
    const now = (await remembered(connection, sink, 'live'))!
    const columns = sink.columns.filter(({ item }) => item.id in now.columns)
    const found = checkTable({ ...sink, columns }, await addMissing(connection, sink, sink.table))
    return { ...now, table: found, quarantine: now.state.quarantine }
  })
}

async function createTable(connection: Connection, sink: SinkTable): Promise<void> {
  const [schema, name] = splitTable(sink.table)
  if (name !== undefined) {
    const [row] = await connection.query('select to_regnamespace($1)', [quoteName(schema!)])
    if (row![0] === null) await connection.query(`create schema ${quoteName(schema!)}`)
  }
  for (const statement of deliveredTable(sink)) await connection.query(statement)
}

/** Columns of new items. A table that the receiver made must have its mapped columns when it is first opened: a typing error is no column. */
async function addItems(connection: Connection, sink: SinkTable, table: Table): Promise<void> {
  for (const mapped of sink.columns) {
    if (table.columns.has(mapped.column)) continue
    for (const statement of addColumn(sink.table, mapped)) await connection.query(statement)
  }
}

/** The columns that tell source, position and time. */
async function addMissing(connection: Connection, sink: SinkTable, name: string): Promise<Table> {
  const table = (await findTable(connection, name))!
  const missing = addedColumns(sink.deletes).filter(({ column }) => !table.columns.has(column))
  if (missing.length === 0) return table
  const additions = missing.map(({ column, type }) => `add column ${quoteName(column)} ${type}`)
  await connection.query(`alter table ${quoteTable(name)} ${additions.join(', ')}`)
  return (await findTable(connection, name))!
}

function checkTable(sink: SinkTable, table: Table): ApplyTable {
  for (const { item, column } of sink.columns) {
    const found = table.columns.get(column)
    if (!found) throw refuse(sink, `it has no column ${column}`)
    if (!canReceive(item, found)) throw refuse(sink, `column ${column} (${found.type}) cannot hold ${columnType(item)}`)
    if (item.key && !found.notNull) throw refuse(sink, `key column ${column} may be null`)
  }
  const ours = new Set([...sink.columns, ...addedColumns(sink.deletes)].map(({ column }) => column))
  const foreign = [...table.columns.values()].find(
    (found) => found.notNull && !found.defaulted && !found.generated && !ours.has(found.name),
  )
  if (foreign) throw refuse(sink, `column ${foreign.name} needs a value that is not delivered`)
  return { name: table.name, columns: sink.columns, key: keyOf(sink, table), deletes: sink.deletes }
}

/** The unique index over the key items, or over them and the source, where providers of one standard share a table. */
function keyOf(sink: SinkTable, table: Table): readonly string[] {
  const keys = keyColumns(sink.columns)
  for (const wanted of [keys, [...keys, sourceColumn]]) {
    const found = table.keys.find((key) => key.length === wanted.length && wanted.every((column) => key.includes(column)))
    if (found) return found
  }
  throw refuse(sink, `no primary key or unique constraint over exactly (${keys.join(', ')})`)
}

/** The shadow that an earlier run began, if any. */
export async function openShadow(connection: Connection, sink: SinkTable): Promise<(OpenSink & Remembered) | undefined> {
  const found = await remembered(connection, sink, 'shadow')
  const table = found && (await findTable(connection, shadowTable(sink)))
  if (!found || !table) return undefined
  const columns = sink.columns.filter(({ item }) => item.id in found.columns)
  return { ...found, table: checkTable({ ...sink, columns }, table), quarantine: found.state.quarantine }
}

export async function beginShadow(connection: Connection, sink: SinkTable): Promise<OpenSink> {
  const table = shadowTable(sink)
  return connection.transaction(async () => {
    await connection.query(`drop table if exists ${quoteTable(table)}`)
    for (const statement of deliveredTable({ ...sink, table })) await connection.query(statement)
    await remember(connection, sink, 'shadow')
    return { table: checkTable(sink, (await findTable(connection, table))!), quarantine: 0 }
  })
}

/**
 * The live table takes the shadow's rows in one transaction and stays the same table: the receiver's grants, views and indexes hold.
 * Where columns are added or lengthened, readers wait for its end; otherwise they read the old rows meanwhile.
 */
export async function swapShadow(connection: Connection, sink: SinkTable): Promise<OpenSink> {
  return connection.transaction(async () => {
    const [old, shadow] = [await remembered(connection, sink, 'live'), await remembered(connection, sink, 'shadow')]
    const position = shadow?.state.position
    if (!old || !position) throw refuse(sink, 'there is no filled shadow')
    const live = await followShadow(connection, sink)
    const emptied = droppedColumns(sink, old, (await findTable(connection, sink.table))!)
    await replaceRows(connection, sink, live, position, emptied)
    for (const table of ['route_position', 'quarantine']) {
      await connection.query(`delete from qianzhi.${table} where route = $1 and part = 'live'`, [sink.route])
      await connection.query(`update qianzhi.${table} set part = 'live' where route = $1 and part = 'shadow'`, [sink.route])
    }
    await connection.query(`drop table ${quoteTable(shadowTable(sink))}`)
    return { table: live, quarantine: shadow.state.quarantine }
  })
}

async function followShadow(connection: Connection, sink: SinkTable): Promise<ApplyTable> {
  const table = (await findTable(connection, sink.table))!
  for (const mapped of sink.columns) {
    const found = table.columns.get(mapped.column)
    if (!found) for (const statement of addColumn(sink.table, mapped)) await connection.query(statement)
    else if (!canReceive(mapped.item, found)) {
      await connection.query(`alter table ${table.name} alter column ${quoteName(mapped.column)} type ${columnType(mapped.item)}`)
    }
  }
  return checkTable(sink, await addMissing(connection, sink, sink.table))
}

/** Columns that were delivered and no longer are: their old values must not stay behind. */
function droppedColumns(sink: SinkTable, old: Remembered, table: Table): string[] {
  const kept = new Set(sink.columns.map(({ column }) => column))
  return Object.values(old.columns).filter((column) => !kept.has(column) && table.columns.get(column)?.notNull === false)
}

async function replaceRows(
  connection: Connection,
  sink: SinkTable,
  live: ApplyTable,
  position: Position,
  emptied: string[],
): Promise<void> {
  const shadow = quoteTable(shadowTable(sink))
  const marked = sink.deletes === 'mark' ? [positionNumber(position)] : []
  const kept = await quarantinedKeys(connection, sink, 'shadow', 2 + marked.length)
  const others = removeOthers(live, '$1', '$2::bigint', [`${shadow} s`, ...(kept ? [kept.from] : [])])
  await connection.query(others, [sink.source, ...marked, ...(kept?.values ?? [])])
  await connection.query(upsert(live, `${shadow} s`, `s.${sourceColumn}`, `s.${positionColumn}`, emptied))
  if (sink.deletes === 'mark') await markDeleted(connection, live, shadow)
}

/** Rows deleted since the shadow's snapshot are marked in it. */
async function markDeleted(connection: Connection, live: ApplyTable, shadow: string): Promise<void> {
  const same = keyColumns(live.columns).map((column) => `t.${quoteName(column)} = s.${quoteName(column)}`)
  await connection.query(`update ${live.name} t set qz_deleted = true from ${shadow} s where s.qz_deleted and ${same.join(' and ')}`)
}

/** Keys in quarantine as a FROM item named `s`; those that are no values of their types can be in no table. */
export async function quarantinedKeys(
  connection: Connection,
  sink: SinkTable,
  part: Part,
  first: number,
): Promise<{ from: string; values: Value[][] } | undefined> {
  const rows = await connection.query('select key from qianzhi.quarantine where route = $1 and part = $2', [sink.route, part])
  const columns = sink.columns.filter(({ item }) => item.key)
  const keys = rows
    .map((row) => JSON.parse(row[0]!) as Value[])
    .filter((key) => key.every((value, i) => value !== null && valueFault(columns[i]!.item, value) === undefined))
  if (keys.length === 0) return undefined
  return { from: rowsOfTexts(columns, first), values: columns.map((_, i) => keys.map((key) => key[i]!)) }
}
