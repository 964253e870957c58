/**
 * What a server's words say of why it refused a row, as far as it may be told to the provider: the constraint, its table and column, and no
 * value. The words are known by their form, each engine's own; what has none of these forms, such as a trigger's own text, is not told.
 */
export interface RefusalText {
  text: string
  /** The local column that they name. */
  column?: string
}

const name = '(?:"[^"]*"|\'[^\']*\'|`[^`]*`|\\[[^\\]]*\\]|[\\p{L}\\p{N}_$.]+)'
const dotted = `${name}(?:\\.${name})*`

/** Each from the beginning; of what is matched, `said` parts are told, in order, where there are some, else all of it. */
const forms: readonly RegExp[] = [
  // PostgreSQL
  `new row for relation ${name} violates check constraint ${name}`,
  `duplicate key value violates unique constraint ${name}`,
  `conflicting key value violates exclusion constraint ${name}`,
  `(?:insert or update|update or delete) on table ${name} violates (?:RESTRICT setting of )?foreign key constraint ${name}(?: on table ${name})?`,
  `null value in column (?<column>${name}) of relation ${name} violates not-null constraint`,
  `value too long for type [a-z ]+\\(\\d+\\)`,
  `numeric field overflow$`,
  // MySQL, MariaDB
  `(?<said1>Duplicate entry) '.*' (?<said2>for key ${dotted})$`,
  `Column (?<column>${name}) cannot be null`,
  `(?:Data too long|Out of range value|Data truncated) for column (?<column>${name})`,
  `(?<said1>Incorrect [a-z]+ value): '.*' (?<said2>for column (?<column>${dotted}))`,
  `Field (?<column>${name}) doesn't have a default value`,
  `Check constraint ${name} is violated`,
  `CONSTRAINT ${dotted} failed for ${dotted}`,
  `Cannot (?:add or update a child|delete or update a parent) row: a foreign key constraint fails \\(.*?CONSTRAINT ${name} FOREIGN KEY \\(${name}(?:, ${name})*\\)(?: REFERENCES ${dotted})?`,
  // SQL Server
  `Violation of (?:UNIQUE|PRIMARY) KEY constraint ${name}`,
  `Cannot insert duplicate key row in object ${name} with unique index ${name}`,
  `The [A-Z]+ statement conflicted with the [A-Z ]+ constraint ${name}`,
  `Cannot insert the value NULL into column (?<column>${name}), table ${name}`,
  `String or binary data would be truncated in table ${name}, column (?<column>${name})`,
  // Oracle
  `ORA-0*1: unique constraint \\(${dotted}\\) violated`,
  `ORA-0*1400: cannot insert NULL into \\((?<column>${dotted})\\)`,
  `ORA-0*1407: cannot update \\((?<column>${dotted})\\) to NULL`,
  `ORA-0*(?:2290|2291|2292): (?:check|integrity) constraint \\(${dotted}\\) violated`,
  `ORA-0*12899: value too large for column (?<column>${dotted})`,
  // SQLite
  `(?:UNIQUE|NOT NULL) constraint failed: (?<column>${dotted})$`,
  `UNIQUE constraint failed: ${dotted}(?:, ${dotted})*$`,
  `CHECK constraint failed: .*`,
  `FOREIGN KEY constraint failed`,
].map((form) => new RegExp(`^${form}`, 'su'))

export function refusalText(said: string): RefusalText | undefined {
  for (const form of forms) {
    const match = form.exec(said)
    if (!match) continue
    const { said1, said2, column } = match.groups ?? {}
    const text = said1 === undefined ? match[0] : `${said1} ${said2}`
    return { text, ...(column !== undefined && { column: lastName(column) }) }
  }
  return undefined
}

/** Of `db`.`table`.`column` the column, without its quotation marks. */
function lastName(dotted: string): string {
  return /([^"'`[\].]+)["'`\]]?$/u.exec(dotted)?.[1] ?? dotted
}
