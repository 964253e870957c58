/** Writing one batch's rows: they are brought to the server before the transaction, and written piece by piece within it. */
import { positionNumber, type Position } from '../../../protocol/position.ts'
import type { Change, Row, SinkTable } from '../../database.ts'
import { keyAt, prepareBatch, type PreparedBatch } from '../bookkeeping/batch.ts'
import type { BatchWriter, Piece, Target, Written } from '../bookkeeping/sink-engine.ts'
import type { Session, SqlParameters } from './connection.ts'
import { rowset, type Rowset, type StageType } from './rowset.ts'
import { deliveryFault, keyColumns, remove, removeOlder, spacesOf, stageType, stageValue, upsert, type ApplyTable } from './sql.ts'

export type StageRow = (string | Buffer | null)[]

export function prepareRows(sink: SinkTable, change: Change): PreparedBatch {
  return prepareBatch(sink, change, (item) => (value) => deliveryFault(item, value))
}

export class ServerWriter implements BatchWriter {
  readonly #session: Session
  readonly #target: Target<ApplyTable>
  readonly #change: Change
  readonly #staged: { upserts: Rowset; deletes: Rowset }

  private constructor(session: Session, target: Target<ApplyTable>, change: Change, staged: { upserts: Rowset; deletes: Rowset }) {
    this.#session = session
    this.#target = target
    this.#change = change
    this.#staged = staged
  }

  static async open(session: Session, target: Target<ApplyTable>, batch: PreparedBatch): Promise<ServerWriter> {
    const { sink } = target
    const deleted = batch.deletes.map((row) => keyAt(sink, batch.change, row))
    return new ServerWriter(session, target, batch.change, {
      upserts: await rowset(session, upsertStage(sink), stagedUpserts(sink, batch), 's', 'upserts'),
      deletes: await rowset(session, keysStage(sink), stagedKeys(sink, deleted), 's', 'deletes'),
    })
  }

  async write(piece: Piece): Promise<Written> {
    const { sink, open } = this.#target
    const values = { source: sink.source, position: positionNumber(this.#change.to) }
    if (piece.op === 'upserts') {
      const from = pieceOf(this.#staged.upserts, upsertStage(sink), piece)
      let rows = 0
      for (const statement of upsert(open.table, from))
        rows += await counted(this.#session, statement, { ...values, ...this.#staged.upserts.parameters })
      return { rows }
    }
    const from = pieceOf(this.#staged.deletes, keysStage(sink), piece)
    return { rows: await counted(this.#session, remove(open.table, from), { ...values, ...this.#staged.deletes.parameters }) }
  }

  async removeOlder(began: Position, keys: readonly Row[]): Promise<number> {
    const { sink, open } = this.#target
    const kept = await keysFrom(this.#session, sink, keys)
    const values = { source: sink.source, position: positionNumber(this.#change.to), began: positionNumber(began) }
    return counted(this.#session, removeOlder(open.table, kept?.from), { ...values, ...kept?.parameters })
  }
}

/** Keys as a FROM item named `s`. */
export async function keysFrom(session: Session, sink: SinkTable, keys: readonly Row[]): Promise<Rowset | undefined> {
  return keys.length > 0 ? rowset(session, keysStage(sink), stagedKeys(sink, keys), 's', 'kept') : undefined
}

/** Of rows that are staged, those of a piece. Their number is their last column. */
export function pieceOf({ from }: Pick<Rowset, 'from'>, types: readonly StageType[], piece: Piece): string {
  if (piece.whole) return from
  const number = `convert(int, s.c${types.length})`
  return `(select s.* from ${from} where ${number} >= ${piece.from} and ${number} < ${piece.to}) s`
}

export async function counted(session: Session, sql: string, parameters: SqlParameters = {}): Promise<number> {
  const rows = await session.query(`${sql};\nselect @@rowcount`, parameters)
  return Number(rows.at(-1)?.[0] ?? 0)
}

/** Staged rows end in the key's spaces and their number within the batch. */
export function upsertStage({ columns }: SinkTable): StageType[] {
  return [...columns.map(({ item }) => stageType(item)), 'nvarchar(4000)', 'nvarchar(4000)']
}

export function stagedUpserts(sink: SinkTable, { change, upserts }: PreparedBatch): StageRow[] {
  return upserts.map((row, n) => [
    ...sink.columns.map(({ item }, i) => stageValue(item, change.columns[i]![row]!)),
    spacesOf(sink.columns, keyAt(sink, change, row)),
    String(n),
  ])
}

export function keysStage({ columns }: Pick<SinkTable, 'columns'>): StageType[] {
  return [...keyColumns(columns).map(() => 'nvarchar(4000)' as const), 'nvarchar(4000)', 'nvarchar(4000)']
}

export function stagedKeys({ columns }: Pick<SinkTable, 'columns'>, keys: readonly Row[]): StageRow[] {
  const items = keyColumns(columns)
  return keys.map((key, n) => [...key.map((value, i) => stageValue(items[i]!.item, value)), spacesOf(columns, key), String(n)])
}
