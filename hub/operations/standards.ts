import { Type } from 'typebox'
import { createRegistration } from '../registry/publishing/registrations.ts'
import { StandardForm } from '../registry/catalog/standard-form.ts'
import { createStandard, listStandards, standardList, readStandard } from '../registry/publishing/standards.ts'
import { standardFlow } from '../registry/publishing/standard-workflow.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { ById, closed, nullable } from './shapes.ts'

const Standard = Type.Object({
  code: Type.String(),
  state: Type.String(),
  version: Type.Integer(),
  form: nullable(StandardForm),
  draft: nullable(StandardForm),
  published: nullable(Type.String()),
})
const Listed = Type.Object({ ...Standard.properties, adopters: Type.Array(Type.String()) })

const form = {
  title: '行政许可（双公示）',
  abstract: '各单位作出的行政许可决定',
  subject: 'enterprise',
  licence: true,
  table: 'licences',
  items: [
    { id: 'number', name: 'number', label: '许可证号', type: 'text', length: 60, key: true, openness: 'public' },
    {
      id: 'holder',
      name: 'holder',
      label: '机构名称',
      type: 'text',
      length: 200,
      required: true,
      openness: 'public',
      role: 'institution-name',
    },
    { id: 'note', name: 'note', label: '备注', type: 'text', length: 500, openness: 'internal' },
  ],
  optional: ['note'],
}

/** Drafts are seen by the office that writes them. */
export function seesDrafts({ principal }: Call): boolean {
  return principal.roles.includes('office')
}

/** Standards 数据标准 (Art. 7.2, 10). */
export const standardOperations: readonly Operation[] = [
  operation({
    name: 'standard.list',
    method: 'GET',
    path: '/standards',
    text: { zh: '数据标准列表', en: 'standards' },
    query: queryOf(standardList),
    answer: pageOf(Type.Object({ ...Listed.properties, title: nullable(Type.String()) })),
    run: (call) => listStandards(call.registry, seesDrafts(call), call.query),
  }),
  reading({
    name: 'standard.read',
    method: 'GET',
    path: '/standards/:id',
    objectKind: 'standard',
    text: { zh: '查看数据标准', en: 'a standard' },
    answer: Listed,
    run: (call) => readStandard(call.registry, call.params.id, seesDrafts(call)),
  }),
  operation({
    name: 'standard.create',
    method: 'POST',
    path: '/standards',
    text: { zh: '起草数据标准', en: 'draft a standard' },
    body: Type.Object({ code: Type.String({ minLength: 1, maxLength: 44 }), form: StandardForm }, closed),
    answer: Standard,
    example: { code: 'licences', form },
    run: ({ registry, principal, body }) => createStandard(registry, principal, body.code, body.form),
  }),
  operation({
    name: 'standard.adopt',
    method: 'POST',
    path: '/standards/:id/adopt',
    objectKind: 'standard',
    text: { zh: '按标准登记：生成登记草稿', en: 'adopt a standard: a registration by it' },
    params: ById,
    body: Type.Object({ resource: Type.Optional(Type.String({ minLength: 1, maxLength: 44 })) }, closed),
    answer: Type.Object({ id: Type.String(), resource: Type.String(), state: Type.String() }, { additionalProperties: true }),
    example: {},
    run: ({ registry, principal, params, body }) => createRegistration(registry, principal, { ...body, standard: params.id }),
  }),
  ...eventOperations(standardFlow, '/standards', Standard, {
    change: { text: { zh: '修改数据标准', en: 'change a standard' }, body: Type.Object({ form: StandardForm }, closed), example: { form } },
    publish: { text: { zh: '发布数据标准', en: 'publish a standard' } },
    withdraw: { text: { zh: '废止数据标准', en: 'withdraw a standard' } },
  }),
]
