import type { BookSession } from './session.ts'
import { RowsRefused } from './sink-engine.ts'

/** Runs work under the name of a savepoint: each within another has its own, for engines where a second of one name takes the first one's place. */
export function savepoints(): <T>(work: (name: string) => Promise<T>) => Promise<T> {
  let depth = 0
  return async (work) => {
    const name = depth === 0 ? 'qz_rows' : `qz_rows_${depth}`
    depth++
    try {
      return await work(name)
    } finally {
      depth--
    }
  }
}

/** `BookSession.attempt` by the SQL standard's savepoints, where a refusal leaves the transaction as it was. */
export function savepointAttempts(
  run: (statement: string) => Promise<unknown>,
  isRowError: (error: unknown) => boolean,
): BookSession['attempt'] {
  const savepoint = savepoints()
  return (work) =>
    savepoint(async (name) => {
      await run(`savepoint ${name}`)
      try {
        return { done: await work() }
      } catch (error) {
        if (!(isRowError(error) || error instanceof RowsRefused)) throw error
        await run(`rollback to savepoint ${name}`)
        return { refused: error, transactionEnded: false }
      }
    })
}
