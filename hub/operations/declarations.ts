import { Type } from 'typebox'
import {
  declarationFlow,
  declarationKinds,
  declarationList,
  draftDeclaration,
  listDeclarations,
  loadDeclaration,
  type DeclarationKind,
} from '../registry/cases/declarations.ts'
import { dutyEvidence } from '../supervision/duties/evidence.ts'
import { eventOperations, reading } from './events.ts'
import { requireDay } from '../records/calendar.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { closed, Day, nullable, ReasonBody, ResourceCode, Text } from './shapes.ts'

const text = nullable(Type.String())

const Declaration = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  kind: Type.String(),
  resource: text,
  period: text,
  text: Type.String(),
  basis: text,
  measures: text,
  until: text,
  evidence: nullable(Type.Object({}, { additionalProperties: true })),
  draftedBy: Type.String(),
  signedBy: text,
  signedAt: text,
  state: Type.String(),
  result: text,
  created: Type.String(),
})

const NewDeclaration = Type.Object(
  {
    kind: Type.Enum(Object.keys(declarationKinds) as DeclarationKind[]),
    resource: Type.Optional(ResourceCode),
    period: Type.Optional(Type.String({ maxLength: 10 })),
    text: Text(4000),
    basis: Type.Optional(Text(1000)),
    measures: Type.Optional(Text(4000)),
    until: Type.Optional(Day),
  },
  closed,
)

const Result = Type.Object({ result: Text(2000) }, closed)

/** Declarations 书面说明、不能提供报告、不可抗力通知 (Art. 7.4, 14, 20). */
export const declarationOperations: readonly Operation[] = [
  operation({
    name: 'declaration.list',
    method: 'GET',
    path: '/declarations',
    text: { zh: '声明列表', en: 'declarations' },
    query: queryOf(declarationList),
    answer: pageOf(Declaration),
    run: ({ registry, agencyScope, query }) => listDeclarations(registry, agencyScope, query),
  }),
  reading({
    name: 'declaration.read',
    method: 'GET',
    path: '/declarations/:id',
    objectKind: 'declaration',
    text: { zh: '查看声明', en: 'a declaration' },
    answer: Declaration,
    run: ({ registry, params }) => loadDeclaration(registry.store.query, params.id),
  }),
  operation({
    name: 'declaration.evidence',
    method: 'GET',
    path: '/resources/:id/evidence/:period',
    objectKind: 'resource',
    text: { zh: '某期间数据没有变化的佐证', en: 'what is known of a resource in a period, to sign that nothing changed' },
    params: Type.Object({ id: ResourceCode, period: Type.String({ minLength: 1, maxLength: 10 }) }),
    run: ({ registry, params }) => dutyEvidence(registry.store.query, params.id, params.period, registry.clock()),
  }),
  operation({
    name: 'declaration.create',
    method: 'POST',
    path: '/declarations',
    text: { zh: '起草声明', en: 'draft a declaration' },
    body: NewDeclaration,
    answer: Declaration,
    example: { kind: 'no-change', resource: 'civil.villages', period: '2026-Q4', text: '本季度行政区划没有变更。' },
    run: ({ registry, principal, body: { until, ...body } }) =>
      draftDeclaration(registry, principal, { ...body, ...(until !== undefined && { until: requireDay(until) }) }),
  }),
  ...eventOperations(declarationFlow, '/declarations', Declaration, {
    sign: { text: { zh: '审核签发', en: 'check and sign' } },
    return: { text: { zh: '退回', en: 'return' }, body: ReasonBody, example: { reason: '请补充依据' } },
    withdraw: { text: { zh: '撤回', en: 'withdraw' } },
    acknowledge: { text: { zh: '确认收到（不可抗力）', en: 'acknowledge force majeure' } },
    delegate: { text: { zh: '授权市电子政务办协商', en: 'delegate to the office' } },
    escalate: {
      text: { zh: '重大事项报请市委市政府', en: 'escalate a grave matter' },
      body: ReasonBody,
      example: { reason: '涉及多部门职责' },
    },
    settle: { text: { zh: '协商解决', en: 'settle' }, body: Result, example: { result: '改为每季度提供' } },
  }),
]
