/** Delivery into Oracle: a batch's rows and its position in one transaction. */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { positionNumber, samePosition, showPlace } from '../../protocol/position.ts'
import type { ApplyTable } from '../../protocol/tables/oracle-rows.ts'
import { sameShape, type Applied, type Change, type Delivery, type Part, type Prepared, type Removal, type Row } from '../database.ts'
import type { SinkState, SinkTable } from '../database.ts'
import { readTable, unfit } from './oracle-catalog.ts'
import type { Session } from './oracle-connection.ts'
import { errorNumber, isContention, isMissing } from './oracle-errors.ts'
import type { SchemaLock } from './oracle-lock.ts'
import { removeRoute, settleRemovals } from './oracle-removal.ts'
import { followSchema, provideTable, wasDelivered } from './oracle-shape.ts'
import { makeShadow, swapShadow } from './oracle-sink.ts'
import {
  lockState,
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
} from './oracle-state.ts'
import { keyDigest, prepareRows, RowWriter, type Aside, type PreparedRows } from './oracle-writing.ts'

const attempts = 5
const chunk = 1000

export class OracleDelivery implements Delivery {
  readonly #session: Session
  readonly #lock: SchemaLock | undefined
  /** By route and part; forgotten when the tables are made anew. */
  readonly #tables = new Map<string, ApplyTable>()
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
    for (const part of ['live', 'shadow'] as const) this.#tables.delete(partKey(sink, part))
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

  async #table(sink: SinkTable, part: Part): Promise<ApplyTable> {
    const known = this.#tables.get(partKey(sink, part))
    if (known) return known
    const table = await provideTable(this.#session, sink, part)
    this.#tables.set(partKey(sink, part), table)
    return table
  }

  async #applyOnce(sink: SinkTable, part: Part, table: ApplyTable, prepared: PreparedRows): Promise<Applied> {
    const { change, upserts, deletes } = prepared
    await lockState(this.#session, sink.route, part)
    const state = await readState(this.#session, sink.route, part)
    if (!state || !samePosition(state.position, change.from)) throw new QianzhiError('QZ-CHAIN-BROKEN', { position: showPlace(change.to) })
    if (state.quarantine > 0) await this.#clearQuarantine(sink, part, prepared.keys)
    const writer = new RowWriter(this.#session, table, change)
    const refused = await writer.upsert(upserts)
    const aside = [...prepared.aside, ...refused]
    await this.#setAside(sink, part, change, aside)
    let deleted = await writer.deleteKeys(deletes)
    if (change.snapshot?.last) {
      // A key that was set aside before the snapshot began and that it did not bring is gone from the source.
      const began = positionNumber(change.snapshot.began)
      if (state.quarantine > 0) await this.#forgetOlder(sink, part, began)
      deleted += await writer.deleteOlder(began, await this.#quarantined(sink, part))
    }
    await moveState(this.#session, sink, part, change.to, nextSnapshot(state, change), state.complete || change.snapshot?.last === true)
    const quarantine = state.quarantine > 0 || aside.length > 0 ? (await this.#quarantined(sink, part)).length : 0
    return { written: upserts.length - refused.length, deleted, quarantined: aside.length, quarantine }
  }

  async #forgetOlder(sink: SinkTable, part: Part, began: string): Promise<void> {
    const binds = this.#session.binds()
    const older = `${ofPart(binds, sink.route, part)} and position < to_number(${binds.code(began)})`
    await this.#session.run(`delete from ${this.#session.own(quarantineTable)} where ${older}`, binds)
  }

  async #clearQuarantine(sink: SinkTable, part: Part, keys: readonly Row[]): Promise<void> {
    const sql = `delete from ${this.#session.own(quarantineTable)} where route = :1 and part = :2 and key_hash = :3`
    for (let at = 0; at < keys.length; at += chunk) {
      const rows = keys.slice(at, at + chunk).map((key) => [sink.route, part, keyDigest(key)])
      await this.#session.all(sql, rows, ['text', 'text', 'text'])
    }
  }

  async #setAside(sink: SinkTable, part: Part, change: Change, aside: readonly Aside[]): Promise<void> {
    const { textKind } = this.#session
    const sql = `insert into ${this.#session.own(quarantineTable)} (route, part, key_hash, code, position, reason, written_at, key_text)
values (:1, :2, :3, :4, to_number(:5), :6, sys_extract_utc(systimestamp), :7)`
    await this.#clearQuarantine(
      sink,
      part,
      aside.map(({ key }) => key),
    )
    for (let at = 0; at < aside.length; at += chunk) {
      const rows = aside.slice(at, at + chunk).map(({ key, code, reason }) => {
        return [sink.route, part, keyDigest(key), code, positionNumber(change.to), reason.slice(0, 1000) || null, JSON.stringify(key)]
      })
      await this.#session.all(sql, rows, ['text', 'text', 'text', 'text', 'text', textKind, textKind])
    }
  }

  async #quarantined(sink: SinkTable, part: Part): Promise<Row[]> {
    const binds = this.#session.binds()
    const rows = await this.#session.rows(
      `select key_text from ${this.#session.own(quarantineTable)} where ${ofPart(binds, sink.route, part)}`,
      binds,
    )
    return rows.map((row) => JSON.parse(String(row[0])) as Row)
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

function plainState({ position, snapshot, complete, schemaVersion, items, columns, keys, quarantine }: StoredState): SinkState {
  return { position, snapshot, complete, schemaVersion, items, columns, keys, quarantine }
}
