/**
 * A second look at what was read of a table, which shares neither the order nor the values' way with the first: the stream and a
 * reconciliation read alike, so what both read wrongly would be the same at both ends.
 */
import type { Doubt } from '../../protocol/reconciliation.ts'
import { codedError } from '../../protocol/errors.ts'
import type { Reading, Row, SourceTable } from '../database.ts'
import { keyIndexes, keyOf } from '../row-keys.ts'
import { readPage } from '../row-pages.ts'
import { pageRows, type ReadingOptions } from './reading-options.ts'

/** What the first reading met. */
export interface FirstReading {
  /** Rows of the database, also those that cannot be sent. */
  rows: number
  /** What the database counted before. */
  counted: number
  /** A key that several rows have. */
  twice: boolean
  /** Some of the rows, as they were read. */
  sample: readonly Row[]
}

/** Rows whose values are asked for again; a longer value is not. */
const [mostRows, longestValue] = [100, 1_000]
/** How often what moves is looked at again. */
const tries = 3

/** Rows spread over a table of whatever length; which ones depends on `chance`. */
export class Sample {
  readonly rows: Row[] = []
  #chance: number
  #seen = 0
  #every = 1

  constructor(chance: number) {
    this.#chance = chance
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      if (this.#seen++ % this.#every !== 0 || row.some((value) => value !== null && value.length > longestValue)) continue
      this.rows.push([...row])
      if (this.rows.length < 2 * mostRows) continue
      const half = this.rows.filter((_, i) => i % 2 === this.#chance % 2)
      this.rows.splice(0, this.rows.length, ...half)
      this.#chance >>= 1
      this.#every *= 2
    }
  }
}

export async function countRows({ database, table }: ReadingOptions): Promise<number> {
  const reading = await database.openReading()
  try {
    return await reading.count(table.table)
  } finally {
    await reading.close()
  }
}

/** What is wrong with a reading; undefined where the database confirms it. */
export async function secondLook(options: ReadingOptions, first: FirstReading): Promise<Doubt | undefined> {
  if (first.twice) return 'keys'
  const { database, table } = options
  const reading = await database.openReading()
  try {
    if (!(await countsAgree(options, reading, table.table, first))) return 'rows'
    // Files are read in one way only.
    if (database.options.folder) return undefined
    const values = new StandingValues(reading, table.table)
    for (const row of first.sample) {
      options.signal.throwIfAborted()
      if (!(await values.stand(row))) return 'values'
    }
    return undefined
  } finally {
    await reading.close()
  }
}

/**
 * Whether paging by the key meets every row that the database counts. Where it was written to meanwhile the keys alone are read again, with
 * their count, as of one moment; where the engine has no such thing, between two counts.
 */
async function countsAgree(
  { check, signal }: ReadingOptions,
  reading: Reading,
  table: SourceTable,
  { rows, counted }: FirstReading,
): Promise<boolean> {
  if (counted === rows && (await reading.count(table)) === rows) return true
  const keys = { ...table, columns: table.columns.filter(({ item }) => item.key) }
  for (let tried = 0; tried < tries; tried++) {
    signal.throwIfAborted()
    check()
    const [before, paged, after] = await reading.atOneMoment(async () => [
      await reading.count(keys),
      await paging(reading, keys),
      await reading.count(keys),
    ])
    if (paged >= Math.min(before, after) && paged <= Math.max(before, after)) return true
  }
  return false
}

async function paging(reading: Reading, keys: SourceTable): Promise<number> {
  let count = 0
  for (let after: Row | null = null; ;) {
    const page: Awaited<ReturnType<typeof readPage>> = await readPage(reading, keys, after, pageRows)
    count += page.count
    if (page.ended) return count
    after = page.last
  }
}

/** Whether the database, asked by its own comparison in each column's own type, has the values that were read. */
class StandingValues {
  readonly #reading: Reading
  readonly #table: SourceTable
  readonly #keys: readonly number[]
  /** Places of columns that can be compared: no documents, no bytes (Oracle does not), and none that the database does not compare at all. */
  readonly #places: Set<number>

  constructor(reading: Reading, table: SourceTable) {
    this.#reading = reading
    this.#table = table
    this.#keys = keyIndexes(table)
    this.#places = new Set(table.columns.flatMap(({ item }, i) => (item.type === 'json' || item.type === 'binary' ? [] : [i])))
  }

  async stand(row: Row): Promise<boolean> {
    for (let tried = 0; tried < tries; tried++) {
      if ((await this.#like(row, [...this.#places])) === true) return true
      const now = (await this.#reading.rowsByKeys(this.#table, [keyOf(row, this.#keys)])).rows[0]
      // Gone, or another one meanwhile.
      if (!now) return true
      if (now.every((value, i) => value === row[i])) return this.#eachStands(row)
      row = [...now]
    }
    return true
  }

  async #eachStands(row: Row): Promise<boolean> {
    for (const place of this.#places) {
      const like = await this.#like(row, [place])
      if (like === false) return false
      if (like === undefined && !this.#keys.includes(place)) this.#places.delete(place)
    }
    return true
  }

  /** Undefined where the database does not compare these columns so. */
  async #like(row: Row, places: readonly number[]): Promise<boolean | undefined> {
    const { columns, zeroDates } = this.#table
    const asked = new Set([...this.#keys, ...places])
    const filter = [...asked].flatMap((i) =>
      // A zero date is read as null.
      row[i] === null && zeroDates === 'null' ? [] : [{ item: columns[i]!.item.id, value: row[i]! }],
    )
    try {
      return (await this.#reading.rowsLike(this.#table, { rows: 1, filter })).rows.length > 0
    } catch (error) {
      if (['QZ-DB-UNREACHABLE', 'QZ-DB-LOGIN', 'QZ-DB-RIGHTS'].includes(codedError(error).code)) throw error
      return undefined
    }
  }
}
