/**
 * Reads the log and queues the keys of what has changed, in the place of triggers. It needs two sessions of its own: one at which the server
 * streams, one that writes into the queues, whatever the agent does with them meanwhile.
 *
 * A transaction is streamed before others can see it: its commit stands in the log before its rows are visible. A key that was queued then
 * could be read too early and would be lost, so nothing is queued before the server says that the transaction is visible (`#visible`).
 *
 * Queued without waiting for the disk; the slot is told only what was flushed (`#confirm`), so what a crash takes from the queues is streamed
 * again. Twice queued is once too often and does no harm: the rows are read as they are then.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../../protocol/errors.ts'
import type { LocalizedText } from '../../../../protocol/localized.ts'
import type { SourceTable } from '../../../database.ts'
import { sqlState, type Connection } from '../connection.ts'
import type { KeyReading } from '../row-queries.ts'
import { isValueError, keyReading } from '../rows.ts'
import { entryKeys, sourceNames } from '../setup.ts'
import { findTable, tableMembers, type Table } from '../table.ts'
import { LogProgress } from '../../bookkeeping/log-progress.ts'
import { LogMessages, relationMessage, type LoggedColumn, type Relation } from './messages.ts'
import { dropSlot, freeSlot, type Slot } from './slot.ts'
import { heartbeatMs, SlotStream } from './stream.ts'

/** Keys that are kept in memory at most before the server is kept waiting. */
const mostPending = 50_000
/** Milliseconds after which a server is asked how far it is. */
const [firstNudgeMs, longestNudgeMs] = [4, 100]
/** Bytes of log without anything for us after which the slot may move on. */
const idleBytes = 1n << 20n

/** What one source's queue is fed by. */
interface Feed {
  source: SourceTable
  queue: string
  /** Of the table when it was looked at last; empty where it was not there. */
  oid: string | undefined
  /** As the table is now; undefined where it is not there, or has lost its key. */
  as: { keys: readonly KeyReading[]; insert: string } | undefined
}

/** What was streamed and is not queued yet. */
class Pending {
  readonly keys = new Map<Feed, (string | null)[][]>()
  readonly marks = new Map<Feed, Set<string>>()
  /** Transactions that these are of. */
  readonly xids = new Set<number>()
  count = 0
  /** Place in the log up to which all is in here, or was before. */
  end: bigint | undefined
  /** The transaction that is being streamed. */
  xid: number | undefined

  constructor(xid?: number) {
    this.xid = xid
  }

  key(feed: Feed, key: readonly (string | null)[]): void {
    let columns = this.keys.get(feed)
    if (!columns) this.keys.set(feed, (columns = key.map(() => [])))
    for (let i = 0; i < key.length; i++) columns[i]!.push(key[i]!)
    this.count++
    this.xids.add(this.xid!)
  }

  mark(feed: Feed, what: string): void {
    const marks = this.marks.get(feed)
    if (marks) marks.add(what)
    else this.marks.set(feed, new Set([what]))
    this.xids.add(this.xid!)
  }
}

export class LogReader {
  /** Grows with everything that is queued. */
  written = 0
  readonly #stream: SlotStream
  readonly #writer: Connection
  readonly #slot: Slot
  readonly #feeds: readonly Feed[]
  /** Who reads a table, by its OID: of partitions, too. */
  readonly #readers = new Map<number, readonly Feed[]>()
  readonly #onWritten: () => void
  readonly #messages: LogMessages<Feed>
  readonly #progress: LogProgress<bigint>
  #pending = new Pending()
  #pumping: Promise<void> | undefined
  /** What the relation that is told next is, is known. */
  #lookedUp = false
  /** `written` when the place was last written down. */
  #writtenThen = 0
  #lost: QianzhiError | undefined
  #timer: NodeJS.Timeout | undefined
  #nudging: NodeJS.Timeout | undefined

  private constructor(stream: SlotStream, writer: Connection, slot: Slot, feeds: readonly Feed[], onWritten: () => void) {
    this.#stream = stream
    this.#writer = writer
    this.#slot = slot
    this.#feeds = feeds
    this.#onWritten = onWritten
    this.#progress = new LogProgress(slot.confirmed, (a, b) => Number(a - b))
    this.#messages = new LogMessages<Feed>({
      begin: (xid) => (this.#pending.xid = xid),
      commit: (end) => {
        this.#pending.xid = undefined
        this.#pending.end = end
      },
      relation: (oid, columns) => this.#relation(oid, columns),
      key: (feed, key) => this.#pending.key(feed, key),
      unknown: (feed, what) => this.#pending.mark(feed, what),
    })
  }

  /** On a session of its own for writing, which it closes. `onWritten` is called whenever something was queued, and when the reading has ended. */
  static async open(
    { url, writer, slot }: { url: string; writer: Connection; slot: Slot },
    sources: readonly SourceTable[],
    onWritten: () => void,
  ): Promise<LogReader> {
    let stream: SlotStream | undefined
    try {
      await freeSlot(writer, slot.name)
      await writer.script('set synchronous_commit = off')
      const feeds = sources.map((source): Feed => ({ source, queue: sourceNames(source.resource).queue, oid: undefined, as: undefined }))
      stream = await SlotStream.open(url, slot)
      const reader = new LogReader(stream, writer, slot, feeds, onWritten)
      await reader.#lookAtTables()
      reader.#start()
      return reader
    } catch (error) {
      await stream?.close()
      await writer.close()
      throw error instanceof QianzhiError
        ? error
        : new QianzhiError('QZ-DB-UNREACHABLE', { database: writer.database, reason: reasonOf(error) }, { cause: error })
    }
  }

  reads({ resource }: SourceTable): boolean {
    return this.#lost === undefined && this.#feeds.some(({ source }) => source.resource === resource)
  }

  /** Returns when all that stands before `target` in the log is queued. Throws QZ-DB-UNREACHABLE. */
  async caughtUp(target: bigint): Promise<void> {
    const reached = this.#progress.until(target)
    if (this.#progress.isAwaited) this.#nudge(firstNudgeMs)
    return reached
  }

  /** A server (seen on version 18) may miss that there is more to stream, until somebody speaks to it or more is written. */
  #nudge(after: number): void {
    this.#nudging ??= setTimeout(() => {
      this.#nudging = undefined
      if (!this.#progress.isAwaited) return
      this.#stream.say(true)
      this.#nudge(Math.min(2 * after, longestNudgeMs))
    }, after)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#pumping?.catch(() => {})
    if (!this.#lost) {
      await this.#confirm().catch(() => {})
      await this.#stream.hangUp()
    }
    this.#lose({ zh: '已关闭', en: 'it was closed' })
    await this.#stream.close()
    await freeSlot(this.#writer, this.#slot.name).catch(() => {})
    await this.#writer.close()
  }

  #start(): void {
    this.#writer.onLost = () => this.#lose({ zh: '连接已断开', en: 'the connection ended' })
    this.#timer = setInterval(() => void this.#beat(), heartbeatMs).unref()
    this.#stream.start(this.#slot, {
      message: (bytes, at) => this.#message(bytes, at),
      sent: (end) => {
        // Within a transaction the place may lie behind its first changes.
        if (this.#pending.xid === undefined) this.#pending.end = end
      },
      told: () => {
        this.#pump()
        if (this.#pending.count >= mostPending) this.#stream.pause()
      },
      ended: (reason, state) => {
        // A publication that was not there when something was written can never be read past: the thread begins anew.
        if (state === '42704') void dropSlot(this.#writer, this.#slot.name).catch(() => {})
        this.#lose(reason)
      },
    })
  }

  /** A relation that is told for the first time, or anew, may be a new partition, or have another key: reads on when that is known. */
  #message(bytes: Buffer, at: number): boolean {
    const isRelation = bytes[at] === relationMessage
    if (isRelation && !this.#lookedUp) {
      this.#findTables().catch((error: unknown) => this.#lose(reasonOf(error)))
      return false
    }
    this.#messages.take(bytes, at)
    if (isRelation) this.#lookedUp = false
    return true
  }

  async #findTables(): Promise<void> {
    await this.#lookAtTables()
    this.#lookedUp = true
    this.#stream.goOn()
  }

  async #lookAtTables(): Promise<void> {
    this.#readers.clear()
    for (const feed of this.#feeds) {
      const table = await findTable(this.#writer, feed.source.table)
      feed.as = table && insertOf(feed, table)
      // What is told of a table while another one, or none, has its name is not read.
      if (feed.oid !== undefined && feed.oid !== (table?.oid ?? '')) this.#pending.mark(feed, 'update')
      feed.oid = table?.oid ?? ''
      if (!table) continue
      for (const { oid } of await tableMembers(this.#writer, table.oid))
        this.#readers.set(Number(oid), [...(this.#readers.get(Number(oid)) ?? []), feed])
    }
  }

  #relation(oid: number, columns: readonly LoggedColumn[]): readonly Relation<Feed>[] {
    return (this.#readers.get(oid) ?? []).map((feed) => {
      const places = (feed.as?.keys ?? []).map(({ column }) => columns.findIndex(({ name, identity }) => name === column && identity))
      return { of: feed, places: places.length === 0 || places.includes(-1) ? undefined : places }
    })
  }

  /** Queues what is pending, one part after the other. */
  #pump(): void {
    if (this.#pumping) return
    const { end, xids } = this.#pending
    if (xids.size === 0) {
      if (end !== undefined) this.#progress.reached(end)
      return
    }
    this.#pumping = this.#write()
      .catch((error: unknown) => this.#lose(reasonOf(error)))
      .finally(() => {
        this.#pumping = undefined
        if (!this.#lost) this.#pump()
      })
  }

  async #write(): Promise<void> {
    const pending = this.#pending
    this.#pending = new Pending(pending.xid)
    this.#stream.resume()
    await this.#visible([...pending.xids])
    for (const feed of this.#feeds) {
      const columns = pending.keys.get(feed)
      const marks = pending.marks.get(feed)
      if (!columns && !marks) continue
      await this.#queue(feed, columns, marks ?? new Set())
    }
    this.written++
    if (pending.end !== undefined) this.#progress.reached(pending.end)
    this.#onWritten()
  }

  /** Keys that are none any more are a mark: all is to be read. */
  async #queue({ queue, as }: Feed, columns: (string | null)[][] | undefined, marks: Set<string>): Promise<void> {
    try {
      if (columns && as?.keys.length === columns.length)
        await this.#writer.prepared(as.insert, columns).catch((error: unknown) => {
          if (!isValueError(error)) throw error
          marks.add('update')
        })
      else if (columns) marks.add('update')
      for (const mark of marks) await this.#writer.query(`insert into ${queue} (cause) values ($1)`, [mark])
    } catch (error) {
      // Whoever took the queue away, or made one for another key, has ended the stream: it begins with a snapshot.
      if (!['42P01', '42703', '23514'].includes(sqlState(error) ?? '')) throw error
    }
  }

  async #visible(xids: readonly number[]): Promise<void> {
    for (;;) {
      const [row] = await this.#writer.prepared(visibleQuery, [xids])
      if (row![0] === 't') return
      await sleep(1)
    }
  }

  /** Writes down what is queued, flushed with all that was written before it, and lets the server forget it. */
  async #confirm(): Promise<void> {
    const { done } = this.#progress
    if (done <= this.#stream.confirmed) return
    const place = `'${(done >> 32n).toString(16)}/${(done & 0xffff_ffffn).toString(16)}'::pg_lsn`
    await this.#writer.script(`begin; set local synchronous_commit = on; update qianzhi.log set lsn = ${place}; commit`)
    this.#stream.confirm(done)
  }

  async #beat(): Promise<void> {
    if (this.#stream.isSilent) return this.#lose({ zh: '无答复', en: 'no answer' })
    try {
      if (this.#writtenThen !== this.written || this.#progress.done - this.#stream.confirmed > idleBytes) {
        this.#writtenThen = this.written
        await this.#confirm()
      }
      this.#stream.say(true)
    } catch (error) {
      this.#lose(reasonOf(error))
    }
  }

  #lose(reason: string | LocalizedText): void {
    if (this.#lost) return
    clearInterval(this.#timer)
    clearTimeout(this.#nudging)
    this.#lost = new QianzhiError('QZ-DB-UNREACHABLE', { database: this.#writer.database, reason })
    this.#progress.lose(this.#lost)
    this.#stream.cut()
    this.#onWritten()
  }
}

/** `$1`: transactions by the lower half of their numbers, as the log has them. */
const visibleQuery = `
  select bool_and(pg_visible_in_snapshot(
    (base - (base & 4294967295) + x + case when x - (base & 4294967295) > 2147483648 then -4294967296
      when x - (base & 4294967295) < -2147483648 then 4294967296 else 0 end)::text::xid8, s))
  from (select s, pg_snapshot_xmax(s)::text::bigint as base from pg_current_snapshot() s offset 0) c, unnest($1::bigint[]) x`

/**
 * Over the limit nothing but one mark is written. What is queued is visible already, so whoever removes the mark and takes a snapshot meets
 * the rows whose keys were left out.
 */
function insertOf({ source, queue }: Feed, table: Table): Feed['as'] {
  let keys
  try {
    keys = keyReading(source, table)
  } catch {
    return undefined
  }
  const names = keys.map((_, i) => `k${i + 1}`)
  // By the type's own cast, as triggers write it: of some types it is not what the server prints.
  const texts = keys.map(({ cast }, i) => `array_agg(k${i + 1}::${cast}::text collate "C")`)
  const insert = `with full_queue as (select pg_relation_size('${queue}') > ${source.queueLimit} as is_full)
    insert into ${queue} (cause, ${names.join(', ')})
    select 'limit', ${names.map(() => 'null::text[]').join(', ')} from full_queue where is_full and not exists (select from ${queue} where cause = 'limit')
    union all
    select null, ${texts.join(', ')} from (
      select (row_number() over () - 1) / ${entryKeys} as part, ${names.join(', ')}
      from unnest(${names.map((_, i) => `$${i + 1}::text[]`).join(', ')}) u(${names.join(', ')})
      where not (select is_full from full_queue)) u
    group by part`
  return { keys, insert }
}
