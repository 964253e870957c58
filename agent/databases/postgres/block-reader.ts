/** One source's rows as blocks: by the keys of queue entries, and in the order of the key. */
import type { Row, RowBlocks, TakenBlocks } from '../../database.ts'
import type { Connection } from './connection.ts'
import { CopiedColumns, copyColumns, lastValue } from './copy-out.ts'
import { isValueError, type Reader } from './rows.ts'
import { quoteName, quoteText } from './sql.ts'

/** Readings that go the way by values after one that could not go this way: what stopped it comes again as a rule. */
const restAfterRefusal = 8

export interface ListedEntries {
  entries: string[]
  /** Of all entries, also where one is in several. */
  keys: number
  marked: boolean
}

/** Entries of a queue, at most so many, `inFlight` excepted. */
export async function listEntries(
  connection: Connection,
  queue: string,
  limit: number,
  inFlight: ReadonlySet<string>,
): Promise<ListedEntries> {
  const rows = await connection.prepared(
    `select id, cause, cardinality(k1) from ${queue} where id not in (select unnest($1::uuid[])) limit $2`,
    [[...inFlight], limit],
  )
  return {
    entries: rows.map(([id]) => id!),
    keys: rows.reduce((sum, [, , keys]) => sum + Number(keys), 0),
    marked: rows.some(([, cause]) => cause !== null),
  }
}

export class BlockReader {
  readonly #connection: Connection
  readonly #reader: Reader
  readonly #into: CopiedColumns
  #rest = 0

  private constructor(connection: Connection, reader: Reader, into: CopiedColumns) {
    this.#connection = connection
    this.#reader = reader
    this.#into = into
  }

  /** Undefined where the source's columns need more than their bytes. */
  static of(connection: Connection, reader: Reader): BlockReader | undefined {
    return reader.copied && new BlockReader(connection, reader, new CopiedColumns(reader.copied, reader.counted))
  }

  /** Whether to try. */
  pays(): boolean {
    if (this.#rest === 0) return true
    this.#rest--
    return false
  }

  /** Undefined where a key has no row. */
  async ofEntries(queue: string, { entries, keys }: ListedEntries): Promise<TakenBlocks | undefined> {
    const columns = this.#reader.keys.map(({ column }) => `r.${quoteName(column)}`)
    const names = columns.map((_, i) => `k${i + 1}`)
    const queued = `from ${queue} q, unnest(${names.map((name) => `q.${name}`).join(', ')}) k(${names.join(', ')}) where q.id = any('{${entries.join(',')}}')`
    const values = this.#reader.keys.map(({ cast }, i) => `k.${names[i]}::${cast}`).join(', ')
    // Of one column an array: the index is asked for all of it at once.
    const wanted =
      columns.length === 1
        ? `${columns[0]} = any(array(select ${values} ${queued}))`
        : `(${columns.join(', ')}) in (select ${values} ${queued})`
    const read = await this.#read(`${this.#reader.select} and ${wanted}`)
    if (!read) return undefined
    if (read.rows < keys) {
      const [row] = await this.#connection.query(`select count(distinct (${names.map((name) => `k.${name}`).join(', ')})) ${queued}`)
      if (Number(row![0]) !== read.rows) return this.#refuse()
    }
    return { ...read, entries, keys }
  }

  async after(after: Row | null, limit: number): Promise<(RowBlocks & { last: Row | null }) | undefined> {
    const { keys, order, page } = this.#reader
    const place = after ? order.map((place) => quoteText(after[place]!)) : undefined
    const read = await this.#read(page(place, String(limit)))
    return read && { ...read, last: read.rows > 0 ? keys.map(({ place }) => lastValue(read.columns[place]!)) : null }
  }

  /** Undefined also where the server cannot read a value: which one, the way by values finds out. */
  async #read(query: string): Promise<RowBlocks | undefined> {
    try {
      await this.#connection.guard(() => copyColumns(this.#connection.client, query, this.#into))
      const { blocks } = this.#into
      if (blocks) return blocks
    } catch (error) {
      if (!isValueError(error)) throw error
    }
    return this.#refuse()
  }

  #refuse(): undefined {
    this.#rest = restAfterRefusal
    return undefined
  }
}
