/** A database engine over what is its own: opens sessions for each piece of work, takes the lock of those that stay, and closes them. */
import { codedError, localizedReason, QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type {
  Capture,
  Check,
  ColumnDescription,
  Database,
  DatabaseOptions,
  Delivery,
  PreviewRequest,
  QuarantinedKey,
  Reading,
  Row,
  Rows,
  SinkTable,
  SourceTable,
  TableListing,
} from '../../database.ts'
import { ownRowsCheck } from './own-rows.ts'
import { LoginPause } from './login-pause.ts'
import { missingRights, rightsCheck, type Right, type SuppliedTable } from './rights.ts'
import { QuarantineBook } from './quarantine-book.ts'
import type { BookDialect, BookSession } from './session.ts'

/** What a session is for: messages and the server's list of sessions name it. */
export type Role = 'capture' | 'delivery' | 'reading' | 'command' | 'doctor'

/** What an engine says of a table that is not there, or not to be seen. */
const hidden = ['QZ-SOURCE-TABLE', 'QZ-DB-RIGHTS']

export interface Closable {
  close(): Promise<void>
}

/** An engine's own part. `Brief` is a session for one piece of work. */
export interface TableEngine<Session extends Closable, Brief extends Closable = Session> {
  open(options: DatabaseOptions, role: Role): Promise<Session>
  /** A session that is closed after one piece of work. */
  openBrief(options: DatabaseOptions, role: Role): Promise<Brief>
  /** Whether the server has refused account or password; absent where there are none. */
  loginRefused?(error: unknown): boolean
  /** Closes what brief sessions share. */
  end?(): Promise<void>
  /** Refuses a standby, and keeps a second agent out while the session lives. Throws QZ-DB-READ-ONLY, QZ-AGENT-CLONED. */
  hold(session: Session, role: 'capture' | 'delivery', options: DatabaseOptions): Promise<void>
  capture(session: Session, sources: readonly SourceTable[], options: DatabaseOptions): Promise<Capture>
  reading(session: Session): Promise<Reading>
  deliver(session: Session): Delivery
  /** Reading only, and not for long; `table` names what is read in a message. */
  readOnly<T>(session: Brief, table: string, work: () => Promise<T>): Promise<T>
  describe(session: Brief, table: string): Promise<ColumnDescription[]>
  tables(session: Brief, limit: number): Promise<TableListing[]>
  sample(session: Brief, table: string, columns: readonly string[], rows: number): Promise<Row[]>
  previewRows(session: Brief, source: SourceTable, request: PreviewRequest): Promise<Rows>
  supplyTable(session: Brief, source: SourceTable): Promise<string[]>
  setupScript(session: Brief, source: SourceTable, runtimeUser: string | undefined): Promise<string[]>
  teardownScript(session: Brief, source: SourceTable): Promise<string[]>
  /** Statements in this order, on one session. */
  run(session: Brief, statements: readonly string[]): Promise<void>
  /** Where the quarantines are, and which ends have one. */
  books(session: Brief): Promise<{ session: BookSession; dialect: BookDialect; there: { source: boolean; sink: boolean } }>
  /** What an account needs that supplies these and receives into those; for `user`, or for the one that asks. */
  rights(session: Brief, sources: readonly SuppliedTable[], sinks: readonly SinkTable[], user?: string): Promise<Right[]>
  doctor(session: Brief, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]>
  /** Where opening the database would make it: what is to be said in the place of all checks, undefined where it is there. */
  absent?(options: DatabaseOptions, sources: readonly SourceTable[]): Check | undefined
}

/** Connects only when something is asked of it. */
export class TableDatabase<Session extends Closable, Brief extends Closable = Session> implements Database {
  readonly options: DatabaseOptions
  readonly #engine: TableEngine<Session, Brief>
  readonly #logins: LoginPause

  constructor(options: DatabaseOptions, engine: TableEngine<Session, Brief>) {
    this.options = options
    this.#engine = engine
    this.#logins = new LoginPause((error) => engine.loginRefused?.(error) ?? false)
  }

  openCapture(sources: readonly SourceTable[]): Promise<Capture> {
    return this.#holding('capture', (session) => this.#engine.capture(session, sources, this.options))
  }

  async openReading(): Promise<Reading> {
    return this.#engine.reading(await this.#open('reading'))
  }

  openDelivery(_sinks: readonly SinkTable[]): Promise<Delivery> {
    return this.#holding('delivery', async (session) => this.#engine.deliver(session))
  }

  async describe(table: string): Promise<ColumnDescription[]> {
    try {
      return await this.#briefly((session) => this.#engine.describe(session, table))
    } catch (error) {
      if (!(error instanceof QianzhiError) || !hidden.includes(error.code)) throw error
      const reason = await this.unreadable(table, []).catch(() => undefined)
      // By its code a table that is not there can still be made.
      throw reason ? new QianzhiError(error.code, { ...error.details, reason }, { cause: error }) : error
    }
  }

  async unreadable(table: string, columns: readonly string[]): Promise<LocalizedText | undefined> {
    const source: SuppliedTable = { resource: '', table, capture: 'compare', columns: columns.map((column) => ({ column })) }
    const missing = await this.#briefly(async (session) => missingRights(await this.#engine.rights(session, [source], [])))
    if (missing.length === 0) return undefined
    const list = missing.join('; ')
    return {
      zh: `账户读不到表 ${table}：请 DBA 执行 ${list}（或该表不存在）`,
      en: `the account cannot read table ${table}: have the DBA run ${list} (or it does not exist)`,
    }
  }

  tables(limit: number): Promise<TableListing[]> {
    return this.#reading(this.options.name, (session) => this.#engine.tables(session, limit))
  }

  sample(table: string, columns: readonly string[], rows: number): Promise<Row[]> {
    return this.#reading(table, (session) => this.#engine.sample(session, table, columns, rows))
  }

  previewRows(source: SourceTable, request: PreviewRequest): Promise<Rows> {
    return this.#reading(source.table, (session) => this.#engine.previewRows(session, source, request))
  }

  supplyTable(source: SourceTable): Promise<string[]> {
    return this.#briefly((session) => this.#engine.supplyTable(session, source))
  }

  setupScript(source: SourceTable, runtimeUser?: string): Promise<string[]> {
    return this.#briefly((session) => this.#engine.setupScript(session, source, runtimeUser))
  }

  teardownScript(source: SourceTable): Promise<string[]> {
    return this.#briefly((session) => this.#engine.teardownScript(session, source))
  }

  async rightsScript(sources: readonly SourceTable[], sinks: readonly SinkTable[], user?: string): Promise<string[]> {
    const rights = await this.#briefly((session) => this.#engine.rights(session, sources, sinks, user))
    return [...new Set(rights.map(({ statement }) => statement))]
  }

  run(statements: readonly string[]): Promise<void> {
    return this.#briefly((session) => this.#engine.run(session, statements))
  }

  quarantine(name: string | undefined, limit: number): Promise<QuarantinedKey[]> {
    return this.#reading(this.options.name, async (brief) => {
      const { session, dialect, there } = await this.#engine.books(brief)
      return new QuarantineBook(session, dialect).list(there, name, limit)
    })
  }

  async doctor(sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
    const absent = this.#engine.absent?.(this.options, sources)
    if (absent) return [absent]
    let session: Brief
    try {
      session = await this.#openBrief('doctor')
    } catch (error) {
      const coded = codedError(error)
      return [{ name: 'connection', ok: false, zh: coded.text('zh'), en: coded.text('en') }]
    }
    try {
      const rights = await this.#engine.rights(session, sources, sinks)
      const may = rights.length > 0 ? [await rightsCheck(rights)] : []
      return [...may, ...(await this.#engine.doctor(session, sources, sinks)), ...(await this.#ownRows(sinks))]
    } finally {
      await session.close()
    }
  }

  async #ownRows(sinks: readonly SinkTable[]): Promise<Check[]> {
    if (sinks.length === 0) return []
    const reading = await this.openReading()
    try {
      const checks: Check[] = []
      for (const sink of sinks) checks.push(...(await ownRowsCheck(reading, sink)))
      return checks
    } finally {
      await reading.close()
    }
  }

  /** Captures, readings and deliveries close their own sessions. */
  async close(): Promise<void> {
    await this.#engine.end?.()
  }

  #open(role: Role): Promise<Session> {
    return this.#loggedIn(() => this.#engine.open(this.options, role))
  }

  #openBrief(role: Role): Promise<Brief> {
    return this.#loggedIn(() => this.#engine.openBrief(this.options, role))
  }

  /** Throws QZ-DB-LOGIN where the server refuses the account. */
  async #loggedIn<T>(open: () => Promise<T>): Promise<T> {
    try {
      return await this.#logins.open(open)
    } catch (error) {
      if (!this.#engine.loginRefused?.(error)) throw error
      const { name, url } = this.options
      const account = URL.canParse(url) ? decodeURIComponent(new URL(url).username) : ''
      throw new QianzhiError('QZ-DB-LOGIN', { database: name, account, reason: localizedReason(error) }, { cause: error })
    }
  }

  async #holding<T>(role: 'capture' | 'delivery', open: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#open(role)
    try {
      await this.#engine.hold(session, role, this.options)
      return await open(session)
    } catch (error) {
      await session.close()
      throw error
    }
  }

  #reading<T>(table: string, work: (session: Brief) => Promise<T>): Promise<T> {
    return this.#briefly((session) => this.#engine.readOnly(session, table, () => work(session)))
  }

  async #briefly<T>(work: (session: Brief) => Promise<T>): Promise<T> {
    const session = await this.#openBrief('command')
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }
}
