import { Type } from 'typebox'
import { DraftContent, GivenContent } from '../registry/catalog/content.ts'
import {
  checkRegistration,
  createRegistration,
  listRegistrations,
  readRegistration,
  registrationList,
} from '../registry/publishing/registrations.ts'
import { registrationFlow } from '../registry/publishing/registration-workflow.ts'
import { Checked, Diff } from './catalog-shapes.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { allRevised } from '../registry/revision.ts'
import { ById, closed, nullable, ReasonBody, Text, withRevision } from './shapes.ts'

const Registration = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  resource: Type.String(),
  base: nullable(Type.Integer()),
  state: Type.String(),
  content: DraftContent,
  standard: nullable(Type.String()),
  demand: nullable(Type.String()),
  draftedBy: Type.String(),
  draftedAt: Type.String(),
  submittedBy: nullable(Type.String()),
  submittedAt: nullable(Type.String()),
  secrecyReview: nullable(Type.Object({ reviewed: Type.Boolean(), by: Type.String(), note: Type.Optional(Type.String()) })),
  reason: nullable(Type.String()),
  created: Type.String(),
})

const { content: _content, ...withoutContent } = Registration.properties
const Listed = Type.Object({ ...withoutContent, title: Type.String(), items: Type.Integer() })

const NewBody = Type.Object(
  {
    resource: Type.Optional(Type.String({ minLength: 1, maxLength: 44 })),
    standard: Type.Optional(Type.String({ minLength: 1, maxLength: 44 })),
    demand: Type.Optional(Type.String({ pattern: '^[0-9]{1,18}$' })),
    content: Type.Optional(GivenContent),
  },
  closed,
)

const Submission = Type.Object(
  {
    secrecy: Type.Object({ reviewed: Type.Literal(true), by: Text(100), note: Type.Optional(Text(1000)) }, closed),
  },
  closed,
)

const Publication = Type.Object(
  {
    sameMeaning: Type.Optional(
      Type.Array(Text(30), { maxItems: 400, uniqueItems: true, description: '名称或角色已改而含义不变的信息项：接收方无须再确认' }),
    ),
  },
  closed,
)

const item = { id: 'code', name: 'code', label: '区划代码', type: 'text', length: 12, key: true, openness: 'public' }

/** Registrations 目录登记 (Art. 9-12). */
export const registrationOperations: readonly Operation[] = [
  operation({
    name: 'registration.list',
    method: 'GET',
    path: '/registrations',
    text: { zh: '目录登记列表', en: 'registrations' },
    query: queryOf(registrationList),
    answer: pageOf(withRevision(Listed)),
    run: ({ registry, agencyScope, query: asked }) =>
      allRevised(registry, 'registration', (query) => listRegistrations(query, agencyScope, asked)),
  }),
  reading({
    name: 'registration.read',
    method: 'GET',
    path: '/registrations/:id',
    objectKind: 'registration',
    text: { zh: '查看目录登记：内容、问题、与现行版本的差异', en: 'a registration: content, faults, differences' },
    answer: Type.Object({ ...Registration.properties, ...Checked.properties, changes: Diff }),
    run: ({ registry, params }) => readRegistration(registry, params.id),
  }),
  operation({
    name: 'registration.create',
    method: 'POST',
    path: '/registrations',
    text: { zh: '新建目录登记，或修改已发布的资源', en: 'register a resource, or a change of one' },
    body: NewBody,
    answer: Registration,
    example: { content: { title: '村居名录', table: 'villages', items: [item] } },
    run: ({ registry, principal, body }) => createRegistration(registry, principal, body),
  }),
  operation({
    name: 'registration.check',
    method: 'GET',
    path: '/registrations/:id/check',
    objectKind: 'registration',
    text: { zh: '检查目录登记：一次列出全部问题', en: 'everything that is wrong with a registration' },
    params: ById,
    answer: Checked,
    run: ({ registry, params }) => checkRegistration(registry, params.id),
  }),
  ...eventOperations(registrationFlow, '/registrations', Registration, {
    change: {
      text: {
        zh: '修改登记内容：未给出的保持不变；replace 为 true 时整体替换',
        en: 'change the content: what is left out stays, unless `replace` says that this is all',
      },
      body: Type.Object({ content: GivenContent, replace: Type.Optional(Type.Boolean()) }, closed),
      example: { content: { title: '村居名录', items: [item] } },
    },
    submit: {
      text: { zh: '提交审核，附保密审查声明', en: 'submit, with the secrecy declaration' },
      body: Submission,
      example: { secrecy: { reviewed: true, by: '张三', note: '不涉密' } },
    },
    recall: { text: { zh: '撤回提交', en: 'take back' } },
    return: { text: { zh: '退回修改', en: 'return' }, body: ReasonBody, example: { reason: '摘要过于简单' } },
    publish: { text: { zh: '审核通过并发布', en: 'publish' }, body: Publication, example: { sameMeaning: ['name'] } },
    discard: { text: { zh: '作废', en: 'discard' } },
  }),
]
