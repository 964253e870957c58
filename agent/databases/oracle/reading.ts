/** Reading tables, views and queries of Oracle with no more than SELECT: nothing of ours is in the database. */
import type { Value } from '../../../protocol/value.ts'
import {
  onlyReads,
  type Found,
  type Mark,
  type MappedColumn,
  type PreviewRequest,
  type Reading,
  type Row,
  type Rows,
  type SourceTable,
} from '../../database.ts'
import { findColumn } from './catalog.ts'
import type { RawValue, Session } from './connection.ts'
import { rowsLike } from './describe.ts'
import { isMissing } from './errors.ts'
import {
  countStatement,
  portableOr,
  readPlan,
  refused,
  rowsAfter,
  rowsByKeys,
  sinceStatement,
  withoutKeyStatement,
  type Plan,
} from './plan.ts'
import { columnReader } from './types.ts'
import { QianzhiError } from '../../../protocol/errors.ts'

export class OracleReading implements Reading {
  protected readonly session: Session
  readonly #plans = new Map<SourceTable, Plan>()

  constructor(session: Session) {
    this.session = session
  }

  async checkTable(source: SourceTable): Promise<void> {
    this.#plans.delete(source)
    const plan = await this.plan(source)
    if (!onlyReads(source)) return
    const { sql, binds } = withoutKeyStatement(this.session.server, plan)
    if ((await this.session.rows(sql, binds)).length > 0)
      throw refused(source, {
        zh: '有行的主键列为空，永远不会传送',
        en: 'a row has no value in a key column: such rows would never be met',
      })
  }

  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.reading(source, (plan) => rowsByKeys(this.session, plan, keys))
  }

  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.reading(source, (plan) => rowsAfter(this.session, plan, after, limit))
  }

  keysSince(source: SourceTable, watermark: MappedColumn, from: Value, after: Mark | null, limit: number): Promise<Mark[]> {
    return this.reading(source, async (plan) => {
      const column = findColumn(plan.catalog, watermark.column)
      if (!column) throw refused(source, { zh: `列 ${watermark.column} 不存在`, en: `it has no column ${watermark.column}` })
      const reader = columnReader(watermark, column, source)
      if (!reader || reader.large) {
        const { item } = watermark
        throw new QianzhiError('QZ-SOURCE-TYPE', {
          table: source.table,
          column: watermark.column,
          type: column.type,
          item: `${item.id} (${item.type})`,
        })
      }
      const { sql, binds } = sinceStatement(this.session.server, plan, reader, from, after, limit)
      const rows: RawValue[][] = await this.session.rows(sql, binds)
      return rows.map(([value, ...key]) => ({
        value: portableOr(reader, value!),
        key: plan.keys.map((one, i) => portableOr(one, key[i]!)),
      }))
    })
  }

  count(source: SourceTable): Promise<number> {
    return this.reading(source, async (plan) => {
      const { sql, binds } = countStatement(this.session.server, plan)
      return Number((await this.session.rows(sql, binds))[0]![0])
    })
  }

  rowsLike(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.reading(source, (plan) => rowsLike(this.session, plan, looking))
  }

  atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    return this.session.transaction(async () => {
      await this.session.run('set transaction read only')
      return work()
    })
  }

  /** A table altered under the agent: its plan is made again, or tells what is wrong. */
  protected async reading<T>(source: SourceTable, read: (plan: Plan) => Promise<T>): Promise<T> {
    try {
      return await read(await this.plan(source))
    } catch (error) {
      if (!isMissing(error)) throw error
      this.#plans.delete(source)
      return read(await this.plan(source))
    }
  }

  protected async plan(source: SourceTable): Promise<Plan> {
    const known = this.#plans.get(source)
    if (known) return known
    const plan = await readPlan(this.session, source)
    this.#plans.set(source, plan)
    return plan
  }

  protected forgetPlan(source: SourceTable): void {
    this.#plans.delete(source)
  }

  async close(): Promise<void> {
    await this.session.close()
  }
}
