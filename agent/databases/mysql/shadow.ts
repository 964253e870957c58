/** How a live table takes its shadow's rows. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Part, Row, SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import { place, readTable, unfit } from './catalog.ts'
import { errorNumber, type Session } from './connection.ts'
import { safeName } from './names.ts'
import { alter, exchangeKey, followItems, keyOf } from './shape.ts'
import { addedColumns, keyColumns, names, quoteName, quoteTable, quoteText, sourceColumn, upsert, type ApplyTable } from './sql.ts'
import { keysCondition } from './writing.ts'

/** The table of a part, as configured or its shadow in the same database: each route has its own. */
export function partTable(session: Session, sink: Pick<SinkTable, 'table' | 'route'>, part: Part): string {
  return part === 'live' ? sink.table : `${place(session, sink.table).database}.qz_shadow_${safeName(sink.route, 54)}`
}

/** See `SinkEngine.followShadow`. DDL commits: where the key changes, readers find no rows until the shadow's are there. */
export async function followShadow(session: Session, sink: SinkTable, { keys, columns }: StoredState): Promise<void> {
  await followItems(session, sink, sink.table)
  const live = (await readTable(session, sink.table))!
  if (keyOf(sink, live)) return
  if (await holdsOthers(session, sink)) throw unfit(sink, otherKey(sink))
  await session.run(`delete from ${quoteTable(sink.table)}`)
  const former = keys?.flatMap((id) => columns[id] ?? []) ?? live.uniques[0]?.columns ?? []
  await alter(session, sink, sink.table, exchangeKey(session, sink, live, former))
}

async function holdsOthers(session: Session, sink: SinkTable): Promise<boolean> {
  const where = `not (${sourceColumn} <=> ${quoteText(sink.source)})`
  return (await session.rows(`select 1 from ${quoteTable(sink.table)} where ${where} limit 1`)).length > 0
}

/** This route's rows that the shadow does not hold go, quarantined keys excepted; its rows are written. */
export async function replaceRows(
  session: Session,
  sink: SinkTable,
  live: ApplyTable,
  shadow: string,
  { position, kept }: { position: ChainPosition; kept: readonly Row[] },
): Promise<number> {
  const same = keyColumns(sink.columns).map(({ item, column }) => {
    const there = `t.${quoteName(column)}`
    return `s.${quoteName(column)} = ${item.type === 'text' ? `convert(${there} using utf8mb4) collate ${session.server.binaryCollation}` : there}`
  })
  const where = `where t.${sourceColumn} = ${quoteText(sink.source)}
    and not exists (select 1 from ${shadow} s where s.${sourceColumn} = ${quoteText(sink.source)} and ${same.join(' and ')})
    ${kept.length > 0 ? `and not (${keysCondition(live, kept, 't.')})` : ''}`
  if (sink.deletes === 'remove') await session.run(`delete t from ${live.name} t ${where}`)
  else {
    const marked = `t.qz_deleted = 1, t.qz_position = ${positionNumber(position)}, t.qz_received_at = utc_timestamp(6)`
    await session.run(`update ${live.name} t set ${marked} ${where} and t.qz_deleted = 0`)
  }
  const columns = [...sink.columns.map(({ column }) => column), ...addedColumns(sink.deletes).map(({ column }) => column)]
  // An updated row counts twice; one that is not written is refused.
  await session.run(upsert(live, `select ${names(columns)} from ${shadow}`))
  return Infinity
}

/** See `SinkEngine.dropColumns`: one that an index, a view, a trigger or an expression of the receiver's own has in it stays, empty. */
export async function dropColumns(session: Session, sink: SinkTable, columns: readonly string[]): Promise<void> {
  const { database, name } = place(session, sink.table)
  const of = `table_schema = ${quoteText(database)} and table_name = ${quoteText(name)}`
  for (const column of columns) {
    const inText = (text: string) => `locate(${quoteText(column)}, ${text}) > 0`
    const used = `select 1 from information_schema.statistics where ${of} and column_name = ${quoteText(column)}
union all select 1 from information_schema.views where locate(${quoteText(quoteName(name))}, view_definition) > 0 and ${inText('view_definition')}
union all select 1 from information_schema.triggers where ${inText('action_statement')} and locate(${quoteText(name)}, concat(event_object_table, action_statement)) > 0`
    if ((await session.rows(used)).length > 0) continue
    try {
      await session.run(`alter table ${quoteTable(sink.table)} drop column ${quoteName(column)}`)
    } catch (error) {
      if (errorNumber(error) === undefined) throw error
    }
  }
}
