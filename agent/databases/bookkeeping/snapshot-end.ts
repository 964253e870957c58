/**
 * At a snapshot's end this source's rows that it did not bring go, quarantined keys excepted. Where the receiver's own constraints refuse that,
 * they are found one by one, and those that must stay are set aside.
 */
import type { Position } from '../../../protocol/position.ts'
import { addedColumns, type Change, type Row, type SinkTable, type SourceTable } from '../../database.ts'
import { changeOf, keyHash, type KeptRow, type PreparedBatch, type QuarantinedRow } from './batch.ts'
import { ended, split, wholePieces, type Work } from './pieces.ts'
import { asSource } from './read-back.ts'
import type { RowWriter } from './row-writer.ts'
import type { BatchWriter, SinkEngine, TableFacts, Target } from './sink-engine.ts'

/** How far it had to be divided; outlives a transaction that a refusal has ended. */
export interface SnapshotEnd {
  byKey: boolean
  atOnce: number
  refused: QuarantinedRow[]
}

/** Rows of a table that are looked at together. */
const keysAtOnce = 1_000

export function wholeEnd(): SnapshotEnd {
  return { byKey: false, atOnce: keysAtOnce, refused: [] }
}

export interface Snapshot<Batch extends PreparedBatch> {
  batch: Batch
  writer: BatchWriter
  /** Keys whose rows stay. */
  kept: readonly Row[]
  end: SnapshotEnd
}

export class OlderRows<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #rows: RowWriter<Table, Batch>

  constructor(engine: SinkEngine<Table, Batch>, rows: RowWriter<Table, Batch>) {
    this.#engine = engine
    this.#rows = rows
  }

  /** Gives how many. */
  async remove(target: Target<Table>, { batch, writer, kept, end }: Snapshot<Batch>): Promise<number> {
    const { began } = batch.change.snapshot!
    // What a trigger keeps without an error is found by its key only.
    end.byKey ||= target.open.table.readBack !== undefined
    if (!end.byKey) {
      const outcome = await this.#engine.session.attempt(() => writer.removeOlder(began, kept))
      if ('done' in outcome) return outcome.done
      end.byKey = true
      if (outcome.transactionEnded) throw ended
    }
    let removed = 0
    for await (const keys of this.#olderKeys(target, began)) {
      const spared = new Set([...kept, ...end.refused.map(({ key }) => key)].map(keyHash))
      const gone = keys.filter((key) => !spared.has(keyHash(key)))
      removed += await this.#removeKeys(target, batch.change, gone, end)
    }
    return removed
  }

  /** Where a refusal ends the transaction, the next try takes fewer keys at once, down to one. */
  async #removeKeys(target: Target<Table>, { to }: Change, keys: readonly Row[], end: SnapshotEnd): Promise<number> {
    if (keys.length === 0) return 0
    const batch = this.#engine.prepare(target.sink, changeOf(target.sink, to, keys.map(deleteOf(target.sink))))
    const pieces = wholePieces(batch).flatMap((piece) => split(piece, end.atOnce))
    const work: Work<Batch> = { batch, pieces, refused: [] }
    try {
      return (await this.#rows.write(target, [work])).deleted
    } catch (error) {
      if (error === ended && work.refused.length === 0) end.atOnce = Math.ceil(end.atOnce / 2)
      throw error
    } finally {
      end.refused.push(...work.refused)
    }
  }

  /** Keys of this source's rows that were written before a position, in the order of the key. */
  async *#olderKeys({ sink, part }: Target<Table>, began: Position): AsyncGenerator<Row[]> {
    const reading = this.#engine.reading()
    const source = deliveredKeys(sink, this.#engine.partTable(sink, part))
    for (let after: Row | null = null; ;) {
      const { rows, last }: Awaited<ReturnType<typeof reading.rowsAfter>> = await reading.rowsAfter(source, after, keysAtOnce)
      yield rows.filter((row) => BigInt(row.at(-1) ?? -1) < positionBigint(began)).map((row) => row.slice(0, -1))
      if (last === null) return
      after = last
    }
  }
}

function deleteOf({ columns }: SinkTable): (key: Row) => KeptRow {
  const ids = columns.flatMap(({ item }) => (item.key ? [item.id] : []))
  return (key) => ({ op: 'd', values: Object.fromEntries(ids.map((id, i) => [id, key[i]!])) })
}

function positionBigint({ epoch, seq }: Position): bigint {
  return BigInt(epoch) * 4294967296n + BigInt(seq)
}

/** A delivered table as a source of its keys and of the position behind them; this source's rows alone. */
function deliveredKeys(sink: SinkTable, table: string): SourceTable {
  const { position: name } = addedColumns
  const position = { id: name, name, label: '', type: 'integer', openness: 'internal' } as const
  const keys = sink.columns.filter(({ item }) => item.key).map(({ item, column }) => ({ item, column }))
  return asSource(sink, table, [...keys, { item: position, column: position.name }])
}
