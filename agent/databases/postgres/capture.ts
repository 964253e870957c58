/** Capture from PostgreSQL: the queues that the triggers fill, and what the source database remembers of each stream. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import { quoteText } from './sql.ts'
import type {
  Capture,
  DatabaseOptions,
  Found,
  Row,
  RowBlocks,
  Rows,
  SourceTable,
  StreamState,
  StreamStep,
  Take,
  TakenBlocks,
} from '../../database.ts'
import { LogFilled } from '../bookkeeping/log-filled.ts'
import { StreamBook, type Queue } from '../bookkeeping/stream-book.ts'
import { bookSession, dialect, textOf } from './books.ts'
import { isOfStatement, sqlState, withTable, type Connection } from './connection.ts'
import { coverageOf } from './trigger-fingerprint.ts'
import { BlockReader, listEntries } from './block-reader.ts'
import { fewEntries } from './few-at-once.ts'
import { countRows, portableKeys, readAfter, readByKeys, readerOf, type Reader } from './rows.ts'
import { entryKeys, sourceNames } from './setup.ts'
import { flushedPlace, openLog } from './log/open.ts'
import type { LogReader } from './log/reader.ts'
import { Sleeper } from './sleep.ts'
import { sourceTable, tableMembers } from './table.ts'

/** SQLSTATE of a statement that waited for a lock too long. */
const lockNotAvailable = '55P03'
const firstEntries = 16
/** Below, prepared statements are faster than COPY, which is planned each time. */
const fewKeys = 50
const collapseLock = '200ms'
/** Somebody else's lock on one table must not keep the other tables waiting for long. */
const lockWait = '3s'
/** A table that grew since it was last analysed would be read, or sorted, from end to end for each page. */
const byIndex = 'set enable_seqscan = off; set enable_sort = off'
/** Milliseconds for which the queues are not looked at together after one was found locked. */
const lockedMs = 15_000

interface Watched {
  reader: Reader
  /** Tables inherit from it, each with keys of its own. */
  inherited: boolean
  /** Entries to ask for, by what the last ones held. */
  keysPerEntry: number
  /** Where its rows can be read without making values. */
  blocks: BlockReader | undefined
  /** The last look found many keys. */
  many: boolean
}

export class PostgresCapture implements Capture {
  readonly #connection: Connection
  readonly #sources: readonly SourceTable[]
  readonly #book: StreamBook
  readonly #log: LogFilled<LogReader>
  readonly #watched = new Map<SourceTable, Watched>()
  #sleeper!: Sleeper
  #waitingQuery: string | undefined
  #lockedUntil = 0
  /** Rows that came with the keys just taken: of one moment with them, so good for the next call alone. */
  #ahead: { keys: readonly Row[]; rows: Row[] } | undefined

  private constructor(connection: Connection, sources: readonly SourceTable[], url: string) {
    this.#log = new LogFilled(
      () => openLog(connection, url, sources, () => this.#sleeper.wake()),
      async (reader) => reader.caughtUp(await flushedPlace(connection)),
    )
    this.#connection = connection
    this.#sources = sources
    this.#book = new StreamBook(bookSession(connection), dialect)
  }

  /** On a connection that holds the lock; the capture closes it. */
  static async open(connection: Connection, sources: readonly SourceTable[], { url, pace }: DatabaseOptions): Promise<PostgresCapture> {
    const capture = new PostgresCapture(connection, sources, url)
    await connection.script(`set lock_timeout = '${lockWait}'; ${byIndex}`)
    const logged = sources.filter((source) => source.capture === 'log')
    const woken = logged.length > 0 && logged.length === sources.length
    capture.#sleeper = await Sleeper.open(connection, pace, async () => (await capture.waiting()).size > 0, woken)
    await capture.#log.open()
    return capture
  }

  async state(source: SourceTable): Promise<StreamState> {
    const state = await this.#work(source, () => this.#book.state(source.resource))
    if (!state) throw notSetUp(source, { zh: '没有数据流', en: 'it has no stream' })
    return state
  }

  async triggerFingerprint(source: SourceTable): Promise<string> {
    // What was altered is read anew.
    this.#watched.delete(source)
    const coverage = await this.#log.coverage(source, () => this.#work(source, () => coverageOf(this.#connection, source)))
    if (coverage === undefined) throw notSetUp(source, { zh: '缺少复制槽', en: 'its replication slot is missing' })
    return coverage
  }

  async checkTable(source: SourceTable): Promise<void> {
    this.#watched.delete(source)
    await this.#watch(source)
  }

  repeatsKeys(source: SourceTable): boolean {
    return this.#watched.get(source)?.inherited ?? false
  }

  waiting(): Promise<Set<string>> {
    return this.#log.ask(
      () => this.#waiting(),
      ({ size }) => size === this.#sources.length,
    )
  }

  async #waiting(): Promise<Set<string>> {
    this.#waitingQuery ??= await this.#makeWaitingQuery()
    if (this.#waitingQuery === '') return new Set()
    if (performance.now() < this.#lockedUntil) return this.#all()
    try {
      const rows = await this.#connection.prepared(this.#waitingQuery)
      return new Set(rows.map((row) => row[0]!))
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable) throw error
      this.#lockedUntil = performance.now() + lockedMs
      return this.#all()
    }
  }

  #all(): Set<string> {
    return new Set(this.#sources.map(({ resource }) => resource))
  }

  take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    return this.#log.ask(
      () => this.#take(source, maxKeys, inFlight),
      ({ keys }) => keys.length >= maxKeys,
    )
  }

  async #take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    const watched = await this.#watch(source)
    const few = await this.#takeFew(source, watched, inFlight)
    if (few) return few
    const { queue } = sourceNames(source.resource)
    const lists = watched.reader.keys.map((_, i) => `array_to_json(k${i + 1})::text`).join(', ')
    const sql = `select id, cause, ${lists} from ${queue} where id not in (select unnest($1::uuid[])) limit $2`
    const entries: string[] = []
    const keys = new Map<string, Row>()
    let marked = false
    while (keys.size < maxKeys) {
      const limit = Math.ceil((maxKeys - keys.size) / watched.keysPerEntry)
      const rows = await this.#work(source, () => this.#connection.prepared(sql, [[...inFlight, ...entries], limit]))
      let held = 0
      for (const [id, cause, ...texts] of rows) {
        if (keys.size >= maxKeys) break
        entries.push(id!)
        if (cause !== null) marked = true
        else {
          const columns = texts.map((text) => JSON.parse(text!) as string[])
          held += columns[0]!.length
          portableKeys(watched.reader, columns, keys)
        }
      }
      if (rows.length > 0) watched.keysPerEntry = Math.max(1, held / rows.length)
      watched.many = keys.size >= fewKeys
      if (rows.length < limit) break
    }
    return { entries, keys: [...keys.values()], marked }
  }

  /**
   * A few entries and the rows of their keys in one round trip, where every key has one: `rowsByKeys` gives them, if it is asked next. Undefined
   * where there are more.
   */
  async #takeFew(source: SourceTable, { reader, many, inherited }: Watched, inFlight: ReadonlySet<string>): Promise<Take | undefined> {
    if (many || inherited || !reader.entries) return undefined
    const statement = reader.entries(sourceNames(source.resource).queue)
    let found
    try {
      found = await this.#work(source, () => this.#connection.prepared(statement, [[...inFlight]]))
    } catch (error) {
      if (!isOfStatement(error)) throw error
      return undefined
    }
    const few = fewEntries(reader, found)
    if (few?.rows) this.#ahead = { keys: few.take.keys, rows: few.rows }
    return few?.take
  }

  async takeBlocks(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<TakenBlocks | undefined> {
    const watched = await this.#watch(source)
    const { blocks } = watched
    if (!watched.many || !blocks?.pays()) return undefined
    const limit = Math.ceil(maxKeys / watched.keysPerEntry)
    const { queue } = sourceNames(source.resource)
    const listed = await this.#log.ask(
      () => this.#work(source, () => listEntries(this.#connection, queue, limit, inFlight)),
      ({ keys }) => keys >= maxKeys,
    )
    watched.many = listed.keys >= fewKeys
    // Entries may hold far more keys than the last ones did: the other way finds out how many are to be asked for.
    if (!watched.many || listed.marked || listed.keys > 2 * maxKeys) return undefined
    watched.keysPerEntry = Math.max(1, listed.keys / listed.entries.length)
    return this.#work(source, () => blocks.ofEntries(queue, listed))
  }

  async blocksAfter(source: SourceTable, after: Row | null, limit: number): Promise<(RowBlocks & { last: Row | null }) | undefined> {
    const { blocks } = await this.#watch(source)
    return blocks?.pays() ? this.#work(source, () => blocks.after(after, limit)) : undefined
  }

  async rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    const ahead = this.#ahead
    if (ahead && keys.length === ahead.keys.length && keys.every((key, i) => key === ahead.keys[i])) {
      this.#ahead = undefined
      return { rows: ahead.rows, faults: [], missing: [] }
    }
    const { reader } = await this.#watch(source)
    return this.#work(source, () => readByKeys(this.#connection, reader, keys))
  }

  async rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    const { reader } = await this.#watch(source)
    return this.#work(source, () => readAfter(this.#connection, reader, after, limit))
  }

  async count(source: SourceTable): Promise<number> {
    const { reader } = await this.#watch(source)
    await this.#connection.script('set enable_seqscan = on')
    try {
      return await this.#work(source, () => countRows(this.#connection, reader))
    } finally {
      await this.#connection.script(byIndex)
    }
  }

  async record(source: SourceTable, step: StreamStep): Promise<void> {
    await this.#work(source, () => this.#book.record(source.resource, step, this.#queueOf(source)))
    if (step.entries.length > 0) await this.#sleeper.worked(step.entries.length)
  }

  /**
   * A mark that the queue was full is left: transactions that are still open may have written nothing because of it, so only `collapse` may
   * remove it.
   */
  #queueOf({ resource }: SourceTable): Queue {
    const forget = (place: string) =>
      `delete from ${sourceNames(resource).queue} where id = any(${place}::uuid[]) and cause is distinct from 'limit'`
    return {
      forget: async (entries) => {
        if (entries.length > 0) await this.#connection.prepared(forget('$1'), [entries])
      },
      // One statement, so one round trip.
      moveAndForget: async (move, entries) => {
        const { text, values } = textOf(move)
        const gone = `${forget(`$${values.length + 1}`)} and exists (select from moved)`
        const sql = `with moved as (${text} returning 1), gone as (${gone}) select count(*) from moved`
        const [row] = await this.#connection.prepared(sql, [...values, entries])
        return row![0] === '1'
      },
    }
  }

  async requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    const { reader } = await this.#watch(source)
    const { queue } = sourceNames(source.resource)
    const places = reader.keys.map((_, i) => `k${i + 1}`)
    await this.#work(source, () =>
      this.#connection.transaction(async () => {
        for (let from = 0; from < keys.length; from += entryKeys) {
          const part = keys.slice(from, from + entryKeys)
          const lists = places.map((_, i) => part.map((key) => key[i]))
          await this.#connection.query(
            `insert into ${queue} (${places.join(', ')}) values (${places.map((_, i) => `$${i + 1}`).join(', ')})`,
            lists,
          )
        }
        await this.#book.place(source.resource, position)
      }),
    )
  }

  async mark(source: SourceTable, change: { snapshot?: 'needed'; coverage?: string; entries?: readonly string[] }): Promise<void> {
    const { queue } = sourceNames(source.resource)
    const entries = change.entries ?? []
    if (change.snapshot && entries.length > 0) {
      const full = `select from ${queue} where id = any($1::uuid[]) and cause = 'limit' limit 1`
      const found = await this.#work(source, () => this.#connection.query(full, [entries]))
      if (found.length > 0) await this.collapse(source)
    }
    await this.#work(source, () => this.#book.mark(source.resource, change, this.#queueOf(source)))
  }

  async collapse(source: SourceTable): Promise<boolean> {
    const { queue } = sourceNames(source.resource)
    try {
      await this.#work(source, () =>
        this.#connection.script(
          `begin; set local lock_timeout = '${collapseLock}'; truncate ${queue};
           update qianzhi.stream set snapshot = 'needed', began_epoch = null, began_seq = null, after_key = null
             where resource = ${quoteText(source.resource)};
           commit`,
        ),
      )
      return true
    } catch (error) {
      await this.#connection.script('rollback')
      if (sqlState(error) === lockNotAvailable) return false
      throw error
    }
  }

  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    const { queue } = sourceNames(source.resource)
    const size = () =>
      this.#connection.query(
        `select count(*), pg_relation_size('${queue}'), extract(epoch from min(at)) * 1000 from (select at from ${queue} limit $1) q`,
        [bound],
      )
    const [row] = await this.#log.ask(() => this.#work(source, size))
    const [entries, bytes, oldest] = row!
    return { entries: Number(entries), bytes: Number(bytes), ...(oldest && { oldest: new Date(Number(oldest)) }) }
  }

  idle(busy: boolean, signal: AbortSignal): Promise<void> {
    return this.#sleeper.idle(busy, signal)
  }

  async close(): Promise<void> {
    await this.#log.close()
    await this.#connection.close()
  }

  async #watch(source: SourceTable): Promise<Watched> {
    let watched = this.#watched.get(source)
    if (!watched) {
      const table = await sourceTable(this.#connection, source.table)
      const inherited = table.kind === 'r' && (await tableMembers(this.#connection, table.oid)).length > 1
      const reader = readerOf(source, table)
      const blocks = inherited ? undefined : BlockReader.of(this.#connection, reader)
      this.#watched.set(source, (watched = { reader, inherited, keysPerEntry: entryKeys / firstEntries, blocks, many: false }))
    }
    return watched
  }

  /** Sources that are not set up have no queue and are left out until the capture is opened again. */
  async #makeWaitingQuery(): Promise<string> {
    const parts: string[] = []
    for (const { resource } of this.#sources) {
      const { queue } = sourceNames(resource)
      const [row] = await this.#connection.query('select to_regclass($1)', [queue])
      if (row![0] !== null) parts.push(`select ${quoteText(resource)} where exists (select from ${queue})`)
    }
    return parts.join(' union all ')
  }

  /** A missing queue or stream is a missing set-up, and a lock that is not to be had holds this source only; everything else keeps its code. */
  async #work<T>(source: SourceTable, work: () => Promise<T>): Promise<T> {
    this.#ahead = undefined
    try {
      return await work()
    } catch (error) {
      if (sqlState(error) === lockNotAvailable) throw locked(source, error)
      throw withTable(error, source.table, 'QZ-SOURCE-NOT-SET-UP')
    }
  }
}

function locked({ table }: SourceTable, error: unknown): QianzhiError {
  const cause = error instanceof QianzhiError ? error.cause : error
  return new QianzhiError('QZ-SOURCE-LOCKED', { table, reason: reasonOf(cause) }, { cause })
}

export function notSetUp(source: SourceTable, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table: source.table, reason })
}
