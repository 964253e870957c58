/** Delivered tables: opened, filled anew beside the live one, and exchanged. */
import { positionNumber } from '../../../protocol/position.ts'
import { deliveredTable, removeOthers, sourceColumn, takeShadow, type ApplyTable } from './sql.ts'
import { valueFault, type Value } from '../../../protocol/value.ts'
import { sameShape, type Part, type Row, type SinkState, type SinkTable } from '../../database.ts'
import type { Shape } from './schema-drift.ts'
import { keysStage, stagedKeys } from './batch.ts'
import { findColumn, readTable, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { positionTable, quarantineTable, shadowTable } from './names.ts'
import { rowset, type Rowset } from './rowset.ts'
import {
  addMissing,
  checkTable,
  dropVanished,
  exchangeKey,
  followItems,
  followSchema,
  keyOf,
  otherKey,
  provideTable,
  wasDelivered,
} from './shape.ts'
import { dropTable, forgetPart, noteTable, remember, remembered, takeOver, type Remembered } from './state.ts'

/** A part of a sink that is ready to be written. */
export interface OpenSink {
  table: ApplyTable
  /** As last looked at; absent before the first batch. */
  shape?: Shape
  /** Keys in quarantine, so that most batches need not look for any to clear. */
  quarantine: number
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
export async function openLive(session: Session, sink: SinkTable): Promise<KnownPart> {
  await takeOver(session, sink)
  const before = await remembered(session, sink.route, 'live')
  const there = await readTable(session, sink.table)
  const left = before && before.table !== sink.table ? before.table : undefined
  const fresh = !there || left !== undefined || !before?.state.position
  if (!fresh && !sameShape(before.state, sink)) return { state: before.state, open: undefined }
  if (there && before && !left) await followSchema(session, sink, fresh || before.state.schemaVersion !== sink.schema.version)
  else if (there && wasDelivered(there)) await followSchema(session, sink, true)
  const table = await provideTable(session, sink)
  if (fresh) await session.transaction(() => remember(session, sink, 'live', before))
  else await noteTable(session, sink)
  const { state } = (await remembered(session, sink.route, 'live'))!
  return { state, open: { table, quarantine: state.quarantine }, ...(left && { left }) }
}

/** The shadow that an earlier run began, if any. One that was filled for a table of another name is none. */
export async function openShadow(session: Session, sink: SinkTable): Promise<KnownPart | undefined> {
  const found = await remembered(session, sink.route, 'shadow')
  if (!found) return undefined
  const table = await readTable(session, shadowTable(sink.route))
  if (!table || found.table !== sink.table) {
    await session.transaction(() => forgetPart(session, sink.route, 'shadow'))
    return undefined
  }
  if (!sameShape(found.state, sink)) return { state: found.state, open: undefined }
  return { state: found.state, open: { table: checkTable(sink, table), quarantine: found.state.quarantine } }
}

export async function beginShadow(session: Session, sink: SinkTable): Promise<OpenSink> {
  const shadow = shadowTable(sink.route)
  const [make] = deliveredTable({ ...sink, table: shadow })
  await session.transaction(async () => {
    await session.query(dropTable(shadow))
    await session.query(make!)
    await remember(session, sink, 'shadow')
  })
  return { table: checkTable(sink, (await readTable(session, shadow))!), quarantine: 0 }
}

/**
 * The live table takes the shadow's rows in one transaction and stays the same table: the receiver's grants, views and indexes hold.
 * Readers see the old rows (or wait, where the database has no versions), then the new ones.
 */
export async function swapShadow(session: Session, sink: SinkTable): Promise<OpenSink> {
  const [old, shadow] = [await remembered(session, sink.route, 'live'), await remembered(session, sink.route, 'shadow')]
  const position = shadow?.state.position
  if (!old || !position) throw unfit(sink, 'there is no filled shadow')
  // Made before the transaction: what is rolled back must not take the temporary table with it.
  const kept = await quarantinedKeys(session, sink, 'shadow')
  const ended = endedColumns(sink, old, (await readTable(session, sink.table))!)
  const table = await session.transaction(async () => {
    const live = await followShadow(session, sink, old)
    const values = { source: sink.source, position: positionNumber(position) }
    const from = shadowTable(sink.route)
    await session.query(removeOthers(live, from, kept?.from), { ...kept?.parameters, ...values })
    for (const statement of takeShadow(live, from, ended.emptied)) await session.query(statement)
    await forgetPart(session, sink.route, 'live')
    await takePlace(session, sink, old)
    await session.query(dropTable(from))
    return live
  })
  await dropVanished(session, sink, await withoutOthers(session, sink, ended.vanished))
  return { table, quarantine: shadow.state.quarantine }
}

async function takePlace(session: Session, { route }: SinkTable, { former }: Remembered): Promise<void> {
  await session.query(`update ${positionTable} set part = 'live', former = @former where route = @route`, {
    route,
    former: JSON.stringify(former),
  })
  await session.query(`update ${quarantineTable} set part = 'live' where route = @route`, { route })
}

async function followShadow(session: Session, sink: SinkTable, { state: { keys, columns } }: Remembered): Promise<ApplyTable> {
  await followItems(session, sink)
  const table = await addMissing(session, sink)
  if (!keyOf(sink, table)) {
    const others = `select top (1) 1 from ${table.name} where ${sourceColumn} is null or ${sourceColumn} <> @source`
    if ((await session.query(others, { source: sink.source })).length > 0) throw unfit(sink, otherKey(sink))
    await session.query(`delete from ${table.name}`)
    await exchangeKey(
      session,
      sink,
      table,
      keys?.flatMap((id) => columns[id] ?? []),
    )
  }
  return checkTable(sink, (await readTable(session, sink.table))!)
}

/** Columns that were delivered and no longer are: their old values must not stay behind, and a vanished item's column goes. */
function endedColumns(sink: SinkTable, old: Remembered, table: CatalogTable): { emptied: string[]; vanished: string[] } {
  const kept = new Set(sink.columns.map(({ column }) => column.toLowerCase()))
  const ended = Object.entries(old.state.columns).filter(([, column]) => !kept.has(column.toLowerCase()) && findColumn(table, column))
  const registered = new Set(sink.schema.items.map(({ id }) => id))
  const nullable = ended.filter(([id, column]) => findColumn(table, column)!.nullable || old.state.keys?.includes(id))
  return {
    emptied: nullable.map(([, column]) => column),
    vanished: nullable.flatMap(([id, column]) => (registered.has(id) ? [] : [column])),
  }
}

/** Another agency may still be at the version before, in the same table. */
async function withoutOthers(session: Session, sink: SinkTable, columns: readonly string[]): Promise<string[]> {
  const rows = await session.query(`select columns from ${positionTable} where route <> @route and table_name = @table`, {
    route: sink.route,
    table: sink.table,
  })
  const theirs = new Set(rows.flatMap(([text]) => Object.values(JSON.parse(String(text)) as Record<string, string>)))
  return columns.filter((column) => !theirs.has(column))
}

/** Keys in quarantine as a FROM item named `s`; those that are no values of their types can be in no table. */
export async function quarantinedKeys(session: Session, sink: SinkTable, part: Part): Promise<Rowset | undefined> {
  const rows = await session.query(`select key_text from ${quarantineTable} where route = @route and part = @part`, {
    route: sink.route,
    part,
  })
  const columns = sink.columns.filter(({ item }) => item.key)
  const sound = (key: readonly Value[]) => key.every((value, i) => value !== null && valueFault(columns[i]!.item, value) === undefined)
  const keys = rows.map((row) => JSON.parse(String(row[0])) as Row).filter(sound)
  return keys.length > 0 ? rowset(session, keysStage(sink), stagedKeys(sink, keys), 's', 'kept') : undefined
}
