/**
 * Change Tracking as a source of queue entries. The server numbers transactions in the order in which they commit; the agent moves the keys
 * that changed since the version it remembers into the queue, in one transaction with the new version. From there on both modes are one.
 *
 * The new version is asked for before the changes are read: a transaction that commits between is moved twice, none is left out. Entries
 * come before rows are read, as with triggers. Where the database allows it, the transaction is one snapshot (as Microsoft's documentation
 * of CHANGETABLE asks for), so that the check of the valid version and the reading of the changes see the same.
 */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { SourceTable } from '../../database.ts'
import type { Session } from './connection.ts'
import { isContention } from './errors.ts'
import { queueTable, streamTable } from './names.ts'
import { quoteName } from './sql.ts'
import type { Plan } from './plan.ts'
import { queueEntries } from './setup.ts'

/** A version that is remembered must not fall behind the retention while nothing changes in its table. */
const refreshMs = 60 * 60_000

/** `begin_version` is set anew by TRUNCATE, and where the tracking is switched off and on. */
export const trackedState = `select change_tracking_current_version(), s.tracked, s.tracked_from, c.begin_version, change_tracking_min_valid_version(c.object_id)
from ${streamTable} s left join sys.change_tracking_tables c on c.object_id = convert(int, @table) where s.resource = @resource`

interface Tracked {
  /** Of the database now: of the last transaction that has committed. */
  version: string
  /** Up to which changes were moved. */
  tracked: string
  /** `began` when that was. */
  from: string
  began: string
  /** Below it changes are forgotten. */
  least: string
}

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

  /** Moves what has changed; nothing where writers hold locks on it: the next look finds it. */
  async move(plan: Plan): Promise<void> {
    const { resource } = plan.source
    const now = await this.#state(plan)
    const seen = this.#seen.get(resource)
    if (seen?.version === now.version && performance.now() - seen.written < refreshMs && isValid(now)) return
    try {
      const isolation = this.#session.server.reading === 'snapshot' ? 'snapshot' : undefined
      const written = await this.#session.transaction(() => this.#moveAll(plan, now.version, seen?.written ?? -Infinity), isolation)
      this.#seen.set(resource, { version: now.version, written: written ? performance.now() : (seen?.written ?? -Infinity) })
    } catch (error) {
      if (!isContention(error)) throw error
    }
  }

  /** True where the version was written down. */
  async #moveAll(plan: Plan, version: string, written: number): Promise<boolean> {
    const { source } = plan
    const state = await this.#state(plan)
    if (!isValid(state)) return this.#mark(plan, version, state.began)
    const [row] = await this.#session.query(countStatement(plan), { tracked: state.tracked })
    const changes = Number(row?.[0])
    if (changes > queueEntries(source)) return this.#mark(plan, version, state.began)
    if (changes === 0 && performance.now() - written < refreshMs) return false
    if (changes > 0) await this.#session.query(moveStatement(plan), { tracked: state.tracked })
    // The clean-up, or a TRUNCATE, may have come in between.
    const after = await this.#state(plan)
    if (!isValid(after)) return this.#mark(plan, version, after.began)
    return this.#remember(plan, version, state.began)
  }

  /** Throws QZ-SOURCE-NOT-SET-UP where the table is not tracked. */
  async #state({ source, catalog }: Plan): Promise<Tracked> {
    const [row] = await this.#session.query(trackedState, { table: String(catalog.id), resource: source.resource })
    if (!row || row[1] === null || row[2] === null)
      throw notTracked(source, {
        zh: `${streamTable} 中没有 ${source.resource} 的版本`,
        en: `${streamTable} has no version for ${source.resource}`,
      })
    if (row.includes(null))
      throw notTracked(source, {
        zh: '该表未启用更改跟踪，或没有 VIEW CHANGE TRACKING 权限',
        en: 'Change Tracking is off for the table, or VIEW CHANGE TRACKING is not granted',
      })
    const [version, tracked, from, began, least] = row.map(String) as [string, string, string, string, string]
    return { version, tracked, from, began, least }
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
    const { version, began } = await this.#state(plan)
    await this.#remember(plan, version, began)
  }
}

/** Also false where the database was restored from a backup that is older than what is remembered. */
function isValid({ version, tracked, from, began, least }: Tracked): boolean {
  return BigInt(tracked) >= BigInt(least) && BigInt(tracked) <= BigInt(version) && from === began
}

function notTracked({ table }: SourceTable, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-SOURCE-NOT-SET-UP', { table, reason })
}
