/** Writes one piece, looks whether the table has it as it was sent, and finds out why a row was refused. */
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Value } from '../../../protocol/value.ts'
import { addedColumns, type MappedColumn, type Reading, type Row, type SourceTable } from '../../database.ts'
import { keyAt, keyHash, type PreparedBatch } from './batch.ts'
import { refusal, type RefusedPiece, type Work } from './pieces.ts'
import { alteredRows, asSource } from './read-back.ts'
import {
  notWritten,
  RowsRefused,
  type BatchWriter,
  type Counts,
  type Piece,
  type SinkEngine,
  type TableFacts,
  type Target,
  type Written,
} from './sink-engine.ts'

export class PieceWriter<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #readings = new WeakMap<TableFacts, { reading: Reading; source: SourceTable }>()

  constructor(engine: SinkEngine<Table, Batch>) {
    this.#engine = engine
  }

  /** Throws where the server took less than there was without an error, or other values. */
  async write(target: Target<Table>, batch: Batch, writer: BatchWriter, piece: Piece): Promise<Written> {
    const written = await writer.write(piece)
    const aside = written.refused?.length ?? 0
    if (piece.op === 'upserts' && written.rows + aside < piece.to - piece.from) throw new RowsRefused()
    const { readBack } = target.open.table
    if (!readBack) return written
    const altered = await alteredRows({ sink: target.sink, ...this.#reading(target, readBack) }, batch, piece)
    const refused = new Set(written.refused?.map(({ row }) => row))
    const wrong = altered.filter(({ row }) => !refused.has(row))
    if (wrong.length > 0) throw new RowsRefused(wrong)
    return written
  }

  #reading({ sink, part, open: { table } }: Target<Table>, columns: readonly MappedColumn[]): { reading: Reading; source: SourceTable } {
    const known = this.#readings.get(table)
    if (known) return known
    const made = { reading: this.#engine.reading(), source: asSource(sink, this.#engine.partTable(sink, part), columns) }
    this.#readings.set(table, made)
    return made
  }

  async count(target: Target<Table>, counts: Counts, work: Work<Batch>, { op }: Piece, written: Written): Promise<void> {
    counts[op === 'upserts' ? 'written' : 'deleted'] += written.rows
    for (const { row, error, keep } of written.refused ?? []) {
      const at = work.batch[op].indexOf(row)
      work.refused.push(await this.refusal(target, work.batch, { op, from: at, to: at + 1, whole: false }, error, { keep }))
    }
  }

  async refusal(
    target: Target<Table>,
    batch: Batch,
    piece: Piece,
    error: unknown,
    { keep, transactionEnded }: { keep?: boolean | undefined; transactionEnded?: boolean } = {},
  ): Promise<RefusedPiece> {
    const row = batch[piece.op][piece.from]!
    const conflict = this.#engine.isConflict(error)
    const silent = error instanceof RowsRefused
    const inTheWay = piece.op === 'upserts' && (conflict || silent) && !transactionEnded && (await this.#inTheWay(target, batch, row))
    const reason = inTheWay || (silent ? notWritten : error)
    return { ...refusal(target.sink, batch, piece, row, reason, keep), ...(conflict && { again: piece }) }
  }

  /** A row of somebody else's with this key, or one whose key is only alike. */
  async #inTheWay({ sink, part }: Target<Table>, { change }: Batch, row: number): Promise<LocalizedText | undefined> {
    const key = keyAt(sink, change, row)
    const keys = sink.columns.filter(({ item }) => item.key)
    const source = asSource(sink, this.#engine.partTable(sink, part), [...keys, sourceName], [])
    const rows = (await this.#now(source, [key])) ?? []
    const same = rows.find((found) => keyHash(found.slice(0, -1)) === keyHash(key))
    if (same) return sink.takeOver || same.at(-1) === sink.source ? undefined : ownRow(same.at(-1) ?? null)
    return rows.length > 0 ? alike(rows[0]!.slice(0, -1)) : undefined
  }

  /** This source's rows as they are now; undefined where they cannot be read. */
  rowsNow({ sink, part }: Target<Table>, keys: readonly Row[]): Promise<readonly Row[] | undefined> {
    return this.#now(asSource(sink, this.#engine.partTable(sink, part), sink.columns), keys)
  }

  async #now(source: SourceTable, keys: readonly Row[]): Promise<readonly Row[] | undefined> {
    const outcome = await this.#engine.session.attempt(async () => {
      try {
        return await this.#engine.reading().rowsByKeys(source, keys)
      } catch {
        // Whatever it was, it is undone: the refusal has a reason already.
        throw new RowsRefused()
      }
    })
    return 'done' in outcome ? outcome.done.rows : undefined
  }
}

const sourceName: MappedColumn = {
  item: { id: addedColumns.source, name: addedColumns.source, label: '', type: 'text', openness: 'internal' },
  column: addedColumns.source,
}

function ownRow(source: Value): LocalizedText {
  const whose = source === null ? { zh: '接收方自有', en: "the receiver's own" } : { zh: `来源为 ${source} `, en: `of source ${source}` }
  return {
    zh: `表中已有${whose.zh}的同主键行：在配置中对该落地设 takeOver: true 可由本路由接管`,
    en: `the table has a row with this key, ${whose.en}: takeOver: true in the sink's configuration makes it this route's`,
  }
}

function alike(key: Row): LocalizedText {
  const shown = key.join(', ')
  return {
    zh: `表的主键视之与 ${shown} 相同（大小写、重音或末尾空格）：请将主键列改为按字节比较的排序规则`,
    en: `the table's key takes it for ${shown} (letter case, accents, trailing blanks): give the key column a collation that compares bytes`,
  }
}
