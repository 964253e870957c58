import { Type, type Static } from 'typebox'

/** They fit `qz_position` together. */
export const Epoch = Type.Integer({ minimum: 1, maximum: 2147483647 })
export const Seq = Type.Integer({ minimum: 1, maximum: 4294967295 })
/** RFC 3339 in UTC. */
export const Time = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$' })
/** How many there are of something. */
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

/** A place in a stream: batches are ordered by epoch, then by seq (from 1). `hash` is the SHA-256 (hex) of the manifest there. */
export const ChainPosition = Type.Object({
  epoch: Epoch,
  seq: Seq,
  hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})
export type ChainPosition = Static<typeof ChainPosition>
export type Position = Pick<ChainPosition, 'epoch' | 'seq'>

export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.seq - b.seq
}

export function isAfter(a: Position, b: Position | null | undefined): boolean {
  return !b || comparePositions(a, b) > 0
}

export function samePosition(a: ChainPosition | null | undefined, b: ChainPosition | null | undefined): boolean {
  return a && b ? a.epoch === b.epoch && a.seq === b.seq && a.hash === b.hash : !a && !b
}

/** `qz_position` of delivered rows: epoch × 2³² + seq as decimal text; it orders like the place and fits a signed 64-bit column. */
export function positionNumber({ epoch, seq }: Position): string {
  return (BigInt(epoch) * 4294967296n + BigInt(seq)).toString()
}

/** The place that a `qz_position` tells. */
export function positionOf(position: string): Position {
  const number = BigInt(position)
  return { epoch: Number(number / 4294967296n), seq: Number(number % 4294967296n) }
}

export function showPosition(place: Position | null | undefined): string {
  return place ? `${place.epoch}/${place.seq}` : '-'
}

/**
 * A new epoch is later than every one that ever was, also when hub and source were both restored from backups and have forgotten
 * the last ones: it never falls behind the minutes since 2020.
 */
export function nextEpoch(known: number, now: Date): number {
  return Math.max(known + 1, Math.floor((now.getTime() - Date.UTC(2020, 0, 1)) / 60_000))
}

/** Epochs ahead of the minutes that a wrong clock may explain: a year. Whoever names later ones would use them up. */
const epochLeeway = 525_600

export function isPlausibleEpoch(epoch: number, known: number, now: Date): boolean {
  return epoch <= Math.max(known + 1, nextEpoch(0, now) + epochLeeway)
}
