/**
 * Reads the binlog and queues the keys of what has changed, in the place of triggers. It needs two sessions of its own: one at which the server
 * sends its log, one that writes into the queues, whatever the agent does with them meanwhile.
 *
 * A transaction is sent before others can see it: the server writes it into the log first and commits it in the engine afterwards. A key that
 * was queued in between could be read too early and would be lost. But the queue's own entry is a transaction in the same log, behind it, and
 * engines commit in the log's order: MySQL with `binlog_order_commits` (`MYSQL_BIN_LOG::ordered_commit`: a group enters the commit stage in
 * the order in which it left the flush stage, and its leader commits it as one queue), MariaDB always (`commit_ordered`, called under one
 * lock in the order of the log). So whoever sees the entry sees the rows. It holds only while the entry itself is written into the log
 * (`sql_log_bin`, no filter over the queue's database), and it does not hold for XA COMMIT, which both servers may write into the log
 * before, and apart from, the engine's commit: there it is waited for until the server lists the transaction no more (`QueueWriter.visible`).
 *
 * The place is written down in the entries' own transaction: what a crash takes from the queues is read again.
 */
import { reasonOf, QianzhiError } from '../../../../protocol/errors.ts'
import type { LocalizedText } from '../../../../protocol/localized.ts'
import type { DatabaseOptions, SourceTable } from '../../../database.ts'
import { place as tablePlace } from '../catalog.ts'
import { isContention, Session } from '../connection.ts'
import { readPlan, requireWatchable } from '../plan.ts'
import { quoteName, quoteText } from '../sql.ts'
import { LogProgress } from '../../bookkeeping/log-progress.ts'
import { LogDump, notToBeHad } from './dump.ts'
import { LogEvents, type Place, type Reads } from './events.ts'
import { mostPending, Keys, Pending, type Boundary, type Branch, type Feed } from './pending.ts'
import { comparePlaces, LostThread, replicaOf, type WrittenPlace } from './place.ts'
import { QueueWriter } from './queues.ts'
import { concernedTables } from './statements.ts'
import { keyValue } from './values.ts'

const beatMs = 10_000
/** Seconds for DDL that is in the log to come to its end. */
const lookWaitSeconds = 3

export class LogReader {
  /** Grows with everything that is queued. */
  written = 0
  readonly #writer: Session
  readonly #queues: QueueWriter
  readonly #progress: LogProgress<Place>
  readonly #events: LogEvents<Feed>
  readonly #onWritten: () => void
  readonly #branches = new Map<string, Branch>()
  #feeds: readonly Feed[]
  #dump!: LogDump
  #pending = new Pending()
  /** What the transaction that is read is put into. */
  #into: Keys = this.#pending
  /** Where the transaction that is read began. */
  #last: Boundary
  #pumping: Promise<void> | undefined
  /** Events that came while tables are looked at. */
  #held: Buffer[] | undefined
  /** Where reading begins again when everything before the last boundary is queued. */
  #resume: Boundary | undefined
  #begun = Promise.withResolvers<void>()
  #expected: number | null
  #lost: QianzhiError | undefined
  #timer: NodeJS.Timeout | undefined
  #closing = false
  #syncs = true
  /** When somebody last set whether commits are ordered. */
  #orderSet = ''

  private constructor(writer: Session, from: WrittenPlace, feeds: readonly Feed[], onWritten: () => void) {
    this.#writer = writer
    this.#feeds = feeds
    this.#onWritten = onWritten
    this.#expected = from.made
    const at = { file: from.file, place: from.place }
    this.#queues = new QueueWriter(writer, at)
    this.#progress = new LogProgress<Place>(at, comparePlaces)
    this.#last = { ...at, made: from.made ?? 0 }
    this.#begun.promise.catch(() => {})
    this.#events = new LogEvents<Feed>(at, {
      table: (database, table) => this.#reads(database, table),
      key: (feed, key) => this.#into.key(feed, key),
      unknown: (feed) => this.#into.marks.add(feed),
      statement: (text, database) => this.#statement(text, database),
      branch: () => (this.#into = new Keys()),
      prepared: (xid) => this.#prepared(xid),
      ended: (xid, how) => this.#ended(xid, how),
      boundary: () => this.#boundary(),
      file: (made) => this.#file(made),
      brokeDown: () => {
        if (!this.#syncs) this.#markAll()
      },
      gap: () => this.#markAll(),
    })
  }

  /** Throws LostThread where what stands behind the place is not to be had. */
  static async open(
    options: DatabaseOptions,
    from: WrittenPlace,
    sources: readonly SourceTable[],
    onWritten: () => void,
  ): Promise<LogReader> {
    const writer = await Session.open(options)
    const feeds = sources.map((source): Feed => {
      const { database, name } = tablePlace(writer, source.table)
      return { source, database, table: name, key: undefined }
    })
    const reader = new LogReader(writer, from, feeds, onWritten)
    try {
      await reader.#start(from)
      return reader
    } catch (error) {
      await reader.close()
      throw error
    }
  }

  async #start(from: WrittenPlace): Promise<void> {
    const [row] = await this.#writer.rows('select @@session.sql_log_bin, @@global.sync_binlog')
    if (Number(row![0]) !== 1) throw this.#unreachable({ zh: 'sql_log_bin 为 0', en: 'sql_log_bin is 0' })
    this.#syncs = Number(row![1]) === 1
    await this.#writer.run(`set session lock_wait_timeout = ${lookWaitSeconds}`)
    this.#orderSet = await this.#whenOrderWasSet()
    await this.#lookAtTables()
    this.#dump = await LogDump.start(
      { url: this.#writer.url, replica: replicaOf(this.#writer, from.server), from },
      { event: (bytes, at, to) => this.#event(bytes, at, to), ended: (reason, number) => this.#lose(reason, number) },
    ).catch((error: unknown) => {
      throw this.#unreachable(reasonOf(error))
    })
    await this.#begun.promise
    this.#timer = setInterval(() => void this.#beat(), beatMs).unref()
  }

  #unreachable(reason: string | LocalizedText): QianzhiError {
    return new QianzhiError('QZ-DB-UNREACHABLE', { database: this.#writer.server.database, reason })
  }

  reads({ resource }: SourceTable): boolean {
    return this.#lost === undefined && this.#feeds.some(({ source }) => source.resource === resource)
  }

  /** These are not read any more. */
  leave(resources: readonly string[]): void {
    this.#feeds = this.#feeds.filter(({ source }) => !resources.includes(source.resource))
    this.#events.forget()
  }

  /** Returns when all that stands before `target` in the log is queued. Throws QZ-DB-UNREACHABLE. */
  caughtUp(target: Place): Promise<void> {
    return this.#progress.until(target)
  }

  /** Tables are looked at again before what is read next. */
  async lookAgain(): Promise<void> {
    this.#held ??= []
    await this.#lookAtTables()
    this.#release()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    // What is pending is read again.
    this.#closing = true
    await this.#pumping?.catch(() => {})
    if (!this.#lost) await this.#queues.writeDown(this.#resume).catch(() => {})
    this.#lose({ zh: '已关闭', en: 'it was closed' })
    await this.#writer.close()
  }

  #event(bytes: Buffer, at: number, to: number): void {
    if (this.#lost) return
    if (this.#held) {
      this.#held.push(Buffer.from(bytes.subarray(at, to)))
      return
    }
    try {
      this.#events.take(bytes, at, to)
    } catch (error) {
      return this.#lose(reasonOf(error))
    }
    if (this.#pending.count >= mostPending) this.#dump.pause()
    this.#pump()
  }

  #file(made: number): void {
    if (this.#expected !== null && this.#expected !== made)
      return this.#lose({ zh: '日志已重建', en: 'the log was begun anew' }, notToBeHad)
    this.#expected = null
    this.#last.made = made
    this.#begun.resolve()
  }

  /** Nothing is open here; while transactions are prepared, reading goes on where the first of them began. */
  #boundary(): void {
    const end = { ...this.#events.at, made: this.#last.made }
    this.#last = end
    if (this.#into !== this.#pending) this.#pending.add(this.#into)
    this.#into = this.#pending
    const [oldest] = this.#branches.values()
    this.#pending.end = { ...end, resume: oldest?.from ?? end }
  }

  #prepared(xid: string): void {
    // One that is not told before its rows has them in what is queued already: its end is of an unknown one.
    if (this.#into === this.#pending) return
    this.#branches.set(xid, { keys: this.#into, from: this.#last })
    this.#into = this.#pending
  }

  #ended(xid: string, how: 'commit' | 'rollback'): void {
    const branch = this.#branches.get(xid)
    this.#branches.delete(xid)
    if (how === 'rollback') return
    this.#pending.ended.add(xid)
    if (branch) this.#pending.add(branch.keys)
    else this.#markAll()
  }

  #markAll(): void {
    for (const feed of this.#feeds) this.#pending.marks.add(feed)
  }

  #statement(text: Buffer, database: string): void {
    const concerned = concernedTables(text, database, this.#feeds)
    if (concerned.length === 0) return
    for (const feed of concerned) this.#pending.marks.add(feed)
    this.lookAgain().catch((error: unknown) => this.#lose(reasonOf(error)))
  }

  #release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    this.#events.forget()
    while (held.length > 0 && !this.#held) {
      const bytes = held.shift()!
      this.#event(bytes, 0, bytes.length)
    }
    // A statement among them has tables looked at once more: the rest waits for that.
    for (const bytes of held) (this.#held as Buffer[] | undefined)?.push(bytes)
    this.#pump()
  }

  async #lookAtTables(): Promise<void> {
    for (const feed of this.#feeds) feed.key = await this.#keyOf(feed)
  }

  async #keyOf({ source, database, table }: Feed): Promise<Feed['key']> {
    try {
      await this.#behindDdl(database, table)
      const plan = await readPlan(this.#writer, source)
      requireWatchable(plan)
      const rows = await this.#writer.rows(
        `select column_name, ordinal_position from information_schema.columns where table_schema = ${quoteText(database)} and table_name = ${quoteText(table)}`,
      )
      const places = new Map(rows.map(([name, place]) => [String(name).toLowerCase(), Number(place) - 1]))
      const columns = new Map(plan.catalog.columns.map((column) => [column.column.toLowerCase(), column]))
      const key = plan.keys.map((reader) => {
        const name = reader.column.toLowerCase()
        return { place: places.get(name)!, value: keyValue(columns.get(name)!, reader)! }
      })
      return key.every(({ place, value }) => place !== undefined && value !== undefined) ? key : undefined
    } catch (error) {
      if (error instanceof QianzhiError && error.code === 'QZ-DB-UNREACHABLE') throw error
      return undefined
    }
  }

  /** DDL is in the log before it is in the catalog; until then it has the table to itself. */
  async #behindDdl(database: string, table: string): Promise<void> {
    await this.#writer.rows(`select 1 from ${quoteName(database)}.${quoteName(table)} limit 0`).catch((error: unknown) => {
      if (!isContention(error)) throw error
    })
  }

  #reads(database: string, table: string): readonly Reads<Feed>[] {
    const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()
    const reading = this.#feeds.filter((feed) => same(feed.database, database) && same(feed.table, table))
    return reading.map((feed) => ({ of: feed, key: feed.key }))
  }

  /** Queues what is pending, one part after the other. */
  #pump(): void {
    if (this.#pumping || this.#lost || this.#closing) return
    const pending = this.#pending
    if (pending.empty && pending.ended.size === 0) {
      if (!pending.end) return
      this.#resume = pending.end.resume
      this.#progress.reached(pending.end)
      if (!this.#queues.shouldWriteDown(this.#resume)) return
    }
    this.#pumping = this.#write()
      .catch((error: unknown) => this.#lose(reasonOf(error)))
      .finally(() => {
        this.#pumping = undefined
        this.#pump()
      })
  }

  async #write(): Promise<void> {
    const pending = this.#pending
    this.#pending = new Pending()
    if (this.#into === pending) this.#into = this.#pending
    this.#dump.resume()
    await this.#queues.visible(pending.ended)
    const end = pending.end
    const resume = end?.resume ?? this.#resume
    if (pending.empty) await this.#queues.writeDown(resume)
    else await this.#queues.queue(pending, resume)
    // Not before: whoever closes meanwhile writes it down.
    this.#resume = resume
    if (end) this.#progress.reached(end)
    if (pending.empty) return
    this.written++
    this.#onWritten()
  }

  async #beat(): Promise<void> {
    try {
      const [row] = await this.#writer.rows(`show global variables like 'binlog_order_commits'`)
      if (row && String(row[1]) === 'OFF') return this.#lose({ zh: 'binlog_order_commits = OFF', en: 'binlog_order_commits = OFF' })
      const set = await this.#whenOrderWasSet()
      if (set === this.#orderSet) return
      // Off for a while: rows may have been read before they were visible.
      this.#orderSet = set
      this.#markAll()
      this.#pump()
    } catch (error) {
      this.#lose(reasonOf(error))
    }
  }

  /** MariaDB has no such setting. */
  async #whenOrderWasSet(): Promise<string> {
    if (this.#writer.server.mariadb) return ''
    const [row] = await this.#writer.rows(
      `select set_time from performance_schema.variables_info where variable_name = 'binlog_order_commits'`,
    )
    return String(row?.[0])
  }

  #lose(reason: string | LocalizedText, number?: number): void {
    if (this.#lost) return
    clearInterval(this.#timer)
    this.#lost = this.#unreachable(reason)
    this.#begun.reject(number === notToBeHad ? new LostThread(typeof reason === 'string' ? reason : reason.en) : this.#lost)
    this.#progress.lose(this.#lost)
    this.#queues.end()
    this.#dump?.close()
    this.#onWritten()
  }
}
