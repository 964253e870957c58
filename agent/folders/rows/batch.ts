/** A batch made ready for a route's store: one row for each key (the last), rows that no file of this kind can hold set aside. */
import { isErrorCode } from '../../../protocol/errors.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Change, MappedColumn, Prepared, Row, RowFault, SinkTable } from '../../database.ts'
import { keyOrder } from './key-order.ts'
import { valueChecker } from '../formats/write-file.ts'

/** What is kept of a row that was set aside: `d` for a delete, of which only the key counts. */
export type KeptRow = readonly ['u' | 'd', ...Value[]]

export interface RowChange {
  key: Row
  op: 'u' | 'd'
  /** Values as they are stored; of a delete only those of the key. */
  row: Row
}

export interface RefusedRow extends RowFault {
  /** Undefined where the provider could not send it: there is nothing to try again. */
  kept?: KeptRow
}

export interface OrderedChange extends RowChange {
  /** Of the key. */
  order: Buffer
  /** The row as JSON. */
  text: string
}

export interface RowBatch extends Prepared {
  changes: readonly OrderedChange[]
  faults: readonly RefusedRow[]
}

/**
 * Places of the columns in a stored row, which has them in the order of their items' ids: two versions of a resource may name the same
 * items in another order.
 */
export function storedOrder(columns: readonly MappedColumn[]): number[] {
  return columns.map((_, i) => i).toSorted((a, b) => (columns[a]!.item.id < columns[b]!.item.id ? -1 : 1))
}

export class RowBatches {
  readonly #sink: SinkTable
  readonly #keys: readonly number[]
  readonly #order: readonly number[]
  readonly #check: ReturnType<typeof valueChecker>

  constructor(sink: SinkTable) {
    this.#sink = sink
    this.#keys = sink.columns.flatMap(({ item }, i) => (item.key ? [i] : []))
    this.#order = storedOrder(sink.columns)
    this.#check = valueChecker(sink.files!)
  }

  prepare(change: Change): RowBatch {
    const last = new Map<string, { order: Buffer; found: RowChange | RefusedRow }>()
    for (let i = 0; i < change.rows; i++) {
      const values = change.columns.map((column) => column[i]!)
      const key = this.#keys.map((place) => values[place]!)
      const order = keyOrder(key)
      last.set(order.toString('latin1'), { order, found: this.#examine(key, change.ops?.[i] ?? 'u', values) })
    }
    const batch: { change: Change; changes: OrderedChange[]; faults: RefusedRow[] } = { change, changes: [], faults: [] }
    for (const { order, found } of last.values()) {
      if ('code' in found) batch.faults.push(found)
      else batch.changes.push({ ...found, order, text: JSON.stringify(found.row) })
    }
    return batch
  }

  /** A row that was set aside, as it would be taken now. */
  again(key: Row, [op, ...row]: KeptRow): RowChange | RefusedRow {
    const values: Value[] = []
    this.#order.forEach((place, at) => (values[place] = row[at]!))
    return this.#examine(key, op, values)
  }

  /** Of a stored row what is left of it when it is deleted. */
  keyAlone(row: Row): Row {
    return row.map((value, at) => (this.#sink.columns[this.#order[at]!]!.item.key ? value : null))
  }

  #examine(key: Row, op: string, values: readonly Value[]): RowChange | RefusedRow {
    if (op !== 'u' && op !== 'd') {
      const code = op.slice(2)
      return { key, code: isErrorCode(code) ? code : 'QZ-ROW-VALUE' }
    }
    const { columns } = this.#sink
    const stored = this.#order.map((place) => values[place]!)
    const row = op === 'u' ? stored : this.keyAlone(stored)
    for (const [i, { item }] of columns.entries()) {
      if (op === 'd' && !item.key) continue
      const reason = item.key && values[i] === null ? { zh: '主键为空', en: 'a key item is empty' } : this.#check(values[i]!, item.type)
      if (reason !== undefined) return { key, code: 'QZ-ROW-REFUSED', item: item.id, reason, kept: [op, ...row] }
    }
    return { key, op, row }
  }
}
