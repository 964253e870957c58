/**
 * Delivery into tables, the same on every engine. A route has a live table and, while it is filled anew, a shadow beside it:
 *
 *   readers ─► live    ◄─ batches                 a restart: another shape, a new first load
 *   readers ─► live       shadow ◄─ batches       readers go on seeing the old rows
 *   readers ─► live ◄═ swap ═ shadow              caught up: old rows or new ones, nothing between
 *
 * The live table takes the shadow's rows in one transaction and stays the same table, with all that is not delivered: rows, columns, indexes,
 * triggers, rights. Where DDL cannot be undone it is brought to the new shape before; a swap that was cut short is done again.
 */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import {
  addedColumns,
  sameShape,
  TableAltered,
  type Applied,
  type ArrivedBatch,
  type Change,
  type Delivery,
  type Part,
  type Prepared,
  type Removal,
  type Replayed,
  type SinkState,
  type SinkTable,
} from '../../database.ts'
import { BatchApplier } from './apply.ts'
import type { PreparedBatch } from './batch.ts'
import { QuarantineBook } from './quarantine-book.ts'
import { asSource } from './read-back.ts'
import { removeRoute } from './removal.ts'
import { RouteBook, type StoredState } from './route-book.ts'
import type { OpenPart, SinkEngine, TableFacts, Target } from './sink-engine.ts'
import { raw } from './statement.ts'

type Opened = Awaited<ReturnType<Delivery['open']>>

export class TableDelivery<Table extends TableFacts, Batch extends PreparedBatch> implements Delivery {
  readonly #engine: SinkEngine<Table, Batch>
  readonly #close: () => Promise<void>
  readonly #routes: RouteBook
  readonly #quarantine: QuarantineBook
  readonly #applier: BatchApplier<Table, Batch>
  /** By part and route; forgotten when tables are made anew. */
  readonly #parts = new Map<string, OpenPart<Table>>()
  /** Tables of the routes that were opened. */
  readonly #claims = new Map<string, { identity: string; sink: SinkTable }>()
  /** Several routes share the session: their calls take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  /** On a session that holds the lock; `close` ends it. */
  constructor(engine: SinkEngine<Table, Batch>, close: () => Promise<void>) {
    this.#engine = engine
    this.#close = close
    this.#routes = new RouteBook(engine.session, engine.dialect)
    this.#quarantine = new QuarantineBook(engine.session, engine.dialect)
    this.#applier = new BatchApplier(engine, this.#routes, this.#quarantine)
  }

  open(sink: SinkTable): Promise<Opened> {
    return this.#working(sink, async () => {
      await this.#engine.makeBooks()
      this.#forget(sink)
      await this.#claim(sink)
      await this.#takeOver(sink)
      const { live, left, local } = await this.#openLive(sink)
      // It may have been made just now.
      await this.#claim(sink)
      const shadow = await this.#soundShadow(sink)
      return { live: plainState(live), shadow: shadow ? plainState(shadow) : null, ...(left && { left }), ...(local && { local }) }
    })
  }

  /** Two routes may share one table only as routes of a standard: also where the configuration spells it in two ways. Throws QZ-SINK-TABLE. */
  async #claim(sink: SinkTable): Promise<void> {
    const identity = await this.#engine.identity(sink.table)
    this.#claims.delete(sink.route)
    if (identity === undefined) return
    const other = Array.from(this.#claims.values()).find((one) => one.identity === identity && one.sink.table !== sink.table)
    if (other && !(other.sink.shared && sink.shared && other.sink.source !== sink.source))
      throw this.#engine.unfit(sink, {
        zh: `它就是 ${other.sink.table}，${other.sink.resource}（${other.sink.source}）已落地到此表`,
        en: `it is ${other.sink.table}, into which ${other.sink.resource} (${other.sink.source}) is delivered already`,
      })
    this.#claims.set(sink.route, { identity, sink })
  }

  /**
   * A later grant of a resource fills the table that an earlier one filled: its rows are this route's now, and it goes on from where the other
   * one was, so that no row goes back. Throws QZ-SINK-TABLE while rows are being removed from the table.
   */
  async #takeOver(sink: SinkTable): Promise<void> {
    for (const { route, removal } of await this.#routes.othersOf(sink)) {
      if (removal)
        throw this.#engine.unfit(sink, {
          zh: `已结束的授权 ${route} 的数据正在清除`,
          en: `the rows of ended route ${route} are being removed from it`,
        })
      await this.#engine.session.transaction(() => this.#routes.inherit(sink, route))
    }
  }

  /** Until its first batch the table follows the sink; afterwards another shape is only told of: the caller fills a shadow. */
  async #openLive(sink: SinkTable): Promise<{ live: StoredState; left?: string; local?: number }> {
    const engine = this.#engine
    const before = await this.#routes.read(sink.route, 'live')
    const identity = await engine.identity(sink.table)
    const there = identity !== undefined
    const elsewhere = before?.table && before.table !== sink.table && (!there || (await engine.identity(before.table)) !== identity)
    const left = elsewhere ? before.table! : undefined
    // A table that somebody dropped begins again; so does one of another name.
    const fresh = !there || left !== undefined || !before?.position
    if (!fresh && !sameShape(before, sink)) return { live: before }
    if (there && fresh && sink.ownTable && !(await engine.wasDelivered(sink.table))) throw engine.unfit(sink, foreignTable)
    await this.#undoable(async () => {
      if (there && before && !left) await engine.follow(sink, fresh || before.schemaVersion !== sink.schema.version)
      else if (there && (await engine.wasDelivered(sink.table))) await engine.follow(sink, true)
      const table = await engine.provide(sink, 'live')
      if (!fresh) await this.#routes.noteTable(sink)
      this.#parts.set(partKey(sink, 'live'), { table, quarantine: before?.quarantine ?? 0 })
    })
    if (fresh) await engine.session.transaction(() => this.#routes.writeFresh(sink, 'live', before))
    const live = (await this.#routes.read(sink.route, 'live'))!
    this.#parts.get(partKey(sink, 'live'))!.quarantine = live.quarantine
    return { live, ...(left && { left }), ...(fresh && there && { local: await this.#localRows(sink) }) }
  }

  #localRows(sink: SinkTable): Promise<number> {
    const keys = sink.columns.filter(({ item }) => item.key)
    return this.#engine.reading().count(asSource(sink, sink.table, keys, [{ column: addedColumns.source, value: null }]))
  }

  /** Changes of tables in one transaction, where that can be. */
  #undoable<T>(work: () => Promise<T>): Promise<T> {
    return this.#engine.transactionalDdl ? this.#engine.session.transaction(work) : work()
  }

  /** A shadow whose table is gone, or that was filled for a table of another name, is none. */
  async #soundShadow(sink: SinkTable): Promise<StoredState | null> {
    const shadow = await this.#routes.read(sink.route, 'shadow')
    if (!shadow) return null
    const table = this.#engine.partTable(sink, 'shadow')
    if ((shadow.table === null || shadow.table === sink.table) && (await this.#engine.identity(table)) !== undefined) return shadow
    await this.#engine.session.transaction(() => this.#routes.forget(sink.route, 'shadow'))
    await this.#engine.drop(table)
    return null
  }

  beginShadow(sink: SinkTable): Promise<void> {
    return this.#working(sink, async () => {
      this.#forget(sink)
      await this.#undoable(async () => {
        await this.#engine.drop(this.#engine.partTable(sink, 'shadow'))
        await this.#engine.makeShadow(sink)
        this.#parts.set(partKey(sink, 'shadow'), { table: await this.#engine.provide(sink, 'shadow'), quarantine: 0 })
      })
      await this.#engine.session.transaction(() => this.#routes.writeFresh(sink, 'shadow'))
    })
  }

  swap(sink: SinkTable): Promise<Pick<Applied, 'quarantine'>> {
    return this.#working(sink, async () => {
      const [live, shadow] = [await this.#routes.read(sink.route, 'live'), await this.#routes.read(sink.route, 'shadow')]
      if (!shadow?.position) throw this.#engine.unfit(sink, { zh: '没有已填充的影子表', en: 'it has no filled shadow to put in its place' })
      this.#forget(sink)
      await this.#copyRows(sink, live!, shadow)
      return { quarantine: await this.#quarantine.count(sink, 'live') }
    })
  }

  /** Readers see the old rows or the new ones: rows and state move in one transaction. Other routes' rows stay as they are. */
  async #copyRows(sink: SinkTable, live: StoredState, shadow: StoredState): Promise<void> {
    const engine = this.#engine
    if ((await engine.identity(sink.table)) === undefined) await engine.provide(sink, 'live')
    const ended = await this.#ended(sink, live)
    const followed = engine.transactionalDdl ? undefined : await engine.followShadow(sink, live)
    const follow = async () => {
      const table = followed ?? (await engine.followShadow(sink, live))
      if (ended.length > 0)
        await engine.empty(
          sink,
          ended.map(({ column }) => column),
        )
      return table
    }
    await this.#applier.takeShadow(sink, { position: shadow.position!, follow, finish: () => this.#routes.shadowToLive(sink) })
    await engine.drop(engine.partTable(sink, 'shadow'))
    const registered = new Set(sink.schema.items.map(({ id }) => id))
    // Another agency may still be at the version before, in the same table.
    const theirs = await this.#routes.othersColumns(sink)
    const vanished = ended.filter(({ id, column }) => !registered.has(id) && !theirs.has(column))
    if (vanished.length > 0)
      await engine.dropColumns(
        sink,
        vanished.map(({ column }) => column),
      )
  }

  /** Columns that were delivered and no longer are: their old values must not stay behind. */
  #ended(sink: SinkTable, live: StoredState): ReturnType<SinkEngine['emptiable']> {
    const kept = new Set(sink.columns.map(({ column }) => column.toLowerCase()))
    const ended = Object.entries(live.columns).flatMap(([id, column]) => (kept.has(column.toLowerCase()) ? [] : [{ id, column }]))
    return this.#engine.emptiable(sink, ended, live)
  }

  prepare(sink: SinkTable, change: Change): Prepared {
    return this.#engine.prepare(sink, change)
  }

  prepareBlocks(sink: SinkTable, part: Part, arrived: ArrivedBatch): Prepared | undefined {
    const open = this.#parts.get(partKey(sink, part))
    return open && this.#engine.prepareBlocks?.(sink, open.table, arrived)
  }

  apply(sink: SinkTable, part: Part, prepared: Prepared): Promise<Applied> {
    return this.#working(sink, async () => {
      const target = await this.#target(sink, part)
      try {
        return await this.#applier.apply(target, prepared as Batch)
      } catch (error) {
        throw await this.#alteredSince(target, error)
      }
    })
  }

  /** The same error, or, where the table was altered since it was looked at, one that says so. */
  async #alteredSince({ sink, part, open }: Target<Table>, error: unknown): Promise<unknown> {
    const coded = this.#engine.tableError(sink, error)
    if (!(coded instanceof QianzhiError) || coded.code !== 'QZ-SINK-TABLE') return error
    const now = await this.#engine.shapeOf(sink, part, undefined).catch(() => undefined)
    return now?.own === open.shape?.own ? error : asAltered(coded)
  }

  replay(sink: SinkTable, part: Part): Promise<Replayed> {
    return this.#working(sink, async () => this.#applier.replay(await this.#target(sink, part)))
  }

  /**
   * The part as it is now: a table that was altered under way is looked at again. Throws QZ-SINK-TABLE where it cannot be written any more as
   * it should; also where it, or a delivered column, is another one now: what it held may be gone, and the route must fill it anew.
   */
  async #target(sink: SinkTable, part: Part): Promise<Target<Table>> {
    const engine = this.#engine
    const known = this.#parts.get(partKey(sink, part))
    const before = known?.shape
    const shape = await engine.shapeOf(sink, part, before).catch((error: unknown) => {
      throw before ? asAltered(engine.tableError(sink, error)) : error
    })
    const open = known ?? (await this.#openPart(sink, part))
    // Before the first batch nobody has looked since the part was opened.
    if (known && !before) open.table = await engine.provide(sink, part)
    if (before && (before.own !== shape.own || before.whole !== shape.whole)) {
      const own = before.own !== shape.own
      open.table = await engine.provide(sink, part).catch((error: unknown) => {
        throw own ? asAltered(engine.tableError(sink, error)) : error
      })
      if (own)
        throw asAltered(
          engine.unfit(sink, { zh: '表或其列已被更换，将重新填充', en: 'it or its columns were exchanged by hand: it is filled anew' }),
        )
    }
    open.shape = shape
    return { sink, part, open }
  }

  async #openPart(sink: SinkTable, part: Part): Promise<OpenPart<Table>> {
    const state = await this.#routes.read(sink.route, part)
    if (!state || !sameShape(state, sink))
      throw this.#engine.unfit(sink, { zh: `${part} 部分不是按这些信息项建立的`, en: `its ${part} part was not made for these items` })
    const open = { table: await this.#engine.provide(sink, part), quarantine: state.quarantine }
    this.#parts.set(partKey(sink, part), open)
    return open
  }

  remove(route: string): Promise<Removal | null> {
    return this.#inTurn(() => removeRoute(this.#engine as unknown as SinkEngine, this.#routes, route))
  }

  settleRemovals(wanted: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      if (!(await this.#engine.hasBooks())) return
      await this.#engine.makeBooks()
      await this.#routes.settleRemovals(wanted)
    })
  }

  async check(): Promise<void> {
    await this.#inTurn(() => this.#engine.session.rows(raw(this.#engine.dialect.alive)))
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#close()
  }

  #forget(sink: SinkTable): void {
    for (const part of ['live', 'shadow'] as const) this.#parts.delete(partKey(sink, part))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #working<T>(sink: SinkTable, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#inTurn(work)
    } catch (error) {
      throw this.#engine.tableError(sink, error)
    }
  }
}

const foreignTable: LocalizedText = {
  zh: '同名的表已存在且不是前置所建，不会写入：请在 sinks 中为此资源另写表名（确要写入该表的，写明该表）',
  en: 'a table of this name is there that Qianzhi did not make, and nothing is written into it: give this resource an entry of its own in sinks with another table (or with this one, if it is meant)',
}

function asAltered(error: unknown): unknown {
  if (!(error instanceof QianzhiError) || error.code !== 'QZ-SINK-TABLE') return error
  return new QianzhiError(error.code, error.details, { cause: new TableAltered(error.message, { cause: error }) })
}

function partKey({ route }: SinkTable, part: Part): string {
  return `${part} ${route}`
}

function plainState({ table: _table, former: _former, ...state }: StoredState): SinkState {
  return state
}

/** Why a key cannot change under the rows of others. */
export function otherKey(sink: SinkTable): LocalizedText {
  const keys = [...sink.columns.filter(({ item }) => item.key).map(({ column }) => column), ...(sink.shared ? ['qz_source'] : [])].join(
    ', ',
  )
  return {
    zh: `主键改为 (${keys})，表中另有他方数据：数据标准须换表名`,
    en: `its key becomes (${keys}) under rows of others: the standard needs another table name`,
  }
}
