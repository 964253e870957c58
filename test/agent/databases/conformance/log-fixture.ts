/** What tests of engines that read the server's log stand on: what differs between engines, a database with the usual table, sessions. */
import type { Test } from 'tap'
import type { SourceTable } from '../../../../agent/database.ts'
import type { Random } from '../../../faults/random.ts'
import { licence, Model, openDatabase, sourceOf, type Opened, type Watched } from './fixture.ts'
import type { Dialect, KeyColumn, Session, TestDatabase } from './suite.ts'

export interface LogServer {
  fresh: () => Promise<TestDatabase>
  kill(signal: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
}

/** What differs between engines in these tests. */
export interface LoggedEngine {
  /** Captures by the log. */
  dialect: Dialect
  fresh: () => Promise<TestDatabase>
  /** A durable server of the test's own. */
  own(t: Test): Promise<LogServer>
  /** SQL: how many triggers the database has. */
  triggers: string
  /** SQL: how much at the server is there for the reading of this database alone. */
  held?: string
  /** SQL: the keys that are queued for a source, as they stand there, in any order. */
  queued(source: SourceTable): string
  /** The sessions at which the server sends its log end. */
  endStreams?(test: Session): Promise<void>
  /** Ways to lose the thread, of a capture that is closed; the first one may be gone on a server that is used by others, too. */
  spoil(test: Session): Promise<Record<string, () => Promise<void>>>
  /** Transactions in two phases. `savepoints`: they may have some; `atOnce` commits in one. */
  prepared: {
    begin(id: string): string
    prepare(id: string): string[]
    end(id: string, how: 'commit' | 'rollback'): string
    atOnce(id: string): string[]
    savepoints: boolean
  }
  /** Commits stand in the log and others do not see them until `go`. Undefined where the server cannot. */
  hold?: (t: Test, test: TestDatabase, writer: Session) => Promise<Held>
  /** Whether a server that broke down may have lost the end of its log. */
  marksAfterCrash: boolean
  /** Has the log tell of `licence` more than its primary key. */
  whole: string[]
  /** Gives a column of `licence` the type varchar(120). */
  widen(column: string): string
  makeUser(name: string): string
  /** Types of keys besides the dialect's. */
  keyColumns: readonly KeyColumn[]
  /** A table `licence` of `twoKeys`, its writers' settings, and changes of one `code`. */
  randomTable(random: Random): {
    name: string
    ddl: string[]
    writers: string[][]
    changes: ((code: string) => string)[]
    truncate(): string
  }
}

export interface Held {
  /** The commit stands in the log. */
  isLogged(): Promise<boolean>
  /** The reader has looked at it. */
  isLookedAt?(): Promise<boolean>
  go(): Promise<void>
}

/** The usual table. */
export const plain = 'create table licence (id varchar(20) primary key, name varchar(100), amount decimal(12,2))'

export function byLog(changes: Partial<SourceTable> = {}): SourceTable {
  return sourceOf(licence, { capture: 'log', ...changes })
}

/** A database with the usual table, or another one. */
export async function openedLog(t: Test, { dialect, fresh }: Pick<LoggedEngine, 'dialect' | 'fresh'>, ddl = plain): Promise<Opened> {
  const opened = await openDatabase(t, dialect, fresh)
  await opened.test.query(ddl)
  return opened
}

export async function drained({ capture, source }: Pick<Watched, 'capture' | 'source'>, model = new Model()): Promise<Model> {
  await model.drain({ capture, source })
  return model
}

export async function sessionOf(t: Test, { test }: Pick<Opened, 'test'>): Promise<Session> {
  const made = await test.connect()
  t.teardown(() => made.close())
  return made
}

/** By a user whose password is `secret`. */
export function urlOf(test: TestDatabase, user: string): string {
  const url = new URL(test.url)
  url.username = user
  url.password = 'secret'
  return url.href
}
