/** Delivery into PostgreSQL: what only this server does with delivered tables. The rest is the bookkeeper's. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { ArrivedBatch, Change, Part, Reading, SinkTable } from '../../database.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import type { BatchWriter, Counts, EndedColumn, Shape, SinkEngine, Target } from '../bookkeeping/sink-engine.ts'
import type { Sql } from '../bookkeeping/statement.ts'
import { prepareBlocks, prepareRows, type CopyBatch } from './batch.ts'
import { bookSession, dialect, hasBooks, makeBooks } from './books.ts'
import { isOfStatement, sqlState, withTable, type Connection } from './connection.ts'
import { PostgresReading } from './reading.ts'
import { shapeOf } from './schema-drift.ts'
import { followShadow, removeSome, replaceRows } from './shadow.ts'
import { dropColumns, followSchema, provideTable, wasDelivered } from './shape.ts'
import { deliveredTable, quoteName, quoteTable, sourceColumn, type ApplyTable } from './sql.ts'
import { findTable, refuse, shadowTable } from './table.ts'
import { PostgresWriter, Stages, writeAtOnce } from './writing.ts'

export class PostgresSinks implements SinkEngine<ApplyTable, CopyBatch> {
  readonly session
  readonly dialect = dialect
  readonly transactionalDdl = true
  readonly #connection: Connection
  readonly #stages: Stages

  constructor(connection: Connection) {
    this.#connection = connection
    this.session = bookSession(connection)
    this.#stages = new Stages(connection)
  }

  makeBooks(): Promise<void> {
    return makeBooks(this.#connection)
  }

  hasBooks(): Promise<boolean> {
    return hasBooks(this.#connection)
  }

  partTable({ table, route }: Pick<SinkTable, 'table' | 'route'>, part: Part): string {
    return part === 'live' ? table : shadowTable(route)
  }

  async identity(table: string): Promise<string | undefined> {
    return (await findTable(this.#connection, table))?.name
  }

  async wasDelivered(table: string): Promise<boolean> {
    const found = await findTable(this.#connection, table)
    return found !== undefined && wasDelivered(found)
  }

  async follow(sink: SinkTable, changed: boolean): Promise<void> {
    await followSchema(this.#connection, sink, (await findTable(this.#connection, sink.table))!, changed)
  }

  provide(sink: SinkTable, part: Part): Promise<ApplyTable> {
    return provideTable(this.#connection, sink, this.partTable(sink, part))
  }

  shapeOf(sink: SinkTable, part: Part): Promise<Shape> {
    return shapeOf(this.#connection, sink, this.partTable(sink, part))
  }

  async drop(table: string): Promise<void> {
    await this.#connection.query(`drop table if exists ${quoteTable(table)}`)
  }

  async makeShadow(sink: SinkTable): Promise<void> {
    const table = this.partTable(sink, 'shadow')
    for (const statement of deliveredTable({ ...sink, table })) await this.#connection.query(statement)
  }

  async #holdsOthers(sink: SinkTable): Promise<boolean> {
    const others = `select exists (select from ${quoteTable(sink.table)} where ${sourceColumn} is distinct from $1)`
    const [row] = await this.#connection.query(others, [sink.source])
    return row![0] === 't'
  }

  /** Where columns are added, lengthened or dropped, readers wait for the end of the transaction. */
  async followShadow(sink: SinkTable, live: StoredState): Promise<ApplyTable> {
    return followShadow(this.#connection, sink, live, () => this.#holdsOthers(sink))
  }

  async empty(sink: SinkTable, columns: readonly string[]): Promise<void> {
    const nulls = columns.map((column) => `${quoteName(column)} = null`).join(', ')
    await this.#connection.query(`update ${quoteTable(sink.table)} set ${nulls} where ${sourceColumn} = $1`, [sink.source])
  }

  replaceRows(sink: SinkTable, table: ApplyTable, shadow: Parameters<SinkEngine['replaceRows']>[2]): Promise<number> {
    return replaceRows(this.#connection, sink, table, shadow)
  }

  /** Columns of a former key lose their NOT NULL with it. */
  async emptiable(sink: SinkTable, ended: readonly EndedColumn[], { keys }: StoredState): Promise<EndedColumn[]> {
    const columns = (await findTable(this.#connection, sink.table))?.columns
    return ended.filter(({ id, column }) => {
      const there = columns?.get(column)
      return there && (!there.notNull || keys?.includes(id))
    })
  }

  dropColumns(sink: SinkTable, columns: readonly string[]): Promise<void> {
    return dropColumns(this.#connection, sink, columns)
  }

  prepare(sink: SinkTable, change: Change): CopyBatch {
    return prepareRows(sink, change)
  }

  prepareBlocks(sink: SinkTable, table: ApplyTable, arrived: ArrivedBatch): CopyBatch | undefined {
    return prepareBlocks(sink, table, arrived)
  }

  async writer(target: Target<ApplyTable>, batch: CopyBatch): Promise<BatchWriter> {
    return new PostgresWriter(this.#connection, target, batch)
  }

  writeAtOnce(
    target: Target<ApplyTable>,
    batch: CopyBatch,
    move: Sql,
    clearing: readonly Sql[],
  ): Promise<Counts | 'refused' | 'elsewhere'> {
    return writeAtOnce(this.#connection, this.#stages, target, batch, { move, clearing })
  }

  removeSome(table: string, source: string, limit: number, past?: number): Promise<number> {
    return removeSome(this.#connection, table, source, limit, past)
  }

  reading(): Reading {
    return new PostgresReading(this.#connection)
  }

  unfit(sink: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
    return refuse(sink, reason, cause)
  }

  tableError(sink: SinkTable, error: unknown): unknown {
    if (error instanceof QianzhiError && error.code === 'QZ-DB-UNREACHABLE' && isOfStatement(error))
      return refuse(sink, reasonOf(error.cause), error.cause)
    return withTable(error, sink.table, 'QZ-SINK-TABLE')
  }

  isConflict(error: unknown): boolean {
    return /^23(?:505|P01|503|001)$/.test(sqlState(error) ?? '')
  }

  /** Deadlocks, and serialisation failures of a default that is stricter than ours. */
  isContention(error: unknown): boolean {
    return ['40P01', '40001'].includes(sqlState(error) ?? '')
  }
}
