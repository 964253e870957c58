/** Rows that hold one another's unique values let go of them before they are written: with values that nobody else has. */
import type { Item } from '../../../protocol/schema.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Change, SinkTable } from '../../database.ts'
import type { PreparedBatch } from './batch.ts'
import type { TableFacts } from './sink-engine.ts'

/** These upserts of a batch, without values in the contested columns, or with odd ones where there must be one. */
export function parkedChange(
  { columns }: SinkTable,
  { change, upserts }: PreparedBatch,
  places: readonly number[],
  contested: TableFacts['contested'],
): Change {
  const rows = places.map((place) => upserts[place]!)
  return {
    from: null,
    to: change.to,
    rows: rows.length,
    columns: columns.map(({ item }, i) => {
      const values = rows.map((row) => change.columns[i]![row]!)
      const one = contested.find(({ item: id }) => id === item.id)
      return one ? values.map((value, n) => (one.nullable ? null : (parked(item, n) ?? value))) : values
    }),
  }
}

function parked({ type }: Item, n: number): Value | undefined {
  if (type === 'text') return `\u007f${n}`
  return type === 'integer' || type === 'decimal' ? `-${n + 1}` : undefined
}
