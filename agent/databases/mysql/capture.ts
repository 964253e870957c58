/** Capture from MySQL and MariaDB: the queues that the triggers fill, and what the source's database remembers of each stream. */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { quoteName, quoteText } from './sql.ts'
import { LogFilled } from '../bookkeeping/log-filled.ts'
import { StreamBook, takenFrom, type Queue } from '../bookkeeping/stream-book.ts'
import { chunks } from '../bookkeeping/statement.ts'
import { bookSession, dialect } from './books.ts'
import type { Capture, DatabaseOptions, Found, Row, Rows, SourceTable, StreamState, StreamStep, Take } from '../../database.ts'
import { errorNumber, isContention, isMissing, type RawValue, type Session } from './connection.ts'
import { countRows, queuedKey, readPlan, requireWatchable, rowsAfter, rowsByKeys, type Plan } from './plan.ts'
import { logStatus } from './log/place.ts'
import { openLog } from './log/open.ts'
import type { LogReader } from './log/reader.ts'
import { ceilingTable, queueName } from './names.ts'
import { coverageOf, notSetUp } from './trigger-fingerprint.ts'
import { entryBytes, queueEntries, streamTable } from './setup.ts'
import { rawText } from './types.ts'

/** Entries deleted, or keys written, by one statement. */
const chunk = 1000

/** Somebody else's lock on one table must not keep the other tables waiting for long. */
const lockWaitSeconds = { usual: 3, collapse: 1 }
/** Milliseconds for which a queue that was found locked is not looked at with the others. */
const lockedFor = 15_000
/** Milliseconds between two looks at queues of which one is told. */
const longestLookMs = 1000

export class MysqlCapture implements Capture {
  readonly #options: DatabaseOptions
  readonly #session: Session
  readonly #sources: readonly SourceTable[]
  readonly #book: StreamBook
  readonly #log: LogFilled<LogReader>
  readonly #plans = new Map<SourceTable, Plan>()
  /** Resources whose queues are known to be there: a source that is not set up must not blind the others. */
  #queues: Set<string> | undefined
  readonly #ceilings = new Map<string, number>()
  #lockedUntil = 0
  /** All that fills the queues wakes the agent. */
  readonly #woken: boolean
  #wake: (() => void) | undefined
  #wasWoken = false

  /** On a session that holds the lock; the capture closes it. */
  static async open(options: DatabaseOptions, session: Session, sources: readonly SourceTable[]): Promise<MysqlCapture> {
    const { usual } = lockWaitSeconds
    await session.run(`set session lock_wait_timeout = ${usual}, innodb_lock_wait_timeout = ${usual}`)
    const capture = new MysqlCapture(options, session, sources)
    await capture.#log.open()
    return capture
  }

  private constructor(options: DatabaseOptions, session: Session, sources: readonly SourceTable[]) {
    this.#options = options
    this.#session = session
    this.#sources = sources
    this.#book = new StreamBook(bookSession(session), dialect)
    this.#log = new LogFilled(
      () => openLog(options, session, sources, () => this.#wakeUp()),
      async (reader) => reader.caughtUp(await logStatus(session)),
    )
    this.#woken = sources.length > 0 && sources.every(({ capture }) => capture === 'log')
  }

  async state(source: SourceTable): Promise<StreamState> {
    const state = await this.#asking(source, () => this.#book.state(source.resource))
    if (!state)
      throw notSetUp(source, { zh: `${streamTable} 中没有 ${source.resource}`, en: `${streamTable} has no row for ${source.resource}` })
    return state
  }

  async triggerFingerprint(source: SourceTable): Promise<string> {
    const coverage = await this.#work(source, () => this.#log.coverage(source, () => this.#coverage(source)))
    if (coverage === undefined) throw notSetUp(source, { zh: '日志未在读取', en: 'its log is not read' })
    return coverage
  }

  async #coverage(source: SourceTable): Promise<string> {
    const known = this.#plans.get(source)?.catalog.shape
    const plan = await readPlan(this.#session, source)
    this.#plans.set(source, plan)
    const coverage = await coverageOf(this.#session, plan)
    // Changed without a word in the log.
    if (known !== undefined && known !== plan.catalog.shape) await this.#log.reader?.lookAgain()
    this.#queues?.add(source.resource)
    return coverage
  }

  async checkTable(source: SourceTable): Promise<void> {
    const plan = await this.#work(source, () => readPlan(this.#session, source))
    requireWatchable(plan)
    this.#plans.set(source, plan)
  }

  waiting(): Promise<Set<string>> {
    return this.#log.ask(
      () => this.#waiting(),
      ({ size }) => size === this.#sources.length,
    )
  }

  async #waiting(): Promise<Set<string>> {
    const queues = (this.#queues ??= await this.#existingQueues())
    if (queues.size === 0 || performance.now() < this.#lockedUntil) return queues
    const looks = [...queues].map((resource) => `(select ${quoteText(resource)} from ${quoteName(queueName(resource))} limit 1)`)
    try {
      return new Set((await this.#session.rows(looks.join(' union all '))).map((row) => String(row[0])))
    } catch (error) {
      if (isContention(error)) this.#lockedUntil = performance.now() + lockedFor
      else if (isMissing(error)) this.#queues = undefined
      else throw error
      return this.#queues ?? new Set()
    }
  }

  async #existingQueues(): Promise<Set<string>> {
    const rows = await this.#session.rows(
      `select table_name from information_schema.tables where table_schema = database() and table_name like 'qz\\_q\\_%'`,
    )
    const there = new Set(rows.map((row) => String(row[0])))
    return new Set(this.#sources.map(({ resource }) => resource).filter((resource) => there.has(queueName(resource))))
  }

  take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    return this.#log.ask(
      () => this.#take(source, maxKeys, inFlight),
      ({ keys }) => keys.length >= maxKeys,
    )
  }

  async #take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    const plan = await this.#work(source, () => this.#plan(source))
    const columns = plan.keys.map((_, i) => `k${i + 1}`)
    const rows = await this.#rows(
      source,
      `select id, marked, ${columns.join(', ')} from ${quoteName(queueName(source.resource))} order by id limit ${maxKeys + inFlight.size}`,
    )
    const first = rows[0]
    if (first) await this.#raiseCeiling(source, Number(first[0]))
    const taken = rows.filter((row) => !inFlight.has(String(row[0]))).slice(0, maxKeys)
    return takenFrom(taken, (columns) => queuedKey(plan, columns as RawValue[]))
  }

  /** Lets the queue grow to its limit above the oldest entry. Never waits: an application may hold the row for its transaction. */
  async #raiseCeiling(source: SourceTable, oldest: number): Promise<void> {
    const limit = queueEntries(source)
    const known = this.#ceilings.get(source.resource)
    if (known !== undefined && oldest + limit - known < limit / 4) return
    const where = `where queue = ${quoteText(queueName(source.resource))}`
    try {
      await this.#session.transaction(async () => {
        const [row] = await this.#session.rows(`select ceiling from ${quoteName(ceilingTable)} ${where} for update nowait`)
        const ceiling = Math.max(oldest + limit - 1, Number(row?.[0] ?? 0))
        await this.#session.run(`update ${quoteName(ceilingTable)} set ceiling = ${ceiling} ${where}`)
        this.#ceilings.set(source.resource, ceiling)
      })
    } catch (error) {
      if (!isContention(error) && errorNumber(error) !== 3572) throw error
    }
  }

  async rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.#reading(source, (plan) => rowsByKeys(this.#session, plan, keys))
  }

  async rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#reading(source, (plan) => rowsAfter(this.#session, plan, after, limit))
  }

  async count(source: SourceTable): Promise<number> {
    return this.#reading(source, (plan) => countRows(this.#session, plan))
  }

  /** A table altered under the agent: its plan is made again, or tells what is wrong. */
  async #reading<T>(source: SourceTable, read: (plan: Plan) => Promise<T>): Promise<T> {
    return this.#work(source, async () => {
      try {
        return await read(await this.#plan(source))
      } catch (error) {
        if (!isMissing(error) && errorNumber(error) !== 1176) throw error
        this.#plans.delete(source)
        return read(await this.#plan(source))
      }
    })
  }

  /** A lock that is not to be had holds this source, not the others. */
  async #work<T>(source: SourceTable, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!isContention(error)) throw error
      throw new QianzhiError('QZ-SOURCE-LOCKED', { table: source.table, reason: reasonOf(error) }, { cause: error })
    }
  }

  #transaction(source: SourceTable, work: () => Promise<void>): Promise<void> {
    return this.#work(source, () => this.#session.transaction(work))
  }

  async #plan(source: SourceTable): Promise<Plan> {
    const known = this.#plans.get(source)
    if (known) return known
    const plan = await readPlan(this.#session, source)
    this.#plans.set(source, plan)
    return plan
  }

  async record(source: SourceTable, step: StreamStep): Promise<void> {
    await this.#work(source, () => this.#book.record(source.resource, step, this.#queueOf(source)))
  }

  /** By primary key, in chunks: nothing is locked but entries that are committed and ours. */
  #queueOf({ resource }: SourceTable): Queue {
    return {
      forget: async (entries) => {
        for (const part of chunks(entries, chunk))
          await this.#session.run(`delete from ${quoteName(queueName(resource))} where id in (${part.join(', ')})`)
      },
    }
  }

  async requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    const { keys: columns } = await this.#plan(source)
    const queue = `${quoteName(queueName(source.resource))} (${columns.map((_, i) => `k${i + 1}`).join(', ')})`
    await this.#transaction(source, async () => {
      for (const part of chunks(keys, chunk)) {
        const values = part.map((key) => `(${columns.map(({ item }, i) => quoteText(rawText(item.type, key[i]!))).join(', ')})`)
        await this.#session.run(`insert into ${queue} values ${values.join(', ')}`)
      }
      await this.#book.place(source.resource, position)
    })
  }

  async mark(source: SourceTable, change: Parameters<Capture['mark']>[1]): Promise<void> {
    await this.#work(source, () => this.#book.mark(source.resource, change, this.#queueOf(source)))
  }

  /**
   * TRUNCATE waits for the metadata locks of every open transaction that wrote to the queue, also of those that only skipped: what
   * they changed is committed before the snapshot begins. Ids go on from where they were, since sessions remember the ceiling.
   */
  async collapse(source: SourceTable): Promise<boolean> {
    const queue = quoteName(queueName(source.resource))
    await this.mark(source, { snapshot: 'needed' })
    const [row] = await this.#session.rows(`select ifnull(max(id), 0) from ${queue}`)
    const [auto] = await this.#session.rows(
      `select ifnull(auto_increment, 1) from information_schema.tables where table_schema = database() and table_name = ${quoteText(queueName(source.resource))}`,
    )
    try {
      await this.#session.run(`set session lock_wait_timeout = ${lockWaitSeconds.collapse}`)
      await this.#session.run(`truncate table ${queue}`)
    } catch (error) {
      if (isContention(error)) return false
      throw error
    } finally {
      await this.#session.run(`set session lock_wait_timeout = ${lockWaitSeconds.usual}`)
    }
    const next = Math.max(Number(row?.[0]), Number(auto?.[0])) + 1
    await this.#session.run(`insert into ${queue} (id, marked) values (${next}, 1)`)
    await this.#session.run(`delete from ${queue} where id = ${next}`)
    this.#ceilings.delete(source.resource)
    await this.#raiseCeiling(source, next)
    return true
  }

  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    const queue = quoteName(queueName(source.resource))
    const sql = `select count(*), (select round(unix_timestamp(at) * 1000) from ${queue} order by id limit 1) from (select id from ${queue} order by id limit ${bound}) q`
    const [row] = await this.#log.ask(() => this.#rows(source, sql))
    const entries = Number(row?.[0] ?? 0)
    const oldest = row?.[1]
    return { entries, bytes: entries * entryBytes, ...(oldest ? { oldest: new Date(Number(oldest)) } : {}) }
  }

  /** MySQL cannot wake a client: the queues are looked at by the pace, half as often when nothing came lately. Who reads the log can. */
  async idle(busy: boolean, signal: AbortSignal): Promise<void> {
    const pace = busy ? this.#options.pace : 2 * this.#options.pace
    if (!this.#log.reader) return sleep(pace, undefined, { signal }).catch(() => {})
    if (this.#wasWoken || signal.aborted) {
      this.#wasWoken = false
      return
    }
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    const milliseconds = this.#woken ? Math.max(pace, longestLookMs) : pace
    await sleep(milliseconds, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => {})
    this.#wake = undefined
    this.#wasWoken = false
  }

  #wakeUp(): void {
    this.#wasWoken = true
    this.#wake?.()
  }

  #rows(source: SourceTable, sql: string): Promise<RawValue[][]> {
    return this.#asking(source, () => this.#session.rows(sql))
  }

  async #asking<T>(source: SourceTable, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#work(source, work)
    } catch (error) {
      throw isMissing(error) ? notSetUp(source, { zh: '缺少配套表', en: 'its companion tables are missing' }, error) : error
    }
  }

  async close(): Promise<void> {
    await this.#log.close()
    await this.#session.close()
  }
}
