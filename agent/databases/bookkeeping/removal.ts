/** The end of a route whose data goes: its rows are removed in chunks, each with its count in one transaction. */
import { codedError } from '../../../protocol/errors.ts'
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
  const removed = await removeMost(engine, routes, ending)
  const { removed: rows } = (await routes.ending(route))!
  return { rows, tables: ending.tables, done: removed < chunk }
}

/** Where the receiver refuses the removal of a row, fewer go at once. Throws QZ-SINK-TABLE where not even one does. */
async function removeMost(engine: SinkEngine, routes: RouteBook, ending: Ending): Promise<number> {
  for (let most = chunk; ; most = Math.floor(most / 2)) {
    let table = ''
    try {
      const removed = await engine.session.transaction(() => removeChunk(engine, routes, ending, most, (name) => (table = name)))
      return removed < most ? removed : chunk
    } catch (error) {
      const coded = codedError(table === '' ? error : engine.tableError({ table }, error))
      if (most === 1 || coded.code !== 'QZ-SINK-TABLE' || engine.isContention(error)) throw coded
    }
  }
}

/** Outside of transactions, since DDL may commit. */
async function dropShadows(engine: SinkEngine, { route, tables }: Ending): Promise<void> {
  for (const name of new Set(tables.map((table) => engine.partTable({ table, route }, 'shadow')))) await engine.drop(name)
}

/** Up to `most` rows in all. A table that another route of this source fills now is left to that one. */
async function removeChunk(
  engine: SinkEngine,
  routes: RouteBook,
  ending: Ending,
  most: number,
  begin: (table: string) => void,
): Promise<number> {
  let removed = 0
  const taken = await routes.takenTables(ending)
  const identities = new Set<string | undefined>()
  for (const table of taken) identities.add(await engine.identity(table))
  for (const table of ending.tables) {
    if (taken.includes(table) || identities.has((await engine.identity(table)) ?? table)) continue
    begin(table)
    removed += await engine.removeSome(table, ending.source, most - removed)
    if (removed >= most) break
  }
  await routes.noteRemoved(ending.route, removed, removed < most)
  return removed
}
