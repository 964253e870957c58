/** Whether somebody has altered a delivered table under way: found before a batch is applied, by a look at the catalogue each time. */
import { addedColumns } from './sql.ts'
import type { Part, SinkTable } from '../../database.ts'
import { readTable, sameName, unfit, type CatalogTable } from './catalog.ts'
import type { Session } from './connection.ts'
import { shadowTable } from './names.ts'
import { checkTable } from './shape.ts'
import type { OpenSink } from './sink.ts'

/** What a part's table looked like when it was last looked at. */
export interface Shape {
  /** The table itself and the columns that delivery fills: where these change, values may be lost. */
  own: string
  whole: string
}

/**
 * Looks again where anything but rows has changed. Throws QZ-SINK-TABLE where the table cannot be written any more as it should; also
 * where it, or a delivered column, is another one now or of another type: what it held may be gone, and the route must fill it anew.
 */
export async function requireUnaltered(session: Session, sink: SinkTable, part: Part, open: OpenSink): Promise<void> {
  const table = await readTable(session, part === 'live' ? sink.table : shadowTable(sink.route))
  if (!table) throw unfit(sink, '不存在 / it does not exist')
  const [before, shape] = [open.shape, shapeOf(sink, table)]
  if (before?.own === shape.own && before.whole === shape.whole) return
  open.table = checkTable(sink, table)
  if (before && before.own !== shape.own)
    throw unfit(sink, '表或其列已被更换,将重新填充 / it or its columns were exchanged by hand: it is filled anew')
  open.shape = shape
}

function shapeOf(sink: SinkTable, { id, columns, uniques }: CatalogTable): Shape {
  const filled = [...sink.columns, ...addedColumns(sink.deletes)]
  const own = columns
    .filter(({ column }) => filled.some((one) => sameName(one.column, column)))
    .map(({ nullable: _nullable, defaulted: _defaulted, ...definition }) => definition)
  return { own: JSON.stringify([id, own]), whole: JSON.stringify([columns, uniques]) }
}
