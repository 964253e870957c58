import { Type, type TObject } from 'typebox'
import { dayOf, requireDay } from '../records/calendar.ts'
import { readFlows } from '../lines/flows.ts'
import { conditions, segments } from '../lines/line.ts'
import { fileQuery, Total } from '../records/listing.ts'
import type { LineDeps } from '../lines/lines.ts'
import { listLines } from '../lines/list.ts'
import { groupings, readStatistics, type Statistic } from '../lines/statistics.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { AgencyCode, closed, Day, nullable, ResourceCode } from './shapes.ts'

const State = Type.Enum([...conditions])
const AgentId = Type.String({ minLength: 1, maxLength: 100 })

const Turn = Type.Object({
  who: Type.Enum(['provider', 'receiver', 'office', 'operator', 'requester', 'nobody']),
  agency: nullable(Type.String()),
  zh: Type.String(),
  en: Type.String(),
})

const Fault = Type.Object({ code: Type.String(), zh: Type.String(), en: Type.String(), since: Type.String() })

const text = nullable(Type.String())
const count = nullable(Type.Integer())

const Line = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['source', 'route']),
  resource: Type.String(),
  title: Type.String(),
  provider: Type.String(),
  receiver: text,
  producer: text,
  agent: text,
  route: text,
  grant: text,
  state: State,
  at: nullable(Type.Enum([...segments])),
  asOf: text,
  age: count,
  lastPush: text,
  waiting: count,
  behind: count,
  quarantine: Type.Integer(),
  fault: nullable(Fault),
  today: Type.Integer(),
  minute: Type.Integer(),
  turn: Turn,
})

const parties = {
  agency: Type.Optional(AgencyCode),
  provider: Type.Optional(AgencyCode),
  receiver: Type.Optional(AgencyCode),
  resource: Type.Optional(ResourceCode),
}

const LineQuery = Type.Object(
  {
    state: Type.Optional(State),
    kind: Type.Optional(Type.Enum(['source', 'route'])),
    ...parties,
    agent: Type.Optional(AgentId),
    text: Type.Optional(Type.String({ maxLength: 200 })),
    after: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$' })),
    ...fileQuery,
  },
  closed,
)

export const Edge = Type.Object({
  provider: Type.String(),
  receiver: Type.String(),
  routes: Type.Integer(),
  held: Type.Integer(),
  state: State,
  turn: Turn,
  today: Type.Integer(),
  minute: Type.Integer(),
  age: count,
})

export const Node = Type.Object({ agency: Type.String(), provides: Type.Integer(), receives: Type.Integer(), state: State })

const depsOf = ({ registry, services }: Call): LineDeps => ({
  query: registry.store.query,
  log: services.log,
  now: registry.clock(),
  lapse: services.lapse,
})

/** Where data moves, what is held, and whose turn it is (Art. 15, 24). */
export const lineOperations: readonly Operation[] = [
  operation({
    name: 'line.list',
    method: 'GET',
    path: '/lines',
    text: {
      zh: '交换链路：各来源和路由的状态，由谁处理，最坏的在前',
      en: 'lines: sources and routes, the worst first, and whose turn each is',
    },
    query: LineQuery,
    answer: Type.Object({
      items: Type.Array(Line),
      next: text,
      total: Total,
      states: Type.Object(Object.fromEntries(conditions.map((one) => [one, Type.Integer()]))),
    }),
    run: (call) => {
      const { state, after, limit, ...filter } = call.query
      return listLines(depsOf(call), { ...filter, agencyScope: call.agencyScope }, { state, after, limit: Number(limit ?? 50) })
    },
  }),
  operation({
    name: 'flow.list',
    method: 'GET',
    path: '/flows',
    text: { zh: '流向图：哪个单位向哪个单位提供，状态和行数', en: 'flows: who gives to whom, how they stand, and how many rows move' },
    query: Type.Object(parties, closed),
    answer: Type.Object({ nodes: Type.Array(Node), edges: Type.Array(Edge) }),
    run: (call) => readFlows(depsOf(call), { ...call.query, agencyScope: call.agencyScope }),
  }),
  statistic(
    'supply',
    { zh: '数据提供统计：批次和行数', en: 'figures of supply: batches and rows that came' },
    {
      batches: Type.Number(),
      changed: Type.Number(),
      same: Type.Number(),
      loaded: Type.Number(),
      resources: Type.Integer(),
    },
  ),
  statistic(
    'delivery',
    {
      zh: '数据交付统计：写入和删除的行数（按获取单位）',
      en: 'figures of delivery: rows that were written and deleted, by who received them',
    },
    { written: Type.Number(), deleted: Type.Number(), routes: Type.Integer() },
  ),
  statistic(
    'applications',
    {
      zh: '共享申请统计：提交、批准、驳回、撤回的件数（按申请单位）',
      en: 'figures of applications: submitted, approved, rejected, withdrawn, by who applied',
    },
    { submitted: Type.Integer(), approved: Type.Integer(), rejected: Type.Integer(), withdrawn: Type.Integer() },
  ),
  statistic(
    'duties',
    { zh: '更新义务统计：按期间的最后一日', en: 'figures of update duties, by the last day of their periods' },
    { updated: Type.Integer(), explained: Type.Integer(), overdue: Type.Integer(), excused: Type.Integer() },
  ),
]

const day = 86_400_000

/** By default of the last thirty days. */
function statistic(what: Statistic, words: Operation['text'], figures: TObject['properties']): Operation {
  return operation({
    name: `statistics.${what}`,
    method: 'GET',
    path: `/statistics/${what}`,
    text: words,
    query: Type.Object(
      { by: Type.Optional(Type.Enum([...groupings])), from: Type.Optional(Day), to: Type.Optional(Day), agency: Type.Optional(AgencyCode) },
      closed,
    ),
    answer: Type.Object({
      from: Type.String(),
      to: Type.String(),
      items: Type.Array(Type.Object({ day: Type.Optional(Type.String()), agency: Type.Optional(Type.String()), ...figures })),
    }),
    run: async ({ registry, agencyScope, query }) => {
      const now = registry.clock()
      const to = requireDay(query.to ?? dayOf(now))
      const from = requireDay(query.from ?? dayOf(new Date(now.getTime() - 29 * day)))
      const asked = { by: query.by ?? ('day' as const), from, to, agencyScope: agencyScope ?? query.agency ?? null }
      return { from, to, items: await readStatistics(registry.store.query, what, asked) }
    },
  })
}
