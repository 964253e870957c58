/** Which sources the log is read for, and what becomes of it where none is left. */
import type { SourceTable } from '../../../database.ts'
import { connect, type Connection } from '../connection.ts'
import { findTable } from '../table.ts'
import { LogReader } from './reader.ts'
import { endSlot, noteMissed, publishedTables, restOf, soundSlot, unpublish } from './slot.ts'

/**
 * The reader, where a source is captured by the log. Where none is any more, what the slot still holds of sources that have triggers by now is
 * queued, and the slot ends: it would keep the server's log. The caller holds the lock on the database, so nobody else reads by it.
 */
export async function openLog(
  connection: Connection,
  url: string,
  sources: readonly SourceTable[],
  onWritten: () => void,
): Promise<LogReader | undefined> {
  const published = await publishedTables(connection)
  if (published.size === 0) return undefined
  const read: SourceTable[] = []
  const tables = new Set<string>()
  for (const source of sources) {
    if (source.capture !== 'log' && source.capture !== 'triggers') continue
    const table = await findTable(connection, source.table)
    if (!table || !published.has(table.oid)) continue
    read.push(source)
    tables.add(table.name)
  }
  if (read.length === 0) return undefined
  const needed = read.some(({ capture }) => capture === 'log')
  const slot = needed ? await soundSlot(connection) : await restOf(connection, read)
  if (!slot) return undefined
  await noteMissed(connection, read)
  const reader = await LogReader.open({ url, writer: await connect(connection.database, url, 'log'), slot }, read, onWritten)
  if (needed) return reader
  try {
    await reader.caughtUp(await flushedPlace(connection))
  } finally {
    await reader.close()
  }
  await endSlot(connection, slot)
  // Whoever does not own the publication leaves it: without a slot it costs nothing.
  await connection.script(`do $$ begin\n${unpublish([...tables])}end $$`).catch(() => undefined)
  return undefined
}

/** Up to where the log is on disk: a transaction that waits for the disk is committed when it is. */
export async function flushedPlace(connection: Connection): Promise<bigint> {
  const [row] = await connection.prepared(`select pg_current_wal_flush_lsn() - '0/0'`)
  return BigInt(row![0]!)
}
