/** Writing one batch's rows: what is prepared without the database, and the statements inside the transaction. */
import { createHash } from 'node:crypto'
import type { Op } from '../../../protocol/batch.ts'
import { reasonOf, type ErrorCode } from '../../../protocol/errors.ts'
import { positionNumber } from '../../../protocol/position.ts'
import { bindText, deliveryFault, quoteName, fromText } from './sql.ts'
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
import type { Value } from '../../../protocol/value.ts'
import type { Change, Prepared, Row, SinkTable } from '../../database.ts'
import type { BindKind, RawValue, Session } from './connection.ts'
import { errorNumber, isRowError } from './errors.ts'
import { isNational } from './types.ts'

/** A row set aside: its key and why. */
export interface Aside {
  key: Row
  code: ErrorCode
  reason: string
  /** Where the server refused it: values by item, for another try. */
  kept?: Record<string, Value>
}

export interface PreparedRows extends Prepared {
  /** Row numbers; of a key that comes twice only the last. */
  upserts: readonly number[]
  deletes: readonly number[]
  aside: readonly Aside[]
  /** All keys that the batch touches. */
  keys: readonly Row[]
}

export function prepareRows(sink: SinkTable, change: Change): PreparedRows {
  const faults = columnFaults(sink, change)
  const last = lastOfEachKey(sink, change)
  const upserts: number[] = []
  const deletes: number[] = []
  const aside: Aside[] = []
  for (const [row, key] of last) {
    const op: Op = change.ops?.[row] ?? 'u'
    const fault = faults.get(row)
    if (op !== 'u' && op !== 'd') aside.push({ key, code: op.slice(2) as ErrorCode, reason: '' })
    else if (fault) aside.push({ key, code: 'QZ-ROW-REFUSED', reason: fault })
    else if (op === 'd') deletes.push(row)
    else upserts.push(row)
  }
  return { change, upserts, deletes, aside, keys: last.map(([, key]) => key) }
}

/**
 * What the server would round or hold for null is found here, column by column. The delete of a key that cannot be written is set aside
 * only where the key is no value of its type: an empty one was never written.
 */
function columnFaults({ columns }: SinkTable, change: Change): Map<number, string> {
  const faults = new Map<number, string>()
  for (const [i, { item }] of columns.entries()) {
    const values = change.columns[i]!
    for (let row = 0; row < change.rows; row++) {
      const upsert = !change.ops || change.ops[row] === 'u'
      if (!upsert && (!item.key || values[row] === '')) continue
      const fault = deliveryFault(item, values[row]!)
      if (fault) faults.set(row, `${item.id}: ${fault}`)
    }
  }
  return faults
}

function lastOfEachKey({ columns }: SinkTable, change: Change): [number, Row][] {
  const keys = columns.flatMap(({ item }, i) => (item.key ? [change.columns[i]!] : []))
  const last = new Map<string, [number, Row]>()
  for (let row = 0; row < change.rows; row++) {
    const key = keys.map((values) => values[row]!)
    last.set(key.length === 1 ? String(key[0]) : JSON.stringify(key), [row, key])
  }
  return [...last.values()]
}

/** Rows and bytes of one array statement. A client library allots the widest value for every row: a row with a longer one goes alone. */
const most = { rows: 1000, bytes: 4 << 20, value: 32_767 }

/** One sink's writer within a transaction. */
export class RowWriter {
  readonly #session: Session
  readonly #table: ApplyTable
  readonly #change: Change
  readonly #position: string

  constructor(session: Session, table: ApplyTable, change: Change) {
    this.#session = session
    this.#table = table
    this.#change = change
    this.#position = positionNumber(change.to)
  }

  /**
   * Rows are updated, and those that are not there inserted: large values can then be bound as they are, where MERGE could not take them.
   * A refused row is set aside alone.
   */
  async upsert(rows: readonly number[]): Promise<Aside[]> {
    const aside: Aside[] = []
    for (const [empty, alike] of this.#byEmptyBlobs(rows)) {
      for (const part of this.#parts(alike)) aside.push(...(await this.#attempt(part, empty)))
    }
    return aside
  }

  /** Where the array as a whole is refused because of a row, that row is found by halving. */
  async #attempt(rows: readonly number[], empty: readonly number[]): Promise<Aside[]> {
    await this.#session.run('savepoint qz_rows')
    try {
      return await (this.#session.server.counts ? this.#updateFirst(rows, empty) : this.#insertFirst(rows, empty))
    } catch (error) {
      if (!isRowError(error)) throw error
      await this.#session.run('rollback to savepoint qz_rows')
      if (rows.length === 1) return [this.#refused(rows[0]!, error)]
    }
    const middle = rows.length >> 1
    return [...(await this.#attempt(rows.slice(0, middle), empty)), ...(await this.#attempt(rows.slice(middle), empty))]
  }

  async #updateFirst(rows: readonly number[], empty: readonly number[]): Promise<Aside[]> {
    const updated = await this.#run(updateRow(this.#table, empty), rows, true)
    const aside = updated.refused.map(({ row, error }) => this.#refused(row, error))
    const failed = new Set(updated.refused.map(({ row }) => row))
    const missing = rows.filter((row, i) => !failed.has(row) && !(updated.counts[i]! > 0))
    return [...aside, ...(await this.#insertFirst(missing, empty))]
  }

  /** A row that is there already is updated by itself: how many rows it affected tells whether it was the key that was taken. */
  async #insertFirst(rows: readonly number[], empty: readonly number[]): Promise<Aside[]> {
    const aside: Aside[] = []
    for (const { row, error } of (await this.#run(insertRow(this.#table, empty), rows)).refused) {
      if (errorNumber(error) !== 1) aside.push(this.#refused(row, error))
      else {
        const { affected, refused } = await this.#run(updateRow(this.#table, empty), [row])
        if (affected === 0) aside.push(this.#refused(row, refused[0]?.error ?? error))
      }
    }
    return aside
  }

  #refused(row: number, error: unknown): Aside {
    const kept = Object.fromEntries(this.#table.columns.map(({ item }, i) => [item.id, this.#change.columns[i]![row]!]))
    return { key: this.#key(row), code: 'QZ-ROW-REFUSED', reason: reasonOf(error), kept }
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

  #key(row: number): Row {
    return this.#table.columns.flatMap(({ item }, i) => (item.key ? [this.#change.columns[i]![row]!] : []))
  }

  async deleteKeys(rows: readonly number[]): Promise<number> {
    let deleted = 0
    for (const part of this.#parts(rows)) {
      const { affected, refused } = await this.#run(removeRow(this.#table), part)
      if (refused[0]) throw refused[0].error
      deleted += affected
    }
    return deleted
  }

  /** At a snapshot's end: this source's rows that it did not bring, quarantined keys excepted. */
  async deleteOlder(began: string, kept: readonly Row[]): Promise<number> {
    const values = { position: this.#position, source: this.#table.source, began }
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

export function keyDigest(key: Row): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}
