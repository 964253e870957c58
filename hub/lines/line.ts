import type { SinkReport, SnapshotProgress, SourceReport } from '../../protocol/api.ts'
import type { Actor } from '../../protocol/errors.ts'
import type { RouteStop } from '../../protocol/policy.ts'
import type { ChainPosition, Position } from '../../protocol/position.ts'
import type { LastRun } from '../reconciliation/last-equal.ts'
import type { standingRefusal } from '../supervision/refused-files.ts'

export type Fault = NonNullable<SourceReport['fault']>

/** How a line stands, the worst first. */
export const conditions = ['held', 'unknown', 'partial', 'paused', 'stopped', 'loading', 'flowing'] as const
/**
 * `held`: nothing moves until somebody acts; `unknown`: an agent tells nothing of it; `partial`: rows flow, but some do not arrive; `paused` by an
 * operator; `stopped` by a decision, or its new version waits to be accepted; `loading`: a snapshot is on its way; `flowing`.
 */
export type Condition = (typeof conditions)[number]

/** The part of a line that holds it up: provider, hub, or receiver. */
export const segments = ['provider', 'hub', 'receiver'] as const
export type Segment = (typeof segments)[number]

export interface Finding {
  condition: Condition
  /** Null where nothing holds it up. */
  at: Segment | null
  turn: Turn
}

/** Where the data of one route are, from the source to the delivered table. */
export interface Explanation extends Line {
  route: string
  receiver: Receiver
}

/** A route, or a source on its way to the hub alone: of this one `route` and `receiver` are null. */
export interface Line extends Finding {
  route: string | null
  resource: string
  /** `active`, or why nothing is delivered. */
  state: string
  /** Where nothing is delivered: since when, by whom, what is to be done. */
  stop?: RouteStop
  source: {
    agency: string
    agencyName: string
    /** Null where no active agent is to produce the resource, be it that people enter its rows. */
    agent: string | null
    entered: boolean
    seen: Date | null
    /** The agent has told of its lines at all. */
    told: boolean
    /** What the agent says of its source table; absent where it has none for this resource. */
    report?: {
      state: SourceReport['state']
      waiting: number
      oldest?: string
      quarantine: number
      /** How far a snapshot is that is needed or runs. */
      snapshot?: SnapshotProgress
      fault?: Fault
    }
    /** Where its newest file was refused; without its name, which is not for receivers. */
    refusedFile?: ReturnType<typeof standingRefusal>
  }
  hub: { head: ChainPosition | null; lastPush: Date | null; snapshotWanted: boolean }
  receiver: Receiver | null
  /** The delivered table, of a source what the hub has, is known to be what the source was at this time; null where that is not known. Age in seconds. */
  asOf: string | null
  age: number | null
  /** The last reconciliation that ended, and when both sides were last found equal. */
  reconciled: LastRun
}

/** Who must act for the data of a route to move on, and what to do. */
export interface Turn {
  who: Actor
  /** The agency whose turn it is; absent for the office and where nobody has to act. */
  agency?: string
  zh: string
  en: string
}

export interface Receiver {
  agency: string
  agencyName: string
  agent: string
  active: boolean
  seen: Date | null
  told: boolean
  /** Last batch that the agent has fetched, and the last one in its table. */
  delivered: Position | null
  applied: ChainPosition | null
  quarantine: number
  /** Behind, and not moved for so long that the log does not wait for it. */
  lapsed: boolean
  report?: { state: SinkReport['state']; reached?: string; fault?: Fault }
}
