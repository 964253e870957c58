/** Reading rows of a table, a view or a SELECT: nothing of the agent's need be in the database. */
import type { Found, MappedColumn, Mark, PreviewRequest, Reading, Row, Rows, SourceTable } from '../../database.ts'
import { onlyReads } from '../../database.ts'
import type { Value } from '../../../protocol/value.ts'
import type { OwnSession, Session } from './connection.ts'
import { rowsLike } from './describe.ts'
import { databaseError, errorNumber, isMissing } from './errors.ts'
import { requireUnmasked } from './masks.ts'
import {
  beyondSnapshots,
  checkKeysPresent,
  countRows,
  keysSince,
  readPlan,
  requireWatchable,
  rowsAfter,
  rowsByKeys,
  type Plan,
} from './plan.ts'

/** The plans of one session's sources. */
export class Plans {
  readonly #session: Session
  readonly #plans = new Map<SourceTable, Plan>()

  constructor(session: Session) {
    this.#session = session
  }

  async of(source: SourceTable): Promise<Plan> {
    return this.#plans.get(source) ?? this.again(source)
  }

  async again(source: SourceTable): Promise<Plan> {
    const plan = await readPlan(this.#session, source)
    this.#plans.set(source, plan)
    return plan
  }

  /** A table altered under the agent: its plan is made again, or tells what is wrong. */
  async reading<T>(source: SourceTable, read: (plan: Plan) => Promise<T>): Promise<T> {
    try {
      return await read(await this.of(source))
    } catch (error) {
      if (!isMissing(error)) throw databaseError(source.table, error)
      this.#plans.delete(source)
      return read(await this.of(source))
    }
  }

  async check(source: SourceTable): Promise<void> {
    const plan = await this.again(source)
    if (onlyReads(source)) await checkKeysPresent(this.#session, plan)
    else requireWatchable(plan)
    await requireUnmasked(this.#session, plan)
  }
}

export class ServerReading implements Reading {
  readonly #session: OwnSession
  readonly #plans: Plans

  constructor(session: OwnSession) {
    this.#session = session
    this.#plans = new Plans(session)
  }

  checkTable(source: SourceTable): Promise<void> {
    return this.#plans.check(source)
  }

  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.#plans.reading(source, (plan) => rowsByKeys(this.#session, plan, keys))
  }

  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#plans.reading(source, (plan) => rowsAfter(this.#session, plan, after, limit))
  }

  keysSince(source: SourceTable, watermark: MappedColumn, from: Value, after: Mark | null, limit: number): Promise<Mark[]> {
    return this.#plans.reading(source, (plan) => keysSince(this.#session, plan, watermark, from, after, limit))
  }

  count(source: SourceTable): Promise<number> {
    return this.#plans.reading(source, (plan) => countRows(this.#session, plan))
  }

  rowsLike(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#plans.reading(source, (plan) => rowsLike(this.#session, plan, looking))
  }

  async atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    if (this.#session.server.reading !== 'snapshot') return work()
    try {
      return await this.#session.transaction(work, 'snapshot')
    } catch (error) {
      if (!beyondSnapshots.has(errorNumber(error) ?? 0)) throw error
      return work()
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}
