/** Delivery into Oracle: what only this server does with delivered tables. The rest is the bookkeeper's. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Change, Part, Reading, SinkTable } from '../../database.ts'
import type { PreparedBatch } from '../bookkeeping/batch.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import type { BatchWriter, EndedColumn, Shape, SinkEngine, Target } from '../bookkeeping/sink-engine.ts'
import { bookSession, dialectOf, hasBooks, makeBooks } from './books.ts'
import { findColumn, readTable, unfit } from './catalog.ts'
import type { Session } from './connection.ts'
import { errorNumber, isContention } from './errors.ts'
import { OracleReading } from './reading.ts'
import { ShapeReader } from './schema-drift.ts'
import { dropColumns, dropTable, followShadow, partTable, replaceRows } from './shadow.ts'
import { followSchema, provideTable, wasDelivered } from './shape.ts'
import type { ApplyTable } from './sql-rows.ts'
import { deliveredTable, quoteName, sourceColumn } from './sql.ts'
import { OracleWriter, prepareRows } from './writing.ts'

export class OracleSinks implements SinkEngine<ApplyTable> {
  readonly session
  readonly dialect
  readonly transactionalDdl = false
  readonly #session: Session
  readonly #shapes: ShapeReader

  constructor(session: Session) {
    this.#session = session
    this.session = bookSession(session)
    this.dialect = dialectOf(session.server.user)
    this.#shapes = new ShapeReader(session)
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
    return (await readTable(this.#session, table))?.name
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

  shapeOf(sink: SinkTable, part: Part, before: Shape | undefined): Promise<Shape> {
    return this.#shapes.read(sink, this.partTable(sink, part), before)
  }

  drop(table: string): Promise<void> {
    return dropTable(this.#session, table)
  }

  async makeShadow(sink: SinkTable): Promise<void> {
    const table = this.partTable(sink, 'shadow')
    for (const statement of deliveredTable({ ...sink, table }, this.#session.server)) await this.#session.run(statement)
  }

  async followShadow(sink: SinkTable, live: StoredState): Promise<ApplyTable> {
    await followShadow(this.#session, sink, live)
    return this.provide(sink, 'live')
  }

  async empty(sink: SinkTable, columns: readonly string[]): Promise<void> {
    const { name } = (await readTable(this.#session, sink.table))!
    const binds = this.#session.binds()
    const nulls = columns.map((column) => `${quoteName(column)} = null`).join(', ')
    await this.#session.run(`update ${name} set ${nulls} where ${quoteName(sourceColumn)} = ${binds.code(sink.source)}`, binds)
  }

  async replaceRows(sink: SinkTable, live: ApplyTable, change: Parameters<SinkEngine['replaceRows']>[2]): Promise<number> {
    const shadow = await this.provide(sink, 'shadow')
    return replaceRows(this.#session, sink, { live, shadow }, change)
  }

  /** Under the names that the dictionary has. Columns of a former key lose their NOT NULL with it. */
  async emptiable(sink: SinkTable, ended: readonly EndedColumn[], { keys }: StoredState): Promise<EndedColumn[]> {
    const live = await readTable(this.#session, sink.table)
    return ended.flatMap(({ id, column }) => {
      const there = live && findColumn(live, column)
      return there && (there.nullable || keys?.includes(id)) ? [{ id, column: there.column }] : []
    })
  }

  dropColumns(sink: SinkTable, columns: readonly string[]): Promise<void> {
    return dropColumns(this.#session, sink, columns)
  }

  prepare(sink: SinkTable, change: Change): PreparedBatch {
    return prepareRows(sink, change)
  }

  async writer(target: Target<ApplyTable>, batch: PreparedBatch): Promise<BatchWriter> {
    return new OracleWriter(this.#session, target, batch)
  }

  async removeSome(table: string, source: string, limit: number, past?: number): Promise<number> {
    const found = await readTable(this.#session, table)
    if (!found || !findColumn(found, sourceColumn)) return 0
    const binds = this.#session.binds()
    const where = `${quoteName(sourceColumn)} = ${binds.code(source)} and rownum <= ${binds.number(limit)}`
    if (past === undefined) return this.#session.run(`delete from ${found.name} where ${where}`, binds)
    const ordered = this.#session.binds()
    const own = `${quoteName(sourceColumn)} = ${ordered.code(source)}`
    const some = `select rowid from ${found.name} where ${own} order by rowid desc offset ${past} rows fetch next ${limit} rows only`
    return this.#session.run(`delete from ${found.name} where rowid in (${some})`, ordered)
  }

  reading(): Reading {
    return new OracleReading(this.#session)
  }

  unfit(sink: SinkTable, reason: string | LocalizedText, cause?: unknown): QianzhiError {
    return unfit(sink, reason, cause)
  }

  tableError(sink: SinkTable, error: unknown): unknown {
    if (error instanceof QianzhiError) return error
    return errorNumber(error) === undefined ? error : unfit(sink, reasonOf(error), error)
  }

  /** 1 a unique key; 2291, 2292 a foreign key from or to the row. */
  isConflict(error: unknown): boolean {
    return [1, 2291, 2292].includes(errorNumber(error) ?? 0)
  }

  isContention(error: unknown): boolean {
    return isContention(error)
  }
}
