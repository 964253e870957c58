/**
 * Rows in whose way others stood go in after them: a row that wants a unique value waits for the one that has it, a child for its parent, a
 * delete for the rows that refer to it. Those that wait for one another in a ring (a swap) go together: all let go of their unique values first
 * (parking.ts), deletes go, and each then gets its own. They may be of several batches: of two rows that swap values each may come alone.
 */
import type { Row, SinkTable } from '../../database.ts'
import { keyHash, madeAtOnce, type PreparedBatch } from './batch.ts'
import { lettingGo, parkedChange, parkings, refersTo } from './parking.ts'
import { ended, settle, wholePieces, type RefusedPiece, type Work } from './pieces.ts'
import type { PieceWriter } from './piece-writer.ts'
import { RowsRefused, type Counts, type Piece, type SinkEngine, type TableFacts, type Target, type Written } from './sink-engine.ts'
import { chunks } from './statement.ts'
import { inOrder, waits } from './waits.ts'

interface Waiting<Batch extends PreparedBatch> {
  work: Work<Batch>
  one: RefusedPiece
  again: Piece
  /** The row as the table has it. */
  now?: Row | undefined
}

/** Rows whose values now are asked for together. */
const keysAtOnce = 1_000

export class WaitingRows<Table extends TableFacts, Batch extends PreparedBatch> {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #pieces: PieceWriter<Table, Batch>

  constructor(engine: SinkEngine<Table, Batch>, pieces: PieceWriter<Table, Batch>) {
    this.#engine = engine
    this.#pieces = pieces
  }

  /** Ends when nothing more goes in. */
  async write(target: Target<Table>, works: readonly Work<Batch>[], counts: Counts): Promise<void> {
    for (let moved = true; moved;) {
      moved = false
      const waiting = works.flatMap((work) => work.refused.flatMap((one) => (one.again ? [{ work, one, again: one.again }] : [])))
      for (const group of await this.#groups(target, waiting)) {
        const single = group.length === 1 && (await this.#single(target, group[0]!, counts))
        const gone = single || ((group.length > 1 || refersToItself(target.sink, group[0]!)) && (await this.#ring(target, group, counts)))
        moved ||= gone
      }
    }
  }

  /** In the order in which they can go; those that wait for one another together. */
  async #groups(target: Target<Table>, waiting: Waiting<Batch>[]): Promise<Waiting<Batch>[][]> {
    if (waiting.length === 0) return []
    const { sink } = target
    const keyPlaces = sink.columns.flatMap(({ item }, i) => (item.key ? [i] : []))
    const now = new Map<string, Row>()
    for (let at = 0; at < waiting.length; at += keysAtOnce) {
      const keys = waiting.slice(at, at + keysAtOnce).map(({ one }) => one.key)
      for (const row of (await this.#pieces.rowsNow(target, keys)) ?? []) now.set(keyHash(keyPlaces.map((i) => row[i]!)), row)
    }
    const rows = waiting.map((row) => {
      const { one, again, work } = row
      row.now = now.get(keyHash(one.key))
      return { key: one.key, wanted: again.op === 'upserts' ? valuesOf(work.batch, again) : undefined, now: row.now }
    })
    const contested = new Set(target.open.table.contested.map(({ item }) => item))
    const places = sink.columns.flatMap(({ item }, i) => (contested.has(item.id) ? [i] : []))
    return inOrder(waits(rows, places)).map((group) => group.map((i) => waiting[i]!))
  }

  async #single(target: Target<Table>, waiting: Waiting<Batch>, counts: Counts): Promise<boolean> {
    const outcome = await this.#attempt([waiting], () => this.#alone(target, waiting))
    if (!outcome || outcome.refused?.length) return false
    await this.#done(target, [{ waiting, written: outcome }], counts)
    return true
  }

  /** As a batch of its own: the writer of its batch may have been followed by others. */
  async #alone(target: Target<Table>, { work, again: { op, from } }: Waiting<Batch>): Promise<Written> {
    const { change } = work.batch
    const row = work.batch[op][from]!
    const columns = change.columns.map((values) => [values[row]!])
    const batch = this.#engine.prepare(target.sink, { from: null, to: change.to, rows: 1, columns, ops: [op === 'upserts' ? 'u' : 'd'] })
    const writer = await this.#engine.writer(target, batch)
    return this.#pieces.write(target, batch, writer, { op, from: 0, to: 1, whole: true })
  }

  /** Undefined where it is refused. Where that ends the transaction, these rows wait no longer. */
  async #attempt<T>(rows: readonly Waiting<Batch>[], work: () => Promise<T>): Promise<T | undefined> {
    const outcome = await this.#engine.session.attempt(work)
    if ('done' in outcome) return outcome.done
    if (!outcome.transactionEnded) return undefined
    for (const { one } of rows) delete one.again
    throw ended
  }

  async #done(target: Target<Table>, rows: readonly { waiting: Waiting<Batch>; written: Written }[], counts: Counts): Promise<void> {
    for (const { waiting, written } of rows) {
      settle(waiting.work, waiting.one)
      await this.#pieces.count(target, counts, waiting.work, waiting.again, written)
    }
  }

  /** Rows that cannot go in keep no others from it: they are left out, and the rest tried again. */
  async #ring(target: Target<Table>, ring: readonly Waiting<Batch>[], counts: Counts): Promise<boolean> {
    for (let left = ring; left.length > 0;) {
      let stuck: ReadonlySet<Waiting<Batch>> = new Set()
      const written = await this.#attempt(left, async () => {
        stuck = await this.#park(target, left)
        const parked = left.filter((one) => !stuck.has(one))
        const rows = [...parked.filter(({ again }) => again.op === 'deletes'), ...parked.filter(({ again }) => again.op === 'upserts')]
        const done = await this.#inTurn(rows, async (waiting) => {
          const outcome = await this.#attempt(left, () => this.#alone(target, waiting))
          return outcome && !outcome.refused?.length ? outcome : undefined
        })
        stuck = new Set(left.filter((one) => !done.has(one)))
        if (stuck.size > 0) throw new RowsRefused()
        return done
      })
      if (written) {
        await this.#done(
          target,
          Array.from(written, ([waiting, one]) => ({ waiting, written: one })),
          counts,
        )
        return true
      }
      if (stuck.size === 0) return false
      left = left.filter((one) => !stuck.has(one))
    }
    return false
  }

  /** Again and again while one of them goes, since they may stand in one another's way. */
  async #inTurn<T>(
    rows: readonly Waiting<Batch>[],
    work: (waiting: Waiting<Batch>) => Promise<T | undefined>,
  ): Promise<Map<Waiting<Batch>, T>> {
    const done = new Map<Waiting<Batch>, T>()
    for (let before = -1; before < done.size && done.size < rows.length;) {
      before = done.size
      for (const one of rows) {
        const outcome = done.has(one) ? undefined : await work(one)
        if (outcome !== undefined) done.set(one, outcome)
      }
    }
    return done
  }

  /** Gives those that cannot let go of their values. Rows that are to go let go of those that refer to others. */
  async #park(target: Target<Table>, ring: readonly Waiting<Batch>[]): Promise<Set<Waiting<Batch>>> {
    const { sink, open } = target
    const keys = new Set(ring.flatMap(({ one: { key } }) => (key.length === 1 ? key : [])))
    const ways = ({ work, again, now }: Waiting<Batch>): Iterable<Row> => {
      if (again.op === 'upserts') return parkings(sink, open.table.contested, valuesOf(work.batch, again), keys)
      return now && refersTo(sink, now, keys) ? [lettingGo(sink, now, keys)] : []
    }
    const rows = ring.flatMap((waiting) => {
      const [first] = ways(waiting)
      return first ? [{ waiting, first }] : []
    })
    const left = new Set(rows.map(({ waiting }) => waiting))
    for (const some of chunks(rows, madeAtOnce)) {
      if (await this.#attempt(ring, () => this.#write(target, some))) for (const { waiting } of some) left.delete(waiting)
    }
    const done = await this.#inTurn([...left], async (waiting) => {
      for (const first of ways(waiting)) if (await this.#attempt(ring, () => this.#write(target, [{ waiting, first }]))) return true
      return undefined
    })
    return new Set([...left].filter((one) => !done.has(one)))
  }

  /** At their own positions. */
  async #write(target: Target<Table>, rows: readonly { waiting: Waiting<Batch>; first: Row }[]): Promise<true> {
    for (const [{ change }, some] of Map.groupBy(rows, ({ waiting }) => waiting.work.batch)) {
      const parked = some.map(({ first }) => first)
      const batch = this.#engine.prepare(target.sink, parkedChange(target.sink, change.to, parked))
      const writer = await this.#engine.writer(target, batch)
      for (const piece of wholePieces(batch)) await writer.write(piece)
    }
    return true
  }
}

function valuesOf({ change, upserts }: PreparedBatch, { from }: Piece): Row {
  const row = upserts[from]!
  return change.columns.map((values) => values[row]!)
}

function refersToItself(sink: SinkTable, { one: { key }, now }: Waiting<PreparedBatch>): boolean {
  return now !== undefined && key.length === 1 && refersTo(sink, now, new Set(key))
}
