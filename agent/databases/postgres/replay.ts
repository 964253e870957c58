/** Trying a quarantine's rows again, by command, after what refused them was put right. */
import type { Value } from '../../../protocol/value.ts'
import type { Change, Replayed, SinkTable } from '../../database.ts'
import { halve, type Target } from './apply.ts'
import { keyAt, prepareBatch, type Kept, type Refused } from './batch.ts'
import { keptRows, settleTried } from './quarantine.ts'

/** See `Delivery.replay`. */
export async function replayQuarantine(target: Target): Promise<Replayed> {
  const { connection, sink, part, open } = target
  return connection.transaction(async () => {
    await connection.script('set constraints all immediate')
    const applied: Value[][] = []
    const refused: Refused[] = []
    for (const { place, rows } of await keptRows(connection, sink, part)) {
      const change = changeOf(sink, place, rows.filter(isWhole(sink)))
      if (change.rows === 0) continue
      const batch = prepareBatch(sink, change)
      const faults: Refused[] = [...batch.faults]
      for (const op of ['upserts', 'deletes'] as const) await halve(target, batch, op, batch[op], { written: 0, deleted: 0 }, faults)
      const bad = new Set(faults.map(({ key }) => JSON.stringify(key)))
      const keys = Array.from({ length: change.rows }, (_, row) => keyAt(sink, change, row))
      applied.push(...keys.filter((key) => !bad.has(JSON.stringify(key))))
      refused.push(...faults)
    }
    open.quarantine = await settleTried(connection, sink, part, applied, refused)
    return { tried: applied.length + refused.length, applied: applied.length, quarantine: open.quarantine }
  })
}

/** Every delivered item of it was kept; of a delete only the key is needed. */
function isWhole({ columns }: SinkTable): (row: Kept) => boolean {
  return ({ op, values }) => columns.every(({ item }) => Object.hasOwn(values, item.id) || (op === 'd' && !item.key))
}

function changeOf(sink: SinkTable, [epoch, seq]: [number, number], rows: readonly Kept[]): Change {
  return {
    from: null,
    to: { epoch, seq, hash: '' },
    rows: rows.length,
    columns: sink.columns.map(({ item }) => rows.map(({ values }) => values[item.id] ?? null)),
    ops: rows.map(({ op }) => op),
  }
}
