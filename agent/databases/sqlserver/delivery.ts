/** Delivery into SQL Server: what only this server does with delivered tables. The rest is the bookkeeper's. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Change, Part, Reading, SinkTable } from '../../database.ts'
import type { PreparedBatch } from '../bookkeeping/batch.ts'
import type { StoredState } from '../bookkeeping/route-book.ts'
import type { BatchWriter, EndedColumn, Shape, SinkEngine, Target } from '../bookkeeping/sink-engine.ts'
import { bookSession, dialect, hasBooks, makeBooks } from './books.ts'
import { findColumn, readTable, unfit } from './catalog.ts'
import type { OwnSession } from './connection.ts'
import { errorNumber, isConflict, isContention } from './errors.ts'
import { shadowTable } from './names.ts'
import { ServerReading } from './reading.ts'
import { shapeOf } from './schema-drift.ts'
import { followShadow, replaceRows } from './shadow.ts'
import { dropColumns, followSchema, provideTable, wasDelivered } from './shape.ts'
import { deliveredTable, quoteName, quoteText, sourceColumn, type ApplyTable } from './sql.ts'
import { prepareRows, ServerWriter } from './writing.ts'

export class ServerSinks implements SinkEngine<ApplyTable> {
  readonly session
  readonly dialect = dialect
  readonly transactionalDdl = true
  readonly #session: OwnSession

  constructor(session: OwnSession) {
    this.#session = session
    this.session = bookSession(session)
  }

  makeBooks(): Promise<void> {
    return makeBooks(this.#session)
  }

  hasBooks(): Promise<boolean> {
    return hasBooks(this.#session)
  }

  partTable({ table, route }: Pick<SinkTable, 'table' | 'route'>, part: Part): string {
    return part === 'live' ? table : shadowTable(route)
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

  async shapeOf(sink: SinkTable, part: Part): Promise<Shape> {
    const table = await readTable(this.#session, this.partTable(sink, part))
    if (!table) throw unfit(sink, { zh: '不存在', en: 'it does not exist' })
    const triggers = await this.#session.query('select object_id, modify_date from sys.triggers where parent_id = convert(int, @id)', {
      id: String(table.id),
    })
    return shapeOf(sink, table, triggers.map(String))
  }

  async drop(table: string): Promise<void> {
    await this.#session.query(`if object_id(${quoteText(table)}, N'U') is not null drop table ${table}`)
  }

  async makeShadow(sink: SinkTable): Promise<void> {
    const [make] = deliveredTable({ ...sink, table: this.partTable(sink, 'shadow') })
    await this.#session.query(make!)
  }

  followShadow(sink: SinkTable, live: StoredState): Promise<ApplyTable> {
    return followShadow(this.#session, sink, live)
  }

  async empty(sink: SinkTable, columns: readonly string[]): Promise<void> {
    const nulls = columns.map((column) => `${quoteName(column)} = null`).join(', ')
    const { source } = sink
    await this.#session.query(`update ${this.#session.qualify(sink.table)} set ${nulls} where ${sourceColumn} = @source`, { source })
  }

  replaceRows(sink: SinkTable, table: ApplyTable, shadow: Parameters<SinkEngine['replaceRows']>[2]): Promise<number> {
    return replaceRows(this.#session, sink, table, shadow)
  }

  /** Columns of a former key lose their NOT NULL with it. */
  async emptiable(sink: SinkTable, ended: readonly EndedColumn[], { keys }: StoredState): Promise<EndedColumn[]> {
    const live = await readTable(this.#session, sink.table)
    return ended.filter(({ id, column }) => {
      const there = live && findColumn(live, column)
      return there && (there.nullable || keys?.includes(id))
    })
  }

  dropColumns(sink: SinkTable, columns: readonly string[]): Promise<void> {
    return dropColumns(this.#session, sink, columns)
  }

  prepare(sink: SinkTable, change: Change): PreparedBatch {
    return prepareRows(sink, change)
  }

  writer(target: Target<ApplyTable>, batch: PreparedBatch): Promise<BatchWriter> {
    return ServerWriter.open(this.#session, target, batch)
  }

  async removeSome(name: string, source: string, limit: number, past?: number): Promise<number> {
    const table = await readTable(this.#session, name)
    if (!table || !findColumn(table, sourceColumn)) return 0
    const [key] = table.uniques
    const order = key?.columns.map((column) => `${quoteName(column)} desc`).join(', ')
    const some = `select ${sourceColumn} from ${table.name} where ${sourceColumn} = @source order by ${order} offset ${past} rows fetch next ${limit} rows only`
    const removal =
      past === undefined || !key
        ? `delete top (${limit}) from ${table.name} where ${sourceColumn} = @source`
        : `with some_rows as (${some}) delete from some_rows`
    const sql = `${removal};\nselect @@rowcount`
    return Number((await this.#session.query(sql, { source })).at(-1)?.[0] ?? 0)
  }

  reading(): Reading {
    return new ServerReading(this.#session)
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
