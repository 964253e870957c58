/** What Oracle's error numbers (Database Error Messages) and the driver's mean to the agent. */

interface DriverError extends Error {
  errorNum?: number
  code?: string
}

/** The number of an `ORA-` error; the thin driver tells those of single rows in the message only. */
export function errorNumber(error: unknown): number | undefined {
  const { errorNum, message } = error as DriverError
  if (errorNum) return errorNum
  const found = /ORA-(\d{5})/.exec(message)
  return found ? Number(found[1]) : undefined
}

function within(number: number, ...ranges: [from: number, to: number][]): boolean {
  return ranges.some(([from, to]) => number >= from && number <= to)
}

const rights = new Set([1031, 1045, 1720, 1749, 1950, 1997, 41900])

/** The session is gone, the server is not there or cannot write now (no space, archiver stuck), or refuses sessions. */
const unusable = new Set([
  18, 19, 20, 22, 28, 51, 257, 1012, 1013, 1033, 1034, 1035, 1041, 1089, 1090, 1092, 1109, 1536, 1555, 1652, 1653, 1654, 1688, 1691, 1693,
  2391, 2393, 2394, 2395, 2396, 2399, 3106, 3108, 3113, 3114, 3120, 3135, 3136, 4030, 4031, 8103, 10456, 12008, 16456, 25408, 30036,
])

/** "database or pluggable database open for read-only access": a standby, or so by choice. */
const readOnly = 16000

/** `QZ-DB-RIGHTS`, `QZ-DB-READ-ONLY`, `QZ-DB-UNREACHABLE`, or undefined where the error is the statement's own. */
export function connectionCode(error: unknown): 'QZ-DB-RIGHTS' | 'QZ-DB-READ-ONLY' | 'QZ-DB-UNREACHABLE' | undefined {
  const { code = '' } = error as DriverError
  // NJS-003 a closed connection, NJS-123 a call that took too long, NJS-500 to 599 the network; DPI-1010, 1067, 1080 the same in thick mode.
  if (/^NJS-(003|040|123|5\d\d)$|^DPI-(1010|1067|1080)$|^E(CONN|PIPE|TIMEDOUT|HOST|NET)/.test(code)) return 'QZ-DB-UNREACHABLE'
  const number = errorNumber(error)
  if (number === undefined) return undefined
  if (number === readOnly) return 'QZ-DB-READ-ONLY'
  if (rights.has(number)) return 'QZ-DB-RIGHTS'
  return unusable.has(number) || within(number, [12150, 12699], [27100, 27199]) ? 'QZ-DB-UNREACHABLE' : undefined
}

/** Somebody holds the lock, or both wait for each other: the whole transaction may be tried again. */
export function isContention(error: unknown): boolean {
  return [54, 60, 4020, 4021, 8177, 14450, 30006].includes(errorNumber(error) ?? 0)
}

/** A table, view, sequence, trigger or column of the statement is not there, or this account may not see it. */
export function isMissing(error: unknown): boolean {
  return [904, 942, 1418, 2289, 4043, 4063, 4080, 4098].includes(errorNumber(error) ?? 0)
}

/** Of the statement or the table: syntax and names, types that do not go together, an object's state. */
const statementErrors = new Set([
  900, 903, 904, 905, 911, 913, 917, 921, 923, 926, 928, 932, 933, 936, 942, 947, 969, 1418, 1446, 1702, 1732, 1733, 1747, 1776, 1779, 2089,
  2289, 4043, 4063, 4080, 4098, 12081, 14411, 24816, 25402, 38104,
])

/** Whatever else the server says while the session lives concerns a row: its values, constraints, and what triggers raise under any number. */
export function isRowError(error: unknown): boolean {
  const number = errorNumber(error)
  return number !== undefined && !statementErrors.has(number) && !isContention(error) && connectionCode(error) === undefined
}
