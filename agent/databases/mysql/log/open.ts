/** Which sources the log is read for, and what becomes of it where none is left. */
import type { DatabaseOptions, SourceTable } from '../../../database.ts'
import { place as tablePlace } from '../catalog.ts'
import type { Session } from '../connection.ts'
import {
  endReading,
  forgetPlace,
  leaveOut,
  loggedSources,
  logStatus,
  LostThread,
  newThread,
  serverOf,
  unreadableLog,
  writtenPlace,
  type WrittenPlace,
} from './place.ts'
import { LogReader } from './reader.ts'

/**
 * The reader, where a source is captured by the log. What the log still holds of sources that have triggers by now is queued first, and they
 * are read no more. The caller holds the lock on the database, so nobody else reads by it.
 */
export async function openLog(
  options: DatabaseOptions,
  session: Session,
  sources: readonly SourceTable[],
  onWritten: () => void,
): Promise<LogReader | undefined> {
  const logged = [...(await loggedSources(session))].filter(([, { since }]) => since !== null).map(([resource]) => resource)
  if (logged.length === 0) return undefined
  const read = sources.filter(({ capture, resource }) => (capture === 'log' || capture === 'triggers') && logged.includes(resource))
  await leaveOut(
    session,
    logged.filter((resource) => !read.some((source) => source.resource === resource)),
  )
  const wanted = read.filter(({ capture }) => capture === 'log')
  const moved = read.filter(({ capture }) => capture === 'triggers').map(({ resource }) => resource)
  if (read.length === 0) return undefined
  const databases = read.map(({ table }) => tablePlace(session, table).database)
  if (await unreadableLog(session, databases)) await forgetPlace(session)
  else {
    const reader = await openReader(options, session, { read, wanted }, onWritten)
    if (reader && moved.length === 0) return reader
    try {
      await reader?.caughtUp(await logStatus(session))
      await endReading(session, moved)
      reader?.leave(moved)
      if (reader && wanted.length > 0) return reader
    } catch (error) {
      await reader?.close()
      throw error
    }
    await reader?.close()
    return undefined
  }
  if (moved.length > 0) await endReading(session, moved)
  return undefined
}

/** From the place that is written down; where the thread is lost from here on, if it is needed. */
async function openReader(
  options: DatabaseOptions,
  session: Session,
  { read, wanted }: { read: readonly SourceTable[]; wanted: readonly SourceTable[] },
  onWritten: () => void,
): Promise<LogReader | undefined> {
  const from = await soundPlace(session)
  if (from) {
    try {
      return await LogReader.open(options, from, read, onWritten)
    } catch (error) {
      if (!(error instanceof LostThread)) throw error
    }
  }
  await forgetPlace(session)
  return wanted.length > 0 ? LogReader.open(options, await newThread(session), wanted, onWritten) : undefined
}

async function soundPlace(session: Session): Promise<WrittenPlace | undefined> {
  const from = await writtenPlace(session)
  return from && from.server === (await serverOf(session)) ? from : undefined
}
