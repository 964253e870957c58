import { QianzhiError } from '../../protocol/errors.ts'
import type { GuardRules } from '../config/source-rules.ts'
import type { Row } from '../database.ts'
import { keyText } from '../row-keys.ts'

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
 *
 * A confirmation frees what was shown, once: the keys that wait, and of deletes that had not been read yet as many as the count told, until
 * all that was queued then is read. Whatever is deleted afterwards is judged anew, and so is a key that has had a row again.
 */
export interface DeleteGuardDeps {
  resource: string
  /** It comes as files of the whole table: one that is empty, or has lost more than half, waits however small it is. */
  whole?: boolean
  /** Rows that the receivers have; undefined where that is not known: then no snapshot ends by itself. */
  known: () => number | undefined
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number
}

/** Rows in the table now: one full count, so it is asked for only where many deletes came. */
type Count = () => Promise<number>

interface Hold {
  /** Rows before (undefined: not known), and when last counted. */
  before: number | undefined
  rows: number
  /** Since when no more than the share is missing. */
  nearly?: number
}

/** Keys of waiting deletes that are remembered; those beyond are counted. */
const maxHeld = 200_000
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
  /** Keys whose deletes wait, and those whose deletes may go. */
  #held = new Set<string>()
  #confirmed = new Set<string>()
  /** Further deletes that may go, of what was queued when they were confirmed. */
  #allowance = 0
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

  /** Keys are remembered, of which it matters whether they have a row again. */
  get remembersKeys(): boolean {
    return this.#held.size + this.#confirmed.size > 0
  }

  get holdsEnd(): boolean {
    return this.#end !== undefined
  }

  /** What stands in the report while something waits. */
  get fault(): QianzhiError | undefined {
    const { resource } = this.#deps
    const hold = this.#deletes ?? this.#end
    if (!hold) return undefined
    const { before, rows } = hold
    if (before === undefined) return new QianzhiError('QZ-GUARD-UNKNOWN', { resource, rows })
    return new QianzhiError(this.#deletes ? 'QZ-GUARD-DELETES' : 'QZ-GUARD-SNAPSHOT', { resource, before, rows })
  }

  /** @returns of these keys without a row those whose deletes may be sent now. `present`: keys that have been read with their rows. */
  async filter(deletes: readonly Row[], present: readonly Row[], count: Count): Promise<readonly Row[]> {
    if (this.remembersKeys) {
      for (const text of present.map(keyText)) [this.#held, this.#confirmed].forEach((keys) => keys.delete(text))
    }
    const free = deletes.filter((key) => this.#confirmed.has(keyText(key)))
    const others = free.length === 0 ? deletes : deletes.filter((key) => !this.#confirmed.has(keyText(key)))
    if (others.length <= this.#allowance) {
      this.#allowance -= others.length
      return deletes
    }
    if (await this.allows(others.length, count)) return deletes
    for (const key of others) if (this.#held.size < maxHeld) this.#held.add(keyText(key))
    return free
  }

  /** Whether so many deletes may be sent now. */
  async allows(deletes: number, count: Count): Promise<boolean> {
    if (!this.#rules || deletes === 0) return true
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
    if (lately < (this.#deps.whole ? 1 : this.#rules!.least)) return false
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
    if (!this.#rules || this.#endMayGo || rows === undefined) return true
    if (known !== undefined && !this.#misses(known, rows)) return true
    this.#end ??= { before: known, rows }
    return false
  }

  #misses(before: number, rows: number): boolean {
    const { share, least } = this.#rules!
    const gone = before - rows
    return (gone >= least && gone > share * before) || (this.#deps.whole === true && gone * 2 > before)
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
    if (letDeletes) this.#letDeletes()
    const letEnd = this.#end !== undefined && !this.#deletes && this.#isSettled(this.#end) && (await caughtUp())
    if (letEnd) [this.#end, this.#endMayGo] = [undefined, true]
    return letDeletes || letEnd
  }

  #letDeletes(): void {
    this.#deletes = undefined
    this.#held.clear()
  }

  #isSettled(hold: Hold): boolean {
    if (hold.before === undefined) return false
    if (hold.rows >= hold.before) return true
    if (this.#misses(hold.before, hold.rows)) delete hold.nearly
    else hold.nearly ??= this.#now()
    return hold.nearly !== undefined && this.#now() - hold.nearly >= this.#rules!.settle
  }

  /** Somebody says that the rows are meant to go: those that are shown as gone, and this snapshot's. */
  confirm(): void {
    if (this.#deletes) {
      this.#allowance = Math.max(0, this.#deletes.before! - this.#deletes.rows - this.#held.size)
      for (const key of this.#held) this.#confirmed.add(key)
      this.#letDeletes()
      this.#lately = []
    }
    if (this.#end) [this.#end, this.#endMayGo] = [undefined, true]
  }

  /** All that was queued has been read: what was counted and not read before a confirmation is among it. */
  sawEnd(): void {
    this.#allowance = 0
  }

  /** Nothing waits any more and no snapshot runs: the next mass of deletes is a new one. */
  caughtUp(): void {
    if (this.#deletes || this.#end) return
    this.#confirmed.clear()
    this.#allowance = 0
    this.#patience = 0
  }

  /** A snapshot begins anew, or has ended. */
  snapshotMoved(): void {
    this.#end = undefined
    this.#endMayGo = false
  }

  /** The waiting entries are not in the queue any more. */
  queueEmptied(): void {
    this.#letDeletes()
    this.#confirmed.clear()
    this.#allowance = 0
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
