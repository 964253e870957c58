import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'

export interface SqliteOptions {
  /** The file is there, and others may be writing it. */
  readOnly?: boolean
  /** Milliseconds for which a lock of another program is waited for, the event loop with it; 0 without it. */
  patience?: number
  /** Run at opening, unless it is only read: settings and tables. */
  prepare: string
}

/** SQLITE_BUSY, SQLITE_LOCKED: another program has it. What else is refused (SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY) lies with the disk. */
const busy = new Set([5, 6])
/** SQLITE_CORRUPT, SQLITE_NOTADB. */
const damage = new Set([11, 26])
const moveAway = {
  zh: '从备份恢复，或移走它后启动（已有数据会重新读取并核对）',
  en: 'restore it from a backup, or move it away and start (what is there is read and compared anew)',
}

/** An SQLite file in the data folder. Statements are prepared once. `':memory:'` for none on disk. */
export class SqliteFile {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /** Throws QZ-DATA-LOCKED where another program has the file, QZ-FILE-DAMAGED where it is none of SQLite's, QZ-FOLDER-UNREACHABLE where the disk refuses it. */
  constructor(file: string, { readOnly = false, patience = 0, prepare }: SqliteOptions) {
    this.#database = new DatabaseSync(file, { readOnly, timeout: patience })
    if (readOnly) return
    try {
      this.#database.exec(prepare)
    } catch (error) {
      this.#database.close()
      if (damage.has((error as { errcode?: number }).errcode ?? 0))
        throw new QianzhiError('QZ-FILE-DAMAGED', { file, reason: reasonOf(error), remedy: moveAway }, { cause: error })
      if (busy.has(((error as { errcode?: number }).errcode ?? 0) % 256))
        throw new QianzhiError('QZ-DATA-LOCKED', { folder: file }, { cause: error })
      throw new QianzhiError('QZ-FOLDER-UNREACHABLE', { folder: file, reason: reasonOf(error) }, { cause: error })
    }
  }

  /** Statements without parameters: further tables, settings. */
  make(sql: string): void {
    this.#database.exec(sql)
  }

  get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.statement(sql).get(...values)
  }

  all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.statement(sql).all(...values)
  }

  /** @returns how many rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.statement(sql).run(...values).changes)
  }

  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }

  transaction<T>(work: () => T): T {
    this.#database.exec('begin immediate')
    try {
      const result = work()
      this.#database.exec('commit')
      return result
    } catch (error) {
      // Some failures, a full disk among them, have ended it already.
      if (this.#database.isTransaction) this.#database.exec('rollback')
      throw error
    }
  }

  close(): void {
    this.#database.close()
  }
}
