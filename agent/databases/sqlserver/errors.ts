/** Error numbers of SQL Server (sys.messages) and of its driver, by what they mean for the agent. */
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'

interface DriverError extends Error {
  number?: number
  class?: number
  code?: string
}

/** Of several messages to one statement the first says what is wrong; later ones say that it was ended. */
export function firstError(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error
}

/** The number, also inside a coded error. */
export function errorNumber(error: unknown): number | undefined {
  const inner = error instanceof QianzhiError ? error.cause : error
  return (firstError(inner) as DriverError | undefined)?.number
}

const rights = new Set([229, 230, 262, 297, 300, 916, 4060, 4064, 15151, 15247, 18452, 18456, 18470, 18487, 18488])
/**
 * The server is stopping or starting, the session was killed, the log or the disk is full, the database is damaged, offline, restoring, in
 * recovery, in single-user mode, or a secondary that cannot be read.
 */
const unusable = new Set([
  233, 596, 701, 823, 824, 845, 904, 921, 922, 924, 926, 927, 942, 945, 952, 976, 978, 979, 982, 983, 1105, 3908, 6005, 6107, 9001, 9002,
  10054, 17142, 18401, 18451, 40197, 40501, 40613,
])
/** Severity from which the server ends the session. */
const fatal = 20

/** "Failed to update database … because the database is read-only", of a readable secondary too. */
const readOnly = 3906

export function connectionCode(error: unknown): 'QZ-DB-RIGHTS' | 'QZ-DB-READ-ONLY' | 'QZ-DB-UNREACHABLE' | undefined {
  const { number, class: severity, code } = firstError(error) as DriverError
  if (number !== undefined && rights.has(number)) return 'QZ-DB-RIGHTS'
  if (number === readOnly) return 'QZ-DB-READ-ONLY'
  if (number !== undefined && (unusable.has(number) || (severity ?? 0) >= fatal)) return 'QZ-DB-UNREACHABLE'
  if (code === 'ELOGIN') return 'QZ-DB-RIGHTS'
  return isLost(error) ? 'QZ-DB-UNREACHABLE' : undefined
}

/** The session is gone, or nothing is known of it. */
export function isLost(error: unknown): boolean {
  const { number, class: severity, code } = firstError(error) as DriverError
  if (number !== undefined && number > 0) return (severity ?? 0) >= fatal || number === 596
  return /^(ESOCKET|ECLOSE|ETIMEOUT|ECANCEL|ECONN|EPIPE|EHOST|ENET|EINVALIDSTATE|EINSTLOOKUP|ENOTFOUND|EAI_)/.test(code ?? '')
}

/** A deadlock, a lock wait that took too long, an update conflict under snapshot isolation: the whole may be tried again. */
export function isContention(error: unknown): boolean {
  const number = errorNumber(error)
  if ([1204, 1205, 1222, 3960, 3961].includes(number ?? 0)) return true
  return number !== undefined && /lock timeout|deadlock detected/i.test((firstError(error) as Error).message)
}

/** A unique index, or a foreign key from or to the row. */
export function isConflict(error: unknown): boolean {
  return [547, 2601, 2627].includes(errorNumber(error) ?? 0)
}

/** The table or a column of the statement is not there. */
export function isMissing(error: unknown): boolean {
  return [207, 208, 213, 1088, 4502, 4701, 4902, 4924, 22105].includes(errorNumber(error) ?? 0)
}

/** Of the statement, the table or the transaction: syntax and names (severity 15, 1xx, 2xx below), permissions, locks, snapshots, options. */
const statementErrors = new Set([
  102, 156, 207, 208, 213, 1088, 1204, 1205, 1222, 1934, 2812, 3902, 3903, 3930, 3931, 3952, 3960, 3961, 4502, 4701, 4902, 4924, 8180,
  22105,
])

/** Whatever else the server says while the session lives concerns a row: its values, constraints, and what triggers raise or roll back. */
export function isRowError(error: unknown): boolean {
  const number = errorNumber(error)
  if (number === undefined || number <= 0 || statementErrors.has(number)) return false
  return connectionCode(error instanceof QianzhiError ? error.cause : error) === undefined && !isContention(error)
}

export function coded(database: string, error: unknown): unknown {
  if (error instanceof QianzhiError) return error
  const code = connectionCode(error)
  return code ? new QianzhiError(code, { database, reason: reasonOf(firstError(error)) }, { cause: error }) : firstError(error)
}

/** What may be tried again, as a coded error that says so. */
export function databaseError(database: string, error: unknown): unknown {
  if (!isContention(error) || error instanceof QianzhiError) return error
  return new QianzhiError('QZ-DB-UNREACHABLE', { database, reason: reasonOf(error) }, { cause: error })
}

/** A failed login under the number of what the server said first that passes by itself, else of what it said last. */
export function withNumber(error: Error, said: readonly number[]): Error {
  const number = said.find((one) => unusable.has(one)) ?? said.at(-1)
  return number === undefined || 'number' in error ? error : Object.assign(error, { number })
}
