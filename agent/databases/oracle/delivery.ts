/** Delivery into Oracle: a batch's rows and its position in one transaction. */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { positionNumber, samePosition, showPosition } from '../../../protocol/position.ts'
import type { ApplyTable } from './sql-rows.ts'
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
import { isUntouched, lookAgain, type Look } from './schema-drift.ts'
import { readTable, unfit } from './catalog.ts'
import type { Session } from './connection.ts'
import { errorNumber, isContention, isMissing } from './errors.ts'
import type { SchemaLock } from './lock.ts'
import { clearQuarantine, forgetOlder, quarantinedKeys, replayQuarantine, setAside } from './quarantine.ts'
import { removeRoute, settleRemovals } from './removal.ts'
import { followSchema, provideTable, wasDelivered } from './shape.ts'
import { makeShadow, swapShadow } from './sink.ts'
import {
  lockState,
  makeStateTables,
  moveState,
  noteTable,
  partTable,
  readState,
  soundShadow,
  takeOver,
  writeFreshState,
  type StoredState,
} from './state.ts'
import { prepareRows, RowWriter, type PreparedRows } from './writing.ts'

const attempts = 5

export class OracleDelivery implements Delivery {
  readonly #session: Session
  readonly #lock: SchemaLock | undefined
  /** By route and part; forgotten when the tables are made anew. */
  readonly #tables = new Map<string, ApplyTable>()
  readonly #looks = new Map<string, Look>()
  /** Several routes share the connection: their calls take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(session: Session, lock: SchemaLock | undefined) {
    this.#session = session
    this.#lock = lock
    lock?.guard(session)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  open(sink: SinkTable): Promise<{ live: SinkState; shadow: SinkState | null; left?: string }> {
    return this.#inTurn(async () => {
      await makeStateTables(this.#session)
      this.#forget(sink)
      await this.#finishSwap(sink)
      await takeOver(this.#session, sink)
      const { state, left } = await this.#openLive(sink)
      const shadow = await soundShadow(this.#session, sink)
      return { live: plainState(state), shadow: shadow ? plainState(shadow) : null, ...(left && { left }) }
    })
  }

  /** Renames that a crash parted; also where the configuration or the schema has named another table since. */
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
      this.#forget(sink)
      await makeShadow(this.#session, sink)
      this.#tables.set(partKey(sink, 'shadow'), await provideTable(this.#session, sink, 'shadow'))
      await this.#session.transaction(() => writeFreshState(this.#session, sink, 'shadow'))
    })
  }

  swap(sink: SinkTable): Promise<void> {
    return this.#inTurn(async () => {
      if (!(await readState(this.#session, sink.route, 'shadow'))) throw unfit(sink, 'it has no shadow to put in its place')
      this.#forget(sink)
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

  #forget(sink: SinkTable): void {
    for (const part of ['live', 'shadow'] as const) {
      this.#tables.delete(partKey(sink, part))
      this.#looks.delete(partKey(sink, part))
    }
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
    if (error instanceof QianzhiError) return error
    if (isContention(error))
      return new QianzhiError('QZ-DB-UNREACHABLE', { database: sink.table, reason: reasonOf(error) }, { cause: error })
    // 1031 and its kin have a code already; 932 types that do not go together, 1720 a view; what the table itself forbids.
    if (isMissing(error) || [932, 1702, 1732, 1733, 1776, 1779, 12081, 14411].includes(errorNumber(error) ?? 0))
      return unfit(sink, reasonOf(error), error)
    return error
  }

  async #applyWithRetries(sink: SinkTable, part: Part, prepared: PreparedRows): Promise<Applied> {
    const table = await this.#table(sink, part)
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#session.transaction(() => this.#applyOnce(sink, part, table, prepared))
      } catch (error) {
        if (!isContention(error) || attempt === attempts) throw error
        await sleep(20 * attempt)
      }
    }
  }

  /** As it is now: a table that was altered under way is looked at again, or refused. */
  async #table(sink: SinkTable, part: Part): Promise<ApplyTable> {
    const key = partKey(sink, part)
    const [known, before] = [this.#tables.get(key), this.#looks.get(key)]
    if (known && before && (await isUntouched(this.#session, before))) return known
    if (!known) await provideTable(this.#session, sink, part)
    const { table, look } = await lookAgain(this.#session, sink, part, before)
    this.#tables.set(key, table)
    this.#looks.set(key, look)
    return table
  }

  async #applyOnce(sink: SinkTable, part: Part, table: ApplyTable, prepared: PreparedRows): Promise<Applied> {
    const { change, upserts, deletes } = prepared
    await lockState(this.#session, sink.route, part)
    const state = await readState(this.#session, sink.route, part)
    if (!state || !samePosition(state.position, change.from))
      throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPosition(change.to) })
    if (state.quarantine > 0) await clearQuarantine(this.#session, sink, part, prepared.keys)
    const writer = new RowWriter(this.#session, table, change)
    const refused = await writer.upsert(upserts)
    const aside = [...prepared.aside, ...refused]
    await setAside(this.#session, sink, part, change.to, aside, state.quarantine)
    let deleted = await writer.deleteKeys(deletes)
    if (change.snapshot?.last) {
      // A key that was set aside before the snapshot began and that it did not bring is gone from the source.
      const began = positionNumber(change.snapshot.began)
      if (state.quarantine > 0) await forgetOlder(this.#session, sink, part, began)
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
    await this.#inTurn(() => this.#session.rows('select 1 from dual'))
  }

  async close(): Promise<void> {
    await this.#session.close()
    await this.#lock?.close()
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
