/**
 * A statement that is not answered: does the server work on it, or has the network swallowed it? Statements may take long (a table's
 * snapshot is ended, somebody holds a lock), so no time-out can tell; a second connection can.
 */
import type { LocalizedText } from '../../../protocol/localized.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

export interface Session {
  url: string
  /** Its process at the server. */
  pid: number
}

/** Milliseconds without an answer before the server is asked, and that it has for its answer. */
const silenceMs = 15_000
const probeMs = 10_000
/** An answer that is on its way when the server says that it is not working any more gets so long to arrive. */
const arrivalMs = 2_000

/** Calls `lost` where the session is found to be dead before it is stopped. @returns stops it. */
export function watchSilence(session: Session, lost: (reason: LocalizedText) => void): () => void {
  const watch = { stopped: false }
  const look = async (): Promise<void> => {
    const verdict = await probe(session, watch)
    if (watch.stopped) return
    if (verdict === undefined) again()
    else lost(verdict)
  }
  let timer: NodeJS.Timeout
  const again = (): void => void (timer = setTimeout(() => void look(), silenceMs).unref())
  again()
  return () => {
    watch.stopped = true
    clearTimeout(timer)
  }
}

/** Why the session counts as dead; undefined where it works, or the server refuses to be asked. */
async function probe({ url, pid }: Session, watch: { stopped: boolean }): Promise<LocalizedText | undefined> {
  const limits = { connectionTimeoutMillis: probeMs, query_timeout: probeMs }
  const client = new pg.Client({ connectionString: url, application_name: 'qianzhi probe', ...limits })
  client.on('error', () => {})
  try {
    await client.connect()
    if (await works(client, pid)) return undefined
    await sleep(arrivalMs, undefined, { ref: false })
    if (watch.stopped || (await works(client, pid))) return undefined
    // The dead session still holds its locks: its server process would notice only much later.
    await client.query('select pg_terminate_backend($1)', [pid])
    return { zh: '连接已中断', en: 'the connection was cut without notice' }
  } catch (error) {
    return answered(error) ? undefined : { zh: '无答复', en: 'no answer' }
  } finally {
    void client.end().catch(() => {})
  }
}

/** A process that waits for its client has nothing to do for it. */
async function works(client: pg.Client, pid: number): Promise<boolean> {
  const sql = `select from pg_stat_activity where pid = $1 and state in ('active', 'fastpath function call') and wait_event_type is distinct from 'Client'`
  return (await client.query(sql, [pid])).rows.length > 0
}

/** An error with an SQLSTATE came from the server: it is there, however unwilling. */
function answered(error: unknown): boolean {
  return error instanceof pg.DatabaseError
}
