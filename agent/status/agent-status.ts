import type { AgentReport, MorningLine, SinkReport, SourceReport } from '../../protocol/api.ts'
import { isErrorCode } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { StoppedRoute } from '../../protocol/policy.ts'
import { remedyOf } from './remedies.ts'

type Fault = NonNullable<SourceReport['fault']>

/** A fault and what is to be done about it. */
export interface ToldFault extends Fault {
  remedy: LocalizedText
}

/** What both kinds of lines have beyond what the hub is told. */
interface LineStatus {
  /** What the resource is called; absent where the policy does not have it. */
  title?: string
  /** Rows a second over the last minute; absent until there was some time to measure. */
  rate?: number
  /** What holds the line now, or held it last; `over` where it is over. */
  lastFault?: ToldFault & { over: boolean }
  reconciled?: Reconciled
}

export interface SourceStatus extends SourceReport, LineStatus {
  /** Of a source that is scanned: when it last was, to the end, and will be next. */
  scan?: { last?: string; next?: string }
}

export interface SinkStatus extends SinkReport, LineStatus {
  /** Everything is applied that the provider says there is. */
  level: boolean
}

/** The last reconciliation of a line; of one with several routes, the newest that found a difference, if any did. */
export interface Reconciled {
  time: string
  equal: boolean
}

export interface Page {
  url?: string
  /** Why there is none although there should be. */
  fault?: string
}

/** All that an operator is told of a running agent: what the hub is told, and more of this machine. */
export interface AgentStatus extends Omit<AgentReport, 'sources' | 'sinks'> {
  agent: string
  agency: string
  /** The hub's time, as far as the agent knows it. */
  time: string
  started: string
  /** Zone in which times are shown. */
  timezone: string
  hub: { url: string; answered?: string; fault?: ToldFault }
  /** Routes that get nothing now and have no line of their own, newest first, and why. */
  stopped?: StoppedRoute[]
  policy: { serial: number; expires: string; valid: boolean } | null
  /** Routes of which the hub has not heard yet what was applied last. */
  receiptsDue: number
  /** Of the data folder: bytes. */
  disk?: { free: number; size: number; low: boolean }
  page: Page
  /** When the configuration in force was read; why the file as it is now is not in force; keys that wait for the next start. */
  configuration?: { since: string; fault?: ToldFault; waiting?: string[] }
  /** The newest morning line. */
  lastMorning?: MorningLine
  sources: SourceStatus[]
  sinks: SinkStatus[]
}

export function told(fault: Fault): ToldFault {
  return { ...fault, remedy: fault.next ?? remedyOf(isErrorCode(fault.code) ? fault.code : 'QZ-INTERNAL') }
}
