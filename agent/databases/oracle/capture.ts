/** Capture from Oracle: the queues that the triggers fill, and what the source's database remembers of each stream. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Capture, Row, SourceTable, StreamState, StreamStep, Take } from '../../database.ts'
import { chunks } from '../bookkeeping/statement.ts'
import { StreamBook, takenFrom, type Queue } from '../bookkeeping/stream-book.ts'
import { bookSession, dialectOf } from './books.ts'
import { coverageOf, notSetUp } from './trigger-fingerprint.ts'
import type { Binds, RawValue, Session } from './connection.ts'
import { isContention, isMissing } from './errors.ts'
import { sourceNames } from './names.ts'
import { queuedKey, refused } from './plan.ts'
import { OracleReading } from './reading.ts'
import { entryBytes, queueEntries, streamTable } from './setup.ts'
import * as statements from './queue.ts'

/** Rows of one array statement. */
const chunk = 1000

export class OracleCapture extends OracleReading implements Capture {
  readonly #sources: readonly SourceTable[]
  readonly #book: StreamBook
  /** Resources whose queues are known to be there: a source that is not set up must not blind the others. */
  #queues: Set<string> | undefined
  readonly #ceilings = new Map<string, number>()

  constructor(session: Session, sources: readonly SourceTable[]) {
    super(session)
    this.#sources = sources
    this.#book = new StreamBook(bookSession(session), dialectOf(session.server.user))
  }

  override async checkTable(source: SourceTable): Promise<void> {
    await super.checkTable(source)
    const { catalog } = await this.plan(source)
    if (catalog.view) throw refused(source, { zh: '不是表，触发器看不到变化', en: 'it is no table: triggers see tables only' })
    if (catalog.temporary) throw refused(source, { zh: '是临时表', en: 'it is a temporary table: other sessions do not see its rows' })
  }

  async state(source: SourceTable): Promise<StreamState> {
    const state = await this.#asking(source, () => this.#book.state(source.resource))
    if (!state)
      throw notSetUp(source, { zh: `${streamTable} 中没有 ${source.resource}`, en: `${streamTable} has no row for ${source.resource}` })
    return state
  }

  async triggerFingerprint(source: SourceTable): Promise<string> {
    this.forgetPlan(source)
    const coverage = await coverageOf(this.session, await this.plan(source))
    this.#queues?.add(source.resource)
    return coverage
  }

  async waiting(): Promise<Set<string>> {
    const queues = (this.#queues ??= await this.#existingQueues())
    if (queues.size === 0) return new Set()
    try {
      const rows = await this.session.rows(statements.waiting(this.#own, [...queues]))
      return new Set(rows.map((row) => String(row[0])))
    } catch (error) {
      if (!isMissing(error)) throw error
      this.#queues = undefined
      return new Set()
    }
  }

  async #existingQueues(): Promise<Set<string>> {
    const binds = this.session.binds()
    const rows = await this.session.rows(statements.queues(binds.code(this.session.server.user)), binds)
    const there = new Set(rows.map((row) => String(row[0])))
    return new Set(this.#sources.map(({ resource }) => resource).filter((resource) => there.has(sourceNames(resource).queue)))
  }

  async take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    const plan = await this.plan(source)
    const rows = await this.#rows(source, (binds) =>
      statements.take(this.#own, source.resource, plan.keys.length, binds.number(maxKeys + inFlight.size)),
    )
    const first = rows[0]
    if (first) await this.#raiseCeiling(source, Number(first[0]))
    const taken = rows.filter((row) => !inFlight.has(String(row[0]))).slice(0, maxKeys)
    return takenFrom(taken, (columns) => queuedKey(plan, columns as RawValue[]))
  }

  /** Lets the queue grow to its limit above the oldest entry. Triggers only read the ceiling: nobody waits for it. */
  async #raiseCeiling({ resource, ...source }: SourceTable, oldest: number): Promise<void> {
    const limit = queueEntries({ resource, ...source })
    const known = this.#ceilings.get(resource)
    if (known !== undefined && oldest + limit - known < limit / 4) return
    const ceiling = oldest + limit - 1
    const binds = this.session.binds()
    await this.session.run(
      statements.raiseCeiling(this.#own, binds.number(ceiling), binds.code(sourceNames(resource).queue), binds.number(ceiling)),
      binds,
    )
    this.#ceilings.set(resource, ceiling)
  }

  record(source: SourceTable, step: StreamStep): Promise<void> {
    return this.#book.record(source.resource, step, this.#queueOf(source))
  }

  /** By primary key, in chunks: nothing is locked but entries that are committed and ours. */
  #queueOf({ resource }: SourceTable): Queue {
    return {
      forget: async (entries) => {
        for (const part of chunks(entries, chunk)) {
          await this.session.all(
            statements.deleteEntry(this.#own, resource),
            part.map((entry) => [entry]),
            ['text'],
          )
        }
      },
    }
  }

  async requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    const plan = await this.plan(source)
    const kinds = plan.keys.map(() => this.session.textKind)
    await this.session.transaction(async () => {
      for (const part of chunks(keys, chunk)) {
        await this.session.all(
          statements.enqueue(this.#own, source.resource, plan.keys.length),
          part.map((key) => [...key]),
          kinds,
        )
      }
      await this.#book.place(source.resource, position)
    })
  }

  mark(source: SourceTable, change: Parameters<Capture['mark']>[1]): Promise<void> {
    return this.#book.mark(source.resource, change, this.#queueOf(source))
  }

  /**
   * TRUNCATE needs the queue for itself at once: it fails while any transaction is open that wrote to the queue, also one that only
   * skipped and holds its lock: what they changed is committed before the snapshot begins. It commits, and stands outside transactions.
   */
  async collapse(source: SourceTable): Promise<boolean> {
    await this.mark(source, { snapshot: 'needed' })
    try {
      await this.session.run('alter session set ddl_lock_timeout = 0')
      await this.session.run(`truncate table ${this.#own(sourceNames(source.resource).queue)}`)
    } catch (error) {
      if (isContention(error)) return false
      throw error
    } finally {
      await this.session.run('alter session set ddl_lock_timeout = 20')
    }
    this.#ceilings.delete(source.resource)
    const [row] = await this.session.rows(`select ${this.#own(sourceNames(source.resource).sequence)}.nextval from dual`)
    await this.#raiseCeiling(source, Number(row![0]) + 1)
    return true
  }

  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    const [row] = await this.#rows(source, (binds) => statements.backlog(this.#own, source.resource, binds.number(bound)))
    const entries = Number(row?.[0] ?? 0)
    const oldest = row?.[1]
    return { entries, bytes: entries * entryBytes, ...(oldest ? { oldest: new Date(String(oldest)) } : {}) }
  }

  /** Oracle cannot wake a client without further rights: the queues are looked at by the pace, half as often when nothing came lately. */
  async idle(busy: boolean, signal: AbortSignal): Promise<void> {
    const { pace } = this.session.options
    await sleep(busy ? pace : 2 * pace, undefined, { signal }).catch(() => {})
  }

  readonly #own = (name: string): string => this.session.own(name)

  #rows(source: SourceTable, statement: (binds: Binds) => string): Promise<RawValue[][]> {
    const binds = this.session.binds()
    return this.#asking(source, () => this.session.rows(statement(binds), binds))
  }

  async #asking<T>(source: SourceTable, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw isMissing(error) ? notSetUp(source, { zh: '缺少配套表', en: 'its companion tables are missing' }, error) : error
    }
  }
}
