/** Reading a PostgreSQL table, view or SELECT without anything of Qianzhi's in the database. */
import type { Found, MappedColumn, Mark, PreviewRequest, Reading, Row, Rows, SourceTable } from '../../database.ts'
import type { Value } from '../../../protocol/value.ts'
import { withTable, type Connection } from './connection.ts'
import { rowsLike } from './describe.ts'
import { checkKeys, countRows, keysSince, readAfter, readByKeys, readerOf, type Reader } from './rows.ts'
import { sourceRelation, type Table } from './table.ts'

interface Known {
  table: Table
  reader: Reader
}

export class PostgresReading implements Reading {
  readonly #connection: Connection
  readonly #known = new Map<SourceTable, Known>()

  /** On a connection of its own; the reading closes it. */
  constructor(connection: Connection) {
    this.#connection = connection
  }

  async checkTable(source: SourceTable): Promise<void> {
    this.#known.delete(source)
    await this.#work(source, ({ reader }) => checkKeys(this.#connection, reader, source))
  }

  rowsByKeys(source: SourceTable, keys: readonly Row[]): Promise<Found> {
    return this.#work(source, ({ reader }) => readByKeys(this.#connection, reader, keys))
  }

  rowsAfter(source: SourceTable, after: Row | null, limit: number): Promise<Rows & { last: Row | null }> {
    return this.#work(source, ({ reader }) => readAfter(this.#connection, reader, after, limit))
  }

  keysSince(source: SourceTable, watermark: MappedColumn, from: Value, after: Mark | null, limit: number): Promise<Mark[]> {
    return this.#work(source, ({ reader, table }) => keysSince(this.#connection, reader, source, table, watermark, from, after, limit))
  }

  /** Of a table without its indexes, by which rows are paged through. */
  count(source: SourceTable): Promise<number> {
    return this.#work(source, async ({ reader, table }) => {
      if (!['r', 'p'].includes(table.kind)) return countRows(this.#connection, reader)
      await this.#connection.script('set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off')
      try {
        return await countRows(this.#connection, reader)
      } finally {
        await this.#connection.script('reset enable_indexscan; reset enable_indexonlyscan; reset enable_bitmapscan')
      }
    })
  }

  rowsLike(source: SourceTable, looking: PreviewRequest): Promise<Rows> {
    return this.#work(source, ({ reader, table }) => rowsLike(this.#connection, reader, table, looking))
  }

  atOneMoment<T>(work: () => Promise<T>): Promise<T> {
    return this.#connection.transaction(async () => {
      await this.#connection.script('set transaction isolation level repeatable read')
      return work()
    })
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  /** A table altered under the reading is looked at again the next time. */
  async #work<T>(source: SourceTable, read: (known: Known) => Promise<T>): Promise<T> {
    try {
      let known = this.#known.get(source)
      if (!known) {
        const table = await sourceRelation(this.#connection, source)
        known = { table, reader: readerOf(source, table) }
        this.#known.set(source, known)
      }
      return await read(known)
    } catch (error) {
      this.#known.delete(source)
      throw withTable(error, source.table, 'QZ-SOURCE-TABLE')
    }
  }
}
