/** Trying a quarantine's rows again, by command, after what refused them was put right. */
import type { Change, Replayed, SinkTable } from '../../database.ts'
import { stageRows, untilWhole, wholePieces, writePieces, type Piece, type Target } from './apply.ts'
import { keyHash, prepareBatch, type Batch, type Kept, type Refused } from './batch.ts'
import { countQuarantine, faultStage, hashStage, keptRows, settleTried } from './quarantine.ts'
import { rowset } from './rowset.ts'

/** The kept rows of one batch, and into what they have been split so far. */
interface Trial {
  batch: Batch
  pieces: Piece[]
  faults: Refused[]
}

/** See `Delivery.replay`. */
export async function replayQuarantine(target: Target): Promise<Replayed> {
  const { session, open } = target
  const trials = await keptTrials(target)
  if (trials[0]) await makeStages(target, trials[0].batch)
  return untilWhole(session, async () => {
    for (const { batch, pieces, faults } of trials) await writePieces(target, batch, await stageRows(target, batch), pieces, faults)
    const refused = trials.flatMap(({ faults }) => faults)
    const bad = new Set(refused.map(({ key }) => keyHash(key)))
    const applied = trials.flatMap(({ batch }) => batch.keys).filter((key) => !bad.has(keyHash(key)))
    await settleTried(target, applied, refused)
    open.quarantine = await countQuarantine(target)
    return { tried: applied.length + refused.length, applied: applied.length, quarantine: open.quarantine }
  })
}

async function keptTrials(target: Target): Promise<Trial[]> {
  const groups = await keptRows(target)
  return groups.flatMap(({ place, rows }) => {
    const whole = rows.filter(isWhole(target.sink))
    if (whole.length === 0) return []
    const batch = prepareBatch(target.sink, changeOf(target.sink, place, whole))
    return [{ batch, pieces: wholePieces(batch), faults: [...batch.faults] }]
  })
}

/** Made empty before the transaction, which may be rolled back. */
async function makeStages(target: Target, batch: Batch): Promise<void> {
  await stageRows(target, { ...batch, upserts: [], deletes: [] })
  await rowset(target.session, faultStage, [], 'f')
  await rowset(target.session, hashStage, [], 'h')
}

/** Every delivered item of it was kept; of a delete only the key is needed. */
function isWhole({ columns }: SinkTable): (row: Kept) => boolean {
  return ({ op, values }) => columns.every(({ item }) => Object.hasOwn(values, item.id) || (op === 'd' && !item.key))
}

function changeOf({ columns }: SinkTable, [epoch, seq]: [number, number], rows: readonly Kept[]): Change {
  return {
    from: null,
    to: { epoch, seq, hash: '' },
    rows: rows.length,
    columns: columns.map(({ item }) => rows.map(({ values }) => values[item.id] ?? null)),
    ops: rows.map(({ op }) => op),
  }
}
