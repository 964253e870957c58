import { Type } from 'typebox'
import { demandFlow, demandList, listDemands, loadDemand, submitDemand } from '../registry/cases/demands.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { AgencyCode, closed, nullable, ReasonBody, ResourceCode, Text } from './shapes.ts'

const Demand = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  title: Type.String(),
  what: Type.String(),
  why: Type.String(),
  basis: Type.String(),
  supposed: nullable(Type.String()),
  provider: nullable(Type.String()),
  state: Type.String(),
  agreedWhat: nullable(Type.String()),
  agreedUntil: nullable(Type.String()),
  reason: nullable(Type.String()),
  resource: nullable(Type.String()),
  created: Type.String(),
  notes: Type.Array(Type.Object({ agency: Type.String(), name: Type.String(), at: Type.String(), text: Type.String() })),
})

const NewDemand = Type.Object(
  { title: Text(200), what: Text(2000), why: Text(2000), basis: Text(2000), supposed: Type.Optional(AgencyCode) },
  closed,
)

const Agreement = Type.Object({ what: Text(2000), until: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' }) }, closed)

/** Demands outside the catalog 目录外需求 (Art. 8, 16). */
export const demandOperations: readonly Operation[] = [
  operation({
    name: 'demand.list',
    method: 'GET',
    path: '/demands',
    text: { zh: '目录外需求列表', en: 'demands outside the catalog' },
    query: queryOf(demandList),
    answer: pageOf(Demand),
    run: ({ registry, agencyScope, query }) => listDemands(registry, agencyScope, query),
  }),
  reading({
    name: 'demand.read',
    method: 'GET',
    path: '/demands/:id',
    objectKind: 'demand',
    text: { zh: '查看目录外需求', en: 'a demand' },
    answer: Demand,
    run: ({ registry, params }) => loadDemand(registry.store.query, params.id),
  }),
  operation({
    name: 'demand.create',
    method: 'POST',
    path: '/demands',
    text: { zh: '提出目录外需求', en: 'demand data outside the catalog' },
    body: NewDemand,
    answer: Demand,
    example: { title: '养老机构名录', what: '名称、地址、床位数', why: '防汛转移安置', basis: '《防汛条例》第二十条', supposed: 'civil' },
    run: ({ registry, principal, body }) => submitDemand(registry, principal, body),
  }),
  ...eventOperations(demandFlow, '/demands', Demand, {
    assign: {
      text: { zh: '指定提供单位', en: 'assign a provider' },
      body: Type.Object({ provider: AgencyCode }, closed),
      example: { provider: 'civil' },
    },
    note: {
      text: { zh: '记录协商', en: 'note the negotiation' },
      body: Type.Object({ text: Text(2000) }, closed),
      example: { text: '床位数按季更新' },
    },
    agree: {
      text: { zh: '同意提供', en: 'agree' },
      body: Agreement,
      example: { what: '名称、地址、床位数，按季更新', until: '2027-03-31' },
    },
    refuse: { text: { zh: '不能提供', en: 'refuse' }, body: ReasonBody, example: { reason: '本单位不采集' } },
    fulfil: {
      text: { zh: '关联已发布资源', en: 'link the published resource' },
      body: Type.Object({ resource: ResourceCode }, closed),
      example: { resource: 'civil.homes' },
    },
    withdraw: { text: { zh: '撤回', en: 'withdraw' } },
  }),
]
