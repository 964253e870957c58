import { QianzhiError } from '../../protocol/errors.ts'
import type { GuardRules } from '../config/source-rules.ts'

/**
 * Keeps a table that is emptied to be loaded again from emptying its receivers. Deletes above a share of the table wait, their entries
 * stay in the queue; so does the end of a snapshot that met much fewer rows than were sent before, since at its end receivers remove what
 * it did not hold.
 *
 *     rows
 *     known ────────┐                        ┌────────────   there again: what waits goes on at once
 *                   │                     ┌──┘               nearly there (no more than the share is missing) for `settle`: it goes on
 *     known-share ··│·····················│··················
 *                   │  deletes wait       │
 *                   └─────────────────────┘                  a table that stays down here waits for a person (`confirm`), however long
 *              DELETE                 INSERT …
 *
 * What counts is how much the table has become smaller within `settle`: deletes that were let go lately are added to those just read, so that
 * one that is deleted in small steps is noticed when the steps together pass the share; and rows that there are now are counted, so that one
 * whose rows come and go is not held. Counting reads the whole table: it is done only where so many deletes came that they could be too many,
 * for at most a twentieth of the time. After a restart of the program only what has not been sent counts.
 */
export interface DeleteGuardDeps {
  resource: string
  /** Rows that the receivers have, as far as known. */
  known: () => number | undefined
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number
}

/** Rows in the table now: one full count, so it is asked for only where many deletes came. */
type Count = () => Promise<number>

interface Hold {
  /** Rows before, and when last counted. */
  before: number
  rows: number
  /** Since when no more than the share is missing. */
  nearly?: number
}

/** A count may take a twentieth of the time, and is made once a second at most. */
const countShare = 20
const minBetweenCounts = 1_000

export class DeleteGuard {
  readonly #rules: GuardRules | undefined
  readonly #deps: DeleteGuardDeps
  readonly #now: () => number
  /** Deletes sent within `settle`, and the rows that were known before them. */
  #lately: { at: number; deletes: number; known: number }[] = []
  #deletes: Hold | undefined
  #end: Hold | undefined
  #confirmed = false
  #endMayGo = false
  #counted = { rows: 0, again: -Infinity }
  /** Deletes read since that count. */
  #sinceCounted = 0
  /** Milliseconds before waiting deletes are read again although they waited again after the last time. */
  #patience = 0
  #notBefore = -Infinity

  constructor(rules: GuardRules | undefined, deps: DeleteGuardDeps) {
    this.#rules = rules
    this.#deps = deps
    this.#now = deps.now ?? (() => performance.now())
  }

  get active(): boolean {
    return this.#rules !== undefined
  }

  get holdsEnd(): boolean {
    return this.#end !== undefined
  }

  /** What stands in the report while something waits. */
  get fault(): QianzhiError | undefined {
    const { resource } = this.#deps
    if (this.#deletes) return new QianzhiError('QZ-GUARD-DELETES', { resource, before: this.#deletes.before, rows: this.#deletes.rows })
    if (this.#end) return new QianzhiError('QZ-GUARD-SNAPSHOT', { resource, before: this.#end.before, rows: this.#end.rows })
    return undefined
  }

  /** Whether these deletes may be sent now. */
  async allows(deletes: number, count: Count): Promise<boolean> {
    if (!this.#rules || this.#confirmed || deletes === 0) return true
    const now = this.#now()
    if (this.#deletes) return false
    this.#sinceCounted += deletes
    this.#lately = this.#lately.filter(({ at }) => now - at < this.#rules!.settle)
    const lately = this.#lately.reduce((sum, one) => sum + one.deletes, deletes)
    if (await this.#tooMany(lately, count)) {
      this.#deletes = { before: this.#before(lately), rows: this.#rowsLeft }
      this.#patience = Math.min(Math.max(2 * this.#patience, minBetweenCounts), this.#rules.settle)
      this.#notBefore = now + this.#patience
      return false
    }
    this.#lately.push({ at: now, deletes, known: this.#deps.known() ?? 0 })
    return true
  }

  /** Counted only where so many deletes came that they could be too many. */
  async #tooMany(lately: number, count: Count): Promise<boolean> {
    if (lately < this.#rules!.least) return false
    await this.#count(count)
    if (!this.#misses(this.#before(lately), this.#rowsLeft)) return false
    if (this.#sinceCounted > 0) await this.#countNow(count)
    return this.#misses(this.#before(lately), this.#rowsLeft)
  }

  /** A count may be older than the deletes just read. */
  get #rowsLeft(): number {
    return Math.max(0, this.#counted.rows - this.#sinceCounted)
  }

  /**
   * The most rows known within `settle`: as many as the table must have again. Deletes added to what is left would be more than it ever
   * had where rows come and go, and nobody could bring those back.
   */
  #before(lately: number): number {
    const known = this.#deps.known()
    if (known === undefined) return this.#rowsLeft + lately
    return Math.max(this.#rowsLeft, known, ...this.#lately.map((one) => one.known))
  }

  /** Whether a snapshot that held so many rows may end. */
  allowsEnd(rows: number | undefined): boolean {
    const known = this.#deps.known()
    if (!this.#rules || this.#confirmed || this.#endMayGo || known === undefined || rows === undefined) return true
    if (!this.#misses(known, rows)) return true
    this.#end ??= { before: known, rows }
    return false
  }

  #misses(before: number, rows: number): boolean {
    const { share, least } = this.#rules!
    return before - rows >= least && before - rows > share * before
  }

  /**
   * Looks whether what waits may go. `caughtUp`: whether everything that is queued has been sent, so what came back behind a snapshot has
   * travelled. @returns whether something was let go: the waiting entries are to be read again.
   */
  async examine(count: Count, caughtUp: () => Promise<boolean>): Promise<boolean> {
    const holds = [this.#deletes, this.#end].filter((hold) => hold !== undefined)
    if (holds.length === 0 || this.#now() < this.#notBefore || !(await this.#count(count))) return false
    for (const hold of holds) hold.rows = this.#counted.rows
    const letDeletes = this.#deletes !== undefined && this.#isSettled(this.#deletes)
    if (letDeletes) this.#deletes = undefined
    const letEnd = this.#end !== undefined && !this.#deletes && this.#isSettled(this.#end) && (await caughtUp())
    if (letEnd) [this.#end, this.#endMayGo] = [undefined, true]
    return letDeletes || letEnd
  }

  #isSettled(hold: Hold): boolean {
    if (hold.rows >= hold.before) return true
    if (this.#misses(hold.before, hold.rows)) delete hold.nearly
    else hold.nearly ??= this.#now()
    return hold.nearly !== undefined && this.#now() - hold.nearly >= this.#rules!.settle
  }

  /** Somebody says that the rows are meant to go. Counts until all that is queued now has been sent. */
  confirm(): void {
    this.#confirmed = true
    this.#deletes = undefined
    this.#end = undefined
  }

  /** Nothing waits any more and no snapshot runs: the next mass of deletes is a new one. */
  caughtUp(): void {
    if (this.#deletes || this.#end) return
    if (this.#confirmed) this.#lately = []
    this.#confirmed = false
    this.#patience = 0
  }

  /** A snapshot begins anew, or has ended. */
  snapshotMoved(): void {
    this.#end = undefined
    this.#endMayGo = false
  }

  /** The waiting entries are not in the queue any more. */
  queueEmptied(): void {
    this.#deletes = undefined
  }

  /** @returns whether the figure is a new one. */
  async #count(count: Count): Promise<boolean> {
    if (this.#now() < this.#counted.again) return false
    await this.#countNow(count)
    return true
  }

  async #countNow(count: Count): Promise<void> {
    const before = this.#now()
    const rows = await count()
    const at = this.#now()
    this.#counted = { rows, again: at + Math.max(minBetweenCounts, countShare * (at - before)) }
    this.#sinceCounted = 0
  }
}
