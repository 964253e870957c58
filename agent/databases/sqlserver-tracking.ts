/**
 * Change Tracking as a source of queue entries. The server numbers transactions in the order in which they commit; the agent moves the keys
 * that changed since the version it remembers into the queue, in one transaction with the new version. From there on both modes are one.
 *
 * The new version is asked for before the changes are read: a transaction that commits between is moved twice, none is left out. Entries
 * come before rows are read, as with triggers. Where the database allows it, the transaction is one snapshot (as Microsoft's documentation
 * of CHANGETABLE asks for), so that the check of the valid version and the reading of the changes see the same.
 */
import { QianzhiError } from '../../protocol/errors.ts'
import type { SourceTable } from '../database.ts'
import type { Session } from './sqlserver-connection.ts'
import { isContention } from './sqlserver-errors.ts'
import { queueTable, streamTable } from './sqlserver-names.ts'
import { quoteName } from '../../protocol/tables/sqlserver.ts'
import type { Plan } from './sqlserver-plan.ts'
import { queueEntries } from './sqlserver-setup.ts'

/** A version that is remembered must not fall behind the retention while nothing changes in its table. */
const refreshMs = 60 * 60_000

export const currentVersion = 'select change_tracking_current_version()'

export const trackedState = `select s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from ${streamTable} s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource`

/** The version must be a variable: CHANGETABLE takes no expression. */
export function countStatement({ source, catalog }: Plan): string {
  return `declare @version bigint = convert(bigint, @tracked);
select count(*) from (select top (${queueEntries(source) + 1}) 1 as n from changetable(changes ${catalog.name}, @version) c) q`
}

export function moveStatement({ source, keys, catalog }: Plan): string {
  const columns = keys.map((_, i) => `k${i + 1}`).join(', ')
  return `declare @version bigint = convert(bigint, @tracked);
insert into ${queueTable(source.resource)} (${columns})
select ${keys.map((key) => key.select(`c.${quoteName(key.column)}`)).join(', ')} from changetable(changes ${catalog.name}, @version) c`
}

export const rememberVersion = `update ${streamTable} set tracked = convert(bigint, @version), tracked_from = convert(bigint, @began) where resource = @resource`

export class Tracking {
  readonly #session: Session
  /** By resource: the version up to which changes were looked for, and when it was last written down. */
  readonly #seen = new Map<string, { version: string; written: number }>()

  constructor(session: Session) {
    this.#session = session
  }

  async version(source: SourceTable): Promise<string> {
    const [row] = await this.#session.query(currentVersion)
    if (row?.[0] === null || row?.[0] === undefined) throw notTracked(source, 'Change Tracking is off in the database')
    return String(row[0])
  }

  /** Moves what has changed; nothing where writers hold locks on it: the next look finds it. */
  async move(plan: Plan): Promise<void> {
    const { source } = plan
    const version = await this.version(source)
    const seen = this.#seen.get(source.resource)
    if (seen?.version === version && Date.now() - seen.written < refreshMs) return
    try {
      const isolation = this.#session.server.reading === 'snapshot' ? 'snapshot' : undefined
      const written = await this.#session.transaction(() => this.#moveAll(plan, version, seen?.written ?? 0), isolation)
      this.#seen.set(source.resource, { version, written: written ? Date.now() : (seen?.written ?? 0) })
    } catch (error) {
      if (!isContention(error)) throw error
    }
  }

  /** True where the version was written down. */
  async #moveAll(plan: Plan, version: string, written: number): Promise<boolean> {
    const { source } = plan
    const state = await this.state(plan)
    if (!this.#isValid(state, version)) return this.#mark(plan, version, state.began)
    const [row] = await this.#session.query(countStatement(plan), { tracked: state.tracked })
    const changes = Number(row?.[0])
    if (changes > queueEntries(source)) return this.#mark(plan, version, state.began)
    if (changes === 0 && Date.now() - written < refreshMs) return false
    if (changes > 0) await this.#session.query(moveStatement(plan), { tracked: state.tracked })
    // The clean-up, or a TRUNCATE, may have come in between.
    const after = await this.state(plan)
    if (!this.#isValid(after, version)) return this.#mark(plan, version, after.began)
    return this.#remember(plan, version, state.began)
  }

  /** Throws QZ-SOURCE-NOT-SET-UP where the table is not tracked. */
  async state({ source, catalog }: Plan): Promise<{ tracked: string; from: string; began: string; least: string }> {
    const [row] = await this.#session.query(trackedState, { table: String(catalog.id), resource: source.resource })
    if (!row || row[0] === null) throw notTracked(source, `${streamTable} has no version for ${source.resource}`)
    if (row[2] === null || row[3] === null)
      throw notTracked(source, 'Change Tracking is off for the table, or VIEW CHANGE TRACKING is not granted')
    const [tracked, from, began, least] = row.map(String) as [string, string, string, string]
    return { tracked, from, began, least }
  }

  /** TRUNCATE and a new start of the tracking move the versions from which changes are known; so does a backup that is older than they. */
  #isValid({ tracked, from, began, least }: { tracked: string; from: string; began: string; least: string }, version: string): boolean {
    return BigInt(tracked) >= BigInt(least) && BigInt(tracked) <= BigInt(version) && from === began
  }

  async #mark(plan: Plan, version: string, began: string): Promise<true> {
    await this.#session.query(`insert into ${queueTable(plan.source.resource)} (marked) values (1)`)
    return this.#remember(plan, version, began)
  }

  async #remember({ source }: Plan, version: string, began: string): Promise<true> {
    await this.#session.query(rememberVersion, { version, began, resource: source.resource })
    return true
  }

  /** What was changed up to now is found by the snapshot that is needed. */
  async skip(plan: Plan): Promise<void> {
    const version = await this.version(plan.source)
    const { began } = await this.state(plan)
    await this.#remember(plan, version, began)
  }
}

function notTracked({ table }: SourceTable, reason: string): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason })
}
