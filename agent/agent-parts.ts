import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { codedError, QianzhiError } from '../protocol/errors.ts'
import type { Position } from '../protocol/position.ts'
import { ActiveTables } from './active-tables.ts'
import type { AgentConfig } from './config/config.ts'
import type { LiveConfig } from './config/live-config.ts'
import type { Check, Database } from './database.ts'
import { openHub } from './gaps/open-hub.ts'
import type { Hub } from './hub.ts'
import { Checkpoints } from './hub/checkpoints.ts'
import { PolicyStore } from './hub/policy-store.ts'
import { Removals } from './inbound/removals.ts'
import type { InboundRoute } from './inbound/route.ts'
import { clockChecks, databaseChecks, passed, policyCheck, stoppedChecks, unplacedChecks } from './operator/doctor.ts'
import { HubRequests } from './operator/hub-requests.ts'
import { Operator } from './operator/operator.ts'
import { DrainWaitersByResource } from './outbound/drain-waiters.ts'
import { Reconciler } from './reconciliation/reconciler.ts'
import { enrolledKey, openState, requireIdentity } from './runtime/state.ts'
import { Wake } from './runtime/wake.ts'
import type { ScanCapture } from './scans/capture.ts'
import { StatusBoard } from './status/board.ts'
import { LastReconciliations } from './status/last-reconciliations.ts'
import { StatusService } from './status/status-service.ts'

export interface AgentSettings {
  live: LiveConfig
  logger: Logger
  version: string
  logTail: (lines: number) => string[]
  /** Called when the policy has changed. */
  arrange: () => void
}

/** What an agent consists of, wired; nothing runs yet. */
export type AgentParts = ReturnType<typeof buildParts>

/** Throws QZ-NOT-ENROLLED, QZ-DATA-LOCKED. */
export function buildParts({ live, logger, version, logTail, arrange }: AgentSettings) {
  const { config } = live
  const databases = new Map<string, Database>()
  /** Routes that are being received, by database. */
  const routes = new Map<string, InboundRoute[]>()
  const allRoutes = (): InboundRoute[] => [...routes.values()].flat()
  const scanCaptures = new Set<ScanCapture>()
  const [pollAgain, receiptsDue, policyChanged] = [new Wake(), new Wake(), new Wake()]
  const board = new StatusBoard(version, randomUUID())
  const state = openState(config.data)
  const operator = new Operator({ config, state, board, routes: allRoutes, pollAgain, logger })
  const checkpoints = new Checkpoints(config.data, (error) => logger.warn({ err: codedError(error) }, 'audit checkpoints not written'))
  const identity = requireIdentity(state)
  const key = enrolledKey(config.data)
  const hub: Hub = openHub({ config, identity, key, policy: () => keeper.policy, logger })
  const now = () => hub.now()
  const removals = new Removals({ databases: () => Object.keys(config.databases), now, logger, receiptsDue })
  const keeper: PolicyStore = new PolicyStore(state, now, arrange)
  const policy = () => keeper.policy
  const tables = new ActiveTables({ config, board, policy, now })
  const drainWaiters = new DrainWaitersByResource()
  const reconciled = new LastReconciliations(state, now)
  const reconciler = new Reconciler({
    config,
    databases,
    policy,
    board,
    drainWaiters,
    key,
    now,
    logger,
    removeRows: async (id, choose) => {
      const route = allRoutes().find((one) => one.id === id)
      if (!route) throw new QianzhiError('QZ-ROUTE-ENDED', { route: id, reason: { zh: '未在接收', en: 'it is not being received' } })
      return route.removeRows(choose)
    },
    signed: (side, statement) => reconciled.note(side, statement),
  })
  const status = new StatusService({
    live,
    config,
    state,
    board,
    hub,
    keeper,
    reconciled,
    routes: allRoutes,
    scans: () => [...scanCaptures].flatMap((capture) => capture.times()),
    pollAgain,
    logger,
  })
  const requests = new HubRequests({
    agent: identity.agent,
    hubKey: identity.hubKey,
    now,
    send: (answer, signal) => hub.answer(answer, signal),
    config,
    databases,
    policy,
    doctor: () => agentChecks({ config, state, hub, keeper, databases }),
    logTail,
    operate: {
      pause: (name) => operator.pause(name),
      resume: (name) => operator.resume(name),
      confirm: (name) => operator.confirm(name),
    },
    reconciler,
    logger,
  })
  return {
    live,
    config,
    logger,
    /** As it is written down now. */
    identity: () => requireIdentity(state),
    state,
    key,
    board,
    hub,
    keeper,
    operator,
    checkpoints,
    removals,
    tables,
    drainWaiters,
    reconciler,
    status,
    requests,
    databases,
    routes,
    allRoutes,
    scanCaptures,
    /** Snapshots that the hub wants. */
    requestedSnapshots: new Map<string, Position | null>(),
    pollAgain,
    receiptsDue,
    policyChanged,
  }
}

interface Checked {
  config: AgentConfig
  state: ReturnType<typeof openState>
  hub: Hub
  keeper: PolicyStore
  databases: ReadonlyMap<string, Database>
}

async function agentChecks({ config, state, hub, keeper, databases }: Checked): Promise<Check[]> {
  const { agent, agency } = requireIdentity(state)
  const { policy } = keeper
  const checks: Check[] = [
    passed('enrolment', `代理 ${agent}，机关单位 ${agency}`, `agent ${agent} of ${agency}`),
    passed('hub', '连接与证书正常', 'connection and certificate are good'),
    ...clockChecks(hub.clockOffset),
    policyCheck(policy, hub.now(), config.timezone),
    ...unplacedChecks(config, policy),
    ...stoppedChecks(config, policy),
  ]
  for (const database of databases.values()) checks.push(...(await databaseChecks(config, database, policy)))
  return checks
}
