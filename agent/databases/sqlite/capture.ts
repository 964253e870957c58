/** Capture from a SQLite file: the queues that the triggers fill. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { ChainPosition } from '../../../protocol/position.ts'
import type { Capture, Found, Row, Rows, SourceTable, StreamState, StreamStep, Take } from '../../database.ts'
import type { Cell } from '../bookkeeping/session.ts'
import { chunks } from '../bookkeeping/statement.ts'
import { StreamBook, takenFrom, type Queue } from '../bookkeeping/stream-book.ts'
import { bookSession, dialect } from './books.ts'
import { checkKeys, requireWatchable } from './plan.ts'
import { SqliteReading } from './reading.ts'
import { isContention, isMissing, type Raw, type Session } from './session.ts'
import { entryBytes, keyValues, streamTable, triggerEvents, triggerName } from './setup.ts'
import { queueName, quoteText, stored } from './sql.ts'
import { portable } from './types.ts'

export class SqliteCapture implements Capture {
  readonly #session: Session
  readonly #reading: SqliteReading
  readonly #sources: readonly SourceTable[]
  readonly #book: StreamBook

  constructor(session: Session, sources: readonly SourceTable[]) {
    this.#session = session
    this.#reading = new SqliteReading(session)
    this.#sources = sources
    this.#book = new StreamBook(bookSession(session), dialect)
  }

  async checkTable(source: SourceTable): Promise<void> {
    this.#reading.forget(source)
    await this.#reading.work(source, async (plan) => {
      requireWatchable(plan)
      await checkKeys(this.#session, plan)
    })
  }

  async state(source: SourceTable): Promise<StreamState> {
    const state = await this.#asking(source, () => this.#book.state(source.resource))
    if (!state)
      throw notSetUp(source, { zh: `${streamTable} 中没有 ${source.resource}`, en: `${streamTable} has no row for ${source.resource}` })
    return state
  }

  async triggerFingerprint(source: SourceTable): Promise<string> {
    this.#reading.forget(source)
    return this.#reading.work(source, async ({ table, keys }) => {
      const ours = [queueName(source.resource), ...triggerEvents.map((event) => triggerName(source.resource, event))]
      const found = await this.#session.rows(
        `select name, tbl_name, sql from sqlite_schema where name in (${ours.map(quoteText).join(', ')}) order by name`,
      )
      const there = found.filter(([name, of]) => name === ours[0] || String(of).toLowerCase() === table.name.toLowerCase())
      const gone = ours.filter((name) => !there.some((row) => row[0] === name))
      if (gone.length > 0) throw notSetUp(source, { zh: `缺少 ${gone.join(', ')}`, en: `${gone.join(', ')} is missing` })
      const written = String(there.find(([name]) => name === ours[1])![2])
      const columns = keys.map(({ column }) => column)
      if (!written.includes(`${keyValues('new', columns)} where`)) {
        const list = columns.join(', ')
        throw notSetUp(source, { zh: `主键已改为 (${list})`, en: `the key is (${list}) now` })
      }
      const setUp = await this.#session.rows(`select set_up from ${streamTable} where resource = ${quoteText(source.resource)}`)
      return createHash('sha256')
        .update(JSON.stringify([setUp, there.map((row) => row.map(String)), table.made, table.columns]))
        .digest('hex')
    })
  }

  async waiting(): Promise<Set<string>> {
    const queues = this.#sources.map(({ resource }) => quoteText(queueName(resource))).join(', ')
    const found = await this.#session.rows(`select name from sqlite_schema where name in (${queues})`)
    const there = new Set(found.map(([name]) => name))
    const waiting = new Set<string>()
    for (const { resource } of this.#sources) {
      if (!there.has(queueName(resource))) continue
      if ((await this.#session.rows(`select 1 from ${queueName(resource)} limit 1`)).length > 0) waiting.add(resource)
    }
    return waiting
  }

  async take(source: SourceTable, maxKeys: number, inFlight: ReadonlySet<string>): Promise<Take> {
    return this.#reading.work(source, async ({ keys }) => {
      const columns = keys.map((_, i) => `k${i + 1}`).join(', ')
      const sql = `select id, marked, ${columns} from ${queueName(source.resource)} order by id limit ${maxKeys + inFlight.size}`
      const rows = await this.#asking(source, () => this.#session.rows(sql))
      const taken = rows.filter(([id]) => !inFlight.has(String(id))).slice(0, maxKeys)
      return takenFrom(taken as Cell[][], (raw) =>
        keys.map(({ item }, i) => {
          const read = portable(item, raw[i] as Raw)
          return 'value' in read ? read.value : String(raw[i])
        }),
      )
    })
  }

  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.#reading.rowsByKeys(source, keys)
  }

  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#reading.rowsAfter(source, after, limit)
  }

  count(source: SourceTable): Promise<number> {
    return this.#reading.count(source)
  }

  record(source: SourceTable, step: StreamStep): Promise<void> {
    return this.#asking(source, () => this.#book.record(source.resource, step, this.#queueOf(source)))
  }

  mark(source: SourceTable, change: Parameters<Capture['mark']>[1]): Promise<void> {
    return this.#asking(source, () => this.#book.mark(source.resource, change, this.#queueOf(source)))
  }

  #queueOf({ resource }: SourceTable): Queue {
    return {
      forget: async (entries) => {
        for (const some of chunks(entries, 1000))
          await this.#session.run(`delete from ${queueName(resource)} where id in (${some.join(', ')})`)
      },
    }
  }

  requeue(source: SourceTable, keys: readonly Row[], position: ChainPosition): Promise<void> {
    return this.#reading.work(source, ({ keys: columns }) =>
      this.#asking(source, () =>
        this.#session.transaction(async () => {
          const names = columns.map((_, i) => `k${i + 1}`).join(', ')
          const insert = `insert into ${queueName(source.resource)} (${names}) values (${columns.map(() => '?').join(', ')})`
          for (const key of keys)
            await this.#session.run(
              insert,
              columns.map(({ item }, i) => stored(item, key[i]!)),
            )
          await this.#book.place(source.resource, position)
        }),
      ),
    )
  }

  /** Whoever else writes has ended: nothing that is not committed can be missed. */
  async collapse(source: SourceTable): Promise<boolean> {
    try {
      await this.#session.transaction(async () => {
        await this.#session.run(`update ${streamTable} set snapshot = 'needed' where resource = ${quoteText(source.resource)}`)
        await this.#session.run(`delete from ${queueName(source.resource)}`)
      })
      return true
    } catch (error) {
      if (isContention(error)) return false
      throw error
    }
  }

  async backlog(source: SourceTable, bound: number): Promise<{ entries: number; bytes: number; oldest?: Date }> {
    const sql = `select count(*), min(at) from (select at from ${queueName(source.resource)} order by id limit ${bound})`
    const [row] = await this.#asking(source, () => this.#session.rows(sql))
    const [entries, oldest] = [Number(row![0]), row![1]]
    return { entries, bytes: entries * entryBytes, ...(oldest && { oldest: new Date(String(oldest)) }) }
  }

  /** A file wakes nobody. */
  async idle(busy: boolean, signal: AbortSignal): Promise<void> {
    const { pace } = this.#session.options
    await sleep(busy ? pace : 2 * pace, undefined, { signal }).catch(() => {})
  }

  close(): Promise<void> {
    return this.#session.close()
  }

  async #asking<T>(source: SourceTable, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isMissing(error)) throw notSetUp(source, { zh: '缺少配套的表', en: 'its companion tables are missing' }, error)
      if (!isContention(error)) throw error
      throw new QianzhiError('QZ-SOURCE-LOCKED', { table: source.table, reason: reasonOf(error) }, { cause: error })
    }
  }
}

function notSetUp({ table }: SourceTable, reason: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason }, { cause })
}
