/** The end of a route whose data goes: its rows are removed in chunks, each with its count in one transaction. */
import { sourceColumn } from './sql.ts'
import type { Removal } from '../../database.ts'
import type { Connection } from './connection.ts'
import { forgetPart, hasStateTables, makeStateTables } from './state.ts'
import { findTable, type Table } from './table.ts'

const chunk = 5_000

export async function removeRoute(connection: Connection, route: string): Promise<Removal | null> {
  if (!(await hasStateTables(connection))) return null
  await makeStateTables(connection)
  return connection.transaction(async () => {
    const [row] = await connection.query(
      `select table_name, source, former, removal, removed from qianzhi.route_position where route = $1 and part = 'live' for update`,
      [route],
    )
    if (!row) return null
    const [table, source, former, removal, before] = row
    const tables = [...(JSON.parse(former!) as string[]), ...(table ? [table] : [])]
    if (removal === 'done') return { rows: Number(before), tables, done: true }
    if (!removal) await begin(connection, route)
    const removed = await removeSome(connection, route, source ?? '', tables)
    const done = removed < chunk
    await connection.query(`update qianzhi.route_position set removal = $2, removed = removed + $3 where route = $1 and part = 'live'`, [
      route,
      done ? 'done' : 'begun',
      removed,
    ])
    return { rows: Number(before) + removed, tables, done }
  })
}

/** From here on the route has no position: whatever becomes of the removal, it would begin anew. */
async function begin(connection: Connection, route: string): Promise<void> {
  await forgetPart(connection, route, 'shadow')
  await connection.query('delete from qianzhi.quarantine where route = $1', [route])
  await connection.query(
    `update qianzhi.route_position set epoch = null, seq = null, hash = null, snapshot_epoch = null, snapshot_seq = null,
       complete = false, removed = 0 where route = $1`,
    [route],
  )
}

/** Up to `chunk` rows in all. A table that another route of this source fills now is left to that one. */
async function removeSome(connection: Connection, route: string, source: string, tables: readonly string[]): Promise<number> {
  let removed = 0
  for (const name of tables) {
    const table = await findTable(connection, name)
    if (!table?.columns.has(sourceColumn)) continue
    const taken = await connection.query(
      `select from qianzhi.route_position where route <> $1 and part = 'live' and table_name = $2 and source = $3 and removal is null`,
      [route, name, source],
    )
    if (taken.length > 0) continue
    removed += await removeRows(connection, table, source, chunk - removed)
    if (removed >= chunk) break
  }
  return removed
}

async function removeRows(connection: Connection, table: Table, source: string, limit: number): Promise<number> {
  // Places of rows are told apart by their table only where there are several: by place alone none is searched for.
  const place = table.kind === 'p' ? '(tableoid, ctid)' : 'ctid'
  const some = `select ${place.replaceAll(/[()]/g, '')} from ${table.name} where ${sourceColumn} = $1 limit ${limit}`
  const condition = table.kind === 'p' ? `${place} in (${some})` : `${place} = any(array(${some}))`
  const [row] = await connection.query(
    `with gone as (delete from ${table.name} where ${condition} returning 1) select count(*) from gone`,
    [source],
  )
  return Number(row![0])
}

/** See `Delivery.settleRemovals`. */
export async function settleRemovals(connection: Connection, wanted: readonly string[]): Promise<void> {
  if (!(await hasStateTables(connection))) return
  await makeStateTables(connection)
  await connection.query(`delete from qianzhi.route_position where removal = 'done' and route <> all($1)`, [wanted])
  await connection.query(`update qianzhi.route_position set removal = null where removal = 'begun' and route <> all($1)`, [wanted])
}
