import type { decodeDelivery, HeadAnswer, PollRequest, StoredAnswer } from '../protocol/api.ts'
import type { SealedAnswer } from '../protocol/asks.ts'
import type { QianzhiError } from '../protocol/errors.ts'
import type { Position } from '../protocol/position.ts'
import type { ReconciliationProgress } from '../protocol/reconciliation.ts'

/** What an agent asks of its hub: the hub itself (hub/client.ts), or folders behind a one-way gap (gaps/hub.ts). Every call may throw a coded error. */
export interface Hub {
  /** Where it is, for people: its address, or the folders of the gap. */
  readonly url: string
  /** When it was last heard of. */
  readonly answered: Date | undefined
  /** Why it was not reached, and since when. */
  readonly fault: { error: QianzhiError; since: Date } | undefined
  /** Milliseconds that the hub's clock is ahead; 0 where it is not known. */
  readonly clockOffset: number
  /** The hub's time as far as the agent knows it. */
  now(): Date
  /** Notes the hub's time from an answer that took from `sent` (milliseconds of `performance.now()`) until now. */
  learnTime(time: string, sent: number): void
  /** Whose signature a stored receipt bears, where it is not the hub's. */
  readonly receiptKey?: string
  sendBatch(bytes: Buffer, signal: AbortSignal): Promise<StoredAnswer>
  /** Resolves when there is something to say, or after `body.wait` seconds. */
  poll(body: PollRequest, signal: AbortSignal): Promise<ReturnType<typeof decodeDelivery>>
  receipts(receipts: string[], signal: AbortSignal): Promise<void>
  answer(answer: SealedAnswer, signal: AbortSignal): Promise<void>
  /** Has the routes of this agent that are called so, or whose resource is, reconciled. @returns the runs. */
  reconcile(name: string, repair: boolean | undefined): Promise<string[]>
  reconciliation(run: string): Promise<ReconciliationProgress>
  head(resource: string, signal?: AbortSignal): Promise<HeadAnswer>
  /** The agent's own batches after a place: key items and ops, perhaps more. */
  own(resource: string, after: Position, signal: AbortSignal): Promise<Buffer[]>
  /** The operator wants a supplied stream sent anew: where there is no hub to say what it has, in a new epoch. */
  renew?(resource: string): void
  close(): Promise<void>
}
