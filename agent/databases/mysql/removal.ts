/** The end of a route whose data goes: its rows are removed in chunks, each with its count in one transaction. */
import { quoteTable, quoteText, sourceColumn } from './sql.ts'
import type { Removal } from '../../database.ts'
import { readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { forgetState, hasStateTables, makeStateTables, ofPart, partTable, positionTable, quarantineTable } from './state.ts'

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
  await makeStateTables(session)
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
  const [row] = await session.rows(
    `select table_name, source, former, removal, removed from ${positionTable} where ${ofPart(route, 'live')}`,
  )
  if (!row) return undefined
  const [table, source, former, removal, removed] = row
  const tables = [...(former ? (JSON.parse(String(former)) as string[]) : []), ...(table ? [String(table)] : [])]
  return { route, source: String(source ?? ''), tables, removal: removal === null ? null : String(removal), removed: Number(removed) }
}

/** From here on the route has no position: whatever becomes of the removal, it would begin anew. */
async function begin(session: Session, route: string): Promise<void> {
  await forgetState(session, route, 'shadow')
  await session.run(`delete from ${quarantineTable} where route = ${quoteText(route)}`)
  await session.run(
    `update ${positionTable} set removal = 'begun', removed = 0, epoch = null, seq = null, hash = null, began_epoch = null, began_seq = null,
    complete = 0 where ${ofPart(route, 'live')}`,
  )
}

/** DDL commits, so it stands outside the transactions. A table that another route fills now keeps what is that one's. */
async function dropShadows(session: Session, { route, source, tables }: Ending): Promise<void> {
  for (const table of tables) {
    const names = [true, false].flatMap((shared) =>
      (['shadow', 'old'] as const).map((part) => partTable(session, { table, route, shared }, part)),
    )
    if (await isTaken(session, route, source, table)) names.splice(2)
    for (const name of names) await session.run(`drop table if exists ${quoteTable(name)}`)
  }
}

async function removeChunk(session: Session, { route, source, tables }: Ending): Promise<number> {
  let removed = 0
  for (const table of tables) {
    const found = await readTable(session, table)
    if (!found?.columns.some(({ column }) => column.toLowerCase() === sourceColumn)) continue
    if (await isTaken(session, route, source, table)) continue
    const text = `delete from ${quoteTable(table)} where ${sourceColumn} = ${quoteText(source)} limit ${chunk - removed}`
    removed += (await session.run(text)).affectedRows
    if (removed >= chunk) break
  }
  const state = removed < chunk ? 'done' : 'begun'
  await session.run(`update ${positionTable} set removal = '${state}', removed = removed + ${removed} where ${ofPart(route, 'live')}`)
  return removed
}

/** Another route of this source fills the table now: its rows are that one's. */
async function isTaken(session: Session, route: string, source: string, table: string): Promise<boolean> {
  const rows = await session.rows(
    `select 1 from ${positionTable} where part = 'live' and route <> ${quoteText(route)} and table_name = ${quoteText(table)}
     and source = ${quoteText(source)} and removal is null`,
  )
  return rows.length > 0
}

/** See `Delivery.settleRemovals`. */
export async function settleRemovals(session: Session, wanted: readonly string[]): Promise<void> {
  if (!(await hasStateTables(session))) return
  await makeStateTables(session)
  const others = wanted.length > 0 ? ` and route not in (${wanted.map(quoteText).join(', ')})` : ''
  await session.run(`delete from ${positionTable} where removal = 'done'${others}`)
  await session.run(`update ${positionTable} set removal = null where removal = 'begun'${others}`)
}
