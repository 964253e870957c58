/**
 * The live table's rows become the shadow's. Where a row is refused they go in pieces, and that row is set aside; the shadow's quarantine
 * holds it then.
 */
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Change, Row, Rows, SinkTable } from '../../database.ts'
import { madeAtOnce, type PreparedBatch } from './batch.ts'
import { ended, untilWhole, workOf, type Work } from './pieces.ts'
import type { QuarantineBook } from './quarantine-book.ts'
import { asSource } from './read-back.ts'
import type { RowWriter } from './row-writer.ts'
import { RowsRefused, type SinkEngine, type TableFacts, type Target } from './sink-engine.ts'
import { OlderRows, wholeEnd, type SnapshotEnd } from './snapshot-end.ts'

/** How far a swap had to be divided; outlives a transaction that a refusal has ended. */
interface Taking<Batch extends PreparedBatch> {
  inPieces: boolean
  works: Work<Batch>[]
  end: SnapshotEnd
}

export class ShadowRows<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #quarantine: QuarantineBook
  readonly #rows: RowWriter<Table, Batch>
  readonly #older: OlderRows<Table, Batch>

  constructor(engine: SinkEngine<Table, Batch>, quarantine: QuarantineBook, rows: RowWriter<Table, Batch>) {
    this.#engine = engine
    this.#quarantine = quarantine
    this.#rows = rows
    this.#older = new OlderRows(engine, rows)
  }

  /** In one transaction with `follow`, which gives the live table, and `finish`. */
  async take(
    sink: SinkTable,
    { position, follow, finish }: { position: ChainPosition; follow: () => Promise<Table>; finish: () => Promise<void> },
  ): Promise<void> {
    const taking: Taking<Batch> = { inPieces: false, works: [], end: wholeEnd() }
    await untilWhole(this.#engine.session, async () => {
      const target = { sink, part: 'live' as const, open: { table: await follow(), quarantine: 0 } }
      taking.inPieces ||= target.open.table.readBack !== undefined
      if (!taking.inPieces) {
        const outcome = await this.#engine.session.attempt(() => this.#atOnce(target, position))
        taking.inPieces = 'refused' in outcome
        if ('refused' in outcome && outcome.transactionEnded) throw ended
      }
      if (taking.inPieces) await this.#inPieces(target, position, taking)
      await finish()
    })
  }

  async #atOnce({ sink, open: { table } }: Target<Table>, position: ChainPosition): Promise<void> {
    const kept = await this.#quarantine.keys(sink, 'shadow')
    const written = await this.#engine.replaceRows(sink, table, { position, kept })
    const keys = sink.columns.filter(({ item }) => item.key)
    const shadow = asSource(sink, this.#engine.partTable(sink, 'shadow'), keys, [])
    if (written < (await this.#engine.reading().count(shadow))) throw new RowsRefused()
  }

  /** Written with the shadow's position, so that what it does not hold is older. */
  async #inPieces(target: Target<Table>, position: ChainPosition, { works, end }: Taking<Batch>): Promise<void> {
    const { sink } = target
    let place = 0
    for await (const { rows, faults } of this.#shadowRows(sink)) {
      const work = (works[place++] ??= { ...workOf(this.#engine.prepare(sink, upsertsOf(sink, position, rows))), refused: [...faults] })
      await this.#rows.divide(target, work, { written: 0, deleted: 0 })
    }
    const refused = () => works.flatMap((work) => work.refused)
    const kept = [...(await this.#quarantine.keys(sink, 'shadow')), ...refused().map(({ key }) => key)]
    const batch = this.#engine.prepare(sink, { ...upsertsOf(sink, position, []), snapshot: { began: position, last: true } })
    await this.#older.remove(target, { batch, writer: await this.#engine.writer(target, batch), kept, end })
    await this.#rows.writeAgain(target, works)
    const aside = [...refused(), ...end.refused]
    if (aside.length > 0) await this.#quarantine.add(sink, 'shadow', position, aside, await this.#quarantine.count(sink, 'shadow'))
  }

  async *#shadowRows(sink: SinkTable): AsyncGenerator<Rows> {
    const reading = this.#engine.reading()
    const source = asSource(sink, this.#engine.partTable(sink, 'shadow'), sink.columns)
    for (let after: Row | null = null; ;) {
      const { last, ...read }: Awaited<ReturnType<typeof reading.rowsAfter>> = await reading.rowsAfter(source, after, madeAtOnce)
      yield read
      if (last === null) return
      after = last
    }
  }
}

function upsertsOf({ columns }: SinkTable, to: ChainPosition, rows: readonly Row[]): Change {
  return { from: null, to, rows: rows.length, columns: columns.map((_, i) => rows.map((row) => row[i]!)) }
}
