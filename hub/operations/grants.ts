import { Type } from 'typebox'
import { explainGrantRoutes, findGrants, grantList, readGrant } from '../registry/grants/grant-queries.ts'
import { grantFlow } from '../registry/grants/grant-workflow.ts'
import { sinkLines } from '../registry/agent-config.ts'
import { eventOperations, reading } from './events.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, ItemIds, MasksOfGrant, nullable, ReasonBody, ShownText } from './shapes.ts'

const grant = {
  id: Type.String(),
  resource: Type.String(),
  agency: Type.String(),
  items: Type.Array(Type.String()),
  mode: Type.String(),
  state: Type.String(),
  reason: nullable(ShownText),
  validTo: nullable(Type.String()),
  atEnd: Type.Enum(['keep', 'remove']),
  application: nullable(Type.String()),
  heldVersion: nullable(Type.Integer({ description: '待接受的数据结构版本 the version of what is delivered that waits to be accepted' })),
  heldCatalogVersion: nullable(Type.Integer({ description: '该结构所属的目录版本 the catalog version with which it came' })),
}

const Grant = Type.Object(grant)
const listed = { ...grant, title: Type.String(), provider: Type.String(), created: Type.String() }

const Removed = Type.Object({ rows: Type.Integer(), tables: Type.Array(Type.String()), time: Type.String(), receipt: Type.String() })

const Route = Type.Object({
  id: Type.String(),
  agent: Type.String(),
  moved: nullable(Type.String()),
  written: Type.String(),
  deleted: Type.String(),
  quarantine: Type.String(),
  removed: nullable(Removed),
})

const reason = { body: ReasonBody, example: { reason: '使用情况待核查' } }

/** Grants 授权 (Art. 16, 21). */
export const grantOperations: readonly Operation[] = [
  operation({
    name: 'grant.list',
    method: 'GET',
    path: '/grants',
    text: { zh: '授权列表', en: 'grants' },
    query: queryOf(grantList),
    answer: pageOf(Type.Object(listed)),
    run: ({ registry, agencyScope, query }) => findGrants(registry, agencyScope, query),
  }),
  reading({
    name: 'grant.read',
    method: 'GET',
    path: '/grants/:id',
    objectKind: 'grant',
    text: { zh: '查看授权', en: 'a grant and its routes' },
    answer: Type.Object({ ...listed, masks: MasksOfGrant, routes: Type.Array(Route) }),
    run: ({ registry, params }) => readGrant(registry, params.id),
  }),
  operation({
    name: 'grant.explain',
    method: 'GET',
    path: '/grants/:id/explain',
    objectKind: 'grant',
    text: { zh: '交换路由诊断', en: 'what the hub knows of its routes' },
    params: ById,
    answer: Type.Object({ items: Type.Array(Type.Object({})) }),
    run: async ({ registry, services, params }) => ({ items: await explainGrantRoutes(registry, params.id, services.explain) }),
  }),
  operation({
    name: 'grant.agent-config',
    method: 'GET',
    path: '/grants/:id/agent-config',
    objectKind: 'grant',
    text: { zh: '授权在前置机代理配置中的内容（sinks）', en: 'what stands of a grant in the configuration of its agent (`sinks`)' },
    params: ById,
    answer: Type.Object({ yaml: Type.String() }),
    run: ({ registry, params }) => sinkLines(registry, params.id),
  }),
  ...eventOperations(grantFlow, '/grants', Grant, {
    suspend: { text: { zh: '暂停', en: 'suspend' }, ...reason },
    resume: { text: { zh: '恢复', en: 'resume' } },
    revoke: { text: { zh: '撤销', en: 'revoke' }, ...reason },
    reinstate: {
      text: { zh: '撤回有误的到期', en: 'undo an expiry that a wrong clock brought about' },
      body: ReasonBody,
      example: { reason: '中心时钟有误，授权期限未满' },
    },
    'give-up': { text: { zh: '放弃', en: 'give up' }, body: ReasonBody, example: { reason: '业务已停办' } },
    accept: {
      text: { zh: '接受不兼容的新版本', en: 'accept an incompatible version' },
      body: Type.Object({ items: ItemIds }, closed),
      example: { items: ['name'] },
    },
  }),
]
