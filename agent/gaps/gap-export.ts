import { join } from 'node:path'
import type { Place } from '../../protocol/position.ts'
import { unreachable } from '../folders/owner.ts'
import type { GapCopies } from './gap-copies.ts'
import { batchFileName, putFile } from './gap-files.ts'

/** Batches of one epoch. */
export interface PlaceRange {
  epoch: number
  from: number
  to: number
}

/** Writes kept batches into a gap's folder again. `missing`: those of which there is no copy any more. */
export async function exportBatches(copies: GapCopies, folder: string, { epoch, from, to }: PlaceRange): Promise<{ written: Place[]; missing: Place[] }> {
  const written = copies.places(epoch, from, to)
  for (const place of written) await exportBatch(copies, folder, place)
  const there = new Set(written.map(({ seq }) => seq))
  const missing: Place[] = []
  for (let seq = from; seq <= to && missing.length < mostNamed; seq++) if (!there.has(seq)) missing.push({ epoch, seq })
  return { written, missing }
}

const mostNamed = 1_000

export async function exportBatch(copies: GapCopies, folder: string, place: Place): Promise<void> {
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
  const last = from === undefined ? 4_294_967_295 : Number(to ?? from)
  return first >= 1 && last >= first ? { epoch: Number(epoch), from: first, to: last } : undefined
}
