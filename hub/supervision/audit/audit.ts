import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Checkpoint } from '../../../protocol/checkpoint.ts'
import type { Position } from '../../../protocol/position.ts'
import type { Log } from '../../log.ts'
import type { Store } from '../../store/store.ts'
import { recordDeliveries } from './delivery.ts'
import { seal } from './sealer.ts'
import { recordStream, recordSupply } from '../supply.ts'

export interface AuditDeps {
  store: Pick<Store, 'query' | 'transaction'>
  log: Log
  logger: Logger
}

/** The audit of a running hub. */
export interface Audit {
  /** Puts supply and delivery on record and seals all that shows. @returns the head of the chain, null where it is empty. */
  sealNow(): Promise<Checkpoint | null>
  /** The newest checkpoint that this process knows, from memory; undefined where nothing is sealed. */
  checkpoint: () => Checkpoint | undefined
  /** Puts a stream on record. @returns up to where it is: what comes after must not be trimmed. */
  recorded: (resource: string) => Promise<Position | null>
  /** Ends after a last turn. */
  stop(): Promise<void>
}

const sealIntervalMs = 500
/** Milliseconds between two looks at log and receipts: bounds how many entries a busy stream makes. */
const recordIntervalMs = 15_000
/** Milliseconds that the turn at the end may begin with further streams. */
const lastTurnMs = 1000

/**
 * Takes its first turn before it resolves, so that what was accepted before the hub ended counts on its own day. A turn that fails is
 * logged and taken again; it holds up nothing else.
 */
export async function startAudit(deps: AuditDeps): Promise<Audit> {
  const ending = new AbortController()
  let newest: Checkpoint | undefined
  let last: Promise<unknown> = Promise.resolve()
  const take = async (work: () => Promise<void>): Promise<Checkpoint | null> => {
    try {
      await work()
    } finally {
      newest = (await seal(deps.store)) ?? newest
    }
    return newest ?? null
  }
  // One turn at a time.
  const turn = (work: () => Promise<void>): Promise<Checkpoint | null> => {
    const done = last.then(() => take(work))
    last = done.catch(() => {})
    return done
  }
  const record = async (signal?: AbortSignal) => {
    await recordSupply(deps, signal)
    await recordDeliveries(deps.store, signal)
  }
  await turn(() => record()).catch((error: unknown) => deps.logger.warn({ err: error }, 'audit not sealed at the start'))
  const looping = keepSealing(turn, record, deps.logger, ending.signal)
  return {
    sealNow: () => turn(() => record()),
    checkpoint: () => newest,
    recorded: (resource) => recordStream(deps, resource),
    async stop() {
      ending.abort()
      await looping
      // Where the store is gone, or many streams have moved, the next start has what is left.
      await turn(() => record(AbortSignal.timeout(lastTurnMs))).catch((error: unknown) =>
        deps.logger.warn({ err: error }, 'audit not sealed at the end'),
      )
    },
  }
}

async function keepSealing(
  turn: (work: () => Promise<void>) => Promise<unknown>,
  record: (signal: AbortSignal) => Promise<void>,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let recorded = performance.now()
  const nothing = async () => {}
  for (;;) {
    await sleep(sealIntervalMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    const due = performance.now() - recorded >= recordIntervalMs
    try {
      await turn(due ? () => record(signal) : nothing)
      if (due) recorded = performance.now()
    } catch (error) {
      logger.warn({ err: error }, 'audit not sealed, tries again')
    }
  }
}
