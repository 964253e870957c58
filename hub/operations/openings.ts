import { Type } from 'typebox'
import { listOpenings, loadOpening, openingFlow, openingList, proposeOpening } from '../registry/cases/openings.ts'
import { openUsageOf } from '../sharing/open-data.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, ItemIds, nullable, ReasonBody, ResourceCode, Text } from './shapes.ts'

const Opening = Type.Object({
  id: Type.String(),
  resource: Type.String(),
  title: Type.String(),
  provider: Type.String(),
  providerName: Type.String(),
  items: Type.Array(Type.String()),
  note: nullable(Type.String()),
  state: Type.String(),
  reason: nullable(Type.String()),
  created: Type.String(),
  released: nullable(Type.String()),
})

const NewOpening = Type.Object(
  { resource: ResourceCode, items: Type.Optional({ ...ItemIds, minItems: 1, uniqueItems: true }), note: Type.Optional(Text(1000)) },
  closed,
)

/** Public items on their way to the public 开放发布 (Art. 5, 7.5). */
export const openingOperations: readonly Operation[] = [
  operation({
    name: 'opening.list',
    method: 'GET',
    path: '/openings',
    text: { zh: '开放发布列表', en: 'what was proposed for, and released to, the public' },
    query: queryOf(openingList),
    answer: pageOf(Opening),
    run: ({ registry, agencyScope, query }) => listOpenings(registry, agencyScope, query),
  }),
  reading({
    name: 'opening.read',
    method: 'GET',
    path: '/openings/:id',
    objectKind: 'opening',
    text: { zh: '查看开放发布', en: 'an opening' },
    answer: Opening,
    run: ({ registry, params }) => loadOpening(registry.store.query, params.id),
  }),
  operation({
    name: 'opening.propose',
    method: 'POST',
    path: '/openings',
    text: { zh: '提议向社会开放资源的公开信息项', en: 'propose to open the public items of a resource' },
    body: NewOpening,
    answer: Opening,
    example: { resource: 'villages', items: ['name'], note: '每年一月更新' },
    run: ({ registry, principal, body }) => proposeOpening(registry, principal, body),
  }),
  ...eventOperations(openingFlow, '/openings', Opening, {
    release: { text: { zh: '向社会开放', en: 'release to the public' } },
    return: { text: { zh: '退回', en: 'return' }, body: ReasonBody, example: { reason: '名称含个人信息' } },
    withdraw: { text: { zh: '撤回', en: 'withdraw' }, body: ReasonBody, example: { reason: '数据待核实' } },
  }),
  operation({
    name: 'opening.usage',
    method: 'GET',
    path: '/resources/:id/open-usage',
    objectKind: 'resource',
    text: { zh: '资源的开放数据下载量', en: 'how often the public took a resource, by day and kind' },
    params: ById,
    answer: Type.Object({
      items: Type.Array(Type.Object({ day: Type.String(), kind: Type.String(), downloads: Type.Integer() })),
    }),
    run: async ({ registry, params: { id } }) => ({ items: await openUsageOf(registry.store.query, id, 92) }),
  }),
]
