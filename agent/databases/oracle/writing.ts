/** Writing one batch's rows within a transaction. */
import { positionNumber, type Position } from '../../../protocol/position.ts'
import type { Change, Row, SinkTable } from '../../database.ts'
import { prepareBatch, type PreparedBatch } from '../bookkeeping/batch.ts'
import type { BatchWriter, Piece, RefusedRow, Target, Written } from '../bookkeeping/sink-engine.ts'
import type { BindKind, RawValue, Session } from './connection.ts'
import { errorNumber, isRowError } from './errors.ts'
import {
  insertRow,
  olderRows,
  removeAddress,
  removeOlder,
  removeRow,
  updateRow,
  type ApplyTable,
  type RowStatement,
  type Slot,
} from './sql-rows.ts'
import { bindText, deliveryFault, fromText, quoteName } from './sql.ts'
import { isNational } from './types.ts'

/**
 * The delete of a key that cannot be written is set aside only where the key is no value of its type: an empty one was never written.
 */
export function prepareRows(sink: SinkTable, change: Change): PreparedBatch {
  return prepareBatch(sink, change, (item) => (value, deleted) => (deleted && value === '' ? undefined : deliveryFault(item, value)))
}

/** Rows and bytes of one array statement. A client library allots the widest value for every row: a row with a longer one goes alone. */
const most = { rows: 1000, bytes: 4 << 20, value: 32_767 }

/** Rows are updated, and those that are not there inserted: large values can then be bound as they are, where MERGE could not take them. */
export class OracleWriter implements BatchWriter {
  readonly #session: Session
  readonly #table: ApplyTable
  readonly #batch: PreparedBatch
  readonly #change: Change
  readonly #position: string

  constructor(session: Session, { open }: Target<ApplyTable>, batch: PreparedBatch) {
    this.#session = session
    this.#table = open.table
    this.#batch = batch
    this.#change = batch.change
    this.#position = positionNumber(batch.change.to)
  }

  /** The server names the rows that it refuses; where the array as a whole is refused because of a row, it is thrown. */
  async write({ op, from, to }: Piece): Promise<Written> {
    const rows = this.#batch[op].slice(from, to)
    if (op === 'deletes') return this.#delete(rows)
    const refused: RefusedRow[] = []
    for (const [empty, alike] of this.#byEmptyBlobs(rows)) {
      for (const part of this.#parts(alike)) {
        const counts = this.#session.server.counts
        refused.push(...(await (counts ? this.#updateFirst(part, empty) : this.#insertFirst(part, empty))))
      }
    }
    return { rows: rows.length - refused.length, refused }
  }

  async #delete(rows: readonly number[]): Promise<Written> {
    const all: RefusedRow[] = []
    let deleted = 0
    for (const part of this.#parts(rows)) {
      const { affected, refused } = await this.#run(removeRow(this.#table), part)
      deleted += affected
      all.push(...refused)
    }
    return { rows: deleted, refused: all }
  }

  async #updateFirst(rows: readonly number[], empty: readonly number[]): Promise<RefusedRow[]> {
    const { refused, counts } = await this.#run(updateRow(this.#table, empty), rows, true)
    const failed = new Set(refused.map(({ row }) => row))
    const missing = rows.filter((row, i) => !failed.has(row) && !(counts[i]! > 0))
    return [...refused, ...(await this.#insertFirst(missing, empty))]
  }

  /** A row that is there already is updated by itself: how many rows it affected tells whether it was the key that was taken. */
  async #insertFirst(rows: readonly number[], empty: readonly number[]): Promise<RefusedRow[]> {
    const all: RefusedRow[] = []
    for (const { row, error } of (await this.#run(insertRow(this.#table, empty), rows)).refused) {
      if (errorNumber(error) !== 1) all.push({ row, error })
      else {
        const { affected, refused } = await this.#run(updateRow(this.#table, empty), [row])
        if (affected === 0) all.push({ row, error: refused[0]?.error ?? error })
      }
    }
    return all
  }

  async #run({ sql, slots }: RowStatement, rows: readonly number[], counted = false) {
    const values = rows.map((row) => slots.map((slot) => this.#value(slot, row)))
    const kinds = slots.map((slot) => this.#kind(slot))
    const { affected, counts, errors } = await this.#session.many(sql, values, kinds, counted)
    for (const { error } of errors) if (!isRowError(error)) throw this.#session.coded(error)
    return { affected, counts, refused: errors.map(({ offset, error }) => ({ row: rows[offset]!, error })) }
  }

  #value(slot: Slot, row: number): RawValue {
    if (slot === 'source') return this.#table.source
    if (slot === 'position') return this.#position
    const { kind, item } = this.#table.columns[slot]!
    return bindText(kind, item, this.#change.columns[slot]![row]!)
  }

  /** Where the database's character set lacks a character, a national bind makes an error of it. */
  #kind(slot: Slot): BindKind {
    if (typeof slot === 'string') return 'text'
    const { kind } = this.#table.columns[slot]!
    if (kind === 'blob') return 'bytes'
    const plain = kind === 'text' || kind === 'clob'
    return isNational(kind) || (plain && !this.#session.server.unicode) ? 'national' : 'text'
  }

  /** Rows by which of their binary values are empty: those are written into the statement, since an empty bind is null. */
  #byEmptyBlobs(rows: readonly number[]): [number[], number[]][] {
    const binary = this.#table.columns.flatMap(({ kind }, place) => (kind === 'blob' ? [place] : []))
    if (binary.length === 0) return [[[], [...rows]]]
    const groups = Map.groupBy(rows, (row) => JSON.stringify(binary.filter((place) => this.#change.columns[place]![row] === '')))
    return [...groups].map(([empty, alike]) => [JSON.parse(empty) as number[], alike])
  }

  *#parts(rows: readonly number[]): Generator<number[]> {
    let part: number[] = []
    let size = 0
    for (const row of rows) {
      const lengths = this.#change.columns.map((values) => 3 * (values[row]?.length ?? 0))
      const length = Math.max(...lengths) > most.value ? most.bytes : lengths.reduce((sum, one) => sum + one, 0)
      if (part.length > 0 && (part.length >= most.rows || size + length > most.bytes)) {
        yield part
        part = []
        size = 0
      }
      part.push(row)
      size += length
    }
    if (part.length > 0) yield part
  }

  async removeOlder(began: Position, kept: readonly Row[]): Promise<number> {
    const values = { position: this.#position, source: this.#table.source, began: positionNumber(began) }
    if (kept.length === 0) {
      const { sql, binds: wanted } = removeOlder(this.#table)
      const binds = this.#session.binds()
      for (const one of wanted) binds.code(values[one])
      return this.#session.run(sql, binds)
    }
    const { sql, binds: wanted } = olderRows(this.#table)
    const binds = this.#session.binds()
    for (const one of wanted) binds.code(values[one])
    const older = (await this.#session.rows(sql, binds)).map((row) => String(row[0]))
    return removeAddresses(this.#session, this.#table, this.#position, older, await keptAddresses(this.#session, this.#table, kept))
  }
}

/** Removes, or marks, rows by their addresses, some excepted. */
export async function removeAddresses(
  session: Session,
  table: ApplyTable,
  position: string,
  addresses: readonly string[],
  kept: ReadonlySet<string>,
): Promise<number> {
  const gone = addresses.filter((address) => !kept.has(address))
  const marks = table.deletes === 'mark'
  let removed = 0
  for (let at = 0; at < gone.length; at += most.rows) {
    const rows = gone.slice(at, at + most.rows).map((address) => (marks ? [position, address] : [address]))
    removed += await session.all(removeAddress(table), rows, marks ? ['text', 'text'] : ['text'])
  }
  return removed
}

const keysAtOnce = 50

/** Addresses of the rows of these keys. */
export async function keptAddresses(session: Session, table: ApplyTable, keys: readonly Row[]): Promise<Set<string>> {
  const columns = table.columns.filter(({ item }) => item.key)
  const possible = keys.filter((key) => key.every((value, i) => value !== null && !deliveryFault(columns[i]!.item, value)))
  const found = new Set<string>()
  for (let at = 0; at < possible.length; at += keysAtOnce) {
    const binds = session.binds()
    const alternatives = possible.slice(at, at + keysAtOnce).map((key) => {
      const same = columns.map(({ item, column, kind }, i) => {
        const bind = binds.typed(bindText(kind, item, key[i]!), isNational(kind))
        return `${quoteName(column)} = ${fromText(kind, bind)}`
      })
      return `(${same.join(' and ')})`
    })
    const rows = await session.rows(`select rowidtochar(rowid) from ${table.name} where ${alternatives.join(' or ')}`, binds)
    for (const [address] of rows) found.add(String(address))
  }
  return found
}
