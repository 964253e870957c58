/** Delivered tables: made, checked and exchanged; and what the target database remembers of each route. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import {
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
} from './sql.ts'
import { valueFault, type Value } from '../../../protocol/value.ts'
import { sameShape, type Part, type SinkState, type SinkTable } from '../../database.ts'
import type { Shape } from './schema-drift.ts'
import type { Connection } from './connection.ts'
import { addMissing, checkTable, dropVanished, followItems, keyOf, otherKey, replaceKey, shareKey, wasDelivered } from './shape.ts'
import { forgetPart, noteTable, remember, remembered, takeOver, type Remembered } from './state.ts'
import { findTable, refuse, shadowTable, type Table } from './table.ts'

/** A part of a sink that is ready to be written. */
export interface OpenSink {
  table: ApplyTable
  /** Keys in quarantine, so that most batches need not look for any to clear. */
  quarantine: number
  /** As last seen (schema-drift.ts). */
  shape?: Shape
}

/** What is known of a part; `open` where it has the sink's shape and can be written. */
export interface KnownPart {
  state: SinkState
  open: OpenSink | undefined
  /** The table that it filled before, where its name changed. */
  left?: string
}

/**
 * Creates or checks the live table. Until its first batch it follows the sink; afterwards another shape waits for a shadow. A table
 * that is gone is made again, one of another name is made beside the old one, and the route begins again.
 */
export async function openLive(connection: Connection, sink: SinkTable): Promise<KnownPart> {
  return connection.transaction(async () => {
    await takeOver(connection, sink)
    const before = await remembered(connection, sink.route, 'live')
    const table = await findTable(connection, sink.table)
    const left = before?.table && before.table !== sink.table ? before.table : undefined
    const fresh = !table || left !== undefined || !before?.state.position
    if (!fresh && !sameShape(before.state, sink)) return { state: before.state, open: undefined }
    if (fresh) await remember(connection, sink, 'live', before)
    else await noteTable(connection, sink)
    if (!table) await createTable(connection, sink)
    else if (before && !left) await followSchema(connection, sink, table, fresh || before.state.schemaVersion !== sink.schema.version)
    else if (wasDelivered(table)) await followSchema(connection, sink, table, true)
    const { state } = (await remembered(connection, sink.route, 'live'))!
    const checked = checkTable(sink, await addMissing(connection, sink, sink.table))
    return { state, open: { table: checked, quarantine: state.quarantine }, ...(left && { left }) }
  })
}

/** A table that the receiver made must have its mapped columns when it is first opened: a typing error is no column. */
async function followSchema(connection: Connection, sink: SinkTable, table: Table, changed: boolean): Promise<void> {
  if (changed) await followItems(connection, sink, table)
  const now = await addMissing(connection, sink, sink.table)
  await shareKey(connection, sink, now)
  if (!keyOf(sink, (await findTable(connection, sink.table))!)) await replaceKey(connection, sink, now)
}

async function createTable(connection: Connection, sink: SinkTable): Promise<void> {
  const [schema, name] = splitTable(sink.table)
  if (name !== undefined) {
    const [row] = await connection.query('select to_regnamespace($1)', [quoteName(schema!)])
    if (row![0] === null) await connection.query(`create schema ${quoteName(schema!)}`)
  }
  for (const statement of deliveredTable(sink)) await connection.query(statement)
}

/** The shadow that an earlier run began, if any. */
export async function openShadow(connection: Connection, sink: SinkTable): Promise<KnownPart | undefined> {
  const found = await remembered(connection, sink.route, 'shadow')
  const table = found && (await findTable(connection, shadowTable(sink.route)))
  if (!found || !table) return undefined
  if (!sameShape(found.state, sink)) return { state: found.state, open: undefined }
  return { state: found.state, open: { table: checkTable(sink, table), quarantine: found.state.quarantine } }
}

export async function beginShadow(connection: Connection, sink: SinkTable): Promise<OpenSink> {
  const table = shadowTable(sink.route)
  return connection.transaction(async () => {
    await connection.query(`drop table if exists ${quoteTable(table)}`)
    for (const statement of deliveredTable({ ...sink, table })) await connection.query(statement)
    await remember(connection, sink, 'shadow')
    return { table: checkTable(sink, (await findTable(connection, table))!), quarantine: 0 }
  })
}

/**
 * The live table takes the shadow's rows in one transaction and stays the same table: the receiver's grants, views and indexes hold.
 * Where columns are added, lengthened or dropped, readers wait for its end; otherwise they read the old rows meanwhile.
 */
export async function swapShadow(connection: Connection, sink: SinkTable): Promise<OpenSink> {
  return connection.transaction(async () => {
    const [old, shadow] = [await remembered(connection, sink.route, 'live'), await remembered(connection, sink.route, 'shadow')]
    const position = shadow?.state.position
    if (!old || !position) throw refuse(sink, 'there is no filled shadow')
    const live = await followShadow(connection, sink, old)
    const ended = endedColumns(sink, old, (await findTable(connection, sink.table))!)
    await replaceRows(connection, sink, live, position, ended.emptied)
    await dropVanished(connection, sink, await withoutOthers(connection, sink, ended.vanished))
    const { former } = old
    await forgetPart(connection, sink.route, 'live')
    await connection.query(`update qianzhi.route_position set part = 'live', former = $2 where route = $1`, [
      sink.route,
      JSON.stringify(former),
    ])
    await connection.query(`update qianzhi.quarantine set part = 'live' where route = $1`, [sink.route])
    await connection.query(`drop table ${quoteTable(shadowTable(sink.route))}`)
    return { table: live, quarantine: shadow.state.quarantine }
  })
}

async function followShadow(connection: Connection, sink: SinkTable, { state: { keys, columns } }: Remembered): Promise<ApplyTable> {
  await followItems(connection, sink, (await findTable(connection, sink.table))!)
  const table = await addMissing(connection, sink, sink.table)
  if (!keyOf(sink, table)) {
    const [row] = await connection.query(`select exists (select from ${table.name} where ${sourceColumn} is distinct from $1)`, [
      sink.source,
    ])
    if (row![0] === 't') throw refuse(sink, otherKey(sink))
    await connection.query(`delete from ${table.name}`)
    await replaceKey(
      connection,
      sink,
      table,
      keys?.flatMap((id) => columns[id] ?? []),
    )
  }
  return checkTable(sink, (await findTable(connection, sink.table))!)
}

/** Columns that were delivered and no longer are: their old values must not stay behind, and a vanished item's column goes. */
function endedColumns(sink: SinkTable, old: Remembered, table: Table): { emptied: string[]; vanished: string[] } {
  const kept = new Set(sink.columns.map(({ column }) => column))
  const ended = Object.entries(old.state.columns).filter(([, column]) => !kept.has(column) && table.columns.get(column)?.notNull === false)
  const registered = new Set(sink.schema.items.map(({ id }) => id))
  return { emptied: ended.map(([, column]) => column), vanished: ended.flatMap(([id, column]) => (registered.has(id) ? [] : [column])) }
}

/** Another agency may still be at the version before, in the same table. */
async function withoutOthers(connection: Connection, sink: SinkTable, columns: readonly string[]): Promise<string[]> {
  const rows = await connection.query('select columns from qianzhi.route_position where route <> $1 and table_name = $2', [
    sink.route,
    sink.table,
  ])
  const theirs = new Set(rows.flatMap(([text]) => Object.values(JSON.parse(text!) as Record<string, string>)))
  return columns.filter((column) => !theirs.has(column))
}

async function replaceRows(
  connection: Connection,
  sink: SinkTable,
  live: ApplyTable,
  position: ChainPosition,
  emptied: string[],
): Promise<void> {
  const shadow = quoteTable(shadowTable(sink.route))
  const marked = sink.deletes === 'mark' ? [positionNumber(position)] : []
  const kept = await quarantinedKeys(connection, sink, 'shadow', 2 + marked.length)
  const others = removeOthers(live, '$1', '$2::bigint', [`${shadow} s`, ...(kept ? [kept.from] : [])])
  await connection.query(others, [sink.source, ...marked, ...(kept?.values ?? [])])
  await connection.query(upsert(live, `${shadow} s`, `s.${sourceColumn}`, `s.${positionColumn}`, emptied))
  if (sink.deletes === 'mark') await markDeleted(connection, live, shadow)
}

/** Rows deleted since the shadow's snapshot are marked in it. */
async function markDeleted(connection: Connection, live: ApplyTable, shadow: string): Promise<void> {
  const same = [...keyColumns(live.columns), sourceColumn].map((column) => `t.${quoteName(column)} = s.${quoteName(column)}`)
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
