import type { Logger } from 'pino'
import { readerLimits, type BatchLimits } from '../../protocol/batch.ts'
import type { Checkpoint } from '../../protocol/checkpoint.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { CoalescingWriter } from './coalescing-writer.ts'
import type { Log } from '../log.ts'
import type { PollMemory } from './poll-memory.ts'
import type { AgentView, AgentViews } from './agent-views.ts'
import type { Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'

export interface ExchangeLimits {
  /** Bytes of one container, of its blocks unpacked, and rows of one batch. */
  batchBytes: number
  unpackedBytes: number
  batchRows: number
  /** Bytes of one poll answer; the last batch in it may pass them. */
  answerBytes: number
}

export const exchangeLimits: ExchangeLimits = {
  batchBytes: readerLimits.encoded,
  unpackedBytes: readerLimits.unpacked,
  batchRows: readerLimits.rows,
  answerBytes: 4 << 20,
}

export function batchLimits({ batchBytes, unpackedBytes, batchRows }: ExchangeLimits): BatchLimits {
  return { encoded: batchBytes, unpacked: unpackedBytes, rows: batchRows }
}

/** What was stored was within the limits of its time. */
export const unlimited: BatchLimits = { encoded: Infinity, unpacked: Infinity, rows: Infinity }

export interface IssuedPolicy {
  serial: number
  jws: string
}

/** What an exchange is made of. */
export interface ExchangeDeps {
  store: Store
  log: Log
  hubKey: SigningKey
  wakeups: Wakeups
  /** The policy in force for an agent; its serial is never below the reported one. */
  policyFor(agentId: string, reportedSerial: number): Promise<IssuedPolicy>
  /** Newest checkpoint of the audit, from memory; receipts carry it. */
  checkpoint?: () => Checkpoint | undefined
  /** Told of each resource of which a batch was stored. */
  stored?: (resource: string) => void
  clock(): Date
  logger: Logger
  limits?: Partial<ExchangeLimits>
}

/** The same with what an exchange keeps in memory. */
export interface ExchangeContext extends Omit<ExchangeDeps, 'limits'> {
  limits: ExchangeLimits
  /** The secret of a grant's hashed values. */
  maskKey: (grant: string) => Buffer
  views: AgentViews
  memory: PollMemory
  policies: WeakMap<AgentView, Promise<IssuedPolicy>>
  /** Notes for the pages: at most one write a second for each key. */
  latest: CoalescingWriter
}
