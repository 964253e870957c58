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

/**
 * Where the receiver refuses the removal of some rows (a foreign key of its own), the others go: chunks are halved down to what is refused, that is
 * passed over, and the table gone through again as long as anything goes, since rows may refer to one another. Throws QZ-SINK-TABLE with the first
 * refusal where nothing but refused rows is left.
 */
async function removeMost(engine: SinkEngine, routes: RouteBook, ending: Ending): Promise<number> {
  const refused = await tryChunk(engine, routes, ending, { most: chunk })
  if (typeof refused === 'number') return refused
  let removed = 0
  for (let [most, past, gone, first] = [chunk, 0, 0, undefined as Refused | undefined]; removed < chunk;) {
    const outcome = await tryChunk(engine, routes, ending, { most, past, only: refused.table })
    if (typeof outcome !== 'number') {
      if (most > 1) most = Math.floor(most / 2)
      else [past, first] = [past + 1, first ?? outcome]
      continue
    }
    removed += outcome
    gone += outcome
    if (outcome === most) most = Math.min(chunk, most * 2)
    else if (!first) break
    else if (gone === 0) throw first.error
    else [most, past, gone, first] = [chunk, 0, 0, undefined]
  }
  return chunk
}

interface Refused {
  table: string
  error: unknown
}

interface Part {
  most: number
  /** So many rows, the last ones of `only`, stay. */
  past?: number
  only?: string
}

/** Gives how many rows went. Throws what is no refusal. */
async function tryChunk(engine: SinkEngine, routes: RouteBook, ending: Ending, part: Part): Promise<number | Refused> {
  let table = ''
  try {
    return await engine.session.transaction(() => removeChunk(engine, routes, ending, part, (name) => (table = name)))
  } catch (error) {
    const coded = codedError(table === '' ? error : engine.tableError({ table }, error))
    if (coded.code !== 'QZ-SINK-TABLE' || engine.isContention(error)) throw coded
    return { table, error: coded }
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
  { most, past, only }: Part,
  begin: (table: string) => void,
): Promise<number> {
  let removed = 0
  const taken = await routes.takenTables(ending)
  const identities = new Set<string | undefined>()
  for (const table of taken) identities.add(await engine.identity(table))
  for (const table of ending.tables) {
    if (only !== undefined && table !== only) continue
    if (taken.includes(table) || identities.has((await engine.identity(table)) ?? table)) continue
    begin(table)
    removed += await engine.removeSome(table, ending.source, most - removed, past)
    if (removed >= most) break
  }
  await routes.noteRemoved(ending.route, removed, only === undefined && removed < most)
  return removed
}
