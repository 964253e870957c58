import { join } from 'node:path'
import type { PlaceRange } from '../../protocol/gap.ts'
import type { Position } from '../../protocol/position.ts'
import { unreachable } from '../folders/store/owner.ts'
import type { GapCopies } from './copies.ts'
import { batchFileName, putFile } from './files.ts'

/** Writes kept batches into a gap's folder again. `missing`: those of which there is no copy any more. */
export async function exportBatches(
  copies: GapCopies,
  folder: string,
  { epoch, from, to }: PlaceRange,
): Promise<{ written: Position[]; missing: Position[] }> {
  const written = copies.places(epoch, from, to)
  for (const place of written) await exportBatch(copies, folder, place)
  const there = new Set(written.map(({ seq }) => seq))
  const missing: Position[] = []
  for (let seq = from; seq <= to && missing.length < maxNamed; seq++) if (!there.has(seq)) missing.push({ epoch, seq })
  return { written, missing }
}

const maxNamed = 1_000

/** Beyond every seq: the end of a range that has none. */
export const wholeEpoch = 4_294_967_295

export async function exportBatch(copies: GapCopies, folder: string, place: Position): Promise<void> {
  const copy = copies.copy(place)
  if (!copy) return
  try {
    await putFile(join(folder, batchFileName(place)), copy.bytes)
  } catch (error) {
    throw unreachable(folder, error)
  }
}

/** `12`, `12-3`, `12-3..9`: an epoch, one batch of it, some of them. Undefined where it is none of these. */
export function readRange(text: string): PlaceRange | undefined {
  const [, epoch, from, to] = /^(\d{1,10})(?:-(\d{1,10})(?:\.\.(\d{1,10}))?)?$/.exec(text) ?? []
  if (epoch === undefined) return undefined
  const first = from === undefined ? 1 : Number(from)
  const last = from === undefined ? wholeEpoch : Number(to ?? from)
  return first >= 1 && last >= first ? { epoch: Number(epoch), from: first, to: last } : undefined
}

/** As `readRange` reads it. */
export function showRange({ epoch, from, to }: PlaceRange): string {
  return from === to ? `${epoch}-${from}` : `${epoch}-${from}..${to}`
}
