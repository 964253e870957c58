/** Which tables a statement of the log may concern whose rows it does not tell. It is rather thought to concern one too many. */
import { isUtf8 } from 'node:buffer'

export interface LoggedTable {
  database: string
  table: string
}

/** Statements that concern what they name; any other changes rows, of whatever tables. */
const naming = /^(create|alter|drop|rename|truncate|repair|set|comment|import|lock|unlock|install|uninstall)\b/
/** Statements that change no row, whatever they name. */
const harmless = /^(grant|revoke|analyze|optimize|check|flush)\b/
const objects = /\b(table|index|database|schema|tablespace|view|trigger|procedure|function|event|user|role|server|package|sequence)\b/
const withoutRows = new Set(['view', 'trigger', 'procedure', 'function', 'event', 'user', 'role', 'server', 'package'])

/** `current`: the session's database. */
export function concernedTables<T extends LoggedTable>(text: Buffer, current: string, tables: readonly T[]): readonly T[] {
  // A name in another character set than UTF-8 would not be found.
  const readable = isUtf8(text)
  const statement = plain(text.toString(readable ? 'utf8' : 'latin1'))
  if (statement === '' || harmless.test(statement)) return []
  if (!naming.test(statement)) return tables
  const object = /^(create|alter|drop)\b/.test(statement) ? objects.exec(statement)?.[1] : undefined
  if (object !== undefined && withoutRows.has(object)) return []
  return tables.filter(({ database, table }) => {
    const names = (name: string) => (!readable && !isAscii(name)) || hasWord(statement, plain(name))
    if (object === 'database' || object === 'schema') return names(database)
    return names(table) && (same(current, database) || names(database))
  })
}

function hasWord(text: string, word: string): boolean {
  const part = String.raw`[\w$\u0080-\uffff]`
  return new RegExp(`(?<!${part})${word.replaceAll(/[^\w\s\u0080-\uffff]/g, String.raw`\$&`)}(?!${part})`).test(text)
}

/** Without texts, comments and quotes, in small letters; what a comment keeps from older servers is part of the statement. */
function plain(text: string): string {
  // Whether a backslash ends a text depends on the session.
  const unsure = text.includes('\\')
  return text
    .replaceAll(/`(?:[^`]|``)*`|"(?:[^"]|"")*"|\/\*(?!M?!)[\s\S]*?\*\/|'(?:[^']|'')*'/g, (part) =>
      part[0] === '/' || (part[0] === "'" && !unsure) ? ' ' : part,
    )
    .replaceAll(/^\s*(--|#).*$/gm, ' ')
    .replaceAll(/\/\*M?!\d*|\*\/|[`"]/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .toLowerCase()
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function isAscii(text: string): boolean {
  return !/[^ -~]/.test(text)
}
