import { Type } from 'typebox'
import { allows } from '../access/authorise.ts'
import { AgentReport, MorningLine, SettledFile } from '../../protocol/api.ts'
import { agentList, listAgents, readAgent, revokeAgent } from '../registry/machines/agents.ts'
import { applyForMachine, listMachines, machineList, takeToken } from '../registry/machines/machines.ts'
import { loadMachine, machineFlow } from '../registry/machines/machine-workflow.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, NoBody, nullable, ReasonBody, Text } from './shapes.ts'

const Machine = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  name: Type.String(),
  purpose: Type.String(),
  providedBy: Type.Enum(['office', 'agency']),
  replaces: nullable(Type.String()),
  state: Type.String(),
  reason: nullable(Type.String()),
  agent: nullable(Type.String()),
  created: Type.String(),
})

const NewMachine = Type.Object(
  {
    name: Text(100),
    purpose: Text(1000),
    providedBy: Type.Enum(['office', 'agency']),
    replaces: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  },
  closed,
)

const Agent = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  name: Type.String(),
  state: Type.Enum(['active', 'revoked']),
  enrolled: Type.String(),
  lastSeen: nullable(Type.String()),
  /** How it runs: for whoever may see the applications for machines too. */
  morning: Type.Optional(nullable(Type.Object({ ...MorningLine.properties, received: Type.String() }))),
  refusedFiles: Type.Optional(
    Type.Array(Type.Object({ ...Type.Omit(SettledFile, ['id']).properties, resource: Type.String(), code: Type.String() })),
  ),
})

/** Without the keys of rows, which corrections show to whom they concern. */
const Report = Type.Object({
  ...Type.Omit(AgentReport, ['sinks', 'morning']).properties,
  sinks: Type.Array(Type.Omit(AgentReport.properties.sinks.items, ['refused'])),
})

/** Front-end machines 前置机 (Art. 15) and the agents on them. */
export const machineOperations: readonly Operation[] = [
  operation({
    name: 'machine.list',
    method: 'GET',
    path: '/machines',
    text: { zh: '前置机申请列表', en: 'applications for front-end machines' },
    query: queryOf(machineList),
    answer: pageOf(Machine),
    run: ({ registry, agencyScope, query }) => listMachines(registry, agencyScope, query),
  }),
  reading({
    name: 'machine.read',
    method: 'GET',
    path: '/machines/:id',
    objectKind: 'machine',
    text: { zh: '查看前置机申请', en: 'an application for a front-end machine' },
    answer: Machine,
    run: ({ registry, params }) => loadMachine(registry.store.query, params.id),
  }),
  operation({
    name: 'machine.apply',
    method: 'POST',
    path: '/machines',
    text: { zh: '申请前置机', en: 'apply for a front-end machine' },
    body: NewMachine,
    answer: Machine,
    example: { name: '民政局前置机', purpose: '接入村居名录', providedBy: 'office' },
    run: ({ registry, principal, body }) => applyForMachine(registry, principal, body),
  }),
  operation({
    name: 'machine.token',
    method: 'POST',
    path: '/machines/:id/token',
    objectKind: 'machine',
    text: { zh: '领取登记令牌（只显示一次）', en: 'take the enrolment token, which is shown once' },
    params: ById,
    body: NoBody,
    answer: Type.Object({ token: Type.String(), expires: Type.String() }),
    example: {},
    run: ({ registry, services, principal, params }) => takeToken(registry, principal, params.id, services.address()),
  }),
  operation({
    name: 'agent.list',
    method: 'GET',
    path: '/agents',
    text: { zh: '前置机代理列表', en: 'agents' },
    query: queryOf(agentList),
    answer: pageOf(Agent),
    run: async ({ registry, principal, agencyScope, query }) => {
      const page = await listAgents(registry, agencyScope, query)
      if (allows(principal, 'machine.list', { own: agencyScope === null ? [] : [agencyScope] })) return page
      return { ...page, items: page.items.map(({ morning: _morning, refusedFiles: _refusedFiles, ...agent }) => agent) }
    },
  }),
  reading({
    name: 'agent.read',
    method: 'GET',
    path: '/agents/:id',
    objectKind: 'agent',
    text: { zh: '查看前置机代理：其来源、落地和故障', en: 'an agent, with what it last told of its sources and sinks' },
    answer: Type.Object({ ...Agent.properties, report: nullable(Report) }),
    run: ({ registry, params }) => readAgent(registry, params.id),
  }),
  operation({
    name: 'agent.revoke',
    method: 'POST',
    path: '/agents/:id/revoke',
    objectKind: 'agent',
    text: { zh: '撤销前置机代理', en: 'revoke an agent for ever' },
    params: ById,
    body: ReasonBody,
    answer: Type.Object({ id: Type.String(), state: Type.Literal('revoked') }),
    example: { reason: '设备遗失' },
    run: async ({ registry, principal, params, body }) => {
      await revokeAgent(registry, principal, params.id, body.reason)
      return { id: params.id, state: 'revoked' as const }
    },
  }),
  ...eventOperations(machineFlow, '/machines', Machine, {
    withdraw: { text: { zh: '撤回', en: 'withdraw' } },
    approve: { text: { zh: '批准', en: 'approve' } },
    reject: { text: { zh: '驳回', en: 'reject' }, body: ReasonBody, example: { reason: '已有前置机可用' } },
  }),
]
