import { Type } from 'typebox'
import { fileQuery, pageOf } from '../records/listing.ts'
import { roleNames } from '../records/roles.ts'
import { caseKinds, countTodo, listOpenCases, listTodo, urgencies, type OpenCase } from '../registry/todo/open-cases.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { AgencyCode, closed, nullable } from './shapes.ts'

const Texts = Type.Object({ zh: Type.String(), en: Type.String() })

const OpenCaseShape = Type.Object({
  kind: Type.Enum(caseKinds),
  id: Type.String(),
  /** Below /api/v1, for whoever may read it; null where there is nothing to be read. */
  link: nullable(Type.String()),
  state: Type.String(),
  stateName: Texts,
  title: Type.String(),
  agency: nullable(Type.String()),
  agencyName: nullable(Type.String()),
  turn: Type.Array(Type.Object({ role: Type.Enum(roleNames), agency: nullable(Type.String()), agencyName: nullable(Type.String()) })),
  actions: Type.Array(Type.String()),
  since: Type.String(),
  days: Type.Integer(),
  deadline: nullable(Type.Object({ kind: Type.String(), due: Type.String(), daysLeft: Type.Integer(), missed: Type.Boolean() })),
  urgency: Type.Enum([...urgencies]),
  reason: nullable(Texts),
})

const Page = pageOf(OpenCaseShape)

const Counts = Type.Object({
  items: Type.Array(Type.Object({ kind: Type.Enum(caseKinds), urgency: Type.Enum([...urgencies]), count: Type.Integer() })),
  total: Type.Integer(),
})

const Filter = Type.Object(
  {
    kind: Type.Optional(Type.Enum(caseKinds)),
    agency: Type.Optional(AgencyCode),
    id: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    after: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
    limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$' })),
    ...fileQuery,
  },
  closed,
)

/** Where a case is read. */
const folders: Readonly<Record<string, string>> = {
  application: 'applications',
  demand: 'demands',
  grant: 'grants',
  machine: 'machines',
  publication: 'publications',
  opening: 'openings',
  correction: 'corrections',
  declaration: 'declarations',
  order: 'orders',
  registration: 'registrations',
  resource: 'resources',
  standard: 'standards',
  evaluation: 'evaluations',
  'catalog-update': 'resources',
}

function withLink(one: OpenCase) {
  // Its id is `<resource> <period>`.
  if (one.kind === 'duty') return { ...one, link: `/duties?resource=${encodeURIComponent(one.id.split(' ')[0]!)}` }
  // `<grant> <webhook>`
  if (one.kind === 'webhook') return { ...one, link: `/grants/${encodeURIComponent(one.id.split(' ')[0]!)}/webhooks` }
  const folder = folders[one.kind]
  return { ...one, link: folder === undefined ? null : `/${folder}/${encodeURIComponent(one.id)}` }
}

interface Asked {
  kind?: string
  agency?: string
  id?: string
  after?: string
  limit?: string
}

async function page(list: typeof listTodo, { registry, principal, query }: Call<unknown, Asked>, agency: string | undefined) {
  const { kind, id, after, limit } = query
  const { items, next, total } = await list(
    registry.store.query,
    principal,
    { kind, agency, id, after, limit: Number(limit ?? 50) },
    registry.clock(),
  )
  return { items: items.map(withLink), next, total }
}

/** What waits for whom: from the tables of the workflows, the rights and the deadlines. */
export const todoOperations: readonly Operation[] = [
  operation({
    name: 'todo.list',
    method: 'GET',
    path: '/todo',
    text: { zh: '我的待办：最急的在前', en: 'what the caller may take on now, the most pressing first' },
    query: Filter,
    answer: Page,
    run: (call) => page(listTodo, call, call.query.agency),
  }),
  operation({
    name: 'todo.counts',
    method: 'GET',
    path: '/todo/counts',
    text: { zh: '我的待办有多少：按种类和紧急程度', en: 'how much the caller may take on now, by kind and urgency' },
    answer: Counts,
    run: async ({ registry, principal }) => {
      const items = await countTodo(registry.store.query, principal, registry.clock())
      return { items, total: items.reduce((sum, { count }) => sum + count, 0) }
    },
  }),
  operation({
    name: 'case.list',
    method: 'GET',
    path: '/cases',
    text: { zh: '未办结事项，各在谁手中', en: 'open cases, and whose turn each is' },
    query: Filter,
    answer: Page,
    run: (call) => page(listOpenCases, call, call.agencyScope ?? call.query.agency),
  }),
]
