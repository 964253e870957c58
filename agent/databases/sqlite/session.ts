/** One connection to a SQLite file. Its calls are synchronous within and short; whoever else writes is waited for without blocking the agent. */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import type { DatabaseOptions } from '../../database.ts'

export type Raw = string | bigint | number | Uint8Array | null

/** Result codes (sqlite.org/rescode.html), without their extensions. */
const codes = { busy: 5, locked: 6, readonly: 8, full: 13, cantOpen: 14, tooBig: 18, constraint: 19, mismatch: 20, notADatabase: 26 }
/** How long somebody else's transaction is waited for. */
const patienceMs = 3_000
/** How long others in the process wait for their turn at most. */
const breathMs = 5

export class Session {
  readonly options: DatabaseOptions
  readonly #database: DatabaseSync
  #lock: { close(): void } | undefined
  #breathed = performance.now()

  private constructor(options: DatabaseOptions, database: DatabaseSync) {
    this.options = options
    this.#database = database
  }

  /** Throws QZ-DB-UNREACHABLE where there is no such file. */
  static open(options: DatabaseOptions): Session {
    try {
      const database = new DatabaseSync(pathOf(options), { timeout: 0, enableForeignKeyConstraints: true })
      const session = new Session(options, database)
      session.script('select count(*) from sqlite_schema')
      return session
    } catch (error) {
      throw unreachable(options, error)
    }
  }

  /** Rows as arrays. */
  rows(sql: string, values: readonly SQLInputValue[] = []): Promise<Raw[][]> {
    return this.#patiently(() => {
      const statement = this.#database.prepare(sql)
      statement.setReturnArrays(true)
      statement.setReadBigInts(true)
      return statement.all(...values) as unknown as Raw[][]
    })
  }

  /** Columns of a SELECT: names, and the types that their tables declare. */
  columns(sql: string): { name: string; type: string }[] {
    return this.#database
      .prepare(sql)
      .columns()
      .map(({ name, type }) => ({ name, type: type ?? '' }))
  }

  /** Gives how many rows were changed. */
  run(sql: string, values: readonly SQLInputValue[] = []): Promise<number> {
    return this.#patiently(() => Number(this.#database.prepare(sql).run(...values).changes))
  }

  /** Statements without values. */
  script(sql: string): void {
    this.#database.exec(sql)
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction
  }

  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#patiently(() => this.script('begin immediate'))
    try {
      const result = await work()
      this.script('commit')
      return result
    } catch (error) {
      if (this.inTransaction) this.script('rollback')
      throw error
    }
  }

  /** There are no locks by name: another file beside the database is held instead, as long as the session lives. Throws QZ-AGENT-CLONED. */
  async hold(role: string): Promise<void> {
    const lock = new DatabaseSync(`${pathOf(this.options)}-qianzhi-${role}`, { timeout: 0 })
    try {
      await this.#patiently(() => lock.exec('pragma locking_mode = exclusive; begin exclusive'))
      this.#lock = lock
    } catch (error) {
      lock.close()
      throw isContention(error) ? new QianzhiError('QZ-AGENT-CLONED', { database: this.options.name }, { cause: error }) : error
    }
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
    this.#lock?.close()
    this.#lock = undefined
  }

  /** Calls are synchronous within: now and then everything else in the process has its turn. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathed < breathMs) return
    await setImmediate()
    this.#breathed = performance.now()
  }

  async #patiently<T>(work: () => T): Promise<T> {
    await this.#breathe()
    for (const patience = performance.now() + patienceMs; ; await sleep(10)) {
      try {
        return work()
      } catch (error) {
        if (isContention(error) && !this.inTransaction && performance.now() < patience) continue
        throw isLost(error) ? unreachable(this.options, error) : error
      }
    }
  }
}

/** `sqlite:///folder/file.db`. */
export function pathOf({ url }: DatabaseOptions): string {
  return decodeURIComponent(new URL(url).pathname).replace(/^\/([A-Za-z]:)/, '$1')
}

function unreachable({ name }: DatabaseOptions, cause: unknown): QianzhiError {
  return new QianzhiError('QZ-DB-UNREACHABLE', { database: name, reason: reasonOf(cause) }, { cause })
}

function codeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: number }).errcode
  return code === undefined ? undefined : code & 0xff
}

function isLost(error: unknown): boolean {
  return [codes.full, codes.cantOpen, codes.notADatabase].includes(codeOf(error) ?? 0) || /not open/.test(reasonOf(error))
}

export function isContention(error: unknown): boolean {
  return [codes.busy, codes.locked].includes(codeOf(error) ?? 0)
}

/** The table or a column of the statement is not there. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 1 && /no such (table|column)/.test(reasonOf(error))
}

/** A unique key or a foreign key (extended codes). */
export function isConflict(error: unknown): boolean {
  return [787, 1555, 2067, 2579].includes((error as { errcode?: number }).errcode ?? 0)
}

/** The engine itself refused the statement. */
export function isOfStatement(error: unknown): boolean {
  return codeOf(error) !== undefined && !(error instanceof QianzhiError)
}

/** Memory, interruption, the file and its locks, the schema, misuse: no matter of a row. */
const noRowErrors = new Set([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 17, 21, 22, 23, 26])

/** Whatever else is refused concerns a row: a constraint, a trigger's RAISE, a value that does not fit or that an expression cannot take. */
export function isRowError(error: unknown): boolean {
  return isOfStatement(error) && !isMissing(error) && !noRowErrors.has(codeOf(error)!)
}

/** A row of a view cannot be read: SQLite has one code for it and for a statement that it does not understand, which is refused before it runs. */
export function isValueError(error: unknown): boolean {
  return isRowError(error) || (codeOf(error) === 1 && /overflow|malformed JSON|JSON path|too (big|large|long)|raised/.test(reasonOf(error)))
}
