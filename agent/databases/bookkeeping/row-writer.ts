/**
 * Batches within one transaction. Rows that the server refuses are set aside by key and the rest goes in:
 *
 *   all rows of a kind ──refused──► halves ──refused──► … ──► one row ──refused──► quarantine (key, reason, the row itself)
 *                 └─► written              └─► written
 *
 * so one bad row of n costs about 2 log₂ n statements. What other rows stood in the way of goes in after them (waiting-rows.ts).
 */
import type { PreparedBatch } from './batch.ts'
import { ended, halves, refusal, without, type Work } from './pieces.ts'
import { PieceWriter } from './piece-writer.ts'
import { RowsRefused, type BatchWriter, type Counts, type SinkEngine, type TableFacts, type Target } from './sink-engine.ts'
import { WaitingRows } from './waiting-rows.ts'

export class RowWriter<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #pieces: PieceWriter<Table, Batch>
  readonly #waiting: WaitingRows<Table, Batch>

  constructor(engine: SinkEngine<Table, Batch>) {
    this.#engine = engine
    this.#pieces = new PieceWriter(engine)
    this.#waiting = new WaitingRows(engine, this.#pieces)
  }

  /** `writer`: where there is one batch that was staged before the transaction. Throws `ended` where a refusal has ended that. */
  async write(target: Target<Table>, works: readonly Work<Batch>[], writer?: BatchWriter): Promise<Counts> {
    const counts = { written: 0, deleted: 0 }
    for (const work of works) await this.divide(target, work, counts, writer)
    await this.#waiting.write(target, works, counts)
    return counts
  }

  /** What was refused may have another chance later: see `write`. */
  writeAgain(target: Target<Table>, works: readonly Work<Batch>[]): Promise<void> {
    return this.#waiting.write(target, works, { written: 0, deleted: 0 })
  }

  /** Where a piece is refused, its halves take its place; of a single row it goes to `refused`. */
  async divide(target: Target<Table>, work: Work<Batch>, counts: Counts, staged?: BatchWriter): Promise<void> {
    const { batch, pieces, refused } = work
    const writer = staged ?? (await this.#engine.writer(target, batch))
    for (let i = 0; i < pieces.length;) {
      const piece = pieces[i]!
      const outcome = await this.#engine.session.attempt(() => this.#pieces.write(target, batch, writer, piece))
      if ('done' in outcome) {
        await this.#pieces.count(target, counts, work, piece, outcome.done)
        i++
        continue
      }
      const { refused: error, transactionEnded } = outcome
      const known = error instanceof RowsRefused ? error.rows : undefined
      pieces.splice(i, 1, ...(known ? without(batch, piece, new Set(known.map(({ row }) => row))) : halves(piece)))
      for (const { row, error } of known ?? []) refused.push(refusal(target.sink, batch, piece, row, error))
      if (!known && piece.to - piece.from === 1) refused.push(await this.#pieces.refusal(target, batch, piece, error, { transactionEnded }))
      if (transactionEnded) throw ended
    }
  }
}
