/** Delivery into MySQL and MariaDB: a batch's rows and its position in one transaction. */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError } from '../../../protocol/errors.ts'
import { positionNumber, samePosition, showPosition } from '../../../protocol/position.ts'
import { names, quoteName, type ApplyTable } from './sql.ts'
import {
  sameShape,
  type Applied,
  type Change,
  type Delivery,
  type Part,
  type Prepared,
  type Removal,
  type Replayed,
} from '../../database.ts'
import type { SinkState, SinkTable } from '../../database.ts'
import { requireSameColumns, shapeOf, type Shape } from './schema-drift.ts'
import { readTable, unfit } from './catalog.ts'
import { errorNumber, isContention, isMissing, type Session } from './connection.ts'
import { removeRoute, settleRemovals } from './removal.ts'
import { clearQuarantine, quarantinedKeys, replayQuarantine, setAside } from './quarantine.ts'
import { followSchema, provideTable, wasDelivered } from './shape.ts'
import { makeShadow, swapShadow } from './sink.ts'
import {
  makeStateTables,
  moveState,
  noteTable,
  ofPart,
  partTable,
  quarantineTable,
  readState,
  soundShadow,
  takeOver,
  writeFreshState,
  type StoredState,
} from './state.ts'
import { safeName } from './names.ts'
import { loadStage, prepareRows, RowWriter, type PreparedRows } from './writing.ts'

const attempts = 5

export class MysqlDelivery implements Delivery {
  readonly #session: Session
  /** By route and part; forgotten when the tables are made anew. */
  readonly #tables = new Map<string, ApplyTable>()
  readonly #shapes = new Map<string, Shape>()
  readonly #stages = new Map<string, string>()
  /** LOAD DATA LOCAL is often switched off, temporary tables are a right of their own: without them rows go as values. */
  #staging: boolean
  /** Several routes share the connection: their calls take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(session: Session) {
    this.#session = session
    this.#staging = session.server.localInfile
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  open(sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null; left?: string }> {
    return this.#inTurn(async () => {
      await makeStateTables(this.#session)
      await this.#forget(sink)
      await this.#finishSwap(sink)
      await takeOver(this.#session, sink)
      const { state, left } = await this.#openLive(sink)
      const shadow = await soundShadow(this.#session, sink)
      return { live: plainState(state), shadow: shadow ? plainState(shadow) : null, ...(left && { left }) }
    })
  }

  /** A rename that a crash parted; also where the configuration or the schema has named another table since. */
  async #finishSwap(sink: SinkTable): Promise<void> {
    const shadow = await readState(this.#session, sink.route, 'shadow')
    if (shadow?.swapping) await swapShadow(this.#session, { ...sink, table: shadow.table ?? sink.table })
  }

  /** Until its first batch the table follows the sink; afterwards another shape is only told of: the caller fills a shadow. */
  async #openLive(sink: SinkTable): Promise<{ state: StoredState; left?: string }> {
    const before = await readState(this.#session, sink.route, 'live')
    const there = await readTable(this.#session, partTable(this.#session, sink, 'live'))
    const left = before?.table && before.table !== sink.table ? before.table : undefined
    // A table that somebody dropped begins again; so does one of another name.
    const fresh = !there || left !== undefined || !before?.position
    if (!fresh && !sameShape(before, sink)) return { state: before }
    if (there && before && !left) await followSchema(this.#session, sink, fresh || before.schemaVersion !== sink.schema.version)
    else if (there && wasDelivered(there)) await followSchema(this.#session, sink, true)
    if (!fresh) await noteTable(this.#session, sink)
    this.#tables.set(partKey(sink, 'live'), await provideTable(this.#session, sink, 'live'))
    if (fresh) await this.#session.transaction(() => writeFreshState(this.#session, sink, 'live', before))
    const state = (await readState(this.#session, sink.route, 'live'))!
    return { state, ...(left && { left }) }
  }

  beginShadow(sink: SinkTable): Promise<void> {
    return this.#inTurn(async () => {
      await this.#forget(sink)
      await makeShadow(this.#session, sink)
      this.#tables.set(partKey(sink, 'shadow'), await provideTable(this.#session, sink, 'shadow'))
      await this.#session.transaction(() => writeFreshState(this.#session, sink, 'shadow'))
    })
  }

  swap(sink: SinkTable): Promise<void> {
    return this.#inTurn(async () => {
      if (!(await readState(this.#session, sink.route, 'shadow'))) throw unfit(sink, 'it has no shadow to put in its place')
      await this.#forget(sink)
      try {
        await swapShadow(this.#session, sink)
      } catch (error) {
        throw this.#tableError(sink, error)
      }
    })
  }

  remove(route: string): Promise<Removal | null> {
    return this.#inTurn(() => removeRoute(this.#session, route))
  }

  settleRemovals(wanted: readonly string[]): Promise<void> {
    return this.#inTurn(() => settleRemovals(this.#session, wanted))
  }

  async #forget(sink: SinkTable): Promise<void> {
    for (const part of ['live', 'shadow'] as const) {
      const key = partKey(sink, part)
      this.#tables.delete(key)
      this.#shapes.delete(key)
      await this.#dropStage(key)
    }
  }

  async #dropStage(key: string): Promise<void> {
    const stage = this.#stages.get(key)
    if (stage) await this.#session.run(`drop temporary table if exists ${stage}`)
    this.#stages.delete(key)
  }

  prepare(sink: SinkTable, change: Change): PreparedRows {
    return prepareRows(sink, change)
  }

  apply(sink: SinkTable, part: Part, prepared: Prepared): Promise<Applied> {
    return this.#inTurn(async () => {
      try {
        return await this.#applyWithRetries(sink, part, prepared as PreparedRows)
      } catch (error) {
        throw this.#tableError(sink, error)
      }
    })
  }

  #tableError(sink: SinkTable, error: unknown): unknown {
    if (isMissing(error) || [1099, 1100, 1136, 1288, 1356].includes(errorNumber(error) ?? 0))
      return unfit(sink, (error as Error).message, error)
    if (isContention(error))
      return new QianzhiError('QZ-DB-UNREACHABLE', { database: sink.table, reason: (error as Error).message }, { cause: error })
    return error
  }

  async #applyWithRetries(sink: SinkTable, part: Part, prepared: PreparedRows): Promise<Applied> {
    const table = await this.#table(sink, part)
    for (let attempt = 1; ; attempt++) {
      const stage = prepared.lines ? await this.#stage(sink, part, table, prepared.lines) : undefined
      try {
        return await this.#session.transaction(() => this.#applyOnce(sink, part, table, prepared, stage))
      } catch (error) {
        if (!isContention(error) || attempt === attempts) throw error
        await sleep(20 * attempt)
      }
    }
  }

  /** As it is now: a table that was altered under way is looked at again, or refused. */
  async #table(sink: SinkTable, part: Part): Promise<ApplyTable> {
    const key = partKey(sink, part)
    const shape = await shapeOf(this.#session, sink, partTable(this.#session, sink, part))
    const [known, before] = [this.#tables.get(key), this.#shapes.get(key)]
    if (known && before?.whole === shape.whole) return known
    const table = await provideTable(this.#session, sink, part)
    if (before) {
      requireSameColumns(sink, before, shape)
      await this.#dropStage(key)
    }
    this.#tables.set(key, table)
    this.#shapes.set(key, shape)
    return table
  }

  /** The filled stage, or undefined where the rows must go as values. */
  async #stage(sink: SinkTable, part: Part, table: ApplyTable, lines: Buffer): Promise<string | undefined> {
    if (!this.#staging) return undefined
    const key = partKey(sink, part)
    try {
      let stage = this.#stages.get(key)
      if (!stage) {
        stage = quoteName(safeName(`qz_stage_${key}`, 60))
        // Aria keeps no undo; the stage is this connection's own.
        const engine = this.#session.server.mariadb ? 'Aria' : 'InnoDB'
        const columns = names(table.columns.map(({ column }) => column))
        await this.#session.run(`create temporary table ${stage} engine=${engine} select ${columns} from ${table.name} limit 0`)
        this.#stages.set(key, stage)
      }
      return (await loadStage(this.#session, stage, sink, lines)) ? stage : undefined
    } catch (error) {
      if (error instanceof QianzhiError && error.code === 'QZ-DB-UNREACHABLE') throw error
      if (isMissing(error)) throw error
      this.#staging = false
      return undefined
    }
  }

  async #applyOnce(sink: SinkTable, part: Part, table: ApplyTable, prepared: PreparedRows, stage: string | undefined): Promise<Applied> {
    const { change, upserts, deletes } = prepared
    const state = await readState(this.#session, sink.route, part, true)
    if (!state || !samePosition(state.position, change.from))
      throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(change.to) })
    if (state.quarantine > 0) await clearQuarantine(this.#session, sink, part, prepared.keys)
    const writer = new RowWriter(this.#session, table, change)
    const staged = stage !== undefined && (await writer.fromStage(stage))
    const refused = staged ? [] : await writer.fromValues(upserts)
    const aside = [...prepared.aside, ...refused]
    await setAside(this.#session, sink, part, positionNumber(change.to), aside, state.quarantine)
    let deleted = await writer.deleteKeys(deletes)
    if (change.snapshot?.last) {
      // A key that was set aside before the snapshot began and that it did not bring is gone from the source.
      const began = positionNumber(change.snapshot.began)
      if (state.quarantine > 0)
        await this.#session.run(`delete from ${quarantineTable} where ${ofPart(sink.route, part)} and position < ${began}`)
      deleted += await writer.deleteOlder(began, await quarantinedKeys(this.#session, sink, part))
    }
    await moveState(this.#session, sink, part, change.to, nextSnapshot(state, change), state.complete || change.snapshot?.last === true)
    const quarantine = state.quarantine > 0 || aside.length > 0 ? (await quarantinedKeys(this.#session, sink, part)).length : 0
    return { written: upserts.length - refused.length, deleted, quarantined: aside.length, quarantine }
  }

  replay(sink: SinkTable, part: Part): Promise<Replayed> {
    return this.#inTurn(async () => {
      try {
        const table = await this.#table(sink, part)
        return await this.#session.transaction(() => replayQuarantine(this.#session, sink, part, table))
      } catch (error) {
        throw this.#tableError(sink, error)
      }
    })
  }

  async check(): Promise<void> {
    await this.#inTurn(() => this.#session.run('select 1'))
  }

  async close(): Promise<void> {
    await this.#session.close()
  }
}

function partKey(sink: SinkTable, part: Part): string {
  return `${sink.route} ${part}`
}

function nextSnapshot(state: SinkState, { snapshot }: Change): SinkState['snapshot'] {
  if (!snapshot) return state.snapshot
  return snapshot.last ? null : { epoch: snapshot.began.epoch, seq: snapshot.began.seq }
}

function plainState({ swapping: _swapping, table: _table, former: _former, ...state }: StoredState): SinkState {
  return state
}
