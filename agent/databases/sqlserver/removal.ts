/** The end of a route whose data goes: its rows are removed in chunks, each with its count in one transaction. */
import { sourceColumn } from './sql.ts'
import type { Removal } from '../../database.ts'
import { findColumn, readTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { positionTable, quarantineTable } from './names.ts'
import { rowset } from './rowset.ts'
import { forgetPart, hasStateTables, makeStateTables } from './state.ts'

const chunk = 5_000

export async function removeRoute(session: Session, route: string): Promise<Removal | null> {
  if (!(await hasStateTables(session))) return null
  await makeStateTables(session)
  return session.transaction(async () => {
    const [row] = await session.query(
      `select table_name, source, former, removal, removed from ${positionTable} where route = @route and part = 'live'`,
      { route },
    )
    if (!row) return null
    const [table, source, former, removal, before] = row
    const tables = [...(JSON.parse(String(former)) as string[]), String(table)]
    if (removal === 'done') return { rows: Number(before), tables, done: true }
    if (!removal) await begin(session, route)
    const removed = await removeSome(session, route, String(source), tables)
    const done = removed < chunk
    await session.query(
      `update ${positionTable} set removal = @state, removed = removed + convert(bigint, @removed) where route = @route and part = 'live'`,
      { route, state: done ? 'done' : 'begun', removed: String(removed) },
    )
    return { rows: (removal ? Number(before) : 0) + removed, tables, done }
  })
}

/** From here on the route has no position: whatever becomes of the removal, it would begin anew. */
async function begin(session: Session, route: string): Promise<void> {
  await forgetPart(session, route, 'shadow')
  await session.query(`delete from ${quarantineTable} where route = @route`, { route })
  await session.query(
    `update ${positionTable} set epoch = null, seq = null, hash = null, began_epoch = null, began_seq = null, complete = 0, removed = 0
where route = @route`,
    { route },
  )
}

/** Up to `chunk` rows in all. A table that another route of this source fills now is left to that one. */
async function removeSome(session: Session, route: string, source: string, tables: readonly string[]): Promise<number> {
  let removed = 0
  for (const name of tables) {
    const table = await readTable(session, name)
    if (!table || !findColumn(table, sourceColumn)) continue
    const taken = await session.query(
      `select 1 from ${positionTable} where route <> @route and part = 'live' and table_name = @table and source = @source and removal is null`,
      { route, table: name, source },
    )
    if (taken.length > 0) continue
    const sql = `delete top (${chunk - removed}) from ${table.name} where ${sourceColumn} = @source;\nselect @@rowcount`
    removed += Number((await session.query(sql, { source })).at(-1)?.[0] ?? 0)
    if (removed >= chunk) break
  }
  return removed
}

/** See `Delivery.settleRemovals`. */
export async function settleRemovals(session: Session, wanted: readonly string[]): Promise<void> {
  if (!(await hasStateTables(session))) return
  await makeStateTables(session)
  const staged =
    wanted.length > 0
      ? await rowset(
          session,
          ['nvarchar(4000)'],
          wanted.map((route) => [route]),
          'w',
        )
      : undefined
  const others = staged ? ` and route not in (select c1 from ${staged.from})` : ''
  await session.query(`delete from ${positionTable} where removal = 'done'${others}`, { ...staged?.parameters })
  await session.query(`update ${positionTable} set removal = null where removal = 'begun'${others}`, { ...staged?.parameters })
}
