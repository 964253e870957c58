import pg from 'pg'
import Cursor from 'pg-cursor'
import type { Logger } from 'pino'
import type { Item } from '../../protocol/schema.ts'
import type { Value } from '../../protocol/value.ts'
import { portableText } from './shape.ts'

export interface ReaderOptions {
  connections?: number
  /** Milliseconds that a statement may take. */
  patience?: number
  logger?: Logger
}

/** A column that is read, and what is shown of its values where that is not all. */
export interface ReadItem extends Pick<Item, 'type'> {
  mask?: (value: string) => Value
}

/** A row as portable texts, one an item that was asked for. */
export type ReadRow = Value[]

/** Reads resource tables on connections of its own, which can write nothing, so that no reader holds up the exchange. */
export interface Reader {
  /** Milliseconds that a statement may take. */
  readonly patience: number
  rows(items: readonly ReadItem[], sql: string, values: readonly unknown[], name?: string): Promise<ReadRow[]>
  /** The same, portion by portion, from one statement: what the table held when it began. Ends the statement where the caller stops. */
  stream(items: readonly ReadItem[], sql: string, values: readonly unknown[], portion?: number): AsyncGenerator<ReadRow[]>
  /** Texts of whatever else. */
  texts(sql: string, values: readonly unknown[]): Promise<(string | null)[][]>
  close(): Promise<void>
}

const asText = { getTypeParser: () => (text: string | Buffer) => text } as unknown as pg.CustomTypesConfig

export function openReader(url: string, { connections = 8, patience = 15_000, logger }: ReaderOptions = {}): Reader {
  const settings = [
    'default_transaction_read_only=on',
    'timezone=UTC',
    'datestyle=ISO',
    'bytea_output=hex',
    'extra_float_digits=1',
    'jit=off',
  ]
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    application_name: 'qianzhi-hub reader',
    connectionTimeoutMillis: 10_000,
    statement_timeout: patience,
    options: settings.map((setting) => `-c ${setting}`).join(' '),
    keepAlive: true,
  })
  pool.on('error', (error) => logger?.warn({ err: error }, 'reading connection lost'))
  const texts = async (text: string, values: readonly unknown[], name?: string) => {
    const config = { text, values: values as unknown[], rowMode: 'array' as const, types: asText, ...(name !== undefined && { name }) }
    return (await pool.query<(string | null)[]>(config)).rows
  }
  return {
    patience,
    texts,
    async rows(items, sql, values, name) {
      return portable(items, await texts(sql, values, name))
    },
    async *stream(items, sql, values, portion = 1000) {
      const client = await pool.connect()
      // Who reads slowly is not cut off: the statement runs portion by portion.
      const cursor = client.query(new Cursor<(string | null)[]>(sql, values as unknown[], { rowMode: 'array', types: asText }))
      let failure: Error | undefined
      try {
        for (;;) {
          const rows = await cursor.read(portion)
          if (rows.length === 0) return
          yield portable(items, rows)
        }
      } catch (error) {
        failure = error as Error
        throw error
      } finally {
        await cursor.close().catch((error: Error) => (failure ??= error))
        client.release(failure)
      }
    },
    close: () => pool.end(),
  }
}

/** Nothing is handed out unmasked that has a mask. */
function portable(items: readonly ReadItem[], rows: (string | null)[][]): ReadRow[] {
  for (const row of rows) {
    for (let i = 0; i < items.length; i++) {
      const { type, mask } = items[i]!
      const value = portableText(type, row[i]!)
      row[i] = mask && value !== null ? mask(value) : value
    }
  }
  return rows
}
