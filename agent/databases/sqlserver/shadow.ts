/** How a live table takes its shadow's rows. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Row, SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import { readTable, unfit } from './catalog.ts'
import type { Session } from './connection.ts'
import { shadowTable } from './names.ts'
import { addMissing, checkedTable, exchangeKey, followItems, keyOf } from './shape.ts'
import { removeOthers, sourceColumn, takeShadow, type ApplyTable } from './sql.ts'
import { counted, keysFrom } from './writing.ts'

async function holdsOthers(session: Session, { source }: SinkTable, table: string): Promise<boolean> {
  const others = `select top (1) 1 from ${table} where ${sourceColumn} is null or ${sourceColumn} <> @source`
  return (await session.query(others, { source })).length > 0
}

/** See `SinkEngine.followShadow`. */
export async function followShadow(session: Session, sink: SinkTable, { keys, columns }: StoredState): Promise<ApplyTable> {
  await followItems(session, sink)
  const table = await addMissing(session, sink, sink.table)
  if (!keyOf(sink, table)) {
    if (await holdsOthers(session, sink, table.name)) throw unfit(sink, otherKey(sink))
    await session.query(`delete from ${table.name}`)
    await exchangeKey(
      session,
      sink,
      table,
      keys?.flatMap((id) => columns[id] ?? []),
    )
  }
  return checkedTable(session, sink, (await readTable(session, sink.table))!)
}

/** See `SinkEngine.replaceRows`. Readers see the old rows (or wait, where the database has no versions), then the new ones. */
export async function replaceRows(
  session: Session,
  sink: SinkTable,
  live: ApplyTable,
  { position, kept }: { position: ChainPosition; kept: readonly Row[] },
): Promise<number> {
  const spared = await keysFrom(session, sink, kept)
  const values = { source: sink.source, position: positionNumber(position) }
  const from = shadowTable(sink.route)
  await session.query(removeOthers(live, from, spared?.from), { ...spared?.parameters, ...values })
  let written = 0
  for (const statement of takeShadow(live, from)) written += await counted(session, statement)
  return written
}
