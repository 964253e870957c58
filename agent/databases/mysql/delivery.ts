/** Delivery into MySQL and MariaDB: what only these servers do with delivered tables. The rest is the bookkeeper's. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { ArrivedBatch, Change, Part, Reading, SinkTable } from '../../database.ts'
import type { PreparedBatch } from '../bookkeeping/batch.ts'
import { prepareBatch, prepareLines } from '../bookkeeping/batch.ts'
import { lineForms } from '../bookkeeping/lines.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import type { BatchWriter, EndedColumn, Shape, SinkEngine, Target } from '../bookkeeping/sink-engine.ts'
import { bookSession, dialect, hasBooks, makeBooks } from './books.ts'
import { readTable, unfit } from './catalog.ts'
import { errorNumber, isConflict, isContention, type Session } from './connection.ts'
import { MysqlReading } from './reading.ts'
import { removeSome } from './removal.ts'
import { shapeOf } from './schema-drift.ts'
import { dropColumns, followShadow, partTable, replaceRows } from './shadow.ts'
import { followSchema, provideTable, wasDelivered } from './shape.ts'
import { deliveredTable, deliveryFault, quoteName, quoteTable, quoteText, sourceColumn, type ApplyTable } from './sql.ts'
import { MysqlWriter, Stages } from './writing.ts'

const lineStyle = { lengths: false, digits: true, zoneless: true }
const nothing = new Uint8Array(0)

export class MysqlSinks implements SinkEngine<ApplyTable> {
  readonly session
  readonly dialect = dialect
  readonly transactionalDdl = false
  readonly #session: Session
  readonly #stages: Stages

  constructor(session: Session) {
    this.#session = session
    this.session = bookSession(session)
    this.#stages = new Stages(session)
  }

  makeBooks(): Promise<void> {
    return makeBooks(this.#session)
  }

  hasBooks(): Promise<boolean> {
    return hasBooks(this.#session)
  }

  partTable(sink: Pick<SinkTable, 'table' | 'route'>, part: Part): string {
    return partTable(this.#session, sink, part)
  }

  async identity(table: string): Promise<string | undefined> {
    const found = await readTable(this.#session, table)
    if (!found) return undefined
    const name = `${found.database}.${found.table}`
    // On some systems names in another case are the same.
    return Number((await this.#session.rows('select @@lower_case_table_names'))[0]![0]) === 0 ? name : name.toLowerCase()
  }

  async wasDelivered(table: string): Promise<boolean> {
    const found = await readTable(this.#session, table)
    return found !== undefined && wasDelivered(found)
  }

  follow(sink: SinkTable, changed: boolean): Promise<void> {
    return followSchema(this.#session, sink, changed)
  }

  provide(sink: SinkTable, part: Part): Promise<ApplyTable> {
    return provideTable(this.#session, sink, this.partTable(sink, part))
  }

  async shapeOf(sink: SinkTable, part: Part): Promise<Shape> {
    return shapeOf(this.#session, sink, this.partTable(sink, part))
  }

  async drop(table: string): Promise<void> {
    await this.#session.run(`drop table if exists ${quoteTable(table)}`)
  }

  async makeShadow(sink: SinkTable): Promise<void> {
    await this.#session.run(deliveredTable({ ...sink, table: this.partTable(sink, 'shadow') }, this.#session.server))
  }

  async followShadow(sink: SinkTable, live: StoredState): Promise<ApplyTable> {
    await followShadow(this.#session, sink, live)
    return this.provide(sink, 'live')
  }

  async empty(sink: SinkTable, columns: readonly string[]): Promise<void> {
    const nulls = columns.map((column) => `${quoteName(column)} = null`).join(', ')
    await this.#session.run(`update ${quoteTable(sink.table)} set ${nulls} where ${sourceColumn} = ${quoteText(sink.source)}`)
  }

  replaceRows(sink: SinkTable, table: ApplyTable, shadow: Parameters<SinkEngine['replaceRows']>[2]): Promise<number> {
    return replaceRows(this.#session, sink, table, quoteTable(this.partTable(sink, 'shadow')), shadow)
  }

  /** Columns of a former key lose their NOT NULL with it. */
  async emptiable(sink: SinkTable, ended: readonly EndedColumn[], { keys }: StoredState): Promise<EndedColumn[]> {
    const live = await readTable(this.#session, sink.table)
    return ended.filter(({ id, column }) => {
      const there = live?.columns.find((one) => one.column.toLowerCase() === column.toLowerCase())
      return there && (there.nullable || keys?.includes(id))
    })
  }

  dropColumns(sink: SinkTable, columns: readonly string[]): Promise<void> {
    return dropColumns(this.#session, sink, columns)
  }

  /** Other texts the server checks itself. */
  prepare(sink: SinkTable, change: Change): PreparedBatch {
    return prepareBatch(sink, change, (item) => (item.type === 'text' && !item.key ? undefined : (value) => deliveryFault(item, value)))
  }

  prepareBlocks(sink: SinkTable, table: ApplyTable, arrived: ArrivedBatch): PreparedBatch | undefined {
    if (!this.#stages.serves(table, arrived.change.rows)) return undefined
    const forms = lineForms(sink.columns, lineStyle)
    return forms && prepareLines(sink, arrived, forms, nothing)
  }

  async writer(target: Target<ApplyTable>, batch: PreparedBatch): Promise<BatchWriter> {
    return new MysqlWriter(this.#session, target, batch, await this.#stages.fill(target, batch))
  }

  removeSome(table: string, source: string, limit: number, past?: number): Promise<number> {
    return removeSome(this.#session, table, source, limit, past)
  }

  reading(): Reading {
    return new MysqlReading(this.#session)
  }

  unfit(sink: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
    return unfit(sink, reason, cause)
  }

  tableError(sink: SinkTable, error: unknown): unknown {
    return errorNumber(error) === undefined || error instanceof QianzhiError ? error : unfit(sink, reasonOf(error), error)
  }

  isConflict(error: unknown): boolean {
    return isConflict(error)
  }

  isContention(error: unknown): boolean {
    return isContention(error)
  }
}
