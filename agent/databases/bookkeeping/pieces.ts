/** A batch's rows as they are written: in pieces, which are halved where the server refuses one of their rows. */
import { rowReason } from '../../../protocol/errors.ts'
import { isLocalized } from '../../../protocol/localized.ts'
import type { SinkTable } from '../../database.ts'
import { keptAt, keyAt, type PreparedBatch, type QuarantinedRow } from './batch.ts'
import type { BookSession } from './session.ts'
import type { Piece } from './sink-engine.ts'

/** A refused row; `again`: what refused it may be gone when the rest is written. */
export interface RefusedPiece extends QuarantinedRow {
  again?: Piece
}

/** How far a batch has been divided; outlives a transaction that a refusal has ended. */
export interface Work<Batch extends PreparedBatch> {
  batch: Batch
  pieces: Piece[]
  refused: RefusedPiece[]
}

/** Deletes go first, since they free what other rows may want. */
export function wholePieces(batch: PreparedBatch): Piece[] {
  const ops = ['deletes', 'upserts'] as const
  return ops.flatMap((op) => (batch[op].length > 0 ? [{ op, from: 0, to: batch[op].length, whole: true }] : []))
}

export function workOf<Batch extends PreparedBatch>(batch: Batch): Work<Batch> {
  return { batch, pieces: wholePieces(batch), refused: [...batch.faults] }
}

/** What was refused has gone in after all; a transaction that is done again does it last. */
export function settle({ pieces, refused }: Pick<Work<PreparedBatch>, 'pieces' | 'refused'>, done: RefusedPiece): void {
  refused.splice(refused.indexOf(done), 1)
  pieces.push(done.again!)
}

/** A piece as what is left of it. */
export function without({ upserts, deletes }: PreparedBatch, { op, from, to }: Piece, rows: ReadonlySet<number>): Piece[] {
  const numbers = op === 'upserts' ? upserts : deletes
  const left: Piece[] = []
  for (let at = from; at < to; at++) {
    if (rows.has(numbers[at]!)) continue
    const last = left.at(-1)
    if (last?.to === at) last.to = at + 1
    else left.push({ op, from: at, to: at + 1, whole: false })
  }
  return left
}

export function halves(piece: Piece): Piece[] {
  return piece.to - piece.from === 1 ? [] : split(piece, Math.ceil((piece.to - piece.from) / 2))
}

export function split(piece: Piece, length: number): Piece[] {
  if (piece.to - piece.from <= length) return [piece]
  const starts = Array.from({ length: Math.ceil((piece.to - piece.from) / length) }, (_, i) => piece.from + i * length)
  return starts.map((from) => ({ op: piece.op, from, to: Math.min(from + length, piece.to), whole: false }))
}

export function refusal(
  sink: SinkTable,
  { change }: PreparedBatch,
  { op }: Piece,
  row: number,
  error: unknown,
  keep = true,
): QuarantinedRow {
  const reason = isLocalized(error) ? error : rowReason(error)
  const kept = keep ? { kept: keptAt(sink, change, row, op === 'upserts' ? 'u' : 'd') } : {}
  return { key: keyAt(sink, change, row), code: 'QZ-ROW-REFUSED', reason, ...kept }
}

/** Thrown where a refused row has ended the transaction. */
export const ended = new Error('the transaction has ended')

/** One transaction, done again where a refused row has ended it. */
export async function untilWhole<T>(session: BookSession, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await session.transaction(work)
    } catch (error) {
      if (error !== ended) throw error
    }
  }
}
