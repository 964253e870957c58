/** Capture from SQL Server: the queues that triggers or Change Tracking fill, and what the source's database remembers of each stream. */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError } from '../../../protocol/errors.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { StreamBook, takenFrom, type Queue } from '../bookkeeping/stream-book.ts'
import { bookSession, dialect } from './books.ts'
import type { Capture, DatabaseOptions, Found, Row, Rows, SourceTable, StreamState, StreamStep, Take } from '../../database.ts'
import type { RawValue, OwnSession, SqlParameters } from './connection.ts'
import { coverageOf } from './trigger-fingerprint.ts'
import { databaseError, isContention, isMissing } from './errors.ts'
import { queueTable, streamTable } from './names.ts'
import { countRows, keyStage, queuedKey, rowsAfter, rowsByKeys, stagedKeys } from './plan.ts'
import { backlogStatement, deleteStatement, notSetUp, requeueStatement, takeStatement, waitingStatement } from './queue.ts'
import { Plans } from './reading.ts'
import { rowset } from './rowset.ts'
import { entryBytes } from './setup.ts'
import { Tracking } from './tracking.ts'

const lockWaitMs = { usual: 30_000, collapse: 1_000 }

export class ServerCapture implements Capture {
  readonly #options: DatabaseOptions
  readonly #session: OwnSession
  readonly #sources: readonly SourceTable[]
  readonly #book: StreamBook
  readonly #plans: Plans
  readonly #tracking: Tracking
  /** Resources whose queues are known to be there: a source that is not set up must not blind the others. */
  #queues: Set<string> | undefined

  constructor(options: DatabaseOptions, session: OwnSession, sources: readonly SourceTable[]) {
    this.#options = options
    this.#session = session
    this.#sources = sources
    this.#book = new StreamBook(bookSession(session), dialect)
    this.#plans = new Plans(session)
    this.#tracking = new Tracking(session)
  }

  async state(source: SourceTable): Promise<StreamState> {
    const state = await this.#asking(source, () => this.#book.state(source.resource))
    if (!state)
      throw notSetUp(source, { zh: `${streamTable} 中没有 ${source.resource}`, en: `${streamTable} has no row for ${source.resource}` })
    return state
  }

  async triggerFingerprint(source: SourceTable): Promise<string> {
    const plan = await this.#plans.again(source)
    const fingerprint = await this.#asking(source, () => coverageOf(this.#session, plan))
    this.#queues?.add(source.resource)
    return fingerprint
  }

  checkTable(source: SourceTable): Promise<void> {
    return this.#plans.check(source)
  }

  async waiting(): Promise<Set<string>> {
    const queues = (this.#queues ??= await this.#existingQueues())
    if (queues.size === 0) return new Set()
    try {
      for (const source of this.#sources) if (queues.has(source.resource)) await this.#moveIfSetUp(source)
      const rows = await this.#session.query(waitingStatement([...queues], this.#session.server), {})
      return new Set(rows.map((row) => String(row[0])))
    } catch (error) {
      if (isContention(error)) return new Set()
      if (!isMissing(error)) throw error
      this.#queues = undefined
      return new Set()
    }
  }

  async #moveIfSetUp(source: SourceTable): Promise<void> {
    try {
      await this.#move(source)
    } catch (error) {
      if (!(error instanceof QianzhiError && error.code.startsWith('QZ-SOURCE-'))) throw error
    }
  }

  /** Change Tracking's entries come into the queue when it is looked at. */
  async #move(source: SourceTable): Promise<void> {
    if (source.capture === 'tracking') await this.#plans.reading(source, (plan) => this.#tracking.move(plan))
  }

  async #existingQueues(): Promise<Set<string>> {
    const rows = await this.#session.query(
      `select t.name from sys.tables t join sys.schemas s on s.schema_id = t.schema_id where s.name = N'qianzhi' and t.name like N'q[_]%'`,
    )
    const there = new Set(rows.map((row) => `qianzhi.[${String(row[0])}]`))
    return new Set(this.#sources.map(({ resource }) => resource).filter((resource) => there.has(queueTable(resource))))
  }

  async take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    const plan = await this.#plans.of(source)
    await this.#asking(source, () => this.#move(source))
    const sql = takeStatement(plan, this.#session.server)
    const rows = await this.#query(source, sql, { limit: String(maxKeys + inFlight.size) })
    const taken = rows.filter((row) => !inFlight.has(String(row[0]))).slice(0, maxKeys)
    return takenFrom(taken, (columns) => queuedKey(plan, columns))
  }

  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.#plans.reading(source, (plan) => rowsByKeys(this.#session, plan, keys))
  }

  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#plans.reading(source, (plan) => rowsAfter(this.#session, plan, after, limit))
  }

  count(source: SourceTable): Promise<number> {
    return this.#plans.reading(source, (plan) => countRows(this.#session, plan))
  }

  async record(source: SourceTable, step: StreamStep): Promise<void> {
    await this.#asking(source, () => this.#book.record(source.resource, step, this.#queueOf(source)))
  }

  #queueOf({ resource }: SourceTable): Queue {
    return {
      forget: async (entries) => {
        if (entries.length === 0) return
        const gone = await rowset(
          this.#session,
          ['nvarchar(4000)'],
          entries.map((entry) => [entry]),
          'e',
        )
        await this.#session.query(deleteStatement(resource, gone), gone.parameters)
      },
    }
  }

  async requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    const plan = await this.#plans.of(source)
    const staged = keys.length > 0 ? await rowset(this.#session, keyStage(plan), stagedKeys(plan, keys)) : undefined
    await this.#asking(source, () =>
      this.#session.transaction(async () => {
        if (staged) await this.#session.query(requeueStatement(plan, staged), staged.parameters)
        await this.#book.place(source.resource, position)
      }),
    )
  }

  async mark(source: SourceTable, change: Parameters<Capture['mark']>[1]): Promise<void> {
    await this.#asking(source, () => this.#book.mark(source.resource, change, this.#queueOf(source)))
  }

  /**
   * TRUNCATE waits for every open transaction that wrote to the queue, also for those that left only a mark: what they changed is committed
   * before the snapshot begins. Change Tracking numbers what is still open later.
   */
  async collapse(source: SourceTable): Promise<boolean> {
    const plan = await this.#plans.of(source)
    await this.mark(source, { snapshot: 'needed' })
    try {
      if (source.capture === 'tracking') await this.#tracking.skip(plan)
      await this.#session.query(`set lock_timeout ${lockWaitMs.collapse}`)
      await this.#session.query(`truncate table ${queueTable(source.resource)}`)
    } catch (error) {
      if (isContention(error)) return false
      throw isMissing(error) ? notSetUp(source, { zh: '缺少队列', en: 'its queue is missing' }, error) : error
    } finally {
      await this.#session.query(`set lock_timeout ${lockWaitMs.usual}`)
    }
    return true
  }

  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    await this.#asking(source, () => this.#move(source))
    const [row] = await this.#query(source, backlogStatement(source, this.#session.server), { bound: String(bound) })
    const entries = Number(row?.[0] ?? 0)
    const age = row?.[1]
    return {
      entries,
      bytes: entries * entryBytes,
      ...(age === null || age === undefined ? {} : { oldest: new Date(Date.now() - 1000 * Number(age)) }),
    }
  }

  /** SQL Server cannot wake a client without a queue of its own: the queues are looked at by the pace, half as often when nothing came lately. */
  async idle(busy: boolean, signal: AbortSignal): Promise<void> {
    await sleep(busy ? this.#options.pace : 2 * this.#options.pace, undefined, { signal }).catch(() => {})
  }

  #query(source: SourceTable, sql: string, parameters: SqlParameters): Promise<RawValue[][]> {
    return this.#asking(source, () => this.#session.query(sql, parameters))
  }

  async #asking<T>(source: SourceTable, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw isMissing(error)
        ? notSetUp(source, { zh: '缺少配套表', en: 'its companion tables are missing' }, error)
        : databaseError(this.#options.name, error)
    }
  }

  async close(): Promise<void> {
    await this.#session.close()
  }
}
