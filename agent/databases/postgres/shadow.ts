/** How a live table takes its shadow's rows, and how rows go. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Row, SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import type { Connection } from './connection.ts'
import { addMissing, checkedTable, followItems, keyOf, replaceKey } from './shape.ts'
import { keyColumns, quoteName, quoteTable, removeOthers, sourceColumn, upsert, type ApplyTable } from './sql.ts'
import { findTable, refuse, shadowTable } from './table.ts'
import { keysFrom } from './writing.ts'

/** See `SinkEngine.followShadow`. */
export async function followShadow(
  connection: Connection,
  sink: SinkTable,
  { keys, columns }: StoredState,
  holdsOthers: () => Promise<boolean>,
): Promise<ApplyTable> {
  await followItems(connection, sink, (await findTable(connection, sink.table))!)
  const table = await addMissing(connection, sink, sink.table)
  if (!keyOf(sink, table)) {
    if (await holdsOthers()) throw refuse(sink, otherKey(sink))
    await connection.query(`delete from ${table.name}`)
    await replaceKey(
      connection,
      sink,
      table,
      keys?.flatMap((id) => columns[id] ?? []),
    )
  }
  return checkedTable(connection, sink, (await findTable(connection, sink.table))!)
}

/** See `SinkEngine.replaceRows`. */
export async function replaceRows(
  connection: Connection,
  sink: SinkTable,
  live: ApplyTable,
  { position, kept }: { position: ChainPosition; kept: readonly Row[] },
): Promise<number> {
  const shadow = quoteTable(shadowTable(sink.route))
  const marked = sink.deletes === 'mark' ? [positionNumber(position)] : []
  const spared = keysFrom(sink, kept, 2 + marked.length)
  const others = removeOthers(live, '$1', '$2::bigint', [`${shadow} s`, ...(spared ? [spared.from] : [])])
  await connection.query(others, [sink.source, ...marked, ...(spared?.values ?? [])])
  const written = await connection.result(upsert(live, `${shadow} s`, `s.${sourceColumn}`, `s.qz_position`), [], false)
  if (sink.deletes === 'mark') await markDeleted(connection, live, shadow)
  return written.changed
}

/** Rows deleted since the shadow's snapshot are marked in it. */
async function markDeleted(connection: Connection, live: ApplyTable, shadow: string): Promise<void> {
  const same = [...keyColumns(live.columns), sourceColumn].map((column) => `t.${quoteName(column)} = s.${quoteName(column)}`)
  await connection.query(`update ${live.name} t set qz_deleted = true from ${shadow} s where s.qz_deleted and ${same.join(' and ')}`)
}

/** See `SinkEngine.removeSome`. */
export async function removeSome(connection: Connection, name: string, source: string, limit: number, past?: number): Promise<number> {
  const table = await findTable(connection, name)
  if (!table?.columns.has(sourceColumn)) return 0
  // Places of rows are told apart by their table only where there are several: by place alone none is searched for.
  const place = table.kind === 'p' ? '(tableoid, ctid)' : 'ctid'
  const places = place.replaceAll(/[()]/g, '')
  const order = past === undefined ? '' : ` order by ${places.replaceAll(/\w+/g, '$& desc')} offset ${past}`
  const some = `select ${places} from ${table.name} where ${sourceColumn} = $1${order} limit ${limit}`
  const condition = table.kind === 'p' ? `${place} in (${some})` : `${place} = any(array(${some}))`
  return (await connection.result(`delete from ${table.name} where ${condition}`, [source], false)).changed
}
