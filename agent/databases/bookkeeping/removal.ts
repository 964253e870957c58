/** The end of a route whose data goes: its rows are removed in chunks, each with its count in one transaction. */
import type { Removal } from '../../database.ts'
import type { Ending, RouteBook } from './route-book.ts'
import type { SinkEngine } from './sink-engine.ts'

const chunk = 5_000

/** See `Delivery.remove`. */
export async function removeRoute(engine: SinkEngine, routes: RouteBook, route: string): Promise<Removal | null> {
  if (!(await engine.hasBooks())) return null
  await engine.makeBooks()
  const ending = await routes.ending(route)
  if (!ending) return null
  if (ending.removal === 'done') return { rows: ending.removed, tables: ending.tables, done: true }
  if (!ending.removal) await engine.session.transaction(() => routes.beginRemoval(route))
  await dropShadows(engine, ending)
  const removed = await engine.session.transaction(() => removeChunk(engine, routes, ending))
  const { removed: rows } = (await routes.ending(route))!
  return { rows, tables: ending.tables, done: removed < chunk }
}

/** Outside of transactions, since DDL may commit. */
async function dropShadows(engine: SinkEngine, { route, tables }: Ending): Promise<void> {
  for (const name of new Set(tables.map((table) => engine.partTable({ table, route }, 'shadow')))) await engine.drop(name)
}

/** Up to `chunk` rows in all. A table that another route of this source fills now is left to that one. */
async function removeChunk(engine: SinkEngine, routes: RouteBook, ending: Ending): Promise<number> {
  let removed = 0
  for (const table of ending.tables) {
    if (await routes.isTaken(ending, table)) continue
    removed += await engine.removeSome(table, ending.source, chunk - removed)
    if (removed >= chunk) break
  }
  await routes.noteRemoved(ending.route, removed, removed < chunk)
  return removed
}
