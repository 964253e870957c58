import { Type } from 'typebox'
import { askToPublish, listPublications, loadPublication, publicationFlow, publicationList } from '../registry/cases/publications.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { closed, nullable, ReasonBody, Text } from './shapes.ts'

const Publication = Type.Object({
  id: Type.String(),
  agency: Type.String(),
  grant: Type.String(),
  resource: Type.String(),
  provider: Type.String(),
  items: Type.Array(Type.String()),
  place: Type.String(),
  purpose: Type.String(),
  source: Type.String(),
  state: Type.String(),
  conditions: nullable(Type.String()),
  until: nullable(Type.String()),
  reason: nullable(Type.String()),
  created: Type.String(),
})

const NewPublication = Type.Object(
  {
    grant: Type.String({ minLength: 1, maxLength: 100 }),
    items: Type.Array(Type.String({ minLength: 1, maxLength: 30 }), { minItems: 1, maxItems: 400 }),
    place: Text(500),
    purpose: Text(2000),
    source: Text(200),
  },
  closed,
)

const Consent = Type.Object(
  { conditions: Type.Optional(Text(2000)), until: Type.Optional(Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' })) },
  closed,
)

/** Publishing another agency's data 公开授权 (Art. 5, 17). */
export const publicationOperations: readonly Operation[] = [
  operation({
    name: 'publication.list',
    method: 'GET',
    path: '/publications',
    text: { zh: '公开授权请求列表', en: "requests to publish another agency's data" },
    query: queryOf(publicationList),
    answer: pageOf(Publication),
    run: ({ registry, agencyScope, query }) => listPublications(registry, agencyScope, query),
  }),
  reading({
    name: 'publication.read',
    method: 'GET',
    path: '/publications/:id',
    objectKind: 'publication',
    text: { zh: '查看公开授权请求', en: 'a request to publish' },
    answer: Publication,
    run: ({ registry, params }) => loadPublication(registry.store.query, params.id),
  }),
  operation({
    name: 'publication.create',
    method: 'POST',
    path: '/publications',
    text: { zh: '请求公开所获数据', en: 'ask to publish what one receives' },
    body: NewPublication,
    answer: Publication,
    example: { grant: 'civil.villages.water', items: ['name'], place: '水务局网站', purpose: '防汛责任人公示', source: '来源：市民政局' },
    run: ({ registry, principal, body }) => askToPublish(registry, principal, body),
  }),
  ...eventOperations(publicationFlow, '/publications', Publication, {
    consent: { text: { zh: '同意公开', en: 'consent' }, body: Consent, example: { conditions: '仅公布名称', until: '2027-12-31' } },
    refuse: { text: { zh: '不同意', en: 'refuse' }, body: ReasonBody, example: { reason: '含个人信息' } },
    withdraw: { text: { zh: '撤回', en: 'withdraw' } },
    end: { text: { zh: '终止同意', en: 'end the consent' }, body: ReasonBody, example: { reason: '资源调整为对内公开' } },
  }),
]
