/**
 * What database servers say of an error, without the values of rows that they repeat in it: such a text goes into logs, pages, reports and
 * notices, on other machines too. What stays are SQLSTATE or number, and the names of tables, columns, constraints and types. Each driver's
 * errors are known by their fields: `pg` and `mysql2` (SQLSTATE), `tedious` (`number`), `oracledb` (`errorNum`).
 */
interface ServerError extends Error {
  code?: unknown
  severity?: unknown
  sqlState?: unknown
  number?: unknown
  errorNum?: unknown
}

/** Undefined where it is no error of a server. */
export function withoutValues(error: Error): string | undefined {
  const { code, severity, sqlState, number, errorNum, message } = error as ServerError
  if (severity !== undefined && typeof code === 'string') return ofState(code, message)
  if (typeof sqlState === 'string') return ofState(sqlState, message)
  if (typeof number === 'number') return number >= 50_000 ? `error ${number}` : masked(message)
  if (typeof errorNum === 'number') return isRaised(errorNum) ? `ORA-${errorNum}` : masked(message)
  return undefined
}

/** What a trigger or procedure raises (`raise`, `signal`) is a text of its author's, with whatever is in it. */
function ofState(state: string, message: string): string {
  if (/^(?:P0|45|99)/.test(state)) return `SQLSTATE ${state}`
  // Data exceptions of PostgreSQL quote values alone.
  return `${masked(state.startsWith('22') ? message.replace(/".*"/s, '"…"') : message)} (SQLSTATE ${state})`
}

function isRaised(number: number): boolean {
  return number >= 20_000 && number < 21_000
}

/** Where the servers put values: each from the first quotation mark to the last, for a value may hold some itself. */
const places: readonly [RegExp, string][] = [
  // MySQL, MariaDB: Duplicate entry '…' for key 'k'; Incorrect integer value: '…' for column 'c'; Truncated incorrect DOUBLE value: '…'
  [/\bentry '.*'(?= for key\b)/s, "entry '…'"],
  [/\bvalue:? '.*'(?= for (?:column|function)\b)/s, "value '…'"],
  [/\b(?:Incorrect|Truncated incorrect) (.+) value: '.*'/s, "incorrect $1 value '…'"],
  [/\bInvalid (.+) character string: '.*'/s, "invalid $1 character string '…'"],
  // SQL Server
  [/duplicate key value is \(.*\)/s, 'duplicate key value is (…)'],
  [/\bvalue '.*'(?= to (?:data type|a column)\b)/s, "value '…'"],
  [/\bTruncated value: '.*'/s, "Truncated value: '…'"],
  // Oracle 23ai: row with column values (ID:1) already exists; unable to convert string value containing 'a' to a number
  [/\bcolumn values \(.*\)/s, 'column values (…)'],
  [/\bcontaining '?.*'?(?= to a )/s, 'containing …'],
]

function masked(message: string): string {
  return places.reduce((text, [place, instead]) => text.replace(place, instead), message)
}
