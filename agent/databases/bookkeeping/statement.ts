/** SQL with its values beside it. How a value is passed (a placeholder, a literal, a typed bind) is each engine's own. */

export type SqlValue = string | number | null

export interface Sql {
  /** One more than there are values: what stands before, between and behind them. */
  readonly texts: readonly string[]
  readonly values: readonly SqlValue[]
}

/** A statement, or a part of one: values are passed, parts are put in. */
export function sql(texts: TemplateStringsArray, ...parts: readonly (SqlValue | Sql)[]): Sql {
  const made: { texts: string[]; values: SqlValue[] } = { texts: [texts[0]!], values: [] }
  for (const [i, part] of parts.entries()) {
    if (typeof part === 'object' && part !== null) append(made, part)
    else {
      made.values.push(part)
      made.texts.push('')
    }
    made.texts[made.texts.length - 1] += texts[i + 1]!
  }
  return made
}

/** A text of our own: a name that is quoted already, an expression of the engine's. */
export function raw(text: string): Sql {
  return { texts: [text], values: [] }
}

export function join(parts: readonly Sql[], between: string): Sql {
  const made = { texts: [''], values: [] as SqlValue[] }
  for (const [i, part] of parts.entries()) {
    if (i > 0) made.texts[made.texts.length - 1] += between
    append(made, part)
  }
  return made
}

/** A condition that holds for null too. */
export function same(column: string, value: SqlValue): Sql {
  return value === null ? raw(`${column} is null`) : sql`${raw(column)} = ${value}`
}

/** The statement as text; `pass` gives what stands for a value. */
export function render({ texts, values }: Sql, pass: (value: SqlValue) => string): string {
  return values.reduce<string>((text, value, i) => text + pass(value) + texts[i + 1]!, texts[0]!)
}

function append(made: { texts: string[]; values: SqlValue[] }, { texts, values }: Sql): void {
  made.texts[made.texts.length - 1] += texts[0]!
  for (const [i, value] of values.entries()) {
    made.values.push(value)
    made.texts.push(texts[i + 1]!)
  }
}

/** A list in parts that one statement can hold. */
export function chunks<T>(list: readonly T[], length: number): (readonly T[])[] {
  return Array.from({ length: Math.ceil(list.length / length) }, (_, i) => list.slice(i * length, (i + 1) * length))
}
