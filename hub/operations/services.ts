import type { EnrolToken } from '../../protocol/api.ts'
import type { Access } from '../access/access.ts'
import type { AgentRequests } from '../exchange/agent-requests.ts'
import type { HubClock } from '../records/clock.ts'
import type { UploadFolder } from '../jobs/files.ts'
import type { Health } from '../records/problem.ts'
import type { Wall } from '../lines/wall.ts'
import type { Log } from '../log.ts'
import type { HubProducer } from '../supply/producer.ts'
import type { Sharing } from '../sharing/reading.ts'
import type { PostDeps } from '../sharing/webhooks/post.ts'
import type { ReconciliationSettings } from '../reconciliation/settings.ts'
import type { ExportRange } from '../supervision/audit/export.ts'

/** What operations need besides the registry. */
export interface Services {
  /** What enrolment tokens carry besides their secret. */
  address: () => Omit<EnrolToken, 'secret'>
  access: Access
  /** What the hub asks of agents: previews and descriptions. */
  asks: Pick<AgentRequests, 'ask'>
  reconciliation: ReconciliationSettings
  /** Reads resource tables. */
  sharing: Sharing
  /** Where webhooks may be. */
  webhooks: Pick<PostDeps, 'settings' | 'resolve'>
  /** Writes the rows that people enter. */
  producer: HubProducer
  /** Where uploads lie while they come. */
  uploads: UploadFolder
  /** The batches that rows came in. */
  log: Pick<Log, 'read' | 'has' | 'list' | 'heads'>
  /** Days after which a route that has not moved no longer holds its log back. */
  lapse: number
  explain: (route: string) => Promise<object>
  /** The time that the hub goes by. */
  clock: HubClock
  /** What is wrong with the exchange and its hub, as of just now. */
  health: () => Promise<Health>
  /** What wall screens show, as of just now. */
  wall: () => Promise<Wall>
  /** Lines of the sealed audit, both ends included. */
  exportAudit: (range: ExportRange) => Promise<AsyncIterable<string>>
}
