/** Whether somebody has altered a delivered table under way: found before a batch is applied, by one quick look. */
import { quoteTable } from './sql.ts'
import type { SinkTable } from '../../database.ts'
import type { Shape } from '../bookkeeping/sink-engine.ts'
import type { Session } from './connection.ts'

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
