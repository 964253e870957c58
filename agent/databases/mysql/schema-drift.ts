/** Whether somebody has altered a delivered table under way: found before a batch is applied, by one quick look. */
import { place } from './catalog.ts'
import { quoteTable, quoteText } from './sql.ts'
import type { SinkTable } from '../../database.ts'
import type { Shape } from '../bookkeeping/sink-engine.ts'
import type { Session } from './connection.ts'

/** A fraction of what the information schema takes. */
export async function shapeOf(session: Session, sink: SinkTable, table: string): Promise<Shape> {
  const [row] = await session.rows(`show create table ${quoteTable(table)}`)
  const whole = String(row![1]).replace(/ AUTO_INCREMENT=\d+/, '')
  const { database, name } = place(session, table)
  const [triggers] = await session.rows(
    `select group_concat(concat_ws(' ', trigger_name, created) order by trigger_name) from information_schema.triggers
     where event_object_schema = ${quoteText(database)} and event_object_table = ${quoteText(name)}`,
  )
  const columns = new Set(sink.columns.map(({ column }) => column.toLowerCase()))
  const lines = whole
    .split('\n')
    .filter((line) => columns.has(/^\s+`((?:[^`]|``)+)` /.exec(line)?.[1]?.replaceAll('``', '`').toLowerCase() ?? ''))
  // Where a comma stands behind the last line does not matter.
  return { own: lines.map((line) => line.replace(/,$/, '')).join('\n'), whole: `${whole}\n${String(triggers![0])}` }
}
