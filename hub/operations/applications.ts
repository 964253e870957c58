import { Type } from 'typebox'
import { applicationList, listApplications, readApplication } from '../registry/grants/applications.ts'
import { readDossier } from '../registry/grants/dossier.ts'
import {
  applyForMany,
  decideMany,
  draftApplication,
  previewApplication,
  type PreviewSources,
} from '../registry/grants/draft-application.ts'
import { applicationFlow } from '../registry/grants/application-workflow.ts'
import type { Registry } from '../records/registry.ts'
import { previewOwn } from '../supply/preview.ts'
import type { Services } from './services.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { allRevised } from '../registry/revision.ts'
import { ById, closed, ItemIds, MasksByItem, nullable, ReasonBody, ResourceCode, Text, withRevision } from './shapes.ts'

const Day = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' })
const ShareMode = Type.Enum(['query', 'api', 'exchange'])
const AtEnd = Type.Enum(['keep', 'remove'])

const Consent = Type.Object({
  resource: Type.String(),
  agency: Type.String(),
  state: Type.Enum(['asked', 'consented', 'objected']),
  masks: MasksByItem,
  reason: nullable(Type.String()),
  by: nullable(Type.String()),
  at: Type.String(),
})

const Application = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  resource: nullable(Type.String()),
  standard: nullable(Type.String()),
  title: Type.String(),
  mode: ShareMode,
  items: Type.Array(Type.String()),
  purpose: Type.String(),
  basis: Type.String(),
  agent: nullable(Type.String()),
  until: nullable(Type.String()),
  atEnd: AtEnd,
  state: Type.String(),
  approvedItems: nullable(Type.Array(Type.String())),
  approvedUntil: nullable(Type.String()),
  masks: MasksByItem,
  reason: nullable(Type.String()),
  extended: Type.Boolean(),
  created: Type.String(),
  submitted: nullable(Type.String()),
  decided: nullable(Type.String()),
  consents: Type.Array(Consent),
  grants: Type.Array(Type.Object({ id: Type.String(), resource: Type.String(), state: Type.String() })),
})

const Reachable = nullable(
  Type.Object({ id: Type.String(), name: Type.String(), phone: nullable(Type.String()), email: nullable(Type.String()) }),
)

const Weighed = Type.Object({
  id: Type.String(),
  resource: Type.String(),
  title: Type.String(),
  agency: Type.String(),
  items: Type.Array(Type.String()),
  mode: Type.String(),
  state: Type.String(),
  purpose: nullable(Type.String()),
  validTo: nullable(Type.String()),
})

const Dossier = Type.Object({
  application: Application,
  submitter: Reachable,
  responsible: Reachable,
  items: Type.Array(
    Type.Object({ resource: Type.String(), id: Type.String(), label: Type.String(), type: Type.String(), openness: Type.String() }),
  ),
  resources: Type.Array(
    Type.Object({
      resource: Type.String(),
      title: Type.String(),
      provider: Type.String(),
      state: Type.String(),
      sharing: Type.String(),
      sharingConditions: nullable(Type.String()),
      shareModes: Type.Array(Type.String()),
      cycle: Type.String(),
      updated: nullable(Type.String()),
      responsible: Reachable,
    }),
  ),
  others: Type.Array(Weighed),
  own: Type.Array(Weighed),
  earlier: Type.Array(
    Type.Object({
      id: Type.String(),
      state: Type.String(),
      items: Type.Array(Type.String()),
      approvedItems: nullable(Type.Array(Type.String())),
      purpose: Type.String(),
      reason: nullable(Type.String()),
      decided: nullable(Type.String()),
    }),
  ),
  machine: nullable(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      state: Type.String(),
      lastSeen: nullable(Type.String()),
      held: Type.Array(Type.String()),
    }),
  ),
  deadline: nullable(
    Type.Object({
      kind: Type.String(),
      due: nullable(Type.String()),
      daysLeft: nullable(Type.Integer()),
      extended: Type.Integer(),
      missed: Type.Boolean(),
    }),
  ),
})

const content = {
  mode: ShareMode,
  items: ItemIds,
  purpose: Type.String({ maxLength: 2000 }),
  basis: Type.String({ maxLength: 2000 }),
  agent: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  until: Type.Optional(Day),
  atEnd: Type.Optional(AtEnd),
}

const NewApplication = Type.Object({ resource: Type.Optional(ResourceCode), standard: Type.Optional(ResourceCode), ...content }, closed)

/** The provider's consent may say what is shown masked. */
const Consenting = Type.Object({ reason: Type.Optional(Text(1000)), masks: Type.Optional(MasksByItem) }, closed)
const Approval = Type.Object(
  { items: Type.Optional(ItemIds), until: Type.Optional(Day), reason: Type.Optional(Text(1000)), masks: Type.Optional(MasksByItem) },
  closed,
)

const { items: _, ...forAll } = content

const Basket = Type.Object(
  {
    resources: Type.Array(Type.Object({ code: ResourceCode, items: ItemIds }, closed), { minItems: 1, maxItems: 50 }),
    ...forAll,
  },
  closed,
)

const Decisions = Type.Object(
  {
    cases: Type.Array(Type.Object({ id: Type.String({ pattern: '^[0-9]{1,18}$' }), revision: Text(100) }, closed), {
      minItems: 1,
      maxItems: 200,
    }),
    decision: Type.Enum(['approve', 'reject']),
    reason: Type.Optional(Text(1000)),
  },
  closed,
)

const Decided = Type.Object({
  id: Type.String(),
  state: Type.Optional(Type.String()),
  code: Type.Optional(Type.String()),
  zh: Type.Optional(Type.String()),
  en: Type.Optional(Type.String()),
})

const Value = nullable(Type.String())
const Preview = Type.Object({
  resource: Type.String(),
  items: Type.Array(Type.String()),
  rows: Type.Array(Type.Array(Value)),
  faults: Type.Array(Type.Object({ key: Type.Array(Value), code: Type.String(), item: Type.Optional(Type.String()) })),
  warned: Type.Integer(),
  omitted: Type.Integer(),
})

const example = {
  mode: 'exchange',
  items: ['name', 'street'],
  purpose: '防汛预案人员通知',
  basis: '《中华人民共和国防汛条例》第七条',
  agent: 'water-1a2b3c4d',
  until: '2027-12-31',
  atEnd: 'remove',
}

/** Applications 共享申请 (Art. 7, 16). */
export const applicationOperations: readonly Operation[] = [
  operation({
    name: 'application.list',
    method: 'GET',
    path: '/applications',
    text: { zh: '共享申请列表', en: 'applications' },
    query: queryOf(applicationList),
    answer: pageOf(withRevision(Application)),
    run: ({ registry, agencyScope, principal: { agency }, query: asked }) =>
      allRevised(registry, 'application', (query) => listApplications(query, { agencyScope, agency }, asked)),
  }),
  reading({
    name: 'application.read',
    method: 'GET',
    path: '/applications/:id',
    objectKind: 'application',
    text: { zh: '查看共享申请', en: 'an application' },
    answer: Application,
    run: ({ registry, principal, params }) => readApplication(registry, params.id, principal.agency),
  }),
  operation({
    name: 'application.dossier',
    method: 'GET',
    path: '/applications/:id/dossier',
    objectKind: 'application',
    text: {
      zh: '申请的审批材料：申请人、信息项、条件、已有授权、以往决定、前置机、时限',
      en: 'what a decision rests on: who asks, items, conditions, grants there are, earlier decisions, machine, deadline',
    },
    params: ById,
    answer: Dossier,
    run: ({ registry, principal, params }) => readDossier(registry, params.id, principal.agency),
  }),
  operation({
    name: 'application.create',
    method: 'POST',
    path: '/applications',
    text: { zh: '起草共享申请', en: 'draft an application' },
    body: NewApplication,
    answer: Application,
    example: { resource: 'civil.villages', ...example },
    run: ({ registry, principal, body }) => draftApplication(registry, principal, body),
  }),
  operation({
    name: 'application.create-many',
    method: 'POST',
    path: '/applications/create-many',
    text: { zh: '申请多个资源：一个用途，各成一件申请', en: 'apply for several resources with one purpose: an application for each' },
    body: Basket,
    answer: Type.Object({ items: Type.Array(Application) }),
    example: {
      resources: [
        { code: 'civil.villages', items: ['name'] },
        { code: 'civil.streets', items: ['name', 'street'] },
      ],
      mode: 'query',
      purpose: '防汛预案人员通知',
      basis: '《中华人民共和国防汛条例》第七条',
    },
    run: async ({ registry, principal, body, told }) => ({ items: await applyForMany(registry, principal, body, told) }),
  }),
  operation({
    name: 'application.decide-many',
    method: 'POST',
    path: '/applications/decide-many',
    text: { zh: '批量审批', en: 'decide on many, each on its own' },
    body: Decisions,
    answer: Type.Object({ items: Type.Array(Decided) }),
    example: { cases: [{ id: '7', revision: '412.9f1c02ab' }], decision: 'approve' },
    run: async ({ registry, principal, body, told }) => ({ items: await decideMany(registry, principal, body, told) }),
  }),
  operation({
    name: 'application.preview',
    method: 'POST',
    path: '/applications/:id/preview',
    objectKind: 'application',
    text: { zh: '预览将要共享的数据', en: 'look at rows as they would be delivered' },
    params: ById,
    body: Type.Object({ resource: Type.Optional(ResourceCode) }, closed),
    answer: Preview,
    example: {},
    run: ({ registry, services, principal, params, body, signal }) =>
      previewApplication(registry, sourcesOf(registry, services), principal, { id: params.id, ...body, signal }),
  }),
  ...eventOperations(applicationFlow, '/applications', Application, {
    change: { text: { zh: '修改草稿', en: 'change the draft' }, body: Type.Object(content, closed), example },
    submit: { text: { zh: '提交', en: 'submit' } },
    withdraw: { text: { zh: '撤回', en: 'withdraw' } },
    consent: {
      text: { zh: '提供单位同意', en: 'the provider consents' },
      body: Consenting,
      example: { masks: { name: { kind: 'keep', first: 1, last: 0 } } },
    },
    object: {
      text: { zh: '提供单位不同意', en: 'the provider objects' },
      body: ReasonBody,
      example: { reason: '与申请单位职能无关' },
    },
    approve: {
      text: { zh: '批准（可部分批准）', en: 'approve, also in part' },
      body: Approval,
      example: { items: ['name'], until: '2027-06-30' },
    },
    reject: { text: { zh: '驳回', en: 'reject' }, body: ReasonBody, example: { reason: '依据不足' } },
    return: { text: { zh: '退回补正', en: 'return for completion' }, body: ReasonBody, example: { reason: '依据须写明条款' } },
    extend: { text: { zh: '延长办理期限', en: 'extend the time for the reply' }, body: ReasonBody, example: { reason: '需会商' } },
  }),
]

function sourcesOf({ store: { query } }: Registry, { asks, producer, sharing: { reader } }: Services): PreviewSources {
  return {
    ask: (agent, question, how) => asks.ask(agent, question, how),
    own: (question) => previewOwn({ query, reader, producer }, question),
  }
}
