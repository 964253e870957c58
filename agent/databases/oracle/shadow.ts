/** How a live table takes its shadow's rows. */
import { positionNumber, type ChainPosition } from '../../../protocol/position.ts'
import type { Part, Row, SinkTable } from '../../database.ts'
import { otherKey } from '../bookkeeping/delivery.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import { place, readTable, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { errorNumber } from './errors.ts'
import { safeName } from './names.ts'
import { alter, exchangeKey, followItems, keyOf } from './shape.ts'
import { mergeTable, type ApplyTable } from './sql-rows.ts'
import { madeName, quoteName, sourceColumn } from './sql.ts'
import { keptAddresses, removeAddresses } from './writing.ts'

/** The table of a part, as configured or its shadow in the same schema: each route has its own. */
export function partTable(session: Session, sink: Pick<SinkTable, 'table' | 'route'>, part: Part): string {
  return part === 'live' ? sink.table : `${madeName(place(session, sink.table).owner)}.QZ_SHADOW_${safeName(sink.route, 20)}`
}

/** See `SinkEngine.followShadow`. DDL commits: where the key changes, readers find no rows until the shadow's are there. */
export async function followShadow(session: Session, sink: SinkTable, { keys, columns }: StoredState): Promise<void> {
  await followItems(session, sink, sink.table)
  const live = (await readTable(session, sink.table))!
  if (keyOf(sink, live)) return
  if (await holdsOthers(session, sink, live)) throw unfit(sink, otherKey(sink))
  await session.run(`delete from ${live.name}`)
  const former = keys?.flatMap((id) => columns[id] ?? []) ?? live.keys[0]?.columns ?? []
  await alter(session, sink, exchangeKey(sink, live, former))
}

async function holdsOthers(session: Session, sink: SinkTable, live: CatalogTable): Promise<boolean> {
  const binds = session.binds()
  const other = `(${quoteName(sourceColumn)} is null or ${quoteName(sourceColumn)} <> ${binds.code(sink.source)})`
  return (await session.rows(`select 1 from ${live.name} where ${other} and rownum = 1`, binds)).length > 0
}

/** Rows of this source that the shadow does not hold: placeholders the source, twice. */
export function vanishedRows(live: ApplyTable, shadow: ApplyTable): string {
  const same = live.columns.flatMap(({ item, column }, i) =>
    item.key ? [`s.${quoteName(shadow.columns[i]!.column)} = t.${quoteName(column)}`] : [],
  )
  const marked = live.deletes === 'mark' ? ` and t.${quoteName('QZ_DELETED')} = 0` : ''
  return `select rowidtochar(t.rowid) from ${live.name} t where t.${quoteName(sourceColumn)} = :1${marked}
and not exists (select 1 from ${shadow.name} s where s.${quoteName(sourceColumn)} = :2 and ${same.join(' and ')})`
}

/** See `SinkEngine.replaceRows`. */
export async function replaceRows(
  session: Session,
  sink: SinkTable,
  { live, shadow }: { live: ApplyTable; shadow: ApplyTable },
  { position, kept }: { position: ChainPosition; kept: readonly Row[] },
): Promise<number> {
  const binds = session.binds()
  for (let i = 0; i < 2; i++) binds.code(sink.source)
  const gone = (await session.rows(vanishedRows(live, shadow), binds)).map((row) => String(row[0]))
  const spared = gone.length > 0 && kept.length > 0 ? await keptAddresses(session, live, kept) : new Set<string>()
  await removeAddresses(session, live, positionNumber(position), gone, spared)
  return session.run(mergeTable(live, shadow))
}

/** See `SinkEngine.dropColumns`. The dictionary knows on which table something depends, not on which column: then all stay, empty. */
export async function dropColumns(session: Session, sink: SinkTable, columns: readonly string[]): Promise<void> {
  const { owner, table, name } = (await readTable(session, sink.table))!
  const binds = session.binds()
  const used = `select 1 from all_dependencies where referenced_owner = ${binds.code(owner)} and referenced_name = ${binds.code(table)} and rownum = 1`
  if ((await session.rows(used, binds)).length > 0) return
  for (const column of columns) {
    const held = session.binds()
    const index = `select 1 from all_ind_columns where table_owner = ${held.code(owner)} and table_name = ${held.code(table)} and column_name = ${held.code(column)} and rownum = 1`
    if ((await session.rows(index, held)).length > 0) continue
    try {
      await session.run(`alter table ${name} drop (${quoteName(column)})`)
    } catch (error) {
      if (errorNumber(error) === undefined) throw error
    }
  }
}

export async function dropTable(session: Session, table: string): Promise<void> {
  const there = await readTable(session, table)
  if (there) await session.run(`drop table ${there.name} purge`)
}
