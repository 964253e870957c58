/** Writing one batch's rows: what is prepared without the database, and the statements inside the transaction. */
import { createHash } from 'node:crypto'
import type { Op } from '../../../protocol/batch.ts'
import type { ErrorCode } from '../../../protocol/errors.ts'
import { reasonOf } from '../../../protocol/errors.ts'
import { positionNumber } from '../../../protocol/position.ts'
import { addedValues, deliveryFault, keyIn, lineField, literal, names, quoteName, remove, upsert, type ApplyTable } from './sql.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Change, Prepared, Row, SinkTable } from '../../database.ts'
import { isRowError, type Session } from './connection.ts'

/** A row set aside: its key and why. */
export interface Aside {
  key: Row
  code: ErrorCode
  reason: string
  /** Values by item of a row that the database refused: it may be tried again. */
  kept?: Record<string, Value>
}

export interface PreparedRows extends Prepared {
  /** Row numbers; of a key that comes twice only the last. */
  upserts: readonly number[]
  deletes: readonly number[]
  aside: readonly Aside[]
  /** All keys that the batch touches. */
  keys: readonly Row[]
  /** Lines for LOAD DATA where the batch is worth it. */
  lines?: Buffer
}

/** Below this many rows a statement with values is quicker than LOAD DATA and its stage. */
const loadFrom = 100

export function prepareRows(sink: SinkTable, change: Change): PreparedRows {
  const faults = columnFaults(sink, change)
  const last = lastOfEachKey(sink, change)
  const upserts: number[] = []
  const deletes: number[] = []
  const aside: Aside[] = []
  for (const [row, key] of last) {
    const op: Op = change.ops?.[row] ?? 'u'
    const fault = faults.get(row)
    if (op === 'd') deletes.push(row)
    else if (op !== 'u') aside.push({ key, code: op.slice(2) as ErrorCode, reason: '' })
    else if (fault) aside.push({ key, code: 'QZ-ROW-REFUSED', reason: fault })
    else upserts.push(row)
  }
  const lines = upserts.length >= loadFrom ? { lines: loadLines(sink, change, upserts) } : {}
  return { change, upserts, deletes, aside, keys: last.map(([, key]) => key), ...lines }
}

/** What the server would clip or round without an error is found here, column by column. */
function columnFaults({ columns }: SinkTable, change: Change): Map<number, string> {
  const faults = new Map<number, string>()
  for (const [i, { item }] of columns.entries()) {
    if (item.type === 'text' && !item.key) continue
    const values = change.columns[i]!
    for (let row = 0; row < change.rows; row++) {
      const fault = deliveryFault(item, values[row]!)
      if (fault && (item.key || !change.ops || change.ops[row] === 'u')) faults.set(row, `${item.id}: ${fault}`)
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

function loadLines({ columns }: SinkTable, change: Change, rows: readonly number[]): Buffer {
  const fields = columns.map(({ item }, i) => ({ values: change.columns[i]!, field: lineField(item) }))
  const lines: string[] = []
  for (const row of rows) {
    let line = ''
    for (let i = 0; i < fields.length; i++) {
      const value = fields[i]!.values[row]!
      if (i > 0) line += '\t'
      line += value === null ? '\\N' : fields[i]!.field(value)
    }
    lines.push(line)
  }
  return Buffer.from(`${lines.join('\n')}\n`)
}

/** Fills the stage outside the transaction (TRUNCATE commits). False where a value did not go in as it is: LOAD DATA only warns. */
export async function loadStage(session: Session, stage: string, sink: SinkTable, lines: Buffer): Promise<boolean> {
  const into = sink.columns.map(({ item, column }, i) => (item.type === 'binary' ? `@v${i}` : quoteName(column)))
  const set = sink.columns.flatMap(({ item, column }, i) => (item.type === 'binary' ? [`${quoteName(column)} = unhex(@v${i})`] : []))
  await session.run(`truncate table ${stage}`)
  const loaded = await session.load(
    `load data local infile 'batch' into table ${stage} character set utf8mb4 fields terminated by '\\t' escaped by '\\\\' lines terminated by '\\n' (${into.join(', ')})${set.length > 0 ? ` set ${set.join(', ')}` : ''}`,
    lines,
  )
  return loaded.warningStatus === 0
}

/** One sink's writer within a transaction. */
export class RowWriter {
  readonly #session: Session
  readonly #table: ApplyTable
  readonly #change: Change
  readonly #position: string
  readonly #texts = new Map<number, string>()

  constructor(session: Session, table: ApplyTable, change: Change) {
    this.#session = session
    this.#table = table
    this.#change = change
    this.#position = positionNumber(change.to)
  }

  /** From the stage in one statement; false where a row was refused: then nothing was written. */
  async fromStage(stage: string): Promise<boolean> {
    const written = names(this.#table.columns.map(({ column }) => column))
    return this.#attempt(upsert(this.#table, `select ${written}, ${addedValues(this.#table, this.#position)} from ${stage}`)).then(
      (error) => !error,
    )
  }

  /** As values; a refused row is found by halving. */
  async fromValues(rows: readonly number[]): Promise<Aside[]> {
    const aside: Aside[] = []
    for (const part of this.#parts(rows)) aside.push(...(await this.#halving(part)))
    return aside
  }

  async #halving(rows: readonly number[]): Promise<Aside[]> {
    if (rows.length === 1 && this.#text(rows[0]!).length * 3 > this.#session.server.maxPacket) {
      return [{ key: this.#key(rows[0]!), code: 'QZ-ROW-REFUSED', reason: 'the row is larger than max_allowed_packet' }]
    }
    const error = await this.#attempt(upsert(this.#table, `values ${rows.map((row) => this.#text(row)).join(', ')}`))
    if (!error) return []
    if (rows.length === 1)
      return [{ key: this.#key(rows[0]!), code: 'QZ-ROW-REFUSED', reason: reasonOf(error), kept: this.#values(rows[0]!) }]
    const middle = rows.length >> 1
    return [...(await this.#halving(rows.slice(0, middle))), ...(await this.#halving(rows.slice(middle)))]
  }

  /** Runs inside a savepoint; gives the error where the server refused a value, throws any other. */
  async #attempt(sql: string): Promise<unknown> {
    await this.#session.run('savepoint qz_rows')
    try {
      await this.#session.run(sql)
      return undefined
    } catch (error) {
      if (!isRowError(error)) throw error
      await this.#session.run('rollback to savepoint qz_rows')
      return error
    }
  }

  *#parts(rows: readonly number[]): Generator<number[]> {
    const most = Math.min(1 << 20, this.#session.server.maxPacket >> 2)
    let part: number[] = []
    let size = 0
    for (const row of rows) {
      const length = this.#text(row).length
      if (part.length > 0 && (part.length >= 500 || size + length > most)) {
        yield part
        part = []
        size = 0
      }
      part.push(row)
      size += length
    }
    if (part.length > 0) yield part
  }

  #text(row: number): string {
    const known = this.#texts.get(row)
    if (known !== undefined) return known
    const values = this.#table.columns.map(({ item }, i) => literal(item, this.#change.columns[i]![row]!))
    const text = `(${values.join(', ')}, ${addedValues(this.#table, this.#position)})`
    this.#texts.set(row, text)
    return text
  }

  #values(row: number): Record<string, Value> {
    return Object.fromEntries(this.#table.columns.map(({ item }, i) => [item.id, this.#change.columns[i]![row]!]))
  }

  #key(row: number): Row {
    return this.#table.columns.flatMap(({ item }, i) => (item.key ? [this.#change.columns[i]![row]!] : []))
  }

  async deleteKeys(rows: readonly number[]): Promise<number> {
    let deleted = 0
    for (let at = 0; at < rows.length; at += 1000) {
      const condition = keysCondition(
        this.#table,
        rows.slice(at, at + 1000).map((row) => this.#key(row)),
      )
      deleted += (await this.#session.run(remove(this.#table, condition, this.#position))).affectedRows
    }
    return deleted
  }

  /** At a snapshot's end: this source's rows that it did not bring, quarantined keys excepted. */
  async deleteOlder(began: string, kept: readonly Row[]): Promise<number> {
    const condition = `${quoteName('qz_position')} < ${began}${kept.length > 0 ? ` and not (${keysCondition(this.#table, kept)})` : ''}`
    let deleted = 0
    for (;;) {
      const { affectedRows } = await this.#session.run(remove(this.#table, condition, this.#position, 5000))
      deleted += affectedRows
      if (affectedRows < 5000) return deleted
    }
  }
}

/** By the index, and byte by byte: a table of the receiver's own may compare texts without case. */
export function keysCondition({ columns }: Pick<ApplyTable, 'columns'>, keys: readonly Row[], prefix = ''): string {
  const key = columns.filter(({ item }) => item.key)
  const name = (column: string) => `${prefix}${quoteName(column)}`
  const literals = keys.map((values) => key.map(({ item }, i) => literal(item, values[i]!)))
  const byIndex = keyIn(
    key.map(({ column }) => name(column)),
    literals,
  )
  if (!key.some(({ item }) => item.type === 'text')) return byIndex
  const exact = key.map(({ item, column }) =>
    item.type === 'text' ? `cast(convert(${name(column)} using utf8mb4) as binary)` : name(column),
  )
  return `${byIndex} and ${keyIn(exact, literals)}`
}

export function keyDigest(key: Row): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}
