/** Whether somebody has altered a delivered table under way: found before a batch is applied, by a look at the catalogue each time. */
import type { SinkTable } from '../../database.ts'
import type { Shape } from '../bookkeeping/sink-engine.ts'
import { sameName, type CatalogTable } from './catalog.ts'
import { addedColumns } from './sql.ts'

/** The table's identity and the columns that delivery fills; whatever else is not rows. */
export function shapeOf(sink: SinkTable, { id, columns, uniques }: CatalogTable, triggers: readonly string[]): Shape {
  const filled = [...sink.columns, ...addedColumns(sink.deletes)]
  const own = columns
    .filter(({ column }) => filled.some((one) => sameName(one.column, column)))
    .map(({ nullable: _nullable, defaulted: _defaulted, ...definition }) => definition)
  return { own: JSON.stringify([id, own]), whole: JSON.stringify([columns, uniques, triggers]) }
}
