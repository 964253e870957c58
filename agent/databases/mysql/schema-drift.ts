/** Whether somebody has altered a delivered table under way: found before a batch is applied, by one quick look. */
import { quoteTable } from './sql.ts'
import type { SinkTable } from '../../database.ts'
import { unfit } from './catalog.ts'
import type { Session } from './connection.ts'

/** What a part's table looked like when it was last looked at. */
export interface Shape {
  /** Definitions of the delivered columns, in the table's order: where these change, values may be lost. */
  own: string
  whole: string
}

/** A fraction of what the information schema takes. */
export async function shapeOf(session: Session, sink: SinkTable, table: string): Promise<Shape> {
  const [row] = await session.rows(`show create table ${quoteTable(table)}`)
  const whole = String(row![1]).replace(/ AUTO_INCREMENT=\d+/, '')
  const columns = new Set(sink.columns.map(({ column }) => column.toLowerCase()))
  const lines = whole
    .split('\n')
    .filter((line) => columns.has(/^\s+`((?:[^`]|``)+)` /.exec(line)?.[1]?.replaceAll('``', '`').toLowerCase() ?? ''))
  // Where a comma stands behind the last line does not matter.
  return { own: lines.map((line) => line.replace(/,$/, '')).join('\n'), whole }
}

/** Throws QZ-SINK-TABLE where a delivered column is another one now, or of another type: the route must fill it anew. */
export function requireSameColumns(sink: SinkTable, before: Shape, now: Shape): void {
  if (before.own !== now.own) throw unfit(sink, '列已被更换,将重新填充 / its columns were exchanged by hand: it is filled anew')
}
