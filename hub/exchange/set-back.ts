import type { Logger } from 'pino'
import { QianzhiError } from '../../protocol/errors.ts'
import { isAfter, showPosition, type Position } from '../../protocol/position.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'
import { noteAhead } from './streams.ts'

type Db = Pick<Store, 'query'>

/** A stream whose log ends before what was in it: an older copy of the log was put back beside the registry. */
export interface SetBack {
  resource: string
  head: Position | null
  /** The farthest place that was stored, or that a receiver has confirmed. */
  known: Position
}

const knownSql = `
  select distinct on (resource) resource, epoch, seq from (
    select resource, epoch, seq from stream
    union all select g.resource, r.epoch, r.seq from route r join access_grant g on g.id = r.access_grant
  ) as known where epoch is not null order by resource, epoch desc, seq desc`

export async function findSetBack({ query }: Db, log: Pick<Log, 'heads'>): Promise<SetBack[]> {
  const rows = await query<{ resource: string; epoch: string; seq: string }>(knownSql)
  const heads = await log.heads(rows.map(({ resource }) => resource))
  return rows.flatMap(({ resource, epoch, seq }) => {
    const [known, head] = [{ epoch: Number(epoch), seq: Number(seq) }, heads.get(resource) ?? null]
    return isAfter(known, head) ? [{ resource, head, known }] : []
  })
}

export function setBackFault({ resource, head, known }: SetBack): QianzhiError {
  return new QianzhiError('QZ-LOG-BACK', { resource, head: showPosition(head), known: showPosition(known) })
}

export interface SetBackDeps {
  store: Db
  log: Pick<Log, 'heads'>
  wakeups: Wakeups
  logger: Logger
  clock: () => Date
}

/** Which were told of, for each store. */
const told = new WeakMap<Db, Set<string>>()

/**
 * Wishes a snapshot behind what was there: the provider finds the log behind itself, and begins a new epoch. Each is told once, also where
 * a receiver's poll wished for the snapshot before.
 */
export async function mendSetBack({ store, log, wakeups, logger, clock }: SetBackDeps): Promise<void> {
  for (const stream of await findSetBack(store, log)) {
    const error = setBackFault(stream)
    if (isNews(store, error.message)) logger.error({ code: error.code, err: error }, error.message)
    if (await noteAhead(store, stream.resource, stream.known, clock())) wakeups.wake(`snapshot:${stream.resource}`)
  }
}

function isNews(store: Db, message: string): boolean {
  let known = told.get(store)
  if (!known) told.set(store, (known = new Set()))
  if (known.has(message)) return false
  if (known.size >= 1000) known.clear()
  known.add(message)
  return true
}
