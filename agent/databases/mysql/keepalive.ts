/**
 * A statement that is not answered: does the server work on it, or has the network swallowed it? Statements may take long (a table's
 * snapshot is ended, somebody holds a lock), so no time-out can tell; a second connection can.
 */
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'

export interface Silent {
  url: string
  /** Its connection at the server, and the server's host name: behind a balancer a second connection may reach another one. */
  id: string
  host: string
}

/** Milliseconds without an answer before the server is asked, and that it has for its answer. */
const silenceMs = 15_000
const probeMs = 10_000
/** An answer that is on its way when the server says that it is not working any more gets so long to arrive. */
const arrivalMs = 2_000

/** Ends a connection at once, and what it was asked with an error: mysql2's own `destroy` waits for the other side, and settles nothing. */
export function cut(connection: Connection): void {
  ;(connection as unknown as { connection: { stream: Duplex } }).connection.stream.destroy()
}

/** Calls `lost` where the session is found to be dead before it is stopped. @returns stops it. */
export function watchSilence(session: Silent, lost: () => void): () => void {
  const watch = { stopped: false }
  const look = async (): Promise<void> => {
    const dead = await probe(session, watch)
    if (watch.stopped) return
    if (dead) lost()
    else again()
  }
  let timer: NodeJS.Timeout
  const again = (): void => void (timer = setTimeout(() => void look(), silenceMs).unref())
  again()
  return () => {
    watch.stopped = true
    clearTimeout(timer)
  }
}

/** False where the session works, or the server refuses to be asked. */
async function probe(session: Silent, watch: { stopped: boolean }): Promise<boolean> {
  let connection: Connection | undefined
  try {
    connection = await createConnection({ uri: session.url, rowsAsArray: true, connectTimeout: probeMs })
    connection.on('error', () => {})
    if (await works(connection, session)) return false
    await sleep(arrivalMs, undefined, { ref: false })
    if (watch.stopped || (await works(connection, session))) return false
    // The dead session still holds its locks: the server would notice only much later.
    await connection.query({ sql: `kill ${session.id}`, timeout: probeMs }).catch(() => {})
    return true
  } catch (error) {
    return !answered(error)
  } finally {
    if (connection) cut(connection)
  }
}

/** A session that sleeps waits for its client; one that waits within a statement is ended by the server within a minute. */
async function works(connection: Connection, { id, host }: Silent): Promise<boolean> {
  const sql = `select @@hostname, (select command from information_schema.processlist where id = ${id})`
  const [rows] = await connection.query<RowDataPacket[]>({ sql, timeout: probeMs })
  const [there, command] = rows[0] as [string, string | null]
  return there !== host || (command !== null && command !== 'Sleep')
}

/** An error with an SQLSTATE came from the server: it is there, however unwilling. */
function answered(error: unknown): boolean {
  return (error as { sqlState?: string }).sqlState !== undefined
}
