import type { Logger } from 'pino'
import type { Position } from '../../protocol/position.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { Database, SourceTable } from '../database.ts'
import type { Hub } from '../hub.ts'
import type { Checkpoints } from '../hub/checkpoints.ts'
import type { StatusBoard } from '../status/board.ts'
import type { BatchSize } from './batch-size.ts'
import { DeleteGuard } from './delete-guard.ts'
import type { DrainWaitersByResource } from './drain-waiters.ts'
import type { SourceRules } from '../config/source-rules.ts'
import { SentRows } from './sent-rows.ts'
import { SnapshotPace } from './snapshot-pace.ts'

/** What the operator wants of sources, by the names of their resources. */
export interface SourceRequests {
  /** A new snapshot. */
  readonly restarts: Set<string>
  /** The quarantined keys once more. */
  readonly replays: Set<string>
  /** The deletes that wait are meant. */
  readonly confirms: Set<string>
  readonly pauses: { source(resource: string): boolean }
}

/** What the outbound side of one database works with. */
export interface OutboundDeps {
  database: Pick<Database, 'openCapture' | 'options' | 'quarantine'>
  sources: readonly SourceTable[]
  agent: string
  key: SigningKey
  hub: Hub
  hubKey: string
  /** Throws QZ-POLICY-EXPIRED: then nothing is pushed, and the queue waits. */
  requirePolicy: () => void
  /** Snapshots that the hub wants: each must begin after its place. */
  requestedSnapshots: ReadonlyMap<string, Position | null>
  /** What the operator wants of the sources. */
  operator: SourceRequests
  rules: (resource: string) => SourceRules
  /** The agent's data folder. */
  folder: string
  /** Who waits for what is queued now, and keys that are to be sent again. */
  drainWaiters: DrainWaitersByResource
  /** Where the receipts' checkpoints of the hub's audit are kept. */
  checkpoints: Pick<Checkpoints, 'note'>
  board: StatusBoard
  /** Called where the hub is to hear at once what stands here: how many rows the receivers have, or that something waits. */
  tellHub: () => void
  logger: Logger
  batchSize: Pick<BatchSize, 'limit' | 'refused'>
}

/** What a source keeps while connections come and go. */
export interface StreamResources {
  rules: SourceRules
  sent: SentRows
  guard: DeleteGuard
  pace: SnapshotPace
}

export function openResources({ folder, rules, hub, logger }: OutboundDeps, source: SourceTable): StreamResources {
  const own = rules(source.resource)
  const sent = new SentRows(folder, source, own.reload, logger)
  const guard = new DeleteGuard(own.guard, { resource: source.resource, whole: source.files?.whole === true, known: () => sent.rows })
  return { rules: own, sent, guard, pace: new SnapshotPace(own.snapshot, { now: () => hub.now() }) }
}
