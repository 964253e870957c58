/** Writing one batch's rows: the stage that is filled before the transaction, and the statements inside it. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { positionNumber, type Position } from '../../../protocol/position.ts'
import type { Change, Row, SinkTable } from '../../database.ts'
import { keyAt, type PreparedBatch } from '../bookkeeping/batch.ts'
import type { BatchWriter, Piece, Target, Written } from '../bookkeeping/sink-engine.ts'
import { isGuarded, isMissing, type Session } from './connection.ts'
import { addedValues, columnText, insert, keyIn, lineField, literal, names, quoteName, remove, upsert, type ApplyTable } from './sql.ts'

/** Below this many rows a statement with values is quicker than LOAD DATA and its stage. */
const loadFrom = 100
/** Rows and keys of one statement with values. */
const rowsAtOnce = { values: 500, keys: 1000, older: 5000 }

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

/** Temporary tables that LOAD DATA fills: Aria keeps no undo, and the stage is this connection's own. */
export class Stages {
  readonly #session: Session
  readonly #made = new WeakMap<ApplyTable, string>()
  #count = 0
  /** LOAD DATA LOCAL is often switched off, temporary tables are a right of their own: without them rows go as values. */
  #usable: boolean

  constructor(session: Session) {
    this.#session = session
    this.#usable = session.server.localInfile
  }

  /** Whether so many rows go by a stage. */
  serves(table: ApplyTable, rows: number): boolean {
    return this.#usable && table.staged && rows >= loadFrom
  }

  /** The filled stage, or undefined where the rows must go as values. Outside of transactions: TRUNCATE commits. */
  async fill({ sink, open: { table } }: Target<ApplyTable>, batch: PreparedBatch): Promise<string | undefined> {
    const { change, upserts, lines } = batch
    if (!this.serves(table, upserts.length)) return undefined
    try {
      const stage = await this.#stage(table)
      return (await this.#load(stage, sink, lines?.bytes ?? loadLines(sink, change, upserts))) ? stage : undefined
    } catch (error) {
      if (error instanceof QianzhiError && error.code === 'QZ-DB-UNREACHABLE') throw error
      if (isMissing(error)) throw error
      this.#usable = false
      return undefined
    }
  }

  /** A table that was altered was looked at anew: it gets another stage. */
  async #stage(table: ApplyTable): Promise<string> {
    const known = this.#made.get(table)
    if (known) return known
    const stage = quoteName(`qz_stage_${this.#count++}`)
    const engine = this.#session.server.mariadb ? 'Aria' : 'InnoDB'
    const columns = names(table.columns.map(({ column }) => column))
    await this.#session.run(`create temporary table ${stage} engine=${engine} select ${columns} from ${table.name} limit 0`)
    this.#made.set(table, stage)
    return stage
  }

  /** False where a value did not go in as it is: LOAD DATA only warns. */
  async #load(stage: string, sink: SinkTable, lines: Buffer): Promise<boolean> {
    const into = sink.columns.map(({ item, column }, i) => (item.type === 'binary' ? `@v${i}` : quoteName(column)))
    const set = sink.columns.flatMap(({ item, column }, i) => (item.type === 'binary' ? [`${quoteName(column)} = unhex(@v${i})`] : []))
    await this.#session.run(`truncate table ${stage}`)
    const loaded = await this.#session.load(
      `load data local infile 'batch' into table ${stage} character set utf8mb4 fields terminated by '\\t' escaped by '\\\\' lines terminated by '\\n' (${into.join(', ')})${set.length > 0 ? ` set ${set.join(', ')}` : ''}`,
      lines,
    )
    return loaded.warningStatus === 0
  }
}

/** Writes one batch within a transaction: all rows from the stage, parts of them as values. */
export class MysqlWriter implements BatchWriter {
  readonly #session: Session
  readonly #table: ApplyTable
  readonly #sink: SinkTable
  readonly #batch: PreparedBatch
  readonly #stage: string | undefined
  readonly #position: string
  readonly #texts = new Map<number, string>()

  constructor(session: Session, { sink, open }: Target<ApplyTable>, batch: PreparedBatch, stage: string | undefined) {
    this.#session = session
    this.#sink = sink
    this.#table = open.table
    this.#batch = batch
    this.#stage = stage
    this.#position = positionNumber(batch.change.to)
  }

  async write({ op, from, to, whole }: Piece): Promise<Written> {
    const rows = this.#batch[op].slice(from, to)
    if (op === 'deletes') return { rows: await this.#delete(rows) }
    if (!whole || !this.#stage) return this.#insert(rows)
    const written = names(this.#table.columns.map(({ column }) => column))
    await this.#session.run(upsert(this.#table, `select ${written}, ${addedValues(this.#table, this.#position)} from ${this.#stage}`))
    return { rows: rows.length }
  }

  /** A row that no packet holds is refused here: the server would end the connection. */
  async #insert(rows: readonly number[]): Promise<Written> {
    const large = rows.filter((row) => this.#text(row).length * 3 > this.#session.server.maxPacket)
    const fitting = large.length === 0 ? rows : rows.filter((row) => !large.includes(row))
    for (const part of this.#parts(fitting))
      await this.#upsert(`values ${part.map((row) => this.#text(row)).join(', ')}`, part.length === 1)
    const error: LocalizedText = { zh: '该行超过 max_allowed_packet', en: 'the row is larger than max_allowed_packet' }
    return { rows: fitting.length, refused: large.map((row) => ({ row, error, keep: false })) }
  }

  /** Of a single row the server then says itself which other one is in its way. */
  async #upsert(rows: string, single: boolean): Promise<void> {
    try {
      await this.#session.run(upsert(this.#table, rows))
    } catch (error) {
      if (single && isGuarded(error)) await this.#session.run(insert(this.#table, rows))
      throw error
    }
  }

  *#parts(rows: readonly number[]): Generator<number[]> {
    const most = Math.min(1 << 20, this.#session.server.maxPacket >> 2)
    let part: number[] = []
    let size = 0
    for (const row of rows) {
      const { length } = this.#text(row)
      if (part.length > 0 && (part.length >= rowsAtOnce.values || size + length > most)) {
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
    const values = this.#table.columns.map(({ item }, i) => literal(item, this.#batch.change.columns[i]![row]!))
    const text = `(${values.join(', ')}, ${addedValues(this.#table, this.#position)})`
    this.#texts.set(row, text)
    return text
  }

  async #delete(rows: readonly number[]): Promise<number> {
    let deleted = 0
    for (let at = 0; at < rows.length; at += rowsAtOnce.keys) {
      const keys = rows.slice(at, at + rowsAtOnce.keys).map((row) => keyAt(this.#sink, this.#batch.change, row))
      deleted += (await this.#session.run(remove(this.#table, keysCondition(this.#table, keys), this.#position))).affectedRows
    }
    return deleted
  }

  async removeOlder(began: Position, kept: readonly Row[]): Promise<number> {
    const spared = kept.length > 0 ? ` and not (${keysCondition(this.#table, kept)})` : ''
    const statement = remove(
      this.#table,
      `${quoteName('qz_position')} < ${positionNumber(began)}${spared}`,
      this.#position,
      rowsAtOnce.older,
    )
    for (let deleted = 0; ;) {
      const { affectedRows } = await this.#session.run(statement)
      deleted += affectedRows
      if (affectedRows < rowsAtOnce.older) return deleted
    }
  }
}

/** By the index, and byte by byte: a table of the receiver's own may compare texts without case. */
export function keysCondition({ columns }: Pick<ApplyTable, 'columns'>, keys: readonly Row[], prefix = ''): string {
  const key = columns.filter(({ item }) => item.key)
  const name = (column: string) => `${prefix}${quoteName(column)}`
  const literals = keys.map((values) => key.map(({ item }, i) => literal(item, values[i]!)))
  // A character that the column's own set lacks would be refused; as another one it meets no row by its bytes.
  const byIndex = keyIn(
    key.map(({ column }) => name(column)),
    literals.map((values) => values.map((text, i) => (key[i]!.item.type === 'text' ? columnText(text, key[i]!) : text))),
  )
  if (!key.some(({ item }) => item.type === 'text')) return byIndex
  const exact = key.map(({ item, column }) =>
    item.type === 'text' ? `cast(convert(${name(column)} using utf8mb4) as binary)` : name(column),
  )
  return `${byIndex} and ${keyIn(exact, literals)}`
}
