/**
 * The lock that keeps a second agent out of a schema: a row that a session of its own holds, in a transaction that lasts as long as it.
 * DBMS_LOCK would need no second session, but nobody may execute it unless a DBA grants it, which many refuse.
 *
 * The session also tells whether the server can still be reached: a statement may take long, so silence on the working connection means
 * nothing; silence on this one does.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { quoteName, unlessError } from './sql.ts'
import type { DatabaseOptions } from '../../database.ts'
import { Session } from './connection.ts'
import { errorNumber, isMissing } from './errors.ts'

const lockTable = 'QZ_LOCK'

/** A killed agent's session lives on until the server notices: so long a lock that is held is asked for again. */
const patienceMs = 3_000
const askMs = 100

/** How often the server is asked for a sign of life, and how long it has for it. */
const signMs = 15_000
const answerMs = 10_000

export type Purpose = 'capture' | 'delivery'

/** Made by set-up, and by the agent where it may make tables. */
export function lockTableStatements(owner: string): string[] {
  const table = `${quoteName(owner)}.${quoteName(lockTable)}`
  return [
    unlessError(-955, `create table ${table} (purpose varchar2(20) not null primary key)`),
    ...(['capture', 'delivery'] as const).map(
      (purpose) =>
        `insert into ${table} (purpose) select '${purpose}' from dual where not exists (select 1 from ${table} where purpose = '${purpose}')`,
    ),
    'commit',
  ]
}

export function lockStatement(owner: string, purpose: Purpose): string {
  return `select purpose from ${quoteName(owner)}.${quoteName(lockTable)} where purpose = '${purpose}' for update nowait`
}

export class SchemaLock {
  readonly #session: Session
  #timer: NodeJS.Timeout | undefined
  #closed = false

  private constructor(session: Session) {
    this.#session = session
  }

  /**
   * Throws QZ-AGENT-CLONED, QZ-DB-READ-ONLY. Undefined where there is no lock table and it cannot be made: an account without that right was not set up,
   * and can neither remember nor deliver anything.
   */
  static async take(options: DatabaseOptions, purpose: Purpose): Promise<SchemaLock | undefined> {
    const session = await Session.open(options)
    try {
      session.requireWritable()
      const held = await holdRow(session, purpose)
      if (!held) await session.close()
      return held ? new SchemaLock(session) : undefined
    } catch (error) {
      await session.close()
      throw error
    }
  }

  /** Abandons the working session when the lock's own is lost. */
  guard(working: Session): void {
    const look = async (): Promise<void> => {
      try {
        await this.#session.rows('select 1 from dual')
        if (!this.#closed) again()
      } catch (error) {
        if (!this.#closed)
          working.abandon({
            zh: `持锁会话已断开：${reasonOf(error, 'zh')}`,
            en: `the session that holds its lock is lost: ${reasonOf(error)}`,
          })
      }
    }
    const again = (): void => void (this.#timer = setTimeout(() => void look(), signMs).unref())
    this.#session.limit(answerMs)
    again()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#session.close()
  }
}

async function holdRow(session: Session, purpose: Purpose): Promise<boolean> {
  for (const patience = performance.now() + patienceMs; ; await sleep(askMs)) {
    try {
      session.holdTransaction()
      const held = await session.rows(lockStatement(session.server.user, purpose))
      if (held.length > 0) return true
      await makeTable(session)
    } catch (error) {
      if (isMissing(error)) {
        if (!(await mayMakeTable(session))) return false
      } else if (errorNumber(error) !== 54) throw error
      else if (performance.now() > patience) throw new QianzhiError('QZ-AGENT-CLONED', { database: session.options.name }, { cause: error })
    }
  }
}

async function makeTable(session: Session): Promise<void> {
  for (const statement of lockTableStatements(session.server.user)) await session.run(statement)
}

async function mayMakeTable(session: Session): Promise<boolean> {
  try {
    await makeTable(session)
    return true
  } catch (error) {
    if (error instanceof QianzhiError && error.code === 'QZ-DB-RIGHTS') return false
    throw error
  }
}
