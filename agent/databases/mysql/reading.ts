/** Reading a MySQL or MariaDB table, view or SELECT without anything of Qianzhi's in the database. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { Value } from '../../../protocol/value.ts'
import type { Found, MappedColumn, Mark, PreviewRequest, Reading, Row, Rows, SourceTable } from '../../database.ts'
import { errorNumber, type Session } from './connection.ts'
import { rowsLike } from './describe.ts'
import { checkKeys, countRows, keysSince, readPlan, rowsAfter, rowsByKeys, type Plan } from './plan.ts'

export class MysqlReading implements Reading {
  readonly #session: Session
  readonly #plans = new Map<SourceTable, Plan>()

  /** On a session of its own; the reading closes it. */
  constructor(session: Session) {
    this.#session = session
  }

  async checkTable(source: SourceTable): Promise<void> {
    this.#plans.delete(source)
    await this.#work(source, (plan) => checkKeys(this.#session, plan))
  }

  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.#work(source, (plan) => rowsByKeys(this.#session, plan, keys))
  }

  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#work(source, (plan) => rowsAfter(this.#session, plan, after, limit))
  }

  keysSince(source: SourceTable, watermark: MappedColumn, from: Value, after: Mark | null, limit: number): Promise<Mark[]> {
    return this.#work(source, (plan) => keysSince(this.#session, plan, watermark, from, after, limit))
  }

  count(source: SourceTable): Promise<number> {
    return this.#work(source, (plan) => countRows(this.#session, plan))
  }

  rowsLike(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#work(source, (plan) => rowsLike(this.#session, plan, looking))
  }

  async atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    await this.#session.run('set transaction isolation level repeatable read')
    await this.#session.run('start transaction with consistent snapshot')
    try {
      return await work()
    } finally {
      await this.#session.run('rollback').catch(() => {})
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }

  /** A table altered under the reading is looked at again the next time. */
  async #work<T>(source: SourceTable, read: (plan: Plan) => Promise<T>): Promise<T> {
    try {
      let plan = this.#plans.get(source)
      if (!plan) this.#plans.set(source, (plan = await readPlan(this.#session, source)))
      return await read(plan)
    } catch (error) {
      this.#plans.delete(source)
      // What the server itself refuses, a SELECT that it cannot parse, a view whose table is gone, lies with the source.
      if (error instanceof QianzhiError || errorNumber(error) === undefined) throw error
      throw new QianzhiError('QZ-SOURCE-TABLE', { table: source.table, reason: reasonOf(error) }, { cause: error })
    }
  }
}
