import { Type } from 'typebox'
import { issueOrder, listOrders, loadOrder, orderCauses, orderFlow, orderList, type OrderCause } from '../registry/cases/orders.ts'
import { eventOperations, reading } from './events.ts'
import { requireDay } from '../records/calendar.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { AgencyCode, closed, Day, nullable, ReasonBody, ResourceCode, Text } from './shapes.ts'

const text = nullable(Type.String())

const Order = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  resource: text,
  period: text,
  cause: Type.String(),
  text: Type.String(),
  due: Type.String(),
  issuer: Type.String(),
  state: Type.String(),
  answer: text,
  reason: text,
  result: text,
  created: Type.String(),
})

const NewOrder = Type.Object(
  {
    agency: AgencyCode,
    resource: Type.Optional(ResourceCode),
    period: Type.Optional(Type.String({ maxLength: 10 })),
    cause: Type.Enum(Object.keys(orderCauses) as OrderCause[]),
    text: Text(4000),
    due: Day,
  },
  closed,
)

/** Rectification orders 责令改正 (Art. 27). */
export const orderOperations: readonly Operation[] = [
  operation({
    name: 'order.list',
    method: 'GET',
    path: '/orders',
    text: { zh: '责令改正列表', en: 'rectification orders' },
    query: queryOf(orderList),
    answer: pageOf(Order),
    run: ({ registry, agencyScope, query }) => listOrders(registry, agencyScope, query),
  }),
  reading({
    name: 'order.read',
    method: 'GET',
    path: '/orders/:id',
    objectKind: 'order',
    text: { zh: '查看责令改正', en: 'a rectification order' },
    answer: Order,
    run: ({ registry, params }) => loadOrder(registry.store.query, params.id),
  }),
  operation({
    name: 'order.issue',
    method: 'POST',
    path: '/orders',
    text: { zh: '责令改正', en: 'issue a rectification order' },
    body: NewOrder,
    answer: Order,
    example: {
      agency: 'civil',
      resource: 'civil.villages',
      period: '2026-Q3',
      cause: 'update',
      text: '请于期限内更新村居名录',
      due: '2026-12-15',
    },
    run: ({ registry, principal, body }) => issueOrder(registry, principal, { ...body, due: requireDay(body.due) }),
  }),
  ...eventOperations(orderFlow, '/orders', Order, {
    answer: {
      text: { zh: '报告整改情况', en: 'report what was put right' },
      body: Type.Object({ answer: Text(4000) }, closed),
      example: { answer: '已更新' },
    },
    'reject-answer': { text: { zh: '整改不到位，退回', en: 'not enough: return' }, body: ReasonBody, example: { reason: '仍缺两镇' } },
    close: { text: { zh: '办结', en: 'close' } },
    transfer: { text: { zh: '情节严重，移送市监察局', en: 'transfer a serious case' }, body: ReasonBody, example: { reason: '多次逾期' } },
    conclude: {
      text: { zh: '市监察局处理结果', en: "the supervisor's conclusion" },
      body: Type.Object({ result: Text(4000) }, closed),
      example: { result: '已约谈责任人' },
    },
  }),
]
