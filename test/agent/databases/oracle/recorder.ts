/**
 * A connection that answers from a list and writes down what it was asked: for golden files of statements, where no server can be had.
 * It checks what a server would: placeholders are numbered in the order in which they stand, and each has its value.
 */
import { deepEqual, equal } from 'node:assert/strict'
import oracledb, { type BindDefinition, type BindParameter, type Connection, type ExecuteManyOptions } from 'oracledb'

type Cell = string | null
type Answer = Cell[][] | ((sql: string, values: readonly unknown[]) => Cell[][])

export class Recorder {
  readonly asked: string[] = []
  /** Questions to the dictionary are written down once. */
  readonly #looked = new Set<string>()
  /** The last that fits answers. */
  readonly answers: [RegExp, Answer][] = [
    [/database_role/, [['QZ', 'PRIMARY', 'AL32UTF8', 'AL16UTF16']]],
    [/for update nowait/, [['capture']]],
  ]
  /** Rows that an update or delete of this kind affects; else one. */
  affected: [RegExp, number][] = []

  /** While `work` runs, connections of the driver are this recorder's. */
  async recording<T>(work: () => Promise<T>): Promise<T> {
    const driver = oracledb as { getConnection: unknown }
    const real = driver.getConnection
    driver.getConnection = () => Promise.resolve(this.#connection())
    try {
      return await work()
    } finally {
      driver.getConnection = real
    }
  }

  answer(pattern: RegExp, answer: Answer): void {
    this.answers.push([pattern, answer])
  }

  /** What was asked since the last time, as a readable file. */
  take(): string {
    return `${this.asked.splice(0).join('\n\n')}\n`
  }

  #connection(): Connection {
    return {
      oracleServerVersion: 1902000000,
      oracleServerVersionString: '19.2.0.0.0',
      thin: true,
      execute: (sql: string, binds: BindParameter[] = []) => Promise.resolve(this.#execute(sql, binds)),
      executeMany: (sql: string, rows: Cell[][], options: ExecuteManyOptions) => Promise.resolve(this.#many(sql, rows, options)),
      commit: () => Promise.resolve(void this.asked.push('-- commit')),
      rollback: () => Promise.resolve(void this.asked.push('-- rollback')),
      close: () => Promise.resolve(),
    } as unknown as Connection
  }

  #execute(sql: string, binds: BindParameter[]) {
    const values = binds.map(({ val }) => val as unknown)
    checkPlaceholders(sql, values.length)
    const list = binds.map(({ val, type }, i) => `-- :${i + 1} ${String((type as { name?: string }).name).slice(8)} ${JSON.stringify(val)}`)
    if (!sql.startsWith('alter session') && !this.#looked.has(sql)) this.asked.push([`${sql};`, ...list].join('\n'))
    if (/\b(all|nls_database)_\w+/.test(sql)) this.#looked.add(sql)
    const answer = this.answers.findLast(([pattern]) => pattern.test(sql))?.[1]
    const rows = typeof answer === 'function' ? answer(sql, values) : answer
    if (/^\s*select/.test(sql)) return { rows: (rows ?? []).map((row) => [...row]) }
    return { rowsAffected: this.affected.findLast(([pattern]) => pattern.test(sql))?.[1] ?? 1 }
  }

  #many(sql: string, rows: Cell[][], { bindDefs, dmlRowCounts }: ExecuteManyOptions) {
    const definitions = bindDefs as BindDefinition[]
    checkPlaceholders(sql, definitions.length)
    for (const row of rows) equal(row.length, definitions.length)
    const list = definitions.map(({ type, maxSize }, i) => {
      return `-- :${i + 1} ${String((type as { name?: string }).name).slice(8)}(${maxSize}) ${JSON.stringify(rows.map((row) => row[i]))}`
    })
    this.asked.push([`${sql};`, `-- for ${rows.length} rows`, ...list].join('\n'))
    const each = this.affected.findLast(([pattern]) => pattern.test(sql))?.[1] ?? 1
    return { rowsAffected: each * rows.length, ...(dmlRowCounts && { dmlRowCounts: rows.map(() => each) }) }
  }
}

/** Outside of DDL and of texts, as the driver finds them. */
export function checkPlaceholders(sql: string, count: number): void {
  if (/^(create|begin|declare|comment)\s/.test(sql)) return equal(count, 0)
  const found = Array.from(sql.replaceAll(/'(?:[^']|'')*'|"[^"]*"/g, '').matchAll(/:(\d+)/g), ([, number]) => Number(number))
  deepEqual(
    found,
    Array.from({ length: count }, (_, i) => i + 1),
    sql,
  )
}
