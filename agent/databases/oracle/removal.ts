/** The end of a route whose data goes: its rows are removed in chunks, each with its count in one transaction. */
import { quoteName, sourceColumn } from './sql.ts'
import type { Removal } from '../../database.ts'
import { findColumn, readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { dropTable, forgetState, hasStateTables, ofPart, partTable, positionTable, quarantineTable } from './state.ts'

const chunk = 5_000

interface Ending {
  route: string
  source: string
  tables: string[]
  removal: string | null
  removed: number
}

export async function removeRoute(session: Session, route: string): Promise<Removal | null> {
  if (!(await hasStateTables(session))) return null
  const ending = await readEnding(session, route)
  if (!ending) return null
  if (ending.removal === 'done') return { rows: ending.removed, tables: ending.tables, done: true }
  if (!ending.removal) await session.transaction(() => begin(session, route))
  await dropShadows(session, ending)
  const removed = await session.transaction(() => removeChunk(session, ending))
  const now = (await readEnding(session, route))!
  return { rows: now.removed, tables: ending.tables, done: removed < chunk }
}

async function readEnding(session: Session, route: string): Promise<Ending | undefined> {
  const binds = session.binds()
  const [row] = await session.rows(
    `select table_name, source_code, removal, removed, former from ${session.own(positionTable)} where ${ofPart(binds, route, 'live')}`,
    binds,
  )
  if (!row) return undefined
  const [table, source, removal, removed, former] = row
  const tables = [...(former ? (JSON.parse(String(former)) as string[]) : []), ...(table ? [String(table)] : [])]
  return { route, source: String(source ?? ''), tables, removal: removal ? String(removal) : null, removed: Number(removed) }
}

/** From here on the route has no position: whatever becomes of the removal, it would begin anew. */
async function begin(session: Session, route: string): Promise<void> {
  await forgetState(session, route, 'shadow')
  const quarantine = session.binds()
  await session.run(`delete from ${session.own(quarantineTable)} where route = ${quarantine.code(route)}`, quarantine)
  const binds = session.binds()
  await session.run(
    `update ${session.own(positionTable)} set removal = 'begun', removed = 0, epoch = null, seq = null, hash = null, began_epoch = null,
  began_seq = null, complete = 0 where ${ofPart(binds, route, 'live')}`,
    binds,
  )
}

/** DDL commits, so it stands outside the transactions. A table that another route fills now keeps what is that one's. */
async function dropShadows(session: Session, { route, source, tables }: Ending): Promise<void> {
  for (const table of tables) {
    const names = [true, false].flatMap((shared) =>
      (['shadow', 'old'] as const).map((part) => partTable(session, { table, route, shared }, part)),
    )
    if (await isTaken(session, route, source, table)) names.splice(2)
    for (const name of names) await dropTable(session, name)
  }
}

async function removeChunk(session: Session, { route, source, tables }: Ending): Promise<number> {
  let removed = 0
  for (const table of tables) {
    const found = await readTable(session, table)
    if (!found || !findColumn(found, sourceColumn)) continue
    if (await isTaken(session, route, source, table)) continue
    const binds = session.binds()
    const text = `delete from ${found.name} where ${quoteName(sourceColumn)} = ${binds.code(source)} and rownum <= ${binds.number(chunk - removed)}`
    removed += await session.run(text, binds)
    if (removed >= chunk) break
  }
  const binds = session.binds()
  await session.run(
    `update ${session.own(positionTable)} set removal = ${binds.code(removed < chunk ? 'done' : 'begun')}, removed = removed + ${binds.number(removed)}
where ${ofPart(binds, route, 'live')}`,
    binds,
  )
  return removed
}

/** Another route of this source fills the table now: its rows are that one's. */
async function isTaken(session: Session, route: string, source: string, table: string): Promise<boolean> {
  const binds = session.binds()
  const rows = await session.rows(
    `select 1 from ${session.own(positionTable)} where part = 'live' and route <> ${binds.code(route)} and table_name = ${binds.text(table)}
and source_code = ${binds.code(source)} and removal is null`,
    binds,
  )
  return rows.length > 0
}

/** See `Delivery.settleRemovals`. */
export async function settleRemovals(session: Session, wanted: readonly string[]): Promise<void> {
  if (!(await hasStateTables(session))) return
  const kept = new Set(wanted)
  const ended = await session.rows(`select route, removal from ${session.own(positionTable)} where removal is not null`)
  for (const [route, removal] of ended) {
    if (kept.has(String(route))) continue
    const binds = session.binds()
    const where = `where ${ofPart(binds, String(route), 'live')}`
    const table = session.own(positionTable)
    await session.run(removal === 'done' ? `delete from ${table} ${where}` : `update ${table} set removal = null ${where}`, binds)
  }
}
