import { Type } from 'typebox'
import type { Role } from '../records/roles.ts'
import {
  correctionFlow,
  correctionList,
  listCorrections,
  loadCorrection,
  reportCorrection,
  withoutValues,
  type Correction,
} from '../registry/cases/corrections.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { closed, ItemIds, nullable, ReasonBody, ResourceCode, ShownText, Text } from './shapes.ts'

const CorrectionShape = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  resource: Type.String(),
  provider: Type.String(),
  key: nullable(Type.Record(Type.String(), Type.String())),
  items: Type.Array(Type.String()),
  fault: ShownText,
  wanted: nullable(Type.String()),
  state: Type.String(),
  result: nullable(Type.String()),
  answer: nullable(Type.String()),
  reason: nullable(Type.String()),
  reopened: Type.Boolean(),
  created: Type.String(),
})

const NewCorrection = Type.Object(
  {
    resource: ResourceCode,
    key: Type.Optional(Type.Record(Type.String({ maxLength: 30 }), Type.String({ maxLength: 400 }))),
    items: Type.Optional(ItemIds),
    fault: Text(2000),
    wanted: Type.Optional(Text(2000)),
  },
  closed,
)

const Answer = Type.Object(
  { result: Type.Enum(['corrected', 'no-error']), answer: Text(2000), catalog: Type.Optional(Type.Boolean()) },
  closed,
)

/** Corrections 数据更正 (Art. 18). */
export const correctionOperations: readonly Operation[] = [
  operation({
    name: 'correction.list',
    method: 'GET',
    path: '/corrections',
    text: { zh: '数据更正列表', en: 'corrections' },
    query: queryOf(correctionList),
    answer: pageOf(CorrectionShape),
    run: async (call) => {
      const page = await listCorrections(call.registry, call.agencyScope, call.query)
      return { ...page, items: page.items.map((correction) => shown(call, correction)) }
    },
  }),
  reading({
    name: 'correction.read',
    method: 'GET',
    path: '/corrections/:id',
    objectKind: 'correction',
    text: { zh: '查看数据更正', en: 'a correction' },
    answer: CorrectionShape,
    run: async (call) => shown(call, await loadCorrection(call.registry.store.query, call.params.id)),
  }),
  operation({
    name: 'correction.create',
    method: 'POST',
    path: '/corrections',
    text: { zh: '报告共享数据有误差', en: 'report an error in shared data' },
    body: NewCorrection,
    answer: CorrectionShape,
    example: { resource: 'civil.villages', key: { code: '441900003001' }, items: ['name'], fault: '名称有误', wanted: '岗贝社区' },
    run: ({ registry, principal, body }) => reportCorrection(registry, principal, body),
  }),
  ...eventOperations(correctionFlow, '/corrections', CorrectionShape, {
    pass: { text: { zh: '转提供单位处理', en: 'pass to the provider' } },
    dismiss: { text: { zh: '不予受理', en: 'dismiss' }, body: ReasonBody, example: { reason: '不属于本平台数据' } },
    answer: {
      text: { zh: '提供单位答复', en: "the provider's answer" },
      body: Answer,
      example: { result: 'corrected', answer: '已更正', catalog: false },
    },
    close: { text: { zh: '办结并反馈', en: 'close and tell the reporter' } },
    reopen: { text: { zh: '重新报告', en: 'report again' }, body: ReasonBody, example: { reason: '仍有误' } },
    withdraw: { text: { zh: '撤回', en: 'withdraw' } },
  }),
]

const parties: readonly Role[] = ['registrar', 'reviewer', 'user']

/** The values are for the office and for both sides, whatever else somebody is. */
function shown({ principal: { agency, roles } }: Call, correction: Correction): Correction {
  const isParty =
    agency !== null && [correction.agency, correction.provider].includes(agency) && parties.some((role) => roles.includes(role))
  return isParty || roles.includes('office') ? correction : withoutValues(correction)
}
